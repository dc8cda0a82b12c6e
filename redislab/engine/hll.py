"""The HyperLogLog of Redis, byte for byte (`src/hyperloglog.c` of Redis 7.0).

A HyperLogLog is a string. Its header is 16 bytes:

| offset | size | |
| --- | --- | --- |
| 0 | 4 | `HYLL` |
| 4 | 1 | encoding: 0 dense, 1 sparse |
| 5 | 3 | zero |
| 8 | 8 | the cached cardinality, little-endian; the top bit says that it is out of date |

Then come 16384 registers. Each holds the longest run of zero bits, plus one, seen at the end of
the hashes that chose it. Dense, they are 6 bits each, the first in the low bits of the first byte.
Sparse, they are runs: `00xxxxxx` is x+1 zeros, `01xxxxxx yyyyyyyy` is xy+1 zeros, `1vvvvvxx` is
x+1 registers that hold v+1.

The estimate is that of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
sketches", arXiv:1702.01284. The commands stand in `hyperloglog.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import partial
from math import inf, sqrt
from typing import NamedTuple

REGISTERS = 16384
HEADER = 16
DENSE, SPARSE = 0, 1
DENSE_SIZE = HEADER + REGISTERS * 6 // 8

_INDEX_BITS = 14
_RANK_BITS = 64 - _INDEX_BITS
_SEED = 0xADC83B19
_U64 = 2**64 - 1
_MURMUR = 0xC6A4A7935BD1E995
_ALPHA_INFINITE = 0.721347520444481703680  # 0.5 / ln 2
_RUN_VALUE_MAX = 32
_RUN_LENGTH_MAX = 4
_SHORT_ZEROS_MAX = 64
_TOP_BITS = int.from_bytes(b"\x80" * REGISTERS, "little")
_OUT_OF_DATE = 0x80  # in the last byte of the cached cardinality


class CorruptedError(Exception):
    """A sparse HyperLogLog whose runs do not add up."""


# -- making, checking, counting -----------------------------------------------------------------


def empty() -> bytearray:
    """A HyperLogLog of nothing: sparse, one run of zeros."""
    return bytearray(b"HYLL" + bytes((SPARSE,)) + bytes(11) + _zeros(REGISTERS))


def is_valid(string: bytes | bytearray) -> bool:
    """Whether a string looks like a HyperLogLog: header and, if dense, length."""
    if len(string) < HEADER or string[:4] != b"HYLL" or string[4] > SPARSE:
        return False
    return string[4] == SPARSE or len(string) == DENSE_SIZE


def cached_count(string: bytes | bytearray) -> int | None:
    """The cached cardinality, None if it is out of date."""
    if string[15] & _OUT_OF_DATE:
        return None
    return int.from_bytes(string[8:16], "little")


def cache_count(string: bytearray, count: int) -> None:
    """Remember a cardinality."""
    string[8:16] = count.to_bytes(8, "little")


def forget_count(string: bytearray) -> None:
    """Mark the cached cardinality as out of date."""
    string[15] |= _OUT_OF_DATE


def registers(string: bytes | bytearray) -> bytes:
    """All registers, a byte each.

    Raises:
        CorruptedError: the runs of a sparse one are not 16384 registers.
    """
    if string[4] == DENSE:
        return _unpack(bytes(string[HEADER:]))
    found = bytearray()
    for run in runs(string):
        if run.first + run.length > REGISTERS:
            raise CorruptedError
        found += bytes((run.value,)) * run.length
    if len(found) != REGISTERS:
        raise CorruptedError
    return bytes(found)


def estimate(values: bytes) -> int:
    """The cardinality that registers, a byte each, stand for."""
    counts = [values.count(value) for value in range(_RANK_BITS + 2)]
    z = REGISTERS * _tau((REGISTERS - counts[_RANK_BITS + 1]) / REGISTERS)
    for count in reversed(counts[1 : _RANK_BITS + 1]):
        z = (z + count) * 0.5
    z += REGISTERS * _sigma(counts[0] / REGISTERS)
    exact = _ALPHA_INFINITE * REGISTERS * REGISTERS / z
    return int(exact) + (exact - int(exact) >= 0.5)


def place(element: bytes) -> tuple[int, int]:
    """The register an element chooses, and the value it wants there."""
    value = hash64(element)
    rest = (value >> _INDEX_BITS) | (1 << _RANK_BITS)
    return value & (REGISTERS - 1), (rest & -rest).bit_length()


def hash64(data: bytes) -> int:
    """MurmurHash64A with the seed that Redis uses."""
    h = _SEED ^ (len(data) * _MURMUR & _U64)
    whole = len(data) & ~7
    for at in range(0, whole, 8):
        k = int.from_bytes(data[at : at + 8], "little") * _MURMUR & _U64
        k = (k ^ k >> 47) * _MURMUR & _U64
        h = (h ^ k) * _MURMUR & _U64
    if len(data) > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _MURMUR & _U64
    h = (h ^ h >> 47) * _MURMUR & _U64
    return h ^ h >> 47


# -- changing -----------------------------------------------------------------------------------


def raise_register(string: bytearray, index: int, value: int, sparse_max_bytes: int) -> bool:
    """Raise a register to a value if it is lower; tell whether it was.

    A sparse HyperLogLog becomes dense, in place, when the value does not fit into a run or the
    string would outgrow `sparse_max_bytes` (`hll-sparse-max-bytes`).

    Raises:
        CorruptedError: there is no run for this register.
    """
    if string[4] == DENSE:
        return _raise_dense(string, index, value)
    if value > _RUN_VALUE_MAX:
        make_dense(string)
        return _raise_dense(string, index, value)
    run, before_at = _locate(string, index)
    if run.value >= value:
        return False
    pieces = _split(run, index, value)
    growth = len(pieces) - run.size
    if growth > 0 and len(string) + growth > sparse_max_bytes:
        make_dense(string)
        return _raise_dense(string, index, value)
    string[run.at : run.at + run.size] = pieces
    _merge(string, before_at)
    forget_count(string)
    return True


def raise_registers(
    string: bytearray, wanted: Iterable[tuple[int, int]], sparse_max_bytes: int
) -> int:
    """`raise_register` for many of them, in their order; how many were raised.

    It comes to the same bytes. The runs of a sparse one are taken apart once, and found by
    bisection.

    Raises:
        CorruptedError: there is no run for one of these registers.
    """
    rest = iter(wanted)
    raised = 0
    if string[4] == SPARSE:
        try:
            taken = _Runs(string)
        except CorruptedError:
            return sum([raise_register(string, *each, sparse_max_bytes) for each in rest])
        for index, value in rest:
            changed = taken.raise_register(index, value, sparse_max_bytes)
            if changed is None:
                string[HEADER:] = b"".join(taken.codes)
                make_dense(string)
                raised += _raise_dense(string, index, value)
                break
            raised += changed
        else:
            string[HEADER:] = b"".join(taken.codes)
    for index, value in rest:
        raised += _raise_dense(string, index, value)
    if raised:
        forget_count(string)
    return raised


def set_registers(string: bytearray, values: bytes) -> None:
    """Give all registers of a dense HyperLogLog their values."""
    string[HEADER:] = _pack(values)


def greatest(left: bytes, right: bytes) -> bytes:
    """The greater one of each two registers."""
    # All bytes are below 128, so that a difference with the top bit set in front borrows from no
    # neighbor, and keeps that bit where the left byte is not the smaller one.
    one, other = int.from_bytes(left, "little"), int.from_bytes(right, "little")
    not_smaller = ((one | _TOP_BITS) - other) & _TOP_BITS
    chosen = other ^ ((one ^ other) & (not_smaller >> 7) * 0xFF)
    return chosen.to_bytes(len(left), "little")


def make_dense(string: bytearray) -> None:
    """Turn a sparse HyperLogLog into a dense one, in place.

    Raises:
        CorruptedError: its runs are not 16384 registers; it stays as it was.
    """
    if string[4] == SPARSE:
        packed = _pack(registers(string))
        string[4] = DENSE
        string[HEADER:] = packed


class Run(NamedTuple):
    """A run of equal registers in a sparse HyperLogLog.

    Attributes:
        at, size: where it stands in the string, in bytes.
        first, length: the registers it covers.
        value: what they hold.
    """

    at: int
    size: int
    first: int
    length: int
    value: int


def runs(string: bytes | bytearray) -> Iterator[Run]:
    """The runs of a sparse HyperLogLog in order, whether they add up or not."""
    at, first = HEADER, 0
    end = len(string)
    while at < end:
        byte = string[at]
        size, value = 1, 0
        if byte & 0x80:
            length, value = (byte & 3) + 1, (byte >> 2 & 0x1F) + 1
        elif byte & 0x40:
            low = string[at + 1] if at + 1 < end else 0
            length, size = ((byte & 0x3F) << 8 | low) + 1, 2
        else:
            length = byte + 1
        yield Run(at, size, first, length, value)
        at += size
        first += length


# -- helpers ------------------------------------------------------------------------------------


class _Runs:
    """The runs of a sparse HyperLogLog taken apart: where each begins, and its bytes.

    Raises:
        CorruptedError: they are not 16384 registers.
    """

    def __init__(self, string: bytearray) -> None:
        self.firsts: list[int] = []
        self.codes: list[bytes] = []
        self.size = len(string)
        end = 0
        for run in runs(string):
            self.firsts.append(run.first)
            self.codes.append(bytes(string[run.at : run.at + run.size]))
            end = run.first + run.length
        if end != REGISTERS:
            raise CorruptedError

    def raise_register(self, index: int, value: int, sparse_max_bytes: int) -> bool | None:
        """What `raise_register` does with a sparse one; None if it has to become dense first."""
        if value > _RUN_VALUE_MAX:
            return None
        place = bisect_right(self.firsts, index) - 1
        first, code = self.firsts[place], self.codes[place]
        after = self.firsts[place + 1] if place + 1 < len(self.firsts) else REGISTERS
        held = (code[0] >> 2 & 0x1F) + 1 if code[0] & 0x80 else 0
        if held >= value:
            return False
        fill = _zeros if not held else partial(_ones, held)
        pieces = [
            (first, fill(index - first)),
            (index, _ones(value, 1)),
            (index + 1, fill(after - 1 - index)),
        ]
        pieces = [piece for piece in pieces if piece[1]]
        growth = sum(len(piece[1]) for piece in pieces) - len(code)
        if growth > 0 and self.size + growth > sparse_max_bytes:
            return None
        self.firsts[place : place + 1] = [piece[0] for piece in pieces]
        self.codes[place : place + 1] = [piece[1] for piece in pieces]
        self.size += growth
        self._merge(max(place - 1, 0))
        return True

    def _merge(self, at: int) -> None:
        """Join equal neighbors among the five runs from a place on."""
        codes = self.codes
        for _ in range(5):
            if at + 1 >= len(codes):
                return
            byte, following = codes[at][0], codes[at + 1][0]
            length = (byte & 3) + (following & 3) + 2
            if byte & 0x80 and byte & 0xFC == following & 0xFC and length <= _RUN_LENGTH_MAX:
                codes[at : at + 2] = [bytes((byte & 0xFC | (length - 1),))]
                del self.firsts[at + 1]
                self.size -= 1
            else:
                at += 1


def _locate(string: bytearray, index: int) -> tuple[Run, int]:
    """The run that covers a register, and where the run before it stands.

    This is what PFADD spends its time on: no object is made for the runs passed over.
    """
    before_at = at = HEADER
    first, end = 0, len(string)
    while at < end:
        byte = string[at]
        size = 1
        if byte & 0x80:
            length = (byte & 3) + 1
        elif byte & 0x40:
            low = string[at + 1] if at + 1 < end else 0
            length, size = ((byte & 0x3F) << 8 | low) + 1, 2
        else:
            length = byte + 1
        if index < first + length:
            value = (byte >> 2 & 0x1F) + 1 if byte & 0x80 else 0
            return Run(at, size, first, length, value), before_at
        before_at = at
        at += size
        first += length
    raise CorruptedError


def _zeros(length: int) -> bytes:
    if length > _SHORT_ZEROS_MAX:
        return bytes((0x40 | (length - 1) >> 8, (length - 1) & 0xFF))
    return bytes((length - 1,)) if length else b""


def _ones(value: int, length: int) -> bytes:
    """A run of registers that hold a value."""
    return bytes((0x80 | (value - 1) << 2 | (length - 1),)) if length else b""


def _split(run: Run, index: int, value: int) -> bytes:
    """What to write for a run of which one register gets a value of its own."""
    left, right = index - run.first, run.first + run.length - 1 - index
    middle = _ones(value, 1)
    if run.value:
        return _ones(run.value, left) + middle + _ones(run.value, right)
    return _zeros(left) + middle + _zeros(right)


def _merge(string: bytearray, at: int) -> None:
    """Join equal neighbours among the five runs from a place on."""
    for _ in range(5):
        if at >= len(string):
            return
        byte = string[at]
        if not byte & 0x80:
            at += 2 if byte & 0x40 else 1
            continue
        following = string[at + 1] if at + 1 < len(string) else 0
        length = (byte & 3) + (following & 3) + 2
        if byte & 0xFC == following & 0xFC and length <= _RUN_LENGTH_MAX:
            string[at : at + 2] = bytes((byte & 0xFC | (length - 1),))
        else:
            at += 1


def _raise_dense(string: bytearray, index: int, value: int) -> bool:
    at, shift = HEADER + index * 6 // 8, index * 6 & 7
    pair = int.from_bytes(string[at : at + 2], "little")
    if value <= pair >> shift & 63:
        return False
    pair = pair & ~(63 << shift) | value << shift
    string[at : at + 2] = pair.to_bytes(2, "little")[: len(string) - at]
    return True


# Four registers stand in three bytes. These tables tell what each byte gives to a register, so that
# `bytes.translate` takes all of them apart at once.
_LOW6 = bytes(byte & 63 for byte in range(256))
_TOP2 = bytes(byte >> 6 for byte in range(256))
_LOW4 = bytes((byte & 15) << 2 for byte in range(256))
_TOP4 = bytes(byte >> 4 for byte in range(256))
_LOW2 = bytes((byte & 3) << 4 for byte in range(256))
_TOP6 = bytes(byte >> 2 for byte in range(256))
# And these what a register gives to each byte.
_UP6 = bytes(byte << 6 & 0xFF for byte in range(256))
_UP4 = bytes(byte << 4 & 0xFF for byte in range(256))
_UP2 = bytes(byte << 2 & 0xFF for byte in range(256))


def _unpack(packed: bytes) -> bytes:
    first, second, third = packed[0::3], packed[1::3], packed[2::3]
    values = bytearray(REGISTERS)
    values[0::4] = first.translate(_LOW6)
    values[1::4] = _either(first.translate(_TOP2), second.translate(_LOW4))
    values[2::4] = _either(second.translate(_TOP4), third.translate(_LOW2))
    values[3::4] = third.translate(_TOP6)
    return bytes(values)


def _pack(values: bytes) -> bytes:
    first, second, third, fourth = (values[at::4] for at in range(4))
    packed = bytearray(REGISTERS * 6 // 8)
    packed[0::3] = _either(first, second.translate(_UP6))
    packed[1::3] = _either(second.translate(_TOP6), third.translate(_UP4))
    packed[2::3] = _either(third.translate(_TOP4), fourth.translate(_UP2))
    return bytes(packed)


def _either(left: bytes, right: bytes) -> bytes:
    """The bitwise or of two strings of one length."""
    both = int.from_bytes(left, "little") | int.from_bytes(right, "little")
    return both.to_bytes(len(left), "little")


def _sigma(x: float) -> float:
    if x == 1.0:
        return inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if before == z:
            return z


def _tau(x: float) -> float:
    if x in {0.0, 1.0}:
        return 0.0
    y, z = 1.0, 1 - x
    while True:
        x = sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
        if before == z:
            return z / 3
