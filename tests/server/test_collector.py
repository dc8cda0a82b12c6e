"""Python's collector in a server: it is off, for connections leave no cycles behind."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from redislab import SingleLab
from redislab.server import collector
from redislab.server.client import Client
from redislab.server.session import Session


def alive() -> tuple[int, int]:
    """How many clients and sessions there are, whether in use or not."""
    everything = gc.get_objects()
    return tuple(sum(type(each) is kind for each in everything) for kind in (Client, Session))


@pytest.mark.parametrize(
    "commands",
    [
        [("PING",)],
        [("SUBSCRIBE", "c"), ("PSUBSCRIBE", "p*")],
        [("WATCH", "k"), ("MULTI",), ("SET", "k", "1")],
        [("CLIENT", "TRACKING", "ON")],
        [("MONITOR",)],
        [("NO SUCH COMMAND",), ("GET",)],
    ],
)
def test_a_closed_connection_is_gone_at_once(commands):
    with SingleLab(world="sim") as lab:
        lab.cli("PING")
        gc.collect()
        gc.disable()
        try:
            before = alive()
            for _ in range(5):
                lab.exchange(b"".join(b" ".join(w.encode() for w in c) + b"\r\n" for c in commands))
                lab.run_for(1)
            assert alive() == before
        finally:
            gc.enable()


def test_it_collects_once_a_second():
    was_enabled = gc.isenabled()
    try:
        run = collector.take_over(hz=3)
        assert not gc.isenabled()
        frozen = gc.get_freeze_count()
        kept = [[] for _ in range(1000)]
        run()
        run()
        assert gc.get_freeze_count() <= frozen
        run()
        assert gc.get_freeze_count() >= frozen + len(kept)
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def test_a_program_is_loaded_without_numpy_which_is_to_be_had_afterwards():
    pytest.importorskip("numpy")
    code = (
        "import gc, sys\n"
        "from redislab import cli\n"
        "assert cli.main(['server', '--version']) == 0\n"
        "assert 'fakeredis' in sys.modules and 'numpy' not in sys.modules and gc.isenabled()\n"
        "import numpy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL)
    assert done.returncode == 0
