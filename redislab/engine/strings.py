"""Strings: SET, GET, INCR and their kin, as `src/t_string.c` of Redis 7.0 has them."""

from __future__ import annotations

from redislab.engine.arguments import parse_int
from redislab.engine.errors import WOULD_OVERFLOW, CommandError, wrong_type
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import INT64_MAX, INT64_MIN
from redislab.wire.resp import NULL, OK, integer


@command("get")
def get(c: Caller, args: list[bytes]) -> Reply:
    """GET key."""
    value = c.db.lookup_read(args[1])
    if value is None:
        return NULL[c.resp]
    if type(value) is not bytes and type(value) is not bytearray:
        raise wrong_type()
    return b"$%d\r\n%b\r\n" % (len(value), value)


@command("set")
def set_(c: Caller, args: list[bytes]) -> Reply:
    """SET key value [...]."""
    db = c.db
    key = args[1]
    db.values[key] = args[2]
    if db.expires:
        db.expires.pop(key, None)
    db.changed(key, b"set")
    return OK


@command("incr")
def incr(c: Caller, args: list[bytes]) -> Reply:
    """INCR key."""
    return _increase(c, args[1], 1)


def _increase(c: Caller, key: bytes, by: int) -> bytes:
    """Add to the integer at a key, from 0 if there is none; its expiry stays."""
    value = c.db.string(key)
    number = (0 if value is None else parse_int(value)) + by
    if not INT64_MIN <= number <= INT64_MAX:
        raise CommandError(WOULD_OVERFLOW)
    c.db.values[key] = b"%d" % number
    c.db.changed(key, b"incrby")
    return integer(number)
