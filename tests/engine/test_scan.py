from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from redislab.engine.expiry import active_expire
from redislab.wire.replies import Reply, ReplyParser
from tests.engine.callers import TestCaller


def step(c: TestCaller, *words: object) -> tuple[int, list[bytes]]:
    (reply,) = ReplyParser().feed(c(*words))
    assert reply.items is not None
    cursor, found = reply.items
    return int(cursor.text or b""), [_text(item) for item in found.items or ()]


def _text(item: Reply) -> bytes:
    assert item.text is not None
    return item.text


def test_a_full_iteration_returns_every_key_once() -> None:
    c = TestCaller()
    for number in range(1000):
        c("SET", f"key:{number}", number)
    found: list[bytes] = []
    cursor, keys = step(c, "SCAN", 0, "COUNT", 7)
    found += keys
    while cursor:
        cursor, keys = step(c, "SCAN", cursor, "COUNT", 7)
        found += keys
    assert sorted(found) == sorted(c.db.values)


@pytest.mark.parametrize("seed", range(5))
def test_what_stays_is_returned_however_much_else_changes(seed: int) -> None:
    random = Random(seed)
    c = TestCaller()
    stay = {b"stay:%d" % number for number in range(200)}
    for key in sorted(stay):
        c("SET", key, 1)
    found: set[bytes] = set()
    cursor = 0
    others: list[int] = []
    while True:
        cursor, keys = step(c, "SCAN", cursor, "COUNT", 5)
        found.update(keys)
        if not cursor:
            break
        others.append(random.randrange(10**6))
        c("SET", f"other:{others[-1]}", 1)
        c("DEL", f"other:{others[random.randrange(len(others))]}")
        if random.random() < 0.3:
            step(c, "SCAN", 0)  # another client begins, which brings the cached order up to date
        if random.random() < 0.1:
            c.engine.scan_indexes.clear()
    assert stay <= found


def test_a_key_set_before_an_iteration_begins_is_seen_by_it() -> None:
    c = TestCaller()
    c("SET", "a", 1)
    assert step(c, "SCAN", 0) == (0, [b"a"])
    c("SET", "b", 1)
    assert sorted(step(c, "SCAN", 0)[1]) == [b"a", b"b"]
    c.engine.saved(c.engine.dirty)
    for name in ("x", "y"):
        c("SET", name, 1)
    assert sorted(step(c, "SCAN", 0)[1]) == [b"a", b"b", b"x", b"y"]


def test_a_large_hash_is_walked_in_steps() -> None:
    c = TestCaller()
    for number in range(600):
        c("HSET", "h", f"f{number}", number)
    c.db.values[b"h"].packed = False
    fields: list[bytes] = []
    cursor, pairs = step(c, "HSCAN", "h", 0, "COUNT", 50)
    assert len(pairs) == 100
    fields += pairs[::2]
    while cursor:
        cursor, pairs = step(c, "HSCAN", "h", cursor, "COUNT", 50)
        fields += pairs[::2]
    assert sorted(fields) == sorted(c.db.values[b"h"])


def test_equal_checksums_are_not_parted() -> None:
    # plumless and buckeroo have the same CRC-32.
    c = TestCaller()
    c("MSET", "plumless", 1, "buckeroo", 2)
    assert step(c, "SCAN", 0, "COUNT", 1) == (0, [b"buckeroo", b"plumless"])


def full_iteration(c: TestCaller, *words: object) -> list[bytes]:
    found: list[bytes] = []
    cursor = 0
    while True:
        cursor, part = step(c, "SCAN", cursor, *words)
        found += part
        if not cursor:
            return found


def test_an_index_grows_and_shrinks_with_the_keys() -> None:
    c = TestCaller()
    random = Random(5)
    for size in (10, 5000, 300, 20_000, 3):
        while len(c.db.values) < size:
            c("SET", f"key:{random.randrange(10**9)}", 1)
        for key in list(c.db.values)[size:]:
            c("DEL", key)
        assert sorted(full_iteration(c, "COUNT", 50)) == sorted(c.db.values)


def test_expired_keys_leave_an_index_that_is_worth_walking() -> None:
    c = TestCaller()
    for number in range(5000):
        c("SET", f"key:{number}", 1, "PX", 10)
    c("SET", "stays", 1)
    step(c, "SCAN", 0)
    c.now_ms += 20
    active_expire(c.engine, 10_000)
    steps = 1
    cursor, _ = step(c, "SCAN", 0)
    while cursor:
        cursor, _ = step(c, "SCAN", cursor)
        steps += 1
    assert steps < 5


def test_keys_that_came_without_being_counted_are_seen() -> None:
    c = TestCaller()
    for number in range(100):
        c("SET", f"key:{number}", 1)
    step(c, "SCAN", 0)
    c.db.values.update({b"loaded:%d" % number: b"1" for number in range(50)})
    assert len(set(full_iteration(c))) == 150


@pytest.mark.parametrize("command", ["HRANDFIELD", "RANDOMKEY"])
def test_each_is_drawn_as_often_as_any_other(command: str) -> None:
    c = TestCaller(seed=3)
    names = [f"n{number}" for number in range(1500)]
    for name in names:
        if command == "RANDOMKEY":
            c("SET", name, 1)
        else:
            c("HSET", "h", name, 1)
    words = [command] if command == "RANDOMKEY" else [command, "h"]
    drawn = Counter(c(*words) for _ in range(60_000))
    assert len(drawn) == len(names)
    assert 12 < min(drawn.values()) < max(drawn.values()) < 80  # 40 on average


def test_distinct_fields_are_distinct() -> None:
    c = TestCaller()
    for number in range(3000):
        c("HSET", "h", f"f{number}", number)
    for count in (1, 10, 900, 2000, 3000, 5000):
        (reply,) = ReplyParser().feed(c("HRANDFIELD", "h", count))
        fields = [_text(item) for item in reply.items or ()]
        assert len(set(fields)) == len(fields) == min(count, 3000)
        assert set(fields) <= set(c.db.values[b"h"])
