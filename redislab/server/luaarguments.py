"""What functions for Lua are called with, and the errors for what they are not.

Follows the `luaL_check...` functions of Lua's own library for C (`deps/lua/src/lauxlib.c` of Redis
7.0): a string that holds a number is a number, a number is a string, and a wrong argument is named
by its position.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redislab.server.lua import Lua


class LibraryError(Exception):
    """A function of a library was called wrongly.

    Attributes:
        text: what is wrong, as bytes.
    """

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        self.text = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


class Arguments:
    """What a function was called with, and the errors for what it was not (`luaL_check...`)."""

    def __init__(self, lua: Lua, name: str, values: tuple[Any, ...]) -> None:
        self._lua = lua
        self._name = name
        self.values = values

    def wrong(self, position: int, reason: str) -> LibraryError:
        """The error for the argument at a position, from 1."""
        return LibraryError(f"bad argument #{position} to '{self._name}' ({reason})")

    def number(self, position: int, default: float | None = None) -> float:
        """The number at a position, from 1; a string that holds one will do."""
        missing = position > len(self.values)
        value = None if missing else self.values[position - 1]
        if value is None and default is not None:
            return default
        found = as_number(value)
        if found is None:
            kind = "no value" if missing else self._lua.kind_of(value)
            raise self.wrong(position, f"number expected, got {kind}")
        return found

    def integer(self, position: int, default: int | None = None) -> int:
        """The integer at a position, from 1; a fraction is cut off."""
        return to_integer(self.number(position, default))

    def string(self, position: int) -> bytes:
        """The string at a position, from 1; a number will do."""
        missing = position > len(self.values)
        value = None if missing else self.values[position - 1]
        if isinstance(value, bytes):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return number_text(value, 14)
        kind = "no value" if missing else self._lua.kind_of(value)
        raise self.wrong(position, f"string expected, got {kind}")


def number_text(number: float, digits: int) -> bytes:
    """A number as C's `%.<digits>g` writes it."""
    if isinstance(number, int) and abs(number) < 10**digits:
        return b"%d" % number
    if math.isnan(number):
        return b"-nan" if math.copysign(1, number) < 0 else b"nan"
    return b"%.*g" % (digits, float(number))


def as_number(value: Any) -> float | None:
    """A number, or a string that holds one (`lua_tonumber`); None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, bytes):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def to_integer(number: float) -> int:
    """A number as a 64-bit integer, as the cast in C does it on our machines."""
    if math.isnan(number) or not -(2.0**63) <= number < 2.0**63:
        return -(2**63)
    return int(number)
