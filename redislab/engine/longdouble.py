"""Arithmetic of the x87 `long double`, which Redis uses for INCRBYFLOAT, HINCRBYFLOAT and timeouts.

A `long double` holds 64 significant bits where a Python float holds 53, and clients see the
difference: 10.1 + 0.2 is 10.3 there. A value is an exact `Fraction` here, rounded to what the
hardware could hold after every step, or a float infinity. Follows `string2ld` and `ld2string`
(`src/util.c`) of Redis 7.0 on x86-64.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import inf

LongDouble = Fraction | float  # a float only for the two infinities

_MANTISSA_BITS = 64
_LEAST_EXPONENT = -16445  # of the last bit of the smallest subnormal number
_MOST_EXPONENT = 16384 - _MANTISSA_BITS
_LONGEST_TEXT = 5 * 1024 - 1
_MOST_DIGITS = 4000  # Python converts up to 4300 digits at once
_FAR_EXPONENT = 6000  # a decimal exponent far beyond every finite value

_DECIMAL = re.compile(rb"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?", re.ASCII)
_HEXADECIMAL = re.compile(
    rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d+))?", re.ASCII
)
_INFINITY = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE)


def parse(text: bytes | bytearray) -> LongDouble | None:
    """The number that a text means, or None where `strtold` would not take all of it.

    Numbers too large or too small to be held are refused as well; `inf` is a number.
    """
    if not 0 < len(text) <= _LONGEST_TEXT:
        return None
    infinity = _INFINITY.fullmatch(text)
    if infinity is not None:
        return -inf if infinity[1] == b"-" else inf
    exact = _exact(text)
    if exact is None:
        return None
    value = rounded(exact)
    if isinstance(value, float) or (not value and exact):
        return None
    return value


def add(left: LongDouble, right: LongDouble) -> LongDouble | None:
    """The sum, or None for the NaN that opposite infinities make."""
    if isinstance(left, float):
        return None if isinstance(right, float) and right != left else left
    if isinstance(right, float):
        return right
    return rounded(left + right)


def rounded(value: Fraction) -> LongDouble:
    """The nearest number that a long double can hold, ties to even."""
    if not value:
        return value
    exponent = value.numerator.bit_length() - value.denominator.bit_length() - _MANTISSA_BITS
    exponent = max(exponent, _LEAST_EXPONENT)
    mantissa = _scaled(value, exponent)
    if abs(mantissa).bit_length() > _MANTISSA_BITS:
        exponent += 1
        mantissa = _scaled(value, exponent)
        if abs(mantissa).bit_length() > _MANTISSA_BITS:  # rounding carried into one bit more
            mantissa >>= 1
            exponent += 1
    if exponent > _MOST_EXPONENT:
        return inf if value > 0 else -inf
    return mantissa * _power(2, exponent)


def human(value: LongDouble) -> bytes:
    """The text that Redis stores and answers: at most 17 decimals, no trailing zeros."""
    if isinstance(value, float):
        return b"inf" if value > 0 else b"-inf"
    units = round(abs(value) * 10**17)
    whole, decimals = divmod(units, 10**17)
    text = _digits(whole)
    if decimals:
        text += b"." + (b"%017d" % decimals).rstrip(b"0")
    return b"-" + text if value < 0 and units else text


def _exact(text: bytes | bytearray) -> Fraction | None:
    """The exact value of decimal or hexadecimal digits; None if the text is something else."""
    match = _DECIMAL.fullmatch(text)
    base, exponent_base, limit = 10, 10, _FAR_EXPONENT
    if match is None:
        match = _HEXADECIMAL.fullmatch(text)
        base, exponent_base, limit = 16, 2, 4 * _FAR_EXPONENT
    if match is None:
        return None
    sign, whole, decimals, exponent = match.groups(default=b"")
    digits = whole + decimals
    if not digits:
        return None
    value: Fraction = Fraction(int(digits[:_MOST_DIGITS], base))
    value *= base ** max(0, len(digits) - _MOST_DIGITS)
    value /= base ** len(decimals)
    power = min(max(int(exponent[:8] or b"0"), -limit), limit)
    value *= _power(exponent_base, power)
    return -value if sign == b"-" else value


def _digits(number: int) -> bytes:
    """Decimal digits, in two parts where Python would refuse to convert so many at once."""
    high, low = divmod(number, 10**_MOST_DIGITS)
    return b"%d%0*d" % (high, _MOST_DIGITS, low) if high else b"%d" % low


def _power(base: int, exponent: int) -> Fraction:
    return Fraction(base**exponent) if exponent >= 0 else Fraction(1, base**-exponent)


def _scaled(value: Fraction, exponent: int) -> int:
    """The value as a whole multiple of 2**exponent, rounded half to even."""
    if exponent >= 0:
        return round(value / (1 << exponent))
    return round(value * (1 << -exponent))
