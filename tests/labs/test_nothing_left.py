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

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")
WORLDS = ["sim", "live", pytest.param("redis", marks=[pytest.mark.redis, needs_redis])]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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


@pytest.mark.redis
@needs_redis
def test_a_killed_parent_takes_its_servers_along():
    code = (
        "from redislab import SingleLab\nimport time\n"
        "lab = SingleLab(world='redis')\n"
        "print(lab.node.port, lab._world.process_id(lab.node.name), lab._world.directory,"
        " flush=True)\ntime.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment
    ) as parent:
        port, pid, directory = parent.stdout.readline().decode().split()
        assert listens(int(port))
        parent.kill()
    ends = time.monotonic() + 10
    while time.monotonic() < ends and (Path(directory).exists() or listens(int(port))):
        time.sleep(0.05)
    assert not listens(int(port))
    assert not Path(directory).exists()
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


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
