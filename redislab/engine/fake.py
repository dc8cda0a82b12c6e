"""fakeredis behind one adapter: the commands that run on its code, over our keyspace.

This is the only module that imports fakeredis or touches its private names; a contract test names
each of them, and the version is pinned exactly. What is taken from it are streams: their value type
and the commands on it. `streams.py` registers those commands and adds what fakeredis leaves out:
blocking, keyspace events, what replicas are to be sent.

Three things have to be put right on the way. fakeredis looks keys up in a database of its own: it
gets `_View`, which shows it our keyspace. It takes the time from the process: `_Clock` stands in
its modules in the place of `time`, and tells the time of the node whose command runs. And it
answers Python values: `encode` puts them on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fakeredis._commands import SUPPORTED_COMMANDS
from fakeredis._core import CommandItem
from fakeredis._helpers import SimpleError, SimpleString
from fakeredis.commands_mixins import streams_mixin
from fakeredis.commands_mixins.streams_mixin import StreamsCommandsMixin
from fakeredis.model import StreamEntryKey, StreamGroup, XStream, _stream

from redislab.engine.errors import CommandError
from redislab.engine.keyspace import Keyspace
from redislab.engine.table import Caller
from redislab.engine.values import type_names
from redislab.wire.resp import NULL, NULL_ARRAY, array, bulk, double, integer, map_, simple

REDIS_VERSION = (7, 0, 15)
ID_PART_MAX = 2**64 - 1

Stream = XStream
type_names[Stream] = b"stream"


class _Clock:
    """Stands in for the module `time` in fakeredis, for the node whose command runs."""

    keyspace: Keyspace

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.keyspace.engine.now_ms() / 1000

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self.keyspace.engine.now_ms()


_CLOCK = _Clock()
for _module, _name, _stand_in in (
    (_stream, "time", _CLOCK),
    (_stream, "current_time", _CLOCK.now_ms),
    (streams_mixin, "current_time", _CLOCK.now_ms),
):
    assert hasattr(_module, _name), f"fakeredis' {_module.__name__} has no {_name} any more"
    setattr(_module, _name, _stand_in)


class _Item:
    """What fakeredis expects to find in its database: a value and when it expires, in seconds."""

    __slots__ = ("expireat", "value")

    def __init__(self, value: Any, expireat: float | None) -> None:
        self.value = value
        self.expireat = expireat


class _View:
    """Our keyspace as the database that fakeredis' signatures and command items read."""

    __slots__ = ("keyspace",)

    def __init__(self, keyspace: Keyspace) -> None:
        self.keyspace = keyspace

    def get(self, key: bytes) -> _Item | None:
        """The item at a key."""
        value = self.keyspace.lookup(key)
        if value is None:
            return None
        at_ms = self.keyspace.expires.get(key)
        return _Item(value, None if at_ms is None else at_ms / 1000)

    def __contains__(self, key: bytes) -> bool:
        return self.keyspace.exists(key)


class _Server:
    """What the stream commands ask of fakeredis' server: its configuration."""

    def __init__(self) -> None:
        self.config: dict[bytes, bytes] = {}


class _Client:
    """What they ask of a client. Replies are shaped by `encode`, so all speak RESP3 to it."""

    protocol_version = 3


class _Commands(StreamsCommandsMixin):
    """fakeredis' stream commands, on one of our keyspaces."""

    version = REDIS_VERSION
    server_type = "redis"
    _server: Any = _Server()
    _client_info: Any = _Client()

    def __init__(self, keyspace: Keyspace) -> None:
        self._db: Any = _View(keyspace)


@dataclass(frozen=True, slots=True)
class Member:
    """A consumer of a group of a stream, by name."""

    key: bytes
    group: bytes
    consumer: bytes


def call(c: Caller, name: str, arguments: list[bytes]) -> Any:
    """Run a command of fakeredis on the client's keyspace.

    Args:
        c: the client.
        name: the command in lower case, a subcommand after a space: `xgroup create`.
        arguments: what follows the name.

    Returns:
        fakeredis' reply, for `encode`.

    Raises:
        CommandError: the error that fakeredis answers.
    """
    signature = SUPPORTED_COMMANDS[name]
    commands = _Commands(c.db)
    _CLOCK.keyspace = c.db
    try:
        applied = signature.apply(arguments, commands._db, REDIS_VERSION)
        if len(applied) == 1:
            return applied[0]
        converted, items = applied
        reply = getattr(commands, signature.func_name)(*converted)
    except SimpleError as failed:
        # fakeredis leaves it to its clients to tell a code from the words of an error.
        raise CommandError(failed.value.replace("ERR BUSYGROUP", "BUSYGROUP")) from None
    for item in items:
        _write_back(c.db, item)
    return reply


def call_as(
    c: Caller,
    member: Member,
    name: str,
    arguments: list[bytes],
    given: Callable[[Any], object] = bool,
) -> Any:
    """`call` for a consumer of a group, who joins it unless the reply gives nothing.

    Args:
        c: the client.
        member: the consumer; the stream and the group exist.
        name: the command, as for `call`.
        arguments: what follows the name.
        given: tells of a reply whether it gives the consumer anything.
    """
    consumers = c.db.values[member.key].group_get(member.group).consumers
    known = member.consumer in consumers
    reply = call(c, name, arguments)
    if not known and given(reply):
        c.db.changed(member.key, b"xgroup-createconsumer")
    elif not known:
        consumers.pop(member.consumer, None)
    return reply


def _write_back(keyspace: Keyspace, item: CommandItem) -> None:
    """Store a stream that a command has made; one that was there has been changed in place."""
    if item.is_modified and item.value is not None and not keyspace.exists(item.key):
        keyspace.values[item.key] = item.value


def encode(value: Any, resp: int) -> bytes:
    """A reply of fakeredis on the wire."""
    match value:
        case None:
            return NULL[resp]
        case bytes() | bytearray():
            return bulk(value)
        case str():
            return bulk(value.encode())
        case bool() | int():
            return integer(int(value))
        case float():
            return double(value, resp)
        case SimpleString():
            return simple(value.value)
        case dict():
            pairs = [encode(part, resp) for pair in value.items() for part in pair]
            return map_(pairs, resp)
        case _:
            return array([encode(item, resp) for item in value])


def encode_entries(entries: list[list[Any]], resp: int) -> bytes:
    """Entries `[id, fields]` on the wire; the fields of one that was deleted are a null array."""
    return array(
        [
            array([bulk(entry), NULL_ARRAY[resp] if fields is None else encode(fields, resp)])
            for entry, fields in entries
        ]
    )


# -- what the commands on streams need to know of one -------------------------------------------


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that was delivered and not acknowledged."""

    id: bytes
    consumer: bytes
    time_ms: int
    times: int


@dataclass(frozen=True, slots=True)
class Consumer:
    """A member of a group."""

    name: bytes
    seen_ms: int
    pending: list[Pending]


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group; consumers by name and pending entries by id, as Redis keeps them."""

    name: bytes
    last_id: bytes
    entries_read: int | None
    lag: int | None
    consumers: list[Consumer]
    pending: list[Pending]


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """A stream, taken apart. An entry is `[id, [field, value, ...]]`."""

    nodes: int
    first_id: bytes
    last_id: bytes
    max_deleted_id: bytes
    entries_added: int
    entries: list[list[Any]]
    groups: list[Group]


def describe(stream: XStream) -> StreamFacts:
    """What there is to know of a stream."""
    return StreamFacts(
        nodes=len(stream._nodes),
        first_id=stream.first_id.encode(),
        last_id=stream.last_id.encode(),
        max_deleted_id=stream.max_deleted_id.encode(),
        entries_added=stream.entries_added,
        entries=[stream.format_record(entry) for entry in stream._ids],
        groups=[_describe_group(stream._groups[name]) for name in sorted(stream._groups)],
    )


def _describe_group(group: StreamGroup) -> Group:
    pending = [
        Pending(entry.encode(), held.consumer_name, held.time_read, held.times_delivered)
        for entry, held in sorted(group.pel.items())
    ]
    consumers = [
        Consumer(
            name,
            group.consumers[name].last_attempt,
            [entry for entry in pending if entry.consumer == name],
        )
        for name in sorted(group.consumers)
    ]
    return Group(
        name=group.name,
        last_id=group.last_delivered_key.encode(),
        entries_read=group.entries_read,
        lag=group.lag(trim_aware=False),
        consumers=consumers,
        pending=pending,
    )


def parse_id(text: bytes) -> StreamEntryKey:
    """A stream id `ms-seq` or `ms`.

    Raises:
        CommandError: it is none.
    """
    try:
        return StreamEntryKey.parse_str(text)
    except SimpleError as failed:
        raise CommandError(failed.value) from None


def is_id(text: bytes) -> bool:
    """Whether a text is a stream id."""
    try:
        StreamEntryKey.parse_str(text)
    except SimpleError:
        return False
    return True


def parse_bound(text: bytes, *, is_end: bool) -> tuple[int, int]:
    """The end of an interval, as the id (milliseconds, number) that it includes.

    `-` and `+` are the least and the greatest id, `(` excludes the id that follows, and an id
    without a number stands for all of its millisecond.

    Raises:
        CommandError: it is no id, or excludes the last one there is.
    """
    if text in {b"-", b"+"}:
        return (0, 0) if text == b"-" else (ID_PART_MAX, ID_PART_MAX)
    excluded = text.startswith(b"(")
    bare = text[1:] if excluded else text
    milliseconds, number = parse_id(bare)
    if is_end and b"-" not in bare:
        number = ID_PART_MAX
    if not excluded:
        return milliseconds, number
    place = milliseconds * (ID_PART_MAX + 1) + number + (-1 if is_end else 1)
    if not 0 <= place < (ID_PART_MAX + 1) ** 2:
        side = "end" if is_end else "start"
        message = f"ERR invalid {side} ID for the interval"
        raise CommandError(message)
    return divmod(place, ID_PART_MAX + 1)


def last_id(stream: XStream) -> bytes:
    """The id of the last entry that was ever added."""
    return bytes(stream.last_id.encode())


def group_last_id(group: StreamGroup) -> bytes:
    """The id of the last entry that a group has delivered."""
    return bytes(group.last_delivered_key.encode())


def raise_group_last_id(stream: XStream, name: bytes, to: bytes) -> None:
    """Move a group forward to an id, if it is not there yet (XCLAIM LASTID)."""
    group: Any = stream.group_get(name)
    group.last_delivered_key = max(group.last_delivered_key, parse_id(to))


def set_last_id(
    stream: XStream, to: StreamEntryKey, entries_added: int, deleted: StreamEntryKey | None
) -> None:
    """What XSETID does.

    Args:
        stream: the stream.
        to: its last id from now on.
        entries_added: how many entries it has ever had, or -1 to leave that.
        deleted: the largest id that was deleted, or None to leave that.

    Raises:
        CommandError: the stream holds a greater id, or more entries.
    """
    if len(stream) and to < stream._ids[-1]:
        message = "ERR The ID specified in XSETID is smaller than the target stream top item"
        raise CommandError(message)
    if entries_added != -1 and entries_added < len(stream):
        message = (
            "ERR The entries_added specified in XSETID is smaller than the target stream length"
        )
        raise CommandError(message)
    stream._last_id = to
    if entries_added != -1:
        stream._entries_added = entries_added
    if deleted is not None:
        stream._max_deleted_id = deleted
