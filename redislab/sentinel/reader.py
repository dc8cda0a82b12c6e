"""Replies: bytes from a server in, values out, with a limit on everything.

Whom a Sentinel watches may send it anything. So nothing here is taken on trust: a reply that is
longer, wider or deeper than any that was asked for ends the connection, as one that is no RESP
does. hiredis is not used: it makes room for as many elements as a peer announces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

LINE_MAX: Final = 64 * 1024
BULK_MAX: Final = 16 * 1024 * 1024  # of an INFO with very many replicas
ELEMENTS_MAX: Final = 1024
REPLY_MAX: Final = BULK_MAX + LINE_MAX
DEPTH_MAX: Final = 4
_NUMBER = re.compile(rb"-?[0-9]{1,19}")


class GarbageError(Exception):
    """What came is no reply that anybody has asked for."""


class Status(bytes):
    """A status reply."""

    __slots__ = ()


class Failure(bytes):
    """An error reply."""

    __slots__ = ()


Reply = bytes | int | list["Reply"] | None
"""`bytes` is a bulk string, unless it is a `Status` or a `Failure`."""


class ReplyReader:
    """Turns a server's bytes, cut anywhere, into replies.

    A reply that comes in many pieces is looked at again only when what is known to be missing of it
    may be there: whoever sends byte by byte costs no more than a few additions for each.
    """

    __slots__ = ("_needed", "_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = self._needed = 0

    def feed(self, data: bytes) -> Iterator[Reply]:
        """The replies that are complete with this chunk.

        Raises:
            GarbageError: it is no RESP, or more than a Sentinel has asked for.
        """
        self._pieces.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return
        buffer = b"".join(self._pieces)
        position = needed = 0
        while position < len(buffer):
            try:
                reply, position = _parse(buffer, position, 0)
            except _IncompleteError as missing:
                needed = missing.end - position
                if needed > REPLY_MAX:
                    raise GarbageError(f"a reply of more than {REPLY_MAX} bytes") from None
                break
            yield reply
        rest = buffer[position:]
        self._pieces, self._size, self._needed = [rest], len(rest), needed


class _IncompleteError(Exception):
    """A reply is not all there.

    Attributes:
        end: up to where the bytes have to be there at least before it is looked at again.
    """

    def __init__(self, end: int) -> None:
        super().__init__(end)
        self.end = end


def _parse(buffer: bytes, position: int, depth: int) -> tuple[Reply, int]:
    """The reply at a position and where the next begins; raises _IncompleteError."""
    end = buffer.find(b"\r\n", position, position + LINE_MAX)
    if end < 0:
        is_begun = position < len(buffer)
        if len(buffer) - position >= LINE_MAX or (is_begun and buffer[position] not in b"+-:$*"):
            raise GarbageError("neither a reply nor the beginning of one")
        raise _IncompleteError(len(buffer) + 1)
    kind, line = buffer[position], buffer[position + 1 : end]
    position = end + 2
    if kind == 0x2B:  # +
        return Status(line), position
    if kind == 0x2D:  # -
        return Failure(line), position
    if kind not in b":$*" or _NUMBER.fullmatch(line) is None:
        raise GarbageError("not a reply")
    number = int(line)
    if kind == 0x3A:  # :
        return number, position
    if number == -1:
        return None, position
    if number < 0:
        raise GarbageError("not a reply")
    if kind == 0x24:  # $
        return _parse_bulk(buffer, position, number)
    return _parse_array(buffer, position, number, depth)


def _parse_bulk(buffer: bytes, position: int, length: int) -> tuple[Reply, int]:
    if length > BULK_MAX:
        raise GarbageError(f"a string of {length} bytes")
    end = position + length
    if len(buffer) < end + 2:
        raise _IncompleteError(end + 2)
    if buffer[end : end + 2] != b"\r\n":
        raise GarbageError("a string longer than announced")
    return buffer[position:end], end + 2


def _parse_array(buffer: bytes, position: int, count: int, depth: int) -> tuple[Reply, int]:
    if count > ELEMENTS_MAX or depth == DEPTH_MAX:
        raise GarbageError(f"an array of {count} elements at depth {depth}")
    elements: list[Reply] = []
    for _ in range(count):
        element, position = _parse(buffer, position, depth + 1)
        elements.append(element)
    return elements, position
