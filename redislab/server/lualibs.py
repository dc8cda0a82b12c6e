"""The libraries that Redis adds to Lua (`deps/lua/src` of Redis 7.0), each by a file of its own.

`bit` stands here: 32-bit arithmetic with signed results.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redislab.server import luajson, luamsgpack, luastruct
from redislab.server.luaarguments import Arguments

if TYPE_CHECKING:
    from redislab.server.lua import Lua

Library = dict[bytes, Any]


def libraries(lua: Lua) -> dict[bytes, Library]:
    """The libraries by name: functions, and the values beside them."""
    return {
        b"cjson": luajson.library(lua),
        b"bit": _bit_library(lua),
        b"struct": luastruct.library(lua),
        b"cmsgpack": luamsgpack.library(lua),
    }


def _bit_library(lua: Lua) -> Library:
    def operation(name: str, run: Callable[[Arguments], int | bytes]) -> Callable[..., int | bytes]:
        return lambda *values: run(Arguments(lua, name, values))

    def fold(step: Callable[[int, int], int]) -> Callable[[Arguments], int]:
        def run(a: Arguments) -> int:
            result = _bits(a, 1)
            for position in range(len(a.values), 1, -1):
                result = step(result, _bits(a, position))
            return _signed(result)

        return run

    def shift(step: Callable[[int, int], int]) -> Callable[[Arguments], int]:
        return lambda a: _signed(step(_bits(a, 1), _bits(a, 2) % 32))

    operations: dict[str, Callable[[Arguments], int | bytes]] = {
        "tobit": lambda a: _signed(_bits(a, 1)),
        "bnot": lambda a: _signed(~_bits(a, 1)),
        "band": fold(lambda a, b: a & b),
        "bor": fold(lambda a, b: a | b),
        "bxor": fold(lambda a, b: a ^ b),
        "lshift": shift(lambda a, n: a << n),
        "rshift": shift(lambda a, n: a >> n),
        "arshift": shift(lambda a, n: _signed(a) >> n),
        "rol": shift(lambda a, n: a << n | a >> (32 - n)),
        "ror": shift(lambda a, n: a >> n | a << (32 - n)),
        "bswap": lambda a: _signed(int.from_bytes(_bits(a, 1).to_bytes(4, "little"), "big")),
        "tohex": _to_hex,
    }
    return {name.encode(): operation(name, run) for name, run in operations.items()}


def _signed(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31


def _bits(a: Arguments, position: int) -> int:
    """The low 32 bits of a number, rounded to the nearest integer, halves to the even one."""
    number = a.number(position)
    return 0 if not math.isfinite(number) else round(number) % 2**32


def _to_hex(a: Arguments) -> bytes:
    digits = _signed(_bits(a, 2)) if len(a.values) > 1 else 8
    width = min(abs(digits), 8)
    text = f"{_bits(a, 1):08x}"[8 - width :]
    return (text.upper() if digits < 0 else text).encode()
