"""SCAN, HSCAN, SSCAN and ZSCAN (`scanGenericCommand` in `src/db.c` of Redis 7.0).

What Redis promises of a full iteration, from cursor 0 back to cursor 0: every element that was
there all the time is returned, however much others come and go, and the server keeps nothing for
the client. Redis gets there by walking the buckets of its hash table in a clever order. Here
elements are walked in the order of a checksum of their names, and the cursor is the checksum to go
on from: it means the same whatever else has changed, and whoever asks.

`scan_index.py` keeps the elements in that order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError, syntax_error, wrong_type
from redislab.engine.glob import compiled
from redislab.engine.keys import type_name
from redislab.engine.keyspace import Engine
from redislab.engine.scan_index import Keys, index_of
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import HashValue, SetValue, SortedSetValue
from redislab.wire.resp import array, bulk, bulks

_CURSOR_MAX = 2**64 - 1
_WHOLE_MAX = 2.0**62  # beyond this Redis does not try to see a score as an integer
_DEFAULT_COUNT = 10
_EMPTY = array([bulk(b"0"), bulks([])])


# -- commands -----------------------------------------------------------------------------------


@command("scan")
def scan(c: Caller, args: list[bytes]) -> Reply:
    """SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]."""
    db = c.db
    cursor = _parse_cursor(args[1])
    options = _Options(args, 2, takes_type=True)
    cursor, found = _step(c.engine, db.values, cursor, options.count)
    kept = []
    for key in found:
        if key not in db.values or not options.fits(key):
            continue
        if options.type_name is not None and type_name(db.peek_read(key)) != options.type_name:
            continue
        if not db.expire_if_due(key):
            kept.append(key)
    return _reply(cursor, kept)


@command("sscan")
def sscan(c: Caller, args: list[bytes]) -> Reply:
    """SSCAN key cursor [MATCH pattern] [COUNT count]."""
    cursor, value, options = _prepare(c, args, SetValue)
    if value is None:
        return _EMPTY
    if value.integers:
        cursor, found = 0, sorted(value, key=int)
    else:
        cursor, found = _step(c.engine, value.places, cursor, options.count)
    return _reply(cursor, [each for each in found if each in value and options.fits(each)])


@command("hscan")
def hscan(c: Caller, args: list[bytes]) -> Reply:
    """HSCAN key cursor [MATCH pattern] [COUNT count]: fields and values."""
    cursor, value, options = _prepare(c, args, HashValue)
    if value is None:
        return _EMPTY
    if value.packed:
        cursor, found = 0, list(value)
    else:
        cursor, found = _step(c.engine, value, cursor, options.count)
    pairs: list[bytes] = []
    for field in found:
        if field in value and options.fits(field):
            pairs += (field, value[field])
    return _reply(cursor, pairs)


@command("zscan")
def zscan(c: Caller, args: list[bytes]) -> Reply:
    """ZSCAN key cursor [MATCH pattern] [COUNT count]: members and scores."""
    cursor, value, options = _prepare(c, args, SortedSetValue)
    if value is None:
        return _EMPTY
    shown: Callable[[float], bytes]
    if value.packed:
        cursor, found, shown = 0, list(value), _listpack_format
    else:
        cursor, found = _step(c.engine, value.scores, cursor, options.count)
        shown = _general_format
    pairs: list[bytes] = []
    for member in found:
        if member in value and options.fits(member):
            pairs += (member, shown(value.scores[member]))
    return _reply(cursor, pairs)


def _step(engine: Engine, names: Keys, cursor: int, count: int) -> tuple[int, list[bytes]]:
    """One step of an iteration over these names.

    The index is brought up to date when an iteration begins, not in the middle of one: elements
    that came later need not be returned.
    """
    return index_of(engine, names, fresh=cursor == 0).step(cursor, count)


# -- arguments and replies ----------------------------------------------------------------------


class _Options:
    """MATCH, COUNT and, for SCAN itself, TYPE."""

    __slots__ = ("_fullmatch", "count", "type_name")

    def __init__(self, args: list[bytes], first: int, *, takes_type: bool = False) -> None:
        self.count = _DEFAULT_COUNT
        self.type_name: bytes | None = None
        pattern = b"*"
        at = first
        while at < len(args):
            name = args[at].lower()
            if at + 1 == len(args):
                raise syntax_error()
            if name == b"count":
                self.count = parse_int(args[at + 1])
                if self.count < 1:
                    raise syntax_error()
            elif name == b"match":
                pattern = args[at + 1]
            elif name == b"type" and takes_type:
                self.type_name = args[at + 1].lower()
            else:
                raise syntax_error()
            at += 2
        self._fullmatch = None if pattern == b"*" else compiled(pattern).fullmatch

    def fits(self, name: bytes) -> bool:
        """Whether MATCH lets a name through."""
        return self._fullmatch is None or self._fullmatch(name) is not None


def _prepare(c: Caller, args: list[bytes], kind: type) -> tuple[int, Any, _Options]:
    """Cursor, value and options of HSCAN and its kin; without a key the options do not matter."""
    cursor = _parse_cursor(args[2])
    value = c.db.lookup_read(args[1])
    if value is None:
        return cursor, None, _Options([], 0)
    if type(value) is not kind:
        raise wrong_type()
    return cursor, value, _Options(args, 3)


def _parse_cursor(text: bytes) -> int:
    """A cursor as C's `strtoul` reads it: a sign is taken, and an empty text is zero."""
    digits = text.partition(b"\0")[0]
    if not digits:
        return 0
    unsigned = digits[1:] if digits[:1] in {b"+", b"-"} else digits
    if not unsigned.isdigit() or len(unsigned) > 64 or int(unsigned) > _CURSOR_MAX:
        raise CommandError("ERR invalid cursor")
    number = int(unsigned)
    return -number % (_CURSOR_MAX + 1) if digits[:1] == b"-" else number


def _reply(cursor: int, items: list[bytes]) -> bytes:
    return array([bulk(b"%d" % cursor), bulks(items)])


def _listpack_format(score: float) -> bytes:
    """A score as a listpack holds it: whole numbers are stored as integers."""
    if abs(score) <= _WHOLE_MAX and score == int(score):
        return b"%d" % int(score)
    return b"%.17g" % score


def _general_format(score: float) -> bytes:
    """A score as `%.17Lg` writes it: of a large sorted set Redis shows them in this form."""
    return b"%.17g" % score
