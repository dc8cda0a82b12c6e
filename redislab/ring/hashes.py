"""The twelve hashes of nutcracker, each with what is peculiar to it, from bytes to 32 bits.

Some of them are well-known functions under another name or with a slip that has to stay, since
every key that was ever placed depends on it:

- Where the original reads a key as signed characters, a byte of 128 or more counts as a negative
  number: in all four `fnv`, in `one_at_a_time`, and in one place of `hsieh`.
- `fnv1_64` and `fnv1a_64` keep the low half of 64 bits. A product's low half depends on nothing
  but low halves, so all of it is done in 32 bits.
- `crc16` shifts an accumulator of 32 bits and returns all of them: only its low half is the CRC.
- `crc32` returns 15 bits from the middle of the CRC-32; `crc32a` is the CRC-32 itself.
- `murmur` takes its seed from the length; `jenkins` begins at 13.

The functions whose names begin with an underscore do the arithmetic. They are written so that a
value may be a number, for one key, or a column of numpy's, for many keys of one length
(`vectors.py`). Follows `src/hashkit` of twemproxy 0.5.0.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import md5 as _md5
from typing import Any
from zlib import crc32 as _crc32

# A number below 2**32, or an array of such.
Word = Any
Hash = Callable[[bytes], int]

DEFAULT_HASH = "fnv1a_64"
MASK = 0xFFFFFFFF
FNV_64_START = 0xCBF29CE484222325 & MASK
FNV_64_PRIME = 0x100000001B3 & MASK
FNV_32_START = 2166136261
FNV_32_PRIME = 16777619
MURMUR_FACTOR = 0x5BD1E995
SEED = 0xDEADBEEF
JENKINS_START = 13
SHORT_KEY = 16


def one_at_a_time(key: bytes) -> int:
    """Bob Jenkins's hash that takes a byte at a time."""
    return int(_one_at_a_time(signed(key)))


def md5(key: bytes) -> int:
    """The first four bytes of the MD5, the lowest first."""
    return int.from_bytes(_md5(key, usedforsecurity=False).digest()[:4], "little")


def crc16(key: bytes) -> int:
    """The CRC-16 of XMODEM in the low half, and above it what was shifted out of it last."""
    # What is four bytes back has left the accumulator, so the library can do all before it.
    return int(_crc16(crc_hqx(key[:-4], 0), key[-4:]))


def crc32(key: bytes) -> int:
    """Bits 16 to 30 of the CRC-32."""
    return _crc32(key) >> 16 & 0x7FFF


def crc32a(key: bytes) -> int:
    """The CRC-32 of zlib."""
    return _crc32(key)


def fnv1_64(key: bytes) -> int:
    """The low half of FNV-1 with 64 bits."""
    return int(_fnv1(FNV_64_START, FNV_64_PRIME, signed(key)))


def fnv1a_64(key: bytes) -> int:
    """The low half of FNV-1a with 64 bits; what is taken unless the file says otherwise."""
    # Most keys are like that, and a proxy hashes each that it does not know: nothing is cut off
    # until the end, where it cannot grow long meanwhile.
    if len(key) <= SHORT_KEY and key.isascii():
        value = FNV_64_START
        for byte in key:
            value = (value ^ byte) * FNV_64_PRIME
        return value & MASK
    return int(_fnv1a(FNV_64_START, FNV_64_PRIME, signed(key)))


def fnv1_32(key: bytes) -> int:
    """FNV-1 with 32 bits."""
    return int(_fnv1(FNV_32_START, FNV_32_PRIME, signed(key)))


def fnv1a_32(key: bytes) -> int:
    """FNV-1a with 32 bits."""
    return int(_fnv1a(FNV_32_START, FNV_32_PRIME, signed(key)))


def hsieh(key: bytes) -> int:
    """Paul Hsieh's SuperFastHash; 0 for nothing."""
    return int(_hsieh(words(key), len(key)))


def murmur(key: bytes) -> int:
    """The first Murmur hash with 32 bits, MurmurHash2."""
    return int(_murmur(words(key), len(key)))


def jenkins(key: bytes) -> int:
    """Bob Jenkins's lookup3."""
    return int(_jenkins(words(key), len(key)))


HASHES: dict[str, Hash] = {
    function.__name__: function
    for function in (
        one_at_a_time,
        md5,
        crc16,
        crc32,
        crc32a,
        fnv1_64,
        fnv1a_64,
        fnv1_32,
        fnv1a_32,
        hsieh,
        murmur,
        jenkins,
    )
}
"""All of them by name, in the order in which nutcracker lists them."""


def hash_named(name: str) -> Hash:
    """The function of a name.

    Raises:
        ValueError: there is none; the message says which there are.
    """
    function = HASHES.get(name)
    if function is None:
        raise ValueError(f"{name!r} is not a valid hash; there are {', '.join(HASHES)}")
    return function


def signed(key: bytes) -> Sequence[int]:
    """The bytes of a key as signed characters, -128 to 127."""
    return key if key.isascii() else memoryview(key).cast("b")


def words(key: bytes) -> Sequence[int]:
    """The bytes of a key as words of 32 bits, lowest byte first, with zeros after the last."""
    count = len(key) + 3 >> 2
    return struct.unpack(f"<{count}I", key.ljust(count * 4, b"\0"))


def _crc16(value: Word, characters: Iterable[Word]) -> Word:
    for byte in characters:
        index = (value >> 8 ^ byte) & 0xFF
        index = index ^ index >> 4
        # The polynomial x^16 + x^12 + x^5 + 1, four bits at a time and both at once.
        value = value << 8 & MASK ^ (index << 12 ^ index << 5 ^ index) & 0xFFFF
    return value


def _fnv1(value: Word, prime: int, characters: Iterable[Word]) -> Word:
    for byte in characters:
        value = (value * prime & MASK ^ byte) & MASK
    return value


def _fnv1a(value: Word, prime: int, characters: Iterable[Word]) -> Word:
    for byte in characters:
        value = (value ^ byte) * prime & MASK
    return value


def _one_at_a_time(characters: Iterable[Word]) -> Word:
    value: Word = 0
    for byte in characters:
        value = value + byte & MASK
        value = value + (value << 10) & MASK
        value = value ^ value >> 6
    value = value + (value << 3) & MASK
    value = value ^ value >> 11
    return value + (value << 15) & MASK


def _hsieh(key: Sequence[Word], length: int) -> Word:
    value: Word = 0
    if not length:
        return value
    for word in key[: length >> 2]:
        value = value + (word & 0xFFFF) & MASK
        value = value << 16 & MASK ^ (word >> 16) << 11 ^ value
        value = value + (value >> 11) & MASK
    if tail := length & 3:
        last = key[-1]
        value = value + (last & 0xFFFF) & MASK
        if tail == 3:
            value = value ^ value << 16 & MASK
            third = (last >> 16 ^ 0x80) - 0x80  # a signed character
            value = (value ^ third << 18) & MASK
            value = value + (value >> 11) & MASK
        elif tail == 2:
            value = value ^ value << 11 & MASK
            value = value + (value >> 17) & MASK
        else:
            value = value ^ value << 10 & MASK
            value = value + (value >> 1) & MASK
    value = value ^ value << 3 & MASK
    value = value + (value >> 5) & MASK
    value = value ^ value << 4 & MASK
    value = value + (value >> 17) & MASK
    value = value ^ value << 25 & MASK
    return value + (value >> 6) & MASK


def _murmur(key: Sequence[Word], length: int) -> Word:
    value: Word = SEED * length & MASK ^ length
    for word in key[: length >> 2]:
        mixed = word * MURMUR_FACTOR & MASK
        mixed = (mixed ^ mixed >> 24) * MURMUR_FACTOR & MASK
        value = value * MURMUR_FACTOR & MASK ^ mixed
    if length & 3:
        value = (value ^ key[-1]) * MURMUR_FACTOR & MASK
    value = (value ^ value >> 13) * MURMUR_FACTOR & MASK
    return value ^ value >> 15


def _jenkins(key: Sequence[Word], length: int) -> Word:
    a: Word = SEED + length + JENKINS_START & MASK
    b: Word = a
    c: Word = a
    if not length:
        return c
    # Three words at a time; the last one to three, of 1 to 12 bytes, are mixed in another way.
    whole = (length - 1) // 12 * 3
    for at in range(0, whole, 3):
        a, b, c = a + key[at] & MASK, b + key[at + 1] & MASK, c + key[at + 2] & MASK
        a, c = a - c & MASK ^ _turned(c, 4), c + b & MASK
        b, a = b - a & MASK ^ _turned(a, 6), a + c & MASK
        c, b = c - b & MASK ^ _turned(b, 8), b + a & MASK
        a, c = a - c & MASK ^ _turned(c, 16), c + b & MASK
        b, a = b - a & MASK ^ _turned(a, 19), a + c & MASK
        c, b = c - b & MASK ^ _turned(b, 4), b + a & MASK
    rest = key[whole:]
    a = a + rest[0] & MASK
    b = b + rest[1] & MASK if len(rest) > 1 else b
    c = c + rest[2] & MASK if len(rest) > 2 else c
    c = (c ^ b) - _turned(b, 14) & MASK
    a = (a ^ c) - _turned(c, 11) & MASK
    b = (b ^ a) - _turned(a, 25) & MASK
    c = (c ^ b) - _turned(b, 16) & MASK
    a = (a ^ c) - _turned(c, 4) & MASK
    b = (b ^ a) - _turned(a, 14) & MASK
    return (c ^ b) - _turned(b, 24) & MASK


def _turned(value: Word, bits: int) -> Word:
    """A word turned to the left."""
    return value << bits & MASK | value >> 32 - bits


BY_CHARACTERS: dict[str, Callable[[Iterable[Word]], Word]] = {
    "one_at_a_time": _one_at_a_time,
    "crc16": partial(_crc16, 0),
    "fnv1_64": partial(_fnv1, FNV_64_START, FNV_64_PRIME),
    "fnv1a_64": partial(_fnv1a, FNV_64_START, FNV_64_PRIME),
    "fnv1_32": partial(_fnv1, FNV_32_START, FNV_32_PRIME),
    "fnv1a_32": partial(_fnv1a, FNV_32_START, FNV_32_PRIME),
}
"""The arithmetic of those that take a key by signed characters."""

BY_WORDS: dict[str, Callable[[Sequence[Word], int], Word]] = {
    "hsieh": _hsieh,
    "murmur": _murmur,
    "jenkins": _jenkins,
}
"""The arithmetic of those that take a key by words and its length, which is not 0."""
