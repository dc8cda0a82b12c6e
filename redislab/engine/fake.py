"""fakeredis behind one adapter: its stream, which is the value type of streams here.

This is the only module that imports fakeredis or touches its private names, and the version is
pinned exactly. Of its stream is used what holds the entries: which of them there are, and how Redis
would pack them into nodes, by which approximate trimming goes. What a stream's entries and groups
mean to commands stands in `streams.py` and the modules beside it; consumer groups are our own
(`groups.py`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple, cast

from fakeredis.model import StreamEntryKey, XStream
from fakeredis.model._stream import _StreamNode

from redislab.engine.groups import Group
from redislab.engine.stream_ids import GREATEST, LEAST, StreamId
from redislab.engine.values import EncodingLimits, type_names

Stream = XStream
Entry = tuple[StreamId, list[bytes]]  # an id, and fields and values in turn

type_names[Stream] = b"stream"


def ids(stream: Stream) -> Sequence[StreamId]:
    """The ids of all entries, in order."""
    return stream._ids


def fields(stream: Stream, entry: StreamId) -> list[bytes] | None:
    """The fields and values of an entry, or None if there is none with that id."""
    return _contents(stream).get(entry)


def entries(
    stream: Stream,
    first: StreamId = LEAST,
    last: StreamId = GREATEST,
    count: int = 0,
    *,
    backwards: bool = False,
) -> list[Entry]:
    """The entries of an interval, at most `count` of them if that is not 0."""
    all_ids, values = ids(stream), _contents(stream)
    start, end = bisect_left(all_ids, first), bisect_right(all_ids, last)
    if backwards:
        if count:
            start = max(start, end - count)
        return [(entry, values[entry]) for entry in reversed(all_ids[start:end])]
    if count:
        end = min(end, start + count)
    return [(entry, values[entry]) for entry in all_ids[start:end]]


def append(stream: Stream, entry: StreamId, words: list[bytes], limits: EncodingLimits) -> None:
    """Add an entry whose id is greater than all before."""
    stream.add(
        words,
        StreamEntryKey(*entry),
        limits.stream_node_max_entries,
        limits.stream_node_max_bytes,
    )


def delete(stream: Stream, entry: StreamId) -> bool:
    """Delete an entry; tell whether it was there."""
    if entry not in _contents(stream):
        return False
    stream._delete_at(bisect_left(ids(stream), entry))
    return True


def trim(
    stream: Stream, length: int | None, least: StreamId | None, limit: int, *, exactly: bool
) -> int:
    """Remove the oldest entries, down to a length or to an id, and return how many they were.

    Unless `exactly`, only whole nodes go, and with a `limit` not more entries than that.
    """
    threshold = None if least is None else StreamEntryKey(*least)
    return stream.trim(length, threshold, approx=not exactly, limit=limit)


def nodes(stream: Stream) -> int:
    """How many nodes hold the entries."""
    return len(stream._nodes)


def first_of_nodes(stream: Stream) -> StreamId:
    """The id of the first entry in the first node, deleted or not; the greatest one of nothing."""
    return stream._nodes[0].master_id if stream._nodes else GREATEST


class Node(NamedTuple):
    """One node of a stream, as Redis packs entries.

    Attributes:
        master: the id of its first entry, which may be deleted.
        fields: the names of the fields of that one.
        last: the id of its last entry, deleted or not.
        live, deleted: how many entries there are, and how many deleted ones still take space.
        size: what it takes, in bytes.
    """

    master: StreamId
    fields: list[bytes]
    last: StreamId
    live: int
    deleted: int
    size: int


def packing(stream: Stream) -> list[Node]:
    """The nodes that hold the entries, in order."""
    return [
        Node(
            node.master_id,
            node.master_fields,
            node.last_id,
            node.live,
            node.deleted,
            node.lp_bytes,
        )
        for node in stream._nodes
    ]


def assemble(packed: list[Node], contents: list[Entry]) -> Stream:
    """A stream of these nodes and entries, without groups; its counters have yet to be set."""
    stream = Stream()
    stream._ids = [StreamEntryKey(*entry) for entry, _ in contents]
    stream._values_dict = dict(zip(stream._ids, (words for _, words in contents), strict=True))
    stream._nodes = [
        _StreamNode(
            StreamEntryKey(*node.master),
            node.fields,
            StreamEntryKey(*node.last),
            node.live,
            node.deleted,
            node.size,
        )
        for node in packed
    ]
    return stream


def first_id(stream: Stream) -> StreamId:
    """The id of the first entry; the least one if there are no entries."""
    return stream.first_id


def last_id(stream: Stream) -> StreamId:
    """The id of the last entry that was ever added."""
    return stream.last_id


def max_deleted_id(stream: Stream) -> StreamId:
    """The greatest id that XDEL has deleted; the least one if there is none."""
    return stream.max_deleted_id


def entries_added(stream: Stream) -> int:
    """How many entries were ever added."""
    return stream.entries_added


def set_counters(
    stream: Stream, last: StreamId, added: int | None = None, deleted: StreamId | None = None
) -> None:
    """Set what a stream remembers of entries that are gone; None leaves a figure as it is."""
    stream._last_id = StreamEntryKey(*last)
    if added is not None:
        stream._entries_added = added
    if deleted is not None:
        stream._max_deleted_id = StreamEntryKey(*deleted)


def groups(stream: Stream) -> dict[bytes, Group]:
    """The consumer groups by name."""
    return cast("dict[bytes, Group]", stream._groups)


def duplicate(stream: Stream) -> Stream:
    """An equal stream of its own."""
    twin = copy(stream)
    twin._ids = stream._ids.copy()
    twin._values_dict = stream._values_dict.copy()  # what is in it never changes
    twin._nodes = [copy(node) for node in stream._nodes]
    copied: dict[bytes, Any] = {name: group.copy() for name, group in groups(stream).items()}
    twin._groups = copied
    return twin


def _contents(stream: Stream) -> dict[StreamId, list[bytes]]:
    """Fields and values by id."""
    return cast("dict[StreamId, list[bytes]]", stream._values_dict)
