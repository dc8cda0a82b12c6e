"""A stream in RDB, read and written (the stream parts of `src/rdb.c` and `t_stream.c`, Redis 7.0).

The entries stand in nodes. A node is a listpack under the id of its first entry, the master entry,
and everything in it is told relative to that one: ids as differences, field names only where they
differ (modulo 2**64, so that a difference fits). The elements of the listpack, one after the other:

```text
count, deleted, number of fields, field ..., 0                      the master entry
flags, ms difference, sequence difference,                          each entry
    [number of fields, field, value ...] or [value ...], elements so far
```

An entry with the flag 1 is deleted; one with the flag 2 has the fields of the master entry. Behind
the nodes come the facts of the stream (type 19 has more of them than type 15) and its consumer
groups, each with the entries that are pending, of the group and by consumer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from struct import Struct

from redislab.wire.rdb import faults, packed
from redislab.wire.rdb.faults import Fault, RdbError
from redislab.wire.rdb.feed import Feed, Parsing
from redislab.wire.rdb.opcodes import NEVER_READ, Type
from redislab.wire.rdb.packing import element, integer, listpack_of
from redislab.wire.rdb.strings import (
    WriteString,
    length,
    read_fixed,
    read_length,
    read_string,
    string,
)

Id = tuple[int, int]  # milliseconds and sequence number
Entry = tuple[Id, list[bytes]]  # an id, and fields and values in turn

_DELETED, _SAME_FIELDS = 1, 2
_ID = Struct(">QQ")
_TIME = Struct("<q")
_INT64_MAX = 2**63 - 1
_ID_PARTS = 2**64


@dataclass(slots=True)
class NodeData:
    """One node of a stream.

    Attributes:
        master: the id of the master entry, which may have been deleted.
        fields: its field names.
        entries: those that were not deleted, by id.
        deleted: how many were, and still take space.
        last: the id of the last entry of the node, deleted or not.
        size: bytes of the listpack.
    """

    master: Id
    fields: list[bytes]
    entries: list[Entry]
    deleted: int = 0
    last: Id = (0, 0)
    size: int = 0


@dataclass(slots=True)
class ConsumerData:
    """A consumer of a group, and the ids of what it has not acknowledged."""

    name: bytes
    seen_ms: int
    pending: list[Id]


@dataclass(slots=True)
class GroupData:
    """A consumer group.

    Attributes:
        name: what it is called.
        last: the last id that it has delivered.
        entries_read: how many entries it has read, or None if that is not known.
        pending: what was delivered and not acknowledged: when, in milliseconds, and how often.
        consumers: who has what of that.
    """

    name: bytes
    last: Id
    entries_read: int | None
    pending: dict[Id, tuple[int, int]] = field(default_factory=dict)
    consumers: list[ConsumerData] = field(default_factory=list)


@dataclass(slots=True)
class StreamData:
    """A stream, as far as it stands in RDB; `length` is how many entries it says to have."""

    nodes: list[NodeData]
    length: int
    last: Id
    first: Id
    max_deleted: Id
    entries_added: int
    groups: list[GroupData]


# -- reading ------------------------------------------------------------------------------------


def read_stream(feed: Feed, kind: int) -> Parsing[StreamData]:
    """A stream of type 15 or 19.

    Raises:
        RdbError: the data end too early, or are damaged.
    """
    nodes = yield from _read_nodes(feed)
    cut = faults.STREAM_FACTS_CUT
    count = yield from feed.step(read_length, cut)
    last = yield from _read_id(feed, cut)
    present = nodes[0].entries[0][0] if nodes and nodes[0].entries else (0, 0)
    stream = StreamData(nodes, count, last, present, (0, 0), count, [])
    if kind == Type.STREAM_LISTPACKS_2:
        stream.first = yield from _read_id(feed, cut)
        stream.max_deleted = yield from _read_id(feed, cut)
        stream.entries_added = yield from feed.step(read_length, cut)
    if count != sum(len(node.entries) for node in nodes):
        raise RdbError(faults.STREAM_LENGTH_WRONG)
    names: set[bytes] = set()
    groups = yield from feed.step(read_length, faults.GROUPS_CUT)
    for _ in range(groups):
        stream.groups.append((yield from _read_group(feed, kind, names)))
    return stream


def _read_nodes(feed: Feed) -> Parsing[list[NodeData]]:
    nodes: list[NodeData] = []
    count = yield from feed.step(read_length, faults.STREAM_NODES_CUT)
    for _ in range(count):
        key = yield from feed.step(read_string, faults.STREAM_MASTER_ID_CUT)
        if len(key) != _ID.size:
            raise RdbError(faults.STREAM_MASTER_ID_SIZE)
        master: Id = _ID.unpack(key)
        blob = yield from feed.step(read_string, faults.STREAM_LISTPACK_CUT)
        elements = packed.listpack(blob)
        node = _read_node(master, elements) if elements else None
        if node is None:
            raise RdbError(faults.BAD_STREAM_LISTPACK)
        node.size = len(blob)
        if nodes and master <= nodes[-1].last:
            same = master == nodes[-1].master
            raise RdbError(faults.REPEATED_STREAM_LISTPACK if same else faults.BAD_STREAM_LISTPACK)
        nodes.append(node)
    return nodes


def _read_node(master: Id, elements: list[bytes]) -> NodeData | None:
    """The entries in the elements of a listpack; None if they make no sense."""
    try:
        present, deleted, width = int(elements[0]), int(elements[1]), int(elements[2])
        fields = elements[3 : 3 + width]
        at = 4 + width
        if min(present, deleted, width) < 0 or elements[at - 1] != b"0":
            return None
        node = NodeData(master, fields, [], deleted, master)
        gone = 0
        while at < len(elements):
            begin = at
            flags = int(elements[at])
            entry = (
                (master[0] + int(elements[at + 1])) % _ID_PARTS,
                (master[1] + int(elements[at + 2])) % _ID_PARTS,
            )
            at += 3
            if flags & _SAME_FIELDS:
                words = [b""] * (2 * width)
                words[::2] = fields
                words[1::2] = elements[at : at + width]
                at += width
            else:
                own = int(elements[at])
                if own < 0:
                    return None
                at += 1
                words = elements[at : at + 2 * own]
                at += 2 * own
            if int(elements[at]) != at - begin or not _is_next(node, entry):
                return None
            at += 1
            node.last = entry
            if flags & _DELETED:
                gone += 1
            else:
                node.entries.append((entry, words))
    except (ValueError, IndexError):
        return None
    return node if len(node.entries) == present and gone == deleted else None


def _is_next(node: NodeData, entry: Id) -> bool:
    """Whether an id can follow the last one of a node; the master entry is its own predecessor."""
    is_first = not node.entries and entry == node.master
    return is_first or entry > node.last


def _read_id(feed: Feed, cut: Fault) -> Parsing[Id]:
    milliseconds = yield from feed.step(read_length, cut)
    number = yield from feed.step(read_length, cut)
    return milliseconds, number


def _read_raw_id(feed: Feed, cut: Fault) -> Parsing[Id]:
    raw = yield from feed.step(_fixed_id, cut)
    found: Id = _ID.unpack(raw)
    return found


def _fixed_id(data: bytes, at: int) -> tuple[bytes, int]:
    return read_fixed(data, at, _ID.size)


def _read_time(feed: Feed, cut: Fault) -> Parsing[int]:
    raw = yield from feed.step(_fixed_time, cut)
    found: int = _TIME.unpack(raw)[0]
    return found


def _fixed_time(data: bytes, at: int) -> tuple[bytes, int]:
    return read_fixed(data, at, _TIME.size)


def _read_group(feed: Feed, kind: int, names: set[bytes]) -> Parsing[GroupData]:
    """A group, whose name must be none of those before."""
    name = yield from feed.step(read_string, faults.GROUP_NAME_CUT)
    last = yield from _read_id(feed, faults.GROUP_ID_CUT)
    read = None
    if kind == Type.STREAM_LISTPACKS_2:
        number = yield from feed.step(read_length, faults.GROUP_OFFSET_CUT)
        read = number if number <= _INT64_MAX else None
    if name in names:
        raise RdbError(faults.duplicated_group(name))
    names.add(name)
    group = GroupData(name, last, read)
    count = yield from feed.step(read_length, faults.PENDING_COUNT_CUT)
    for _ in range(count):
        entry = yield from _read_raw_id(feed, faults.PENDING_ID_CUT)
        delivered_ms = yield from _read_time(feed, faults.PENDING_CUT)
        times = yield from feed.step(read_length, faults.PENDING_CUT)
        if entry in group.pending:
            raise RdbError(faults.DUPLICATE_PENDING)
        group.pending[entry] = delivered_ms, times
    free = set(group.pending)
    known: set[bytes] = set()
    count = yield from feed.step(read_length, faults.CONSUMERS_CUT)
    for _ in range(count):
        group.consumers.append((yield from _read_consumer(feed, group, free, known)))
    if free:
        raise RdbError(faults.PENDING_WITHOUT_CONSUMER)
    return group


def _read_consumer(
    feed: Feed, group: GroupData, free: set[Id], names: set[bytes]
) -> Parsing[ConsumerData]:
    """A consumer; what it has to acknowledge is taken from what is `free` of the group's."""
    name = yield from feed.step(read_string, faults.CONSUMER_NAME_CUT)
    if name in names:
        raise RdbError(faults.DUPLICATE_CONSUMER)
    names.add(name)
    seen_ms = yield from _read_time(feed, faults.SEEN_TIME_CUT)
    count = yield from feed.step(read_length, faults.CONSUMER_PENDING_COUNT_CUT)
    pending = []
    for _ in range(count):
        entry = yield from _read_raw_id(feed, faults.CONSUMER_PENDING_ID_CUT)
        if entry not in group.pending:
            raise RdbError(faults.CONSUMER_PENDING_UNKNOWN)
        if entry not in free:
            raise RdbError(faults.CONSUMER_PENDING_TAKEN)
        free.remove(entry)
        pending.append(entry)
    return ConsumerData(name, seen_ms, pending)


# -- writing ------------------------------------------------------------------------------------


def write_stream(
    stream: StreamData, nodes: Iterable[NodeData], count: int, write: WriteString = string
) -> Iterator[bytes]:
    """A stream as type 19, in pieces.

    Args:
        stream: its facts and groups; its own nodes are not looked at.
        nodes: its nodes, which may be made one by one.
        count: how many there are.
        write: writes a string.
    """
    yield length(count)
    for node in nodes:
        key = length(_ID.size) + _ID.pack(*node.master)  # too short to be compressed
        yield key + write(write_node(node))
    ids = (stream.last, stream.first, stream.max_deleted)
    numbers = [stream.length, *(part for one in ids for part in one), stream.entries_added]
    yield b"".join([length(number) for number in [*numbers, len(stream.groups)]])
    for group in stream.groups:
        yield from _write_group(group, write)


def write_node(node: NodeData) -> bytes:
    """The listpack of a node; entries that were deleted are left out."""
    fields = node.fields
    out = [integer(number) for number in (len(node.entries), 0, len(fields))]
    out += map(element, fields)
    out.append(integer(0))
    for (milliseconds, number), words in node.entries:
        names = words[::2]
        same = names == fields
        out += (
            integer(_SAME_FIELDS if same else 0),
            integer(_difference(milliseconds, node.master[0])),
            integer(_difference(number, node.master[1])),
        )
        if same:
            out += map(element, words[1::2])
            own = 3 + len(fields)
        else:
            out.append(integer(len(names)))
            out += map(element, words)
            own = 4 + len(words)
        out.append(integer(own))
    return listpack_of(out)


def _difference(number: int, of: int) -> int:
    """One unsigned integer less another, as the signed integer of 64 bits that C makes of it."""
    return (number - of + _INT64_MAX + 1) % _ID_PARTS - _INT64_MAX - 1


def _write_group(group: GroupData, write: WriteString) -> Iterator[bytes]:
    read = NEVER_READ if group.entries_read is None else group.entries_read
    yield write(group.name) + b"".join([length(number) for number in (*group.last, read)])
    yield length(len(group.pending))
    for entry, (delivered_ms, times) in sorted(group.pending.items()):
        yield b"%b%b%b" % (_ID.pack(*entry), _TIME.pack(delivered_ms), length(times))
    yield length(len(group.consumers))
    for consumer in group.consumers:
        head = write(consumer.name), _TIME.pack(consumer.seen_ms), length(len(consumer.pending))
        yield b"".join([*head, *(_ID.pack(*entry) for entry in sorted(consumer.pending))])
