from __future__ import annotations

import pytest

from redislab.engine.expiry import active_expire
from tests.engine.callers import START_MS, TestCaller


def test_a_key_lives_through_its_last_millisecond() -> None:
    c = TestCaller()
    c("PSETEX", "k", 100, "v")
    c.now_ms += 100
    assert c("GET", "k") == b"$1\r\nv\r\n"
    c.now_ms += 1
    assert c("GET", "k") == b"$-1\r\n"
    assert c.events[-1] == (b"expired", b"k")
    assert c.engine.expired_keys == 1


def test_set_over_a_key_that_was_due_tells_of_both() -> None:
    c = TestCaller()
    c("PSETEX", "k", 100, "v")
    c.now_ms += 200
    c.events.clear()
    c("SET", "k", "w")
    assert c.events == [(b"expired", b"k"), (b"set", b"k")]


def test_the_active_cycle_removes_what_is_due_and_nothing_else() -> None:
    c = TestCaller()
    for number in range(500):
        c("PSETEX", f"short:{number}", 10, "v")
        c("PSETEX", f"long:{number}", 100_000, "v")
        c("SET", f"ever:{number}", "v")
    c.now_ms += 1000
    removed = sum(active_expire(c.engine, 200) for _ in range(200))
    assert removed == 500
    assert len(c.db) == 1000
    assert c.db.average_ttl_ms > 0


def test_the_active_cycle_keeps_to_its_budget_and_takes_databases_in_turn() -> None:
    c = TestCaller()
    for database in c.engine.databases[:2]:
        c.db = database
        for number in range(300):
            c("PSETEX", f"k{number}", 10, "v")
    c.now_ms += 1000
    assert active_expire(c.engine, 100) == 100
    assert active_expire(c.engine, 100) == 100
    assert [len(database) for database in c.engine.databases[:2]] == [200, 200]


def test_a_replica_hides_what_is_due_and_keeps_it() -> None:
    c = TestCaller()
    c("PSETEX", "k", 100, "v")
    c.now_ms += 200
    c.engine.expires_by_itself = False
    assert c("GET", "k") == b"$-1\r\n"
    assert c("DBSIZE") == b":1\r\n"


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (("SET", "k", "v", "EX", 10), [["SET", "k", "v", "PXAT", START_MS + 10_000]]),
        (("SET", "k", "v", "PXAT", START_MS + 5), [["SET", "k", "v", "PXAT", START_MS + 5]]),
        (("SET", "k", "v", "GET", "XX"), [["SET", "k", "v", "XX"]]),
        (("SETEX", "k", 10, "v"), [["SET", "k", "v", "PXAT", START_MS + 10_000]]),
        (("PSETEX", "k", 10, "v"), [["SET", "k", "v", "PXAT", START_MS + 10]]),
        (("GETSET", "k", "v"), [["SET", "k", "v"]]),
        (("GETDEL", "k"), [["DEL", "k"]]),
        (("GETEX", "k", "EX", 10), [["PEXPIREAT", "k", START_MS + 10_000]]),
        (("GETEX", "k", "EXAT", 1), [["DEL", "k"]]),
        (("GETEX", "t", "PERSIST"), [["PERSIST", "t"]]),
        (("EXPIRE", "k", 10), [["PEXPIREAT", "k", START_MS + 10_000]]),
        (("EXPIRE", "k", 10, "NX"), [["PEXPIREAT", "k", START_MS + 10_000, "NX"]]),
        (("EXPIRE", "k", -1), [["DEL", "k"]]),
        (("INCRBYFLOAT", "k", "0.5"), [["SET", "k", "5.5", "KEEPTTL"]]),
        (("FLUSHALL",), [["FLUSHALL"]]),
        (("SET", "k", "v"), None),
        (("INCR", "k"), None),
    ],
)
def test_replicas_are_sent_absolute_times_and_results(
    words: tuple[object, ...], sent: list[list[object]] | None
) -> None:
    c = TestCaller()
    c("SET", "k", 5)
    c("SET", "t", 5, "EX", 100)
    expected = sent and [[str(word).encode() for word in argv] for argv in sent]
    assert c.sent_on(*words) == expected
