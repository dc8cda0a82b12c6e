"""Replaying one file of an append-only file: its commands are run as a client's would be.

Follows `loadSingleAppendOnlyFile` in `src/aof.c` of Redis 7.0. Where the file ends in the middle of
a command, as a crash leaves it, `aof-load-truncated` decides: the file is cut behind the last whole
command, or nothing is touched and the node does not start. In one detail we differ. Where that
command stands in a transaction, Redis cuts in the middle of the transaction: what it writes next
belongs to that, and is lost with it at the next start. Here the transaction is cut off too. And a
file that others follow, which Redis cuts before it refuses to start, is left as it is.
"""

from __future__ import annotations

import asyncio
import errno
import os
from enum import Enum
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.engine.table import Block
from redislab.server.client import Client
from redislab.server.dispatch import find
from redislab.server.exits import ExitError
from redislab.server.panic import panic
from redislab.server.persistence.disk import error_text
from redislab.server.persistence.records import (
    EndedEarlyError,
    MalformedError,
    Records,
    UnreadableError,
)

if TYPE_CHECKING:
    from redislab.server.environment import DiskFile
    from redislab.server.persistence.loading import Loading

MAGIC = b"REDIS"  # what a base begins with that is a snapshot
_AOF_CLIENT_ID = 2**64 - 1
_TICK_COMMANDS = 16

_ENDS_EARLY = (
    "Unexpected end of file reading the append only file {}. You can: 1) Make a backup of your AOF "
    "file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the "
    "'aof-load-truncated' configuration option to yes and restart the server."
)
_MALFORMED = (
    "Bad file format reading the append only file {}: make a backup of your AOF file, then use "
    "./redis-check-aof --fix <filename.manifest>"
)
_CRITICAL = (
    "== CRITICAL == This server is sending an error to its AOF-loading-client: '-{}' after "
    "processing the command '{}'"
)
_PANIC = (
    "This server panicked sending an error to its AOF-loading-client after processing the command "
    "'{}'"
)


class Outcome(Enum):
    """What came of reading a file."""

    LOADED = "loaded"
    TRUNCATED = "loaded, and its end cut off"
    EMPTY = "empty"
    MISSING = "missing"
    FAILED = "failed"


class _UnknownCommandError(Exception):
    """A command that there is not."""


class Replay:
    """The replay of one file.

    Args:
        loading: the load that it is a part of.
        name: of the file, in the directory of the append-only file.
        is_last: no other file comes after it: only such a one may lack its end.
    """

    def __init__(self, loading: Loading, name: str, *, is_last: bool) -> None:
        self.loading = loading
        self.node = loading.node
        self.name = name
        self.is_last = is_last
        self.path = self.node.persistence.rewriting.path(name)
        client = self.client = Client(self.node, _AOF_CLIENT_ID, None)
        client.deny_blocking = client.authenticated = True
        client.is_master = True  # it is obeyed like one, by a replica too
        client.waits_itself = True
        # Up to where the file is good: behind the last whole command, before an open transaction.
        self._good = 0

    async def run(self) -> Outcome:
        """Replay it; what came of that. The log has the details."""
        log = self.node.log
        try:
            file = self.node.environment.disk.open(self.path, "read")
        except OSError as failure:
            if failure.errno == errno.ENOENT:
                what = f"The append log file {self.name} doesn't exist: {error_text(failure)}"
                log.warning(what)
                return Outcome.MISSING
            log.warning(
                f"Fatal error: can't open the append log file {self.name} for reading: "
                f"{error_text(failure)}"
            )
            return Outcome.FAILED
        try:
            return await self._read(file) if file.size() else Outcome.EMPTY
        except OSError as failure:
            return self._unreadable(error_text(failure))
        except EndedEarlyError:
            return self._ends_early()
        except MalformedError:
            log.warning(_MALFORMED.format(self.name))
        except UnreadableError:
            return self._unreadable(os.strerror(0))
        except _UnknownCommandError as unknown:
            log.warning(f"Unknown command '{unknown}' reading the append only file {self.name}")
        finally:
            file.close()
        return Outcome.FAILED

    async def _read(self, file: DiskFile) -> Outcome:
        offset, piece = 0, file.read(1 << 16)
        if piece.startswith(MAGIC):
            reader = await self._read_rdb(file, piece)
            if reader is None:
                return self._unreadable(os.strerror(errno.EINVAL))
            offset, piece = reader
        records = Records(offset)
        self._good = offset
        if piece:
            records.feed(piece)
        await self._run_commands(file, records)
        if self.client.multi is not None:
            self.node.log.warning(
                f"Revert incomplete MULTI/EXEC transaction in AOF file {self.name}"
            )
            return self._ends_early()
        return Outcome.LOADED

    async def _read_rdb(self, file: DiskFile, piece: bytes) -> tuple[int, bytes] | None:
        """Load the snapshot that the file begins with; where it ends, and what follows there."""
        log = self.node.log
        is_old = self.name == self.node.config.appendfilename
        what = "RDB preamble of the AOF file" if is_old else "RDB base file"
        log.notice(
            "Reading RDB preamble from AOF file..."
            if is_old
            else "Reading RDB base file on AOF loading..."
        )
        reader = await self.loading.read_rdb(file, piece, self.name, is_base=True)
        if reader is None:
            log.warning(f"Error reading the {what} {self.name}, AOF loading aborted")
            return None
        if is_old:
            log.notice("Reading the remaining AOF tail...")
        return reader.offset, reader.rest

    async def _run_commands(self, file: DiskFile, records: Records) -> None:
        loading, client = self.loading, self.client
        delay_us = self.node.config.key_load_delay
        ended, count = False, 0
        while True:
            words = records.next()
            if words is None:
                if ended:
                    return
                piece = file.read(records.wanted)
                ended = not piece
                records.feed(piece)
                loading.position += len(piece)
                await loading.tick()
                continue
            await self._run(words)
            if client.multi is None:
                self._good = records.offset
            count += 1
            if count % _TICK_COMMANDS == 0 or delay_us:
                await loading.tick(delay_us)

    async def _run(self, words: list[bytes]) -> None:
        """Run one command; its errors are logged.

        Raises:
            ExitError: they are not to be lived with (`propagation-error-behavior panic`), or the
                node was told to end while a slow script ran.
        """
        client = self.client
        try:
            entry = find(client, words)
        except CommandError:
            raise _UnknownCommandError(words[0].decode("utf-8", "surrogateescape")) from None
        if client.multi is not None and entry.name != "exec":
            client.multi.append((entry, words))
            return
        try:
            reply = entry.handler(client, words)
            outcome = self.node.scripts.slow.outcome
            if isinstance(reply, Block) and outcome is not None:
                reply = await self._wait_for(outcome)
        except CommandError as failed:
            self.node.count_error(failed.message)
            self.node.log.warning(_CRITICAL.format(failed.message, entry.name))
            self.node.replication.replicaside.errors += 1
            if self.node.config.propagation_error_behavior == "panic":
                raise panic(self.node, _PANIC.format(entry.name)) from None
            return
        assert isinstance(reply, bytes), f"{entry.name} must not wait while it is replayed"

    async def _wait_for(self, outcome: asyncio.Future[bytes]) -> bytes:
        """The reply of a script that is slow: the loop runs between two pieces of it."""
        try:
            return await outcome
        except asyncio.CancelledError:
            if self.node.stopping:
                raise ExitError(0) from None
            raise

    def _ends_early(self) -> Outcome:
        """The file ends where nothing ends: cut it, or give up, as the configuration says."""
        log, name = self.node.log, self.name
        if self.node.config.aof_load_truncated:
            log.warning(f"!!! Warning: short read while loading the AOF file {name}!!!")
            if not self.is_last:
                return Outcome.TRUNCATED  # nothing will be loaded, so nothing is cut off
            log.warning(f"!!! Truncating the AOF {name} at offset {self._good} !!!")
            try:
                file = self.node.environment.disk.open(self.path, "append")
                try:
                    file.truncate(self._good)
                finally:
                    file.close()
            except OSError as failure:
                log.warning(f"Error truncating the AOF file {name}: {error_text(failure)}")
            else:
                log.warning(f"AOF {name} loaded anyway because aof-load-truncated is enabled")
                return Outcome.TRUNCATED
        log.warning(_ENDS_EARLY.format(name))
        return Outcome.FAILED

    def _unreadable(self, why: str) -> Outcome:
        self.node.log.warning(
            f"Unrecoverable error reading the append only file {self.name}: {why}"
        )
        return Outcome.FAILED
