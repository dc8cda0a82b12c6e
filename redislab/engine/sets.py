"""Sets: SADD, SPOP, SINTER and their kin, as `src/t_set.c` of Redis 7.0 has them.

SSCAN stands with the other scans.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from redislab.engine.arguments import parse_ranged
from redislab.engine.choice import parse_count, places
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import INT64_MAX, EncodingLimits, SetValue
from redislab.wire.resp import (
    EMPTY_ARRAY,
    EMPTY_SET,
    NULL,
    ONE,
    ZERO,
    array,
    bulk,
    bulks,
    integer,
)

# An SPOP that leaves less than a fifth of the members moves those into a new set (SPOP's case 3).
_MOVE_STRATEGY = 5

# -- one set -------------------------------------------------------------------------------------


@command("sadd")
def sadd(c: Caller, args: list[bytes]) -> Reply:
    """SADD key member [member ...]: how many are new."""
    db, key, limits = c.db, args[1], c.engine.limits
    members = db.set_for_write(key)
    if len(args) == 3:
        added = int(members.add(args[2], limits))
    else:
        added = sum([members.add(member, limits) for member in args[2:]])
    if added:
        db.changed(key, b"sadd", added)
    return integer(added)


@command("srem")
def srem(c: Caller, args: list[bytes]) -> Reply:
    """SREM key member [member ...]: how many were there."""
    members = c.db.typed(args[1], SetValue)
    if members is None:
        return ZERO
    removed = sum([members.discard(member) for member in args[2:]])
    if removed:
        c.db.changed(args[1], b"srem", removed)
        c.db.remove_if_empty(args[1])
    return integer(removed)


@command("smove")
def smove(c: Caller, args: list[bytes]) -> Reply:
    """SMOVE source destination member."""
    db, (source, destination, member) = c.db, args[1:]
    db.lookup(destination)  # which may have expired
    here = db.typed(source, SetValue)
    if here is None:
        return ZERO
    there = db.typed(destination, SetValue)
    if here is there:
        return ONE if member in here else ZERO
    if not here.discard(member):
        return ZERO
    db.changed(source, b"srem")
    db.remove_if_empty(source)
    if db.set_for_write(destination).add(member, c.engine.limits):
        db.changed(destination, b"sadd")
    return ONE


@command("sismember")
def sismember(c: Caller, args: list[bytes]) -> Reply:
    """SISMEMBER key member."""
    members = c.db.typed_read(args[1], SetValue)
    return ONE if members is not None and args[2] in members else ZERO


@command("smismember")
def smismember(c: Caller, args: list[bytes]) -> Reply:
    """SMISMEMBER key member [member ...]: a missing key is an empty set."""
    members = c.db.typed_read(args[1], SetValue) or SetValue()
    return array([ONE if member in members else ZERO for member in args[2:]])


@command("scard")
def scard(c: Caller, args: list[bytes]) -> Reply:
    """SCARD key."""
    members = c.db.typed_read(args[1], SetValue)
    return ZERO if members is None else integer(len(members))


@command("spop")
def spop(c: Caller, args: list[bytes]) -> Reply:
    """SPOP key [count]: remove members at random; sent on as the SREM or DEL it came to."""
    if len(args) != 2:
        return _pop_count(c, args)
    db, key = c.db, args[1]
    members = db.typed(key, SetValue)
    if members is None:
        return NULL[c.resp]
    member = members.choose(c.engine.random)
    members.discard(member)
    db.changed(key, b"spop")
    c.rewrite(b"SREM", key, member)
    if not members:
        db.remove_if_empty(key)
    return bulk(member)


def _pop_count(c: Caller, args: list[bytes]) -> bytes:
    """SPOP with a count."""
    if len(args) > 3:
        raise syntax_error()
    key = args[1]
    count = parse_ranged(args[2], 0, INT64_MAX, "ERR value is out of range, must be positive")
    members = c.db.typed(key, SetValue)
    if members is None or not count:
        return EMPTY_SET[c.resp]
    c.db.changed(key, b"spop", min(count, len(members)))
    if count >= len(members):
        c.engine.hits += 1  # Redis takes them all by way of SUNION, which is a read
        taken = list(members)
        c.db.remove(key)
        c.db.changed(key, b"del", 0)
        c.rewrite(b"DEL", key)
        return _members(taken, c.resp)
    left = len(members) - count
    taken = [members.members[place] for place in places(c.engine.random, len(members), count)]
    for member in taken:
        members.discard(member)
        c.rewrite(b"SREM", key, member)
    if left * _MOVE_STRATEGY <= count:
        # Redis makes a new set of what is left, which may be fit to be an intset again.
        c.db.values[key] = _collect(members, c.engine.limits)
    return _members(taken, c.resp)


@command("srandmember")
def srandmember(c: Caller, args: list[bytes]) -> Reply:
    """SRANDMEMBER key [count]: one member, or an array of them."""
    if len(args) > 3:
        raise syntax_error()
    count = parse_count(args[2]) if len(args) == 3 else None
    members = c.db.typed_read(args[1], SetValue)
    if count is None:
        return NULL[c.resp] if members is None else bulk(members.choose(c.engine.random))
    if members is None or not count:
        return EMPTY_ARRAY
    if count >= len(members):
        return bulks(list(members))
    chosen = places(c.engine.random, len(members), count)
    return bulks([members.members[place] for place in chosen])


@command("smembers")
def smembers(c: Caller, args: list[bytes]) -> Reply:
    """SMEMBERS key."""
    members = c.db.typed_read(args[1], SetValue)
    return EMPTY_SET[c.resp] if members is None else _members(members, c.resp)


# -- several sets --------------------------------------------------------------------------------


@command("sinter")
def sinter(c: Caller, args: list[bytes]) -> Reply:
    """SINTER key [key ...]."""
    return _members(_intersection(_sets(c, args[1:])), c.resp)


@command("sintercard")
def sintercard(c: Caller, args: list[bytes]) -> Reply:
    """SINTERCARD numkeys key [key ...] [LIMIT limit]: how many members all of them have."""
    number = parse_ranged(args[1], 1, INT64_MAX, "ERR numkeys should be greater than 0")
    if number > len(args) - 2:
        raise CommandError("ERR Number of keys can't be greater than number of args")
    limit = 0
    for at in range(2 + number, len(args), 2):
        if args[at].lower() != b"limit" or at + 1 == len(args):
            raise syntax_error()
        limit = parse_ranged(args[at + 1], 0, INT64_MAX, "ERR LIMIT can't be negative")
    common = _intersection(_sets(c, args[2 : 2 + number]))
    return integer(sum(1 for _ in islice(common, limit or None)))


@command("sinterstore")
def sinterstore(c: Caller, args: list[bytes]) -> Reply:
    """SINTERSTORE destination key [key ...]: how many members are stored."""
    return _store(c, args[1], _intersection(_sets(c, args[2:])), b"sinterstore")


@command("sunion")
def sunion(c: Caller, args: list[bytes]) -> Reply:
    """SUNION key [key ...]."""
    return _members(_collect(_union(_sets(c, args[1:])), c.engine.limits), c.resp)


@command("sunionstore")
def sunionstore(c: Caller, args: list[bytes]) -> Reply:
    """SUNIONSTORE destination key [key ...]: how many members are stored."""
    return _store(c, args[1], _union(_sets(c, args[2:])), b"sunionstore")


@command("sdiff")
def sdiff(c: Caller, args: list[bytes]) -> Reply:
    """SDIFF key [key ...]: the members of the first set that no other has."""
    return _members(_collect(_difference(_sets(c, args[1:])), c.engine.limits), c.resp)


@command("sdiffstore")
def sdiffstore(c: Caller, args: list[bytes]) -> Reply:
    """SDIFFSTORE destination key [key ...]: how many members are stored."""
    return _store(c, args[1], _difference(_sets(c, args[2:])), b"sdiffstore")


def _sets(c: Caller, keys: list[bytes]) -> list[SetValue]:
    """The sets at these keys; a missing one is empty."""
    return [c.db.typed_read(key, SetValue) or SetValue() for key in keys]


def _intersection(sets: list[SetValue]) -> Iterable[bytes]:
    """The members that every set has, in the order of the smallest one."""
    first, *others = sorted(sets, key=len)
    return (member for member in first if all(member in other for other in others))


def _union(sets: list[SetValue]) -> Iterable[bytes]:
    """Every member of every set, once."""
    return {member: None for members in sets for member in members}


def _difference(sets: list[SetValue]) -> Iterable[bytes]:
    """The members of the first set that no other has."""
    first, *others = sets
    return (member for member in first if not any(member in other for other in others))


def _collect(members: Iterable[bytes], limits: EncodingLimits) -> SetValue:
    """A new set of these members."""
    collected = SetValue()
    for member in members:
        collected.add(member, limits)
    return collected


def _store(c: Caller, key: bytes, members: Iterable[bytes], event: bytes) -> bytes:
    """Set a key to what came out, or remove it if that is nothing."""
    result = _collect(members, c.engine.limits)
    if result:
        c.db.put(key, result)
        c.db.changed(key, event)
    elif c.db.remove(key):
        c.db.changed(key, b"del")
    return integer(len(result))


def _members(members: Iterable[bytes], resp: int) -> bytes:
    """A set reply, an array in RESP2."""
    reply = bulks(list(members))
    return b"~" + reply[1:] if resp == 3 else reply
