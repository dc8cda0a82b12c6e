"""A restarted node finds its data, in all three worlds, as its configuration says."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
import redis

from redislab import SingleLab
from redislab.worlds.base import WorldError
from tests.persistence.programs import KINDS, Kind, server
from tests.servers import WORLDS

AOF = {"save": "", "appendonly": "yes", "appendfsync": "always"}


@pytest.mark.parametrize("world", WORLDS)
def test_a_killed_node_has_what_was_saved(world: str) -> None:
    with SingleLab(world) as lab:
        client = lab.client(decode_responses=True)
        client.set("saved", "1")
        client.rpush("list", *range(100))
        assert client.save()
        client.set("not saved", "1")
        lab.kill()
        assert list(lab.files()) == ["dump.rdb"]
        lab.restart()
        assert client.get("saved") == "1"
        assert client.llen("list") == 100
        assert client.get("not saved") is None
        lab.restart(wipe=True)
        assert client.dbsize() == 0


@pytest.mark.parametrize("world", WORLDS)
def test_a_killed_node_with_an_append_only_file_has_everything(world: str) -> None:
    with SingleLab(world, config=AOF) as lab:
        client = lab.client(decode_responses=True)
        for number in range(20):
            client.set(f"key{number}", number)
        assert client.bgrewriteaof()
        lab.wait_until(lambda _: not client.info("persistence")["aof_rewrite_in_progress"], 10)
        client.set("after", "the rewrite")
        lab.kill()
        lab.restart()
        assert client.dbsize() == 21
        client.set("and after", "the restart")
        lab.kill()
        lab.restart()
        assert client.dbsize() == 22
        assert sorted(lab.files()) == [
            "appendonlydir/appendonly.aof.2.base.rdb",
            "appendonlydir/appendonly.aof.2.incr.aof",
            "appendonlydir/appendonly.aof.manifest",
        ]


@pytest.mark.parametrize("world", WORLDS)
def test_a_node_that_is_shut_down_saves(world: str) -> None:
    with SingleLab(world) as lab:
        client = lab.client(decode_responses=True)
        client.set("a", "1")
        client.shutdown()
        assert lab.wait_until(lambda now: not now.node.up, 10)
        assert list(lab.files()) == ["dump.rdb"]
        lab.restart()
        assert client.get("a") == "1"
        client.set("a", "2")
        client.shutdown(nosave=True)
        lab.wait_until(lambda now: not now.node.up, 10)
        lab.restart()
        assert client.get("a") == "1"


@pytest.mark.parametrize("world", WORLDS)
def test_a_lab_says_why_a_node_does_not_start(world: str) -> None:
    with SingleLab(world, config=AOF) as lab:
        client = lab.client(decode_responses=True)
        client.set("a", "1")
        lab.kill()
        name = "appendonlydir/appendonly.aof.1.incr.aof"
        lab.put_files({name: lab.files()[name] + b"!!!\r\n"})
        with pytest.raises(WorldError, match="Bad file format reading the append only file"):
            lab.restart()
        assert lab.files()[name].endswith(b"!!!\r\n")
        lab.put_files({name: lab.files()[name][:-5]})
        lab.restart()
        assert client.get("a") == "1"


def test_power_takes_what_no_fsync_has_covered() -> None:
    lost = {}
    for policy in ("always", "everysec", "no"):
        config = {"save": "", "appendonly": "yes", "appendfsync": policy}
        with SingleLab("sim", seed=11, config=config) as lab:
            client = lab.client()
            written = 0
            while lab.now < 5.5:
                client.incr("counter")
                written += 1
                lab.run_for(0.01)
            lab.power_off(kept=0.0)
            lab.restart()
            lost[policy] = written - int(client.get("counter") or 0)
    assert lost["always"] == 0
    assert 0 < lost["everysec"] <= 60
    assert lost["no"] > 400


def test_a_whole_history_is_the_same_each_time() -> None:
    def history() -> str:
        with SingleLab("sim", seed=5, config={"save": "1 3", "appendonly": "yes"}) as lab:
            client = lab.client()
            for number in range(60):
                client.set(f"key{number}", number)
                client.bgrewriteaof() if number == 20 else lab.run_for(0.1)
            lab.power_off()
            lab.restart()
            return lab.journal.to_json() + lab.log() + repr(lab.files())

    assert history() == history()


def test_nodes_that_stop_while_they_write_leave_nothing_running() -> None:
    config = {"save": "", "appendonly": "yes", "rdb-key-save-delay": "100000"}
    for act in ("kill", "close"):
        with SingleLab("live", config=config) as lab:
            client = lab.client()
            for number in range(50):
                client.set(f"key{number}", number)
            client.bgrewriteaof()
            assert client.info("persistence")["aof_rewrite_in_progress"] == 1
            if act == "kill":
                lab.kill()
                assert any("temp-rewriteaof" in name for name in lab.files())
                lab.restart()
                assert client.dbsize() == 50


@pytest.mark.redis
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_word_a_server_saves_in_its_working_directory(kind: Kind, tmp_path: Path) -> None:
    with server(kind, tmp_path) as one:
        one.start()
        assert one.text("CONFIG", "GET", "save") == ""  # of an array
        assert one.info("rdb_changes_since_last_save") == "0"
        one.call("SET", "a", "1")
        assert one.stop(signal.SIGTERM) == 0
        assert (tmp_path / "dump.rdb").exists()
        assert not (tmp_path / "appendonlydir").exists()
        one.start()
        assert one.text("GET", "a") == "1"
        one.call("SET", "a", "2")
        with pytest.raises(ConnectionError):
            one.call("SHUTDOWN", "NOSAVE")
        assert one.process is not None
        assert one.process.wait(20) == 0
        one.start()
        assert one.text("GET", "a") == "1"


def test_clients_are_told_loading_while_a_node_loads() -> None:
    with SingleLab("sim", config={"save": "3600 1", "key-load-delay": "20000"}) as lab:
        client = lab.client(decode_responses=True)
        for number in range(100):
            client.set(f"key{number}", "x" * 500)
        client.save()
        seen: list[tuple[int, bool]] = []

        async def look() -> None:
            other = lab.async_client(decode_responses=True)
            with pytest.raises(redis.BusyLoadingError, match="Redis is loading the dataset in mem"):
                await other.get("key1")
            info = await other.info("persistence")
            seen.append((info["loading"], info["loading_loaded_perc"] > 0))

        tasks = []
        lab.after(0.7, lambda: tasks.append(asyncio.get_running_loop().create_task(look())))
        lab.restart()
        assert tasks[0].done()
        assert tasks[0].exception() is None
        assert seen == [(1, True)]
        assert client.dbsize() == 100
