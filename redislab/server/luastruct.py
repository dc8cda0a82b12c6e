"""struct for scripts (`deps/lua/src/lua_struct.c` of Redis 7.0): values packed into bytes.

A format is read letter by letter: `b h i l` and their unsigned forms are integers, `f d` floating
point, `s` a string that ends with a zero byte, `cn` a string of n bytes, `x` a byte to skip; `<`
and `>` set the byte order, `!n` the alignment.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from redislab.server.luaarguments import Arguments, LibraryError, to_integer

if TYPE_CHECKING:
    from redislab.server.lua import Lua

_SIZES = {"b": 1, "h": 2, "l": 8, "T": 8, "f": 4, "d": 8, "x": 1}
_INTEGERS = "bBhHlLTiI"
_ALIGNMENT_MAX = 8
_INTEGER_BYTES_MAX = 32
_INT_MAX = 2**31 - 1


@dataclass(slots=True)
class _Field:
    """One value of a format; `size` is 0 for `s`, and for a `c0` whose length comes by itself."""

    letter: str
    size: int
    order: Literal["little", "big"]
    padding: int


def library(lua: Lua) -> dict[bytes, Any]:
    """The functions of struct."""

    def named(name: str, run: Callable[[Arguments], Any]) -> Callable[..., Any]:
        return lambda *values: run(Arguments(lua, name, values))

    return {
        # What comes after the last value of `pack` is nil, not missing.
        b"pack": lambda *values: _pack(Arguments(lua, "pack", (*values, None) if values else ())),
        b"unpack": named("unpack", _unpack),
        b"size": named("size", _size),
    }


class _Format:
    """A format as it is read; `position` is where the next value stands."""

    def __init__(self, given: Arguments, *, lenient: bool = False) -> None:
        self._given = given
        self._lenient = lenient  # about letters that mean nothing
        # A format is a C string: it ends at a zero byte.
        self._text = given.string(1).partition(b"\0")[0].decode("latin-1")
        self._at = 0
        self.position = 0
        self._order: Literal["little", "big"] = "little"
        self._alignment = 1

    def fields(self) -> Iterator[_Field]:
        while self._at < len(self._text):
            letter = self._text[self._at]
            self._at += 1
            size = self._size(letter)
            padding = 0
            if size and letter != "c":
                unit = min(size, self._alignment)
                padding = -self.position % unit
            if letter in _INTEGERS or letter in "fdxcs":
                yield _Field(letter, size, self._order, padding)
            else:
                self._control(letter)

    def _size(self, letter: str) -> int:
        if letter == "c":
            return self._number(1)
        if letter in "iI":
            size = self._number(4)
            if size > _INTEGER_BYTES_MAX:
                raise LibraryError(
                    f"integral size {size} is larger than limit of {_INTEGER_BYTES_MAX}"
                )
            return size
        return _SIZES.get(letter, _SIZES.get(letter.lower(), 0) if letter in _INTEGERS else 0)

    def _number(self, default: int) -> int:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] in "0123456789":
            self._at += 1
        if start == self._at:
            return default
        number = int(self._text[start : self._at])
        if number > _INT_MAX:
            raise LibraryError("integral size overflow")
        return number

    def _control(self, letter: str) -> None:
        if letter in "<>":
            self._order = "big" if letter == ">" else "little"
        elif letter == "!":
            alignment = self._number(_ALIGNMENT_MAX)
            if alignment <= 0 or alignment & (alignment - 1):
                raise LibraryError(f"alignment {alignment} is not a power of 2")
            self._alignment = alignment
        elif letter != " " and not (self._lenient and letter.isalnum()):
            raise self._given.wrong(1, f"invalid format option '{letter}'")


def _pack(given: Arguments) -> bytes:
    form = _Format(given)
    packed = bytearray()
    at = 2
    for field in form.fields():
        packed += bytes(field.padding)
        if field.letter == "x":
            packed.append(0)
        else:
            packed += _packed(given, field, at)
            at += 1
        form.position = len(packed)
    return bytes(packed)


def _packed(given: Arguments, field: _Field, at: int) -> bytes:
    if field.letter in "sc":
        text = given.string(at)
        size = field.size or len(text)
        if len(text) < size:
            raise given.wrong(at + 1, "string too short")
        return bytes(text[:size]) + (b"\0" if field.letter == "s" else b"")
    if field.letter in "fd":
        return struct.pack(_mark(field) + field.letter, given.number(at))
    number = given.number(at)
    # From zero on a number is cast as an unsigned one, as in C on our machines.
    unsigned = 0 <= number < 2.0**64
    value = (int(number) if unsigned else to_integer(number)) % 2**64
    return (value % (1 << 8 * field.size)).to_bytes(field.size, field.order)


def _unpack(given: Arguments) -> Any:
    form = _Format(given)
    data = given.string(2)
    position = given.integer(3, 1)
    if position <= 0:
        raise given.wrong(3, "offset must be 1 or greater")
    form.position = position - 1
    values: list[Any] = []
    for field in form.fields():
        form.position += field.padding
        size = field.size
        _check_length(given, data, form.position, size)
        if field.letter == "c" and not size:
            if not values or not isinstance(values[-1], (int, float)):
                raise LibraryError("format 'c0' needs a previous size")
            size = int(values.pop())
            _check_length(given, data, form.position, size)
        if field.letter == "s":
            end = data.find(b"\0", form.position)
            if end < 0:
                raise LibraryError("unfinished string in data")
            values.append(data[form.position : end])
            form.position = end + 1
            continue
        piece = data[form.position : form.position + size]
        form.position += size
        if field.letter == "c":
            values.append(piece)
        elif field.letter in "fd":
            values.append(struct.unpack(_mark(field) + field.letter, piece)[0])
        elif field.letter != "x":
            signed = field.letter.islower()
            values.append(float(int.from_bytes(piece, field.order, signed=signed)))
    return (*values, form.position + 1)


def _check_length(given: Arguments, data: bytes, position: int, size: int) -> None:
    if size < 0 or position + size > len(data):
        raise given.wrong(2, "data string too short")


def _size(given: Arguments) -> int:
    form = _Format(given, lenient=True)
    for field in form.fields():
        if field.letter in "sc" and not field.size:
            what = "c0" if field.letter == "c" else "s"
            raise given.wrong(1, f"option '{what}' has no fixed size")
        form.position += field.padding + field.size
    return form.position


def _mark(field: _Field) -> str:
    return ">" if field.order == "big" else "<"
