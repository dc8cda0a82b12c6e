"""The append-only file as it is written: from commands to bytes on the medium.

What the node sends on (`propagation.py`) gathers in a buffer, which is written in one piece at each
turn of the event loop, before the replies leave (`outbox.py`). When the piece is brought from the
kernel's memory to the medium is the policy `appendfsync`:

- `no`: whenever the kernel does;
- `everysec`: once a second, in the background. While that goes on nothing is written, for the
  kernel would make us wait; after two seconds it is written all the same, and counted;
- `always`: before any reply leaves. What fails then cannot be made good, so the node ends.

Follows `feedAppendOnlyFile` and `flushAppendOnlyFile` in `src/aof.c` of Redis 7.0. What files there
are is `rewriting.py`'s business.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from redislab.server.persistence.disk import error_text, in_background
from redislab.server.persistence.records import timestamp
from redislab.server.propagation import FILE
from redislab.server.replication.stream import Encoder

if TYPE_CHECKING:
    from redislab.server.environment import DiskFile
    from redislab.server.node import Node

_LOG_EVERY_S = 30  # for errors that repeat
_POSTPONED_MAX_S = 2

_SLOW_FSYNC = (
    "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without "
    "waiting for fsync to complete, this may slow down Redis."
)
_CANNOT_UNDO = (
    "Could not remove short write from the append-only file.  Redis may refuse to load the AOF the "
    "next time it starts.  ftruncate: {}"
)
_GIVES_UP = "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."
_FSYNC_GIVES_UP = (
    "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {}. Exiting..."
)


class State(Enum):
    """Whether there is an append-only file."""

    OFF = "off"
    ON = "on"
    # It was switched on: there will be one when the first rewrite, the base, is done.
    WAITS_FOR_REWRITE = "waits for rewrite"


class AppendOnlyFile:
    """The writing end of one node's append-only file.

    Attributes:
        state: whether there is one.
        file: the increment that is written to.
        size: bytes in all files, the buffer left out.
        increment_size: bytes in `file`.
        base_size: what `size` was after the last rewrite, or the base's when the node started.
        delayed: how often two seconds were not enough for an fsync.
        write_error: why the last write failed, as an errno; 0 for none.
        sync_error: why the last fsync in the background failed.
        flush_sleep_s: for tests: how long to wait before each write.
        keeps: whether the commands that come are wanted; not while a rewrite has yet to begin.
        frozen: nothing may be written now, whatever happens: what comes belongs to the next file.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.state = State.OFF
        self.file: DiskFile | None = None
        self.size = self.increment_size = self.base_size = 0
        self.delayed = 0
        self.write_error = self.sync_error = 0
        self.flush_sleep_s = 0.0
        self.keeps = True
        self.frozen = False
        self._encoder = Encoder()
        self._pieces: list[bytes] = []
        self._told_at = 0  # what the last timestamp says
        self._synced_size = 0  # of the increment, or rather the last fsync asked for
        self._synced_at = 0  # whole seconds on the loop's clock
        self._postponed_at: int | None = None
        self._syncing: asyncio.Task[None] | None = None
        self._error_logged_at = float("-inf")
        self._retried_at = float("-inf")
        # At hand, for `feed` runs at every command.
        self._config, self._outbox = node.config, node.outbox
        node.outbox.flush = self.flush_before_replies

    # -- what goes in ----------------------------------------------------------------------------

    def feed(self, unit: Sequence[tuple[int, Sequence[bytes]]]) -> None:
        """Take commands that belong together; a sink of the node's propagation."""
        if not self.keeps:
            return
        if self._config.aof_timestamp_enabled:
            now = int(self.node.environment.unix_time())
            if now > self._told_at:
                self._told_at = now
                self._pieces.append(timestamp(now))
        self._pieces.append(self._encoder.encode(unit))
        if not self._outbox.holding:
            self._outbox.begin()

    def told(self, unix_seconds: int) -> None:
        """A timestamp was written by a rewrite."""
        self._told_at = unix_seconds

    @property
    def buffered(self) -> int:
        """Bytes that are yet to be written."""
        return sum(map(len, self._pieces))

    @property
    def syncing(self) -> bool:
        """Whether an fsync is under way in the background."""
        return self._syncing is not None

    @property
    def failed(self) -> int:
        """The errno of what is wrong with the file now, 0 for nothing."""
        return self.write_error or self.sync_error

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT."""
        self.delayed = 0

    # -- opening and closing -----------------------------------------------------------------------

    def open(self, file: DiskFile, size: int) -> None:
        """Write to a file from now on, which has so many bytes already."""
        self.file = file
        self.increment_size = self._synced_size = size
        self._begin(State.ON)

    def await_rewrite(self) -> None:
        """Begin, but keep nothing before there is a base."""
        self._begin(State.WAITS_FOR_REWRITE)
        self.keeps = False

    def _begin(self, state: State) -> None:
        self.state = state
        self.keeps = True
        self._synced_at = int(self.node.loop_time())
        self.select_again()
        self.node.propagation.add(self.feed, FILE)

    def switch(self, file: DiskFile) -> None:
        """Go on in a new, empty file; what is in the buffer goes there."""
        old, self.file = self.file, file
        self.increment_size = self._synced_size = 0
        self.keeps = True
        if old is not None:
            self._synced_at = int(self.node.loop_time())
            old.close()

    def select_again(self) -> None:
        """Let the next command begin with the number of its database."""
        self._encoder.database = -1

    def drop_buffer(self) -> None:
        """Forget what was not written."""
        self._pieces.clear()

    def close(self) -> DiskFile | None:
        """There is no append-only file any more; the file that was written to, still open."""
        file, self.file = self.file, None
        if self.state is not State.OFF:
            self.node.propagation.remove(self.feed)
        self.state = State.OFF
        self.increment_size = self._synced_size = 0
        self.drop_buffer()
        self.select_again()
        self.node.refresh()
        return file

    def forgive(self) -> None:
        """A new file begins: the errors of the old one do not count."""
        if self.sync_error:
            self.node.log.warning("AOF reopen, just ignore the AOF fsync error in bio job")
        if self.write_error:
            self.node.log.warning("AOF reopen, just ignore the last error.")
        self.write_error = self.sync_error = 0
        self.node.refresh()

    # -- writing -----------------------------------------------------------------------------------

    def flush_before_replies(self) -> asyncio.Future[None] | None:
        """Write the buffer; what the replies have to wait for, if they have to."""
        if self.flush_sleep_s and self._pieces:
            return in_background(self.node, self._flush_late())
        return self.flush()

    async def _flush_late(self) -> None:
        await asyncio.sleep(self.flush_sleep_s)
        barrier = self.flush()
        if barrier is not None:
            await barrier

    def flush(self, *, force: bool = False) -> asyncio.Future[None] | None:
        """Write the buffer, and see that it gets to the medium as the policy says.

        Args:
            force: write although an fsync is under way.

        Returns:
            Under `always`, what to wait for: the end of the fsync.
        """
        policy = self.node.config.appendfsync
        if self.state is State.OFF or self.file is None or self.frozen:
            return None
        if self._pieces:
            if policy == "everysec" and not force and self._is_postponed():
                return None
            self._postponed_at = None
            if not self._write():
                return None
        elif self._synced_size == self.increment_size or policy == "no":
            return None
        if self.node.config.no_appendfsync_on_rewrite and self.node.persistence.active is not None:
            return None
        if policy == "always":
            return self._sync_always(self.file)
        if policy == "everysec" and int(self.node.loop_time()) > self._synced_at:
            if self._syncing is None:
                self._synced_size = self.increment_size
                self._syncing = in_background(self.node, self._sync_in_background(self.file))
            self._synced_at = int(self.node.loop_time())
        return None

    def cron(self) -> None:
        """What has to be looked after without being asked: late fsyncs, writes that failed."""
        if self.state is State.OFF:
            return
        if self.write_error:
            now = self.node.loop_time()
            if now - self._retried_at < 1.0 - 1e-9:
                return
            self._retried_at = now
        barrier = None if self.node.outbox.holding else self.flush()
        if barrier is not None:  # the policy has just become `always`
            self.node.outbox.wait_for(barrier)

    def _is_postponed(self) -> bool:
        """Whether a write has to wait for the fsync that is under way."""
        if self._syncing is None:
            return False
        now = int(self.node.loop_time())
        if self._postponed_at is None:
            self._postponed_at = now
            return True
        if now - self._postponed_at < _POSTPONED_MAX_S:
            return True
        self.delayed += 1
        self.node.log.notice(_SLOW_FSYNC)
        return False

    def _write(self) -> bool:
        """Write the buffer; tell whether all of it is written."""
        assert self.file is not None, "there is a file while the state is not OFF"
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        started = self.node.clock()
        written, failure = _write_some(self.file, data)
        self._note_latency(self.node.clock() - started)
        if failure is not None:
            return self._not_written(data, written, failure)
        self._pieces.clear()
        self.size += written
        self.increment_size += written
        if self.write_error:
            self.write_error = 0
            self.node.log.warning("AOF write error looks solved, Redis can write again.")
            self.node.refresh()
        return True

    def _not_written(self, data: bytes, written: int, failure: OSError) -> bool:
        node = self.node
        now = node.loop_time()
        tells = now - self._error_logged_at > _LOG_EVERY_S
        if tells:
            self._error_logged_at = now
        if written:
            self.write_error = errno.ENOSPC
            if tells:
                node.log.warning(
                    f"Short write while writing to the AOF file: (nwritten={written}, "
                    f"expected={len(data)})"
                )
            written = self._take_back(written, tells=tells)
        else:
            self.write_error = failure.errno or errno.EIO
            if tells:
                node.log.warning(f"Error writing to the AOF file: {error_text(failure)}")
        if node.config.appendfsync == "always":
            # Replies that tell of these changes are made already, and cannot be unmade.
            node.log.warning(_GIVES_UP)
            node.die(1)
            return False
        self.size += written
        self.increment_size += written
        self._pieces = [data[written:]]
        node.refresh()
        return False

    def _take_back(self, written: int, *, tells: bool) -> int:
        """Remove half a write from the file; how much of it could not be removed."""
        assert self.file is not None, "something was written to it"
        try:
            self.file.truncate(self.increment_size)
        except OSError as failure:
            if tells:
                self.node.log.warning(_CANNOT_UNDO.format(error_text(failure)))
            return written
        return 0

    # -- to the medium -----------------------------------------------------------------------------

    def _sync_always(self, file: DiskFile) -> asyncio.Future[None]:
        self._synced_size = self.increment_size
        self._synced_at = int(self.node.loop_time())
        return in_background(self.node, self._sync_or_die(file))

    async def _sync_or_die(self, file: DiskFile) -> None:
        started = self.node.clock()
        try:
            await file.sync()
        except OSError as failure:
            self._die_of_fsync(failure)
        self.node.latency.add("aof-fsync-always", self.node.clock() - started)

    def _die_of_fsync(self, failure: OSError) -> None:
        if not self.node.stopping:
            self.node.log.warning(_FSYNC_GIVES_UP.format(error_text(failure)))
            self.node.die(1)

    async def sync_now(self) -> bool:
        """Bring what was written to the medium; tell whether that went well."""
        if self.file is None:
            return True
        self._synced_size = self.increment_size
        try:
            await self.file.sync()
        except OSError as failure:
            if self.node.config.appendfsync == "always":
                self._die_of_fsync(failure)
            else:
                self._note_sync_failure(failure)
            return False
        return True

    def _note_sync_failure(self, failure: OSError) -> None:
        if not self.sync_error:
            self.node.log.warning(f"Fail to fsync the AOF file: {error_text(failure)}")
        self.sync_error = failure.errno or errno.EIO
        self.node.refresh()

    async def _sync_in_background(self, file: DiskFile) -> None:
        try:
            await file.sync()
        except OSError as failure:
            if failure.errno not in {errno.EBADF, errno.EINVAL}:  # it was closed meanwhile
                self._note_sync_failure(failure)
        else:
            if self.sync_error:
                self.sync_error = 0
                self.node.refresh()
        finally:
            self._syncing = None
        if self._postponed_at is not None and not self.node.outbox.holding:
            self.flush()

    def _note_latency(self, seconds: float) -> None:
        latency = self.node.latency
        if self._syncing is not None:
            latency.add("aof-write-pending-fsync", seconds)
        elif self.node.persistence.active is not None:
            latency.add("aof-write-active-child", seconds)
        else:
            latency.add("aof-write-alone", seconds)
        latency.add("aof-write", seconds)


def _write_some(file: DiskFile, data: bytes) -> tuple[int, OSError | None]:
    """Write as much as goes: how much it was, and why it was not all."""
    written, rest = 0, memoryview(data)
    try:
        while rest:
            taken = file.write(rest)
            written += taken
            rest = rest[taken:]
    except OSError as failure:
        return written, failure
    return written, None
