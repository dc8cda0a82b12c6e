"""cmsgpack for scripts (`deps/lua/src/lua_cmsgpack.c` of Redis 7.0): MessagePack.

Values are packed in their shortest form. A table whose keys are exactly 1 to n is an array, any
other a map; deeper than 16 tables a table is packed as nil.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redislab.server.luaarguments import Arguments, LibraryError

if TYPE_CHECKING:
    from redislab.server.lua import Lua

_NESTING_MAX = 16
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
# First byte: what follows, and how many bytes tell how much of it.
_LENGTHS = {
    0xD9: ("text", 1), 0xDA: ("text", 2), 0xDB: ("text", 4),
    0xDC: ("list", 2), 0xDD: ("list", 4), 0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip
_INTEGERS = (
    (0xCC, ">B", 0, 2**8), (0xCD, ">H", 0, 2**16), (0xCE, ">I", 0, 2**32), (0xCF, ">Q", 0, 2**64),
    (0xD0, ">b", -(2**7), 0), (0xD1, ">h", -(2**15), 0), (0xD2, ">i", -(2**31), 0),
    (0xD3, ">q", -(2**63), 0),
)  # fmt: skip


def library(lua: Lua) -> dict[bytes, Any]:
    """The functions of cmsgpack."""

    def named(name: str, run: Callable[[Arguments], Any]) -> Callable[..., Any]:
        return lambda *values: run(Arguments(lua, name, values))

    def pack(given: Arguments) -> bytes:
        if not given.values:
            raise given.wrong(0, "MessagePack pack needs input.")
        return b"".join(_pack(lua, value, 0) for value in given.values)

    return {
        b"pack": named("pack", pack),
        b"unpack": named("unpack", lambda a: _unpack_all(lua, a.string(1))),
        b"unpack_one": named(
            "unpack_one", lambda a: _unpack_some(lua, a.string(1), 1, a.integer(2, 0))
        ),
        b"unpack_limit": named(
            "unpack_limit", lambda a: _unpack_some(lua, a.string(1), a.integer(2), a.integer(3, 0))
        ),
        b"_NAME": b"cmsgpack",
        b"_VERSION": b"lua-cmsgpack 0.4.0",
        b"_COPYRIGHT": b"Copyright (C) 2012, Salvatore Sanfilippo",
        b"_DESCRIPTION": b"MessagePack C implementation for Lua",
    }


# -- packing --------------------------------------------------------------------------------------


def _pack(lua: Lua, value: Any, level: int) -> bytes:
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, bytes):
        return _head(len(value), 0xA0, 32, (0xD9, 0xDA, 0xDB)) + value
    if isinstance(value, (int, float)):
        return _pack_number(value)
    if lua.kind_of(value) != "table" or level == _NESTING_MAX:
        return b"\xc0"
    items = dict(value.items())
    if _is_array(items):
        body = b"".join(_pack(lua, items[at], level + 1) for at in range(1, len(items) + 1))
        return _head(len(items), 0x90, 16, (None, 0xDC, 0xDD)) + body
    body = b"".join(_pack(lua, part, level + 1) for pair in items.items() for part in pair)
    return _head(len(items), 0x80, 16, (None, 0xDE, 0xDF)) + body


def _is_array(items: dict[Any, Any]) -> bool:
    if not all(isinstance(key, int) and not isinstance(key, bool) and key > 0 for key in items):
        return False
    return max(items, default=0) == len(items)


def _pack_number(number: float) -> bytes:
    if math.isfinite(number) and number == int(number) and -(2**63) <= number < 2**63:
        return _pack_integer(int(number))
    try:
        short = struct.pack(">f", number)
    except OverflowError:
        short = b""
    if short and struct.unpack(">f", short)[0] == number:
        return b"\xca" + short
    return b"\xcb" + struct.pack(">d", number)


def _pack_integer(number: int) -> bytes:
    if -32 <= number < 128:
        return struct.pack(">b", number)
    for first, form, least, beyond in _INTEGERS:
        if least <= number < beyond:
            return bytes([first]) + struct.pack(form, number)
    raise AssertionError(number)


def _head(count: int, short: int, short_max: int, kinds: tuple[int | None, int, int]) -> bytes:
    if count < short_max:
        return bytes([short | count])
    for kind, size in zip(kinds, (1, 2, 4), strict=True):
        if kind is not None and count < 256**size:
            return bytes([kind]) + count.to_bytes(size, "big")
    raise LibraryError("too large for MessagePack")


# -- unpacking ------------------------------------------------------------------------------------


def _unpack_all(lua: Lua, data: bytes) -> Any:
    values = []
    at = 0
    while at < len(data):
        value, at = _unpack(lua, data, at)
        values.append(value)
    return values[0] if len(values) == 1 else tuple(values)


def _unpack_some(lua: Lua, data: bytes, limit: int, offset: int) -> Any:
    """At most so many values from an offset: where the next begins (-1 for nowhere), and they."""
    if limit < 0 or offset < 0:
        raise LibraryError(
            f"Invalid request to unpack with offset of {offset} and limit of {len(data)}."
        )
    if offset > len(data):
        raise LibraryError(f"Start offset {offset} greater than input length {len(data)}.")
    if not limit and not offset:
        return _unpack_all(lua, data)
    values: list[Any] = []
    at = offset
    while at < len(data) and len(values) < limit:
        value, at = _unpack(lua, data, at)
        values.append(value)
    return (-1 if at == len(data) else at, *values)


def _unpack(lua: Lua, data: bytes, at: int) -> tuple[Any, int]:
    (kind,), at = _take(data, at, 1)
    if kind < 0x80:
        return kind, at
    if kind >= 0xE0:
        return kind - 256, at
    if kind in _CONSTANTS:
        return _CONSTANTS[kind], at
    if kind in _NUMBERS:
        form = _NUMBERS[kind]
        packed, at = _take(data, at, struct.calcsize(form))
        return struct.unpack(form, packed)[0], at
    family, count, at = _length(kind, data, at)
    if family == "text":
        return _take(data, at, count)
    items = []
    for _ in range(count * 2 if family == "map" else count):
        item, at = _unpack(lua, data, at)
        items.append(item)
    if family == "map":
        return lua.table(dict(zip(items[::2], items[1::2], strict=True))), at
    return lua.list(items), at


def _length(kind: int, data: bytes, at: int) -> tuple[str, int, int]:
    """(family, number of items or bytes, where they begin) of a text, a list or a map."""
    if kind in _LENGTHS:
        family, size = _LENGTHS[kind]
        packed, at = _take(data, at, size)
        return family, int.from_bytes(packed, "big"), at
    if kind >= 0xC0:
        raise LibraryError("Bad data format in input.")
    if kind >= 0xA0:
        return "text", kind & 0x1F, at
    return ("list" if kind >= 0x90 else "map"), kind & 0x0F, at


def _take(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if len(data) < at + size:
        raise LibraryError("Missing bytes in input.")
    return data[at : at + size], at + size
