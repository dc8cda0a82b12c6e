"""Unions, intersections and differences of sorted sets: ZUNION, ZINTER, ZDIFF and the like.

Plain sets take part with score 1 for each member. Follows `zunionInterDiffGenericCommand` of
`src/t_zset.c` in Redis 7.0, down to the order in which scores are added, which decides the last
digit of a sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from math import isnan

from redislab.engine.arguments import parse_float, parse_int, parse_ranged
from redislab.engine.errors import CommandError, syntax_error, wrong_type
from redislab.engine.sorted_set_ranges import store
from redislab.engine.sorted_sets import Scored, with_scores
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import INT64_MAX, SetValue, SortedSetValue
from redislab.wire.resp import bulks, integer

Aggregate = Callable[[float, float], float]


@dataclass(slots=True)
class Source:
    """One of the sets that an operation works on."""

    scores: dict[bytes, float]
    weight: float = 1.0

    def weighted(self, member: bytes) -> float:
        """The member's score times the weight; infinity times zero is zero."""
        score = self.scores[member] * self.weight
        return 0.0 if isnan(score) else score


@dataclass(slots=True)
class Request:
    """What a command asks for."""

    sources: list[Source]
    aggregate: Aggregate
    with_scores: bool = False
    limit: int = 0  # of ZINTERCARD; 0 for none


@command("zunion")
def zunion(c: Caller, args: list[bytes]) -> Reply:
    """ZUNION numkeys key [key ...] [WEIGHTS ...] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]."""
    request = _parse(c, args, "zunion", 1)
    return _answer(c, _union(request), request)


@command("zunionstore")
def zunionstore(c: Caller, args: list[bytes]) -> Reply:
    """ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS ...] [AGGREGATE SUM|MIN|MAX]."""
    request = _parse(c, args, "zunionstore", 2)
    return store(c, args[1], _union(request), b"zunionstore")


@command("zinter")
def zinter(c: Caller, args: list[bytes]) -> Reply:
    """ZINTER numkeys key [key ...] [WEIGHTS ...] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]."""
    request = _parse(c, args, "zinter", 1)
    return _answer(c, _intersection(request), request)


@command("zinterstore")
def zinterstore(c: Caller, args: list[bytes]) -> Reply:
    """ZINTERSTORE destination numkeys key [key ...] [WEIGHTS ...] [AGGREGATE SUM|MIN|MAX]."""
    request = _parse(c, args, "zinterstore", 2)
    return store(c, args[1], _intersection(request), b"zinterstore")


@command("zintercard")
def zintercard(c: Caller, args: list[bytes]) -> Reply:
    """ZINTERCARD numkeys key [key ...] [LIMIT limit]."""
    request = _parse(c, args, "zintercard", 1)
    first, *others = sorted(request.sources, key=lambda source: len(source.scores))
    common = (m for m in first.scores if all(m in other.scores for other in others))
    return integer(sum(1 for _ in islice(common, request.limit or None)))


@command("zdiff")
def zdiff(c: Caller, args: list[bytes]) -> Reply:
    """ZDIFF numkeys key [key ...] [WITHSCORES]."""
    request = _parse(c, args, "zdiff", 1)
    return _answer(c, _difference(request), request)


@command("zdiffstore")
def zdiffstore(c: Caller, args: list[bytes]) -> Reply:
    """ZDIFFSTORE destination numkeys key [key ...]."""
    request = _parse(c, args, "zdiffstore", 2)
    return store(c, args[1], _difference(request), b"zdiffstore")


def _answer(c: Caller, pairs: list[Scored], request: Request) -> bytes:
    if request.with_scores:
        return with_scores(pairs, c.resp)
    return bulks([member for _, member in pairs])


# -- the operations ------------------------------------------------------------------------------


def _union(request: Request) -> list[Scored]:
    """Every member of every source, its scores aggregated."""
    result: dict[bytes, float] = {}
    for source in sorted(request.sources, key=lambda source: len(source.scores)):
        for member in source.scores:
            score = source.weighted(member)
            if member in result:
                score = request.aggregate(result[member], score)
            result[member] = score
    return sorted((score, member) for member, score in result.items())


def _intersection(request: Request) -> list[Scored]:
    """The members that every source has, their scores aggregated."""
    first, *others = sorted(request.sources, key=lambda source: len(source.scores))
    result: list[Scored] = []
    for member in first.scores:
        if all(member in other.scores for other in others):
            score = first.weighted(member)
            for other in others:
                score = request.aggregate(score, other.scores[member] * other.weight)
            result.append((score, member))
    return sorted(result)


def _difference(request: Request) -> list[Scored]:
    """The members of the first source that no other has, with their scores."""
    first, *others = request.sources
    return sorted(
        (score, member)
        for member, score in first.scores.items()
        if not any(member in other.scores for other in others)
    )


def _sum(left: float, right: float) -> float:
    """The sum; opposite infinities make zero."""
    total = left + right
    return 0.0 if isnan(total) else total


_AGGREGATES: dict[bytes, Aggregate] = {b"sum": _sum, b"min": min, b"max": max}


# -- reading the request -------------------------------------------------------------------------


def _parse(c: Caller, args: list[bytes], name: str, at: int) -> Request:
    """The request; `at` is where numkeys stands. The keys are looked up before the options."""
    number = parse_int(args[at])
    if number < 1:
        raise CommandError(f"ERR at least 1 input key is needed for '{name}' command")
    first_option = at + 1 + number
    if first_option > len(args):
        raise syntax_error()
    request = Request([_source(c, key) for key in args[at + 1 : first_option]], _sum)
    _parse_options(request, args, name, first_option)
    return request


def _parse_options(request: Request, args: list[bytes], name: str, at: int) -> None:
    """Read what follows the keys into the request; which options there are depends on `name`."""
    aggregates = name in {"zunion", "zinter", "zunionstore", "zinterstore"}
    number = len(request.sources)
    while at < len(args):
        option, left = args[at].lower(), len(args) - at
        if option == b"weights" and aggregates and left > number:
            for source, text in zip(request.sources, args[at + 1 :], strict=False):
                source.weight = parse_float(text, "ERR weight value is not a float")
            at += 1 + number
        elif option == b"aggregate" and aggregates and left > 1:
            aggregate = _AGGREGATES.get(args[at + 1].lower())
            if aggregate is None:
                raise syntax_error()
            request.aggregate = aggregate
            at += 2
        elif option == b"withscores" and name in {"zunion", "zinter", "zdiff"}:
            request.with_scores = True
            at += 1
        elif option == b"limit" and name == "zintercard" and left > 1:
            request.limit = parse_ranged(args[at + 1], 0, INT64_MAX, "ERR LIMIT can't be negative")
            at += 2
        else:
            raise syntax_error()


def _source(c: Caller, key: bytes) -> Source:
    """The set at a key: sorted, plain with score 1 for every member, or empty for a missing key."""
    value = c.db.lookup_read(key)
    if value is None:
        return Source({})
    if type(value) is SortedSetValue:
        return Source(value.scores)
    if type(value) is SetValue:
        return Source(dict.fromkeys(value, 1.0))
    raise wrong_type()
