"""Reading a command's arguments the way Redis reads them (`getLongLongFromObject`, `util.c`)."""

from __future__ import annotations

import re
from math import inf, isinf, isnan

from redislab.engine.errors import NOT_FLOAT, NOT_INTEGER, CommandError
from redislab.engine.values import INT64_MAX, INT64_MIN

_DIGITS = re.compile(rb"[+-]?[\d.]")  # a number spelled out, not `inf`
_NOT_ZERO = re.compile(rb"[+-]?[0.]*[1-9]")
_HEXADECIMAL = re.compile(rb"[+-]?0[xX]")


def parse_int(text: bytes | bytearray, message: str = NOT_INTEGER) -> int:
    """A signed 64-bit integer in canonical decimal digits.

    Raises:
        CommandError: with `message`, for anything else: spaces, a plus sign, leading zeros, more
            than 64 bits.
    """
    try:
        number = int(text)
    except ValueError:
        raise CommandError(message) from None
    if b"%d" % number != text or not INT64_MIN <= number <= INT64_MAX:
        raise CommandError(message)
    return number


def parse_ranged(text: bytes, least: int, most: int, message: str) -> int:
    """An integer within bounds; `message` for one outside them and for no integer at all."""
    number = parse_int(text, message)
    if not least <= number <= most:
        raise CommandError(message)
    return number


def parse_float(text: bytes | bytearray, message: str = NOT_FLOAT) -> float:
    """A floating point number as C's `strtod` takes it, infinities included, NaN refused.

    Raises:
        CommandError: with `message`, for an empty text, spaces, a NaN, or a number that a double
            cannot hold: one too large, or so small that nothing is left of it.
    """
    number = strtod(text)
    if number is None or isnan(number):
        raise CommandError(message)
    if (isinf(number) and _DIGITS.match(text)) or (not number and _NOT_ZERO.match(text)):
        raise CommandError(message)
    return number


def strtod(text: bytes | bytearray) -> float | None:
    """What C's `strtod` makes of a text without spaces; None unless it takes all of it.

    Too large a number comes out as an infinity, too small a one as zero. NaN is a number here.
    """
    if not text or text[:1].isspace() or text[-1:].isspace() or b"_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    if _HEXADECIMAL.match(text) is None:
        return None
    try:
        return float.fromhex(text.decode("ascii"))
    except ValueError:
        return None
    except OverflowError:
        return -inf if text[:1] == b"-" else inf
