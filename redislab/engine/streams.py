"""Streams: XADD, XRANGE, XTRIM and their kin (`src/t_stream.c` of Redis 7.0).

Reading, and waiting for more, stands in `stream_reads.py`, consumer groups in `stream_groups.py`,
XINFO in `stream_info.py`. The order in which a command looks at its arguments decides which error a
client sees, so it is the same here.
"""

from __future__ import annotations

from redislab.engine import fake, stream_ids
from redislab.engine.arguments import parse_int
from redislab.engine.errors import NO_SUCH_KEY, CommandError, syntax_error, wrong_arity
from redislab.engine.fake import Stream
from redislab.engine.groups import Counters
from redislab.engine.stream_ids import PART_MAX, StreamId
from redislab.engine.table import Caller, Reply, command
from redislab.wire.resp import EMPTY_ARRAY, NULL, NULL_ARRAY, OK, ZERO, array, bulk, bulks, integer

NODES_PER_TRIM = 100  # an approximate trimming without LIMIT looks at no more of them
LIMIT_WITHOUT_NODES = 10_000
LIMIT_MAX = 1_000_000

_BOTH_WAYS = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
_NOT_GREATER = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
_EXHAUSTED = "ERR The stream has exhausted the last possible ID, unable to add more items"


# -- adding and removing -------------------------------------------------------------------------


@command("xadd")
def xadd(c: Caller, args: list[bytes]) -> Reply:
    """XADD key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]] *|id field value ..."""
    options = _Options(c, args, adds=True)
    words = args[options.end + 1 :]
    if len(words) < 2 or len(words) % 2:
        raise wrong_arity("xadd")
    if options.id == stream_ids.LEAST and options.number_given:
        raise CommandError("ERR The ID specified in XADD must be greater than 0-0")
    db, key = c.db, args[1]
    stream = db.typed(key, Stream)
    if stream is None:
        if options.only_existing:
            return NULL[c.resp]
        stream = db.values[key] = Stream()
    entry = _new_id(c, stream, options)
    fake.append(stream, entry, words, c.engine.limits)
    db.changed(key, b"xadd")
    if options.trims and options.trim(stream):
        db.changed(key, b"xtrim", 0)
    shown = stream_ids.show(entry)
    if c.engine.propagating:
        sent = options.exact_request(args, stream)
        if options.id is None or not options.number_given:
            sent[options.end] = shown
        c.rewrite(*sent)
    db.signal_ready(key)
    return bulk(shown)


def _new_id(c: Caller, stream: Stream, options: _Options) -> StreamId:
    """The id of a new entry.

    Raises:
        CommandError: the one asked for, or any other, would not be greater than all before.
    """
    last = fake.last_id(stream)
    if last == stream_ids.GREATEST:
        raise CommandError(_EXHAUSTED)
    if options.id is None:
        now = c.engine.now_ms()
        return (now, 0) if now > last[0] else stream_ids.following(last)
    entry = options.id
    if not options.number_given and entry[0] == last[0]:
        if last[1] == PART_MAX:
            raise CommandError(_NOT_GREATER)
        entry = stream_ids.following(last)
    if entry <= last:
        raise CommandError(_NOT_GREATER)
    return entry


@command("xtrim")
def xtrim(c: Caller, args: list[bytes]) -> Reply:
    """XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT count]."""
    options = _Options(c, args, adds=False)
    stream = c.db.typed(args[1], Stream)
    if stream is None:
        return ZERO
    trimmed = options.trim(stream)
    if trimmed:
        c.rewrite(*options.exact_request(args, stream))
        c.db.changed(args[1], b"xtrim", trimmed)
    return integer(trimmed)


class _Options:
    """What XADD and XTRIM say about trimming, and XADD about the id.

    Attributes:
        id: the id asked for; None for `*`.
        number_given: whether its number is; it is not in `ms-*`.
        end: where the id stands in the request.
    """

    def __init__(self, c: Caller, args: list[bytes], *, adds: bool) -> None:
        self.length: int | None = None
        self.least: StreamId | None = None
        self.only_existing = False
        self.id: StreamId | None = None
        self.number_given = True
        self._is_exact = True
        self._threshold_at = 0
        limit: int | None = None
        at = 2
        while at < len(args):
            word = args[at].lower()
            more = len(args) - at - 1
            if adds and word == b"*":
                break
            if word in {b"maxlen", b"minid"} and more:
                at = self._read_threshold(args, at, word)
            elif word == b"limit" and more:
                limit = parse_int(args[at + 1])
                if limit < 0:
                    raise CommandError("ERR The LIMIT argument must be >= 0.")
                at += 1
            elif adds and word == b"nomkstream":
                self.only_existing = True
            elif adds:
                self.id, self.number_given = stream_ids.parse_new(args[at])
                break
            else:
                raise syntax_error()
            at += 1
        self.end = at
        if limit and not self.trims:
            raise CommandError(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
            )
        if not adds and not self.trims:
            raise CommandError("ERR syntax error, XTRIM must be called with a trimming strategy")
        if c.engine.must_obey:
            limit = 0  # what a master has trimmed is given exactly
        elif limit is not None and self._is_exact:
            raise CommandError(
                "ERR syntax error, LIMIT cannot be used without the special ~ option"
            )
        self._limit = 0 if self._is_exact else limit
        if self._limit is None:
            wanted = NODES_PER_TRIM * c.engine.limits.stream_node_max_entries
            self._limit = min(wanted or LIMIT_WITHOUT_NODES, LIMIT_MAX)

    @property
    def trims(self) -> bool:
        """Whether there is anything about trimming."""
        return self.length is not None or self.least is not None

    def _read_threshold(self, args: list[bytes], at: int, word: bytes) -> int:
        """Read MAXLEN or MINID with what follows; return where the threshold stands."""
        if self.trims:
            raise CommandError(_BOTH_WAYS)
        at += 1
        self._is_exact = True
        if at + 1 < len(args) and args[at] in {b"~", b"="}:
            self._is_exact = args[at] == b"="
            at += 1
        self._threshold_at = at
        if word == b"minid":
            self.least = stream_ids.parse(args[at])
            return at
        self.length = parse_int(args[at])
        if self.length < 0:
            raise CommandError("ERR The MAXLEN argument must be >= 0.")
        return at

    def trim(self, stream: Stream) -> int:
        """Trim a stream; how many entries are gone."""
        assert self._limit is not None
        return fake.trim(stream, self.length, self.least, self._limit, exactly=self._is_exact)

    def exact_request(self, args: list[bytes], stream: Stream) -> list[bytes]:
        """The request, saying exactly what an approximate trimming has come to."""
        words = list(args)
        if not self._is_exact:
            words[self._threshold_at - 1] = b"="
            if self.length is not None:
                words[self._threshold_at] = b"%d" % len(stream)
            else:
                words[self._threshold_at] = stream_ids.show(fake.first_of_nodes(stream))
        return words


@command("xdel")
def xdel(c: Caller, args: list[bytes]) -> Reply:
    """XDEL key id [id ...]."""
    stream = c.db.typed(args[1], Stream)
    if stream is None:
        return ZERO
    wanted = [stream_ids.parse(text) for text in args[2:]]
    deleted = sum([fake.delete(stream, entry) for entry in wanted])
    if deleted:
        c.db.changed(args[1], b"xdel", deleted)
    return integer(deleted)


@command("xsetid")
def xsetid(c: Caller, args: list[bytes]) -> Reply:
    """XSETID key last-id [ENTRIESADDED entries] [MAXDELETEDID id]."""
    last = stream_ids.parse(args[2])
    added: int | None = None
    deleted = stream_ids.LEAST
    for at in range(3, len(args), 2):
        word = args[at].lower()
        if at + 1 == len(args) or word not in {b"entriesadded", b"maxdeletedid"}:
            raise syntax_error()
        if word == b"entriesadded":
            added = parse_int(args[at + 1])
            if added < 0:
                raise CommandError("ERR entries_added must be positive")
        else:
            deleted = stream_ids.parse(args[at + 1])
            if deleted > last:
                raise CommandError(
                    "ERR The ID specified in XSETID is smaller than the provided "
                    "max_deleted_entry_id"
                )
    stream = c.db.typed(args[1], Stream)
    if stream is None:
        raise CommandError(NO_SUCH_KEY)
    if len(stream) and last < fake.ids(stream)[-1]:
        raise CommandError(
            "ERR The ID specified in XSETID is smaller than the target stream top item"
        )
    if added is not None and added < len(stream):
        raise CommandError(
            "ERR The entries_added specified in XSETID is smaller than the target stream length"
        )
    fake.set_counters(stream, last, added, None if deleted == stream_ids.LEAST else deleted)
    c.db.announce(args[1], b"xsetid")
    return OK


# -- reading -------------------------------------------------------------------------------------


@command("xlen")
def xlen(c: Caller, args: list[bytes]) -> Reply:
    """XLEN key."""
    stream = c.db.typed_read(args[1], Stream)
    return integer(0 if stream is None else len(stream))


@command("xrange")
def xrange(c: Caller, args: list[bytes]) -> Reply:
    """XRANGE key start end [COUNT count]."""
    return _range(c, args, args[2], args[3], backwards=False)


@command("xrevrange")
def xrevrange(c: Caller, args: list[bytes]) -> Reply:
    """XREVRANGE key end start [COUNT count]."""
    return _range(c, args, args[3], args[2], backwards=True)


def _range(c: Caller, args: list[bytes], start: bytes, end: bytes, *, backwards: bool) -> bytes:
    first = stream_ids.parse_bound(start, is_end=False)
    last = stream_ids.parse_bound(end, is_end=True)
    count: int | None = None
    for at in range(4, len(args), 2):
        if args[at].lower() != b"count" or at + 1 == len(args):
            raise syntax_error()
        count = max(parse_int(args[at + 1]), 0)
    stream = c.db.typed_read(args[1], Stream)
    if stream is None:
        return EMPTY_ARRAY
    if count == 0:
        return NULL_ARRAY[c.resp]
    return encode(fake.entries(stream, first, last, count or 0, backwards=backwards))


# -- shared with the other modules on streams ------------------------------------------------------


def encode(entries: list[fake.Entry]) -> bytes:
    """Entries as a reply."""
    return array([encode_entry(entry) for entry in entries])


def encode_entry(entry: fake.Entry) -> bytes:
    """One entry: its id, and fields and values in turn."""
    return array([bulk(stream_ids.show(entry[0])), bulks(entry[1])])


def counters(stream: Stream) -> Counters:
    """What a stream knows of its entries."""
    return Counters(
        length=len(stream),
        added=fake.entries_added(stream),
        first_id=fake.first_id(stream),
        last_id=fake.last_id(stream),
        max_deleted_id=fake.max_deleted_id(stream),
    )
