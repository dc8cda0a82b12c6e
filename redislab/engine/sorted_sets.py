"""Sorted sets: ZADD, ZPOPMIN, ZSCORE and their kin, those that wait for data among them.

Ranges stand in `sorted_set_ranges.py`, unions and the like in `sorted_set_algebra.py`, ZSCAN with
the other scans. Follows `src/t_zset.c` of Redis 7.0. Scored members are (score, member) pairs, in
the order of the set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from math import isnan

from redislab.engine.arguments import parse_float, parse_ranged
from redislab.engine.blocking_lists import parse_timeout, take_or_wait
from redislab.engine.choice import parse_count_and_flag, places
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.keyspace import Keyspace
from redislab.engine.lists import parse_pop_options
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import INT64_MAX, SortedSetValue
from redislab.wire.resp import (
    EMPTY_ARRAY,
    NULL,
    NULL_ARRAY,
    ONE,
    ZERO,
    array,
    bulk,
    bulks,
    double,
    integer,
)

Scored = tuple[float, bytes]
Take = Callable[[Caller, bytes, SortedSetValue], bytes]

_ADD_OPTIONS = frozenset({b"nx", b"xx", b"gt", b"lt", b"ch", b"incr"})
_ENDS = (b"min", b"max")
_SAFE_DIGITS = 16  # a double holds every number of fewer digits exactly

# -- adding and removing -------------------------------------------------------------------------


@command("zadd")
def zadd(c: Caller, args: list[bytes]) -> Reply:
    """ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]."""
    if len(args) != 4 or args[2].lower() in _ADD_OPTIONS:
        return _add_with_options(c, args, frozenset())
    _, key, text, member = args
    short = len(text) < _SAFE_DIGITS and text.isdigit()  # by far the most frequent form
    score = float(text) if short else parse_float(text)
    db = c.db
    members = db.sorted_set_for_write(key)
    if members.scores.get(member) == score:
        return ZERO
    new = members.put(member, score, c.engine.limits)
    db.changed(key, b"zadd")
    return ONE if new else ZERO


@command("zincrby")
def zincrby(c: Caller, args: list[bytes]) -> Reply:
    """ZINCRBY key increment member: ZADD with INCR, which takes its options as well."""
    return _add_with_options(c, args, frozenset({b"incr"}))


def _add_with_options(c: Caller, args: list[bytes], given: frozenset[bytes]) -> bytes:
    at = 2
    while at < len(args) and args[at].lower() in _ADD_OPTIONS:
        at += 1
    options = given.union(option.lower() for option in args[2:at])
    if at == len(args) or (len(args) - at) % 2:
        raise syntax_error()
    if {b"nx", b"xx"} <= options:
        raise CommandError("ERR XX and NX options at the same time are not compatible")
    if len(options & {b"gt", b"lt", b"nx"}) > 1:
        raise CommandError("ERR GT, LT, and/or NX options at the same time are not compatible")
    if b"incr" in options and len(args) - at > 2:
        raise CommandError("ERR INCR option supports a single increment-element pair")
    scores = [parse_float(text) for text in args[at::2]]
    return add(c, args[1], list(zip(scores, args[at + 1 :: 2], strict=True)), options)


def add(c: Caller, key: bytes, pairs: Iterable[Scored], options: frozenset[bytes]) -> bytes:
    """Add members or change their scores as ZADD's options say, and return ZADD's reply.

    Raises:
        CommandError: WRONGTYPE, or an increment that makes a NaN of two infinities.
    """
    incr, nx, xx, lt, gt = [name in options for name in (b"incr", b"nx", b"xx", b"lt", b"gt")]
    if c.db.typed(key, SortedSetValue) is None and xx:
        return NULL[c.resp] if incr else ZERO
    members = c.db.sorted_set_for_write(key)
    added = updated = 0
    result: float | None = None
    for given, member in pairs:
        score = given
        before = members.scores.get(member)
        if before is None:
            if xx:
                continue
            added += 1
        else:
            if incr:
                score += before
                if isnan(score):
                    raise CommandError("ERR resulting score is not a number (NaN)")
            if nx or (lt and score >= before) or (gt and score <= before):
                continue
            updated += score != before
        result = score
        members.put(member, score, c.engine.limits)
    if added or updated:
        c.db.changed(key, b"zincr" if incr else b"zadd", added + updated)
    if incr:
        return NULL[c.resp] if result is None else double(result, c.resp)
    return integer(added + updated if b"ch" in options else added)


@command("zrem")
def zrem(c: Caller, args: list[bytes]) -> Reply:
    """ZREM key member [member ...]: how many were there."""
    members = c.db.typed(args[1], SortedSetValue)
    if members is None:
        return ZERO
    removed = sum([members.discard(member) for member in args[2:]])
    if removed:
        c.db.changed(args[1], b"zrem", removed)
        c.db.remove_if_empty(args[1])
    return integer(removed)


# -- popping -------------------------------------------------------------------------------------


@command("zpopmin")
def zpopmin(c: Caller, args: list[bytes]) -> Reply:
    """ZPOPMIN key [count]."""
    return _pop(c, args, lowest=True)


@command("zpopmax")
def zpopmax(c: Caller, args: list[bytes]) -> Reply:
    """ZPOPMAX key [count]."""
    return _pop(c, args, lowest=False)


def _pop(c: Caller, args: list[bytes], *, lowest: bool) -> bytes:
    if len(args) > 3:
        raise syntax_error()
    count = 1
    if len(args) == 3:
        message = "ERR value is out of range, must be positive"
        count = parse_ranged(args[2], 0, INT64_MAX, message)
    members = c.db.typed(args[1], SortedSetValue)
    if members is None or not count:
        return EMPTY_ARRAY
    taken = _take(c.db, args[1], members, count, lowest=lowest)
    if len(args) == 2:
        ((score, member),) = taken
        return array([bulk(member), double(score, c.resp)])
    return with_scores(taken, c.resp)


def _take(
    db: Keyspace, key: bytes, members: SortedSetValue, count: int, *, lowest: bool
) -> list[Scored]:
    """Remove up to `count` members from one end, and report it."""
    order, scores = members.order, members.scores
    taken: list[Scored] = []
    for _ in range(min(count, len(scores))):
        pair = order.pop(0 if lowest else -1)
        del scores[pair[1]]
        taken.append(pair)
    db.changed(key, b"zpopmin" if lowest else b"zpopmax", len(taken))
    if not scores:
        db.remove_if_empty(key)
    return taken


@command("zmpop")
def zmpop(c: Caller, args: list[bytes]) -> Reply:
    """ZMPOP numkeys key [key ...] MIN|MAX [COUNT count]."""
    keys, lowest, count = parse_pop_options(args, 1, _ENDS)
    for key in keys:
        members = c.db.typed(key, SortedSetValue)
        if members is not None:
            return _take_many(lowest=lowest, count=count)(c, key, members)
    return NULL_ARRAY[c.resp]


@command("bzmpop")
def bzmpop(c: Caller, args: list[bytes]) -> Reply:
    """BZMPOP timeout numkeys key [key ...] MIN|MAX [COUNT count]."""
    keys, lowest, count = parse_pop_options(args, 2, _ENDS)
    take = _take_many(lowest=lowest, count=count)
    return take_or_wait(c, keys, parse_timeout(args[1]), SortedSetValue, take)


@command("bzpopmin")
def bzpopmin(c: Caller, args: list[bytes]) -> Reply:
    """BZPOPMIN key [key ...] timeout."""
    take = _take_one(lowest=True)
    return take_or_wait(c, args[1:-1], parse_timeout(args[-1]), SortedSetValue, take)


@command("bzpopmax")
def bzpopmax(c: Caller, args: list[bytes]) -> Reply:
    """BZPOPMAX key [key ...] timeout."""
    take = _take_one(lowest=False)
    return take_or_wait(c, args[1:-1], parse_timeout(args[-1]), SortedSetValue, take)


def _take_one(*, lowest: bool) -> Take:
    """What BZPOPMIN and BZPOPMAX do once there is a member: key, member, score, all in a row."""

    def take(c: Caller, key: bytes, members: SortedSetValue) -> bytes:
        ((score, member),) = _take(c.db, key, members, 1, lowest=lowest)
        c.rewrite(b"ZPOPMIN" if lowest else b"ZPOPMAX", key)
        return array([bulk(key), bulk(member), double(score, c.resp)])

    return take


def _take_many(*, lowest: bool, count: int) -> Take:
    """What ZMPOP and BZMPOP do with the first key that has members: key, and pairs as arrays."""

    def take(c: Caller, key: bytes, members: SortedSetValue) -> bytes:
        taken = _take(c.db, key, members, count, lowest=lowest)
        c.rewrite(b"ZPOPMIN" if lowest else b"ZPOPMAX", key, b"%d" % len(taken))
        pairs = [array([bulk(member), double(score, c.resp)]) for score, member in taken]
        return array([bulk(key), array(pairs)])

    return take


# -- reading -------------------------------------------------------------------------------------


def with_scores(pairs: list[Scored], resp: int) -> bytes:
    """Members with their scores: one flat array in RESP2, an array of pairs in RESP3."""
    if resp == 3:
        return array([array([bulk(member), double(score, 3)]) for score, member in pairs])
    return array(list(chain.from_iterable((bulk(m), double(score, 2)) for score, m in pairs)))


@command("zcard")
def zcard(c: Caller, args: list[bytes]) -> Reply:
    """ZCARD key."""
    members = c.db.typed_read(args[1], SortedSetValue)
    return ZERO if members is None else integer(len(members))


@command("zscore")
def zscore(c: Caller, args: list[bytes]) -> Reply:
    """ZSCORE key member."""
    members = c.db.typed_read(args[1], SortedSetValue)
    score = None if members is None else members.scores.get(args[2])
    return NULL[c.resp] if score is None else double(score, c.resp)


@command("zmscore")
def zmscore(c: Caller, args: list[bytes]) -> Reply:
    """ZMSCORE key member [member ...]: a missing key has no members."""
    members = c.db.typed_read(args[1], SortedSetValue) or SortedSetValue()
    scores = [members.scores.get(member) for member in args[2:]]
    null = NULL[c.resp]
    return array([null if score is None else double(score, c.resp) for score in scores])


@command("zrank")
def zrank(c: Caller, args: list[bytes]) -> Reply:
    """ZRANK key member: how many members come before it."""
    members = c.db.typed_read(args[1], SortedSetValue)
    if members is None or args[2] not in members:
        return NULL[c.resp]
    return integer(_rank(members, args[2]))


@command("zrevrank")
def zrevrank(c: Caller, args: list[bytes]) -> Reply:
    """ZREVRANK key member: how many members come after it."""
    members = c.db.typed_read(args[1], SortedSetValue)
    if members is None or args[2] not in members:
        return NULL[c.resp]
    return integer(len(members) - 1 - _rank(members, args[2]))


def _rank(members: SortedSetValue, member: bytes) -> int:
    return int(members.order.bisect_left((members.scores[member], member)))


@command("zrandmember")
def zrandmember(c: Caller, args: list[bytes]) -> Reply:
    """ZRANDMEMBER key [count [WITHSCORES]]: one member, or an array of them."""
    if len(args) == 2:
        members = c.db.typed_read(args[1], SortedSetValue)
        if members is None:
            return NULL[c.resp]
        return bulk(members.order[places(c.engine.random, len(members), -1)[0]][1])
    count, scores_too = parse_count_and_flag(args, b"withscores")
    members = c.db.typed_read(args[1], SortedSetValue)
    if members is None or not count:
        return EMPTY_ARRAY
    if count >= len(members) > 1:
        chosen = list(reversed(members.order))  # where all are asked for, the highest comes first
    else:
        drawn = places(c.engine.random, len(members), count)
        chosen = [members.order[place] for place in drawn]
    return with_scores(chosen, c.resp) if scores_too else bulks([member for _, member in chosen])
