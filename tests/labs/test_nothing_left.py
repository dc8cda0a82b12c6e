"""No port, thread, process or temporary directory outlives a lab."""

import asyncio
import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from redislab import SingleLab
from redislab.worlds.base import NodeSpec, WorldError
from tests.labs.pair import KINDS, Pair

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")
WORLDS = ["sim", "live", pytest.param("redis", marks=[pytest.mark.redis, needs_redis])]


KILLED = """
import time
from redislab import SingleLab
from tests.labs.pair import Pair
lab = {make}
node = next(iter(lab.nodes.values()))
pid = lab._world.process_id(node.name) if "{world}" == "redis" else 0
lab.put_files({{"dump.rdb": b""}}, node)
print(node.port, pid, lab._world.directory, flush=True)
time.sleep(60)
"""


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def runs(pid):
    try:
        # The word after the program's name, which is in brackets, is Z for one that has ended.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("redislab")]


@pytest.mark.parametrize("world", WORLDS)
def test_leaving_the_block_leaves_nothing(world):
    with SingleLab(world=world) as lab:
        lab.client().ping()
        lab.delay("client", lab.node, 0.0)
        port, directory = lab.node.port, getattr(lab._world, "directory", None)
    assert not listens(port)
    assert not threads()
    assert directory is None or not directory.exists()


@pytest.mark.parametrize("world", WORLDS)
def test_a_lab_that_is_let_go_closes(world):
    lab = SingleLab(world=world)
    lab.client().ping()
    port = lab.node.port
    del lab
    gc.collect()
    assert not listens(port)
    assert not threads()


@pytest.mark.parametrize("world", WORLDS)
def test_an_interrupt_leaves_a_lab_that_closes(world, monkeypatch):
    with SingleLab(world=world) as lab:
        client = lab.client(socket_timeout=None)
        previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            with pytest.raises(KeyboardInterrupt):
                client.blpop("nothing", timeout=0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        assert lab.client().ping()
        port = lab.node.port
    assert not listens(port)
    assert not threads()


def break_it(lab):
    """Leave everything half done: connections open, something cut, held, killed and written."""
    clients = [lab.client(name) for name in lab.nodes]
    for client in clients:
        client.ping()
    lab.reaches("one", "two")
    lab.put_files({"sub/file": b"x"}, "one")
    lab.delay("one", "two", 0.05)
    lab.cut("client", "one")
    lab.kill("two")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", ["whole", "broken", "paused"])
def test_two_nodes_and_all_that_is_between_them_leave_nothing(kind, state):
    with Pair(kind) as lab:
        if state == "broken":
            break_it(lab)
        elif state == "paused":
            lab.pause("one")
            lab.client("two").ping()
        known = [(handle.host, handle.port) for handle in lab.nodes.values()]
        own = [lab._world.direct(name) for name in lab.nodes]
        directory = getattr(lab._world, "directory", None)
        if directory is not None:
            assert directory.exists()
    for host, port in [*known, *own]:
        with socket.socket() as probe:
            assert probe.connect_ex((host, port)) != 0
    assert not threads()
    assert directory is None or not directory.exists()


@pytest.mark.redis
@needs_redis
def test_a_node_that_cannot_start_leaves_nothing():
    lab = Pair("redis")
    directory = lab._world.directory
    with pytest.raises(WorldError, match="nosuchdirective"):
        lab._start(NodeSpec("three", {"nosuchdirective": "1"}))
    assert lab.closed
    assert not threads()
    assert not directory.exists()


def test_a_live_node_has_a_directory_and_loses_it():
    with SingleLab(world="live") as lab:
        directory = lab._world.directory
        assert lab.client().config_get("dir") == {"dir": str(directory / lab.node.name)}
        assert [path.name for path in (directory / lab.node.name).iterdir()] == ["redis.conf"]
        assert lab.files() == {}
        lab.put_files({"dump.rdb": b"REDIS"})
        assert lab.files() == {"dump.rdb": b"REDIS"}
    assert not directory.exists()


@pytest.mark.redis
@needs_redis
@pytest.mark.parametrize(
    ("world", "make"),
    [
        ("redis", "SingleLab('redis')"),
        ("redis", "Pair('redis')"),
        ("live", "SingleLab('live')"),
    ],
)
def test_a_killed_parent_takes_its_servers_and_its_directory_along(world, make):
    code = KILLED.format(world=world, make=make)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment
    ) as parent:
        port, pid, directory = parent.stdout.readline().decode().split()
        assert listens(int(port))
        parent.kill()
    ends = time.monotonic() + 10
    left = {"something"}
    while left and time.monotonic() < ends:
        time.sleep(0.05)
        left = {
            what
            for what, there in {
                "port": listens(int(port)),
                "directory": Path(directory).exists(),
                "process": pid != "0" and runs(pid),
            }.items()
            if there
        }
    assert left == set()


def test_a_lab_works_inside_a_running_loop_and_puts_it_back():
    async def cell():
        task = asyncio.current_task()
        with SingleLab(world="sim") as lab:
            client = lab.client()
            client.set("a", 1)

            async def work():
                return await lab.async_client().get("a")

            assert lab.run(work()) == b"1"
        assert asyncio.current_task() is task
        await asyncio.sleep(0)
        return "on"

    assert asyncio.run(cell()) == "on"
