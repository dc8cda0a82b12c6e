"""The arithmetic of the x87 long double, against numpy's where the machine has that type."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest

from redislab.engine import longdouble


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        (b"10.1", b"0.2", b"10.3"),
        (b"5.0e3", b"200", b"5200"),
        (b"3", b"-3", b"0"),
        (b"-1", b"0.5", b"-0.5"),
        (b"17179869184", b"1.5", b"17179869185.5"),
        (b"0", b"1e-18", b"0"),
        (b"0x10", b"0x1p-1", b"16.5"),
        (b"1e19", b"1", b"10000000000000000001"),
        (b"1e20", b"1", b"100000000000000000000"),
        (b"1e4931", b"inf", b"inf"),
    ],
)
def test_sums(left: bytes, right: bytes, total: bytes) -> None:
    first, second = longdouble.parse(left), longdouble.parse(right)
    assert first is not None
    assert second is not None
    result = longdouble.add(first, second)
    assert result is not None
    assert longdouble.human(result) == total


@pytest.mark.parametrize(
    "text",
    [b"", b".", b"1e", b" 1", b"1 ", b"1_0", b"nan", b"0x", b"1e5000", b"1e-5000", b"1\x00"],
)
def test_no_number(text: bytes) -> None:
    assert longdouble.parse(text) is None


def test_opposite_infinities_have_no_sum() -> None:
    assert longdouble.add(float("inf"), float("-inf")) is None


def test_the_largest_numbers_have_thousands_of_digits() -> None:
    value = longdouble.parse(b"1e4931")
    assert value is not None
    assert len(longdouble.human(value)) == 4932


def test_rounds_as_the_processor_does() -> None:
    numpy = pytest.importorskip("numpy")
    if numpy.finfo(numpy.longdouble).nmant != 63:
        pytest.skip("the machine's long double is another one")
    random = Random(4)
    for _ in range(2000):
        left = f"{random.uniform(-1e6, 1e6):.{random.randint(0, 18)}f}"
        right = f"{random.randint(-99, 99)}.{random.randint(0, 10**12)}e{random.randint(-30, 30)}"
        ours = [longdouble.parse(text.encode()) for text in (left, right)]
        assert ours[0] is not None
        assert ours[1] is not None
        theirs = [numpy.longdouble(text) for text in (left, right)]
        assert longdouble.add(ours[0], ours[1]) == exact(theirs[0] + theirs[1])


def exact(number: object) -> Fraction:
    """A long double's exact value: the double nearest to it and what is left over."""
    high = float(number)  # type: ignore[arg-type]
    low = float(number - high)  # type: ignore[operator]
    return Fraction(high) + Fraction(low)
