from __future__ import annotations

import pytest

from redislab.engine.glob import matches


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (b"h?llo", b"hallo"),
        (b"h*llo", b"heeeello"),
        (b"h[ae]llo", b"hello"),
        (b"h[^e]llo", b"hallo"),
        (b"h[a-b]llo", b"hbllo"),
        (b"h[b-a]llo", b"hallo"),
        (b"a\\*", b"a*"),
        (b"a\\", b"a\\"),
        (b"ab*", b"ab"),
        (b"**", b"x"),
        (b"[a", b"a"),
        (b"[^", b"x"),
        (b"", b""),
        (b"a\n*", b"a\nb\n"),
        (b"[\x80-a]", b"\xff"),
    ],
)
def test_matches(pattern: bytes, text: bytes) -> None:
    assert matches(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (b"h?llo", b"hllo"),
        (b"h[^e]llo", b"hello"),
        (b"[]a]", b"a"),
        (b"[", b"["),
        (b"a", b"ab"),
        (b"a*b", b"abc"),
        (b"?", b""),
        (b"*", b""),
        (b"a\\*", b"ab"),
        (b"[\x80-a]", b"b"),
    ],
)
def test_does_not_match(pattern: bytes, text: bytes) -> None:
    assert not matches(pattern, text)


def test_many_stars_take_no_exponential_time() -> None:
    assert not matches(b"a*" * 30 + b"b", b"a" * 20_000)


def test_a_pattern_of_more_than_a_thousand_stars_matches_nothing() -> None:
    assert matches(b"*?" * 1000, b"a" * 2000)
    assert not matches(b"*?" * 1001, b"a" * 2000)
