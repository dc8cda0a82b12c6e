"""Consumer groups of streams: XGROUP, XACK, XPENDING, XCLAIM, XAUTOCLAIM (`src/t_stream.c`, 7.0).

Arguments are read in the order Redis reads them, for that order decides which of two errors a
client sees. What a group is stands in `groups.py`.
"""

from __future__ import annotations

from itertools import islice

from redislab.engine import fake, stream_ids
from redislab.engine.arguments import parse_int, parse_ranged
from redislab.engine.errors import CommandError, shown, syntax_error, wrong_type
from redislab.engine.fake import Stream
from redislab.engine.groups import Consumer, Group, Pending
from redislab.engine.stream_ids import StreamId
from redislab.engine.stream_reads import add_consumer, send_on, send_on_place
from redislab.engine.streams import encode_entry
from redislab.engine.table import Caller, Reply, command
from redislab.wire.resp import NULL, NULL_ARRAY, OK, ONE, ZERO, array, bulk, bulks, integer

AUTOCLAIM_COUNT_DEFAULT = 100
AUTOCLAIM_COUNT_MAX = (2**63 - 1) // 16
AUTOCLAIM_LOOKS = 10  # XAUTOCLAIM looks at as many entries for each one it may claim

_NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use "
    "the MKSTREAM option to create an empty stream automatically."
)


# -- XGROUP --------------------------------------------------------------------------------------


@command("xgroup|create")
def xgroup_create(c: Caller, args: list[bytes]) -> Reply:
    """XGROUP CREATE key group id|$ [MKSTREAM] [ENTRIESREAD n]."""
    make, entries_read = _parse_place(args, makes=True)
    db, key = c.db, args[2]
    stream = db.typed(key, Stream)
    if stream is None and not make:
        raise CommandError(_NO_KEY)
    if len(args) > 8:
        raise _wrong_form(args)
    place = _place(args[4], stream)
    if stream is None:
        stream = db.values[key] = Stream()
        db.touched(key, 0)
    groups = fake.groups(stream)
    if args[3] in groups:
        raise CommandError("BUSYGROUP Consumer Group name already exists")
    groups[args[3]] = Group(place, entries_read)
    db.announce(key, b"xgroup-create")
    return OK


@command("xgroup|setid")
def xgroup_setid(c: Caller, args: list[bytes]) -> Reply:
    """XGROUP SETID key group id|$ [ENTRIESREAD n]."""
    _, entries_read = _parse_place(args, makes=False)
    stream, group = _existing_group(c, args)
    if len(args) not in {5, 7}:
        raise _wrong_form(args)
    group.last_id = _place(args[4], stream, ends_too=True)
    group.entries_read = entries_read
    c.db.announce(args[2], b"xgroup-setid")
    return OK


def _parse_place(args: list[bytes], *, makes: bool) -> tuple[bool, int | None]:
    """MKSTREAM and ENTRIESREAD, which is None for -1, or where it is left out."""
    make = False
    entries_read: int | None = None
    at = 5
    while at < len(args):
        word = args[at].lower()
        if word == b"mkstream" and makes:
            make = True
            at += 1
        elif word == b"entriesread" and at + 1 < len(args):
            number = parse_int(args[at + 1])
            if number < -1:
                raise CommandError("ERR value for ENTRIESREAD must be positive or -1")
            entries_read = None if number == -1 else number
            at += 2
        else:
            raise _wrong_form(args)
    return make, entries_read


def _place(text: bytes, stream: Stream | None, *, ends_too: bool = False) -> StreamId:
    """Where a group is to begin: after an id, or with `$` after the last one."""
    if text.partition(b"\0")[0] == b"$":
        return stream_ids.LEAST if stream is None else fake.last_id(stream)
    return stream_ids.parse(text, ends_too=ends_too)


def _wrong_form(args: list[bytes]) -> CommandError:
    return CommandError(
        f"ERR unknown subcommand or wrong number of arguments for '{shown(args[1])}'. Try "
        f"{shown(args[0]).upper()} HELP."
    )


@command("xgroup|destroy")
def xgroup_destroy(c: Caller, args: list[bytes]) -> Reply:
    """XGROUP DESTROY key group: clients that wait for it are told."""
    stream = c.db.typed(args[2], Stream)
    if stream is None:
        raise CommandError(_NO_KEY)
    if fake.groups(stream).pop(args[3], None) is None:
        return ZERO
    c.db.announce(args[2], b"xgroup-destroy")
    c.db.signal_ready(args[2])
    return ONE


@command("xgroup|createconsumer")
def xgroup_createconsumer(c: Caller, args: list[bytes]) -> Reply:
    """XGROUP CREATECONSUMER key group consumer."""
    _, group = _existing_group(c, args)
    if args[4] in group.consumers:
        return ZERO
    add_consumer(c, args[2], group, args[4])
    return ONE


@command("xgroup|delconsumer")
def xgroup_delconsumer(c: Caller, args: list[bytes]) -> Reply:
    """XGROUP DELCONSUMER key group consumer: how many entries it still had to acknowledge."""
    _, group = _existing_group(c, args)
    had = group.remove_consumer(args[4])
    if had is None:
        return ZERO
    c.db.announce(args[2], b"xgroup-delconsumer")
    return integer(had)


def _existing_group(c: Caller, args: list[bytes]) -> tuple[Stream, Group]:
    """The stream and the group that XGROUP names; both have to be there."""
    stream = c.db.typed(args[2], Stream)
    if stream is None:
        raise CommandError(_NO_KEY)
    group = fake.groups(stream).get(args[3])
    if group is None:
        raise CommandError(
            f"NOGROUP No such consumer group '{shown(args[3])}' for key name '{shown(args[2])}'"
        )
    return stream, group


# -- XACK and XPENDING ---------------------------------------------------------------------------


@command("xack")
def xack(c: Caller, args: list[bytes]) -> Reply:
    """XACK key group id [id ...]."""
    stream = c.db.typed_read(args[1], Stream)
    group = None if stream is None else fake.groups(stream).get(args[2])
    if group is None:
        return ZERO
    ids = [stream_ids.parse(text) for text in args[3:]]
    acknowledged = sum([group.drop(entry) for entry in ids])
    c.engine.dirty += acknowledged
    return integer(acknowledged)


def _group(stream: Stream | None, args: list[bytes]) -> tuple[Stream, Group]:
    """A stream and its group `args[2]`; both have to be there."""
    group = None if stream is None else fake.groups(stream).get(args[2])
    if stream is None or group is None:
        raise CommandError(
            f"NOGROUP No such key '{shown(args[1])}' or consumer group '{shown(args[2])}'"
        )
    return stream, group


@command("xpending")
def xpending(c: Caller, args: list[bytes]) -> Reply:
    """XPENDING key group [[IDLE ms] start end count [consumer]]."""
    if len(args) == 3:
        return _pending_summary(_group(c.db.typed_read(args[1], Stream), args)[1], c.resp)
    if not 6 <= len(args) <= 9:
        raise syntax_error()
    idle_ms = 0
    words = args[3:]
    if words[0].lower() == b"idle":
        idle_ms = parse_int(words[1])
        if len(args) < 8:
            raise syntax_error()
        words = words[2:]
    count = max(parse_int(words[2]), 0)
    first = stream_ids.parse_bound(words[0], is_end=False)
    last = stream_ids.parse_bound(words[1], is_end=True)
    _, group = _group(c.db.typed_read(args[1], Stream), args)
    pending = group.pending
    if len(words) > 3:
        consumer = group.consumers.get(words[3])
        if consumer is None:
            return array([])
        pending = consumer.pending
    now_ms = c.engine.now_ms()
    idle_enough = (
        (entry, held)
        for entry in pending.irange(first, last)
        if now_ms - (held := pending[entry]).delivered_ms >= idle_ms or not idle_ms
    )
    most = min(count, len(pending))
    return array([_show_pending(*found, now_ms) for found in islice(idle_enough, most)])


def _show_pending(entry: StreamId, held: Pending, now_ms: int) -> bytes:
    assert held.consumer is not None
    idle_ms = max(now_ms - held.delivered_ms, 0)
    name = bulk(held.consumer.name)
    return array([bulk(stream_ids.show(entry)), name, integer(idle_ms), integer(held.times)])


def _pending_summary(group: Group, resp: int) -> bytes:
    pending = group.pending
    if not pending:
        return array([ZERO, NULL[resp], NULL[resp], NULL_ARRAY[resp]])
    consumers = [
        bulks([name, b"%d" % len(consumer.pending)])
        for name, consumer in sorted(group.consumers.items())
        if consumer.pending
    ]
    ends = [bulk(stream_ids.show(pending.peekitem(place)[0])) for place in (0, -1)]
    return array([integer(len(pending)), *ends, array(consumers)])


# -- XCLAIM and XAUTOCLAIM -------------------------------------------------------------------------


@command("xclaim")
def xclaim(c: Caller, args: list[bytes]) -> Reply:
    """XCLAIM key group consumer min-idle-ms id [id ...] [options]."""
    stream, group = _group(c.db.typed_read(args[1], Stream), args)
    min_idle_ms = max(parse_int(args[4], "ERR Invalid min-idle-time argument for XCLAIM"), 0)
    at = 5
    while at < len(args) and stream_ids.is_one(args[at]):
        at += 1
    ids = [stream_ids.parse(text) for text in args[5:at]]
    claim = _Claim(c, args, stream, group, min_idle_ms)
    claim.parse(at)
    moved = claim.last_id > group.last_id
    if moved:
        group.last_id = claim.last_id
    c.rewrite_nothing()
    replies = []
    for entry in ids:
        held = group.pending.get(entry)
        if fake.fields(stream, entry) is None:
            if held is not None:
                claim.forget(entry, held)
                moved = False
            continue
        is_new = held is None and claim.force
        if is_new:
            held = Pending(None, claim.now_ms)
        if held is None or not (is_new or claim.is_idle(held)):
            continue
        replies.append(claim.take(entry, held))
        moved = False
    if moved:
        send_on_place(c, args[1], args[2], group)
        c.engine.dirty += 1
    return array(replies)


@command("xautoclaim")
def xautoclaim(c: Caller, args: list[bytes]) -> Reply:
    """XAUTOCLAIM key group consumer min-idle-ms start [COUNT count] [JUSTID]."""
    value = c.db.lookup_read(args[1])
    min_idle_ms = max(parse_int(args[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM"), 0)
    start = stream_ids.parse_bound(args[5], is_end=False)
    just_ids = False
    count = AUTOCLAIM_COUNT_DEFAULT
    at = 6
    while at < len(args):
        word = args[at].lower()
        if word == b"count" and at + 1 < len(args):
            problem = "ERR COUNT must be > 0"
            count = parse_ranged(args[at + 1], 1, AUTOCLAIM_COUNT_MAX, problem)
            at += 2
        elif word == b"justid":
            just_ids = True
            at += 1
        else:
            raise syntax_error()
    if value is not None and type(value) is not Stream:
        raise wrong_type()
    stream, group = _group(value, args)
    claim = _Claim(c, args, stream, group, min_idle_ms)
    claim.just_ids = just_ids
    c.rewrite_nothing()
    looks = count * AUTOCLAIM_LOOKS
    candidates = list(islice(group.pending.irange(start), looks + 1))
    replies: list[bytes] = []
    deleted: list[bytes] = []
    place = 0
    while place < min(looks, len(candidates)) and len(replies) + len(deleted) < count:
        entry = candidates[place]
        held = group.pending[entry]
        place += 1
        if fake.fields(stream, entry) is None:
            claim.forget(entry, held)
            deleted.append(stream_ids.show(entry))
        elif claim.is_idle(held):
            replies.append(claim.take(entry, held))
    cursor = candidates[place] if place < len(candidates) else stream_ids.LEAST
    return array([bulk(stream_ids.show(cursor)), array(replies), bulks(deleted)])


class _Claim:
    """A consumer's claim to entries that others have.

    Attributes:
        last_id: of LASTID; the least id if it is left out.
        force: whether entries that nobody has are claimed as well.
        just_ids: whether only ids are answered; deliveries are not counted then.
    """

    def __init__(
        self, c: Caller, args: list[bytes], stream: Stream, group: Group, min_idle_ms: int
    ) -> None:
        self.c = c
        self.args = args
        self.stream = stream
        self.group = group
        self.min_idle_ms = min_idle_ms
        self.now_ms = self.delivered_ms = c.engine.now_ms()
        self.retry_count = -1
        self.last_id = stream_ids.LEAST
        self.force = self.just_ids = False
        self.consumer: Consumer | None = None

    def parse(self, at: int) -> None:
        """Read the options of XCLAIM.

        Raises:
            CommandError: one that is none, or whose value is.
        """
        args = self.args
        delivered_ms = -1
        while at < len(args):
            word = args[at].lower()
            value = args[at + 1] if at + 1 < len(args) else None
            if word in {b"force", b"justid"}:
                self.force |= word == b"force"
                self.just_ids |= word == b"justid"
                at += 1
                continue
            if value is None or word not in {b"idle", b"time", b"retrycount", b"lastid"}:
                raise CommandError(f"ERR Unrecognized XCLAIM option '{shown(args[at])}'")
            if word == b"lastid":
                self.last_id = stream_ids.parse(value)
            else:
                name = word.decode().upper()
                number = parse_int(value, f"ERR Invalid {name} option argument for XCLAIM")
                if word == b"retrycount":
                    self.retry_count = number
                else:
                    delivered_ms = self.now_ms - number if word == b"idle" else number
            at += 2
        if 0 <= delivered_ms <= self.now_ms:  # a time that cannot be is taken for now
            self.delivered_ms = delivered_ms

    def is_idle(self, held: Pending) -> bool:
        """Whether an entry was left alone for long enough to be claimed."""
        return not self.min_idle_ms or self.now_ms - held.delivered_ms >= self.min_idle_ms

    def take(self, entry: StreamId, held: Pending) -> bytes:
        """Let the consumer have an entry that is in the stream; its reply."""
        c, key = self.c, self.args[1]
        if self.consumer is None:
            name = self.args[3]
            known = self.group.consumers.get(name)
            self.consumer = known or add_consumer(c, key, self.group, name)
            self.consumer.seen_ms = self.now_ms
        held.delivered_ms = self.delivered_ms
        if self.retry_count >= 0:
            held.times = self.retry_count
        elif not self.just_ids:
            held.times += 1
        self.group.give(entry, held, self.consumer)
        send_on(c, key, self.args[2], self.group, entry, held)
        c.engine.dirty += 1
        if self.just_ids:
            return bulk(stream_ids.show(entry))
        return encode_entry((entry, fake.fields(self.stream, entry) or []))

    def forget(self, entry: StreamId, held: Pending) -> None:
        """Drop a pending entry that was deleted from the stream."""
        send_on(self.c, self.args[1], self.args[2], self.group, entry, held)
        self.c.engine.dirty += 1
        self.group.drop(entry)
