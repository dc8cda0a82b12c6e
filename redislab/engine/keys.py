"""Keys of any type: DEL, RENAME, COPY, KEYS, FLUSHALL, OBJECT and their kin.

Follows `src/db.c` and, for OBJECT, `src/object.c` of Redis 7.0. SCAN stands in `scan.py`, expiry in
`expiry.py`, MEMORY USAGE in `memory.py`.
"""

from __future__ import annotations

from typing import Any

from redislab.engine import fake
from redislab.engine.arguments import parse_int
from redislab.engine.errors import NO_SUCH_KEY, CommandError, syntax_error
from redislab.engine.glob import compiled
from redislab.engine.keyspace import Engine, Keyspace
from redislab.engine.scan_index import draw
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import (
    HashValue,
    ListValue,
    SetValue,
    SortedSetValue,
    encoding_of,
    type_names,
)
from redislab.wire.resp import NULL, OK, ONE, ZERO, array, bulk, bulks, integer, simple

SAME_OBJECT = "ERR source and destination objects are the same"
NO_SUCH_DATABASE = "ERR DB index is out of range"
_INT32_MIN, _INT32_MAX = -(2**31), 2**31 - 1
_OUT_OF_INT32 = f"ERR value is out of range, value must between {_INT32_MIN} and {_INT32_MAX}"
_POLICY_CHANGE = (
    "Please note that when switching between policies at runtime LRU and LFU data will take some "
    "time to adjust."
)
_NO_IDLE_TIME = f"ERR An LFU maxmemory policy is selected, idle time not tracked. {_POLICY_CHANGE}"
_NO_FREQUENCY = (
    f"ERR An LFU maxmemory policy is not selected, access frequency not tracked. {_POLICY_CHANGE}"
)
_SHARED_INTEGERS = 10_000  # Redis keeps one object for each integer below this
_SHARED_REFERENCES = 2**31 - 1  # the reference count such an object shows

_OBJECT_HELP = (
    b"OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"ENCODING <key>",
    b"    How the value of a key is stored inside.",
    b"FREQ <key>",
    b"    How often a key is used: a counter that grows with the logarithm of its uses.",
    b"IDLETIME <key>",
    b"    For how many seconds a key has not been used, about.",
    b"REFCOUNT <key>",
    b"    How many references there are to the value of a key.",
    b"HELP",
    b"    Print this help.",
)


# -- one key or a few ---------------------------------------------------------------------------


@command("del", "unlink")
def del_(c: Caller, args: list[bytes]) -> Reply:
    """DEL key [key ...]."""
    db = c.db
    removed = 0
    for key in args[1:]:
        db.expire_if_due(key)
        if db.remove(key):
            db.changed(key, b"del")
            removed += 1
    return integer(removed)


@command("exists")
def exists(c: Caller, args: list[bytes]) -> Reply:
    """EXISTS key [key ...]: a key given twice counts twice."""
    return integer(sum(c.db.peek_read(key) is not None for key in args[1:]))


@command("touch")
def touch(c: Caller, args: list[bytes]) -> Reply:
    """TOUCH key [key ...]."""
    return integer(sum(c.db.lookup_read(key) is not None for key in args[1:]))


@command("type")
def type_(c: Caller, args: list[bytes]) -> Reply:
    """TYPE key: the name as a simple string, `none` without a key."""
    return simple(type_name(c.db.peek_read(args[1])))


@command("rename")
def rename(c: Caller, args: list[bytes]) -> Reply:
    """RENAME key newkey."""
    _rename(c, args, only_if_free=False)
    return OK


@command("renamenx")
def renamenx(c: Caller, args: list[bytes]) -> Reply:
    """RENAMENX key newkey."""
    return ONE if _rename(c, args, only_if_free=True) else ZERO


@command("move")
def move(c: Caller, args: list[bytes]) -> Reply:
    """MOVE key db."""
    source, key = c.db, args[1]
    target = _database(c.engine, args[2])
    if source is target:
        raise CommandError(SAME_OBJECT)
    value = source.lookup(key)
    if value is None or target.lookup(key) is not None:
        return ZERO
    _store(target, key, value, source.expires.get(key))
    c.engine.uses.move(source, key, target, key)
    source.remove(key)
    source.changed(key, b"move_from", 0)
    target.changed(key, b"move_to")
    return ONE


@command("copy")
def copy(c: Caller, args: list[bytes]) -> Reply:
    """COPY source destination [DB number] [REPLACE]."""
    target, replace = _parse_copy(c, args)
    key, new_key = args[1:3]
    if c.db is target and key == new_key:
        raise CommandError(SAME_OBJECT)
    value = c.db.lookup_read(key)
    if value is None:
        return ZERO
    at_ms = c.db.expires.get(key)
    if target.lookup(new_key) is not None:
        if not replace:
            return ZERO
        target.remove(new_key)
    _store(target, new_key, duplicate(value), at_ms)
    target.changed(new_key, b"copy_to")
    return ONE


# -- whole databases ----------------------------------------------------------------------------


@command("keys")
def keys(c: Caller, args: list[bytes]) -> Reply:
    """KEYS pattern."""
    if args[1] == b"*":
        return bulks(list(c.db.keys()))
    fits = compiled(args[1]).fullmatch
    return bulks(list(filter(fits, c.db.keys())))


@command("randomkey")
def randomkey(c: Caller, args: list[bytes]) -> Reply:
    """RANDOMKEY."""
    db = c.db
    tries = 100  # a replica must not remove what it finds expired, and might find nothing else
    while db.values:
        (key,) = draw(c.engine, db.values, 1)
        tries -= 1
        if not db.expire_if_due(key) or tries == 0:
            return bulk(key)
    return NULL[c.resp]


@command("dbsize")
def dbsize(c: Caller, args: list[bytes]) -> Reply:
    """DBSIZE: keys whose time has come count until they are removed."""
    return integer(len(c.db.values))


@command("flushdb")
def flushdb(c: Caller, args: list[bytes]) -> Reply:
    """FLUSHDB [ASYNC|SYNC]."""
    _check_flush(args)
    c.engine.dirty += c.db.clear()
    _tell_flushed(c)
    _propagate_always(c, args)
    return OK


@command("flushall")
def flushall(c: Caller, args: list[bytes]) -> Reply:
    """FLUSHALL [ASYNC|SYNC]."""
    _check_flush(args)
    c.engine.dirty += sum(database.clear() for database in c.engine.databases)
    _tell_flushed(c)
    if c.engine.on_emptied is not None:
        c.engine.on_emptied()
    _propagate_always(c, args)
    return OK


def _tell_flushed(c: Caller) -> None:
    if c.engine.on_flushed is not None:
        c.engine.on_flushed()


@command("swapdb")
def swapdb(c: Caller, args: list[bytes]) -> Reply:
    """SWAPDB index1 index2."""
    first = _int32(args[1], "ERR invalid first DB index")
    second = _int32(args[2], "ERR invalid second DB index")
    count = len(c.engine.databases)
    if not (0 <= first < count and 0 <= second < count):
        raise CommandError(NO_SUCH_DATABASE)
    if first != second:
        c.engine.databases[first].swap(c.engine.databases[second])
    c.engine.dirty += 1
    return OK


# -- OBJECT -------------------------------------------------------------------------------------


@command("object|encoding")
def object_encoding(c: Caller, args: list[bytes]) -> Reply:
    """OBJECT ENCODING key."""
    value = c.db.inspect(args[2])
    return NULL[c.resp] if value is None else bulk(encoding_of(value))


@command("object|refcount")
def object_refcount(c: Caller, args: list[bytes]) -> Reply:
    """OBJECT REFCOUNT key: 1, but for small integers, which all keys share."""
    value = c.db.inspect(args[2])
    if value is None:
        return NULL[c.resp]
    shared = (
        type(value) is bytes
        and encoding_of(value) == b"int"
        and 0 <= int(value) < _SHARED_INTEGERS
        and not _has_own_integers(c.engine)
    )
    return integer(_SHARED_REFERENCES if shared else 1)


@command("object|idletime")
def object_idletime(c: Caller, args: list[bytes]) -> Reply:
    """OBJECT IDLETIME key: seconds since it was last used."""
    if c.db.inspect(args[2]) is None:
        return NULL[c.resp]
    if "lfu" in c.engine.maxmemory_policy:
        raise CommandError(_NO_IDLE_TIME)
    return integer(c.engine.uses.idle_ms(c.db, args[2]) // 1000)


@command("object|freq")
def object_freq(c: Caller, args: list[bytes]) -> Reply:
    """OBJECT FREQ key: the counter of its uses."""
    if c.db.inspect(args[2]) is None:
        return NULL[c.resp]
    if "lfu" not in c.engine.maxmemory_policy:
        raise CommandError(_NO_FREQUENCY)
    return integer(c.engine.uses.frequency(c.db, args[2]))


@command("object|help")
def object_help(c: Caller, args: list[bytes]) -> Reply:
    """OBJECT HELP."""
    return array([simple(line) for line in _OBJECT_HELP])


# -- shared with other families -----------------------------------------------------------------


def type_name(value: Any) -> bytes:
    """What TYPE answers for a value; `none` for None."""
    return b"none" if value is None else type_names.get(type(value), b"unknown")


def duplicate(value: Any) -> Any:
    """An equal value of its own, with the same encoding."""
    if type(value) is HashValue:
        twin = HashValue(value)
        twin.packed = value.packed
        return twin
    if type(value) is ListValue:
        return ListValue(value)
    if type(value) in {SetValue, SortedSetValue, bytearray}:
        return value.copy()
    return value if type(value) is bytes else fake.duplicate(value)


# -- helpers ------------------------------------------------------------------------------------


def _rename(c: Caller, args: list[bytes], *, only_if_free: bool) -> bool:
    db = c.db
    key, new_key = args[1:3]
    value = db.lookup(key)
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    if key == new_key:
        return False
    at_ms = db.expires.get(key)
    if db.lookup(new_key) is not None:
        if only_if_free:
            return False
        db.remove(new_key)
    _store(db, new_key, value, at_ms)
    c.engine.uses.move(db, key, db, new_key)
    db.remove(key)
    db.changed(key, b"rename_from", 0)
    db.changed(new_key, b"rename_to")
    return True


def _store(database: Keyspace, key: bytes, value: Any, at_ms: int | None) -> None:
    """Add a key that is not there; clients that wait for it are served."""
    database.values[key] = value
    if at_ms is not None:
        database.set_expiry(key, at_ms)
    database.signal_ready(key)


def _parse_copy(c: Caller, args: list[bytes]) -> tuple[Keyspace, bool]:
    """COPY's target database, and whether it may replace a key."""
    target, replace = c.db, False
    words = iter(args[3:])
    for word in words:
        name = word.lower()
        if name == b"replace":
            replace = True
        elif name == b"db" and (number := next(words, None)) is not None:
            target = _database(c.engine, number)
        else:
            raise syntax_error()
    return target, replace


def _database(engine: Engine, text: bytes) -> Keyspace:
    number = _int32(text, None)
    if not 0 <= number < len(engine.databases):
        raise CommandError(NO_SUCH_DATABASE)
    return engine.databases[number]


def _int32(text: bytes, message: str | None) -> int:
    """A 32-bit integer; `message` is the error for anything else, None for Redis' usual ones."""
    number = parse_int(text) if message is None else parse_int(text, message)
    if not _INT32_MIN <= number <= _INT32_MAX:
        raise CommandError(message or _OUT_OF_INT32)
    return number


def _check_flush(args: list[bytes]) -> None:
    if len(args) > 2 or (len(args) == 2 and args[1].lower() not in {b"sync", b"async"}):
        raise syntax_error()


def _propagate_always(c: Caller, args: list[bytes]) -> None:
    """Replicas are told to flush even where there was nothing to flush here."""
    c.rewrite(*args)


def _has_own_integers(engine: Engine) -> bool:
    """Whether each key needs an integer object of its own, to keep its last use in."""
    policy = engine.maxmemory_policy
    return bool(engine.maxmemory) and ("lru" in policy or "lfu" in policy)
