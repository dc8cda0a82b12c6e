"""The checksum of RDB: CRC-64 with the polynomial of Jones (`src/crc64.c` of Redis 7.0).

A checksum is the remainder of a division of polynomials over GF(2), by one of degree 64. Python has
no quick operation on single bytes, but shifts and XORs of integers of any size run at the speed of
memory. So a block of bytes is divided as one large integer.

What makes that cheap are multiples of the polynomial with few terms. Where `x**n + x**a + x**b +
... + 1` is a multiple, a term `x**(n + i)` has the same remainder as `x**(a + i) + x**(b + i) +
... + x**i`. A whole run of high terms is so replaced by a few shifted copies of itself, and
squaring a multiple doubles all its exponents, so that there is one for blocks of every size. Two
multiples with 7 and 9 terms were found by search; they bring a block down to some 200 bytes, which
are left to a table in the usual way. That takes some 300 MB a second, and the table alone 15 MB.

The checksum is reflected: bit 0 of a block, read as a little-endian integer, is its highest term.
"""

from __future__ import annotations

_POLYNOMIAL = 0x95AC9329AC4BC9B5  # x**64 left out, x**63 in bit 0
_TABLE_BYTES = 320  # a remainder as short as this is left to the table
_BLOCK_BYTES = 1 << 17

# Exponents of multiples of the polynomial, falling; tests/wire/rdb divides them.
MULTIPLES = (
    (13617, 4356, 3930, 3242, 2094, 1411, 0),
    (1588, 665, 548, 504, 208, 202, 142, 26, 0),
)


def crc64(data: bytes, before: int = 0) -> int:
    """The checksum of some bytes, going on from the checksum of those before them."""
    for start in range(0, len(data), _BLOCK_BYTES):
        block = data[start : start + _BLOCK_BYTES] if len(data) > _BLOCK_BYTES else data
        if len(block) > _TABLE_BYTES:
            block = _fold(block, before)
            before = 0
        table = _TABLE
        for byte in block:
            before = table[(before ^ byte) & 0xFF] ^ before >> 8
    return before


def _fold(data: bytes, before: int) -> bytes:
    """Shorter bytes with the same checksum, if one starts from 0 with them."""
    value = int.from_bytes(data, "little") ^ before
    bits = 8 * len(data)
    for degree, gap, shifts in _RUNGS:
        while bits - degree >= gap // 2:
            # The highest terms, as many as can be replaced by terms that all stay below them.
            take = min(bits - degree, gap) & ~7
            high = value & (1 << take) - 1
            value >>= take
            copies = 0
            for shift in shifts:
                copies ^= high << shift - take
            value ^= copies
            bits -= take
    return value.to_bytes(bits // 8, "little")


def _table() -> tuple[int, ...]:
    """The checksum of each single byte."""
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return tuple(found)


def _rungs() -> list[tuple[int, int, list[int]]]:
    """Multiples for blocks of every size, the largest first.

    Of each: its degree, by how much the second term is lower, and the same of all lower terms.
    """
    found = []
    most = 8 * _BLOCK_BYTES
    for degree, *lower in MULTIPLES:
        scale = 1
        while degree * scale < most:
            shifts = [(degree - exponent) * scale for exponent in lower]
            found.append((degree * scale, shifts[0], shifts))
            scale *= 2
        most = degree
    return sorted(found, reverse=True)


_TABLE = _table()
_RUNGS = _rungs()
