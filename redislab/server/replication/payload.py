"""The data set on its way to a replica: `$<length>` or `$EOF:<mark>`, and an RDB file.

With `repl-diskless-load disabled`, the default, it is kept in a file in the node's directory, which
then takes the place of its own RDB file, and is read from there; otherwise it is read as it comes.
Either way the data are built beside those of the replica, which are not touched before all has come
and has been read without a fault: where Redis would stand there with nothing, we go on with what we
had. Follows `readSyncBulkPayload` in `src/replication.c` of Redis 7.0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from redislab.server.replication.image import Loader
from redislab.wire.rdb.faults import RdbError
from redislab.wire.rdb.opcodes import MAGIC

if TYPE_CHECKING:
    from redislab.engine.keyspace import Keyspace
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
_BAD_LENGTH = "Bad protocol from MASTER, it announces a data set of '{}' bytes"
_NO_FILE = "Opening the temp file needed for MASTER <-> REPLICA synchronization: {}"
_NO_WRITE = (
    "Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA "
    "synchronization: {}"
)
_NO_SYNC = "Failed trying to sync the temp DB to disk in MASTER <-> REPLICA synchronization: {}"
_NO_RENAME = "Failed trying to rename the temp DB into {} in MASTER <-> REPLICA synchronization: {}"
_BAD_MARK = "Replication stream EOF marker is broken"
_NOT_LOADED = "Failed trying to load the MASTER synchronization DB from {}: {}"


class PayloadError(Exception):
    """The data set cannot be had; the message is the line for the log.

    Attributes:
        is_masters_fault: the master has sent what is none; asking again will hardly help.
    """

    def __init__(self, message: str, *, is_masters_fault: bool = True) -> None:
        super().__init__(message)
        self.is_masters_fault = is_masters_fault


class Payload:
    """A data set that is being received.

    Args:
        node: the replica.
        history: the replication ID of the stream that follows it; empty after SYNC.
        offset: where in that history the data set is.

    Attributes:
        to_disk: it is kept in a file before it is read.
        swaps: the present data are served until it is read (`repl-diskless-load swapdb`).
        is_marked: its end is marked, and its length not known.
        begun: its length or its mark is known.
        received: bytes of the data set so far, the mark among them.
        length: bytes of it in all: -1 before that is known, 0 where it never is.
        rest: what came after its end, which is the stream already.
    """

    def __init__(self, node: Node, history: str, offset: int) -> None:
        self.node = node
        self.history = history
        self.offset = offset
        kind = node.config.repl_diskless_load
        self.swaps = kind == "swapdb"
        self.to_disk = kind == "disabled" or (kind == "on-empty-db" and not _is_empty(node))
        self.is_marked = self.begun = False
        self.received = 0
        self.length = -1
        self.rest = b""
        self.loader = Loader(node)
        self._mark = b""
        self._tail = b""
        self._head = b""
        self._file: DiskFile | None = None
        self._path = ""
        self._is_temporary = True

    def begin(self, line: bytes) -> None:
        """The line before the data.

        Raises:
            PayloadError: it announces none, or there is no place to put it.
        """
        text = line.decode("utf-8", "replace")
        if line.startswith(b"-"):
            raise PayloadError(
                f"MASTER aborted replication with an error: {text[1:]}", is_masters_fault=False
            )
        if not line.startswith(b"$"):
            raise PayloadError(_BAD_PROTOCOL.format(text))
        if line.startswith(b"$EOF:") and len(line) >= 5 + _MARK_BYTES:
            self.is_marked = True
            self.length = 0
            self._mark = line[5 : 5 + _MARK_BYTES]
            what = "streamed RDB from master with EOF"
        else:
            digits = line[1:]
            if not digits.isdigit() or len(digits) > 18 or int(digits) > LENGTH_MAX:
                raise PayloadError(_BAD_LENGTH.format(text[1:]))
            self.length = int(digits)
            what = f"{self.length} bytes from master"
        where = "to disk" if self.to_disk else "to parser"
        self.node.log.notice(f"MASTER <-> REPLICA sync: receiving {what} {where}")
        if self.to_disk:
            self._open()
        self.begun = True

    def _open(self) -> None:
        environment = self.node.environment
        name = f"temp-{int(environment.unix_time())}.{environment.process_id}.rdb"
        self._path = self.node.config.absolute(name)
        try:
            self._file = environment.disk.open(self._path, "create")
        except OSError as failure:
            raise PayloadError(_NO_FILE.format(_reason(failure)), is_masters_fault=False) from None

    def take(self, data: bytes) -> bool:
        """Add a piece; whether the data set is complete.

        Raises:
            PayloadError: it is no data set, or it cannot be written to the disk.
        """
        if not self.is_marked:
            missing = self.length - self.received
            data, self.rest = data[:missing], data[missing:]
            self.received += len(data)
            self._keep(data)
            return self.received >= self.length
        self.received += len(data)
        if self.received > LENGTH_MAX:
            raise PayloadError(_BAD_MARK)
        if not self.to_disk:
            return self._take_to_parser(data)
        # The mark is not part of the data: hold back what may be its beginning.
        data = self._tail + data
        self._tail = data[-_MARK_BYTES:]
        self._keep(data[:-_MARK_BYTES])
        return self._tail == self._mark

    def _take_to_parser(self, data: bytes) -> bool:
        """Read a piece; what follows the end of the data must be the mark."""
        is_behind = self.loader.done
        if not is_behind:
            self._keep(data)
        if not self.loader.done:
            return False
        self._tail = self._tail + data if is_behind else self.loader.rest
        if not self._mark.startswith(self._tail[:_MARK_BYTES]):
            raise PayloadError(_BAD_MARK)
        self.rest = self._tail[_MARK_BYTES:]
        return len(self._tail) >= _MARK_BYTES

    def _keep(self, data: bytes) -> None:
        if self._file is None:
            self._read(data)
            return
        if len(self._head) < len(MAGIC):
            # What is no RDB file at all is not collected until its end, which may never come.
            self._head += data[: len(MAGIC)]
            if not self._head.startswith(MAGIC[: len(self._head)]):
                raise self._not_loaded("Wrong signature trying to load DB from file")
        try:
            if self._file.write(data) == len(data):
                return
            reason = "short write"
        except OSError as failure:
            reason = _reason(failure)
        raise PayloadError(_NO_WRITE.format(reason), is_masters_fault=False)

    def _read(self, data: bytes) -> None:
        try:
            self.loader.feed(data)
        except RdbError as damage:
            raise self._not_loaded(str(damage)) from None

    def _not_loaded(self, reason: str) -> PayloadError:
        return PayloadError(_NOT_LOADED.format("disk" if self.to_disk else "socket", reason))

    async def settle(self) -> None:
        """Let a file take the place of the node's own RDB file, on the medium.

        Raises:
            PayloadError: it cannot.
        """
        if self._file is None:
            return
        config, disk = self.node.config, self.node.environment.disk
        target = config.absolute(config.dbfilename)
        try:
            await self._file.sync()
        except OSError as failure:
            raise PayloadError(_NO_SYNC.format(_reason(failure)), is_masters_fault=False) from None
        try:
            disk.rename(self._path, target)
            self._path, self._is_temporary = target, False
            await disk.sync_directory(config.dir)
        except OSError as failure:
            message = _NO_RENAME.format(config.dbfilename, _reason(failure))
            raise PayloadError(message, is_masters_fault=False) from None

    def load(self) -> Iterator[None]:
        """Read what is on the disk, a piece a step; the last step is the end of the data.

        Raises:
            PayloadError: it is damaged, or cannot be read.
        """
        if self._file is not None:
            try:
                file = self.node.environment.disk.open(self._path, "read")
            except OSError as failure:
                raise self._not_loaded(_reason(failure)) from None
            try:
                while piece := file.read(_READ_BYTES):
                    self._read(piece)
                    yield
            finally:
                file.close()
        try:
            self.loader.finish()
        except RdbError as damage:
            raise self._not_loaded(str(damage)) from None
        if self.loader.rest and not self.is_marked:
            raise self._not_loaded("there is more than the data set")

    def take_over(self) -> Sequence[Keyspace]:
        """Let the data take the place of those of the node.

        Returns:
            The databases that were the node's until now.

        Raises:
            PayloadError: they cannot.
        """
        try:
            return self.loader.take_over()
        except RdbError as damage:
            raise self._not_loaded(str(damage)) from None

    def discard(self) -> None:
        """Forget it, and take a file that was not finished away."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._is_temporary:
            self._unlink()

    def remove_file(self) -> None:
        """Take away the file that has taken the place of the node's own."""
        if self.to_disk and not self._is_temporary:
            self._unlink()

    def _unlink(self) -> None:
        try:
            self.node.environment.disk.unlink(self._path)
        except OSError as failure:
            self.node.log.warning(f"Can't remove {self._path}: {_reason(failure)}")


def _is_empty(node: Node) -> bool:
    return not any(len(database) for database in node.engine.databases)


def _reason(failure: OSError) -> str:
    return os.strerror(failure.errno) if failure.errno else str(failure)
