"""Small values of the common types, from the bytes of a file to ours in one go.

What `rdbvalues.py` does in two steps with any value is done here in one, without a list of elements
in between and with hardly a call, for what Redis 7.0 writes by its defaults: most of any file. Each
function raises `Short` where there is anything to it that it does not expect, be it damage: then
the value is read again, with care.
"""

from __future__ import annotations

from functools import partial
from math import isnan
from typing import Any

from redislab.engine.rdbvalues import decode
from redislab.engine.values import (
    EncodingLimits,
    HashValue,
    ListValue,
    SetValue,
    SortedSetValue,
    is_integer,
)
from redislab.wire.rdb import packed
from redislab.wire.rdb.feed import Short
from redislab.wire.rdb.objects import WHOLE
from redislab.wire.rdb.opcodes import LENGTH_14_BITS, NODE_PACKED, Type
from redislab.wire.rdb.quick import Parse
from redislab.wire.rdb.strings import read_string, read_strings


def parsers(limits: EncodingLimits) -> dict[int, Parse]:
    """What reads a value of a type that has come whole, and makes ours of it.

    Args:
        limits: of the engine; looked at each time a value is read.
    """
    return {
        **{kind: partial(_in_two_steps, kind, parse, limits) for kind, parse in WHOLE.items()},
        Type.STRING: read_string,
        Type.SET: partial(_set, limits),
        Type.SET_INTSET: partial(_intset, limits),
        Type.HASH_LISTPACK: partial(_hash, limits),
        Type.ZSET_LISTPACK: partial(_sorted_set, limits),
        Type.LIST_QUICKLIST_2: _list,
    }


def _in_two_steps(
    kind: int, parse: Parse, limits: EncodingLimits, data: bytes, at: int
) -> tuple[Any, int]:
    """Any value."""
    value, end = parse(data, at)
    if not value:
        raise Short(at, at)
    return decode(kind, value, limits), end


def _set(limits: EncodingLimits, data: bytes, at: int) -> tuple[SetValue, int]:
    count = data[at]
    if not 0 < count < LENGTH_14_BITS:
        return _in_two_steps(Type.SET, WHOLE[Type.SET], limits, data, at)
    members: list[bytes] = []
    short, end = read_strings(data, at + 1, count, members)
    if short is not None:
        raise short
    places = {member: place for place, member in enumerate(members)}
    if len(places) != count:
        raise Short(at, at)
    found = _new_set(SetValue)
    found.members = members
    found.places = places
    found.integers = count <= limits.set_max_intset_entries and all(map(is_integer, members))
    return found, end


def _intset(limits: EncodingLimits, data: bytes, at: int) -> tuple[SetValue, int]:
    blob, end = read_string(data, at)
    members = packed.intset(blob)
    if members is None:
        raise Short(at, at)
    found = _new_set(SetValue)
    found.members = members
    found.places = {member: place for place, member in enumerate(members)}
    found.integers = len(members) <= limits.set_max_intset_entries
    return found, end


def _hash(limits: EncodingLimits, data: bytes, at: int) -> tuple[HashValue, int]:
    words, end = _pairs(data, at)
    found = _new_hash(HashValue)
    found.packed = len(words) >> 1 <= limits.hash_max_listpack_entries
    found.update(zip(words[::2], words[1::2], strict=True))
    if len(found) << 1 != len(words):
        raise Short(at, at)
    return found, end


def _sorted_set(limits: EncodingLimits, data: bytes, at: int) -> tuple[SortedSetValue, int]:
    words, end = _pairs(data, at)
    if len(words) >> 1 > limits.zset_max_listpack_entries:
        raise Short(at, at)
    try:  # 0 may be written as -0
        scores = {
            each: float(score) or 0.0 for each, score in zip(words[::2], words[1::2], strict=True)
        }
    except ValueError:
        raise Short(at, at) from None
    if len(scores) << 1 != len(words) or any(map(isnan, scores.values())):
        raise Short(at, at)
    found = _new_sorted_set(SortedSetValue)  # its order can wait until it is asked for
    found.packed = True
    found.scores = scores
    return found, end


def _list(data: bytes, at: int) -> tuple[ListValue, int]:
    nodes = data[at]
    at += 1
    if not 0 < nodes < LENGTH_14_BITS:
        raise Short(at, at)
    found = ListValue()
    for _ in range(nodes):
        container = data[at]
        blob, at = read_string(data, at + 1)
        elements = packed.listpack(blob) if container == NODE_PACKED else None
        if elements is None:
            raise Short(at, at)
        found.extend(elements)
    if not found:
        raise Short(at, at)
    return found, at


# All that their __init__ does is done here.
_new_set, _new_hash, _new_sorted_set = SetValue.__new__, HashValue.__new__, SortedSetValue.__new__


def _pairs(data: bytes, at: int) -> tuple[list[bytes], int]:
    """The elements of a listpack, an even number of them, and not 0."""
    blob, end = read_string(data, at)
    words = packed.listpack(blob)
    if not words or len(words) & 1:
        raise Short(at, at)
    return words, end
