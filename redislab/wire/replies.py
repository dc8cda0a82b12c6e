"""Replies: a server's bytes in, typed values out.

Unlike a client library, which turns replies into Python values, this parser keeps what the wire
said: a status is not a bulk string, a null array is not a null. The command line, the views and the
tests that hold our server against the real one need that difference.

Grammar: https://redis.io/docs/reference/protocol-spec/ .
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Type bytes, by the name the specification gives them.
STATUS: Final = "+"
ERROR: Final = "-"
INTEGER: Final = ":"
BULK: Final = "$"
ARRAY: Final = "*"
NULL: Final = "_"
BOOLEAN: Final = "#"
DOUBLE: Final = ","
BIG_NUMBER: Final = "("
BULK_ERROR: Final = "!"
VERBATIM: Final = "="
MAP: Final = "%"
SET: Final = "~"
PUSH: Final = ">"
ATTRIBUTE: Final = "|"

_LINES = frozenset({STATUS, ERROR, INTEGER, NULL, BOOLEAN, DOUBLE, BIG_NUMBER})
_TEXTS = frozenset({BULK, BULK_ERROR, VERBATIM})


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply.

    Attributes:
        kind: its type byte, as a character.
        text: of a line or a text, its bytes; None for a null bulk string.
        items: of an aggregate, its elements (for a map, keys and values in turn); None for a null
            array and for what is no aggregate.
    """

    kind: str
    text: bytes | None = None
    items: tuple[Reply, ...] | None = None

    @property
    def is_null(self) -> bool:
        """Whether it is a null of any protocol."""
        return self.text is None and self.items is None

    @property
    def is_error(self) -> bool:
        """Whether it is an error."""
        return self.kind in {ERROR, BULK_ERROR}


class ReplyParser:
    """Turns a server's bytes, cut anywhere, into replies."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        """How many bytes of an incomplete reply are held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Reply]:
        """Add a chunk; return the replies that are now complete.

        Raises:
            ValueError: the bytes are no RESP.
        """
        self._buffer += data
        replies = []
        position = 0
        while (parsed := _parse(self._buffer, position)) is not None:
            reply, position = parsed
            replies.append(reply)
        del self._buffer[:position]
        return replies


def _parse(buffer: bytearray, position: int) -> tuple[Reply, int] | None:
    """The reply at a position and where the next begins, or None if it is not all there."""
    end = buffer.find(b"\r\n", position)
    if end < 0:
        return None
    kind = chr(buffer[position])
    line = bytes(buffer[position + 1 : end])
    position = end + 2
    if kind in _LINES:
        return Reply(kind, None if kind == NULL else line), position
    if kind in _TEXTS:
        length = int(line)
        if length < 0:
            return Reply(kind), position
        if len(buffer) < position + length + 2:
            return None
        return Reply(kind, bytes(buffer[position : position + length])), position + length + 2
    if kind not in {ARRAY, MAP, SET, PUSH, ATTRIBUTE}:
        message = f"no RESP type begins with {kind!r}"
        raise ValueError(message)
    count = int(line)
    if count < 0:
        return Reply(kind), position
    items = []
    for _ in range(count * 2 if kind in {MAP, ATTRIBUTE} else count):
        parsed = _parse(buffer, position)
        if parsed is None:
            return None
        item, position = parsed
        items.append(item)
    return Reply(kind, items=tuple(items)), position
