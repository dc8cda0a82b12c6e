"""Consumer groups of streams: XGROUP, XACK, XPENDING, XCLAIM, XAUTOCLAIM (`src/t_stream.c`, 7.0).

Arguments are read here, in the order Redis reads them, for that order decides which of two errors a
client sees. The bookkeeping itself is fakeredis' (see `fake.py`).
"""

from __future__ import annotations

from redislab.engine import fake
from redislab.engine.arguments import parse_int, parse_ranged
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.fake import Pending, Stream
from redislab.engine.table import Caller, Reply, command
from redislab.wire.resp import NULL, NULL_ARRAY, OK, array, bulk, bulks, integer

AUTOCLAIM_COUNT_DEFAULT = 100
AUTOCLAIM_COUNT_MAX = (2**63 - 1) // 16


@command("xgroup|create", "xgroup|setid")
def xgroup_place(c: Caller, args: list[bytes]) -> Reply:
    """XGROUP CREATE key group id|$ [MKSTREAM] [ENTRIESREAD n], XGROUP SETID key group id|$."""
    action = args[1].decode().lower()
    make = False
    position = 5
    while position < len(args):
        word = args[position].upper()
        if word == b"MKSTREAM" and action == "create":
            make = True
            position += 1
        elif word == b"ENTRIESREAD" and position + 1 < len(args):
            if parse_int(args[position + 1]) < -1:
                message = "ERR value for ENTRIESREAD must be positive or -1"
                raise CommandError(message)
            position += 2
        else:
            shown = args[1].decode("utf-8", "surrogateescape")
            message = (
                f"ERR unknown subcommand or wrong number of arguments for '{shown}'. "
                "Try XGROUP HELP."
            )
            raise CommandError(message)
    _existing_stream(c, args[2], needed=not make)
    fake.call(c, f"xgroup {action}", args[2:])
    c.db.changed(args[2], b"xgroup-" + action.encode())
    return OK


@command("xgroup|destroy")
def xgroup_destroy(c: Caller, args: list[bytes]) -> Reply:
    """XGROUP DESTROY key group: clients that wait for it are told."""
    _existing_stream(c, args[2])
    destroyed = fake.call(c, "xgroup destroy", args[2:])
    if destroyed:
        c.db.changed(args[2], b"xgroup-destroy")
        c.db.signal_ready(args[2])
    return integer(int(destroyed))


@command("xgroup|createconsumer")
def xgroup_createconsumer(c: Caller, args: list[bytes]) -> Reply:
    """XGROUP CREATECONSUMER key group consumer."""
    _existing_stream(c, args[2])
    created = fake.call(c, "xgroup createconsumer", args[2:])
    if created:
        c.db.changed(args[2], b"xgroup-createconsumer")
    return integer(int(created))


@command("xgroup|delconsumer")
def xgroup_delconsumer(c: Caller, args: list[bytes]) -> Reply:
    """XGROUP DELCONSUMER key group consumer: how many entries it still had to acknowledge."""
    _existing_stream(c, args[2])
    group = c.db.values[args[2]].group_get(args[3])
    known = group is not None and args[4] in group.consumers
    pending = fake.call(c, "xgroup delconsumer", args[2:])
    if known:
        c.db.changed(args[2], b"xgroup-delconsumer")
    return integer(int(pending))


def _existing_stream(c: Caller, key: bytes, *, needed: bool = True) -> None:
    if c.db.typed(key, Stream) is None and needed:
        message = (
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may "
            "want to use the MKSTREAM option to create an empty stream automatically."
        )
        raise CommandError(message)


@command("xack")
def xack(c: Caller, args: list[bytes]) -> Reply:
    """XACK key group id [id ...]."""
    stream = c.db.typed(args[1], Stream)
    if stream is None or stream.group_get(args[2]) is None:
        return integer(0)
    for entry in args[3:]:
        fake.parse_id(entry)
    acknowledged = fake.call(c, "xack", args[1:])
    if acknowledged:
        c.engine.dirty += acknowledged
    return integer(acknowledged)


def _group(c: Caller, args: list[bytes]) -> Stream:
    """The stream of `args[1]`, which must have the group `args[2]`."""
    stream = c.db.typed(args[1], Stream)
    if stream is None or stream.group_get(args[2]) is None:
        key, group = (word.decode("utf-8", "surrogateescape") for word in args[1:3])
        message = f"NOGROUP No such key '{key}' or consumer group '{group}'"
        raise CommandError(message)
    return stream


@command("xpending")
def xpending(c: Caller, args: list[bytes]) -> Reply:
    """XPENDING key group [[IDLE ms] start end count [consumer]]."""
    if len(args) == 3:
        return _pending_summary(c, args)
    if not 6 <= len(args) <= 9:
        raise syntax_error()
    idle_ms = 0
    words = args[3:]
    if words[0].upper() == b"IDLE":
        idle_ms = parse_int(words[1])
        if len(args) < 8:
            raise syntax_error()
        words = words[2:]
    count = max(parse_int(words[2]), 0)
    first = fake.parse_bound(words[0], is_end=False)
    last = fake.parse_bound(words[1], is_end=True)
    consumer = words[3] if len(words) > 3 else None
    now = c.engine.now_ms()
    found = [
        entry
        for entry in _pending(_group(c, args), args[2])
        if first <= fake.parse_id(entry.id) <= last
        and consumer in {None, entry.consumer}
        and now - entry.time_ms >= idle_ms
    ]
    return array(
        [
            array(
                [
                    bulk(entry.id),
                    bulk(entry.consumer),
                    integer(max(now - entry.time_ms, 0)),
                    integer(entry.times),
                ]
            )
            for entry in found[:count]
        ]
    )


def _pending(stream: Stream, name: bytes) -> list[Pending]:
    return next(group.pending for group in fake.describe(stream).groups if group.name == name)


def _pending_summary(c: Caller, args: list[bytes]) -> bytes:
    pending = _pending(_group(c, args), args[2])
    if not pending:
        return array([integer(0), NULL[c.resp], NULL[c.resp], NULL_ARRAY[c.resp]])
    counts: dict[bytes, int] = {}
    for entry in pending:
        counts[entry.consumer] = counts.get(entry.consumer, 0) + 1
    consumers = [bulks([name, b"%d" % counts[name]]) for name in sorted(counts)]
    ends = [bulk(pending[0].id), bulk(pending[-1].id)]
    return array([integer(len(pending)), *ends, array(consumers)])


@command("xclaim")
def xclaim(c: Caller, args: list[bytes]) -> Reply:
    """XCLAIM key group consumer min-idle-ms id [id ...] [options]."""
    stream = _group(c, args)
    min_idle = max(parse_int(args[4], "ERR Invalid min-idle-time argument for XCLAIM"), 0)
    position = 5
    while position < len(args) and fake.is_id(args[position]):
        position += 1
    ids = args[5:position]
    options: list[bytes] = []
    just_ids = False
    while position < len(args):
        word = args[position].upper()
        value = args[position + 1] if position + 1 < len(args) else None
        if word in {b"FORCE", b"JUSTID"}:
            just_ids |= word == b"JUSTID"
            options.append(word)
            position += 1
        elif word in {b"IDLE", b"TIME", b"RETRYCOUNT"} and value is not None:
            parse_int(value, f"ERR Invalid {word.decode()} option argument for XCLAIM")
            options += [word, value]
            position += 2
        elif word == b"LASTID" and value is not None:
            fake.parse_id(value)
            fake.raise_group_last_id(stream, args[2], value)
            position += 2
        else:
            shown = args[position].decode("utf-8", "surrogateescape")
            message = f"ERR Unrecognized XCLAIM option '{shown}'"
            raise CommandError(message)
    words = [*args[1:4], b"%d" % min_idle, *ids, *options]
    reply = fake.call_as(c, fake.Member(*args[1:4]), "xclaim", words)
    c.engine.dirty += len(reply)
    return bulks(reply) if just_ids else fake.encode_entries(reply, c.resp)


@command("xautoclaim")
def xautoclaim(c: Caller, args: list[bytes]) -> Reply:
    """XAUTOCLAIM key group consumer min-idle-ms start [COUNT count] [JUSTID]."""
    min_idle = max(parse_int(args[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM"), 0)
    start = fake.parse_bound(args[5], is_end=False)
    options: list[bytes] = []
    count = AUTOCLAIM_COUNT_DEFAULT
    position = 6
    while position < len(args):
        word = args[position].upper()
        if word == b"COUNT" and position + 1 < len(args):
            problem = "ERR COUNT must be > 0"
            count = parse_ranged(args[position + 1], 1, AUTOCLAIM_COUNT_MAX, problem)
            position += 2
        elif word == b"JUSTID":
            options = [b"JUSTID"]
            position += 1
        else:
            raise syntax_error()
    _group(c, args)
    words = [*args[1:4], b"%d" % min_idle, b"%d-%d" % start, b"COUNT", b"%d" % count, *options]
    cursor, claimed, deleted = fake.call_as(
        c, fake.Member(*args[1:4]), "xautoclaim", words, given=lambda reply: reply[1]
    )
    c.engine.dirty += len(claimed) + len(deleted)
    entries = bulks(claimed) if options else fake.encode_entries(claimed, c.resp)
    return array([bulk(cursor), entries, bulks(deleted)])
