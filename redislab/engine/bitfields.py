"""BITFIELD and BITFIELD_RO: integers of any width in a string (`src/bitops.c` of Redis 7.0).

All operations of a call are parsed before the first is run, so a wrong one means that none is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from redislab.engine.arguments import parse_int
from redislab.engine.bitmaps import parse_offset, room_for
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.strings import String
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import INT64_MAX
from redislab.wire.resp import NULL, array, integer

_BAD_TYPE = (
    "ERR Invalid bitfield type. Use something like i16 u8. "
    "Note that u64 is not supported but i64 is."
)
_BAD_OVERFLOW = "ERR Invalid OVERFLOW type specified"
_READ_ONLY = "ERR BITFIELD_RO only supports the GET subcommand"


@dataclass(frozen=True, slots=True)
class Field:
    """An integer's place: its width in bits, whether it has a sign, and its first bit."""

    signed: bool
    width: int
    offset: int

    @property
    def least(self) -> int:
        """The smallest number it can hold."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def most(self) -> int:
        """The largest number it can hold."""
        return (1 << (self.width - self.signed)) - 1

    def wrap(self, number: int) -> int:
        """A number cut to the width, as two's complement."""
        number &= (1 << self.width) - 1
        if self.signed and number > self.most:
            number -= 1 << self.width
        return number

    def read(self, value: String) -> int:
        """The number in a string; bits beyond its end are zero."""
        piece = bytes(value[self._bytes]).ljust(self._length, b"\0")
        return self.wrap(int.from_bytes(piece, "big") >> self._shift)

    def write(self, string: bytearray, number: int) -> None:
        """Put a number into a string that is long enough."""
        mask = ((1 << self.width) - 1) << self._shift
        whole = int.from_bytes(string[self._bytes], "big") & ~mask
        whole |= (number << self._shift) & mask
        string[self._bytes] = whole.to_bytes(self._length, "big")

    @property
    def last_bit(self) -> int:
        """The last bit that belongs to it."""
        return self.offset + self.width - 1

    @property
    def _length(self) -> int:
        return (self.last_bit >> 3) - (self.offset >> 3) + 1

    @property
    def _bytes(self) -> slice:
        return slice(self.offset >> 3, (self.last_bit >> 3) + 1)

    @property
    def _shift(self) -> int:
        return 7 - (self.last_bit & 7)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a call: `get`, `set` or `incrby`, and what to do on overflow."""

    name: bytes
    field: Field
    operand: int
    overflow: bytes

    def result(self, before: int) -> int | None:
        """The number to write, or None where an overflow is to fail."""
        # SET takes a negative number for an unsigned field as the large one with the same bits.
        wanted = self.operand if self.name == b"set" else before + self.operand
        if self.name == b"set" and not self.field.signed:
            wanted %= 1 << 64
        if self.field.least <= wanted <= self.field.most:
            return wanted
        if self.overflow == b"fail":
            return None
        if self.overflow == b"sat":
            # How far SET's number is from the most there is does not fit into 64 bits for the least
            # of all numbers: Redis takes them for too large.
            wraps = self.name == b"set" and self.field.most - wanted > INT64_MAX
            is_large = wanted > self.field.most or wraps
            return self.field.most if is_large else self.field.least
        return self.field.wrap(wanted)


@command("bitfield")
def bitfield(c: Caller, args: list[bytes]) -> Reply:
    """BITFIELD key [GET type offset] [[OVERFLOW ...] SET|INCRBY type offset value] ..."""
    operations = list(_parse(c, args))
    if all(operation.name == b"get" for operation in operations):
        return _read(c, args[1], operations)
    last_bit = max(each.field.last_bit for each in operations if each.name != b"get")
    string, grown = room_for(c, args[1], last_bit)
    changes = 0
    replies = []
    for operation in operations:
        field = operation.field
        before = field.read(string)
        if operation.name == b"get":
            replies.append(integer(before))
            continue
        after = operation.result(before)
        if after is None:
            replies.append(NULL[c.resp])
            continue
        field.write(string, after)
        changes += grown or before != after
        replies.append(integer(before if operation.name == b"set" else after))
    if changes:
        c.db.changed(args[1], b"setbit", changes)
    return array(replies)


@command("bitfield_ro")
def bitfield_ro(c: Caller, args: list[bytes]) -> Reply:
    """BITFIELD_RO key [GET type offset] ..."""
    operations = list(_parse(c, args))
    if any(operation.name != b"get" for operation in operations):
        raise CommandError(_READ_ONLY)
    return _read(c, args[1], operations)


def _read(c: Caller, key: bytes, operations: list[Operation]) -> Reply:
    value = c.db.string_read(key) or b""
    return array([integer(operation.field.read(value)) for operation in operations])


def _parse(c: Caller, args: list[bytes]) -> Iterator[Operation]:
    overflow = b"wrap"
    at = 2
    while at < len(args):
        name = args[at].lower()
        left = len(args) - at - 1
        if name == b"overflow" and left >= 1:
            overflow = args[at + 1].lower()
            if overflow not in {b"wrap", b"sat", b"fail"}:
                raise CommandError(_BAD_OVERFLOW)
            at += 2
        elif (name == b"get" and left >= 2) or (name in {b"set", b"incrby"} and left >= 3):
            field = _parse_field(c, args[at + 1], args[at + 2])
            operand = 0 if name == b"get" else parse_int(args[at + 3])
            yield Operation(name, field, operand, overflow)
            at += 3 if name == b"get" else 4
        else:
            raise syntax_error()


def _parse_field(c: Caller, kind: bytes, offset: bytes) -> Field:
    signed = kind[:1] == b"i"
    if kind[:1] not in {b"i", b"u"}:
        raise CommandError(_BAD_TYPE)
    width = parse_int(kind[1:], _BAD_TYPE)
    if not 1 <= width <= (64 if signed else 63):
        raise CommandError(_BAD_TYPE)
    return Field(signed, width, parse_offset(c, offset, width))
