"""Lengths and strings, read and written (`rdbLoadLen`, `rdbSaveRawString` in `src/rdb.c`, 7.0).

A length takes 1, 2, 5 or 9 bytes. A string is a length and that many bytes; or, told by the first
byte, an integer of 8, 16 or 32 bits whose decimal digits are meant, or a string compressed with
LZF. What reads returns what it found and where that ends, as `feed.py` has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from struct import Struct

from redislab.wire.rdb.faults import INVALID_LZF, RdbError, unknown_length, unknown_string
from redislab.wire.rdb.feed import Short
from redislab.wire.rdb.lzf import decompress
from redislab.wire.rdb.opcodes import (
    ENCODED,
    LENGTH_14_BITS,
    LENGTH_32_BITS,
    LENGTH_64_BITS,
    STRING_INT8,
    STRING_INT16,
    STRING_INT32,
    STRING_LZF,
)

_LENGTH_32 = Struct(">BI")
_LENGTH_64 = Struct(">BQ")
_INTEGER_8 = Struct("<Bb")
_INTEGER_16 = Struct("<Bh")
_INTEGER_32 = Struct("<Bi")

# The longest text that can be an integer of 32 bits, and the digits it ends with.
_INTEGER_TEXT_BYTES = 11
_TOO_SHORT = 20  # bytes of a string that Redis does not try to compress
_ZERO = ord("0")


# -- reading ------------------------------------------------------------------------------------


def read_fixed(data: bytes, at: int, count: int) -> tuple[bytes, int]:
    """A number of bytes as they are."""
    end = at + count
    found = data[at:end]
    if len(found) < count:
        raise Short(at, end)
    return found, end


def read_byte(data: bytes, at: int) -> tuple[int, int]:
    """One byte, as a number."""
    return data[at], at + 1


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """A length; one that announces a string written in another way counts as its last six bits."""
    first = data[at]
    at += 1
    if first < LENGTH_14_BITS:
        return first, at
    if first < LENGTH_32_BITS:
        return (first & 0x3F) << 8 | data[at], at + 1
    if first >= ENCODED:
        return first & 0x3F, at
    if first > LENGTH_64_BITS:
        raise unknown_length(at)
    number, end = read_fixed(data, at, 4 if first == LENGTH_32_BITS else 8)
    return int.from_bytes(number, "big"), end


def read_string(data: bytes, at: int) -> tuple[bytes, int]:
    """A string, however it is written."""
    first = data[at]
    if first < LENGTH_14_BITS:
        at += 1
        end = at + first
    elif first < LENGTH_32_BITS:
        end = ((first & 0x3F) << 8 | data[at + 1]) + at + 2
        at += 2
    elif first < ENCODED:
        length, at = read_length(data, at)
        end = at + length
    else:
        return _read_encoded(data, at, first)
    if end > len(data):
        raise Short(at, end)
    return data[at:end], end


def read_strings(data: bytes, at: int, count: int, found: list[bytes]) -> tuple[Short | None, int]:
    """Add up to `count` strings to a list.

    Returns:
        Why there are fewer, or None if there are not; and where the last one ends.
    """
    size = len(data)
    add = found.append
    try:
        for _ in range(count):
            first = data[at]
            if first < LENGTH_14_BITS:
                begin = at + 1
                end = begin + first
            elif first < LENGTH_32_BITS:
                begin = at + 2
                end = begin + ((first & 0x3F) << 8 | data[at + 1])
            else:
                string, at = read_string(data, at)
                add(string)
                continue
            if end > size:
                return Short(begin, end), at
            add(data[begin:end])
            at = end
    except IndexError:
        return Short(size, size + 1), at
    except Short as short:
        return short, at
    return None, at


def _read_encoded(data: bytes, at: int, first: int) -> tuple[bytes, int]:
    at += 1
    if first == STRING_LZF:
        compressed = data[at]
        if compressed < LENGTH_14_BITS:
            at += 1
        else:
            compressed, at = read_length(data, at)
        length = data[at]
        if length < LENGTH_14_BITS:
            at += 1
        elif length < LENGTH_32_BITS:
            length = (length & 0x3F) << 8 | data[at + 1]
            at += 2
        else:
            length, at = read_length(data, at)
        end = at + compressed
        if end > len(data):
            raise Short(at, end)
        string = decompress(data[at:end], length)
        if string is None:
            raise RdbError(INVALID_LZF, at=end)
        return string, end
    if first > STRING_LZF:
        raise unknown_string(first & 0x3F, at)
    digits, at = read_fixed(data, at, 1 << (first & 3))
    return b"%d" % int.from_bytes(digits, "little", signed=True), at


# -- writing ------------------------------------------------------------------------------------

WriteString = Callable[[bytes], bytes]
Compress = Callable[[bytes], bytes | None]  # None where that saves less than four bytes


def length(number: int) -> bytes:
    """A length, or any number below 2**64."""
    if number < 1 << 6:
        return _SHORT_LENGTHS[number]
    if number < 1 << 14:
        return bytes((LENGTH_14_BITS | number >> 8, number & 0xFF))
    if number < 1 << 32:
        return _LENGTH_32.pack(LENGTH_32_BITS, number)
    return _LENGTH_64.pack(LENGTH_64_BITS, number)


def string(text: bytes) -> bytes:
    """A string: as an integer where it is one of 32 bits at most, else as it is."""
    size = len(text)
    if size <= _INTEGER_TEXT_BYTES and is_spelled_integer(text):
        number = int(text)
        if -(1 << 31) <= number < 1 << 31:
            return _integer(number)
    if size < 1 << 6:
        return _SHORT_LENGTHS[size] + text
    return length(size) + text


def writing(compress: Compress | None) -> WriteString:
    """What writes a string: with something that compresses a longer one where it makes it shorter.

    Args:
        compress: as `lzf.compress`, or nothing.
    """
    if compress is None:
        return string

    def write(text: bytes) -> bytes:
        size = len(text)
        if size > _TOO_SHORT:
            packed = compress(text)
            if packed is not None:
                return b"%c%b%b%b" % (STRING_LZF, length(len(packed)), length(size), packed)
        return string(text)

    return write


def long_string(text: bytes, compress: Compress | None) -> Iterator[bytes]:
    """A string of at least `LONG` bytes in pieces, each of which takes a millisecond or so.

    It is compressed block by block, as if each were a string of its own, which reads as one; not at
    all if one of them does not become shorter. Pieces are empty while that goes on.
    """
    size = len(text)
    starts = range(0, size - LONG + 1, LONG)
    blocks = [*pairwise(starts), (starts[-1], size)]
    packed: list[bytes] = []
    if compress is not None:
        for begin, end in blocks:
            part = compress(text[begin:end])
            if part is None:
                packed.clear()
                break
            packed.append(part)
            yield b""
    if packed:
        yield b"%c%b%b" % (STRING_LZF, length(sum(map(len, packed))), length(size))
        yield from packed
    else:
        yield length(size)
        for begin, end in blocks:
            yield text[begin:end]


LONG = 1 << 18


def is_spelled_integer(text: bytes) -> bool:
    """Whether a text is how an integer is spelled, and not in another way, such as `01` or `-0`."""
    if text.isdigit():
        return text[0] != _ZERO or len(text) == 1
    return text[:1] == b"-" and text[1:].isdigit() and text[1] != _ZERO


def _integer(number: int) -> bytes:
    """A string that is the digits of an integer of 32 bits."""
    if -(1 << 7) <= number < 1 << 7:
        return _INTEGER_8.pack(STRING_INT8, number)
    if -(1 << 15) <= number < 1 << 15:
        return _INTEGER_16.pack(STRING_INT16, number)
    return _INTEGER_32.pack(STRING_INT32, number)


_SHORT_LENGTHS = tuple(bytes((number,)) for number in range(1 << 6))
