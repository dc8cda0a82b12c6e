"""The libraries that Redis adds to Lua: cjson, bit, struct and cmsgpack (`deps/lua` of Redis 7.0).

Each function returns whether it failed, and then its values or the table of its error; the
bootstrap in `lua.py` turns a failure into a Lua error.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redislab.server.lua import Lua

_DEPTH_MAX = 1000  # tables in tables, as cjson allows them
_Result = tuple[Any, ...]


def libraries(lua: Lua) -> dict[bytes, dict[bytes, Any]]:
    """The libraries by name, each a table of functions."""
    json_library = _Json(lua)
    pack = _MessagePack(lua)
    return {
        b"cjson": {
            b"encode": json_library.encode,
            b"decode": json_library.decode,
            b"null": json_library.null,
        },
        b"bit": _bit_library(),
        b"struct": {
            b"pack": lambda *a: _guard(lua, _struct_pack, *a),
            b"unpack": lambda *a: _guard(lua, _struct_unpack(lua), *a),
            b"size": lambda *a: _guard(lua, _struct_size, *a),
        },
        b"cmsgpack": {b"pack": pack.pack, b"unpack": pack.unpack},
    }


def number_text(number: float, form: bytes) -> bytes:
    """A number of Lua as text: without a fraction if it has none."""
    if isinstance(number, int):
        return b"%d" % number
    if number == number // 1 and abs(number) < 1e17 and math.isfinite(number):
        return b"%d" % int(number)
    return form % number


def truncate(number: float) -> int:
    """A number as a 64-bit integer, its fraction cut off, as the cast in C does it."""
    if math.isnan(number) or math.isinf(number):
        return -(2**63)
    return (int(number) + 2**63) % 2**64 - 2**63


def _guard(lua: Lua, function: Callable[..., Any], *arguments: Any) -> _Result:
    try:
        result = function(*arguments)
    except (ValueError, TypeError, struct.error, IndexError, OverflowError) as wrong:
        return True, lua.table({b"err": b"ERR " + str(wrong).encode()})
    return (False, *result) if isinstance(result, tuple) else (False, result)


class _Json:
    """cjson: empty tables are objects, sparse arrays objects too."""

    def __init__(self, lua: Lua) -> None:
        self.lua = lua
        self.null = object()  # light userdata in C: equal to itself and to nothing else

    def encode(self, *arguments: Any) -> _Result:
        return _guard(self.lua, lambda value: self._encode(value, 0).encode(), *arguments)

    def decode(self, *arguments: Any) -> _Result:
        return _guard(self.lua, lambda text: self._to_lua(json.loads(text)), *arguments)

    def _encode(self, value: Any, depth: int) -> str:
        if depth > _DEPTH_MAX:
            message = f"Cannot serialise, excessive depth ({depth})"
            raise ValueError(message)
        if value is None or value is self.null:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            if not math.isfinite(value):
                message = "Cannot serialise number: must not be NaN or Inf"
                raise ValueError(message)
            return number_text(value, b"%.14g").decode()
        if isinstance(value, bytes):
            return json.dumps(value.decode("utf-8", "surrogateescape")).replace("/", "\\/")
        if not self.lua.is_table(value):
            message = "Cannot serialise function: type not supported"
            raise ValueError(message)
        items = dict(value.items())
        if items and all(isinstance(key, int) and key > 0 for key in items):
            listed = [self._encode(items.get(i + 1), depth + 1) for i in range(max(items))]
            return "[" + ",".join(listed) + "]"
        fields = [
            f"{self._encode(_key_text(key), depth + 1)}:{self._encode(item, depth + 1)}"
            for key, item in items.items()
        ]
        return "{" + ",".join(fields) + "}"

    def _to_lua(self, value: Any) -> Any:
        if value is None:
            return self.null
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
        if isinstance(value, list):
            return self.lua.list([self._to_lua(item) for item in value])
        if isinstance(value, dict):
            return self.lua.table({k.encode(): self._to_lua(v) for k, v in value.items()})
        return value


def _key_text(key: Any) -> bytes:
    if isinstance(key, bytes):
        return key
    if isinstance(key, (int, float)):
        return number_text(key, b"%.14g")
    message = "Cannot serialise table: table key must be a number or string"
    raise ValueError(message)


# -- bit: 32-bit arithmetic with signed results, as in LuaJIT's library ---------------------------


def _signed(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31


def _bits(number: float) -> int:
    return int(number) % 2**32


def _fold(step: Callable[[int, int], int]) -> Callable[..., _Result]:
    def run(first: float, *others: float) -> _Result:
        result = _bits(first)
        for other in others:
            result = step(result, _bits(other))
        return False, _signed(result)

    return run


def _shift(step: Callable[[int, int], int]) -> Callable[..., _Result]:
    return lambda value, by: (False, _signed(step(_bits(value), int(by) % 32)))


def _to_hex(value: float, digits: float = 8) -> _Result:
    width = min(abs(int(digits)), 8)
    text = f"{_bits(value):08x}"[8 - width :]
    return False, (text.upper() if digits < 0 else text).encode()


def _bit_library() -> dict[bytes, Callable[..., _Result]]:
    return {
        b"tobit": lambda value: (False, _signed(_bits(value))),
        b"bnot": lambda value: (False, _signed(~_bits(value) % 2**32)),
        b"band": _fold(lambda a, b: a & b),
        b"bor": _fold(lambda a, b: a | b),
        b"bxor": _fold(lambda a, b: a ^ b),
        b"lshift": _shift(lambda a, n: a << n),
        b"rshift": _shift(lambda a, n: a >> n),
        b"arshift": _shift(lambda a, n: _signed(a) >> n),
        b"rol": _shift(lambda a, n: a << n | a >> (32 - n)),
        b"ror": _shift(lambda a, n: a >> n | a << (32 - n)),
        b"bswap": lambda value: (
            False,
            _signed(int.from_bytes(_bits(value).to_bytes(4, "little"), "big")),
        ),
        b"tohex": _to_hex,
    }


# -- struct ---------------------------------------------------------------------------------------

_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "l": 8, "L": 8, "T": 8, "i": 4, "I": 4, "f": 4, "d": 8}


def _directives(form: bytes) -> list[tuple[str, int, str]]:
    """(letter, size, byte order) of each value in a format; `c0` has size 0, `s` size -1."""
    order = "little"
    found = []
    position = 0
    text = form.decode("ascii")
    while position < len(text):
        letter = text[position]
        position += 1
        digits = ""
        while letter in "iIcx!" and position < len(text) and text[position].isdigit():
            digits += text[position]
            position += 1
        if letter in "<>=":
            order = "big" if letter == ">" else "little"
        elif letter in "! ":
            continue
        elif letter == "s":
            found.append((letter, -1, order))
        elif letter in "cx":
            found.append((letter, int(digits or 1), order))
        elif letter in _SIZES:
            found.append((letter, int(digits or _SIZES[letter]), order))
        else:
            message = f"invalid format option '{letter}'"
            raise ValueError(message)
    return found


def _struct_size(form: bytes) -> int:
    sizes = [size for _, size, _ in _directives(form)]
    if any(size <= 0 for size in sizes):
        message = "variable-size format for length"
        raise ValueError(message)
    return sum(sizes)


def _struct_pack(form: bytes, *values: Any) -> bytes:
    packed = bytearray()
    given = iter(values)
    for letter, size, order in _directives(form):
        if letter == "x":
            packed += b"\0" * size
            continue
        value = next(given, None)
        if value is None:
            message = "bad argument: no value"
            raise ValueError(message)
        if letter == "s":
            packed += value + b"\0"
        elif letter == "c":
            packed += value[: size or len(value)]
        elif letter in "fd":
            packed += struct.pack((">" if order == "big" else "<") + letter, value)
        else:
            packed += (int(value) % 256**size).to_bytes(size, order)
    return bytes(packed)


def _struct_unpack(lua: Lua) -> Callable[..., Any]:
    def unpack(form: bytes, data: bytes, position: float = 1) -> Any:
        at = int(position) - 1
        values: list[Any] = []
        for letter, announced, order in _directives(form):
            size = announced
            if letter == "s":
                size = data.index(b"\0", at) - at
            elif letter == "c" and size == 0:
                size = int(values.pop())
            if at + size > len(data):
                message = "data string too short"
                raise ValueError(message)
            piece = data[at : at + size]
            at += size + (letter == "s")
            if letter in "sc":
                values.append(piece)
            elif letter in "fd":
                values.append(struct.unpack((">" if order == "big" else "<") + letter, piece)[0])
            elif letter != "x":
                signed = letter.islower()
                values.append(int.from_bytes(piece, order, signed=signed))  # type: ignore[arg-type]
        return (*values, at + 1)

    return unpack


# -- MessagePack ----------------------------------------------------------------------------------


class _MessagePack:
    """cmsgpack: the types that a table can hold, in their shortest form."""

    def __init__(self, lua: Lua) -> None:
        self.lua = lua

    def pack(self, *values: Any) -> _Result:
        return _guard(self.lua, lambda *v: b"".join(self._pack(value) for value in v), *values)

    def unpack(self, *arguments: Any) -> _Result:
        return _guard(self.lua, self._unpack_all, *arguments)

    def _pack(self, value: Any) -> bytes:
        if value is None:
            return b"\xc0"
        if isinstance(value, bool):
            return b"\xc3" if value else b"\xc2"
        if isinstance(value, float) and value != value // 1:
            return b"\xcb" + struct.pack(">d", value)
        if isinstance(value, (int, float)):
            return _pack_integer(int(value))
        if isinstance(value, bytes):
            return _head(len(value), 0xA0, 32, (0xD9, 0xDA, 0xDB)) + value
        items = dict(value.items())
        if items and sorted(items) == list(range(1, len(items) + 1)):
            body = b"".join(self._pack(items[i + 1]) for i in range(len(items)))
            return _head(len(items), 0x90, 16, (None, 0xDC, 0xDD)) + body
        body = b"".join(self._pack(part) for pair in items.items() for part in pair)
        return _head(len(items), 0x80, 16, (None, 0xDE, 0xDF)) + body

    def _unpack_all(self, data: bytes) -> Any:
        values = []
        at = 0
        while at < len(data):
            value, at = self._unpack(data, at)
            values.append(value)
        return values[0] if len(values) == 1 else tuple(values)

    def _unpack(self, data: bytes, at: int) -> tuple[Any, int]:
        kind = data[at]
        at += 1
        if kind < 0x80:
            return kind, at
        if kind >= 0xE0:
            return kind - 256, at
        if kind in _CONSTANTS:
            return _CONSTANTS[kind], at
        if kind in _NUMBERS:
            form = _NUMBERS[kind]
            size = struct.calcsize(form)
            return struct.unpack(form, data[at : at + size])[0], at + size
        family, count, at = _length(kind, data, at)
        if family == "text":
            return data[at : at + count], at + count
        items = []
        for _ in range(count * 2 if family == "map" else count):
            item, at = self._unpack(data, at)
            items.append(item)
        if family == "map":
            return self.lua.table(dict(zip(items[::2], items[1::2], strict=True))), at
        return self.lua.list(items), at


_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_LENGTHS = {
    0xD9: ("text", 1), 0xDA: ("text", 2), 0xDB: ("text", 4),
    0xC4: ("text", 1), 0xC5: ("text", 2), 0xC6: ("text", 4),
    0xDC: ("list", 2), 0xDD: ("list", 4), 0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip


def _length(kind: int, data: bytes, at: int) -> tuple[str, int, int]:
    """(family, number of items or bytes, where they begin) of a text, a list or a map."""
    if kind in _LENGTHS:
        family, size = _LENGTHS[kind]
        return family, int.from_bytes(data[at : at + size], "big"), at + size
    if kind >= 0xA0:
        return "text", kind & 0x1F, at
    return ("list" if kind >= 0x90 else "map"), kind & 0x0F, at


def _head(count: int, short: int, short_max: int, kinds: tuple[int | None, int, int]) -> bytes:
    if count < short_max:
        return bytes([short | count])
    for kind, size in zip(kinds, (1, 2, 4), strict=True):
        if kind is not None and count < 256**size:
            return bytes([kind]) + count.to_bytes(size, "big")
    message = "too large for MessagePack"
    raise ValueError(message)


def _pack_integer(number: int) -> bytes:
    if 0 <= number < 128:
        return bytes([number])
    if -32 <= number < 0:
        return bytes([256 + number])
    kinds = (">B", ">H", ">I", ">Q") if number >= 0 else (">b", ">h", ">i", ">q")
    for offset, form in enumerate(kinds):
        try:
            return bytes([(0xCC if number >= 0 else 0xD0) + offset]) + struct.pack(form, number)
        except struct.error:
            continue
    message = "integer out of range"
    raise ValueError(message)
