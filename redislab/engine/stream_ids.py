"""Ids of stream entries: milliseconds and a number, as `src/t_stream.c` of Redis 7.0 reads them.

An id is a pair of integers of 64 bits without a sign, so pairs compare as ids do.
"""

from __future__ import annotations

import re

from redislab.engine.errors import CommandError

StreamId = tuple[int, int]

PART_MAX = 2**64 - 1
LEAST: StreamId = (0, 0)
GREATEST: StreamId = (PART_MAX, PART_MAX)
INVALID = "ERR Invalid stream ID specified as stream command argument"

_LONGEST_TEXT = 127
_DIGITS = re.compile(rb"[ \t\n\v\f\r]*([+-]?)(\d+)", re.ASCII)  # as C's strtoull takes them


def show(entry: StreamId) -> bytes:
    """The text of an id."""
    return b"%d-%d" % entry


def parse(text: bytes, missing: int = 0, *, ends_too: bool = False) -> StreamId:
    """An id `ms-seq`, or `ms`, whose number is then the one that is `missing`.

    With `ends_too` also `-` and `+`, the least and the greatest one.

    Raises:
        CommandError: it is none.
    """
    entry, number_given = _parse(text, missing, ends_too=ends_too, star=False)
    assert number_given
    return entry


def parse_new(text: bytes) -> tuple[StreamId, bool]:
    """The id XADD asks for, and whether its number is given: of `ms-*` it is not, and 0."""
    return _parse(text, 0, ends_too=False, star=True)


def is_one(text: bytes) -> bool:
    """Whether a text is an id."""
    try:
        parse(text)
    except CommandError:
        return False
    return True


def parse_bound(text: bytes, *, is_end: bool) -> StreamId:
    """The end of an interval, as the id that it includes.

    `-` and `+` are the least and the greatest id, `(` excludes the id that follows, and an id
    without a number stands for all of its millisecond.

    Raises:
        CommandError: it is no id, or excludes the last one there is.
    """
    missing = PART_MAX if is_end else 0
    if text[:1] != b"(" or len(text) == 1:
        return parse(text, missing, ends_too=True)
    excluded = parse(text[1:], missing)
    if excluded == (LEAST if is_end else GREATEST):
        side = "end" if is_end else "start"
        raise CommandError(f"ERR invalid {side} ID for the interval")
    return preceding(excluded) if is_end else following(excluded)


def following(entry: StreamId) -> StreamId:
    """The next id; after the greatest one comes the least."""
    milliseconds, number = entry
    if number < PART_MAX:
        return milliseconds, number + 1
    return (milliseconds + 1, 0) if milliseconds < PART_MAX else LEAST


def preceding(entry: StreamId) -> StreamId:
    """The id before one that is not the least."""
    milliseconds, number = entry
    return (milliseconds, number - 1) if number else (milliseconds - 1, PART_MAX)


def _parse(text: bytes, missing: int, *, ends_too: bool, star: bool) -> tuple[StreamId, bool]:
    if len(text) > _LONGEST_TEXT:
        raise CommandError(INVALID)
    text = text.partition(b"\0")[0]
    if text in {b"-", b"+"}:
        if not ends_too:
            raise CommandError(INVALID)
        return (LEAST if text == b"-" else GREATEST), True
    milliseconds, dash, number = text.partition(b"-")
    if star and number == b"*":
        return (_unsigned(milliseconds), 0), False
    return (_unsigned(milliseconds), _unsigned(number) if dash else missing), True


def _unsigned(text: bytes) -> int:
    """An integer of 64 bits without a sign; `-01` counts from the top, as strtoull has it."""
    found = _DIGITS.fullmatch(text)
    if found is None:
        raise CommandError(INVALID)
    number = int(found[2])
    is_plain_negative = text[:1] == b"-" and text[1:2] not in {b"", b"0"} and number <= 2**63
    if number > PART_MAX or is_plain_negative:
        raise CommandError(INVALID)
    return -number % 2**64 if found[1] == b"-" else number
