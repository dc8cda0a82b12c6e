"""Strings: SET, GET, INCR and their kin, as `src/t_string.c` of Redis 7.0 has them.

A string is `bytes`. A command that changes one in place (APPEND, SETRANGE, SETBIT) makes it a
`bytearray` first, which is where Redis goes over to its `raw` encoding; `writable_string` does that
for all of them.

GET, SET, INCR and MSET are what benchmarks measure: they have quick paths, and nothing else happens
on those. LCS, long as it is, stands in `lcs.py`.
"""

from __future__ import annotations

from redislab.engine import longdouble
from redislab.engine.arguments import parse_int
from redislab.engine.errors import (
    NOT_FLOAT,
    WOULD_OVERFLOW,
    CommandError,
    syntax_error,
    wrong_arity,
    wrong_type,
)
from redislab.engine.keyspace import Engine
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import INT64_MAX, INT64_MIN
from redislab.wire.resp import EMPTY_BULK, NULL, OK, ONE, ZERO, bulk, integer

String = bytes | bytearray

TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
_NOT_FINITE = "ERR increment would produce NaN or Infinity"
_MILLISECONDS = {b"ex": 1000, b"exat": 1000, b"px": 1, b"pxat": 1}
_SAFE_DIGITS = 19  # a positive number of fewer digits fits into 64 bits, and so does the next
_ZERO_DIGIT = ord("0")
_RELATIVE = frozenset({b"ex", b"px"})


# -- one whole value ----------------------------------------------------------------------------


@command("get")
def get(c: Caller, args: list[bytes]) -> Reply:
    """GET key."""
    db = c.db
    if db.expires or db.accessed is not None:
        value = db.lookup_read(args[1])
    else:
        value = db.values.get(args[1])
        if value is None:
            db.missed(args[1])
        else:
            db.engine.hits += 1
    if value is None:
        return NULL[c.resp]
    if type(value) is not bytes and type(value) is not bytearray:
        raise wrong_type()
    return bulk(value)


@command("set")
def set_(c: Caller, args: list[bytes]) -> Reply:
    """SET key value [NX|XX] [GET] [EX|PX|EXAT|PXAT time | KEEPTTL]."""
    if len(args) > 3:
        return _set_with_options(c, args)
    db = c.db
    key = args[1]
    if db.expires or db.awaited or db.accessed is not None:
        _overwrite(c, key, args[2])
    else:
        db.values[key] = args[2]
    engine = c.engine
    engine.dirty += 1  # `changed`, without the call
    if engine.observers:
        db.tell(key, b"set")
    return OK


@command("setnx")
def setnx(c: Caller, args: list[bytes]) -> Reply:
    """SETNX key value."""
    key = args[1]
    if c.db.lookup(key) is not None:
        return ZERO
    _overwrite(c, key, args[2])
    c.db.changed(key, b"set")
    return ONE


@command("setex")
def setex(c: Caller, args: list[bytes]) -> Reply:
    """SETEX key seconds value."""
    return _set_and_expire(c, args[1], args[3], _deadline(c.engine, "setex", b"ex", args[2]))


@command("psetex")
def psetex(c: Caller, args: list[bytes]) -> Reply:
    """PSETEX key milliseconds value."""
    return _set_and_expire(c, args[1], args[3], _deadline(c.engine, "psetex", b"px", args[2]))


@command("getset")
def getset(c: Caller, args: list[bytes]) -> Reply:
    """GETSET key value."""
    reply = get(c, args)
    _overwrite(c, args[1], args[2])
    c.db.changed(args[1], b"set")
    c.rewrite(b"SET", args[1], args[2])
    return reply


@command("getdel")
def getdel(c: Caller, args: list[bytes]) -> Reply:
    """GETDEL key."""
    reply = get(c, args)
    if c.db.remove(args[1]):
        c.db.changed(args[1], b"del")
        c.rewrite(b"DEL", args[1])
    return reply


@command("getex")
def getex(c: Caller, args: list[bytes]) -> Reply:
    """GETEX key [EX|PX|EXAT|PXAT time | PERSIST]."""
    options = _Options(args, 2)
    db = c.db
    key = args[1]
    value = db.string_read(key)
    if value is None:
        return NULL[c.resp]
    if options.time is not None:
        at_ms = _deadline(c.engine, "getex", options.unit, options.time)
        gone = options.unit not in _RELATIVE and at_ms <= c.engine.now_ms()
        if gone and c.engine.expires_by_itself:
            db.remove(key)
            db.changed(key, b"del")
            c.rewrite(b"DEL", key)
        else:
            db.set_expiry(key, at_ms)
            db.changed(key, b"expire")
            c.rewrite(b"PEXPIREAT", key, b"%d" % at_ms)
    elif options.persist and db.expires.pop(key, None) is not None:
        db.changed(key, b"persist")
        c.rewrite(b"PERSIST", key)
    return bulk(value)


@command("strlen")
def strlen(c: Caller, args: list[bytes]) -> Reply:
    """STRLEN key."""
    value = c.db.string_read(args[1])
    return integer(0 if value is None else len(value))


# -- several values -----------------------------------------------------------------------------


@command("mget")
def mget(c: Caller, args: list[bytes]) -> Reply:
    """MGET key [key ...]: null for what is missing and for what is no string."""
    lookup = c.db.lookup_read
    null = NULL[c.resp]
    parts = [b"*%d\r\n" % (len(args) - 1)]
    for key in args[1:]:
        value = lookup(key)
        if type(value) is bytes or type(value) is bytearray:
            parts.append(b"$%d\r\n%b\r\n" % (len(value), value))
        else:
            parts.append(null)
    return b"".join(parts)


@command("mset")
def mset(c: Caller, args: list[bytes]) -> Reply:
    """MSET key value [key value ...]."""
    if len(args) % 2 == 0:
        raise wrong_arity("mset")
    _set_all(c, args)
    return OK


@command("msetnx")
def msetnx(c: Caller, args: list[bytes]) -> Reply:
    """MSETNX key value [key value ...]: all or, if one of the keys exists, none."""
    if len(args) % 2 == 0:
        raise wrong_arity("msetnx")
    if any(c.db.lookup(key) is not None for key in args[1::2]):
        return ZERO
    _set_all(c, args)
    return ONE


# -- parts of a value ---------------------------------------------------------------------------


@command("append")
def append(c: Caller, args: list[bytes]) -> Reply:
    """APPEND key value."""
    db = c.db
    key, tail = args[1], args[2]
    value = db.string(key)
    if value is None:
        db.values[key] = tail
        length = len(tail)
    else:
        length = check_length(c.engine, len(value) + len(tail))
        string = writable_string(c, key, value)
        string += tail
    db.changed(key, b"append")
    return integer(length)


@command("setrange")
def setrange(c: Caller, args: list[bytes]) -> Reply:
    """SETRANGE key offset value: zero bytes fill a gap."""
    db = c.db
    key, piece = args[1], args[3]
    offset = parse_int(args[2])
    if offset < 0:
        raise CommandError("ERR offset is out of range")
    value = db.string(key)
    if not piece:
        return integer(0 if value is None else len(value))
    end = check_length(c.engine, offset + len(piece))
    string = writable_string(c, key, value)
    if len(string) < end:
        string.extend(bytes(end - len(string)))
    string[offset:end] = piece
    db.changed(key, b"setrange")
    return integer(len(string))


@command("getrange", "substr")
def getrange(c: Caller, args: list[bytes]) -> Reply:
    """GETRANGE key start end: both included, negative ones count from the end."""
    start, end = parse_int(args[2]), parse_int(args[3])
    value = c.db.string_read(args[1])
    if not value or (start < 0 and end < 0 and start > end):
        return EMPTY_BULK
    length = len(value)
    start = max(start + length if start < 0 else start, 0)
    end = max(end + length if end < 0 else end, 0)
    return bulk(value[start : end + 1])


# -- numbers ------------------------------------------------------------------------------------


@command("incr")
def incr(c: Caller, args: list[bytes]) -> Reply:
    """INCR key."""
    db, key = c.db, args[1]
    value = db.values.get(key)
    if (
        type(value) is bytes
        and not db.expires
        and db.accessed is None
        and value.isdigit()
        and len(value) < _SAFE_DIGITS
        and value[0] != _ZERO_DIGIT
    ):
        text = db.values[key] = b"%d" % (int(value) + 1)
        engine = c.engine
        engine.dirty += 1
        if engine.observers:
            db.tell(key, b"incrby")
        return b":%b\r\n" % text
    return _increase(c, key, 1)


@command("decr")
def decr(c: Caller, args: list[bytes]) -> Reply:
    """DECR key."""
    return _increase(c, args[1], -1)


@command("incrby")
def incrby(c: Caller, args: list[bytes]) -> Reply:
    """INCRBY key increment."""
    return _increase(c, args[1], parse_int(args[2]))


@command("decrby")
def decrby(c: Caller, args: list[bytes]) -> Reply:
    """DECRBY key decrement."""
    by = parse_int(args[2])
    if by == INT64_MIN:
        raise CommandError("ERR decrement would overflow")
    return _increase(c, args[1], -by)


@command("incrbyfloat")
def incrbyfloat(c: Caller, args: list[bytes]) -> Reply:
    """INCRBYFLOAT key increment: in the arithmetic of a C `long double`."""
    db = c.db
    key = args[1]
    value = db.string(key)
    number = longdouble.parse(b"0" if value is None else value)
    by = longdouble.parse(args[2])
    if number is None or by is None:
        raise CommandError(NOT_FLOAT)
    total = longdouble.add(number, by)
    if total is None or isinstance(total, float):
        raise CommandError(_NOT_FINITE)
    text = longdouble.human(total)
    db.values[key] = text
    db.changed(key, b"incrbyfloat")
    c.rewrite(b"SET", key, text, b"KEEPTTL")
    return bulk(text)


# -- shared with the other families on strings --------------------------------------------------


def writable_string(c: Caller, key: bytes, value: String | None) -> bytearray:
    """The string at a key to be changed in place; `value` is what the key holds now."""
    if type(value) is bytearray:
        return value
    string = c.db.values[key] = bytearray(value or b"")
    return string


def check_length(engine: Engine, length: int) -> int:
    """The length that a string is going to have.

    Raises:
        CommandError: when it is above `proto-max-bulk-len`.
    """
    if length > engine.proto_max_bulk_len and not engine.must_obey:
        raise CommandError(TOO_LONG)
    return length


# -- helpers ------------------------------------------------------------------------------------


class _Options:
    """The words after SET's value or GETEX's key (`parseExtendedStringArgumentsOrReply`).

    Words that exclude each other are a syntax error, the same word again is not: the last one
    counts.
    """

    __slots__ = ("condition", "get", "keep_ttl", "persist", "time", "unit")

    def __init__(self, args: list[bytes], first: int) -> None:
        self.condition = self.unit = b""
        self.time: bytes | None = None
        self.get = self.keep_ttl = self.persist = False
        is_set = first == 3
        at = first
        while at < len(args):
            word = args[at].lower()
            at += 1
            if word in _MILLISECONDS and at < len(args) and self._may_expire(word):
                self.unit, self.time = word, args[at]
                at += 1
            elif word == b"persist" and not is_set and not self.unit:
                self.persist = True
            elif not is_set:
                raise syntax_error()
            elif word == b"get":
                self.get = True
            elif word == b"keepttl" and not self.unit:
                self.keep_ttl = True
            elif word in {b"nx", b"xx"} and self.condition in {b"", word}:
                self.condition = word
            else:
                raise syntax_error()

    def _may_expire(self, unit: bytes) -> bool:
        return self.unit in {b"", unit} and not self.keep_ttl and not self.persist


def _set_with_options(c: Caller, args: list[bytes]) -> Reply:
    db = c.db
    key = args[1]
    options = _Options(args, 3)
    at_ms = None
    if options.time is not None:
        at_ms = _deadline(c.engine, "set", options.unit, options.time)
    reply: Reply = OK
    if options.get:
        reply = get(c, args)
    if options.condition:
        found = db.lookup(key) is not None
        if found == (options.condition == b"nx"):
            return reply if options.get else NULL[c.resp]
    if at_ms is not None:
        _set_and_expire(c, key, args[2], at_ms)
        return reply
    _overwrite(c, key, args[2], keep_ttl=options.keep_ttl)
    db.changed(key, b"set")
    if options.get:
        c.rewrite(*args[:3], *(word for word in args[3:] if word.lower() != b"get"))
    return reply


def _set_and_expire(c: Caller, key: bytes, value: bytes, at_ms: int) -> Reply:
    """Set a key that is to expire; replicas get the time it happens, not the time left."""
    _overwrite(c, key, value)
    c.db.changed(key, b"set")
    c.db.set_expiry(key, at_ms)
    c.db.changed(key, b"expire", 0)
    c.rewrite(b"SET", key, value, b"PXAT", b"%d" % at_ms)
    return OK


def _overwrite(c: Caller, key: bytes, value: bytes, *, keep_ttl: bool = False) -> None:
    """Set a key whatever it held, as Redis' `setKey` does."""
    db = c.db
    db.lookup(key)  # a key whose time has come is first removed as expired
    db.signal_gone(key)
    db.values[key] = value
    if not keep_ttl:
        db.expires.pop(key, None)


def _set_all(c: Caller, args: list[bytes]) -> None:
    """Set the keys and values after the command's name."""
    db = c.db
    words = iter(args)
    next(words)
    if db.expires or db.awaited or db.accessed is not None or c.engine.observers:
        for key, value in zip(words, words, strict=True):
            _overwrite(c, key, value)
            db.changed(key, b"set")
    else:
        db.values.update(zip(words, words, strict=True))
        c.engine.dirty += len(args) // 2


def _deadline(engine: Engine, name: str, unit: bytes, text: bytes) -> int:
    """When a key is to expire, in milliseconds since the epoch, from a time as SET takes it.

    Raises:
        CommandError: the time is no integer, not positive, or too far away.
    """
    at_ms = parse_int(text) * _MILLISECONDS[unit]
    if unit in _RELATIVE and 0 < at_ms <= INT64_MAX:
        at_ms += engine.now_ms()
    if not 0 < at_ms <= INT64_MAX:
        raise CommandError(f"ERR invalid expire time in '{name}' command")
    return at_ms


def _increase(c: Caller, key: bytes, by: int) -> bytes:
    """Add to the integer at a key, from 0 if there is none; its expiry stays."""
    value = c.db.string(key)
    number = (0 if value is None else parse_int(value)) + by
    if not INT64_MIN <= number <= INT64_MAX:
        raise CommandError(WOULD_OVERFLOW)
    c.db.values[key] = b"%d" % number
    c.db.changed(key, b"incrby")
    return integer(number)
