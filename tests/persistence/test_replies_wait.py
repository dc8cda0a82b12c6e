"""No reply leaves before the file has what it is about; none is lost or out of turn for that."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from redislab import SingleLab
from tests.persistence.programs import server

ALWAYS = {"save": "", "appendonly": "yes", "appendfsync": "always"}
EVERYSEC = ALWAYS | {"appendfsync": "everysec"}
INCREMENT = "*.incr.aof"


def syncs(lab: SingleLab) -> int:
    """How many fsyncs of the increment there were since they have been watched."""
    return sum(event.kind == "disk" and "sync" in event.detail for event in lab.events)


def test_under_always_a_reply_leaves_after_the_fsync() -> None:
    with SingleLab("sim", config=ALWAYS) as lab:
        client = lab.client()
        client.set("a", 1)
        lab.disk().inject("sync", INCREMENT, seconds=1.0)
        began = lab.now
        client.set("a", 2)
        assert 1.0 <= lab.now - began < 1.1
        began = lab.now
        assert client.get("a") == b"2"
        assert lab.now - began < 0.1


def test_whoever_may_have_seen_a_change_waits_for_it_too() -> None:
    async def ask(lab: SingleLab) -> dict[str, float]:
        writer, reader, other = (lab.async_client() for _ in range(3))
        await asyncio.gather(writer.ping(), reader.ping(), other.ping())
        lab.disk().inject("sync", INCREMENT, seconds=1.0)
        began = lab.now
        took: dict[str, float] = {}

        async def timed(name: str, call: Any) -> Any:
            reply = await call
            took[name] = lab.now - began
            return reply

        async def later() -> None:
            await asyncio.sleep(0.3)
            assert await timed("get", reader.get("a")) == b"1"

        async def even_later() -> None:
            await asyncio.sleep(0.5)
            assert await timed("incr", other.incr("a")) == 2

        await asyncio.gather(timed("set", writer.set("a", 1)), later(), even_later())
        return took

    with SingleLab("sim", config=ALWAYS) as lab:
        took = lab.run(ask(lab))
    assert 1.0 <= took["set"] < 1.1
    assert 1.0 <= took["get"] < 1.1
    assert took["incr"] > took["set"]  # it had to wait for the next one


def test_many_clients_share_an_fsync() -> None:
    async def load(lab: SingleLab) -> None:
        clients = [lab.async_client() for _ in range(40)]
        await asyncio.gather(*(client.ping() for client in clients))
        lab.disk().inject("sync", INCREMENT, seconds=0.0, times=None)
        for _ in range(5):
            await asyncio.gather(*(client.incr("n") for client in clients))

    with SingleLab("sim", config=ALWAYS) as lab:
        lab.run(load(lab))
        assert lab.client().get("n") == b"200"
        assert 5 <= syncs(lab) <= 40
        lab.power_off(kept=0.0)
        lab.restart()
        assert lab.client().get("n") == b"200"


@pytest.mark.parametrize("config", [ALWAYS, EVERYSEC], ids=["always", "everysec"])
def test_replies_come_in_their_order(config: dict[str, str]) -> None:
    with SingleLab("sim", config=config) as lab:
        raw = b"".join(b"SET k%d v\r\nGET k%d\r\nPING\r\n" % (n, n) for n in range(50))
        assert lab.exchange(raw) == b"+OK\r\n$1\r\nv\r\n+PONG\r\n" * 50
        subscriber = lab.client().pubsub()
        subscriber.subscribe("channel")
        assert subscriber.get_message(timeout=1)["type"] == "subscribe"
        said = lab.exchange(b"SET a 1\r\nPUBLISH channel one\r\nSET a 2\r\nPUBLISH channel two\r\n")
        assert said == b"+OK\r\n:1\r\n+OK\r\n:1\r\n"
        assert [subscriber.get_message(timeout=1)["data"] for _ in range(2)] == [b"one", b"two"]


@pytest.mark.parametrize("config", [ALWAYS, EVERYSEC], ids=["always", "everysec"])
def test_a_connection_that_ends_has_had_its_replies(config: dict[str, str]) -> None:
    with SingleLab("sim", config=config) as lab:
        assert lab.exchange(b"SET a 1\r\nQUIT\r\nSET a 2\r\n") == b"+OK\r\n+OK\r\n"
        assert lab.exchange(b"SET a 3\r\n*x\r\n").startswith(b"+OK\r\n-ERR Protocol error")
        assert lab.client().get("a") == b"3"
        assert "Traceback" not in lab.log()


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_who_hangs_up_after_asking_is_answered(policy: str, tmp_path: Path) -> None:
    options = ("--save", "", "--appendonly", "yes", "--appendfsync", policy)
    with server("ours", tmp_path, *options) as one:
        one.start()
        for number in range(20):
            with socket.create_connection(("127.0.0.1", one.port), 5) as connection:
                connection.sendall(b"INCR n\r\nPING\r\n")
                connection.shutdown(socket.SHUT_WR)
                said = b""
                while piece := connection.recv(100):
                    said += piece
                assert said == b":%d\r\n+PONG\r\n" % (number + 1)
        one.kill()
        assert "Traceback" not in one.log()
        one.start()
        assert one.text("GET", "n") == "20"


def test_flushall_waits_until_the_file_is_empty_too() -> None:
    with SingleLab("sim", config={"save": "3600 1"}) as lab:
        client = lab.client()
        client.set("a", 1)
        client.save()
        lab.disk().inject("sync", "temp-*.rdb", seconds=1.0)
        began = lab.now
        client.flushall()
        assert 1.0 <= lab.now - began < 1.2
        lab.power_off(kept=0.0)
        lab.restart()
        assert lab.client().dbsize() == 0


def test_debug_sleep_and_a_save_go_on_side_by_side() -> None:
    config = {"save": "", "rdb-key-save-delay": "100000", "enable-debug-command": "yes"}
    with SingleLab("sim", config=config) as lab:
        client = lab.client(socket_timeout=None)
        for number in range(10):
            client.set(str(number), "x")
        client.bgsave()
        began = lab.now
        client.execute_command("DEBUG", "SLEEP", "3")
        assert lab.now - began >= 3
        assert client.info("persistence")["rdb_bgsave_in_progress"] == 0
        assert list(lab.files()) == ["dump.rdb"]
