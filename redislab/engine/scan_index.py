"""The keys of a dictionary in an order that lasts, for SCAN, and for drawing one at random.

A dictionary of Python can be walked from its beginning only. An `Index` holds its keys in buckets,
by a checksum: a cursor is the checksum to go on from, which means the same whatever else has
changed, and a key drawn from a random bucket takes no longer where there are many.

An index costs time to make, and memory, so there are few: they are a cache, kept by `index_of`. One
is brought up to date from what Python and the engine know anyway: new keys stand at the end of a
dictionary, and there cannot be more of them than changes were counted since. What has gone is found
out when it is met.
"""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import Any
from zlib import crc32

from redislab.engine.keyspace import Engine

INDEXES_KEPT = 16
LARGE = 1024  # keys: to draw one of fewer, a list of them is made
KEYS_PER_BUCKET = 4
LOOKS_PER_KEY = 10  # at so many buckets a step looks for each key it is to find
_CHECKSUM_BITS = 32

Keys = dict[bytes, Any]


def index_of(engine: Engine, keys: Keys, *, fresh: bool) -> Index:
    """The index of a dictionary's keys.

    Args:
        engine: whose data it is.
        keys: the dictionary.
        fresh: whether the index has to know every key that is there now.
    """
    indexes: dict[int, Index] = engine.scan_indexes
    index = indexes.pop(id(keys), None)
    changes = engine.dirty + engine.saved_changes
    if index is None or index.keys is not keys:
        index = Index(keys, changes)
    elif fresh:
        index.refresh(changes)
    # The dictionary lives as long as its index, so there is no other one with this identity.
    indexes[id(keys)] = index
    if len(indexes) > INDEXES_KEPT:
        del indexes[next(iter(indexes))]
    return index


def draw(engine: Engine, keys: Keys, count: int) -> list[bytes]:
    """Some keys at random, each of which may come more than once; there is at least one key."""
    random = engine.random
    if len(keys) < LARGE:
        names = list(keys)
        return [names[int(random.random() * len(names))] for _ in range(count)]
    index = index_of(engine, keys, fresh=True)
    return [index.draw(random) for _ in range(count)]


def draw_distinct(engine: Engine, keys: Keys, count: int) -> list[bytes]:
    """As many different keys at random, all of them if there are not more."""
    if count >= len(keys):
        return list(keys)
    if len(keys) < LARGE or count > len(keys) // 3:
        return engine.random.sample(list(keys), count)
    index = index_of(engine, keys, fresh=True)
    drawn: dict[bytes, None] = {}
    while len(drawn) < count:
        drawn[index.draw(engine.random)] = None
    return list(drawn)


class Index:
    """The keys of one dictionary in buckets.

    Args:
        keys: the dictionary.
        changes: how many changes the engine has counted so far.
    """

    def __init__(self, keys: Keys, changes: int) -> None:
        self.keys = keys
        self._build(changes)

    def _build(self, changes: int) -> None:
        """Make the buckets anew; there are as many as suit the number of keys."""
        self._changes, self._count = changes, len(self.keys)
        bits = (len(self.keys) // KEYS_PER_BUCKET).bit_length()
        self._shift = shift = _CHECKSUM_BITS - bits
        self._buckets: list[list[bytes]] = [[] for _ in range(1 << bits)]
        buckets = self._buckets
        for key in self.keys:
            buckets[crc32(key) >> shift].append(key)
        self._longest = max(map(len, buckets))

    def refresh(self, changes: int) -> None:
        """Take over the keys that have come since."""
        new, count = changes - self._changes, len(self.keys)
        is_unexplained = count - self._count > new  # somebody has filled it without counting
        is_crowded = count > 4 * KEYS_PER_BUCKET * len(self._buckets)
        is_sparse = len(self._buckets) > max(2 * count, 1)
        if new > count // 2 or is_unexplained or is_crowded or is_sparse:
            self._build(changes)
            return
        self._changes, self._count = changes, count
        for key in islice(reversed(self.keys), new):
            bucket = self._buckets[crc32(key) >> self._shift]
            if key not in bucket:
                bucket.append(key)
                self._longest = max(self._longest, len(bucket))

    def step(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """The next keys from a cursor on, and the cursor after them, 0 at the end.

        Keys with equal checksums are never parted, so it can be a few more than asked for. Where
        many have gone it can be fewer, for only so many buckets are looked at.
        """
        found: list[bytes] = []
        first = cursor >> self._shift
        last = min(first + count * LOOKS_PER_KEY, len(self._buckets))
        for place in range(first, last):
            for key in self._sorted(place):
                checksum = crc32(key)
                if checksum < cursor:
                    continue
                if len(found) >= count and checksum != crc32(found[-1]):
                    return checksum, found
                found.append(key)
        return (last << self._shift if last < len(self._buckets) else 0), found

    def _sorted(self, place: int) -> list[bytes]:
        """The keys of a bucket by their checksum, without those that are gone."""
        bucket = [key for key in self._buckets[place] if key in self.keys]
        bucket.sort(key=_order)
        self._buckets[place] = bucket
        return bucket

    def draw(self, random: Random) -> bytes:
        """A key at random, each as likely as any other; there is at least one."""
        buckets = self._buckets
        while True:
            bucket = buckets[int(random.random() * len(buckets))]
            place = int(random.random() * self._longest)
            if place >= len(bucket):
                continue
            if bucket[place] in self.keys:
                return bucket[place]
            del bucket[place]


def _order(key: bytes) -> tuple[int, bytes]:
    return crc32(key), key
