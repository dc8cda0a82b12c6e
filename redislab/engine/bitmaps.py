"""Bitmaps: SETBIT, BITCOUNT, BITOP and their kin on strings (`src/bitops.c` of Redis 7.0).

Bit 0 is the most significant bit of the first byte. Whole strings are counted, combined and
searched as long integers and with the searches of `bytes`, never a byte at a time. BITFIELD stands
in `bitfields.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import and_, or_, xor

from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.strings import String, writable_string
from redislab.engine.table import Caller, Reply, command
from redislab.wire.resp import ONE, ZERO, integer

BAD_OFFSET = "ERR bit offset is not an integer or out of range"
_BAD_BIT = "ERR bit is not an integer or out of range"
_NOT_TAKES_ONE = "ERR BITOP NOT must be called with a single source key."
_BLOCK_BYTES = 4096  # compared at once
_OPERATIONS: dict[bytes, Callable[[int, int], int]] = {b"and": and_, b"or": or_, b"xor": xor}


@command("setbit")
def setbit(c: Caller, args: list[bytes]) -> Reply:
    """SETBIT key offset bit: the bit before."""
    offset = parse_offset(c, args[2])
    bit = parse_int(args[3], _BAD_BIT)
    if bit not in {0, 1}:
        raise CommandError(_BAD_BIT)
    string, grown = room_for(c, args[1], offset)
    place, mask = offset >> 3, 128 >> (offset & 7)
    before = 1 if string[place] & mask else 0
    if before != bit:
        string[place] ^= mask
    if grown or before != bit:
        c.db.changed(args[1], b"setbit")
    return ONE if before else ZERO


@command("getbit")
def getbit(c: Caller, args: list[bytes]) -> Reply:
    """GETBIT key offset."""
    offset = parse_offset(c, args[2])
    value = c.db.string_read(args[1])
    place = offset >> 3
    if value is None or place >= len(value):
        return ZERO
    return ONE if value[place] & 128 >> (offset & 7) else ZERO


@command("bitcount")
def bitcount(c: Caller, args: list[bytes]) -> Reply:
    """BITCOUNT key [start end [BYTE|BIT]]."""
    value = c.db.string_read(args[1])
    if value is None:
        return ZERO
    if len(args) == 2:
        return integer(_ones(value))
    if len(args) not in {4, 5}:
        raise syntax_error()
    start, end = parse_int(args[2]), parse_int(args[3])
    if start < 0 and end < 0 and start > end:
        return ZERO
    in_bits = len(args) == 5 and _in_bits(args[4])
    first, last = _bit_range(value, start, end, in_bits=in_bits)
    if first > last:
        return ZERO
    return integer(_ones(_clipped(value, first, last, fill=0)))


@command("bitpos")
def bitpos(c: Caller, args: list[bytes]) -> Reply:
    """BITPOS key bit [start [end [BYTE|BIT]]]: where the first such bit stands, or -1."""
    bit = parse_int(args[2])
    if bit not in {0, 1}:
        raise CommandError("ERR The bit argument must be 1 or 0.")
    value = c.db.string_read(args[1])
    if value is None:
        return integer(-1 if bit else 0)
    if len(args) > 6:
        raise syntax_error()
    start = parse_int(args[3]) if len(args) > 3 else 0
    in_bits = len(args) == 6 and _in_bits(args[5])
    end = parse_int(args[4]) if len(args) > 4 else len(value) - 1
    first, last = _bit_range(value, start, end, in_bits=in_bits)
    if first > last:
        return integer(-1)
    base = first & ~7
    found = _first_bit(_clipped(value, first, last, fill=0 if bit else 0xFF), bit)
    if found >= 0:
        return integer(base + found)
    # With no end given the string counts as followed by zeros without end.
    return integer(last + 1 if bit == 0 and len(args) < 5 else -1)


@command("bitop")
def bitop(c: Caller, args: list[bytes]) -> Reply:
    """BITOP AND|OR|XOR|NOT destkey key [key ...]: shorter strings count as filled with zeros."""
    name = args[1].lower()
    if name not in _OPERATIONS and name != b"not":
        raise syntax_error()
    if name == b"not" and len(args) != 4:
        raise CommandError(_NOT_TAKES_ONE)
    db, target = c.db, args[2]
    strings = [db.string_read(key) or b"" for key in args[3:]]
    length = max(len(string) for string in strings)
    if length:
        # Little-endian, so that the zeros Redis fills up with are the leading ones of a number.
        numbers = [int.from_bytes(string, "little") for string in strings]
        if name == b"not":
            result = numbers[0] ^ ((1 << 8 * length) - 1)
        else:
            result = reduce(_OPERATIONS[name], numbers)
        db.put(target, bytearray(result.to_bytes(length, "little")))
        db.changed(target, b"set")
    elif db.remove(target):
        db.changed(target, b"del")
    return integer(length)


# -- shared with BITFIELD -----------------------------------------------------------------------


def parse_offset(c: Caller, text: bytes, width: int = 0) -> int:
    """A bit offset; with a width, `#3` means three times that width.

    Raises:
        CommandError: for anything but a number within `proto-max-bulk-len`.
    """
    if width and text[:1] == b"#":
        offset = parse_int(text[1:], BAD_OFFSET) * width
    else:
        offset = parse_int(text, BAD_OFFSET)
    engine = c.engine
    if offset < 0 or (offset >> 3 >= engine.proto_max_bulk_len and not engine.must_obey):
        raise CommandError(BAD_OFFSET)
    return offset


def room_for(c: Caller, key: bytes, last_bit: int) -> tuple[bytearray, bool]:
    """The string at a key, long enough for this bit; and whether it had to grow."""
    value = c.db.string(key)
    string = writable_string(c, key, value)
    missing = (last_bit >> 3) + 1 - len(string)
    if missing > 0:
        string.extend(bytes(missing))
    return string, value is None or missing > 0


# -- helpers ------------------------------------------------------------------------------------


def _in_bits(unit: bytes) -> bool:
    name = unit.lower()
    if name not in {b"bit", b"byte"}:
        raise syntax_error()
    return name == b"bit"


def _bit_range(value: String, start: int, end: int, *, in_bits: bool) -> tuple[int, int]:
    """First and last bit of a range of bits or bytes; the first is greater if it is empty."""
    total = len(value) * 8 if in_bits else len(value)
    start = max(start + total if start < 0 else start, 0)
    end = min(max(end + total if end < 0 else end, 0), total - 1)
    if in_bits or start > end:
        return start, end
    return start * 8, end * 8 + 7


def _clipped(value: String, first: int, last: int, *, fill: int) -> String:
    """The bytes that hold these bits; the bits beside them in the end bytes are those of `fill`."""
    piece = value[first >> 3 : (last >> 3) + 1]
    if first & 7 == 0 and last & 7 == 7:
        return piece
    piece = bytearray(piece)
    for place, kept in ((0, 0xFF >> (first & 7)), (-1, 0xFF << (7 - (last & 7)) & 0xFF)):
        piece[place] = (piece[place] & kept) | (fill & ~kept)
    return piece


def _ones(value: String) -> int:
    return int.from_bytes(value, "little").bit_count()


def _first_other(value: String, byte: bytes) -> int:
    """The place of the first byte that is not this one; the length of the string if all are."""
    block = byte * _BLOCK_BYTES
    for start in range(0, len(value), _BLOCK_BYTES):
        piece = value[start : start + _BLOCK_BYTES]
        if piece != block:
            found = len(piece) - len(piece.lstrip(byte))
            if found < len(piece):
                return start + found
    return len(value)


def _first_bit(value: String, bit: int) -> int:
    """The place of the first bit with this value, or -1."""
    skipped = _first_other(value, b"\0" if bit else b"\xff")
    if skipped == len(value):
        return -1
    byte = value[skipped] if bit else value[skipped] ^ 0xFF
    return skipped * 8 + 8 - byte.bit_length()
