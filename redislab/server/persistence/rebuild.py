"""The commands that make a value again: a base of the append-only file that is no snapshot.

Follows `rewriteAppendOnlyFileRio` and its kin in `src/aof.c` of Redis 7.0: collections come in
commands of at most 64 elements, a stream as its entries, its counters, and then its groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from redislab.engine import fake
from redislab.engine.groups import Group
from redislab.engine.stream_ids import StreamId, show
from redislab.engine.values import HashValue, ListValue, SetValue, SortedSetValue
from redislab.wire.resp import bulks

ITEMS_PER_COMMAND = 64

Words = Sequence[bytes]


def key_commands(key: bytes, value: Any, expires_ms: int | None) -> Iterator[bytes]:
    """The commands, encoded, that make a key with its value and its expiry.

    Args:
        key: the key.
        value: any of the values that a database holds.
        expires_ms: when it expires, in milliseconds since the epoch.
    """
    for words in _REBUILD[type(value)](key, value):
        yield bulks(words)
    if expires_ms is not None:
        yield bulks((b"PEXPIREAT", key, b"%d" % expires_ms))


def library_command(source: bytes) -> bytes:
    """The command that loads a library of functions."""
    return bulks((b"FUNCTION", b"LOAD", source))


def _string(key: bytes, value: bytes) -> Iterator[Words]:
    yield b"SET", key, bytes(value)


def _list(key: bytes, value: ListValue) -> Iterator[Words]:
    return _in_parts(b"RPUSH", key, value, 1)


def _set(key: bytes, value: SetValue) -> Iterator[Words]:
    return _in_parts(b"SADD", key, value, 1)


def _hash(key: bytes, value: HashValue) -> Iterator[Words]:
    return _in_parts(b"HMSET", key, (text for pair in value.items() for text in pair), 2)


def _sorted_set(key: bytes, value: SortedSetValue) -> Iterator[Words]:
    texts = (text for score, member in value.order for text in (b"%.17g" % score, member))
    return _in_parts(b"ZADD", key, texts, 2)


def _in_parts(command: bytes, key: bytes, texts: Iterable[bytes], each: int) -> Iterator[Words]:
    rest = iter(texts)
    while part := list(islice(rest, ITEMS_PER_COMMAND * each)):
        yield command, key, *part


def _stream(key: bytes, stream: fake.Stream) -> Iterator[Words]:
    entries = fake.entries(stream)
    for entry, words in entries:
        yield b"XADD", key, show(entry), *words
    if not entries:
        yield b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"
    yield (
        *(b"XSETID", key, show(fake.last_id(stream))),
        *(b"ENTRIESADDED", b"%d" % fake.entries_added(stream)),
        *(b"MAXDELETEDID", show(fake.max_deleted_id(stream))),
    )
    for name, group in sorted(fake.groups(stream).items()):
        yield from _group(key, name, group)


def _group(key: bytes, name: bytes, group: Group) -> Iterator[Words]:
    read = -1 if group.entries_read is None else group.entries_read
    yield b"XGROUP", b"CREATE", key, name, show(group.last_id), b"ENTRIESREAD", b"%d" % read
    for consumer in sorted(group.consumers):
        pending: dict[StreamId, Any] = group.consumers[consumer].pending
        if not pending:
            yield b"XGROUP", b"CREATECONSUMER", key, name, consumer
        for entry, held in pending.items():
            yield (
                *(b"XCLAIM", key, name, consumer, b"0", show(entry)),
                *(b"TIME", b"%d" % held.delivered_ms, b"RETRYCOUNT", b"%d" % held.times),
                *(b"JUSTID", b"FORCE"),
            )


_REBUILD: dict[type, Callable[[bytes, Any], Iterator[Words]]] = {
    bytes: _string,
    bytearray: _string,
    ListValue: _list,
    SetValue: _set,
    HashValue: _hash,
    SortedSetValue: _sorted_set,
    fake.Stream: _stream,
}
