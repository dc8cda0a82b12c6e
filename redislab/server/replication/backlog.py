"""The replication backlog: the last bytes of the stream, kept for replicas that lost their link.

A replica that comes back asks for the byte after the last one it has. If that byte is still here,
it gets the rest and nothing else; if not, it needs all data anew. So the size of the backlog,
divided by the rate of writing, is the longest absence that costs next to nothing. Follows
`createReplicationBacklog` and `addReplyReplicationBacklog` in `src/replication.c` of Redis 7.0,
which keeps the bytes in linked blocks; what it promises, the last `repl-backlog-size` bytes and all
that a replica has yet to take, is the same.
"""

from __future__ import annotations

BACKLOG_SIZE_MIN = 16 * 1024  # the least that `repl-backlog-size` can be set to


class Backlog:
    """The last bytes of a stream.

    Args:
        size: how many bytes to keep.
        first: the offset of the first byte that will be added.

    Attributes:
        first: the offset of the oldest byte that is kept.
    """

    __slots__ = ("_data", "first", "size")

    def __init__(self, size: int, first: int) -> None:
        self.size = size
        self.first = first
        self._data = bytearray()

    def __len__(self) -> int:
        """How many bytes are kept (`repl_backlog_histlen`)."""
        return len(self._data)

    @property
    def end(self) -> int:
        """The offset of the byte that comes next."""
        return self.first + len(self._data)

    def add(self, data: bytes) -> None:
        """Keep these bytes too; `trim` lets go of the oldest that are too many."""
        self._data += data

    def resize(self, size: int) -> None:
        """Follow `repl-backlog-size`; a smaller one lets go of the oldest bytes."""
        self.size = size

    def trim(self, unread: int = 0) -> None:
        """Let go of what is over the size, but not of what a replica has yet to take.

        Args:
            unread: how many of the last bytes these are; they are kept anyway, and may as well
                serve others.
        """
        excess = len(self._data) - max(self.size, unread)
        if excess > 0:
            del self._data[:excess]
            self.first += excess

    def has(self, offset: int) -> bool:
        """Whether a replica can go on with the byte at this offset; the one to come counts too."""
        return self.first <= offset <= self.end

    def since(self, offset: int) -> bytes:
        """The bytes from an offset on.

        Raises:
            ValueError: the offset is not in the backlog.
        """
        if not self.has(offset):
            raise ValueError(f"offset {offset} is not in {self.first}..{self.end}")
        return bytes(memoryview(self._data)[offset - self.first :])

    def latest(self, size: int) -> bytes:
        """The last bytes, as many as there are up to `size`."""
        return bytes(memoryview(self._data)[-size:])
