"""List commands that wait for data: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.

Each of them looks once, as its sibling in `lists.py` does, and where nothing is there returns a
`Block`; the server calls the block's `serve` when a list has appeared at one of the keys. Replicas
and the append-only file are sent the sibling that does not wait. Follows `src/t_list.c` and
`src/blocked.c` of Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil
from typing import TypeVar

from redislab.engine import longdouble
from redislab.engine.errors import CommandError
from redislab.engine.lists import end_of, move, parse_pop_options, pop_range, pop_with_key
from redislab.engine.table import Block, Caller, Reply, command
from redislab.engine.values import INT64_MAX, ListValue
from redislab.wire.resp import NULL, NULL_ARRAY, bulks

V = TypeVar("V")


@command("blpop")
def blpop(c: Caller, args: list[bytes]) -> Reply:
    """BLPOP key [key ...] timeout."""
    return take_or_wait(c, args[1:-1], parse_timeout(args[-1]), ListValue, _take_left)


@command("brpop")
def brpop(c: Caller, args: list[bytes]) -> Reply:
    """BRPOP key [key ...] timeout."""
    return take_or_wait(c, args[1:-1], parse_timeout(args[-1]), ListValue, _take_right)


@command("blmpop")
def blmpop(c: Caller, args: list[bytes]) -> Reply:
    """BLMPOP timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]."""
    keys, left, count = parse_pop_options(args, 2)

    def take(client: Caller, key: bytes, values: ListValue) -> bytes:
        return pop_with_key(client, key, values, count, left=left)

    return take_or_wait(c, keys, parse_timeout(args[1]), ListValue, take)


def _take_left(c: Caller, key: bytes, values: ListValue) -> bytes:
    reply = bulks([key, *pop_range(c.db, key, values, 1, left=True)])
    c.rewrite(b"LPOP", key)
    return reply


def _take_right(c: Caller, key: bytes, values: ListValue) -> bytes:
    reply = bulks([key, *pop_range(c.db, key, values, 1, left=False)])
    c.rewrite(b"RPOP", key)
    return reply


def take_or_wait(
    c: Caller,
    keys: Sequence[bytes],
    timeout_s: float,
    kind: type[V],
    take: Callable[[Caller, bytes, V], bytes],
) -> Reply:
    """Take from the first key that holds a value of this kind, or wait until one of them does.

    `take(client, key, value)` removes what the client gets and returns the reply. It may run for
    the client later, when it has waited.
    """
    for key in keys:
        found = c.db.typed(key, kind)
        if found is not None:
            return take(c, key, found)
    if c.deny_blocking:
        return NULL_ARRAY[c.resp]

    def serve(client: Caller, key: bytes) -> bytes | None:
        value = client.db.lookup(key)
        if type(value) is not kind:
            return None
        changes = client.engine.dirty
        reply = take(client, key, value)
        if take is _take_left or take is _take_right:
            client.engine.dirty = changes  # what BLPOP is served with does not count in Redis
        return reply

    return Block(keys, timeout_s, serve, NULL_ARRAY[c.resp])


@command("blmove")
def blmove(c: Caller, args: list[bytes]) -> Reply:
    """BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout."""
    from_left, to_left = end_of(args[3]), end_of(args[4])
    timeout_s = parse_timeout(args[5])
    sent_on = [b"LMOVE", args[1], args[2], args[3], args[4]]
    return _wait_to_move(c, timeout_s, sent_on, from_left=from_left, to_left=to_left)


@command("brpoplpush")
def brpoplpush(c: Caller, args: list[bytes]) -> Reply:
    """BRPOPLPUSH source destination timeout."""
    timeout_s = parse_timeout(args[3])
    sent_on = [b"RPOPLPUSH", args[1], args[2]]
    return _wait_to_move(c, timeout_s, sent_on, from_left=False, to_left=True)


def _wait_to_move(
    c: Caller, timeout_s: float, sent_on: list[bytes], *, from_left: bool, to_left: bool
) -> Reply:
    """Move an element now, or when there is one; a timeout answers a null array, as in Redis."""
    source, destination = sent_on[1:3]

    def move_from(client: Caller, values: ListValue, words: list[bytes]) -> bytes:
        reply = move(client, source, destination, values, from_left=from_left, to_left=to_left)
        client.rewrite(*words)
        return reply

    def serve(client: Caller, key: bytes) -> bytes | None:
        values = client.db.lookup(key)
        if type(values) is not ListValue:
            return None
        changes = client.engine.dirty
        # The ends in Redis's own words, where a client that need not wait sends on its own.
        reply = move_from(client, values, [*sent_on[:3], *map(bytes.lower, sent_on[3:])])
        client.engine.dirty = changes
        return reply

    values = c.db.typed(source, ListValue)
    if values is not None:
        return move_from(c, values, sent_on)
    if c.deny_blocking:
        return NULL[c.resp]
    return Block([source], timeout_s, serve, NULL_ARRAY[c.resp])


def parse_timeout(text: bytes) -> float:
    """The timeout of a blocking command: seconds, rounded up to whole milliseconds.

    Raises:
        CommandError: no number, or a negative one; so is one beyond 64 bits of milliseconds.
    """
    seconds = longdouble.parse(text)
    if seconds is None:
        raise CommandError("ERR timeout is not a float or out of range")
    if isinstance(seconds, Fraction):
        milliseconds = longdouble.rounded(seconds * 1000)
        if isinstance(milliseconds, Fraction) and 0 <= ceil(milliseconds) <= INT64_MAX:
            return ceil(milliseconds) / 1000
    raise CommandError("ERR timeout is negative")
