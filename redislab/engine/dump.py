"""DUMP and RESTORE (`src/cluster.c` of Redis 7.0).

A payload is read as deeply as Redis 7.0 reads it with `sanitize-dump-payload yes`, whatever is
configured: damaged data cannot stand in a key here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.keyspace import Engine
from redislab.engine.rdbvalues import decode, encode
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import INT64_MAX, INT64_MIN
from redislab.wire.rdb.faults import RdbError
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.payload import is_sound, read_value, seal
from redislab.wire.rdb.strings import writing
from redislab.wire.resp import NULL, OK, bulk

BUSY_KEY = "BUSYKEY Target key name already exists."
UNSOUND = "ERR DUMP payload version or checksum are wrong"
BAD_FORMAT = "ERR Bad data format"
_FREQUENCY_MAX = 255


# -- payloads -----------------------------------------------------------------------------------


def dump_value(engine: Engine, value: Any) -> bytes:
    """The payload of a value, as DUMP answers it and MIGRATE sends it."""
    kind, body = encode(value, writing(engine.compress), engine.limits)
    return seal(bytes((kind,)) + b"".join(body))


def load_value(c: Caller, payload: bytes) -> Any:
    """The value in a payload.

    Raises:
        CommandError: it is damaged, from a newer version, or holds no value.
    """
    if not is_sound(payload):
        raise CommandError(UNSOUND)
    try:
        kind, value = read_value(payload)
    except RdbError:
        raise CommandError(BAD_FORMAT) from None
    if not value and kind != Type.STRING:
        raise CommandError(BAD_FORMAT)
    return decode(kind, value, c.engine.limits)


# -- commands -----------------------------------------------------------------------------------


@command("dump")
def dump(c: Caller, args: list[bytes]) -> Reply:
    """DUMP key."""
    value = c.db.lookup_read(args[1])
    return NULL[c.resp] if value is None else bulk(dump_value(c.engine, value))


@command("restore", "restore-asking")
def restore(c: Caller, args: list[bytes]) -> Reply:
    """RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]."""
    options = _parse_options(args)
    db, key = c.db, args[1]
    if not options.replace and db.lookup(key) is not None:
        raise CommandError(BUSY_KEY)
    ttl_ms = parse_int(args[2])
    if ttl_ms < 0:
        raise CommandError("ERR Invalid TTL value, must be >= 0")
    value = load_value(c, args[3])
    deleted = options.replace and db.remove(key)
    at_ms = _expiry(c, ttl_ms, absolute=options.absolute)
    if at_ms is not None and c.engine.expires_by_itself and at_ms <= c.engine.now_ms():
        if deleted:
            db.changed(key, b"del")
            c.rewrite(b"DEL", key)
        return OK
    db.values[key] = value
    db.signal_ready(key)
    if at_ms is not None:
        db.set_expiry(key, at_ms)
        if not options.absolute:
            c.rewrite(args[0], key, b"%d" % at_ms, *args[3:], b"ABSTTL")
    c.engine.uses.restore(db, key, options.idle_s, options.frequency)
    db.changed(key, b"restore")
    return OK


class _Options(NamedTuple):
    """What stands behind the payload."""

    replace: bool = False
    absolute: bool = False
    idle_s: int | None = None
    frequency: int | None = None


def _parse_options(args: list[bytes]) -> _Options:
    """The options; IDLETIME and FREQ exclude each other."""
    options = _Options()
    words = iter(args[4:])
    for word in words:
        match word.lower():
            case b"replace":
                options = options._replace(replace=True)
            case b"absttl":
                options = options._replace(absolute=True)
            case b"idletime" if options.frequency is None:
                options = options._replace(idle_s=_number(words))
                if (options.idle_s or 0) < 0:
                    raise CommandError("ERR Invalid IDLETIME value, must be >= 0")
            case b"freq" if options.idle_s is None:
                options = options._replace(frequency=_number(words))
                if not 0 <= (options.frequency or 0) <= _FREQUENCY_MAX:
                    raise CommandError("ERR Invalid FREQ value, must be >= 0 and <= 255")
            case _:
                raise syntax_error()
    return options


def _number(words: Iterator[bytes]) -> int:
    word = next(words, None)
    if word is None:
        raise syntax_error()
    return parse_int(word)


def _expiry(c: Caller, ttl_ms: int, *, absolute: bool) -> int | None:
    """When the key is to expire, in milliseconds since the epoch; a sum is one of 64 bits in C."""
    if not ttl_ms or absolute:
        return ttl_ms or None
    at_ms = ttl_ms + c.engine.now_ms()
    return at_ms if at_ms <= INT64_MAX else at_ms - INT64_MAX + INT64_MIN - 1
