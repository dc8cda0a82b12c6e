"""MEMORY USAGE, and an estimate of the memory that a keyspace takes.

The figures are those Redis 7.0 would show for the same data on a 64-bit machine with jemalloc: its
structures (`objectComputeSize` in `src/object.c`) and the size classes in which jemalloc hands out
memory. What Python takes for them is the business of the process figures of INFO.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice
from math import ceil
from typing import Any

from redislab.engine.arguments import parse_int
from redislab.engine.errors import syntax_error
from redislab.engine.keyspace import Engine, Keyspace
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import (
    HashValue,
    ListValue,
    SetValue,
    SortedSetValue,
    encoding_of,
    is_integer,
)
from redislab.wire.resp import NULL, integer

DEFAULT_SAMPLES = 5
KEYS_SAMPLED = 200

_OBJECT = 16  # redisObject
_ENTRY = 24  # dictEntry
_DICT = 56
_POINTER = 8
_QUICKLIST, _QUICKLIST_NODE = 40, 40
_NODE_BYTES = 8192  # list-max-listpack-size -2
_ZSET, _SKIPLIST, _SKIPLIST_HEADER = 16, 32, 640
_SKIPLIST_NODE = 24 + 16 * 4 / 3  # a node has 4/3 levels on average
_LISTPACK = 7
_PACKED_INTEGERS = ((13, 3), (16, 4), (24, 5), (32, 6))  # bits at most, bytes
_INTSET = 8
_STREAM, _STREAM_NODE, _STREAM_NODE_ENTRIES = 632, 4096, 100


@command("memory|usage")
def memory_usage(c: Caller, args: list[bytes]) -> Reply:
    """MEMORY USAGE key [SAMPLES count]: bytes for a key and its value, 0 samples for all."""
    samples = DEFAULT_SAMPLES
    words = iter(args[3:])
    for word in words:
        value = next(words, None)
        if word.lower() != b"samples" or value is None:
            raise syntax_error()
        samples = parse_int(value)
        if samples < 0:
            raise syntax_error()
    held = c.db.values.get(args[2])
    if held is None:
        return NULL[c.resp]
    return integer(key_bytes(args[2], held, samples))


class MemoryMeter:
    """Estimates the memory of all databases of an engine from some of their keys.

    `measure` looks at `KEYS_SAMPLED` keys of each database, evenly spread and others each time, and
    at nothing at all while no data has changed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._calls = 0
        self._seen: tuple[int, int] | None = None
        self._last = 0

    def measure(self) -> int:
        """Bytes that Redis would use for the data, its keys and its tables."""
        state = (self._engine.dirty, sum(len(each) for each in self._engine.databases))
        if state != self._seen:
            self._seen = state
            self._calls += 1
            self._last = sum(self._database(each) for each in self._engine.databases)
        return self._last

    def _database(self, database: Keyspace) -> int:
        count = len(database)
        if not count:
            return 0
        step = max(count // KEYS_SAMPLED, 1)
        sample = islice(database.values.items(), self._calls % step, None, step)
        sizes = [key_bytes(key, value) for key, value in sample]
        total = sum(sizes) * count // len(sizes)
        expiring = len(database.expires)
        return total + _table(count) + (_table(expiring) + _ENTRY * expiring if expiring else 0)


def key_bytes(key: bytes, value: Any, samples: int = DEFAULT_SAMPLES) -> int:
    """Bytes for a key, its value and its place in the table, as MEMORY USAGE counts them.

    Args:
        key: the key.
        value: the value it holds.
        samples: how many elements of a collection to look at; 0 for all of them.
    """
    return _string(key) + _ENTRY + _value(value, samples)


def allocated(size: int) -> int:
    """What jemalloc takes from memory for a request of a size."""
    if size <= 8:
        return 8
    step = 16 if size <= 128 else 1 << ((size - 1).bit_length() - 3)
    return -(-size // step) * step


# -- values -------------------------------------------------------------------------------------


def _value(value: Any, samples: int) -> int:
    kind = type(value)
    if kind is bytes or kind is bytearray:
        return _string_object(value)
    if kind is ListValue:
        return _OBJECT + _QUICKLIST + _list(value, samples)
    if kind is HashValue:
        return _OBJECT + _hash(value, samples)
    if kind is SetValue:
        return _OBJECT + _set(value, samples)
    if kind is SortedSetValue:
        return _OBJECT + _sorted_set(value, samples)
    return _OBJECT + _STREAM + _STREAM_NODE * max(ceil(len(value) / _STREAM_NODE_ENTRIES), 1)


def _string_object(value: bytes | bytearray) -> int:
    encoding = encoding_of(value)
    if encoding == b"int":
        return _OBJECT
    if encoding == b"embstr":
        return allocated(_OBJECT + 3 + len(value) + 1)
    return _OBJECT + _string(value)


def _list(value: ListValue, samples: int) -> int:
    # Redis looks at whole nodes, each of which holds many elements.
    inside = _average(map(_packed, value), value, samples * 32) * len(value)
    full, rest = divmod(int(inside), _NODE_BYTES)
    last = _QUICKLIST_NODE + allocated(_LISTPACK + rest)
    return full * (_QUICKLIST_NODE + _NODE_BYTES) + last


def _hash(value: HashValue, samples: int) -> int:
    if value.packed:
        return allocated(_LISTPACK + sum(_packed(k) + _packed(v) for k, v in value.items()))
    each = (_ENTRY + _string(k) + _string(v) for k, v in value.items())
    return _DICT + _table(len(value)) + int(_average(each, value, samples) * len(value))


def _set(value: SetValue, samples: int) -> int:
    if value.integers:
        widest = max((abs(int(member)) for member in value), default=0).bit_length() + 1
        width = 2 if widest <= 16 else 4 if widest <= 32 else 8
        return allocated(_INTSET + width * len(value))
    each = (_ENTRY + _string(member) for member in value)
    return _DICT + _table(len(value)) + int(_average(each, value.places, samples) * len(value))


def _sorted_set(value: SortedSetValue, samples: int) -> int:
    if value.packed:
        inside = sum(_packed(k) + _packed(b"%.17g" % v) for k, v in value.scores.items())
        return allocated(_LISTPACK + inside)
    each = (_ENTRY + _SKIPLIST_NODE + _string(member) for member in value.scores)
    fixed = _ZSET + _SKIPLIST + _SKIPLIST_HEADER + _DICT + _table(len(value))
    return fixed + int(_average(each, value.scores, samples) * len(value))


# -- parts --------------------------------------------------------------------------------------


def _average(sizes: Iterable[float], whole: Collection[object], samples: int) -> float:
    """The average of the first sizes: as many as there are samples, all of them for 0."""
    looked_at = min(samples or len(whole), len(whole))
    return sum(islice(sizes, looked_at)) / max(looked_at, 1)


def _string(text: bytes | bytearray) -> int:
    """A string of its own (sds): a header that grows with the length, and a zero byte."""
    length = len(text)
    header = 1 if length < 32 else 3 if length < 256 else 5 if length < 65536 else 9
    return allocated(header + length + 1)


def _packed(text: bytes | bytearray) -> int:
    """An element of a listpack: its encoding, its bytes, and its length once more."""
    if is_integer(text):
        number = int(text)
        if 0 <= number < 128:
            return 2
        bits = abs(number).bit_length() + 1
        return next((size for most, size in _PACKED_INTEGERS if bits <= most), 10)
    length = len(text)
    return length + (2 if length < 64 else 4 if length < 4096 else 8)


def _table(entries: int) -> int:
    """The buckets of a hash table."""
    return _POINTER * max(4, 1 << (entries - 1).bit_length()) if entries else 0
