"""Expiry: EXPIRE and TTL with their kin, PERSIST, and the active expire cycle.

A key whose time has come is removed in two ways, as in `src/expire.c` of Redis 7.0. Lazily, by the
first command that looks at it (`Keyspace.expire_if_due`). Actively, by `active_expire`, which the
node's cron calls some times a second: it samples the keys that can expire, a few at a time, and
goes on with a database as long as many of a sample were due. So memory is won back from keys that
nobody asks for, without ever looking at all of them at once.
"""

from __future__ import annotations

from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError, shown_last
from redislab.engine.keyspace import Engine, Keyspace
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import INT64_MAX, INT64_MIN
from redislab.wire.resp import ONE, ZERO, integer

KEYS_PER_LOOP = 20
ACCEPTABLE_STALE_PERCENT = 10
_DATABASES_PER_CALL = 16
_OWN_ALIVE_MAX = 3

_NO_KEY, _NO_EXPIRY = -2, -1
_NX_EXCLUDES = "ERR NX and XX, GT or LT options at the same time are not compatible"
_GT_EXCLUDES_LT = "ERR GT and LT options at the same time are not compatible"


# -- commands -----------------------------------------------------------------------------------


@command("expire")
def expire(c: Caller, args: list[bytes]) -> Reply:
    """EXPIRE key seconds [NX|XX|GT|LT]."""
    return _expire(c, args, c.engine.now_ms(), 1000)


@command("pexpire")
def pexpire(c: Caller, args: list[bytes]) -> Reply:
    """PEXPIRE key milliseconds [NX|XX|GT|LT]."""
    return _expire(c, args, c.engine.now_ms(), 1)


@command("expireat")
def expireat(c: Caller, args: list[bytes]) -> Reply:
    """EXPIREAT key unix-time-seconds [NX|XX|GT|LT]."""
    return _expire(c, args, 0, 1000)


@command("pexpireat")
def pexpireat(c: Caller, args: list[bytes]) -> Reply:
    """PEXPIREAT key unix-time-milliseconds [NX|XX|GT|LT]."""
    return _expire(c, args, 0, 1)


@command("ttl")
def ttl(c: Caller, args: list[bytes]) -> Reply:
    """TTL key: seconds left, to the nearest; -1 without expiry, -2 without key."""
    return integer(_in_seconds(_left_ms(c, args[1])))


@command("pttl")
def pttl(c: Caller, args: list[bytes]) -> Reply:
    """PTTL key: milliseconds left."""
    return integer(_left_ms(c, args[1]))


@command("expiretime")
def expiretime(c: Caller, args: list[bytes]) -> Reply:
    """EXPIRETIME key: when it expires, in seconds since the epoch."""
    return integer(_in_seconds(_expires_at_ms(c, args[1])))


@command("pexpiretime")
def pexpiretime(c: Caller, args: list[bytes]) -> Reply:
    """PEXPIRETIME key: when it expires, in milliseconds since the epoch."""
    return integer(_expires_at_ms(c, args[1]))


@command("persist")
def persist(c: Caller, args: list[bytes]) -> Reply:
    """PERSIST key."""
    db = c.db
    if db.lookup(args[1]) is None or db.expires.pop(args[1], None) is None:
        return ZERO
    db.changed(args[1], b"persist")
    return ONE


# -- the active expire cycle --------------------------------------------------------------------


def active_expire(engine: Engine, budget_keys: int) -> int:
    """Remove some of the keys whose time has come; return how many were removed.

    Args:
        engine: whose databases to look at; each call begins with the database after the last one.
        budget_keys: how many keys may be sampled in this call, in place of Redis' limit on time.
    """
    sampled = expired = 0
    for _ in range(min(_DATABASES_PER_CALL, len(engine.databases))):
        database = engine.databases[engine.next_expiring % len(engine.databases)]
        engine.next_expiring = (engine.next_expiring + 1) % len(engine.databases)
        while database.expires and sampled < budget_keys:
            seen, due = _expire_some(database, min(KEYS_PER_LOOP, budget_keys - sampled))
            sampled += seen
            expired += due
            if due * 100 <= ACCEPTABLE_STALE_PERCENT * seen:
                break
        if not database.expires:
            database.average_ttl_ms = 0
        if sampled >= budget_keys:
            engine.expired_time_cap_reached += 1
            break
    current = expired / sampled if sampled else 0.0
    engine.expired_stale_fraction = current * 0.05 + engine.expired_stale_fraction * 0.95
    return expired


def expire_own(engine: Engine, budget_keys: int) -> None:
    """Remove keys that the clients of a replica have let expire (`expireSlaveKeys`).

    Args:
        engine: whose databases to look at.
        budget_keys: how many keys may be looked at, and so long as most of them were due.
    """
    own, alive = engine.own_expiring, 0
    while own and budget_keys and alive <= _OWN_ALIVE_MAX:
        budget_keys -= 1
        index, key = place = next(iter(own))
        del own[place]
        database = engine.databases[index]
        at = database.expires.get(key)
        if at is None:
            continue
        if at < engine.now_ms():
            database.remove_expired(key)
        else:
            own[place] = None  # behind all others
            alive += 1


def _expire_some(database: Keyspace, most: int) -> tuple[int, int]:
    """Look at the next few keys with an expiry; how many there were, and how many were due.

    A round takes a list of all such keys and works it off from call to call: the part that the
    cursor over the hash table's buckets plays in Redis.
    """
    now = database.engine.now_ms()
    expires = database.expires
    seen = due = alive = 0
    left_ms = 0
    most = min(most, len(expires))
    while seen < most:
        if not database.to_sample:
            database.to_sample = list(expires)
            database.to_sample.reverse()
        key = database.to_sample.pop()
        at = expires.get(key)
        if at is None:
            continue
        seen += 1
        if at < now:
            due += 1
            database.remove_expired(key)
            if not expires:
                break
        else:
            alive += 1
            left_ms += at - now
    if alive:
        average = left_ms // alive
        before = database.average_ttl_ms or average
        database.average_ttl_ms = before // 50 * 49 + average // 50
    return seen, due


# -- helpers ------------------------------------------------------------------------------------


def _expire(c: Caller, args: list[bytes], base_ms: int, unit_ms: int) -> Reply:
    """EXPIRE and its kin (`expireGenericCommand`): a time in the past deletes the key."""
    db = c.db
    key = args[1]
    conditions = _conditions(args)
    at_ms = _at_ms(args, base_ms, unit_ms)
    if db.lookup(key) is None or not _may_change(db.expires.get(key), at_ms, conditions):
        return ZERO
    if at_ms <= c.engine.now_ms() and c.engine.expires_by_itself:
        db.remove(key)
        db.changed(key, b"del")
        c.rewrite(b"DEL", key)
    else:
        db.set_expiry(key, at_ms)
        db.changed(key, b"expire")
        c.rewrite(b"PEXPIREAT", key, b"%d" % at_ms, *args[3:])
    return ONE


def _conditions(args: list[bytes]) -> set[bytes]:
    conditions = set()
    for word in args[3:]:
        name = word.lower()
        if name not in {b"nx", b"xx", b"gt", b"lt"}:
            raise CommandError(f"ERR Unsupported option {shown_last(word)}")
        conditions.add(name)
    if b"nx" in conditions and len(conditions) > 1:
        raise CommandError(_NX_EXCLUDES)
    if {b"gt", b"lt"} <= conditions:
        raise CommandError(_GT_EXCLUDES_LT)
    return conditions


def _at_ms(args: list[bytes], base_ms: int, unit_ms: int) -> int:
    """The time asked for, in milliseconds since the epoch; it may lie in the past."""
    span_ms = parse_int(args[2]) * unit_ms
    if not INT64_MIN <= span_ms <= INT64_MAX - base_ms:
        name = args[0].decode("ascii").lower()
        raise CommandError(f"ERR invalid expire time in '{name}' command")
    return span_ms + base_ms


def _may_change(current: int | None, at_ms: int, conditions: set[bytes]) -> bool:
    """Whether the conditions let a key's expiry change; a key without one lives infinitely long."""
    if current is None:
        return not conditions & {b"xx", b"gt"}
    return not (
        b"nx" in conditions
        or (b"gt" in conditions and at_ms <= current)
        or (b"lt" in conditions and at_ms >= current)
    )


def _expires_at_ms(c: Caller, key: bytes) -> int:
    if c.db.peek_read(key) is None:
        return _NO_KEY
    return c.db.expires.get(key, _NO_EXPIRY)


def _left_ms(c: Caller, key: bytes) -> int:
    at_ms = _expires_at_ms(c, key)
    return at_ms if at_ms < 0 else max(at_ms - c.engine.now_ms(), 0)


def _in_seconds(milliseconds: int) -> int:
    """Rounded to the nearest second; the negative answers stay as they are."""
    return milliseconds if milliseconds < 0 else (milliseconds + 500) // 1000
