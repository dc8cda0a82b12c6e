"""XREAD and XREADGROUP: reading streams, and waiting for more (`src/t_stream.c` of Redis 7.0).

A reader names the id after which it wants to read. `$` is the last one there is now; `>`, of
groups, whatever no consumer of the group has got yet. Any other id makes XREADGROUP a look at the
consumer's own history.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from redislab.engine import fake, stream_ids
from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError, shown, syntax_error
from redislab.engine.fake import Stream
from redislab.engine.groups import Consumer, Group, Pending
from redislab.engine.stream_ids import StreamId
from redislab.engine.streams import counters, encode, encode_entry
from redislab.engine.table import Block, Caller, Reply, command
from redislab.wire.resp import NULL_ARRAY, array, bulk, map_

BLOCKED_COUNT_DEFAULT = 1000  # entries that a client gets at once after it had to wait
NEW = stream_ids.GREATEST  # in the place of an id: what `>` asks for

_UNBALANCED = (
    "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
)
_NO_DOLLAR = (
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of "
    "this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would "
    "just return an empty result set."
)
_ONLY_GROUPS = (
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> "
    "option."
)


@dataclass(frozen=True)
class _Read:
    """A request, taken apart; `after` are the ids to read after, as they were given."""

    keys: tuple[bytes, ...] = ()
    after: tuple[bytes, ...] = ()
    count: int = 0
    timeout_ms: int | None = None
    group: bytes | None = None
    consumer: bytes = b""
    noack: bool = False


@command("xread", "xreadgroup")
def xread(c: Caller, args: list[bytes]) -> Reply:
    """XREAD [COUNT n] [BLOCK ms] STREAMS key ... id ..., and with GROUP group consumer [NOACK]."""
    read = _parse(args)
    after = [_resolve(c, read, at) for at in range(len(read.keys))]
    c.rewrite_nothing()
    found = []
    for key, start in zip(read.keys, after, strict=True):
        entries = _read(c, read, key, start)
        if entries is not None:
            found.append((key, entries))
    if found:
        return _reply(found, c.resp)
    if read.timeout_ms is None or c.deny_blocking:
        return NULL_ARRAY[c.resp]
    waiting = replace(read, count=read.count or BLOCKED_COUNT_DEFAULT)
    starts = dict(zip(read.keys, after, strict=True))
    return Block(
        keys=read.keys,
        timeout_s=read.timeout_ms / 1000,
        serve=lambda client, key: _serve(client, waiting, key, starts[key]),
        on_timeout=NULL_ARRAY[c.resp],
        unblocked_by_deletion=read.group is not None,
    )


def _reply(found: list[tuple[bytes, bytes]], resp: int) -> bytes:
    """Keys with their encoded entries."""
    if resp == 3:
        return map_([part for key, entries in found for part in (bulk(key), entries)], 3)
    return array([array([bulk(key), entries]) for key, entries in found])


# -- the request ---------------------------------------------------------------------------------


def _parse(args: list[bytes]) -> _Read:
    grouped = args[0].lower() == b"xreadgroup"
    read = _Read()
    at = 1
    while at < len(args):
        word = args[at].lower()
        more = len(args) - at - 1
        if word == b"block" and more:
            timeout_ms = parse_int(args[at + 1], "ERR timeout is not an integer or out of range")
            if timeout_ms < 0:
                raise CommandError("ERR timeout is negative")
            read = replace(read, timeout_ms=timeout_ms)
            at += 2
        elif word == b"count" and more:
            read = replace(read, count=max(parse_int(args[at + 1]), 0))
            at += 2
        elif word == b"streams" and more:
            names = tuple(args[at + 1 :])
            if len(names) % 2:
                raise CommandError(_UNBALANCED)
            half = len(names) // 2
            read = replace(read, keys=names[:half], after=names[half:])
            break
        elif word == b"group" and more >= 2:
            _only_for_groups(grouped, "GROUP")
            read = replace(read, group=args[at + 1], consumer=args[at + 2])
            at += 3
        elif word == b"noack":
            _only_for_groups(grouped, "NOACK")
            read = replace(read, noack=True)
            at += 1
        else:
            raise syntax_error()
    if not read.keys:
        raise syntax_error()
    if grouped and read.group is None:
        raise CommandError("ERR Missing GROUP option for XREADGROUP")
    return read


def _only_for_groups(grouped: bool, option: str) -> None:
    if not grouped:
        raise CommandError(
            f"ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
        )


def _resolve(c: Caller, read: _Read, at: int) -> StreamId:
    """The id to read after, `NEW` for `>`.

    Raises:
        CommandError: there is no such group, or the id is none, or one for others.
    """
    key, text = read.keys[at], read.after[at]
    stream = c.db.typed_read(key, Stream)
    grouped = read.group is not None
    if grouped and (stream is None or read.group not in fake.groups(stream)):
        raise CommandError(
            f"NOGROUP No such key '{shown(key)}' or consumer group '{shown(read.group or b'')}' in "
            "XREADGROUP with GROUP option"
        )
    text = text.partition(b"\0")[0] if text[:1] in {b"$", b">"} else text
    if text == b"$":
        if grouped:
            raise CommandError(_NO_DOLLAR)
        return stream_ids.LEAST if stream is None else fake.last_id(stream)
    if text == b">":
        if not grouped:
            raise CommandError(_ONLY_GROUPS)
        return NEW
    return stream_ids.parse(text)


# -- reading -------------------------------------------------------------------------------------


def _read(c: Caller, read: _Read, key: bytes, after: StreamId) -> bytes | None:
    """The encoded entries that one stream has for a reader now; None if there is nothing to say."""
    stream = c.db.lookup_read(key)
    if stream is None:
        return None
    last = fake.ids(stream)[-1] if len(stream) else stream_ids.LEAST
    if read.group is None:
        if not len(stream) or last <= after:
            return None
        return encode(fake.entries(stream, stream_ids.following(after), count=read.count))
    group = fake.groups(stream)[read.group]
    if after == NEW and (not len(stream) or last <= group.last_id):
        return None
    consumer = _consumer(c, read, key, group)
    c.engine.dirty += 1
    if after != NEW:
        return _history(c, stream, consumer, stream_ids.following(after), read.count)
    return _deliver(c, read, key, stream, group, consumer)


def _serve(c: Caller, read: _Read, key: bytes, after: StreamId) -> bytes | None:
    """Serve a client that waited: its stream has entries, or its group is gone."""
    stream = c.db.lookup(key)
    if read.group is None:
        if type(stream) is not Stream or fake.last_id(stream) <= after:
            return None
        entries = fake.entries(stream, stream_ids.following(after), count=read.count)
        return _reply([(key, encode(entries))], c.resp)
    if type(stream) is not Stream:
        raise CommandError("UNBLOCKED the stream key no longer exists")
    group = fake.groups(stream).get(read.group)
    if group is None:
        raise CommandError("NOGROUP the consumer group this client was blocked on no longer exists")
    if fake.last_id(stream) <= group.last_id:
        return None
    consumer = _consumer(c, read, key, group)
    return _reply([(key, _deliver(c, read, key, stream, group, consumer))], c.resp)


def _consumer(c: Caller, read: _Read, key: bytes, group: Group) -> Consumer:
    """The consumer that reads, who joins the group with its first reading."""
    assert read.group is not None
    consumer = group.consumers.get(read.consumer)
    if consumer is None:
        consumer = add_consumer(c, key, group, read.consumer)
        if read.noack:
            c.rewrite(b"XGROUP", b"CREATECONSUMER", key, read.group, read.consumer)
    consumer.seen_ms = c.engine.now_ms()
    return consumer


def add_consumer(c: Caller, key: bytes, group: Group, name: bytes) -> Consumer:
    """Let a consumer join a group."""
    consumer = group.consumers[name] = Consumer(name, c.engine.now_ms())
    c.db.announce(key, b"xgroup-createconsumer")
    return consumer


def _deliver(
    c: Caller, read: _Read, key: bytes, stream: Stream, group: Group, consumer: Consumer
) -> bytes:
    """Hand out entries that nobody in the group has got yet."""
    assert read.group is not None
    now_ms = c.engine.now_ms()
    entries = fake.entries(stream, stream_ids.following(group.last_id), count=read.count)
    known = counters(stream)
    for entry, _ in entries:
        known.advance(group, entry)
        if read.noack:
            continue
        pending = group.pending.get(entry)
        if pending is None:
            pending = Pending(None, now_ms)
        else:  # after XGROUP SETID somebody may have it already
            pending.delivered_ms, pending.times = now_ms, 1
        group.give(entry, pending, consumer)
        send_on(c, key, read.group, group, entry, pending)
    if read.noack and entries:
        send_on_place(c, key, read.group, group)
    return encode(entries)


def _history(c: Caller, stream: Stream, consumer: Consumer, first: StreamId, count: int) -> bytes:
    """What a consumer has got and not acknowledged; the fields of a deleted entry are null."""
    now_ms = c.engine.now_ms()
    parts: list[bytes] = []
    for entry in consumer.pending.irange(first):
        if count and len(parts) == count:
            break
        words = fake.fields(stream, entry)
        if words is None:
            parts.append(array([bulk(stream_ids.show(entry)), NULL_ARRAY[c.resp]]))
            continue
        pending = consumer.pending[entry]
        pending.delivered_ms = now_ms
        pending.times += 1
        parts.append(encode_entry((entry, words)))
    return array(parts)


# -- what replicas are sent ------------------------------------------------------------------------


def send_on(
    c: Caller, key: bytes, name: bytes, group: Group, entry: StreamId, pending: Pending
) -> None:
    """Send on who has an entry now, as an XCLAIM that comes to just that."""
    if not c.engine.propagating:
        return
    assert pending.consumer is not None
    words = [b"XCLAIM", key, name, pending.consumer.name, b"0", stream_ids.show(entry)]
    words += [b"TIME", b"%d" % pending.delivered_ms, b"RETRYCOUNT", b"%d" % pending.times]
    c.rewrite(*words, b"FORCE", b"JUSTID", b"LASTID", stream_ids.show(group.last_id))


def send_on_place(c: Caller, key: bytes, name: bytes, group: Group) -> None:
    """Send on how far a group has read."""
    read = -1 if group.entries_read is None else group.entries_read
    words = [b"XGROUP", b"SETID", key, name, stream_ids.show(group.last_id)]
    c.rewrite(*words, b"ENTRIESREAD", b"%d" % read)
