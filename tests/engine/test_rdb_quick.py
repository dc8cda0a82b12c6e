"""The quick way to read keys says what the careful one says, or leaves them to it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from sortedcontainers import SortedList

from redislab.engine.keyspace import Engine, Keyspace
from redislab.engine.rdbload import RdbLoader
from redislab.engine.rdbquick import parsers
from redislab.engine.rdbvalues import decode
from redislab.engine.values import EncodingLimits, HashValue, ListValue, SetValue, SortedSetValue
from redislab.wire.rdb.faults import RdbError
from redislab.wire.rdb.feed import Short
from redislab.wire.rdb.objects import WHOLE
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.packed import COUNT_UNKNOWN, LISTPACK_HEADER
from redislab.wire.rdb.packing import element, listpack_of
from redislab.wire.rdb.strings import length, string
from redislab.wire.rdb.writer import key_head
from tests.engine.callers import START_MS
from tests.wire.rdb.handmade import blob, file_of, intset, key_of

LIMITS = EncodingLimits(
    hash_max_listpack_entries=6, set_max_intset_entries=6, zset_max_listpack_entries=6
)


def described(value: Any) -> object:
    """A value with all that is remembered of it, and the order of its elements."""
    kind = type(value)
    if kind is SetValue:
        return value.members, list(value.places.items()), value.integers
    if kind is SortedSetValue:
        return repr(list(value.scores.items())), repr(list(value.order)), value.packed
    if kind is HashValue:
        return list(value.items()), value.packed
    assert kind is ListValue
    return list(value)


def text(random: Random) -> bytes:
    """What may stand in a value: digits of all sizes, numbers, strings of all lengths."""
    match random.randrange(6):
        case 0:
            return b"%d" % random.randrange(130)
        case 1:
            return b"%d" % (random.choice((1, -1)) * (1 << random.randrange(64)))
        case 2:
            return repr(random.randrange(-1000, 1000) / 8).encode()
        case 3:
            return random.choice((b"-0", b"inf", b"-inf", b"nan", b"1e5", b"0.1x", b""))
        case _:
            return random.randbytes(random.choice((1, 3, 20, 62, 63, 64, 130, 5000)))


def listpack(random: Random, words: list[bytes]) -> bytes:
    blob = listpack_of([*map(element, words)])
    if random.random() < 0.9:
        return blob
    return LISTPACK_HEADER.pack(len(blob), COUNT_UNKNOWN) + blob[LISTPACK_HEADER.size :]


def body(kind: int, random: Random) -> bytes:
    """A value of a type, mostly in order."""
    size = random.randrange(9)
    words = [text(random) for _ in range(size)]
    if kind == Type.SET:
        return length(size) + b"".join(map(string, words))
    if kind == Type.SET_INTSET:
        numbers = sorted(random.randrange(1 << random.randrange(9, 62)) for _ in range(size + 1))
        return blob(intset(*numbers))
    if kind == Type.LIST_QUICKLIST_2:
        nodes = [
            b"\2" + blob(listpack(random, [text(random) for _ in range(3)]))
            if random.random() < 0.8
            else b"\1" + blob(text(random))
            for _ in range(size % 4)
        ]
        return length(len(nodes)) + b"".join(nodes)
    names = [b"m%d" % number for number in range(size)]
    second = [b"%d" % random.randrange(300) for _ in words] if random.random() < 0.5 else words
    pairs = [word for pair in zip(names, second, strict=True) for word in pair]
    return blob(listpack(random, pairs if random.random() < 0.9 else pairs[1:]))


@pytest.mark.parametrize(
    "kind",
    [Type.SET, Type.SET_INTSET, Type.HASH_LISTPACK, Type.ZSET_LISTPACK, Type.LIST_QUICKLIST_2],
)
def test_values_are_those_of_the_careful_way(kind):
    random = Random(kind)
    quick = parsers(LIMITS)[kind]
    taken = left = 0
    for _ in range(4000):
        data = bytearray(body(kind, random))
        if random.random() < 0.4:
            data[random.randrange(len(data))] = random.choice((0, 1, 2, 0x80, 255, 77))
        if random.random() < 0.1:
            del data[random.randrange(len(data)) :]
        given = bytes(random.randbytes(2) + data)
        try:
            value, end = quick(given, 2)
        except (Short, IndexError, RdbError):
            end = len(given) + 1
        if end > len(given):
            left += 1
            continue
        careful, careful_end = WHOLE[kind](given, 2)
        assert end == careful_end
        assert described(value) == described(decode(kind, careful, LIMITS)), given
        taken += 1
    assert taken > 500
    assert left > 100


def test_a_sorted_set_is_put_in_order_before_it_is_changed():
    words = (b"b", b"2", b"a", b"1", b"c", b"1.5")
    data = blob(listpack(Random(1), list(words)))

    def loaded() -> SortedSetValue:
        value = parsers(EncodingLimits())[Type.ZSET_LISTPACK](data, 0)[0]
        assert isinstance(value, SortedSetValue)
        return value

    pairs = [(1.0, b"a"), (1.5, b"c"), (2.0, b"b")]
    for change, after in (
        (lambda value: value.put(b"d", 0.5, LIMITS), [(0.5, b"d"), *pairs]),
        (lambda value: value.put(b"a", 9.0, LIMITS), [*pairs[1:], (9.0, b"a")]),
        (lambda value: value.discard(b"a"), pairs[1:]),
        (lambda value: value.discard(b"none"), pairs),
        (lambda value: value.copy(), pairs),
    ):
        value = loaded()
        change(value)
        assert value.order == SortedList(after)
        assert dict(map(reversed, after)) == value.scores
    with pytest.raises(AttributeError):
        _ = loaded().ordre  # type: ignore[attr-defined]


def fresh() -> Engine:
    return Engine(16, lambda: START_MS, Random(0))


def feed(loader: RdbLoader, data: bytes, piece: int) -> None:
    for start in range(0, len(data), piece):
        loader.feed(data[start : start + piece])


@pytest.mark.parametrize("piece", [1 << 16, 40])
def test_expired_keys_are_left_out_and_told(piece):
    told: list[tuple[int, bytes]] = []

    def on_expired(database: Keyspace, key: bytes) -> None:
        told.append((database.index, key))

    keys = [
        key_head(Type.STRING, b"k%d" % number, START_MS + offset, None, None) + string(b"v")
        for number, offset in enumerate((-1, 0, -5, 7))
    ]
    data = file_of(*keys, key_of(Type.STRING, string(b"x"), b"stays"))
    loader = RdbLoader(fresh(), keep_expired=False, on_expired=on_expired)
    feed(loader, data, piece)
    database = loader.engine.databases[0]
    assert told == [(0, b"k0"), (0, b"k2")]
    assert database.values == {b"k1": b"v", b"k3": b"v", b"stays": b"x"}
    assert database.expires == {b"k1": START_MS, b"k3": START_MS + 7}
    assert (loader.loaded, loader.expired) == (3, 2)
    assert (loader.reader.progress.keys, loader.reader.progress.expiring) == (5, 4)


def test_a_key_twice_is_found_where_it_stands():
    first = [key_of(Type.STRING, string(b"%d" % n), b"key%d" % n) for n in range(50)]
    for again in (0, 49):
        data = file_of(*first, key_of(Type.STRING, b"\1x", b"key%d" % again), first[0])
        for piece in (1 << 16, 100):
            loader = RdbLoader(fresh(), keep_expired=True)
            with pytest.raises(RdbError) as caught:
                feed(loader, data, piece)
            assert caught.value.reason == f"RDB has duplicated key 'key{again}' in DB 0"
            assert caught.value.offset == data.index(b"\1x") + 2
            assert len(loader.engine.databases[0].values) == 50
