"""What the loader of files does besides: facts, faults, and Python's collector."""

import gc
from random import Random

import pytest

from redislab.engine.keyspace import Engine
from redislab.engine.rdbload import RdbLoader
from redislab.engine.rdbsave import rdb_chunks
from redislab.wire.rdb.faults import RdbError
from tests.engine.callers import START_MS, TestCaller
from tests.wire.rdb.handmade import file_of, key_of


def fresh() -> Engine:
    return Engine(16, lambda: START_MS, Random(0))


def saved(facts: dict[str, object] | None = None) -> bytes:
    caller = TestCaller()
    caller("set", "k", "v")
    caller("rpush", "l", "a")
    return b"".join(rdb_chunks(caller.engine, facts or {}))


def test_facts_of_replication():
    name = "ab" * 20
    facts = {"repl-stream-db": 3, "repl-id": name, "repl-offset": 12345}
    loader = RdbLoader(fresh(), keep_expired=True)
    assert (loader.stream_database, loader.replication) == (0, None)
    loader.feed(saved(facts))
    assert (loader.stream_database, loader.replication) == (3, (name, 12345))


def test_a_key_twice():
    data = file_of(key_of(0, b"\1a"), key_of(0, b"\1b"))
    with pytest.raises(RdbError) as caught:
        RdbLoader(fresh(), keep_expired=True).feed(data)
    assert caught.value.reason == "RDB has duplicated key 'k' in DB 0"
    engine = fresh()
    RdbLoader(engine, keep_expired=True, replace=True).feed(data)
    assert engine.databases[0].values == {b"k": b"b"}


def test_keys_join_those_that_are_there():
    engine = fresh()
    engine.databases[0].values[b"old"] = b"x"
    RdbLoader(engine, keep_expired=True).feed(saved())
    assert list(engine.databases[0].values) == [b"old", b"k", b"l"]


def test_nobody_is_told():
    caller = TestCaller()
    told: list[bytes] = []
    caller.db.tell_new(lambda _database, key: told.append(key))
    caller.db.awaited[b"l"] = 1
    loader = RdbLoader(caller.engine, keep_expired=True)
    loader.feed(saved())
    assert (loader.loaded, caller.events, told) == (2, [], [])
    assert not caller.engine.ready
    assert caller.engine.dirty == 0


def test_empty_keys_are_counted_and_told():
    empty: list[bytes] = []
    loader = RdbLoader(fresh(), keep_expired=True, on_empty=empty.append)
    loader.feed(file_of(key_of(1, b"\0", b"none"), key_of(0, b"\1a", b"one")))
    assert (loader.loaded, loader.empty_keys, empty) == (1, 1, [b"none"])


def test_a_library_that_does_not_load():
    loader = RdbLoader(fresh(), keep_expired=True, on_library=lambda _source: "no such engine")
    with pytest.raises(RdbError) as caught:
        loader.feed(file_of(b"\xf5\1x"))
    assert caught.value.before.startswith("Failed loading library, no such engine\n")


def test_the_collector_rests_while_a_file_is_loaded():
    data = saved()
    assert gc.isenabled()
    whole, cut, damaged = (RdbLoader(fresh(), keep_expired=True) for _ in range(3))
    whole.feed(data[:30])
    assert not gc.isenabled()
    cut.feed(data[:20])
    whole.feed(data[30:])
    assert not gc.isenabled()
    with pytest.raises(RdbError):
        damaged.feed(b"RUBBISH!!!")
    assert not gc.isenabled()
    with pytest.raises(RdbError):
        cut.finish()
    assert gc.isenabled()
    forgotten = RdbLoader(fresh(), keep_expired=True)
    forgotten.feed(data[:30])
    assert not gc.isenabled()
    del forgotten
    gc.collect()
    assert gc.isenabled()
