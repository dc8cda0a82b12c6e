"""Streams: XADD, XRANGE, XREAD, XREADGROUP (`src/t_stream.c` of Redis 7.0).

Consumer groups are looked after in `stream_groups.py`, XINFO stands in `stream_info.py`. The value
type and the bookkeeping of groups are fakeredis' (see `fake.py`). Here stands what makes them
commands of a server: the checks that Redis makes and fakeredis does not, waiting for new entries,
keyspace events, and what is sent on to replicas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from redislab.engine import fake
from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.fake import Stream
from redislab.engine.table import Block, Caller, Reply, command
from redislab.wire.resp import EMPTY_ARRAY, NULL_ARRAY, OK, array, bulk, integer, map_

BLOCKED_COUNT_DEFAULT = 1000  # entries that a client gets at once after it had to wait
TIMEOUT_INVALID = "ERR timeout is not an integer or out of range"
TIMEOUT_NEGATIVE = "ERR timeout is negative"
INVALID_ID = "ERR Invalid stream ID specified as stream command argument"


@command("xadd")
def xadd(c: Caller, args: list[bytes]) -> Reply:
    """XADD key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]] *|id field value ..."""
    key = args[1]
    before = c.db.typed(key, Stream)
    length = 0 if before is None else len(before)
    added = fake.call(c, "xadd", args[1:])
    if added is None:
        return fake.encode(None, c.resp)
    c.db.changed(key, b"xadd")
    if len(c.db.values[key]) <= length:
        c.db.changed(key, b"xtrim", 0)
    c.rewrite(*_with_generated_id(args, added))
    c.db.signal_ready(key)
    return bulk(added)


def _with_generated_id(args: list[bytes], added: bytes) -> list[bytes]:
    """The request with the id that was generated, and exact where it trimmed approximately."""
    words = list(args)
    position = 2
    while position < len(words):
        word = words[position].upper()
        if word == b"NOMKSTREAM":
            position += 1
        elif word in {b"MAXLEN", b"MINID", b"LIMIT"}:
            exact = words[position + 1] in {b"=", b"~"}
            position += 3 if exact else 2
        else:
            break
    words[position] = added
    return words


@command("xlen")
def xlen(c: Caller, args: list[bytes]) -> Reply:
    """XLEN key."""
    stream = c.db.typed_read(args[1], Stream)
    return integer(0 if stream is None else len(stream))


@command("xrange", "xrevrange")
def xrange(c: Caller, args: list[bytes]) -> Reply:
    """XRANGE key start end [COUNT count], and the same backwards."""
    backwards = args[0].lower() == b"xrevrange"
    fake.parse_bound(args[3 if backwards else 2], is_end=False)
    fake.parse_bound(args[2 if backwards else 3], is_end=True)
    count = _range_count(args)
    if c.db.typed_read(args[1], Stream) is None:
        return EMPTY_ARRAY
    reply = fake.call(c, args[0].decode().lower(), args[1:4] + _count_words(count))
    return NULL_ARRAY[c.resp] if count == 0 else fake.encode_entries(reply, c.resp)


def _range_count(args: list[bytes]) -> int | None:
    if len(args) == 4:
        return None
    count = None
    position = 4
    while position < len(args):
        if args[position].upper() != b"COUNT" or position + 1 >= len(args):
            raise syntax_error()
        count = max(parse_int(args[position + 1]), 0)
        position += 2
    return count


def _count_words(count: int | None) -> list[bytes]:
    return [] if count is None else [b"COUNT", b"%d" % count]


@command("xdel")
def xdel(c: Caller, args: list[bytes]) -> Reply:
    """XDEL key id [id ...]."""
    if c.db.typed(args[1], Stream) is None:
        return integer(0)
    deleted = fake.call(c, "xdel", args[1:])
    if deleted:
        c.db.changed(args[1], b"xdel", deleted)
    return integer(deleted)


@command("xtrim")
def xtrim(c: Caller, args: list[bytes]) -> Reply:
    """XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT count]."""
    c.db.typed(args[1], Stream)
    trimmed = fake.call(c, "xtrim", args[1:])
    if trimmed:
        c.db.changed(args[1], b"xtrim", trimmed)
    return integer(trimmed)


@command("xsetid")
def xsetid(c: Caller, args: list[bytes]) -> Reply:
    """XSETID key last-id [ENTRIESADDED entries] [MAXDELETEDID id]."""
    options = {b"ENTRIESADDED": b"", b"MAXDELETEDID": b""}
    last_id = fake.parse_id(args[2])
    for position in range(3, len(args), 2):
        word = args[position].upper()
        if word not in options or position + 1 >= len(args):
            raise syntax_error()
        options[word] = args[position + 1]
    entries = -1
    if options[b"ENTRIESADDED"]:
        entries = parse_int(options[b"ENTRIESADDED"])
        if entries < 0:
            message = "ERR entries_added must be positive"
            raise CommandError(message)
    deleted = fake.parse_id(options[b"MAXDELETEDID"]) if options[b"MAXDELETEDID"] else None
    if deleted is not None and deleted > last_id:
        message = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
        raise CommandError(message)
    stream = c.db.typed(args[1], Stream)
    if stream is None:
        message = "ERR no such key"
        raise CommandError(message)
    fake.set_last_id(stream, last_id, entries, deleted)
    c.db.changed(args[1], b"xsetid")
    return OK


# -- reading, and waiting for more --------------------------------------------------------------


@dataclass(frozen=True)
class _Read:
    """An XREAD or XREADGROUP, taken apart."""

    keys: tuple[bytes, ...]
    ids: tuple[bytes, ...]
    count: int
    timeout_ms: int | None
    group: bytes | None = None
    consumer: bytes = b""
    noack: bool = False


@command("xread", "xreadgroup")
def xread(c: Caller, args: list[bytes]) -> Reply:
    """XREAD [COUNT n] [BLOCK ms] STREAMS key ... id ..., and with GROUP group consumer [NOACK]."""
    read = _parse_read(args)
    read = replace(read, ids=tuple(_resolve(c, read, i) for i in range(len(read.keys))))
    c.rewrite_nothing()
    reply = _serve(c, read, read.keys)
    if reply is not None:
        return reply
    if read.timeout_ms is None or c.deny_blocking:
        return NULL_ARRAY[c.resp]
    waiting = replace(read, count=read.count or BLOCKED_COUNT_DEFAULT)
    return Block(
        keys=read.keys,
        timeout_s=read.timeout_ms / 1000,
        serve=lambda client, key: _serve_waiting(client, waiting, key),
        on_timeout=NULL_ARRAY[c.resp],
        unblocked_by_deletion=read.group is not None,
    )


def _parse_read(args: list[bytes]) -> _Read:
    name = args[0].lower()
    grouped = name == b"xreadgroup"
    read = _Read((), (), 0, None)
    position = 1
    while position < len(args):
        word = args[position].upper()
        more = len(args) - position - 1
        if word == b"BLOCK" and more:
            read = replace(read, timeout_ms=parse_int(args[position + 1], TIMEOUT_INVALID))
            if (read.timeout_ms or 0) < 0:
                raise CommandError(TIMEOUT_NEGATIVE)
            position += 2
        elif word == b"COUNT" and more:
            read = replace(read, count=max(parse_int(args[position + 1]), 0))
            position += 2
        elif word == b"STREAMS" and more:
            names = args[position + 1 :]
            if len(names) % 2:
                message = (
                    "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' "
                    "must be specified."
                )
                raise CommandError(message)
            half = len(names) // 2
            read = replace(read, keys=tuple(names[:half]), ids=tuple(names[half:]))
            break
        elif word == b"GROUP" and more >= 2:
            _only_for_groups(grouped, "GROUP")
            read = replace(read, group=args[position + 1], consumer=args[position + 2])
            position += 3
        elif word == b"NOACK":
            _only_for_groups(grouped, "NOACK")
            read = replace(read, noack=True)
            position += 1
        else:
            raise syntax_error()
    if not read.keys:
        raise syntax_error()
    if grouped and read.group is None:
        message = "ERR Missing GROUP option for XREADGROUP"
        raise CommandError(message)
    return read


def _only_for_groups(grouped: bool, option: str) -> None:
    if not grouped:
        message = (
            f"ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
        )
        raise CommandError(message)


def _resolve(c: Caller, read: _Read, index: int) -> bytes:
    """The id to read after: `$` stands for the last one now."""
    key, text = read.keys[index], read.ids[index]
    stream = c.db.typed_read(key, Stream)
    if read.group is not None and (stream is None or stream.group_get(read.group) is None):
        raise CommandError(_no_group(key, read.group))
    if text == b"$":
        if read.group is not None:
            message = (
                "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the "
                "history of this consumer by specifying a proper ID, or use the > ID to get new "
                "messages. The $ ID would just return an empty result set."
            )
            raise CommandError(message)
        return b"0-0" if stream is None else fake.last_id(stream)
    if text == b">":
        if read.group is None:
            message = (
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP "
                "<group> <consumer> option."
            )
            raise CommandError(message)
        return text
    fake.parse_id(text)
    return text


def _no_group(key: bytes, group: bytes) -> str:
    return (
        f"NOGROUP No such key '{key.decode('utf-8', 'surrogateescape')}' or consumer group "
        f"'{group.decode('utf-8', 'surrogateescape')}' in XREADGROUP with GROUP option"
    )


def _serve(c: Caller, read: _Read, keys: tuple[bytes, ...]) -> bytes | None:
    """The entries there are for these keys, or None if there are none."""
    found: dict[bytes, list[list[Any]]] = {}
    for key, after in zip(read.keys, read.ids, strict=True):
        if key not in keys or c.db.lookup(key) is None:
            continue
        words = [*_count_words(read.count or None), b"STREAMS", key, after]
        if read.group is None:
            entries = fake.call(c, "xread", words)
        else:
            grouping = [b"GROUP", read.group, read.consumer]
            noack = [b"NOACK"] if read.noack else []
            member = fake.Member(key, read.group, read.consumer)
            entries = fake.call_as(c, member, "xreadgroup", grouping + noack + words)
        if not entries:
            continue
        found[key] = entries[key]
        if read.group is not None:
            c.engine.dirty += 1
            _send_on_reading(c, read, key, entries[key] if after == b">" else [])
    if not found:
        return None
    if c.resp == 3:
        pairs = [part for key in found for part in (bulk(key), fake.encode_entries(found[key], 3))]
        return map_(pairs, 3)
    return array([array([bulk(key), fake.encode_entries(found[key], 2)]) for key in found])


def _send_on_reading(c: Caller, read: _Read, key: bytes, entries: list[list[Any]]) -> None:
    """What replicas get of a group's reading: the entries claimed, or the group's new place."""
    if not c.engine.propagating or read.group is None:
        return
    group = c.db.values[key].group_get(read.group)
    last = fake.group_last_id(group)
    if read.noack:
        c.rewrite(b"XGROUP", b"SETID", key, read.group, last)
        return
    now = b"%d" % c.engine.now_ms()
    for entry in entries:
        entry_id = entry[0]
        claim = [b"XCLAIM", key, read.group, read.consumer, b"0", entry_id, b"TIME", now]
        c.rewrite(*claim, b"RETRYCOUNT", b"1", b"FORCE", b"JUSTID", b"LASTID", last)


def _serve_waiting(c: Caller, read: _Read, key: bytes) -> bytes | None:
    """Serve a client that waited: its stream has entries, or its group is gone."""
    value = c.db.lookup(key)
    if read.group is None:
        return _serve(c, read, (key,)) if type(value) is Stream else None
    if type(value) is not Stream:
        message = "UNBLOCKED the stream key no longer exists"
        raise CommandError(message)
    if value.group_get(read.group) is None:
        message = "NOGROUP the consumer group this client was blocked on no longer exists"
        raise CommandError(message)
    return _serve(c, read, (key,))
