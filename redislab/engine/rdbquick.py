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
from redislab.wire.rdb.opcodes import LENGTH_14_BITS, LENGTH_32_BITS, NODE_PACKED, Type
from redislab.wire.rdb.quick import Parse
from redislab.wire.rdb.strings import read_string, read_strings

# Of a listpack: its size and how many elements it has stand before them, and a byte behind.
_HEADER_BYTES = 6
_SHORT_STRING, _SHORT_STRING_END = 0x80, 0xC0
_BACK = _SHORT_STRING - 1  # what the first byte of such a string is more than its last one
_FLOATS = tuple(map(float, range(128)))


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
    blob, end = _blob(data, at)
    members = packed.intset(blob)
    if members is None:
        raise Short(at, at)
    found = _new_set(SetValue)
    found.members = members
    found.places = {member: place for place, member in enumerate(members)}
    found.integers = len(members) <= limits.set_max_intset_entries
    return found, end


def _hash(limits: EncodingLimits, data: bytes, at: int) -> tuple[HashValue, int]:
    blob, end = _blob(data, at)
    pairs = _elements_of(blob) >> 1
    found = _new_hash(HashValue)
    found.packed = pairs <= limits.hash_max_listpack_entries
    at = _HEADER_BYTES
    try:
        for _ in range(pairs):
            first = blob[at]
            if _SHORT_STRING <= first < _SHORT_STRING_END:
                stop = at + first - _BACK
                if blob[stop] != first - _BACK:
                    raise Short(at, at)
                field = blob[at + 1 : stop]
                at = stop + 1
            else:
                field, at = packed.listpack_element(blob, at)
            first = blob[at]
            if _SHORT_STRING <= first < _SHORT_STRING_END:
                stop = at + first - _BACK
                if blob[stop] != first - _BACK:
                    raise Short(at, at)
                found[field] = blob[at + 1 : stop]
                at = stop + 1
            else:
                found[field], at = packed.listpack_element(blob, at)
    except packed.BadError:
        raise Short(at, at) from None
    if at != len(blob) - 1 or len(found) != pairs:
        raise Short(at, at)
    return found, end


def _sorted_set(limits: EncodingLimits, data: bytes, at: int) -> tuple[SortedSetValue, int]:
    blob, end = _blob(data, at)
    count = _elements_of(blob) >> 1
    if count > limits.zset_max_listpack_entries:
        raise Short(at, at)
    scores: dict[bytes, float] = {}
    at = _HEADER_BYTES
    try:
        for _ in range(count):
            first = blob[at]
            if _SHORT_STRING <= first < _SHORT_STRING_END:
                stop = at + first - _BACK
                if blob[stop] != first - _BACK:
                    raise Short(at, at)
                member = blob[at + 1 : stop]
                at = stop + 1
            else:
                member, at = packed.listpack_element(blob, at)
            first = blob[at]
            if first < _SHORT_STRING:
                if blob[at + 1] != 1:
                    raise Short(at, at)
                score = _FLOATS[first]
                at += 2
            elif first < _SHORT_STRING_END:
                stop = at + first - _BACK
                if blob[stop] != first - _BACK:
                    raise Short(at, at)
                score = float(blob[at + 1 : stop]) or 0.0  # a listpack holds -0 as the integer 0
                if isnan(score):
                    raise Short(at, at)
                at = stop + 1
            else:
                text, at = packed.listpack_element(blob, at)
                score = float(text)
            scores[member] = score
    except (packed.BadError, ValueError):
        raise Short(at, at) from None
    if at != len(blob) - 1 or len(scores) != count:
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
        blob, at = _blob(data, at + 1)
        elements = packed.listpack(blob) if container == NODE_PACKED else None
        if elements is None:
            raise Short(at, at)
        found.extend(elements)
    if not found:
        raise Short(at, at)
    return found, at


# All that their __init__ does is done here.
_new_set, _new_hash, _new_sorted_set = SetValue.__new__, HashValue.__new__, SortedSetValue.__new__


def _blob(data: bytes, at: int) -> tuple[bytes, int]:
    """A string, however it is written; too short, if it ends beyond the data."""
    first = data[at]
    if first < LENGTH_14_BITS:
        at += 1
        end = at + first
    elif first < LENGTH_32_BITS:
        end = ((first & 0x3F) << 8 | data[at + 1]) + at + 2
        at += 2
    else:
        return read_string(data, at)
    return data[at:end], end


def _elements_of(blob: bytes) -> int:
    """How many elements a listpack says to have: an even number, and not 0."""
    size = len(blob)
    if size <= _HEADER_BYTES or blob[-1] != 0xFF:
        raise Short(size, size)
    total: int
    count: int
    total, count = packed.LISTPACK_HEADER.unpack_from(blob)
    if total != size or not count or count & 1:  # an odd one is also said to be unknown
        raise Short(size, size)
    return count
