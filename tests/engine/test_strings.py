from __future__ import annotations

from random import Random

import pytest

from redislab.engine.errors import CommandError
from redislab.engine.keyspace import REPLACED
from redislab.engine.memory import MemoryMeter, allocated, key_bytes
from tests.engine.callers import TestCaller


def test_events_have_the_names_that_redis_gives_them() -> None:
    c = TestCaller()
    c("SET", "k", "1", "EX", 100)
    c("INCR", "k")
    c("APPEND", "k", "0")
    c("SETRANGE", "k", 0, "x")
    c("SETBIT", "k", 0, 1)
    c("RENAME", "k", "n")
    c("COPY", "n", "m")
    c("PERSIST", "n")
    c("DEL", "n")
    assert [event.decode() for event, _ in c.events] == [
        *("set", "expire", "incrby", "append", "setrange", "setbit"),
        *("rename_from", "rename_to", "copy_to", "persist", "del"),
    ]


def test_a_wrong_call_changes_nothing() -> None:
    c = TestCaller()
    c("SET", "k", "text")
    dirty = c.engine.dirty
    for words in (("INCR", "k"), ("SET", "k", "v", "EX", 0), ("SETBIT", "k", 0, 2)):
        with pytest.raises(CommandError):
            c(*words)
    assert (c.engine.dirty, c("GET", "k")) == (dirty, b"$4\r\ntext\r\n")


def test_a_copy_does_not_share_what_it_was_copied_from() -> None:
    c = TestCaller()
    c("APPEND", "a", "x")
    c("APPEND", "a", "y")
    c("COPY", "a", "b")
    c("APPEND", "b", "z")
    assert (c("GET", "a"), c("GET", "b")) == (b"$2\r\nxy\r\n", b"$3\r\nxyz\r\n")


def test_flushing_touches_every_key_that_was_there() -> None:
    c = TestCaller()
    c("MSET", "a", 1, "b", 2)
    c.events.clear()
    c("FLUSHALL")
    assert c.events == [(REPLACED, b"a"), (REPLACED, b"b")]


def plain_length(left: bytes, right: bytes) -> int:
    row = [0] * (len(right) + 1)
    for a in left:
        row_before = row
        row = [0]
        for j, b in enumerate(right):
            row.append(row_before[j] + 1 if a == b else max(row[-1], row_before[j + 1]))
    return row[-1]


@pytest.mark.parametrize("seed", range(20))
def test_lcs_is_as_long_as_the_table_says_and_in_both_strings(seed: int) -> None:
    random = Random(seed)
    left, right = (bytes(random.choices(b"abcd", k=random.randrange(60))) for _ in range(2))
    c = TestCaller()
    c("MSET", "l", left, "r", right)
    length = plain_length(left, right)
    assert c("LCS", "l", "r", "LEN") == b":%d\r\n" % length
    text = c("LCS", "l", "r").split(b"\r\n")[1]
    assert len(text) == length
    for whole in (left, right):
        rest = iter(whole)
        assert all(byte in rest for byte in text)


def test_lcs_runs_go_from_the_end_to_the_start() -> None:
    c = TestCaller()
    c("MSET", "l", "ohmytext", "r", "mynewtext")
    assert c("LCS", "l", "r", "IDX").count(b"*2\r\n*2\r\n") == 2


@pytest.mark.parametrize(
    ("asked", "got"), [(1, 8), (9, 16), (17, 32), (128, 128), (129, 160), (257, 320), (5009, 5120)]
)
def test_size_classes(asked: int, got: int) -> None:
    assert allocated(asked) == got


@pytest.mark.parametrize(
    ("value", "size"),
    [(b"5", 48), (b"v", 64), (b"a" * 44, 96), (b"a" * 45, 112), (b"a" * 1000, 1072)],
)
def test_a_string_takes_what_redis_says_it_takes(value: bytes, size: int) -> None:
    assert key_bytes(b"k", value) == size


def test_the_meter_follows_the_data() -> None:
    c = TestCaller()
    meter = MemoryMeter(c.engine)
    assert meter.measure() == 0
    for number in range(5000):
        c("SET", f"key:{number:08}", "x" * 100)
    exact = sum(key_bytes(key, value) for key, value in c.db.values.items())
    assert 0.95 * exact < meter.measure() < 1.2 * exact
    c("FLUSHALL")
    assert meter.measure() == 0
