"""Client libraries through a failover, passwords on: every acknowledged write is accounted for.

redis-py, blocking and with asyncio, and ioredis all write to the same lab, to ours, to real Redis
and to some of each, while its master is killed. What the blocking client is told, is what a program
of one's own is told: it is redis-py's as it comes, on the ports that everybody sees.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from redislab import SentinelLab
from redislab.labs.outside import OutsideWriter, missing_program
from redislab.labs.writer import Write, explain, values_of
from tests.clients.conftest import PROGRAM

# A machine that is busy lets a node wait; with one second Sentinels take it for down.
TIMES = {"down_after_ms": 2000, "failover_timeout_ms": 6000}
BOTH = {"password": "data", "sentinel_password": "watch"}
PATIENCE_SECONDS = 90
# What ioredis is told; it waits for a new master as long as that takes.
WORDS = {"password": "data", "sentinelPassword": "watch", "maxRetriesPerRequest": None}

needs_redis = pytest.mark.skipif(
    not (shutil.which("redis-server") and shutil.which("redis-sentinel")),
    reason="no redis-server or no redis-sentinel",
)


def real(where, name):
    return pytest.param(where, id=name, marks=[pytest.mark.redis, needs_redis])


COMPANIES = [
    pytest.param({"world": "live"}, id="ours"),
    real({"world": "redis"}, "real"),
    real({"world": "live", "real_servers": [0], "real_sentinels": [1, 2]}, "mixed"),
]


def finder(lab: SentinelLab, kind: Any = redis.sentinel.Sentinel, **options: Any) -> Any:
    """What a program has: the addresses of the Sentinels, and the two passwords."""
    return kind(
        [(each.host, each.port) for each in lab.sentinels],
        sentinel_kwargs={"password": "watch", "socket_timeout": 0.5},
        **{"password": "data", "socket_timeout": 1.0, **options},
    )


class BlockingWriter:
    """Writes numbered keys in a thread, with redis-py's blocking client as it comes."""

    def __init__(self, lab: SentinelLab) -> None:
        self.writes: list[Write] = []
        self._lab = lab
        self._names = {(each.host, each.port): each.name for each in lab.servers}
        self._client = finder(lab).master_for(lab.service)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._client.close()

    def lost(self) -> list[Any]:
        wanted = [write for write in self.writes if write.acknowledged]
        reader = self._lab.client(decode_responses=True)
        found = values_of(reader, [write.key for write in wanted])
        reigns = self._lab.reigns()
        return [
            explain(write, reigns)
            for write, value in zip(wanted, found, strict=True)
            if value != str(write.number)
        ]

    def _run(self) -> None:
        while not self._is_over.wait(0.02):
            number = len(self.writes)
            write = Write(f"blocking:{number}", number, self._lab.now)
            try:
                write.acknowledged = bool(self._client.set(write.key, number))
                write.node = self._names[self._client.connection_pool.master_address]
            except redis.RedisError as failure:
                write.error = repr(failure)
            write.ended = self._lab.now
            self.writes.append(write)


def wait_for(writer: Any, node: str, lab: SentinelLab) -> None:
    """Wait until a server has acknowledged what a client writes, and go on for a moment."""
    deadline = lab.now + PATIENCE_SECONDS
    while not any(write.node == node for write in list(writer.writes)):
        assert lab.now < deadline, f"no write comes to {node}"
        lab.run_for(0.1)
    lab.run_for(0.2)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.node
@pytest.mark.xdist_group("ioredis")
@pytest.mark.parametrize("where", COMPANIES)
def test_every_client_follows_and_every_write_is_accounted_for(where, ioredis):
    with SentinelLab(seed=7, **TIMES, **BOTH, **where) as lab:
        writers = {
            "blocking": BlockingWriter(lab),
            "asyncio": lab.writer(rate=40),
            "ioredis": OutsideWriter(lab, PROGRAM, WORDS),
            "alert": OutsideWriter(lab, PROGRAM, WORDS | {"failoverDetector": True}, name="alert"),
        }
        lab.run_for(1)
        killed_at = lab.now
        lab.kill("redis-1")
        now = lab.wait_until(lambda now: now.master.up, timeout=PATIENCE_SECONDS)
        heir = now.named
        for writer in writers.values():
            wait_for(writer, heir, lab)
        for writer in writers.values():
            writer.stop()
        for name, writer in writers.items():
            good = [write for write in writer.writes if write.acknowledged]
            assert {write.node for write in good} == {"redis-1", heir}, name
            assert {write.ended is None for write in writer.writes[:-1]} == {False}, name
            # Nothing was lost in a way that replication does not explain.
            reasons = {each.reason for each in writer.lost()}
            assert reasons <= {"asynchronous replication"}, name
        told = [write.error for write in writers["blocking"].writes if write.error]
        assert any("ConnectionError" in error for error in told)
        assert all(write.ended > killed_at for write in writers["blocking"].writes if write.error)
        # ioredis keeps what it could not send, and its program sees a write that takes long.
        for name in ("ioredis", "alert"):
            assert writers[name].failed == []
            longest = max(writers[name].acknowledged, key=lambda write: write.ended - write.sent)
            assert longest.node == heir


@pytest.mark.slow
@pytest.mark.node
@pytest.mark.xdist_group("ioredis")
def test_only_who_is_told_leaves_a_master_that_hangs(ioredis):
    """ioredis waits for a reply without end, unless it listens to the Sentinels."""
    with SentinelLab(world="live", seed=7, **TIMES, **BOTH) as lab:
        plain = OutsideWriter(lab, PROGRAM, WORDS, name="plain")
        alert = OutsideWriter(lab, PROGRAM, WORDS | {"failoverDetector": True}, name="alert")
        lab.run_for(0.5)
        lab.pause("redis-1")
        now = lab.wait_until(
            lambda now: now.named != "redis-1" and now.master.up, timeout=PATIENCE_SECONDS
        )
        wait_for(alert, now.named, lab)
        plain.stop()
        alert.stop()
        assert {write.node for write in plain.writes} == {"redis-1"}
        assert {write.node for write in alert.acknowledged} == {"redis-1", now.named}
        assert {event.kind for event in plain.events} == {"ready"}
        assert "reconnecting" in {event.kind for event in alert.events}


def test_a_program_that_lacks_something_says_what(tmp_path: Path) -> None:
    script = tmp_path / "writer.cjs"
    script.touch()
    expected = "npm ci" if shutil.which("node") else "Node.js"
    assert expected in missing_program(script)
    with SentinelLab(replicas=0, sentinels=1, ready=False) as lab:
        with pytest.raises(RuntimeError, match=expected):
            OutsideWriter(lab, script)
        (tmp_path / "node_modules").mkdir()
        if shutil.which("node"):
            script.write_text("console.error('no such thing'); process.exit(3)")
            with pytest.raises(RuntimeError, match="no such thing"):
                OutsideWriter(lab, script)


# -- what redis-py does, as the book tells it ------------------------------------------------------


def test_who_comes_from_a_sentinel_does_not_repeat() -> None:
    for kind in (redis.sentinel.Sentinel, redis.asyncio.sentinel.Sentinel):
        client = kind([("127.0.0.1", 1)]).master_for("m")
        assert client.connection_pool.make_connection().retry.get_retries() == 0
    assert redis.Redis().connection_pool.make_connection().retry.get_retries() == 10


class Caller:
    """Two writes in a thread, the first of which is under way when the master dies.

    Attributes:
        calls: what each returned or raised, and when that was.
    """

    def __init__(self, lab: SentinelLab) -> None:
        self.calls: list[tuple[Any, float]] = []
        self.lab = lab
        self.is_connected, self.may_write = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        retry = Retry(ConstantBackoff(0.25), 24)
        client = finder(self.lab, retry=retry, socket_timeout=None).master_for(self.lab.service)
        client.ping()
        self.wait()
        for number in range(2):
            try:
                self.note(client.set("city", number))
            except redis.RedisError as failure:
                self.note(failure)
        client.close()

    def wait(self) -> None:
        self.is_connected.set()
        self.may_write.wait()

    def note(self, result: object) -> None:
        self.calls.append((result, self.lab.now))


class AsyncCaller(Caller):
    """The same with asyncio."""

    def run(self) -> None:
        asyncio.run(self.call())

    async def call(self) -> None:
        retry = AsyncRetry(ConstantBackoff(0.25), 24)
        kind = redis.asyncio.sentinel.Sentinel
        found = finder(self.lab, kind, retry=retry, socket_timeout=None)
        client = found.master_for(self.lab.service)
        await client.ping()
        self.wait()
        for number in range(2):
            try:
                self.note(await client.set("city", number))
            except redis.RedisError as failure:
                self.note(failure)
        for each in (client, *found.sentinels):
            await each.aclose()


@pytest.mark.slow
@pytest.mark.redis
@needs_redis
def test_a_command_is_repeated_at_the_address_where_it_began():
    """Its repetitions knock at the dead server's door; the next command asks the Sentinels."""
    with SentinelLab(world="redis", seed=7, **TIMES, **BOTH) as lab:
        callers = [Caller(lab), AsyncCaller(lab)]
        assert all(each.is_connected.wait(10) for each in callers)
        lab.pause("redis-1")
        for each in callers:
            each.may_write.set()
        lab.run_for(0.5)
        lab.kill("redis-1")
        lab.wait_until(lambda now: now.master.up, timeout=PATIENCE_SECONDS)
        crowned_at = lab.now
        for each in callers:
            each.thread.join()
            (first, ended_at), (second, _) = each.calls
            assert isinstance(first, redis.ConnectionError)
            assert ended_at > crowned_at
            assert second is True
