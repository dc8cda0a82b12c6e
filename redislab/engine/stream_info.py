"""XINFO: what a stream, its groups and their consumers look like inside (`src/t_stream.c`, 7.0).

`radix-tree-nodes` is the one figure that is not Redis' own: the entries stand in a list here, not
in a radix tree, and the number is what a tree of that many keys has at the least.
"""

from __future__ import annotations

from itertools import islice

from redislab.engine import fake, stream_ids
from redislab.engine.arguments import parse_int
from redislab.engine.errors import NO_SUCH_KEY, CommandError, shown
from redislab.engine.fake import Stream
from redislab.engine.groups import Consumer, Counters, Group
from redislab.engine.streams import counters, encode, encode_entry
from redislab.engine.table import Caller, Reply, command
from redislab.wire.resp import NULL, array, bulk, integer, map_

FULL_COUNT_DEFAULT = 10


@command("xinfo|stream")
def xinfo_stream(c: Caller, args: list[bytes]) -> Reply:
    """XINFO STREAM key [FULL [COUNT count]]."""
    stream = _stream(c, args[2])
    count = _full_count(args)
    known = counters(stream)
    nodes = fake.nodes(stream)
    groups = sorted(fake.groups(stream).items())
    fields: list[tuple[str, bytes]] = [
        ("length", integer(known.length)),
        ("radix-tree-keys", integer(nodes)),
        ("radix-tree-nodes", integer(nodes + 1)),
        ("last-generated-id", bulk(stream_ids.show(known.last_id))),
        ("max-deleted-entry-id", bulk(stream_ids.show(known.max_deleted_id))),
        ("entries-added", integer(known.added)),
        ("recorded-first-entry-id", bulk(stream_ids.show(known.first_id))),
    ]
    if count is not None:
        shown_groups = [_full_group(known, name, group, count, c.resp) for name, group in groups]
        fields.append(("entries", encode(fake.entries(stream, count=count))))
        fields.append(("groups", array(shown_groups)))
        return _fields(fields, c.resp)
    first = fake.entries(stream, count=1)
    last = fake.entries(stream, count=1, backwards=True)
    fields.append(("groups", integer(len(groups))))
    fields.append(("first-entry", encode_entry(first[0]) if first else NULL[c.resp]))
    fields.append(("last-entry", encode_entry(last[0]) if last else NULL[c.resp]))
    return _fields(fields, c.resp)


def _full_count(args: list[bytes]) -> int | None:
    """How many of everything FULL is to show, 0 for all; None without FULL."""
    options = args[3:]
    if not options:
        return None
    counted = len(options) == 3
    if (
        len(options) not in {1, 3}
        or options[0].lower() != b"full"
        or (counted and options[1].lower() != b"count")
    ):
        raise CommandError(
            f"ERR unknown subcommand or wrong number of arguments for '{shown(args[1])}'. "
            "Try XINFO HELP."
        )
    count = parse_int(options[2]) if counted else FULL_COUNT_DEFAULT
    return FULL_COUNT_DEFAULT if count < 0 else count


@command("xinfo|groups")
def xinfo_groups(c: Caller, args: list[bytes]) -> Reply:
    """XINFO GROUPS key."""
    stream = _stream(c, args[2])
    known = counters(stream)
    return array(
        [
            _fields(
                [
                    ("name", bulk(name)),
                    ("consumers", integer(len(group.consumers))),
                    ("pending", integer(len(group.pending))),
                    *_place(known, group, c.resp),
                ],
                c.resp,
            )
            for name, group in sorted(fake.groups(stream).items())
        ]
    )


@command("xinfo|consumers")
def xinfo_consumers(c: Caller, args: list[bytes]) -> Reply:
    """XINFO CONSUMERS key group."""
    group = fake.groups(_stream(c, args[2])).get(args[3])
    if group is None:
        raise CommandError(
            f"NOGROUP No such consumer group '{shown(args[3])}' for key name '{shown(args[2])}'"
        )
    now_ms = c.engine.now_ms()
    return array(
        [
            _fields(
                [
                    ("name", bulk(name)),
                    ("pending", integer(len(consumer.pending))),
                    ("idle", integer(max(now_ms - consumer.seen_ms, 0))),
                ],
                c.resp,
            )
            for name, consumer in sorted(group.consumers.items())
        ]
    )


def _stream(c: Caller, key: bytes) -> Stream:
    stream = c.db.typed_read(key, Stream)
    if stream is None:
        raise CommandError(NO_SUCH_KEY)
    return stream


def _fields(fields: list[tuple[str, bytes]], resp: int) -> bytes:
    return map_([part for name, value in fields for part in (bulk(name.encode()), value)], resp)


def _optional(number: int | None, resp: int) -> bytes:
    return NULL[resp] if number is None else integer(number)


def _place(known: Counters, group: Group, resp: int) -> list[tuple[str, bytes]]:
    """How far a group has read."""
    return [
        ("last-delivered-id", bulk(stream_ids.show(group.last_id))),
        ("entries-read", _optional(group.entries_read, resp)),
        ("lag", _optional(known.lag_of(group), resp)),
    ]


def _full_group(known: Counters, name: bytes, group: Group, count: int, resp: int) -> bytes:
    pending = [
        array(
            [
                bulk(stream_ids.show(entry)),
                bulk(held.consumer.name),
                integer(held.delivered_ms),
                integer(held.times),
            ]
        )
        for entry, held in islice(group.pending.items(), count or None)
    ]
    consumers = [
        _full_consumer(consumer, count, resp) for _, consumer in sorted(group.consumers.items())
    ]
    return _fields(
        [
            ("name", bulk(name)),
            *_place(known, group, resp),
            ("pel-count", integer(len(group.pending))),
            ("pending", array(pending)),
            ("consumers", array(consumers)),
        ],
        resp,
    )


def _full_consumer(consumer: Consumer, count: int, resp: int) -> bytes:
    pending = [
        array(
            [bulk(stream_ids.show(entry)), integer(held.delivered_ms), integer(held.times)],
        )
        for entry, held in islice(consumer.pending.items(), count or None)
    ]
    return _fields(
        [
            ("name", bulk(consumer.name)),
            ("seen-time", integer(consumer.seen_ms)),
            ("pel-count", integer(len(consumer.pending))),
            ("pending", array(pending)),
        ],
        resp,
    )
