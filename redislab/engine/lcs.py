"""LCS: the longest common subsequence of two strings (`lcsCommand`, `src/t_string.c`, Redis 7.0).

Redis fills a table of lengths, a cell for each pair of positions. Neighboring cells of a row
differ by at most one, so a row is kept here as the bits of one long integer, and a few operations
on whole integers make the next row (Hyyro, "Bit-parallel LCS-length computation revisited", 2004).
Walking back through the rows then finds what Redis finds, match by match.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Caller, Reply, command
from redislab.wire.resp import array, bulk, integer, map_

_NOT_STRINGS = "ERR The specified keys must contain string values"
_LEN_AND_IDX = "ERR If you want both the length and indexes, please just use IDX."
_TOO_LARGE = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
_CELL_BYTES = 4  # of Redis' table, whose size decides whether it refuses


@command("lcs")
def lcs(c: Caller, args: list[bytes]) -> Reply:
    """LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]."""
    values = [c.db.lookup_read(key) for key in args[1:3]]
    if any(type(value) not in {bytes, bytearray, type(None)} for value in values):
        raise CommandError(_NOT_STRINGS)
    left, right = (bytes(value or b"") for value in values)
    options = _parse(args)
    if options.length_only and options.positions:
        raise CommandError(_LEN_AND_IDX)
    if (len(left) + 1) * (len(right) + 1) * _CELL_BYTES > c.engine.proto_max_bulk_len:
        raise CommandError(_TOO_LARGE)
    rows = _rows(left, right)
    length = len(right) - rows[-1].bit_count()
    if options.positions:
        found = [
            _shown(match, options) for match in matches(left, right, rows) if options.wants(match)
        ]
        return map_([bulk(b"matches"), array(found), bulk(b"len"), integer(length)], c.resp)
    if options.length_only:
        return integer(length)
    text = bytearray()
    for match in matches(left, right, rows):
        text[:0] = left[match.left : match.left + match.length]
    return bulk(text)


@dataclass(frozen=True, slots=True)
class Match:
    """A run of bytes that both strings share: where it begins in each, and its length."""

    left: int
    right: int
    length: int


def matches(left: bytes, right: bytes, rows: list[int]) -> Iterator[Match]:
    """The runs of a longest common subsequence, the last one first.

    Of several such subsequences it is the one Redis takes: where the table leaves a choice it goes
    back in the right-hand string. A run also ends where it reaches the start of a string.
    """
    at_left, at_right = len(left), len(right)
    run = 0
    while at_left and at_right:
        if left[at_left - 1] == right[at_right - 1]:
            at_left -= 1
            at_right -= 1
            run += 1
            continue
        if run:
            yield Match(at_left, at_right, run)
            run = 0
        if rows[at_left] >> (at_right - 1) & 1:
            at_right -= 1
        else:
            at_left -= 1
    if run:
        yield Match(at_left, at_right, run)


def _rows(left: bytes, right: bytes) -> list[int]:
    """A row for each length of the left string's prefix, from 0 on.

    Bit j of a row is clear if the subsequence with j + 1 bytes of the right string is longer than
    the one with j bytes.
    """
    everything = (1 << len(right)) - 1
    places = dict.fromkeys(right, 0)
    for place, byte in enumerate(right):
        places[byte] |= 1 << place
    row = everything
    rows = [row]
    for byte in left:
        hits = row & places.get(byte, 0)
        row = ((row + hits) | (row - hits)) & everything
        rows.append(row)
    return rows


@dataclass(slots=True)
class _Options:
    length_only: bool = False
    positions: bool = False
    with_lengths: bool = False
    least: int = 0

    def wants(self, match: Match) -> bool:
        """Whether MINMATCHLEN lets this match through."""
        return match.length >= self.least


def _parse(args: list[bytes]) -> _Options:
    options = _Options()
    words = iter(args[3:])
    for word in words:
        name = word.lower()
        if name == b"idx":
            options.positions = True
        elif name == b"len":
            options.length_only = True
        elif name == b"withmatchlen":
            options.with_lengths = True
        elif name == b"minmatchlen" and (value := next(words, None)) is not None:
            options.least = parse_int(value)
        else:
            raise syntax_error()
    return options


def _shown(match: Match, options: _Options) -> bytes:
    ranges = [
        array([integer(start), integer(start + match.length - 1)])
        for start in (match.left, match.right)
    ]
    return array([*ranges, integer(match.length)] if options.with_lengths else ranges)
