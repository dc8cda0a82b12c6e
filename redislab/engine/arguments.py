"""Reading a command's arguments the way Redis reads them (`getLongLongFromObject`, `util.c`)."""

from __future__ import annotations

from math import isnan

from redislab.engine.errors import NOT_FLOAT, NOT_INTEGER, CommandError
from redislab.engine.values import INT64_MAX, INT64_MIN


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
        CommandError: with `message`, for an empty text, spaces, underscores or a NaN.
    """
    if not text or text[:1].isspace() or text[-1:].isspace() or b"_" in text:
        raise CommandError(message)
    try:
        number = float(text)
    except ValueError:
        number = _parse_hexadecimal(text, message)
    if isnan(number):
        raise CommandError(message)
    return number


def _parse_hexadecimal(text: bytes | bytearray, message: str) -> float:
    """`0x1f` and `0x1p3`: `strtod` takes them, so Redis does."""
    if b"x" not in text.lower():
        raise CommandError(message)
    try:
        return float.fromhex(text.decode("ascii"))
    except (ValueError, OverflowError):
        raise CommandError(message) from None
