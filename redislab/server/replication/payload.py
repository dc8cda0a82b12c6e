"""The data set on its way to a replica: `$<length>` or `$EOF:<mark>`, and an RDB file.

With `repl-diskless-load disabled`, the default, it is kept in a file in the node's directory, which
then takes the place of its own RDB file; otherwise in memory. Nothing of the replica's data is
touched before all of it has come and has been read without a fault: where Redis would stand there
with nothing, we go on with what we had. Follows `readSyncBulkPayload` in `src/replication.c` of
Redis 7.0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.server.environment import DiskFile
    from redislab.server.node import Node

_MARK_BYTES = 40
_READ_BYTES = 64 * 1024
# No file and no address space is larger: who announces more does not mean it.
LENGTH_MAX = 2**48
_BAD_PROTOCOL = (
    "Bad protocol from MASTER, the first byte is not '$' (we received '{}'), are you sure the host "
    "and port are right?"
)
_NO_WRITE = (
    "Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA "
    "synchronization: {}"
)


class PayloadError(Exception):
    """The master sends something else than a data set; the message is the line for the log."""


class Payload:
    """A data set that is being received.

    Args:
        node: the replica.
        history: the replication ID of the stream that follows it; empty after SYNC.
        offset: where in that history the data set is.

    Attributes:
        begun: its length or its mark is known.
        received: bytes of the data set so far.
        rest: what came after its end, which is the stream already.
    """

    def __init__(self, node: Node, history: str, offset: int) -> None:
        self.node = node
        self.history = history
        self.offset = offset
        self.begun = False
        self.received = 0
        self.length = -1
        self.rest = b""
        self._mark = b""
        self._tail = b""
        self._parts: list[bytes] = []
        self._file: DiskFile | None = None
        self._path = ""
        self._is_temporary = True

    def begin(self, line: bytes) -> None:
        """The line before the data.

        Raises:
            PayloadError: it announces none.
            OSError: there is no place to put it.
        """
        text = line.decode("utf-8", "replace")
        if line.startswith(b"-"):
            raise PayloadError(f"MASTER aborted replication with an error: {text[1:]}")
        if not line.startswith(b"$"):
            raise PayloadError(_BAD_PROTOCOL.format(text))
        to_disk = self.node.config.repl_diskless_load == "disabled"
        where = "to disk" if to_disk else "to parser"
        if line.startswith(b"$EOF:") and len(line) >= 5 + _MARK_BYTES:
            self._mark = line[5 : 5 + _MARK_BYTES]
            self.node.log.notice(
                f"MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF {where}"
            )
        else:
            digits = line[1:]
            if not digits.isdigit() or len(digits) > 18 or int(digits) > LENGTH_MAX:
                raise PayloadError(_BAD_PROTOCOL.format(text))
            self.length = int(digits)
            self.node.log.notice(
                f"MASTER <-> REPLICA sync: receiving {self.length} bytes from master {where}"
            )
        if to_disk:
            seconds = int(self.node.environment.unix_time())
            name = f"temp-{seconds}.{self.node.environment.process_id}.rdb"
            self._path = self.node.config.absolute(name)
            self._file = self.node.environment.disk.open(self._path, "create")
        self.begun = True

    def take(self, data: bytes) -> bool:
        """Add a piece; whether the data set is complete.

        Raises:
            PayloadError: it cannot be written to the disk.
        """
        if self.length >= 0:
            missing = self.length - self.received
            data, self.rest = data[:missing], data[missing:]
            self._store(data)
            return self.received >= self.length
        # The mark is not part of the data: hold back what may be its beginning.
        data = self._tail + data
        self._tail = data[-_MARK_BYTES:]
        is_complete = self._tail == self._mark
        self._store(data[:-_MARK_BYTES])
        return is_complete

    def _store(self, data: bytes) -> None:
        self.received += len(data)
        if self._file is None:
            self._parts.append(data)
            return
        try:
            if self._file.write(data) == len(data):
                return
            reason = "short write"
        except OSError as failure:
            reason = os.strerror(failure.errno or 0)
        raise PayloadError(_NO_WRITE.format(reason))

    async def settle(self) -> None:
        """Let a file take the place of the node's own RDB file, on the medium.

        Raises:
            OSError: it cannot.
        """
        if self._file is None:
            return
        await self._file.sync()
        target = self.node.config.absolute(self.node.config.dbfilename)
        disk = self.node.environment.disk
        disk.rename(self._path, target)
        self._path, self._is_temporary = target, False
        await disk.sync_directory(self.node.config.dir)

    def chunks(self) -> Iterator[bytes]:
        """The data set, in pieces."""
        if self._file is None:
            yield from self._parts
            return
        file = self.node.environment.disk.open(self._path, "read")
        try:
            while piece := file.read(_READ_BYTES):
                yield piece
        finally:
            file.close()

    def discard(self) -> None:
        """Forget it, and take a file that was not finished away."""
        self._parts.clear()
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._is_temporary:
            try:
                self.node.environment.disk.unlink(self._path)
            except OSError as failure:
                self.node.log.warning(f"Can't remove {self._path}: {failure}")
