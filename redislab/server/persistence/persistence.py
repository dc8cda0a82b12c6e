"""The persistence of one node: its parts, and what the rest of the node asks of them."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from redislab.engine.errors import CommandError
from redislab.server.directive_kinds import RefusedError
from redislab.server.gates import effective_flags
from redislab.server.persistence.appendfile import AppendOnlyFile, State
from redislab.server.persistence.background import AOF, RDB
from redislab.server.persistence.disk import in_background
from redislab.server.persistence.loading import Loading
from redislab.server.persistence.rewriting import Rewriting
from redislab.server.persistence.saving import Saving

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.commands import Entry
    from redislab.server.node import Node

LOADING = "LOADING Redis is loading the dataset in memory"
_RDB_FAILED = (
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to "
    "disk. Commands that may modify the data set are disabled, because this instance is configured "
    "to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error "
    "option). Please check the Redis logs for details about the RDB error."
)


class Persistence:
    """What one node does with its disk.

    Attributes:
        saving: its RDB file.
        aof: its append-only file, as far as it is written to.
        rewriting: the files of that, and how they become fewer.
        loading: how it reads them.
        tasks: what goes on beside the commands, to be ended with the node.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.saving = Saving(node)
        self.aof = AppendOnlyFile(node)
        self.rewriting = Rewriting(node)
        self.loading = Loading(node)
        node.engine.on_emptied = self._emptied
        node.config.on_change("appendonly", self._follow_appendonly)
        node.config.on_change("aof-disable-auto-gc", self._follow_auto_gc)
        for name in ("save", "stop-writes-on-bgsave-error"):
            node.config.on_change(name, node.refresh)

    async def start_up(self) -> None:
        """Load the data; the node's start waits for it.

        Raises:
            ExitError: that cannot be done.
        """
        self.saving.begin()
        await self.loading.start_up()

    def abandon(self) -> None:
        """The node ends: nothing more is done, and nothing cleaned up."""
        self.saving.abandon()
        self.rewriting.abandon()
        for task in list(self.tasks):
            task.cancel()

    @property
    def active(self) -> str | None:
        """What is being written in the background now, as Redis names its child: "RDB", "AOF"."""
        if self.saving.running or self.node.replication.masterside.transfers.target:
            return RDB
        return AOF if self.rewriting.running else None

    def cron(self) -> None:
        """What is begun or looked after now and then; the order is that of `serverCron`."""
        if self.loading.running:
            return
        if self.active is None:
            self.rewriting.start_scheduled()
        if self.active is None:
            self.saving.cron()
            self.rewriting.cron()
        self.aof.cron()
        if self.active is None:
            self.saving.start_scheduled()

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT."""
        self.aof.delayed = 0
        self.saving.saves = 0
        self.rewriting.rewrites = self.rewriting.failures = 0

    # -- gates -------------------------------------------------------------------------------------

    @property
    def is_plain(self) -> bool:
        """Whether no command can be refused because of the disk."""
        return not self.loading.running and self.write_refusal() is None

    def write_refusal(self) -> str | None:
        """The error for a command that writes, or None while the disk takes everything."""
        config = self.node.config
        if config.stop_writes_on_bgsave_error and config.save and not self.saving.last_ok:
            return _RDB_FAILED
        if self.aof.state is not State.OFF and self.aof.failed:
            return f"MISCONF Errors writing to the AOF file: {os.strerror(self.aof.failed)}"
        return None

    def check_write(self, client: Client, entry: Entry, args: list[bytes]) -> None:
        """Refuse a command that writes, and PING, while the disk does not take what is written.

        Raises:
            CommandError: MISCONF.
        """
        refusal = self.write_refusal()
        if refusal is None or client.is_master:
            return
        if entry.name == "ping" or "write" in effective_flags(client, entry, args):
            raise CommandError(refusal)

    def check_loading(self, entry: Entry) -> None:
        """Refuse a command that needs the data while they are loaded.

        Raises:
            CommandError: LOADING.
        """
        if self.loading.running and "loading" not in entry.flags:
            raise CommandError(LOADING)

    # -- what happens elsewhere --------------------------------------------------------------------

    def _emptied(self) -> None:
        """FLUSHALL: what is being saved is gone, and the RDB file is to be empty too."""
        if self.loading.running:
            return
        self.saving.cancel()
        self.node.replication.masterside.transfers.end()
        if not self.node.config.save:
            return

        async def save() -> None:
            try:
                await self.saving.save()
            finally:
                self.node.outbox.unblock()

        # The reply has to wait; other clients need not.
        self.node.outbox.block()
        in_background(self.node, save())

    def _follow_appendonly(self) -> None:
        wanted, state = self.node.config.appendonly, self.aof.state
        if not wanted and state is not State.OFF:
            self.rewriting.switch_off()
        elif wanted and state is State.OFF and not self.rewriting.switch_on():
            raise RefusedError("Unable to turn on AOF. Check server logs.")

    def _follow_auto_gc(self) -> None:
        if not self.node.config.aof_disable_auto_gc:
            in_background(self.node, self.rewriting.remove_history())
