"""SHUTDOWN and the signals that ask for it: how a node ends in good order.

First the replicas may catch up (`shutdown-timeout`), with writes held back; then the append-only
file is brought to the medium, and the data are saved if there are save points. If that fails the
node does not end. Follows `shutdownCommand` in `src/db.c`, and `prepareForShutdown` and
`finishShutdown` in `src/server.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Block, Reply, command
from redislab.server.persistence.appendfile import State
from redislab.server.persistence.disk import error_text, remove
from redislab.server.replication.replica import Replica
from redislab.wire.resp import OK, error

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.node import Node

_WORDS = frozenset({"nosave", "save", "now", "force", "abort"})
_DENIED = "ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client"
_FAILED = "ERR Errors trying to SHUTDOWN. Check logs."
_PAUSE = "shutdown"
_LOOK_S = 0.01  # between two looks at how far the replicas are
_FOREVER_S = 1e9


@command("shutdown")
def shutdown(c: Client, args: list[bytes]) -> Reply:
    """SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]: no reply, but for an error."""
    words = {word.lower().decode("latin-1") for word in args[1:]}
    if not words <= _WORDS or {"nosave", "save"} <= words:
        raise syntax_error()
    if "abort" in words:
        if len(words) > 1:
            raise syntax_error()
        if not c.node.leaving.abort():
            raise CommandError("ERR No shutdown in progress.")
        return OK
    if c.deny_blocking and "now" not in words:
        raise CommandError(_DENIED)
    slow = c.node.scripts.slow
    if slow.client is not None and "nosave" not in words:
        raise CommandError(slow.busy_message())
    return c.node.leaving.asked_by(c, words)


class Leaving:
    """The end of one node.

    Attributes:
        by_signal: a signal has asked for it.
        before_bye: what is to be done last of all, just before the last line of the log.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.by_signal = False
        self.before_bye: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._signalled: list[str] | None = None  # the options of a signal that nobody has seen yet
        self._waiting: dict[Client, Block] = {}
        self._deadline: float | None = None  # on the loop's clock, while replicas are waited for

    @property
    def milliseconds_left(self) -> int | None:
        """How long it is still waited for replicas; None if it is not."""
        if self._deadline is None:
            return None
        return max(int((self._deadline - self.node.loop_time()) * 1000), 0)

    def asked_by(self, client: Client, options: Iterable[str]) -> Reply:
        """A client asks for the end; it hears nothing more, unless that fails."""
        block = Block((), 0, lambda _c, _key: None, b"")
        self._waiting[client] = block
        self.begin(options)
        return block

    def begin(self, options: Iterable[str]) -> None:
        """End the node.

        Args:
            options: words of SHUTDOWN: "save", "nosave", "now", "force".
        """
        if self._task is None:
            self._task = self.node.loop.create_task(self._leave(frozenset(options)))

    def begin_soon(self, options: list[str]) -> None:
        """A signal asks for the end: that is looked at with the next run of the cron."""
        self.by_signal = True
        self._signalled = options
        if self.node.persistence.loading.running:
            self.cron()  # which does not run meanwhile

    def cron(self) -> None:
        """End the node if a signal has asked for that."""
        if self._signalled is not None:
            options, self._signalled = self._signalled, None
            self.begin(options)

    def abort(self) -> bool:
        """Do not end after all; tell whether that is still possible."""
        if self._task is not None and self._deadline is not None:
            self._task.cancel()
        elif self._signalled is None:
            return False
        self._stay()
        self.node.log.notice("Shutdown manually aborted.")
        return True

    def _stay(self) -> None:
        """The node does not end: let everybody go on."""
        self._task = self._deadline = self._signalled = None
        self.by_signal = False
        waiting, self._waiting = self._waiting, {}
        for client, block in waiting.items():
            if client.blocked is block:
                self.node.count_error(_FAILED)
                self.node.blocking.release(client, error(_FAILED))
        self.node.unpause(_PAUSE)

    async def _leave(self, options: frozenset[str]) -> None:
        node = self.node
        if node.persistence.loading.running or not node.holds_data:
            options = (options - {"save"}) | {"nosave"}  # what is there is half of the data at most
        node.log.warning("User requested shutdown...")
        if "now" not in options and node.config.shutdown_timeout and self._lagging():
            await self._wait_for_replicas()
        self._deadline = None
        self._tell_of_replicas()
        node.stand_still()
        try:
            ended = await self._finish(options)
        finally:
            node.go_on()
        if not ended:
            node.log.warning(
                "Errors trying to shut down the server. Check the logs for more information."
            )
            self._stay()
            return
        for call in self.before_bye:
            call()
        node.log.warning(f"{node.title} is now ready to exit, bye bye...")
        await node.stop()

    # -- replicas ----------------------------------------------------------------------------------

    def _lagging(self) -> list[Replica]:
        """The replicas that have not acknowledged everything."""
        replication = self.node.replication
        offset = replication.history.offset
        return [each for each in replication.masterside.replicas.values() if each.acked != offset]

    async def _wait_for_replicas(self) -> None:
        node = self.node
        if not node.pause_mode():
            node.replication.masterside.ask_for_acknowledgments()
        node.pause(_FOREVER_S, "write", _PAUSE)
        node.log.notice("Waiting for replicas before shutting down.")
        self._deadline = node.loop_time() + node.config.shutdown_timeout
        while self._lagging() and node.loop_time() < self._deadline:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)

    def _tell_of_replicas(self) -> None:
        node, lagging = self.node, self._lagging()
        offset = node.replication.history.offset
        for replica in lagging:
            lag = replica.lag(node.loop_time())
            node.log.warning(
                f"Lagging replica {replica.address} reported offset {offset - replica.acked} "
                f"behind master, lag={lag}, state={replica.shown_state}."
            )
        count = len(node.replication.masterside.replicas)
        if count:
            node.log.notice(
                f"{count - len(lagging)} of {count} replicas are in sync when shutting down."
            )

    # -- files -------------------------------------------------------------------------------------

    async def _finish(self, options: frozenset[str]) -> bool:
        """Bring the data to the disk; tell whether the node may end."""
        node, persistence = self.node, self.node.persistence
        log, force = node.log, "force" in options
        if persistence.saving.running:
            log.warning("There is a child saving an .rdb. Killing it!")
            persistence.saving.cancel(tell=False)
        if persistence.rewriting.running:
            if persistence.aof.state is State.WAITS_FOR_REWRITE:
                if not force:
                    log.warning("Writing initial AOF, can't exit.")
                    return False
                log.warning("Writing initial AOF. Exit anyway.")
            log.warning("There is a child rewriting the AOF. Killing it!")
            persistence.rewriting.cancel()
        if persistence.aof.state is not State.OFF:
            log.notice("Calling fsync() on the AOF file.")
            await self._sync_append_only_file()
        if "save" in options or (node.config.save and "nosave" not in options):
            log.notice("Saving the final RDB snapshot before exiting.")
            if not await persistence.saving.save():
                if not force:
                    log.warning("Error trying to save the DB, can't exit.")
                    return False
                log.warning("Error trying to save the DB. Exit anyway.")
        return True

    async def _sync_append_only_file(self) -> None:
        aof = self.node.persistence.aof
        await self.node.persistence.rewriting.settle()
        aof.flush(force=True)
        if aof.file is None:
            return
        try:
            await aof.file.sync()
        except OSError as failure:
            self.node.log.warning(f"Fail to fsync the AOF file: {error_text(failure)}.")


class Signals:
    """SIGTERM and SIGINT end a node that is a program of its own; a second SIGINT at once.

    As Redis does, it outlives the terminal that it was started from.
    """

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self.node = node
        self.loop = loop

    def listen(self) -> None:
        """Take the signals from here on."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for name in ("SIGTERM", "SIGINT"):
            self.loop.add_signal_handler(getattr(signal, name), self._received, name)

    def _received(self, name: str) -> None:
        node, leaving = self.node, self.node.leaving
        if leaving.by_signal and name == "SIGINT":
            self._log("You insist... exiting now.")
            remove(
                node.environment.disk,
                node.config.absolute(node.persistence.saving.temporary_name),
            )
            node.die(1)
            return
        if node.persistence.loading.running:
            self._log("Received shutdown signal during loading, scheduling shutdown.")
        else:
            self._log(f"Received {name} scheduling shutdown...")
        config = node.config
        chosen = config.shutdown_on_sigint if name == "SIGINT" else config.shutdown_on_sigterm
        leaving.begin_soon(chosen.split())

    def _log(self, message: str) -> None:
        """Write a line as Redis does where it cannot do more (`serverLogFromHandler`)."""
        environment = self.node.environment
        environment.log(
            f"{environment.process_id}:signal-handler ({int(environment.unix_time())}) {message}"
        )
