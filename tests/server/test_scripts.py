"""Scripts and functions that take long: on our server, and on the real one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from redislab.labs.single import SingleLab
from redislab.server import slowscripts
from redislab.wire.replies import Reply
from tests.servers import Address, Wire, our_server, real_server

pytest.importorskip("lupa")
pytest.importorskip("greenlet")

ENDLESS = b"while true do end"
STUBBORN = b"while true do pcall(function() while true do end end) end"
IN_COROUTINE = b"coroutine.wrap(function() while true do end end)()"
CALLING = b"while true do redis.call('ping') end"
BUSY_SCRIPT = (
    b"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
)
BUSY_FUNCTION = BUSY_SCRIPT.replace(b"SCRIPT KILL", b"FUNCTION KILL")
LIBRARY = (
    b"#!lua name=slow\n"
    b"redis.register_function('endless', function() while true do end end)\n"
    b"redis.register_function('write', function(keys)"
    b" redis.call('set', keys[1], 'written') while redis.call('get', 'go') == false do end"
    b" return 'done' end)"
)


@pytest.fixture(params=["ours", pytest.param("real", marks=pytest.mark.redis)])
def server(request: pytest.FixtureRequest) -> Iterator[Address]:
    start = our_server if request.param == "ours" else real_server
    with start("--busy-reply-threshold", "20") as address:
        yield address


def error(reply: Reply) -> bytes:
    assert reply.is_error
    assert reply.text is not None
    return reply.text


def wait_until_busy(wire: Wire) -> Reply:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        reply = wire.call(b"PING")
        if reply.is_error:
            return reply
        time.sleep(0.02)
    pytest.fail("the script was never found to be slow")


def wait_until_idle(wire: Wire) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not wire.call(b"PING").is_error:
            return
        time.sleep(0.02)
    pytest.fail("the script was never ended")


@pytest.mark.parametrize("script", [ENDLESS, STUBBORN, CALLING])
def test_an_endless_script_can_be_killed(server: Address, script: bytes) -> None:
    with Wire(server) as runner, Wire(server) as other:
        runner.send(b"EVAL", script, b"0")
        runner.send(b"ECHO", b"after")
        assert error(wait_until_busy(other)) == BUSY_SCRIPT
        with Wire(server) as late:  # a connection that was made meanwhile
            assert error(late.call(b"GET", b"a")) == BUSY_SCRIPT
            assert late.call(b"SCRIPT", b"KILL").text == b"OK"
        told = error(runner.read())
        assert told.startswith(b"ERR Error running script") or b"SCRIPT KILL..." in told
        assert runner.read().text == b"after"
        wait_until_idle(other)


def test_an_endless_coroutine_can_be_killed() -> None:
    # Not in Redis, whose hook a coroutine has, but whose error ends the coroutine alone.
    with (
        our_server("--busy-reply-threshold", "20") as ours,
        Wire(ours) as runner,
        Wire(ours) as other,
    ):
        runner.send(b"EVAL", IN_COROUTINE, b"0")
        wait_until_busy(other)
        assert other.call(b"SCRIPT", b"KILL").text == b"OK"
        assert b"SCRIPT KILL..." in error(runner.read())


def test_what_is_allowed_while_a_script_runs(server: Address) -> None:
    with Wire(server) as runner, Wire(server) as other:
        runner.send(b"EVAL", ENDLESS, b"0")
        wait_until_busy(other)
        replies = [
            other.call(*words)
            for words in (
                (b"MULTI",),
                (b"SET", b"a", b"1"),
                (b"EXEC",),
                (b"DISCARD",),
                (b"WATCH", b"a"),
                (b"UNWATCH",),
                (b"FUNCTION", b"KILL"),
                (b"FUNCTION", b"STATS"),
                (b"EVAL", b"return 1", b"0"),
                (b"CLIENT", b"ID"),
                (b"INFO",),
                (b"SHUTDOWN",),
                (b"AUTH", b"x"),
                (b"RESET",),
            )
        ]
        other.call(b"SCRIPT", b"KILL")
        wait_until_idle(other)
    told = [reply.text for reply in replies]
    assert told[:4] == [
        b"OK",
        BUSY_SCRIPT,
        b"EXECABORT Transaction discarded because of: " + BUSY_SCRIPT,
        b"ERR DISCARD without MULTI",
    ]
    assert told[4:6] == [b"OK", b"OK"]
    assert told[6:12] == [BUSY_SCRIPT] * 6
    assert told[12].startswith(b"ERR AUTH <password> called without any password")
    assert told[13] == b"RESET"


def test_a_function_that_runs_is_told_of_and_killed(server: Address) -> None:
    with Wire(server) as runner, Wire(server) as other:
        assert runner.call(b"FUNCTION", b"LOAD", LIBRARY).text == b"slow"
        runner.send(b"FCALL", b"endless", b"0")
        assert error(wait_until_busy(other)) == BUSY_FUNCTION
        stats = other.call(b"FUNCTION", b"STATS").items
        assert stats is not None
        running = stats[1].items
        assert running is not None
        name, words, took = running[1], running[3], running[5]
        assert name.text == b"endless"
        assert [word.text for word in words.items or ()] == [b"FCALL", b"endless", b"0"]
        assert int(took.text or 0) >= 20
        assert error(other.call(b"SCRIPT", b"KILL")) == BUSY_FUNCTION
        assert other.call(b"FUNCTION", b"KILL").text == b"OK"
        assert b"SCRIPT KILL..." in error(runner.read())
        assert error(other.call(b"FUNCTION", b"KILL")).startswith(b"NOTBUSY")


def test_a_script_that_has_written_cannot_be_killed(server: Address) -> None:
    with Wire(server) as runner, Wire(server) as other:
        runner.send(b"EVAL", b"redis.call('set', 'a', 1) while true do end", b"0")
        wait_until_busy(other)
        assert error(other.call(b"SCRIPT", b"KILL")).startswith(b"UNKILLABLE Sorry the script")
        other.send(b"SHUTDOWN", b"NOSAVE")
        with pytest.raises(ConnectionError):
            other.read()
        with contextlib.suppress(ConnectionError):
            runner.read()
    server.process.wait(10)


def test_a_slow_script_that_ends_answers_and_is_noted(server: Address) -> None:
    script = b"for i = 1, 3e7 do end redis.call('rpush', 'q', 'x') return 'done'"
    with Wire(server) as runner, Wire(server) as waiting, Wire(server) as other:
        other.call(b"CONFIG", b"SET", b"slowlog-log-slower-than", b"1000")
        waiting.send(b"BLPOP", b"q", b"0")
        started = time.monotonic()
        runner.send(b"ECHO", b"before")
        runner.send(b"EVAL", script, b"0")
        runner.send(b"GET", b"none")
        assert [runner.read().text for _ in range(3)] == [b"before", b"done", None]
        took = time.monotonic() - started
        assert [item.text for item in waiting.read().items or ()] == [b"q", b"x"]
        noted = [entry.items or () for entry in other.call(b"SLOWLOG", b"GET").items or ()]
        words = [[word.text for word in entry[3].items or ()] for entry in noted]
        assert words.count([b"EVAL", script, b"0"]) == 1
        slow = noted[words.index([b"EVAL", script, b"0"])]
        microseconds = int(slow[2].text or 0)
        assert 0.02 < microseconds / 1e6 <= took
        stats = other.call(b"INFO", b"commandstats").text or b""
        (line,) = [each for each in stats.splitlines() if each.startswith(b"cmdstat_eval:")]
        assert line.startswith(b"cmdstat_eval:calls=1,usec=")
        assert int(line.split(b"usec=")[1].split(b",")[0]) >= microseconds * 0.9


def test_a_slow_script_in_a_transaction(server: Address) -> None:
    with Wire(server) as runner, Wire(server) as other:
        for words in ((b"MULTI",), (b"INCR", b"n"), (b"EVAL", ENDLESS, b"0"), (b"INCR", b"n")):
            runner.call(*words)
        runner.send(b"EXEC")
        assert error(wait_until_busy(other)) == BUSY_SCRIPT
        other.call(b"SCRIPT", b"KILL")
        first, second, third = runner.read().items or ()
        assert (first.text, third.text) == (b"1", b"2")
        assert b"SCRIPT KILL..." in error(second)
        assert runner.call(b"GET", b"n").text == b"2"


def test_a_script_outlives_its_client(server: Address) -> None:
    with Wire(server) as other:
        with Wire(server) as runner:
            assert runner.call(b"FUNCTION", b"LOAD", LIBRARY).text == b"slow"
            runner.send(b"FCALL", b"endless", b"0")
            wait_until_busy(other)
        assert error(other.call(b"PING")) == BUSY_FUNCTION
        other.call(b"FUNCTION", b"KILL")
        wait_until_idle(other)
        clients = other.call(b"CLIENT", b"LIST").text or b""
        assert clients.count(b"\n") == 1


def test_nothing_expires_while_a_script_runs(server: Address) -> None:
    script = (
        b"redis.call('set', 'k', 'v', 'px', 30)"
        b"for i = 1, 3e7 do end return redis.call('exists', 'k')"
    )
    with Wire(server) as wire:
        assert wire.call(b"EVAL", script, b"0").text == b"1"
        assert wire.call(b"EXISTS", b"k").text == b"0"


def test_a_node_that_ends_ends_its_script() -> None:
    with our_server("--busy-reply-threshold", "20") as ours, Wire(ours) as runner:
        runner.send(b"EVAL", STUBBORN, b"0")
        with Wire(ours) as other:
            wait_until_busy(other)
        ours.process.terminate()
        assert ours.process.wait(10) == 0


def test_in_a_simulation_time_passes_while_a_script_runs() -> None:
    async def talk(lab: SingleLab) -> tuple[object, object, float]:
        runner, other = lab.async_client(), lab.async_client()
        await other.config_set("busy-reply-threshold", 100)
        loop = asyncio.get_running_loop()
        started = loop.time()
        script = asyncio.create_task(runner.eval("while true do end", 0))
        await asyncio.sleep(0.2)
        busy = await asyncio.gather(other.get("a"), return_exceptions=True)
        await other.script_kill()
        ended = await asyncio.gather(script, return_exceptions=True)
        return busy[0], ended[0], loop.time() - started

    with SingleLab(world="sim", seed=3) as lab:
        first = lab.run(talk(lab))
    with SingleLab(world="sim", seed=3) as lab:
        second = lab.run(talk(lab))
    busy, ended, took = first
    assert "busy running a script" in str(busy)
    assert "SCRIPT KILL..." in str(ended)
    assert 0.2 < took < 1
    assert [str(each) for each in first] == [str(each) for each in second]


@pytest.mark.parametrize("script", [ENDLESS, STUBBORN, IN_COROUTINE])
@pytest.mark.parametrize("has_greenlet", [True, False])
def test_in_a_simulation_an_endless_script_is_ended(
    script: bytes, has_greenlet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slowscripts, "LIMIT_S", 0.05)
    if not has_greenlet:
        monkeypatch.setattr(slowscripts, "greenlet", None)
    with SingleLab(world="sim") as lab:
        lab.cli("CONFIG SET busy-reply-threshold 10")
        assert "Script killed: it ran for more than" in lab.cli(f'EVAL "{script.decode()}" 0')
        assert lab.cli("EVAL 'return 7' 0") == "(integer) 7"


def test_scripts_run_in_the_thread_of_the_node() -> None:
    before = threading.active_count()
    with SingleLab(world="live") as lab:
        lab.cli("CONFIG SET busy-reply-threshold 1")
        inside = threading.active_count()
        assert lab.cli("EVAL 'for i = 1, 1e7 do end return 1' 0") == "(integer) 1"
        assert threading.active_count() == inside
    assert threading.active_count() == before
