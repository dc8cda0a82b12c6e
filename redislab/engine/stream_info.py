"""XINFO: what a stream, its groups and their consumers look like inside (`src/t_stream.c`, 7.0).

`radix-tree-nodes` is the one figure that is not Redis' own: the entries stand in a list here, not
in a radix tree, and the number is what a tree of that many keys has at the least.
"""

from __future__ import annotations

from redislab.engine import fake
from redislab.engine.arguments import parse_int
from redislab.engine.errors import NO_SUCH_KEY, CommandError
from redislab.engine.fake import Stream
from redislab.engine.table import Caller, Reply, command
from redislab.wire.resp import NULL, array, bulk, integer, map_

FULL_COUNT_DEFAULT = 10


@command("xinfo|stream")
def xinfo_stream(c: Caller, args: list[bytes]) -> Reply:
    """XINFO STREAM key [FULL [COUNT count]]."""
    stream = _stream(c, args[2])
    options = args[3:]
    count = FULL_COUNT_DEFAULT
    if options:
        counted = len(options) == 3 and options[1].upper() == b"COUNT"
        if options[0].upper() != b"FULL" or not (len(options) == 1 or counted):
            message = (
                "ERR unknown subcommand or wrong number of arguments for "
                f"'{args[1].decode('utf-8', 'surrogateescape')}'. Try XINFO HELP."
            )
            raise CommandError(message)
        if counted:
            count = parse_int(options[2])
            count = FULL_COUNT_DEFAULT if count < 0 else count
    facts = fake.describe(stream)
    fields: list[tuple[str, bytes]] = [
        ("length", integer(len(stream))),
        ("radix-tree-keys", integer(facts.nodes)),
        ("radix-tree-nodes", integer(facts.nodes + 1)),
        ("last-generated-id", bulk(facts.last_id)),
        ("max-deleted-entry-id", bulk(facts.max_deleted_id)),
        ("entries-added", integer(facts.entries_added)),
        ("recorded-first-entry-id", bulk(facts.first_id)),
    ]
    if options:
        entries = facts.entries[: count or None]
        groups = [_full_group(group, count, c.resp) for group in facts.groups]
        fields += [("entries", fake.encode_entries(entries, c.resp)), ("groups", array(groups))]
    else:
        ends = (facts.entries[:1], facts.entries[-1:])
        first, last = (fake.encode(end[0], c.resp) if end else NULL[c.resp] for end in ends)
        count_of_groups = integer(len(facts.groups))
        fields += [("groups", count_of_groups), ("first-entry", first), ("last-entry", last)]
    return _fields(fields, c.resp)


@command("xinfo|groups")
def xinfo_groups(c: Caller, args: list[bytes]) -> Reply:
    """XINFO GROUPS key."""
    groups = fake.describe(_stream(c, args[2])).groups
    return array([_fields(_group_fields(group, c.resp), c.resp) for group in groups])


@command("xinfo|consumers")
def xinfo_consumers(c: Caller, args: list[bytes]) -> Reply:
    """XINFO CONSUMERS key group."""
    wanted = args[3]
    for group in fake.describe(_stream(c, args[2])).groups:
        if group.name == wanted:
            now = c.engine.now_ms()
            return array([_consumer(consumer, now, c.resp) for consumer in group.consumers])
    shown = [text.decode("utf-8", "surrogateescape") for text in (wanted, args[2])]
    message = f"NOGROUP No such consumer group '{shown[0]}' for key name '{shown[1]}'"
    raise CommandError(message)


def _stream(c: Caller, key: bytes) -> Stream:
    stream = c.db.typed_read(key, Stream)
    if stream is None:
        raise CommandError(NO_SUCH_KEY)
    return stream


def _fields(fields: list[tuple[str, bytes]], resp: int) -> bytes:
    return map_([part for name, value in fields for part in (bulk(name.encode()), value)], resp)


def _optional(number: int | None, resp: int) -> bytes:
    return NULL[resp] if number is None else integer(number)


def _group_fields(group: fake.Group, resp: int) -> list[tuple[str, bytes]]:
    return [
        ("name", bulk(group.name)),
        ("consumers", integer(len(group.consumers))),
        ("pending", integer(len(group.pending))),
        ("last-delivered-id", bulk(group.last_id)),
        ("entries-read", _optional(group.entries_read, resp)),
        ("lag", _optional(group.lag, resp)),
    ]


def _consumer(consumer: fake.Consumer, now_ms: int, resp: int) -> bytes:
    idle = max(now_ms - consumer.seen_ms, 0)
    pending = integer(len(consumer.pending))
    name = bulk(consumer.name)
    return _fields([("name", name), ("pending", pending), ("idle", integer(idle))], resp)


def _full_group(group: fake.Group, count: int, resp: int) -> bytes:
    limit = count or None
    pending = [
        array([bulk(entry.id), bulk(entry.consumer), integer(entry.time_ms), integer(entry.times)])
        for entry in group.pending[:limit]
    ]
    consumers = []
    for consumer in group.consumers:
        own = [
            array([bulk(entry.id), integer(entry.time_ms), integer(entry.times)])
            for entry in consumer.pending[:limit]
        ]
        consumers.append(
            _fields(
                [
                    ("name", bulk(consumer.name)),
                    ("seen-time", integer(consumer.seen_ms)),
                    ("pel-count", integer(len(consumer.pending))),
                    ("pending", array(own)),
                ],
                resp,
            )
        )
    return _fields(
        [
            ("name", bulk(group.name)),
            ("last-delivered-id", bulk(group.last_id)),
            ("entries-read", _optional(group.entries_read, resp)),
            ("lag", _optional(group.lag, resp)),
            ("pel-count", integer(len(group.pending))),
            ("pending", array(pending)),
            ("consumers", array(consumers)),
        ],
        resp,
    )
