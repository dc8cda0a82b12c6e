"""Reading the arguments that only server commands take: timeouts, ids, ranges."""

from __future__ import annotations

from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError


def integer_argument(text: bytes) -> int:
    """A signed 64-bit integer; the usual error for anything else."""
    return parse_int(text)


def long_argument(text: bytes, least: int, most: int) -> int:
    """An integer in a range, with the error that names the range (`getRangeLong...`)."""
    number = parse_int(text)
    if not least <= number <= most:
        raise CommandError(f"ERR value is out of range, value must between {least} and {most}")
    return number


def timeout_seconds(text: bytes) -> float:
    """A timeout given in milliseconds, as seconds from now."""
    number = parse_int(text, "ERR timeout is not an integer or out of range")
    if number < 0:
        raise CommandError("ERR timeout is negative")
    return number / 1000
