"""Keys that have come whole, many at a time: what decides how fast a file is read.

Most of a file is keys, and most keys are small and have come whole. `read_keys` reads those in one
loop that neither waits nor calls anything for what is most common: plain strings. It stops where
something else comes and leaves that, with all that is damaged, to the parser of `reader.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Any, Protocol

from redislab.wire.rdb.faults import RdbError
from redislab.wire.rdb.feed import Short
from redislab.wire.rdb.opcodes import LENGTH_14_BITS, LENGTH_32_BITS, Opcode, Type
from redislab.wire.rdb.strings import read_string

# Comparing with a member of an Enum takes four times as long as with an integer.
_EXPIRES_MS = int(Opcode.EXPIRES_MS)
assert not Type.STRING

# When a key expires, then its type and the length of its name.
_EXPIRY = Struct("<qBB")

# Reads a value that has elements, or is a string; what it returns is of no worth if its end lies
# beyond the data.
Parse = Callable[[bytes, int], tuple[Any, int]]


class Bulk(Protocol):
    """Takes keys many at a time, with values of its own making."""

    @property
    def parsers(self) -> Mapping[int, Parse]:
        """Reads a value of a type, and makes of it what is to be kept."""

    def take(self, values: dict[bytes, Any], expires: dict[bytes, int]) -> bool:
        """Take keys in their order.

        Args:
            values: by key.
            expires: when some of them expire, in milliseconds since the epoch.

        Returns:
            False if none was taken, because they have to be told one by one.
        """


def read_keys(
    data: bytes, at: int, parsers: Mapping[int, Parse]
) -> tuple[dict[bytes, Any], dict[bytes, int], int]:
    """The keys that stand one behind the other.

    Args:
        data: bytes of a file, whose end may be anywhere.
        at: where to begin.
        parsers: for a value of a type; raises `Short` for one without elements.

    Returns:
        The values by key; when keys expire, in milliseconds since the epoch; where the last one
        ends. No key is there twice.
    """
    values: dict[bytes, Any] = {}
    expires: dict[bytes, int] = {}
    size = len(data)
    unpack, parser_of = _EXPIRY.unpack_from, parsers.get
    expires_ms = None
    end = at
    try:
        while True:
            kind = data[end]
            if kind == _EXPIRES_MS:
                expires_ms, kind, length = unpack(data, end + 1)
                begin = end + 11
            else:
                length = data[end + 1]
                begin = end + 2
            if length < LENGTH_14_BITS:  # no other way to write a key is as common
                end = begin + length
                key = data[begin:end]
            else:
                key, end = read_string(data, begin - 1)
            if kind:
                parse = parser_of(kind)
                if parse is None:
                    break
                value, end = parse(data, end)
            else:
                length = data[end]
                if length < LENGTH_14_BITS:
                    begin = end + 1
                    end = begin + length
                    value = data[begin:end]
                elif length < LENGTH_32_BITS:
                    begin = end + 2
                    end = begin + ((length & 0x3F) << 8 | data[end + 1])
                    value = data[begin:end]
                else:
                    value, end = read_string(data, end)
            if end > size or key in values:
                break
            if expires_ms is not None:
                expires[key] = expires_ms
                expires_ms = None
            values[key] = value
            at = end
    except (IndexError, StructError, Short, RdbError):
        pass
    return values, expires, at
