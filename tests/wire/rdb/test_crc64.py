"""The checksum: quick, and the same as bit by bit."""

from random import Random

import pytest

from redislab.wire.rdb.crc64 import MULTIPLES, crc64

# x**64 + x**63 + ... as `src/crc64.c` has it: the highest term left out, the next in the top bit.
POLYNOMIAL = 1 << 64 | 0xAD93D23594C935A9
KNOWN = 0xE9C6D914C4B8D9CA  # of 123456789, as in the test of `src/crc64.c`


def bit_by_bit(data: bytes, before: int = 0) -> int:
    reflected = int(f"{POLYNOMIAL & (1 << 64) - 1:064b}"[::-1], 2)
    for byte in data:
        before ^= byte
        for _ in range(8):
            before = before >> 1 ^ (reflected if before & 1 else 0)
    return before


def remainder(value: int) -> int:
    while value.bit_length() > 64:
        value ^= POLYNOMIAL << value.bit_length() - 65
    return value


def test_known_value():
    assert crc64(b"123456789") == KNOWN == bit_by_bit(b"123456789")
    assert crc64(b"") == 0


@pytest.mark.parametrize("exponents", MULTIPLES, ids=str)
def test_each_multiple_is_one(exponents):
    assert remainder(sum(1 << exponent for exponent in exponents)) == 0
    assert list(exponents) == sorted(exponents, reverse=True)
    assert exponents[-1] == 0


@pytest.mark.parametrize("size", [1, 7, 8, 100, 319, 320, 321, 400, 1000, 1711, 4096, 20000])
def test_same_as_bit_by_bit(size):
    data = Random(size).randbytes(size)
    before = Random(-size).getrandbits(64)
    assert crc64(data, before) == bit_by_bit(data, before)


def test_goes_on_over_any_cut():
    random = Random(5)
    data = random.randbytes(200_000)
    whole = crc64(data)
    for _ in range(20):
        cut = random.randrange(len(data))
        assert crc64(data[cut:], crc64(data[:cut])) == whole


def test_zeros_count():
    data = b"\1" + bytes(70_000)
    assert crc64(data) == bit_by_bit(data)
