"""Several clients waiting for data: who is served, with what, in which order, as in real Redis.

Each scenario runs against both servers and says what its clients were answered. The order in which
clients come to wait is made certain by counting the waiting ones, not by sleeping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.servers import Address, Wire, our_server, real_server

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def real() -> Iterator[Address]:
    with real_server() as address:
        yield address


@pytest.fixture(scope="module")
def ours() -> Iterator[Address]:
    with our_server() as address:
        yield address


class Stage:
    """A server with an acting client and any number of waiting ones."""

    def __init__(self, address: Address, protocol: int) -> None:
        self.address = address
        self.protocol = protocol
        self.actor = Wire(address, protocol)
        self.waiters: list[Wire] = []
        self.actor.call(b"FLUSHALL")

    def do(self, line: str) -> Any:
        """Run a command as the acting client."""
        return self.actor.call(*line.encode().split())

    def wait(self, line: str) -> Wire:
        """Let a new client send a blocking command, and see it wait."""
        before = self.waiting()
        waiter = Wire(self.address, self.protocol)
        self.waiters.append(waiter)
        waiter.send(*line.encode().split())
        self.until_waiting(before + 1)
        return waiter

    def waiting(self) -> int:
        """How many clients wait, by INFO."""
        info = Wire(self.address)
        report = info.call(b"INFO", b"clients").text
        info.close()
        assert report is not None
        fields = dict(line.split(b":", 1) for line in report.splitlines() if b":" in line)
        return int(fields[b"blocked_clients"])

    def until_waiting(self, count: int) -> None:
        """Return once exactly so many clients wait."""
        for _ in range(5000):
            if self.waiting() == count:
                return
        pytest.fail(f"{self.waiting()} clients wait, not {count}")

    def close(self) -> None:
        """Let everybody go."""
        for wire in (self.actor, *self.waiters):
            wire.close()
        self.until_none()

    def until_none(self) -> None:
        self.until_waiting(0)


Scenario = Callable[[Stage], list[Any]]
SCENARIOS: list[Scenario] = []


def scenario(play: Scenario) -> Scenario:
    SCENARIOS.append(play)
    return play


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("play", SCENARIOS, ids=lambda play: play.__name__)
def test_same_as_real(play: Scenario, protocol: int, real: Address, ours: Address) -> None:
    answers = []
    for address in (real, ours):
        stage = Stage(address, protocol)
        try:
            answers.append(play(stage))
        finally:
            stage.close()
    assert answers[1] == answers[0]


@scenario
def first_come_first_served(s: Stage) -> list[Any]:
    a, b, c = s.wait("BLPOP k 0"), s.wait("BRPOP k 0"), s.wait("BLPOP k 0")
    pushed = s.do("RPUSH k 1 2 3 4")
    return [pushed, a.read(), b.read(), c.read(), s.do("LRANGE k 0 -1")]


@scenario
def one_push_serves_one_client(s: Stage) -> list[Any]:
    a, b = s.wait("BLPOP k 0"), s.wait("BLPOP k 0")
    first = [s.do("LPUSH k x"), a.read(), s.do("EXISTS k"), s.waiting()]
    return [*first, s.do("LPUSH k y"), b.read(), s.do("EXISTS k")]


@scenario
def pushed_elements_are_taken_after_the_whole_push(s: Stage) -> list[Any]:
    a = s.wait("BLPOP k 0")
    return [s.do("LPUSH k 1 2 3"), a.read(), s.do("LRANGE k 0 -1")]


@scenario
def several_keys(s: Stage) -> list[Any]:
    a = s.wait("BLPOP one two three 0")
    b = s.wait("BLPOP two one 0")
    return [s.do("RPUSH two x"), a.read(), s.do("RPUSH one y"), b.read(), s.do("DBSIZE")]


@scenario
def one_key_twice(s: Stage) -> list[Any]:
    a = s.wait("BLPOP k k k 0")
    return [s.do("RPUSH k x y"), a.read(), s.do("LRANGE k 0 -1")]


@scenario
def moves_wake_others(s: Stage) -> list[Any]:
    last = s.wait("BLPOP c 0")
    middle = s.wait("BLMOVE b c LEFT RIGHT 0")
    first = s.wait("BRPOPLPUSH a b 0")
    pushed = s.do("RPUSH a x y")
    answers = [pushed, first.read(), middle.read(), last.read()]
    return [*answers, s.do("LRANGE a 0 -1"), s.do("EXISTS b c")]


@scenario
def a_move_in_a_circle(s: Stage) -> list[Any]:
    a = s.wait("BLMOVE k k LEFT RIGHT 0")
    b = s.wait("BRPOPLPUSH k k 0")
    return [s.do("RPUSH k 1 2 3"), a.read(), b.read(), s.do("LRANGE k 0 -1")]


@scenario
def a_move_onto_the_wrong_type(s: Stage) -> list[Any]:
    a = s.wait("BLMOVE k target LEFT RIGHT 0")
    b = s.wait("BLPOP k 0")
    made = s.do("SET target x")
    return [made, s.do("RPUSH k 1"), a.read(), b.read(), s.do("EXISTS k"), s.do("GET target")]


@scenario
def many_at_once(s: Stage) -> list[Any]:
    a = s.wait("BLMPOP 0 2 j k LEFT COUNT 2")
    b = s.wait("BLMPOP 0 1 k RIGHT COUNT 10")
    return [s.do("RPUSH k 1 2 3 4"), a.read(), b.read(), s.do("EXISTS k")]


@scenario
def sorted_sets(s: Stage) -> list[Any]:
    a, b, c = s.wait("BZPOPMIN z 0"), s.wait("BZPOPMAX y z 0"), s.wait("BZMPOP 0 1 z MIN COUNT 2")
    added = s.do("ZADD z 1 a 2 b 3.5 c 4 d 5 e")
    return [added, a.read(), b.read(), c.read(), s.do("ZRANGE z 0 -1 WITHSCORES")]


@scenario
def the_type_decides_who_is_served(s: Stage) -> list[Any]:
    a, b, c = s.wait("BLPOP k 0"), s.wait("BZPOPMIN k 0"), s.wait("BLPOP k 0")
    answers = [s.do("ZADD k 1 m"), b.read(), s.waiting()]
    answers += [s.do("SET k x"), s.do("DEL k"), s.do("SADD k x"), s.do("DEL k"), s.waiting()]
    return [*answers, s.do("RPUSH k 1 2"), a.read(), c.read()]


@scenario
def keys_that_come_by_other_ways(s: Stage) -> list[Any]:
    a, b = s.wait("BLPOP k 0"), s.wait("BZPOPMIN z 0")
    answers = [s.do("RPUSH other 1"), s.do("RENAME other k"), a.read()]
    answers += [s.do("ZADD x 1 m"), s.do("ZUNIONSTORE z 1 x"), b.read()]
    c, d = s.wait("BLPOP k 0"), s.wait("BLPOP k 0")
    answers += [s.do("RPUSH source 3 1 2"), s.do("SORT source STORE k"), c.read(), d.read()]
    e = s.wait("BZPOPMAX z 0")
    answers += [s.do("ZRANGESTORE z x 0 -1"), e.read()]
    f = s.wait("BRPOP copied 0")
    answers += [s.do("COPY source copied"), f.read()]
    g = s.wait("BZPOPMIN places 0")
    return [*answers, s.do("GEOADD places 13.361389 38.115556 Palermo"), g.read()]


@scenario
def other_databases(s: Stage) -> list[Any]:
    a = s.wait("BLPOP k 0")
    answers = [s.do("SELECT 1"), s.do("RPUSH k 1"), s.waiting(), s.do("SWAPDB 0 1"), a.read()]
    return [*answers, s.do("EXISTS k"), s.do("SELECT 0"), s.do("EXISTS k")]


@scenario
def a_transaction_counts_as_one(s: Stage) -> list[Any]:
    a = s.wait("BLPOP k 0")
    answers = [s.do("MULTI"), s.do("LPUSH k 1"), s.do("LPUSH k 2"), s.do("EXEC"), a.read()]
    b = s.wait("BLPOP gone 0")
    answers += [s.do("MULTI"), s.do("LPUSH gone 1"), s.do("DEL gone"), s.do("EXEC"), s.waiting()]
    return [*answers, s.do("LPUSH gone 2"), b.read()]


@scenario
def nobody_waits_in_a_transaction(s: Stage) -> list[Any]:
    calls = ["BLPOP k 0", "BLMOVE k l LEFT LEFT 0", "BZMPOP 0 1 z MIN", "LPUSH k 1", "BLPOP k 0"]
    return [s.do("MULTI"), *map(s.do, calls), s.do("EXEC")]


@scenario
def the_time_runs_out(s: Stage) -> list[Any]:
    calls = [
        "BLPOP k 0.01",
        "BLMOVE k l LEFT RIGHT 0.01",
        "BRPOPLPUSH k l 0.01",
        "BLMPOP 0.01 1 k LEFT",
        "BZPOPMIN z 0.01",
        "BZMPOP 0.01 2 y z MAX",
    ]
    return [*map(s.do, calls), s.waiting(), s.do("RPUSH k 1"), s.do("LLEN k")]


@scenario
def a_pipeline_goes_on_after_the_wait(s: Stage) -> list[Any]:
    a = s.wait("BLPOP k 0")
    a.send(b"PING")
    a.send(b"BLPOP", b"k", b"0")
    a.send(b"LLEN", b"k")
    answers = [s.do("RPUSH k 1"), a.read(), a.read()]
    s.until_waiting(1)
    return [*answers, s.do("RPUSH k 2"), a.read(), a.read()]


@scenario
def a_client_that_leaves_loses_its_turn(s: Stage) -> list[Any]:
    a, b = s.wait("BLPOP k 0"), s.wait("BLPOP k 0")
    a.close()
    s.until_waiting(1)
    return [s.do("RPUSH k 1 2"), b.read(), s.do("LRANGE k 0 -1")]


@scenario
def unblocked_by_another_client(s: Stage) -> list[Any]:
    answers = []
    for how in ("", "TIMEOUT", "ERROR"):
        waiter = Wire(s.address, s.protocol)
        s.waiters.append(waiter)
        number = waiter.call(b"CLIENT", b"ID")
        waiter.send(b"BLMOVE", b"k", b"l", b"LEFT", b"LEFT", b"0")
        s.until_waiting(1)
        unblock = f"CLIENT UNBLOCK {number.text.decode()}"
        answers += [s.do(f"{unblock} {how}"), waiter.read(), s.waiting(), s.do(unblock)]
    return answers


@scenario
def a_script_that_pushes(s: Stage) -> list[Any]:
    a = s.wait("BLPOP k 0")
    script = b"redis.call('RPUSH', 'k', 'a', 'b') return redis.call('LLEN', 'k')"
    return [s.actor.call(b"EVAL", script, b"0"), a.read(), s.do("LRANGE k 0 -1")]
