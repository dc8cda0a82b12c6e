"""Replies of servers: cut apart, not understood, to be sent on as they came.

A reply is kept without its last line end, so that many are joined in one go. Small chunks of whole
lines and bulk strings, which is what nearly all are, are cut at their line ends; arrays, long
strings and pieces go through a scan that remembers where it was, so that none is looked at twice.
Follows `redis_parse_rsp` in `src/proto/nc_redis.c` of twemproxy 0.5.0; unlike there, arrays may be
nested in any way.
"""

from __future__ import annotations

from typing import Final

from redislab.wire.requests import parse_length

BULK_MAX: Final = 512 * 1024 * 1024
# A server that sends more than this for one reply is taken for a broken one.
REPLY_MAX: Final = 1024 * 1024 * 1024
_LINE_MAX: Final = 64 * 1024
_SMALL: Final = 16 * 1024  # bytes
_CRLF: Final = b"\r\n"
_NULL: Final = b"$-1"
_BULK, _ARRAY = ord("$"), ord("*")
_LINES: Final = b"+-:"


class GarbageError(Exception):
    """No reply, nor the beginning of one: the connection is of no use any more."""


class ReplyReader:
    """Takes what one server sends apart."""

    __slots__ = ("_buffer", "_left", "_position")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = 0  # where the scan goes on
        self._left = 1  # values that the reply under way still lacks

    def feed(self, data: bytes) -> list[bytes]:
        """Add a chunk; the replies that are now complete, each without its last line end.

        Raises:
            GarbageError: the bytes are no replies. Those before them are lost.
        """
        if not self._buffer and len(data) <= _SMALL:
            replies = _cut(data)
            if replies is not None:
                return replies
        self._buffer += data
        return self._scan()

    def _scan(self) -> list[bytes]:
        buffer = self._buffer
        replies = []
        begin = 0
        while self._step():
            if not self._left:
                replies.append(bytes(memoryview(buffer)[begin : self._position - 2]))
                begin = self._position
                self._left = 1
        if begin:
            del buffer[:begin]
            self._position -= begin
        if len(buffer) > REPLY_MAX:
            raise GarbageError(f"a reply of more than {REPLY_MAX} bytes")
        return replies

    def _step(self) -> bool:
        """Go past one value, or the head of an array; False while it is not all there."""
        buffer, begin = self._buffer, self._position
        end = buffer.find(_CRLF, begin, begin + _LINE_MAX)
        if end < 0:
            if len(buffer) - begin >= _LINE_MAX or (
                len(buffer) > begin and buffer[begin] not in b"+-:$*"
            ):
                raise GarbageError("neither a reply nor the beginning of one")
            return False
        kind = buffer[begin]
        if kind in _LINES:
            self._position = end + 2
            self._left -= 1
            return True
        length = parse_length(bytes(buffer[begin + 1 : end])) if kind in b"$*" else None
        if length is None or length < -1 or length > BULK_MAX:
            raise GarbageError("not a reply")
        if kind == _ARRAY:
            self._left += max(length, 0) - 1
            self._position = end + 2
            return True
        if length >= 0:
            end += 2 + length
            if len(buffer) < end + 2:
                return False
            if buffer[end : end + 2] != _CRLF:
                raise GarbageError("a string longer than announced")
        self._position = end + 2
        self._left -= 1
        return True


def _cut(data: bytes) -> list[bytes] | None:
    """The replies of a chunk, where all are whole and none is an array; else None."""
    parts = data.split(_CRLF)
    if parts.pop():
        return None
    replies = []
    rest = iter(parts)
    for part in rest:
        if not part:
            return None
        kind = part[0]
        if kind == _BULK and part != _NULL:
            text = next(rest, None)
            if text is None or part[1:] != b"%d" % len(text):
                return None
            replies.append(b"%b\r\n%b" % (part, text))
        elif kind in _LINES or kind == _BULK:
            replies.append(part)
        else:
            return None
    return replies
