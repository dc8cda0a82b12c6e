"""Hashes: HSET, HGET, HINCRBY and their kin, as `src/t_hash.c` of Redis 7.0 has them.

HSCAN stands with the other scans.
"""

from __future__ import annotations

from itertools import chain

from redislab.engine import longdouble
from redislab.engine.arguments import parse_int
from redislab.engine.choice import parse_count_and_flag
from redislab.engine.errors import NOT_FLOAT, WOULD_OVERFLOW, CommandError, wrong_arity
from redislab.engine.scan_index import draw, draw_distinct
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import INT64_MAX, INT64_MIN, HashValue
from redislab.wire.resp import (
    EMPTY_ARRAY,
    EMPTY_MAP,
    NULL,
    OK,
    ONE,
    ZERO,
    array,
    bulk,
    bulks,
    integer,
    nullable_bulks,
)

# -- writing -------------------------------------------------------------------------------------


@command("hset")
def hset(c: Caller, args: list[bytes]) -> Reply:
    """HSET key field value [field value ...]: how many fields are new."""
    if len(args) == 4:  # by far the most frequent form
        _, key, field, value = args
        db = c.db
        fields = db.hash_for_write(key)
        new = field not in fields
        fields[field] = value
        if fields.packed:
            limits = c.engine.limits
            longest = limits.hash_max_listpack_value
            fields.packed = (
                len(fields) <= limits.hash_max_listpack_entries
                and len(field) <= longest
                and len(value) <= longest
            )
        db.changed(key, b"hset")
        return ONE if new else ZERO
    return integer(_set_fields(c, args, "hset"))


@command("hmset")
def hmset(c: Caller, args: list[bytes]) -> Reply:
    """HMSET key field value [field value ...]: HSET with another answer."""
    _set_fields(c, args, "hmset")
    return OK


def _set_fields(c: Caller, args: list[bytes], name: str) -> int:
    if len(args) % 2:
        raise wrong_arity(name)
    fields = c.db.hash_for_write(args[1])
    before = len(fields)
    fields.update(zip(args[2::2], args[3::2], strict=True))
    fields.fit(c.engine.limits, *args[2:])
    c.db.changed(args[1], b"hset", (len(args) - 2) // 2)
    return len(fields) - before


@command("hsetnx")
def hsetnx(c: Caller, args: list[bytes]) -> Reply:
    """HSETNX key field value: only if there is no such field."""
    fields = c.db.hash_for_write(args[1])
    if args[2] in fields:
        return ZERO
    _put(c, args[1], fields, args[2], args[3], b"hset")
    return ONE


@command("hincrby")
def hincrby(c: Caller, args: list[bytes]) -> Reply:
    """HINCRBY key field increment: the new value."""
    increment = parse_int(args[3])
    fields = c.db.hash_for_write(args[1])
    value = fields.get(args[2], b"0")
    number = parse_int(value, "ERR hash value is not an integer") + increment
    if not INT64_MIN <= number <= INT64_MAX:
        raise CommandError(WOULD_OVERFLOW)
    _put(c, args[1], fields, args[2], b"%d" % number, b"hincrby")
    return integer(number)


@command("hincrbyfloat")
def hincrbyfloat(c: Caller, args: list[bytes]) -> Reply:
    """HINCRBYFLOAT key field increment: the new value, as text; sent on as the HSET it is."""
    increment = longdouble.parse(args[3])
    if increment is None:
        raise CommandError(NOT_FLOAT)
    if isinstance(increment, float):
        raise CommandError("ERR value is NaN or Infinity")
    fields = c.db.hash_for_write(args[1])
    value = longdouble.parse(fields.get(args[2], b"0"))
    if value is None:
        raise CommandError("ERR hash value is not a float")
    total = longdouble.add(value, increment)
    if total is None or isinstance(total, float):
        raise CommandError("ERR increment would produce NaN or Infinity")
    text = longdouble.human(total)
    _put(c, args[1], fields, args[2], text, b"hincrbyfloat")
    c.rewrite(b"HSET", args[1], args[2], text)
    return bulk(text)


def _put(
    c: Caller, key: bytes, fields: HashValue, field: bytes, value: bytes, event: bytes
) -> None:
    """Set one field and report it."""
    fields[field] = value
    fields.fit(c.engine.limits, field, value)
    c.db.changed(key, event)


@command("hdel")
def hdel(c: Caller, args: list[bytes]) -> Reply:
    """HDEL key field [field ...]: how many were there."""
    fields = c.db.typed(args[1], HashValue)
    if fields is None:
        return ZERO
    deleted = sum(fields.pop(field, None) is not None for field in args[2:])
    if deleted:
        c.db.changed(args[1], b"hdel", deleted)
        c.db.remove_if_empty(args[1])
    return integer(deleted)


# -- reading -------------------------------------------------------------------------------------


@command("hget")
def hget(c: Caller, args: list[bytes]) -> Reply:
    """HGET key field."""
    fields = c.db.typed_read(args[1], HashValue)
    value = None if fields is None else fields.get(args[2])
    return NULL[c.resp] if value is None else bulk(value)


@command("hmget")
def hmget(c: Caller, args: list[bytes]) -> Reply:
    """HMGET key field [field ...]: a missing key has no fields."""
    fields = c.db.typed_read(args[1], HashValue) or HashValue()
    return nullable_bulks([fields.get(field) for field in args[2:]], c.resp)


@command("hgetall")
def hgetall(c: Caller, args: list[bytes]) -> Reply:
    """HGETALL key: a map, flat in RESP2."""
    fields = c.db.typed_read(args[1], HashValue)
    if fields is None:
        return EMPTY_MAP[c.resp]
    flat = bulks(list(chain.from_iterable(fields.items())))
    if c.resp == 2:
        return flat
    return b"%%%d\r\n%b" % (len(fields), flat[flat.index(b"\n") + 1 :])


@command("hkeys")
def hkeys(c: Caller, args: list[bytes]) -> Reply:
    """HKEYS key."""
    fields = c.db.typed_read(args[1], HashValue)
    return EMPTY_ARRAY if fields is None else bulks(list(fields))


@command("hvals")
def hvals(c: Caller, args: list[bytes]) -> Reply:
    """HVALS key."""
    fields = c.db.typed_read(args[1], HashValue)
    return EMPTY_ARRAY if fields is None else bulks(list(fields.values()))


@command("hlen")
def hlen(c: Caller, args: list[bytes]) -> Reply:
    """HLEN key."""
    fields = c.db.typed_read(args[1], HashValue)
    return ZERO if fields is None else integer(len(fields))


@command("hstrlen")
def hstrlen(c: Caller, args: list[bytes]) -> Reply:
    """HSTRLEN key field: the length of the value, 0 if there is none."""
    fields = c.db.typed_read(args[1], HashValue)
    return ZERO if fields is None else integer(len(fields.get(args[2], b"")))


@command("hexists")
def hexists(c: Caller, args: list[bytes]) -> Reply:
    """HEXISTS key field."""
    fields = c.db.typed_read(args[1], HashValue)
    return ONE if fields is not None and args[2] in fields else ZERO


@command("hrandfield")
def hrandfield(c: Caller, args: list[bytes]) -> Reply:
    """HRANDFIELD key [count [WITHVALUES]]: one field, or an array of them."""
    if len(args) == 2:
        fields = c.db.typed_read(args[1], HashValue)
        if fields is None:
            return NULL[c.resp]
        return bulk(draw(c.engine, fields, 1)[0])
    count, with_values = parse_count_and_flag(args, b"withvalues")
    fields = c.db.typed_read(args[1], HashValue)
    if fields is None or not count:
        return EMPTY_ARRAY
    pick = draw if count < 0 else draw_distinct
    chosen = pick(c.engine, fields, abs(count))
    if not with_values:
        return bulks(chosen)
    if c.resp == 3:
        return array([bulks([name, fields[name]]) for name in chosen])
    return bulks([text for name in chosen for text in (name, fields[name])])
