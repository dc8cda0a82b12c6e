"""Reading a value of any type (`rdbLoadObject` in `src/rdb.c` of Redis 7.0).

However a value was encoded, it comes out as one of these:

| type | value |
| --- | --- |
| string | `bytes` |
| list | `list[bytes]` |
| set | `dict[bytes, int]`, each member with its place |
| hash | `dict[bytes, bytes]` |
| sorted set | `dict[bytes, float]`, each member with its score |
| stream | `StreamData`, see `streams.py` |

A list, set, hash or sorted set without elements is none: Redis skips a key that has one. All is
checked that Redis checks with `sanitize-dump-payload yes`.

There are two ways to read. `WHOLE` has plain functions for values that have come whole and are
small, which is the common case and the quick one. `read_object` waits for whatever has not come.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from math import inf, isnan, nan
from struct import Struct
from typing import Any

from redislab.wire.rdb import packed
from redislab.wire.rdb.faults import (
    BAD_HASH_LISTPACK,
    BAD_HASH_ZIPLIST,
    BAD_INTSET,
    BAD_LIST_ZIPLIST,
    BAD_LISTPACK,
    BAD_QUICKLIST,
    BAD_ZIPLIST,
    BAD_ZIPMAP,
    BAD_ZSET_LISTPACK,
    BAD_ZSET_ZIPLIST,
    DUPLICATE_FIELDS,
    DUPLICATE_FIELDS_OF_MANY,
    DUPLICATE_MEMBERS,
    DUPLICATE_SORTED_MEMBERS,
    SCORE_IS_NAN,
    Fault,
    RdbError,
    module_value,
    unknown_type,
    unreadable,
)
from redislab.wire.rdb.feed import Feed, Parsing, Short
from redislab.wire.rdb.opcodes import MODULES, NODE_PACKED, NODE_PLAIN, Type
from redislab.wire.rdb.streams import read_stream
from redislab.wire.rdb.strings import read_fixed, read_length, read_string, read_strings

_DOUBLE = Struct("<d")
_OLD_NAN, _OLD_INFINITY, _OLD_MINUS_INFINITY = 253, 254, 255
_LISTPACK_FIELDS = 512  # hash-max-listpack-entries, if nobody changes it
_FEW = 128  # elements, or nodes, of a value that is read in one go

# What C's `strtod` takes of a text, whatever follows it.
_NUMBER = re.compile(
    rb"[ \t\n\v\f\r]*([+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|inf(?:inity)?|nan))",
    re.IGNORECASE,
)

_Unpack = Callable[[bytes], list[bytes] | None]
_Scored = dict[bytes, float]


def read_object(feed: Feed, kind: int) -> Parsing[Any]:
    """A value of a type.

    Raises:
        RdbError: the type is unknown, or the data end too early or are damaged.
    """
    read = _LONG.get(kind)
    if read is not None:
        return (yield from read(feed, kind))
    parse = WHOLE.get(kind)
    if parse is not None:
        return (yield from feed.step(parse))
    if kind in MODULES:
        raise module_value((yield from feed.step(read_length)))
    raise unknown_type(kind)


# -- types written element by element -------------------------------------------------------------


def _strings(feed: Feed, each: int) -> Parsing[list[bytes]]:
    """A count, and `each` strings for every one of them."""
    count = each * (yield from feed.step(read_length))
    found: list[bytes] = []
    while True:
        short, feed.at = read_strings(feed.data, feed.at, count - len(found), found)
        if short is None:
            return found
        yield from feed.more(short)


def _few_strings(each: int, data: bytes, at: int) -> tuple[list[bytes], int]:
    """The same, if they have come and are few."""
    count, at = read_length(data, at)
    if count > _FEW:
        raise Short(at, at)
    found: list[bytes] = []
    short, at = read_strings(data, at, each * count, found)
    if short is not None:
        raise short
    return found, at


def _long_list(feed: Feed, kind: int) -> Parsing[list[bytes]]:
    return (yield from _strings(feed, 1))


def _long_set(feed: Feed, kind: int) -> Parsing[dict[bytes, int]]:
    return _distinct((yield from _strings(feed, 1)), DUPLICATE_MEMBERS)


def _set(data: bytes, at: int) -> tuple[dict[bytes, int], int]:
    members, at = _few_strings(1, data, at)
    return _distinct(members, DUPLICATE_MEMBERS), at


def _long_hash(feed: Feed, kind: int) -> Parsing[dict[bytes, bytes]]:
    words = yield from _strings(feed, 2)
    many = len(words) > 2 * _LISTPACK_FIELDS
    return _pairs(words, DUPLICATE_FIELDS_OF_MANY if many else DUPLICATE_FIELDS)


def _hash(data: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    words, at = _few_strings(2, data, at)
    return _pairs(words, DUPLICATE_FIELDS), at


def _long_sorted_set(feed: Feed, kind: int) -> Parsing[_Scored]:
    count = yield from feed.step(read_length)
    score = _read_double if kind == Type.ZSET_2 else _read_old_double
    found: _Scored = {}
    while True:
        short, feed.at = _read_scored(feed.data, feed.at, count - len(found), found, score)
        if short is None:
            return found
        yield from feed.more(short)


def _sorted_set(score: _Score, data: bytes, at: int) -> tuple[_Scored, int]:
    count, at = read_length(data, at)
    if count > _FEW:
        raise Short(at, at)
    found: _Scored = {}
    short, at = _read_scored(data, at, count, found, score)
    if short is not None:
        raise short
    return found, at


def _read_scored(
    data: bytes, at: int, count: int, found: _Scored, read_score: _Score
) -> tuple[Short | None, int]:
    """Add up to `count` members with their scores, as `read_strings` adds strings."""
    try:
        for _ in range(count):
            member, end = read_string(data, at)
            score, end = read_score(data, end)
            if isnan(score) or member in found:
                fault = SCORE_IS_NAN if isnan(score) else DUPLICATE_SORTED_MEMBERS
                raise RdbError(fault, at=end)
            found[member] = score
            at = end
    except IndexError:
        return Short(len(data), len(data) + 1), at
    except Short as short:
        return short, at
    return None, at


_Score = Callable[[bytes, int], tuple[float, int]]


def _read_double(data: bytes, at: int) -> tuple[float, int]:
    end = at + 8
    if end > len(data):
        raise Short(at, end)
    return _DOUBLE.unpack_from(data, at)[0], end


def _read_old_double(data: bytes, at: int) -> tuple[float, int]:
    """A double of the oldest versions: a length and a text, or a code in the length's place."""
    length = data[at]
    at += 1
    if length >= _OLD_NAN:
        return {_OLD_NAN: nan, _OLD_INFINITY: inf, _OLD_MINUS_INFINITY: -inf}[length], at
    text, end = read_fixed(data, at, length)
    score = _strtod(text)
    if score is None:
        raise unreadable(end)
    return score, end


def _strtod(text: bytes) -> float | None:
    """The number that a text begins with."""
    found = _NUMBER.match(text)
    return None if found is None else float(found[1])


# -- types written as one string, or a few --------------------------------------------------------


def _elements(unpack: _Unpack, bad: Fault, data: bytes, at: int) -> tuple[list[bytes], int]:
    """The elements of a compact encoding."""
    blob, end = read_string(data, at)
    found = unpack(blob)
    if found is None:
        raise RdbError(bad, at=end)
    return found, end


def _intset(data: bytes, at: int) -> tuple[dict[bytes, int], int]:
    members, end = _elements(packed.intset, BAD_INTSET, data, at)
    return _distinct(members, BAD_INTSET), end


def _packed_hash(
    unpack: _Unpack, bad: Fault, data: bytes, at: int
) -> tuple[dict[bytes, bytes], int]:
    words, end = _elements(unpack, bad, data, at)
    return _pairs(words, bad, end), end


def _packed_sorted_set(unpack: _Unpack, bad: Fault, data: bytes, at: int) -> tuple[_Scored, int]:
    words, end = _elements(unpack, bad, data, at)
    texts = words[1::2]
    try:
        scores = [float(text) for text in texts]
    except ValueError:
        numbers = [_strtod(text) for text in texts]
        scores = [nan if number is None else number for number in numbers]
    found = dict(zip(words[::2], scores, strict=False))
    if 2 * len(found) != len(words) or any(map(isnan, scores)):
        raise RdbError(bad, at=end)
    return found, end


def _long_quicklist(feed: Feed, kind: int) -> Parsing[list[bytes]]:
    """A list in nodes: ziplists once, listpacks and single large elements today."""
    nodes = yield from feed.step(read_length)
    read = _read_node if kind == Type.LIST_QUICKLIST_2 else _read_old_node
    found: list[bytes] = []
    for _ in range(nodes):
        found += yield from feed.step(read)
    return found


def _quicklist(
    read: Callable[[bytes, int], tuple[list[bytes], int]], data: bytes, at: int
) -> tuple[list[bytes], int]:
    nodes, at = read_length(data, at)
    if nodes > _FEW:
        raise Short(at, at)
    found: list[bytes] = []
    for _ in range(nodes):
        elements, at = read(data, at)
        found += elements
    return found, at


def _read_node(data: bytes, at: int) -> tuple[list[bytes], int]:
    container, at = read_length(data, at)
    if container not in {NODE_PLAIN, NODE_PACKED}:
        raise RdbError(BAD_QUICKLIST, at=at)
    blob, end = read_string(data, at)
    if not blob:
        raise unreadable(end)
    elements = [blob] if container == NODE_PLAIN else packed.listpack(blob)
    if elements is None:
        raise RdbError(BAD_LISTPACK, at=end)
    return elements, end


def _read_old_node(data: bytes, at: int) -> tuple[list[bytes], int]:
    blob, end = read_string(data, at)
    if not blob:
        raise unreadable(end)
    elements = packed.ziplist(blob)
    if elements is None:
        raise RdbError(BAD_ZIPLIST, at=end)
    return elements, end


# -- checks ---------------------------------------------------------------------------------------


def _distinct(members: list[bytes], repeated: Fault) -> dict[bytes, int]:
    """Each member with its place; a fault if one stands there twice."""
    places = dict(zip(members, range(len(members)), strict=True))
    if len(places) != len(members):
        raise RdbError(repeated)
    return places


def _pairs(words: list[bytes], bad: Fault, at: int = -1) -> dict[bytes, bytes]:
    """Fields and values in turn as a dictionary; a fault if a field is repeated, or one is left."""
    pairs = dict(zip(words[::2], words[1::2], strict=False))
    if 2 * len(pairs) != len(words):
        raise RdbError(bad, at=at)
    return pairs


# -- the two ways ---------------------------------------------------------------------------------

WHOLE: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {
    Type.STRING: read_string,
    Type.LIST: partial(_few_strings, 1),
    Type.SET: _set,
    Type.ZSET: partial(_sorted_set, _read_old_double),
    Type.HASH: _hash,
    Type.ZSET_2: partial(_sorted_set, _read_double),
    Type.HASH_ZIPMAP: partial(_packed_hash, packed.zipmap, BAD_ZIPMAP),
    Type.LIST_ZIPLIST: partial(_elements, packed.ziplist, BAD_LIST_ZIPLIST),
    Type.SET_INTSET: _intset,
    Type.ZSET_ZIPLIST: partial(_packed_sorted_set, packed.ziplist, BAD_ZSET_ZIPLIST),
    Type.HASH_ZIPLIST: partial(_packed_hash, packed.ziplist, BAD_HASH_ZIPLIST),
    Type.LIST_QUICKLIST: partial(_quicklist, _read_old_node),
    Type.HASH_LISTPACK: partial(_packed_hash, packed.listpack, BAD_HASH_LISTPACK),
    Type.ZSET_LISTPACK: partial(_packed_sorted_set, packed.listpack, BAD_ZSET_LISTPACK),
    Type.LIST_QUICKLIST_2: partial(_quicklist, _read_node),
}
_LONG: dict[int, Callable[[Feed, int], Parsing[Any]]] = {
    Type.LIST: _long_list,
    Type.SET: _long_set,
    Type.ZSET: _long_sorted_set,
    Type.HASH: _long_hash,
    Type.ZSET_2: _long_sorted_set,
    Type.LIST_QUICKLIST: _long_quicklist,
    Type.STREAM_LISTPACKS: read_stream,
    Type.LIST_QUICKLIST_2: _long_quicklist,
    Type.STREAM_LISTPACKS_2: read_stream,
}
