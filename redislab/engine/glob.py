"""Glob patterns as Redis matches them (`stringmatchlen` in `src/util.c` of Redis 7.0).

Used by KEYS, SCAN, PSUBSCRIBE, CONFIG GET and others. A pattern becomes a regular expression: every
element except `*` matches one byte, so the part between two stars may be taken at its leftmost
place, and matching stays linear for each part however many stars there are.
"""

from __future__ import annotations

import re
from functools import lru_cache

_STARS_MAX = 1000  # Redis gives up on a pattern that needs more of them
_NEVER = re.compile(b"(?!)")


def matches(pattern: bytes, text: bytes) -> bool:
    """Whether the whole text matches the pattern."""
    return compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def compiled(pattern: bytes, *, ignore_case: bool = False) -> re.Pattern[bytes]:
    """The regular expression of a pattern; use its `fullmatch`."""
    parts: list[bytes] = [b""]
    at = 0
    while at < len(pattern):
        if pattern[at] == 0x2A:  # *
            parts.append(b"")
            at += 1
        else:
            piece, at = _element(pattern, at)
            parts[-1] += piece
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    if len(parts) == 1:
        return re.compile(parts[0], flags)
    # Redis looks at no pattern but the empty one where there is no text left to match: `*` takes
    # anything but the empty text.
    parts[0] = b"(?=.)" + parts[0]
    middle = [b"(?>.*?%b)" % part for part in parts[1:-1] if part]
    if len(middle) + bool(parts[-1]) > _STARS_MAX:
        return _NEVER
    return re.compile(parts[0] + b"".join(middle) + b".*" + parts[-1], flags)


def _element(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The expression for what stands at a position, and the position after it."""
    char = pattern[at : at + 1]
    if char == b"?":
        return b".", at + 1
    if char == b"[":
        return _class(pattern, at + 1)
    if char == b"\\" and at + 1 < len(pattern):
        return re.escape(pattern[at + 1 : at + 2]), at + 2
    return re.escape(char), at + 1


def _class(pattern: bytes, at: int) -> tuple[bytes, int]:
    """A character class; one that is never closed ends with the pattern."""
    negated = pattern[at : at + 1] == b"^"
    at += negated
    ranges: list[bytes] = []
    while at < len(pattern) and pattern[at] != 0x5D:  # ]
        if pattern[at] == 0x5C and at + 1 < len(pattern):  # a backslash
            ranges.append(re.escape(pattern[at + 1 : at + 2]))
            at += 2
        elif pattern[at + 1 : at + 2] == b"-" and at + 2 < len(pattern):
            ranges.append(_range(pattern[at], pattern[at + 2]))
            at += 3
        else:
            ranges.append(re.escape(pattern[at : at + 1]))
            at += 1
    if not ranges:
        return (b"." if negated else b"(?!)"), at + 1
    return b"[%b%b]" % (b"^" if negated else b"", b"".join(ranges)), at + 1


def _range(one: int, other: int) -> bytes:
    """What lies between two bytes, in whichever order; bytes from 0x80 on count as negative."""
    low, high = sorted(byte - 256 if byte > 127 else byte for byte in (one, other))
    if low < 0 <= high:
        return b"\\x%02x-\\xff\\x00-\\x%02x" % (low + 256, high)
    return b"\\x%02x-\\x%02x" % (low & 0xFF, high & 0xFF)
