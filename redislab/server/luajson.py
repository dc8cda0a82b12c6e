"""cjson for scripts (`deps/lua/src/lua_cjson.c` of Redis 7.0): tables to JSON and back.

A table whose keys are integers from 1 is an array, any other table an object; an empty one is an
object. Text is taken as bytes: what is not ASCII passes through unchanged. Nesting is followed with
a list, not with calls, for it may be a thousand deep.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redislab.server.luaarguments import Arguments, LibraryError, number_text

if TYPE_CHECKING:
    from redislab.server.lua import Lua

_INT_MAX = 2**31 - 1
_ESCAPED = {
    **{code: b"\\u%04x" % code for code in (*range(32), 127)},
    8: b"\\b",
    9: b"\\t",
    10: b"\\n",
    12: b"\\f",
    13: b"\\r",
    34: b'\\"',
    47: b"\\/",
    92: b"\\\\",
}
_TO_ESCAPE = re.compile(rb'[\x00-\x1f"/\\\x7f]')


class _Null:
    """`cjson.null`: equal to itself and to nothing else."""

    def __str__(self) -> str:
        return "userdata: (nil)"


@dataclass(slots=True)
class _Settings:
    """What `cjson.encode_...` and `cjson.decode_...` set, with Redis's defaults."""

    sparse_convert: bool = False
    sparse_ratio: int = 2
    sparse_safe: int = 10
    encode_depth: int = 1000
    decode_depth: int = 1000
    precision: int = 14
    keep_buffer: bool = True
    encode_invalid: int = 0  # 0: refuse, 1: as they are, 2: as null
    decode_invalid: bool = True


def library(lua: Lua) -> dict[bytes, Any]:
    """A new cjson with settings of its own."""
    settings = _Settings()
    null = _Null()

    def settle(name: str, run: Callable[[_Options], Any], most: int) -> Callable[..., Any]:
        def call(*values: Any) -> Any:
            options = _Options(Arguments(lua, name, values))
            if len(values) > most:
                raise options.given.wrong(most + 1, "found too many arguments")
            return run(options)

        return call

    def one(name: str, run: Callable[[Any], Any]) -> Callable[..., Any]:
        def call(*values: Any) -> Any:
            given = Arguments(lua, name, values)
            if len(values) != 1:
                raise given.wrong(1, "expected 1 argument")
            return run(given)

        return call

    def sparse(options: _Options) -> tuple[bool, int, int]:
        settings.sparse_convert = options.switch(1, settings.sparse_convert)
        settings.sparse_ratio = options.bounded(2, settings.sparse_ratio, 0, _INT_MAX)
        settings.sparse_safe = options.bounded(3, settings.sparse_safe, 0, _INT_MAX)
        return settings.sparse_convert, settings.sparse_ratio, settings.sparse_safe

    def encode_depth(options: _Options) -> int:
        settings.encode_depth = options.bounded(1, settings.encode_depth, 1, _INT_MAX)
        return settings.encode_depth

    def decode_depth(options: _Options) -> int:
        settings.decode_depth = options.bounded(1, settings.decode_depth, 1, _INT_MAX)
        return settings.decode_depth

    def precision(options: _Options) -> int:
        settings.precision = options.bounded(1, settings.precision, 1, 14)
        return settings.precision

    def keep_buffer(options: _Options) -> bool:
        settings.keep_buffer = options.switch(1, settings.keep_buffer)
        return settings.keep_buffer

    def encode_invalid(options: _Options) -> bool | bytes:
        settings.encode_invalid = options.choice(1, settings.encode_invalid)
        return b"null" if settings.encode_invalid == 2 else bool(settings.encode_invalid)

    def decode_invalid(options: _Options) -> bool:
        settings.decode_invalid = options.switch(1, settings.decode_invalid)
        return settings.decode_invalid

    return {
        b"encode": one("encode", lambda a: b"".join(_encode(lua, settings, null, a.values[0]))),
        b"decode": one("decode", lambda a: _Decoder(lua, settings, null, a.string(1)).decode()),
        b"encode_sparse_array": settle("encode_sparse_array", sparse, 3),
        b"encode_max_depth": settle("encode_max_depth", encode_depth, 1),
        b"decode_max_depth": settle("decode_max_depth", decode_depth, 1),
        b"encode_number_precision": settle("encode_number_precision", precision, 1),
        b"encode_keep_buffer": settle("encode_keep_buffer", keep_buffer, 1),
        b"encode_invalid_numbers": settle("encode_invalid_numbers", encode_invalid, 1),
        b"decode_invalid_numbers": settle("decode_invalid_numbers", decode_invalid, 1),
        b"null": null,
        b"_NAME": b"cjson",
        b"_VERSION": b"2.1.0",
    }


class _Options:
    """The arguments of a function that sets something; those left out change nothing."""

    def __init__(self, given: Arguments) -> None:
        self.given = given

    def _value(self, position: int) -> Any:
        values = self.given.values
        return values[position - 1] if position <= len(values) else None

    def bounded(self, position: int, current: int, least: int, most: int) -> int:
        """An integer within bounds."""
        if self._value(position) is None:
            return current
        number = self.given.integer(position)
        if not least <= number <= most:
            raise self.given.wrong(1, f"expected integer between {least} and {most}")
        return number

    def choice(self, position: int, current: int, options: tuple[bytes, ...] = (b"null",)) -> int:
        """False or "off" is 0, true or "on" is 1, other words follow."""
        value = self._value(position)
        if value is None:
            return current
        if isinstance(value, bool):
            return int(value)
        word = self.given.string(position)
        words = (b"off", b"on", *options)
        if word not in words:
            raise self.given.wrong(position, f"invalid option '{word.decode('latin-1')}'")
        return words.index(word)

    def switch(self, position: int, current: bool) -> bool:
        """False, true, "off" or "on"."""
        return bool(self.choice(position, int(current), ()))


# -- tables to JSON -------------------------------------------------------------------------------


def _encode(lua: Lua, settings: _Settings, null: _Null, value: Any) -> list[bytes]:
    out: list[bytes] = []
    # The tables that the value at hand is in: what is left of each, and what closes it.
    open_tables: list[tuple[Iterator[tuple[bytes, Any]], bytes]] = []
    pending: list[Any] = [value]
    while True:
        if pending:
            value = pending.pop()
            if lua.kind_of(value) != "table":
                out.append(_scalar(lua, settings, null, value))
            else:
                depth = len(open_tables) + 1
                if depth > settings.encode_depth:
                    raise LibraryError(f"Cannot serialise, excessive nesting ({depth})")
                opened, items, closing = _opened(lua, settings, value)
                out.append(opened)
                open_tables.append((items, closing))
        if not open_tables:
            return out
        items, closing = open_tables[-1]
        following = next(items, None)
        if following is None:
            out.append(closing)
            open_tables.pop()
        else:
            before, item = following
            out.append(before)
            pending.append(item)


def _opened(
    lua: Lua, settings: _Settings, table: Any
) -> tuple[bytes, Iterator[tuple[bytes, Any]], bytes]:
    """How a table begins, its items with what stands before each, and how it ends."""
    pairs = list(table.items())
    length = _array_length(settings, pairs)
    if length > 0:
        items = dict(pairs)
        listed = ((b"," if at > 1 else b"", items.get(at)) for at in range(1, length + 1))
        return b"[", listed, b"]"
    return b"{", _fields(lua, settings, pairs), b"}"


def _fields(
    lua: Lua, settings: _Settings, pairs: list[tuple[Any, Any]]
) -> Iterator[tuple[bytes, Any]]:
    comma = b""
    for key, value in pairs:
        if isinstance(key, bytes):
            name = _quoted(key)
        elif isinstance(key, (int, float)) and not isinstance(key, bool):
            name = b'"%b"' % _number(settings, key)
        else:
            kind = lua.kind_of(key)
            raise LibraryError(f"Cannot serialise {kind}: table key must be a number or string")
        yield comma + name + b":", value
        comma = b","


def _array_length(settings: _Settings, pairs: list[tuple[Any, Any]]) -> int:
    """The highest index of a table whose keys are integers from 1, else -1."""
    highest = 0
    for key, _ in pairs:
        if not isinstance(key, int) or isinstance(key, bool) or key < 1:
            return -1
        highest = max(highest, key)
    too_sparse = settings.sparse_ratio > 0 and highest > len(pairs) * settings.sparse_ratio
    if too_sparse and highest > settings.sparse_safe:
        if not settings.sparse_convert:
            raise LibraryError("Cannot serialise table: excessively sparse array")
        return -1
    return highest


def _scalar(lua: Lua, settings: _Settings, null: _Null, value: Any) -> bytes:
    if value is None or value is null:
        return b"null"
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, bytes):
        return _quoted(value)
    if isinstance(value, (int, float)):
        return _number(settings, value)
    raise LibraryError(f"Cannot serialise {lua.kind_of(value)}: type not supported")


def _number(settings: _Settings, number: float) -> bytes:
    if not math.isfinite(number):
        if settings.encode_invalid == 0:
            raise LibraryError("Cannot serialise number: must not be NaN or Inf")
        if settings.encode_invalid == 2:
            return b"null"
        if math.isnan(number):
            return b"nan"
    return number_text(number, settings.precision)


def _quoted(text: bytes) -> bytes:
    return b'"%b"' % _TO_ESCAPE.sub(lambda found: _ESCAPED[found[0][0]], text)


# -- JSON to tables -------------------------------------------------------------------------------

_PUNCTUATION = {
    b"{": "T_OBJ_BEGIN",
    b"}": "T_OBJ_END",
    b"[": "T_ARR_BEGIN",
    b"]": "T_ARR_END",
    b",": "T_COMMA",
    b":": "T_COLON",
}
_SPACE = re.compile(rb"[ \t\n\r]*")
_PLAIN = re.compile(rb'[^"\\\x00]*')
_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
# What C's strtod takes and JSON does not.
_STRANGE = re.compile(rb"[-+]?(?:(0x[0-9a-f]+)|inf(?:inity)?|nan)", re.IGNORECASE)
_INVALID = re.compile(rb"\+|-?(?:0[x0-9]|inf|nan)", re.IGNORECASE)
_SIMPLE = {34: b'"', 92: b"\\", 47: b"/", 98: b"\b", 102: b"\f", 110: b"\n", 114: b"\r", 116: b"\t"}
_HEX4 = re.compile(rb"[0-9a-fA-F]{4}")


@dataclass(slots=True)
class _Token:
    kind: str
    at: int
    value: Any = None


@dataclass(slots=True)
class _Open:
    """An array or object that is being read: its items so far, and the key of the next one."""

    is_array: bool
    items: dict[Any, Any]
    key: Any = None


class _Decoder:
    """One text."""

    def __init__(self, lua: Lua, settings: _Settings, null: _Null, data: bytes) -> None:
        if len(data) >= 2 and not (data[0] and data[1]):
            raise LibraryError("JSON parser does not support UTF-16 or UTF-32")
        self._lua = lua
        self._settings = settings
        self._null = null
        self._data = data
        self._at = 0

    def decode(self) -> Any:
        open_values: list[_Open] = []
        token = self._next()
        while True:
            if token.kind in {"T_OBJ_BEGIN", "T_ARR_BEGIN"}:
                entered = _Open(token.kind == "T_ARR_BEGIN", {}, 1)
                self._check_depth(len(open_values) + 1)
                token = self._next()
                if token.kind != ("T_ARR_END" if entered.is_array else "T_OBJ_END"):
                    open_values.append(entered)
                    token = token if entered.is_array else self._read_key(entered, token)
                    continue
                value = self._lua.table({})
            elif token.kind in {"T_STRING", "T_NUMBER", "T_BOOLEAN", "T_NULL"}:
                value = token.value
            else:
                raise self._unexpected("value", token)
            # A value is complete, and perhaps the last one of what it stands in.
            while open_values:
                inside = open_values[-1]
                inside.items[inside.key] = value
                token = self._next()
                if token.kind == ("T_ARR_END" if inside.is_array else "T_OBJ_END"):
                    value = self._closed(inside)
                    open_values.pop()
                    continue
                if token.kind != "T_COMMA":
                    what = "comma or array end" if inside.is_array else "comma or object end"
                    raise self._unexpected(what, token)
                token = self._next()
                if inside.is_array:
                    inside.key += 1
                else:
                    token = self._read_key(inside, token)
                break
            else:
                token = self._next()
                if token.kind != "T_END":
                    raise self._unexpected("the end", token)
                return value

    def _closed(self, inside: _Open) -> Any:
        if inside.is_array:
            return self._lua.list(inside.items.values())
        return self._lua.table(inside.items)

    def _read_key(self, inside: _Open, token: _Token) -> _Token:
        """Take the key of an object's next value; return the token that the value begins with."""
        if token.kind != "T_STRING":
            raise self._unexpected("object key string", token)
        inside.key = token.value
        colon = self._next()
        if colon.kind != "T_COLON":
            raise self._unexpected("colon", colon)
        return self._next()

    def _check_depth(self, depth: int) -> None:
        if depth > self._settings.decode_depth:
            raise LibraryError(
                f"Found too many nested data structures ({depth}) at character {self._at}"
            )

    @staticmethod
    def _unexpected(wanted: str, token: _Token) -> LibraryError:
        found = token.value if token.kind == "T_ERROR" else token.kind
        return LibraryError(f"Expected {wanted} but found {found} at character {token.at + 1}")

    def _next(self) -> _Token:
        data = self._data
        space = _SPACE.match(data, self._at)
        assert space is not None, "the pattern matches nothing as well"
        at = self._at = space.end()
        first = data[at : at + 1]
        if first in {b"", b"\0"}:
            return _Token("T_END", at)
        if first in _PUNCTUATION:
            self._at += 1
            return _Token(_PUNCTUATION[first], at)
        if first == b'"':
            return self._string(at)
        if first == b"-" or first.isdigit():
            if not self._settings.decode_invalid and _INVALID.match(data, at):
                return _Token("T_ERROR", at, "invalid number")
            return self._number(at)
        for word, kind, value in (
            (b"true", "T_BOOLEAN", True),
            (b"false", "T_BOOLEAN", False),
            (b"null", "T_NULL", self._null),
        ):
            if data.startswith(word, at):
                self._at += len(word)
                return _Token(kind, at, value)
        if self._settings.decode_invalid and first in b"+iInN" and _INVALID.match(data, at):
            return self._number(at)
        return _Token("T_ERROR", at, "invalid token")

    def _number(self, at: int) -> _Token:
        strange = _STRANGE.match(self._data, at)
        found = strange or _NUMBER.match(self._data, at)
        if found is None:
            return _Token("T_ERROR", at, "invalid number")
        self._at = found.end()
        text = found[0]
        if strange is not None and strange[1]:
            number = float(int(strange[1], 16)) * (-1 if text.startswith(b"-") else 1)
        else:
            number = float(text)
        return _Token("T_NUMBER", at, number)

    def _string(self, start: int) -> _Token:
        data, at = self._data, start + 1
        parts = []
        while True:
            plain = _PLAIN.match(data, at)
            assert plain is not None, "the pattern matches nothing as well"
            parts.append(plain[0])
            at = plain.end()
            mark = data[at : at + 1]
            if mark == b'"':
                self._at = at + 1
                return _Token("T_STRING", start, b"".join(parts))
            if mark != b"\\":
                return _Token("T_ERROR", at, "unexpected end of string")
            escape = data[at + 1 : at + 2]
            if escape == b"u":
                taken = _unicode_escape(data, at)
                if taken is None:
                    return _Token("T_ERROR", at, "invalid unicode escape code")
                text, at = taken
                parts.append(text)
            elif escape and escape[0] in _SIMPLE:
                parts.append(_SIMPLE[escape[0]])
                at += 2
            else:
                return _Token("T_ERROR", at, "invalid escape code")


def _unicode_escape(data: bytes, at: int) -> tuple[bytes, int] | None:
    r"""The text of `\uXXXX`, of two of them for a surrogate pair, and where it ends."""
    first = _HEX4.match(data, at + 2)
    if first is None:
        return None
    code, end = int(first[0], 16), at + 6
    if code & 0xF800 == 0xD800:
        second = _HEX4.match(data, end + 2)
        if code & 0x400 or data[end : end + 2] != b"\\u" or second is None:
            return None
        low = int(second[0], 16)
        if low & 0xFC00 != 0xDC00:
            return None
        code, end = ((code & 0x3FF) << 10 | low & 0x3FF) + 0x10000, end + 6
    return chr(code).encode(), end
