"""Our values as RDB has them, and back.

A value is written in the encoding that it has (`rdbSaveObject` in `src/rdb.c` of Redis 7.0): a
small set, hash or sorted set in one string, a list in one for each of its nodes. Which encoding it
gets then, the node decides that loads it, by its own limits: what comes out of `decode` has the one
that `rdbLoadObject` gives it. Redis looks at the number of elements in any case, at their size only
where it puts the value together element by element.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from sortedcontainers import SortedList

from redislab.engine import fake
from redislab.engine.groups import Consumer, Group, Pending
from redislab.engine.values import (
    EncodingLimits,
    HashValue,
    ListValue,
    SetValue,
    SortedSetValue,
    is_integer,
)
from redislab.wire.rdb import writer
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.packing import element, intset_of, listpack_of, score, write_nodes
from redislab.wire.rdb.streams import ConsumerData, GroupData, NodeData, StreamData, write_stream
from redislab.wire.rdb.strings import WriteString

_HASHES_BY_COUNT = frozenset({Type.HASH_ZIPLIST, Type.HASH_LISTPACK})
_SETS = frozenset({Type.SET, Type.SET_INTSET})
_SORTED_SETS = frozenset({Type.ZSET, Type.ZSET_2, Type.ZSET_ZIPLIST, Type.ZSET_LISTPACK})
_SORTED_SETS_BY_COUNT = frozenset({Type.ZSET_ZIPLIST, Type.ZSET_LISTPACK})


def encode(value: Any, write: WriteString, limits: EncodingLimits) -> tuple[int, Iterator[bytes]]:
    """The RDB type of a value, and its bytes in pieces; do not change it before they are taken.

    Args:
        value: one of ours.
        write: writes a string.
        limits: those of its engine.
    """
    kind = type(value)
    if kind is bytes or kind is bytearray:
        return Type.STRING, iter((write(bytes(value)),))
    if kind is HashValue:
        if value.packed:
            words = [element(word) for pair in value.items() for word in pair]
            return Type.HASH_LISTPACK, iter((write(listpack_of(words)),))
        return Type.HASH, writer.write_pairs(value.items(), write)
    if kind is ListValue:
        return Type.LIST_QUICKLIST_2, write_nodes(value, limits.list_max_listpack_size, write)
    if kind is SetValue:
        if value.integers:
            return Type.SET_INTSET, iter((write(intset_of(value.members)),))
        return Type.SET, writer.write_elements(value.members, write)
    if kind is SortedSetValue:
        if value.packed:
            words = [word for at, member in value.order for word in (element(member), score(at))]
            return Type.ZSET_LISTPACK, iter((write(listpack_of(words)),))
        return Type.ZSET_2, writer.write_scores(value.order, write)
    return Type.STREAM_LISTPACKS_2, _encode_stream(value, write)


def decode(kind: int, value: Any, limits: EncodingLimits) -> Any:
    """Our value of a type, made of what `redislab.wire.rdb.objects` has read."""
    if type(value) is bytes:
        return value
    if type(value) is list:
        return ListValue(value)
    if kind in _SETS:
        return _decode_set(kind, value, limits)
    if kind in _SORTED_SETS:
        return _decode_sorted_set(kind, value, limits)
    if type(value) is StreamData:
        return _decode_stream(value)
    pairs = HashValue(value)
    pairs.packed = len(pairs) <= limits.hash_max_listpack_entries and (
        kind in _HASHES_BY_COUNT
        or (
            max(map(len, pairs)) <= limits.hash_max_listpack_value
            and max(map(len, pairs.values())) <= limits.hash_max_listpack_value
        )
    )
    return pairs


def _decode_set(kind: int, places: dict[bytes, int], limits: EncodingLimits) -> SetValue:
    members = SetValue.__new__(SetValue)
    members.members = list(places)
    members.places = places
    members.integers = len(places) <= limits.set_max_intset_entries and (
        kind == Type.SET_INTSET or all(map(is_integer, places))
    )
    return members


def _decode_sorted_set(
    kind: int, scores: dict[bytes, float], limits: EncodingLimits
) -> SortedSetValue:
    members = SortedSetValue.__new__(SortedSetValue)
    members.packed = len(scores) <= limits.zset_max_listpack_entries and (
        kind in _SORTED_SETS_BY_COUNT or max(map(len, scores)) <= limits.zset_max_listpack_value
    )
    if members.packed:  # a listpack holds -0 as the integer 0
        scores = {member: score or 0.0 for member, score in scores.items()}
    members.scores = scores
    members.order = SortedList(zip(scores.values(), scores, strict=True))
    return members


# -- streams --------------------------------------------------------------------------------------


def _encode_stream(stream: fake.Stream, write: WriteString) -> Iterator[bytes]:
    groups = fake.groups(stream)
    facts = StreamData(
        nodes=[],
        length=len(stream),
        last=fake.last_id(stream),
        first=fake.first_id(stream),
        max_deleted=fake.max_deleted_id(stream),
        entries_added=fake.entries_added(stream),
        groups=[_encode_group(name, groups[name]) for name in sorted(groups)],
    )
    return write_stream(facts, _encode_nodes(stream), fake.nodes(stream), write)


def _encode_nodes(stream: fake.Stream) -> Iterator[NodeData]:
    entries = iter(fake.ids(stream))
    for node in fake.packing(stream):
        inside = [(entry, fake.fields(stream, entry) or []) for entry in islice(entries, node.live)]
        yield NodeData(node.master, node.fields, inside)


def _encode_group(name: bytes, group: Group) -> GroupData:
    return GroupData(
        name,
        group.last_id,
        group.entries_read,
        {entry: (held.delivered_ms, held.times) for entry, held in group.pending.items()},
        [
            ConsumerData(each, group.consumers[each].seen_ms, list(group.consumers[each].pending))
            for each in sorted(group.consumers)
        ],
    )


def _decode_stream(data: StreamData) -> fake.Stream:
    nodes = [
        fake.Node(node.master, node.fields, node.last, len(node.entries), node.deleted, node.size)
        for node in data.nodes
    ]
    stream = fake.assemble(nodes, [entry for node in data.nodes for entry in node.entries])
    fake.set_counters(stream, data.last, data.entries_added, data.max_deleted)
    for group in data.groups:
        fake.groups(stream)[group.name] = _decode_group(group, data)
    return stream


def _decode_group(data: GroupData, stream: StreamData) -> Group:
    group = Group(data.last, data.entries_read)
    for each in data.consumers:
        consumer = group.consumers[each.name] = Consumer(each.name, each.seen_ms)
        for entry in each.pending:
            group.give(entry, Pending(None, *data.pending[entry]), consumer)
    return group
