"""Ranges of sorted sets by rank, by score and by member: ZRANGE, ZCOUNT, ZREMRANGEBYSCORE and more.

Every one of these commands asks for a slice of the members in order, forwards or backwards. A
`Request` says which, `_slice` finds it by bisection, and the commands differ in what they do with
it: answer it, count it, store it, remove it. Follows `src/t_zset.c` of Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isnan, nextafter

from redislab.engine.arguments import parse_int, strtod
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.lists import clamp
from redislab.engine.sorted_sets import Scored, with_scores
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import SortedSetValue
from redislab.wire.resp import EMPTY_ARRAY, ZERO, bulks, integer

Slice = tuple[int, int]  # half-open, of indexes from the lowest member on
Slicer = Callable[[SortedSetValue], Slice]

_NOT_LEX = "ERR min or max not valid string range item"
_NOT_SCORES = "ERR min or max is not a float"
_SPACES = b" \t\n\v\f\r"


@dataclass(frozen=True, slots=True)
class Request:
    """A slice of a sorted set that a command asks for."""

    slicer: Slicer
    reverse: bool
    with_scores: bool
    offset: int
    limit: int  # negative for no limit


# -- the commands --------------------------------------------------------------------------------


@command("zrange")
def zrange(c: Caller, args: list[bytes]) -> Reply:
    """ZRANGE key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]."""
    return _answer(c, args[1], _parse(args, 1))


@command("zrevrange")
def zrevrange(c: Caller, args: list[bytes]) -> Reply:
    """ZREVRANGE key start stop [WITHSCORES]."""
    return _answer(c, args[1], _parse(args, 1, by="rank", reverse=True))


@command("zrangebyscore")
def zrangebyscore(c: Caller, args: list[bytes]) -> Reply:
    """ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]."""
    return _answer(c, args[1], _parse(args, 1, by="score", reverse=False))


@command("zrevrangebyscore")
def zrevrangebyscore(c: Caller, args: list[bytes]) -> Reply:
    """ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]."""
    return _answer(c, args[1], _parse(args, 1, by="score", reverse=True))


@command("zrangebylex")
def zrangebylex(c: Caller, args: list[bytes]) -> Reply:
    """ZRANGEBYLEX key min max [LIMIT offset count]."""
    return _answer(c, args[1], _parse(args, 1, by="lex", reverse=False))


@command("zrevrangebylex")
def zrevrangebylex(c: Caller, args: list[bytes]) -> Reply:
    """ZREVRANGEBYLEX key max min [LIMIT offset count]."""
    return _answer(c, args[1], _parse(args, 1, by="lex", reverse=True))


@command("zrangestore")
def zrangestore(c: Caller, args: list[bytes]) -> Reply:
    """ZRANGESTORE dst src start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count]."""
    request = _parse(args, 2, storing=True)
    members = c.db.typed_read(args[2], SortedSetValue)
    pairs = [] if members is None else _select(members, request)
    return store(c, args[1], pairs, b"zrangestore")


@command("zcount")
def zcount(c: Caller, args: list[bytes]) -> Reply:
    """ZCOUNT key min max."""
    return _count(c, args[1], _by_score(args[2], args[3]))


@command("zlexcount")
def zlexcount(c: Caller, args: list[bytes]) -> Reply:
    """ZLEXCOUNT key min max."""
    return _count(c, args[1], _by_lex(args[2], args[3], reverse=False))


@command("zremrangebyrank")
def zremrangebyrank(c: Caller, args: list[bytes]) -> Reply:
    """ZREMRANGEBYRANK key start stop."""
    slicer = _by_rank(args[2], args[3], reverse=False)
    return _remove(c, args[1], slicer, b"zremrangebyrank")


@command("zremrangebyscore")
def zremrangebyscore(c: Caller, args: list[bytes]) -> Reply:
    """ZREMRANGEBYSCORE key min max."""
    return _remove(c, args[1], _by_score(args[2], args[3]), b"zremrangebyscore")


@command("zremrangebylex")
def zremrangebylex(c: Caller, args: list[bytes]) -> Reply:
    """ZREMRANGEBYLEX key min max."""
    slicer = _by_lex(args[2], args[3], reverse=False)
    return _remove(c, args[1], slicer, b"zremrangebylex")


# -- what they do with a slice -------------------------------------------------------------------


def _answer(c: Caller, key: bytes, request: Request) -> bytes:
    """The members of a slice as a reply."""
    members = c.db.typed_read(key, SortedSetValue)
    if members is None:
        return EMPTY_ARRAY
    pairs = _select(members, request)
    if request.with_scores:
        return with_scores(pairs, c.resp)
    return bulks([member for _, member in pairs])


def _select(members: SortedSetValue, request: Request) -> list[Scored]:
    """The scored members of a slice, in the order that was asked for."""
    start, stop = request.slicer(members)
    if request.offset < 0:
        return []
    if request.reverse:
        stop -= request.offset
        if request.limit >= 0:
            start = max(start, stop - request.limit)
    else:
        start += request.offset
        if request.limit >= 0:
            stop = min(stop, start + request.limit)
    if start >= stop:
        return []
    return list(members.order.islice(start, stop, reverse=request.reverse))


def _count(c: Caller, key: bytes, slicer: Slicer) -> bytes:
    """How many members a slice has."""
    members = c.db.typed_read(key, SortedSetValue)
    if members is None:
        return ZERO
    start, stop = slicer(members)
    return integer(stop - start)


def _remove(c: Caller, key: bytes, slicer: Slicer, event: bytes) -> bytes:
    """Remove the members of a slice; how many there were."""
    members = c.db.typed(key, SortedSetValue)
    if members is None:
        return ZERO
    start, stop = slicer(members)
    if start == stop:
        return ZERO
    for _, member in members.order.islice(start, stop):
        del members.scores[member]
    del members.order[start:stop]
    c.db.changed(key, event, stop - start)
    c.db.remove_if_empty(key)
    return integer(stop - start)


def store(c: Caller, key: bytes, pairs: list[Scored], event: bytes, count: int = 1) -> bytes:
    """Set a key to these members, or remove it if there are none; reply how many there are.

    Args:
        c: the caller.
        key: the destination.
        pairs: what to store.
        event: the keyspace event.
        count: how many changes this is for `dirty`.
    """
    if pairs:
        limits = c.engine.limits
        result = SortedSetValue()
        # Known before the first member comes: what is no listpack in the end keeps its -0 scores.
        result.packed = len(pairs) <= limits.zset_max_listpack_entries and (
            max(len(member) for _, member in pairs) <= limits.zset_max_listpack_value
        )
        for score, member in pairs:
            result.put(member, score, limits)
        c.db.put(key, result)
        c.db.changed(key, event, count)
    elif c.db.remove(key):
        c.db.changed(key, b"del")
    return integer(len(pairs))


# -- reading the request -------------------------------------------------------------------------


def _parse(
    args: list[bytes],
    key_at: int,
    *,
    by: str | None = None,
    reverse: bool | None = None,
    storing: bool = False,
) -> Request:
    """The slice that a request means; `by` and `reverse` are None where options choose them."""
    offset, limit, scores = 0, -1, False
    at = key_at + 3
    fixed_by, fixed_direction = by is not None, reverse is not None
    while at < len(args):
        option = args[at].lower()
        if option == b"withscores" and not storing:
            scores = True
        elif option == b"limit" and at + 2 < len(args):
            offset, limit = parse_int(args[at + 1]), parse_int(args[at + 2])
            at += 2
        elif option == b"rev" and not fixed_direction:
            reverse = fixed_direction = True
        elif option in {b"bylex", b"byscore"} and not fixed_by:
            by, fixed_by = option[2:].decode(), True
        else:
            raise syntax_error()
        at += 1
    _check(by, limit=limit, scores=scores)
    low, high = args[key_at + 1], args[key_at + 2]
    backwards = bool(reverse)
    if backwards and by in {"score", "lex"}:
        low, high = high, low
    if by == "score":
        slicer = _by_score(low, high)
    elif by == "lex":
        slicer = _by_lex(low, high, reverse=backwards)
    else:
        slicer = _by_rank(low, high, reverse=backwards)
    return Request(slicer, backwards, scores, offset, limit)


def _check(by: str | None, *, limit: int, scores: bool) -> None:
    """Refuse options that do not go together."""
    if limit != -1 and by in {None, "rank"}:
        raise CommandError(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
        )
    if scores and by == "lex":
        raise CommandError("ERR syntax error, WITHSCORES not supported in combination with BYLEX")


def _by_rank(first: bytes, last: bytes, *, reverse: bool) -> Slicer:
    """Ranks `first` to `last`, counted from the highest member if reversed."""
    start, stop = parse_int(first), parse_int(last)

    def find(members: SortedSetValue) -> Slice:
        size = len(members)
        low, high = clamp(start, stop, size)
        return (size - high, size - low) if reverse else (low, high)

    return find


def _by_score(low: bytes, high: bytes) -> Slicer:
    """Scores from `low` to `high`; a `(` before one of them leaves that score out."""
    least, above = _parse_score(low)
    most, below = _parse_score(high)

    def find(members: SortedSetValue) -> Slice:
        start = _place(members, least, after=above)
        return start, max(start, _place(members, most, after=not below))

    return find


def _place(members: SortedSetValue, score: float, *, after: bool) -> int:
    """The index of the first member with this score, or of the first beyond it."""
    if after:
        if score == inf:
            return len(members)
        score = nextafter(score, inf)
    return int(members.order.bisect_left((score,)))


def _parse_score(text: bytes) -> tuple[float, bool]:
    """A bound of a range of scores, and whether it is left out of the range.

    Read as by `strtod`: leading spaces are skipped and no text at all is 0.
    """
    exclusive = text[:1] == b"("
    digits = text[exclusive:].split(b"\0", 1)[0]
    score = strtod(digits.lstrip(_SPACES)) if digits else 0.0
    if score is None or isnan(score):
        raise CommandError(_NOT_SCORES)
    return score, exclusive


# -- ranges by member ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bound:
    """An end of a range of members: `[m`, `(m`, or beyond them all (`-` is -1, `+` is 1)."""

    member: bytes = b""
    exclusive: bool = True
    beyond: int = 0

    def is_passed(self, member: bytes) -> bool:
        """Whether the member is not before this bound, seen as the lower one."""
        if self.beyond:
            return self.beyond < 0
        return member > self.member if self.exclusive else member >= self.member

    def is_ahead(self, member: bytes) -> bool:
        """Whether the member is not behind this bound, seen as the upper one."""
        if self.beyond:
            return self.beyond > 0
        return member < self.member if self.exclusive else member <= self.member


def _by_lex(low: bytes, high: bytes, *, reverse: bool) -> Slicer:
    """Members from `low` to `high` of a set whose scores are all equal.

    Where they are not, a small set is searched member by member from the side the command starts
    at, as Redis searches a listpack; what comes out for a large one is not defined.
    """
    least, most = _parse_lex(low), _parse_lex(high)
    is_empty = least.beyond > 0 or most.beyond < 0
    if not least.beyond and not most.beyond:
        is_empty = least.member > most.member or (
            least.member == most.member and (least.exclusive or most.exclusive)
        )

    def find(members: SortedSetValue) -> Slice:
        if is_empty:
            return 0, 0
        if not members.packed:
            return _bisect_lex(members, least, most)
        return _scan_lex([member for _, member in members.order], least, most, reverse=reverse)

    return find


def _bisect_lex(members: SortedSetValue, least: Bound, most: Bound) -> Slice:
    order = members.order
    score = order[0][0]
    start, stop = 0, len(order)
    if not least.beyond:
        find = order.bisect_right if least.exclusive else order.bisect_left
        start = int(find((score, least.member)))
    if not most.beyond:
        find = order.bisect_left if most.exclusive else order.bisect_right
        stop = int(find((score, most.member)))
    return start, max(start, stop)


def _scan_lex(names: list[bytes], least: Bound, most: Bound, *, reverse: bool) -> Slice:
    """The slice found by walking from one end: to the first member in range, then out of it."""
    if not least.is_passed(names[-1]) or not most.is_ahead(names[0]):
        return 0, 0
    if reverse:
        stop = len(names)
        while stop and not most.is_ahead(names[stop - 1]):
            stop -= 1
        start = stop
        while start and least.is_passed(names[start - 1]):
            start -= 1
        return start, stop
    start = 0
    while start < len(names) and not least.is_passed(names[start]):
        start += 1
    stop = start
    while stop < len(names) and most.is_ahead(names[stop]):
        stop += 1
    return start, stop


def _parse_lex(text: bytes) -> Bound:
    """`-`, `+`, `[member` or `(member`."""
    whole = text.partition(b"\0")[0]
    if whole == b"-":
        return Bound(beyond=-1)
    if whole == b"+":
        return Bound(beyond=1)
    if text[:1] not in {b"[", b"("}:
        raise CommandError(_NOT_LEX)
    return Bound(text[1:], text[:1] == b"(")
