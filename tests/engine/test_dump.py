"""RESTORE as replicas and listeners hear of it."""

import pytest

from redislab.engine.dump import dump_value
from redislab.engine.errors import CommandError
from redislab.engine.values import ListValue
from redislab.wire.rdb.payload import seal
from tests.engine.callers import START_MS, TestCaller

ENGINE = TestCaller().engine
PAYLOAD = dump_value(ENGINE, b"hello")
PAST = START_MS - 1


@pytest.fixture
def c() -> TestCaller:
    return TestCaller()


def test_a_time_to_live_is_sent_on_as_a_time(c):
    sent = c.sent_on("restore", "k", 1000, PAYLOAD, "replace")
    at = b"%d" % (START_MS + 1000)
    assert sent == [[b"restore", b"k", at, PAYLOAD, b"replace", b"ABSTTL"]]
    assert c.db.expires == {b"k": START_MS + 1000}


def test_a_time_is_sent_on_as_it_came(c):
    assert c.sent_on("restore", "k", START_MS + 5, PAYLOAD, "absttl") is None
    assert c.sent_on("restore", "l", 0, PAYLOAD) is None


def test_an_expired_value_deletes_what_it_replaces(c):
    c("set", "k", "x")
    dirty = c.engine.dirty
    assert c.sent_on("restore", "k", PAST, PAYLOAD, "absttl", "replace") == [[b"DEL", b"k"]]
    assert c.events[-1] == (b"del", b"k")
    assert c.engine.dirty == dirty + 1


def test_an_expired_value_that_replaces_nothing_changes_nothing(c):
    dirty = c.engine.dirty
    assert c.sent_on("restore", "k", PAST, PAYLOAD, "absttl", "replace") is None
    assert (c.events, c.engine.dirty) == ([], dirty)


def test_a_replica_keeps_an_expired_value_for_its_master_to_delete(c):
    c.engine.expires_by_itself = False
    c("restore", "k", PAST, PAYLOAD, "absttl")
    assert c.db.values[b"k"] == b"hello"


def test_events_and_waiting_clients(c):
    c.db.awaited[b"k"] = c.db.awaited[b"l"] = 1
    c("restore", "k", 0, PAYLOAD)
    c("restore", "l", 0, dump_value(ENGINE, ListValue([b"x"])))
    assert c.events == [(b"restore", b"k"), (b"restore", b"l")]
    assert list(c.engine.ready) == [(0, b"l")]  # nobody can wait for a string


def test_frequency_is_kept_with_an_lfu_policy_only(c):
    c.engine.maxmemory_policy = "allkeys-lfu"
    c("restore", "k", 0, PAYLOAD, "freq", 100)
    assert c.engine.uses.frequency(c.db, b"k") == 100
    c.engine.maxmemory_policy = "allkeys-lru"
    c("restore", "l", 0, PAYLOAD, "idletime", 50)
    assert c.engine.uses.idle_ms(c.db, b"l") == 50_000


def test_the_key_that_is_there_outlives_a_bad_payload(c):
    c("set", "k", "x")
    with pytest.raises(CommandError, match="Bad data format"):
        c("restore", "k", 0, seal(b"\x08"), "replace")
    assert c.db.values[b"k"] == b"x"
