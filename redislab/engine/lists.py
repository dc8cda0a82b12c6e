"""Lists: LPUSH, LRANGE, LMOVE and their kin, as `src/t_list.c` of Redis 7.0 has them.

The order in which a command looks at its arguments decides which error a client sees, so it is the
same here. What waits for data (BLPOP and its kin) stands in `blocking_lists.py` and takes the steps
that are shared from here: `pop_range`, `move`, `end_of`, `parse_pop_options`.
"""

from __future__ import annotations

from itertools import islice

from redislab.engine.arguments import parse_int, parse_ranged
from redislab.engine.errors import (
    NO_SUCH_KEY,
    OUT_OF_RANGE,
    CommandError,
    syntax_error,
    wrong_arity,
)
from redislab.engine.keyspace import Keyspace
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import INT64_MAX, INT64_MIN, ListValue
from redislab.wire.resp import (
    EMPTY_ARRAY,
    NULL,
    NULL_ARRAY,
    OK,
    ZERO,
    array,
    bulk,
    bulks,
    integer,
)

NOT_POSITIVE = "ERR value is out of range, must be positive"
ENDS = (b"left", b"right")
BAD_NUMKEYS = "ERR numkeys should be greater than 0"
BAD_COUNT = "ERR count should be greater than 0"
RANK_IS_ZERO = (
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
    "or use negative to start from the end of the list"
)


# -- adding --------------------------------------------------------------------------------------


@command("lpush")
def lpush(c: Caller, args: list[bytes]) -> Reply:
    """LPUSH key element [element ...]."""
    return _push_left(c, args, c.db.list_for_write(args[1]))


@command("rpush")
def rpush(c: Caller, args: list[bytes]) -> Reply:
    """RPUSH key element [element ...]."""
    return _push_right(c, args, c.db.list_for_write(args[1]))


@command("lpushx")
def lpushx(c: Caller, args: list[bytes]) -> Reply:
    """LPUSHX key element [element ...]: only onto a list that exists."""
    values = c.db.typed(args[1], ListValue)
    return ZERO if values is None else _push_left(c, args, values)


@command("rpushx")
def rpushx(c: Caller, args: list[bytes]) -> Reply:
    """RPUSHX key element [element ...]: only onto a list that exists."""
    values = c.db.typed(args[1], ListValue)
    return ZERO if values is None else _push_right(c, args, values)


def _push_left(c: Caller, args: list[bytes], values: ListValue) -> bytes:
    if len(args) == 3:
        values.appendleft(args[2])
    else:
        values.extendleft(args[2:])
    c.db.changed(args[1], b"lpush", len(args) - 2)
    return integer(len(values))


def _push_right(c: Caller, args: list[bytes], values: ListValue) -> bytes:
    if len(args) == 3:
        values.append(args[2])
    else:
        values.extend(args[2:])
    c.db.changed(args[1], b"rpush", len(args) - 2)
    return integer(len(values))


@command("linsert")
def linsert(c: Caller, args: list[bytes]) -> Reply:
    """LINSERT key BEFORE|AFTER pivot element."""
    where = args[2].lower()
    if where not in {b"before", b"after"}:
        raise syntax_error()
    values = c.db.typed(args[1], ListValue)
    if values is None:
        return ZERO
    try:
        place = values.index(args[3])
    except ValueError:
        return integer(-1)
    values.insert(place + (where == b"after"), args[4])
    c.db.changed(args[1], b"linsert")
    return integer(len(values))


@command("lset")
def lset(c: Caller, args: list[bytes]) -> Reply:
    """LSET key index element."""
    values = c.db.typed(args[1], ListValue)
    if values is None:
        raise CommandError(NO_SUCH_KEY)
    index = parse_int(args[2])
    if not -len(values) <= index < len(values):
        raise CommandError(OUT_OF_RANGE)
    values[index] = args[3]
    c.db.changed(args[1], b"lset")
    return OK


# -- removing ------------------------------------------------------------------------------------


@command("lpop")
def lpop(c: Caller, args: list[bytes]) -> Reply:
    """LPOP key [count]."""
    if len(args) != 2:
        return _pop_count(c, args, left=True)
    db, key = c.db, args[1]
    values = db.typed(key, ListValue)
    if values is None:
        return NULL[c.resp]
    value = values.popleft()
    db.changed(key, b"lpop")
    if not values:
        db.remove_if_empty(key)
    return b"$%d\r\n%b\r\n" % (len(value), value)


@command("rpop")
def rpop(c: Caller, args: list[bytes]) -> Reply:
    """RPOP key [count]."""
    if len(args) != 2:
        return _pop_count(c, args, left=False)
    db, key = c.db, args[1]
    values = db.typed(key, ListValue)
    if values is None:
        return NULL[c.resp]
    value = values.pop()
    db.changed(key, b"rpop")
    if not values:
        db.remove_if_empty(key)
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _pop_count(c: Caller, args: list[bytes], *, left: bool) -> bytes:
    """LPOP and RPOP with a count."""
    if len(args) > 3:
        raise wrong_arity("lpop" if left else "rpop")
    count = parse_ranged(args[2], 0, INT64_MAX, NOT_POSITIVE)
    values = c.db.typed(args[1], ListValue)
    if values is None:
        return NULL_ARRAY[c.resp]
    if not count:
        return EMPTY_ARRAY
    return bulks(pop_range(c.db, args[1], values, count, left=left))


def pop_range(
    db: Keyspace, key: bytes, values: ListValue, count: int, *, left: bool
) -> list[bytes]:
    """Take up to `count` elements from one end, in the order they are taken, and report it."""
    count = min(count, len(values))
    take = values.popleft if left else values.pop
    taken = [take() for _ in range(count)]
    db.changed(key, b"lpop" if left else b"rpop", count)
    db.remove_if_empty(key)
    return taken


@command("lmpop")
def lmpop(c: Caller, args: list[bytes]) -> Reply:
    """LMPOP numkeys key [key ...] LEFT|RIGHT [COUNT count]."""
    keys, left, count = parse_pop_options(args, 1)
    for key in keys:
        values = c.db.typed(key, ListValue)
        if values is not None:
            return pop_with_key(c, key, values, count, left=left)
    return NULL_ARRAY[c.resp]


def pop_with_key(c: Caller, key: bytes, values: ListValue, count: int, *, left: bool) -> bytes:
    """The reply of LMPOP: the key and what was taken from it, sent on as LPOP or RPOP."""
    taken = pop_range(c.db, key, values, count, left=left)
    c.rewrite(b"LPOP" if left else b"RPOP", key, b"%d" % len(taken))
    return array([bulk(key), bulks(taken)])


def parse_pop_options(
    args: list[bytes], at: int, ends: tuple[bytes, bytes] = ENDS
) -> tuple[list[bytes], bool, int]:
    """Keys, whether from the first end, and count of LMPOP and the like, ZMPOP among them.

    Args:
        args: the request.
        at: where numkeys stands in it.
        ends: what the two ends are called.
    """
    number = parse_ranged(args[at], 1, INT64_MAX, BAD_NUMKEYS)
    where = at + number + 1
    if where >= len(args):
        raise syntax_error()
    first = end_of(args[where], ends)
    count = 0
    for option in range(where + 1, len(args), 2):
        if count or args[option].lower() != b"count" or option + 1 == len(args):
            raise syntax_error()
        count = parse_ranged(args[option + 1], 1, INT64_MAX, BAD_COUNT)
    return args[at + 1 : where], first, count or 1


@command("ltrim")
def ltrim(c: Caller, args: list[bytes]) -> Reply:
    """LTRIM key start stop."""
    start, stop = parse_int(args[2]), parse_int(args[3])
    db, key = c.db, args[1]
    values = db.typed(key, ListValue)
    if values is None:
        return OK
    before = len(values)
    start, stop = clamp(start, stop, before)
    kept = max(0, stop - start)
    if kept <= before // 2:
        rest = elements(values, start, stop)
        values.clear()
        values.extend(rest)
    else:
        for _ in range(before - stop):
            values.pop()
        for _ in range(start):
            values.popleft()
    db.changed(key, b"ltrim", before - kept)
    db.remove_if_empty(key)
    return OK


@command("lrem")
def lrem(c: Caller, args: list[bytes]) -> Reply:
    """LREM key count element: a negative count removes from the tail, 0 removes all."""
    count = parse_int(args[2])
    values = c.db.typed(args[1], ListValue)
    if values is None:
        return ZERO
    if count < 0:
        values.reverse()
    removed = _remove(values, args[3], abs(count) or len(values))
    if count < 0:
        values.reverse()
    if removed:
        c.db.changed(args[1], b"lrem", removed)
        c.db.remove_if_empty(args[1])
    return integer(removed)


def _remove(values: ListValue, element: bytes, most: int) -> int:
    """Remove an element up to `most` times, from the head; return how often it was there."""
    found = min(values.count(element), most)
    if found <= 1:
        if found:
            values.remove(element)
        return found
    kept = []
    left = found
    for value in values:
        if left and value == element:
            left -= 1
        else:
            kept.append(value)
    values.clear()
    values.extend(kept)
    return found


# -- moving --------------------------------------------------------------------------------------


@command("lmove")
def lmove(c: Caller, args: list[bytes]) -> Reply:
    """LMOVE source destination LEFT|RIGHT LEFT|RIGHT."""
    from_left, to_left = end_of(args[3]), end_of(args[4])
    return _move_now(c, args, from_left=from_left, to_left=to_left)


@command("rpoplpush")
def rpoplpush(c: Caller, args: list[bytes]) -> Reply:
    """RPOPLPUSH source destination."""
    return _move_now(c, args, from_left=False, to_left=True)


def _move_now(c: Caller, args: list[bytes], *, from_left: bool, to_left: bool) -> bytes:
    values = c.db.typed(args[1], ListValue)
    if values is None:
        return NULL[c.resp]
    return move(c, args[1], args[2], values, from_left=from_left, to_left=to_left)


def move(
    c: Caller,
    source: bytes,
    destination: bytes,
    values: ListValue,
    *,
    from_left: bool,
    to_left: bool,
) -> bytes:
    """Move one element from the list `values` at `source`, and answer it.

    Raises:
        CommandError: WRONGTYPE, if the destination holds no list; nothing has moved then.
    """
    db = c.db
    target = db.list_for_write(destination)
    value = values.popleft() if from_left else values.pop()
    if to_left:
        target.appendleft(value)
    else:
        target.append(value)
    db.changed(destination, b"lpush" if to_left else b"rpush")
    db.changed(source, b"lpop" if from_left else b"rpop", 0)
    db.remove_if_empty(source)
    return bulk(value)


def end_of(text: bytes, ends: tuple[bytes, bytes] = ENDS) -> bool:
    """Whether the first of two ends was asked for: LEFT, not RIGHT.

    Raises:
        CommandError: a syntax error for anything else.
    """
    where = text.lower()
    if where not in ends:
        raise syntax_error()
    return where == ends[0]


# -- reading -------------------------------------------------------------------------------------


@command("llen")
def llen(c: Caller, args: list[bytes]) -> Reply:
    """LLEN key."""
    values = c.db.typed_read(args[1], ListValue)
    return ZERO if values is None else integer(len(values))


@command("lindex")
def lindex(c: Caller, args: list[bytes]) -> Reply:
    """LINDEX key index."""
    values = c.db.typed_read(args[1], ListValue)
    if values is None:
        return NULL[c.resp]
    index = parse_int(args[2])
    if -len(values) <= index < len(values):
        return bulk(values[index])
    return NULL[c.resp]


@command("lrange")
def lrange(c: Caller, args: list[bytes]) -> Reply:
    """LRANGE key start stop."""
    start, stop = parse_int(args[2]), parse_int(args[3])
    values = c.db.typed_read(args[1], ListValue)
    if values is None:
        return EMPTY_ARRAY
    start, stop = clamp(start, stop, len(values))
    return bulks(elements(values, start, stop)) if start < stop else EMPTY_ARRAY


def clamp(start: int, stop: int, length: int) -> tuple[int, int]:
    """The half-open range that an inclusive one with negative indexes means, within a length.

    An empty range comes out as (length, length).
    """
    if start < 0:
        start = max(0, start + length)
    if stop < 0:
        stop += length
    if start > stop or start >= length:
        return length, length
    return start, min(stop + 1, length)


def elements(values: ListValue, start: int, stop: int) -> list[bytes]:
    """The elements of a half-open range, found from the nearer end of the list."""
    if stop > len(values) - start:
        from_tail = list(islice(reversed(values), len(values) - stop, len(values) - start))
        from_tail.reverse()
        return from_tail
    return list(islice(values, start, stop))


@command("lpos")
def lpos(c: Caller, args: list[bytes]) -> Reply:
    """LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]."""
    rank, count, most = _parse_lpos(args)
    values = c.db.typed_read(args[1], ListValue)
    if values is None:
        return NULL[c.resp] if count is None else EMPTY_ARRAY
    wanted = len(values) if count == 0 else min(count or 1, len(values))
    places = _places(values, args[2], rank, wanted, most or len(values))
    if count is not None:
        return array([integer(place) for place in places])
    return integer(places[0]) if places else NULL[c.resp]


def _parse_lpos(args: list[bytes]) -> tuple[int, int | None, int]:
    """RANK, COUNT (None if it is left out) and MAXLEN (0 for no limit)."""
    rank, count, most = 1, None, 0
    for at in range(3, len(args), 2):
        option = args[at].lower()
        if at + 1 == len(args):
            raise syntax_error()
        if option == b"rank":
            rank = parse_int(args[at + 1])
            if not rank:
                raise CommandError(RANK_IS_ZERO)
        elif option == b"count":
            count = parse_ranged(args[at + 1], 0, INT64_MAX, "ERR COUNT can't be negative")
        elif option == b"maxlen":
            most = parse_ranged(args[at + 1], 0, INT64_MAX, "ERR MAXLEN can't be negative")
        else:
            raise syntax_error()
    if rank == INT64_MIN:
        # It has no opposite in 64 bits: Redis then takes every match for one late enough, and
        # never finds that it has counted up to COUNT.
        return -1, None if count is None else 0, most
    return rank, count, most


def _places(values: ListValue, element: bytes, rank: int, wanted: int, most: int) -> list[int]:
    """Where an element stands: from the rank-th match on, among the first `most` elements.

    A negative rank looks from the tail; the places are indexes from the head all the same.
    """
    looked_at = enumerate(islice(values if rank > 0 else reversed(values), most))
    matches = (place for place, value in looked_at if value == element)
    skipped = min(abs(rank) - 1, len(values))
    places = list(islice(matches, skipped, skipped + wanted))
    return places if rank > 0 else [len(values) - 1 - place for place in places]
