"""A script that takes long while an append-only file is replayed: what everybody else is told.

Redis from before 7.0 wrote scripts as such to its append-only file.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from redislab.wire.resp import request
from tests.persistence.programs import KINDS, Kind, Server

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]

OPTIONS = ("--save", "", "--appendonly", "yes", "--busy-reply-threshold", "20")
SLOW = b"redis.call('SET', KEYS[1], 'y'); local n = 0; for i = 1, %d do n = n + i end; return n"
TURNS = {"ours": 150_000_000, "real": 150_000_000}  # a second or so each
# What is told before the data are there: LOADING by most commands, BUSY by those that are served
# while data are loaded, and nothing but that can be done about the script.
ASKED = {
    "GET x": "LOADING",
    "PING": "LOADING",
    "EVAL return 0": "LOADING",
    "SCRIPT KILL": "LOADING",
    "FUNCTION KILL": "LOADING",
    "INFO": "BUSY",
    "CONFIG GET save": "BUSY",
    "DISCARD": "ERR",  # without MULTI, as ever
    "SHUTDOWN": "BUSY",
}


def with_slow_script(kind: Kind, folder: Path, *, in_transaction: bool) -> Server:
    """A server that has begun to load a file with a slow script, which it has noticed."""
    script = request((b"EVAL", SLOW % TURNS[kind], b"1", b"x"))
    if in_transaction:
        script = request((b"MULTI",)) + script + request((b"EXEC",))
    (folder / "appendonly.aof").write_bytes(
        request((b"SELECT", b"0"))
        + request((b"SET", b"before", b"1"))
        + script
        + request((b"INCR", b"before"))
    )
    found = Server(kind, folder, list(OPTIONS))
    found.launch()
    deadline = time.monotonic() + 20
    while "Slow script detected" not in found.log():
        assert time.monotonic() < deadline, found.log()
        time.sleep(0.01)
    return found


@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_others_are_answered(kind, in_transaction, tmp_path):
    found = with_slow_script(kind, tmp_path, in_transaction=in_transaction)
    try:
        told = {}
        with found.wire() as wire:
            for line in ASKED:
                reply = wire.call(*line.encode().split())
                told[line] = (reply.text or b"").split()[0].decode()
        assert told == ASKED
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                if found.call("PING").text == b"PONG":
                    break
            assert time.monotonic() < deadline, found.log()
            time.sleep(0.05)
        assert (found.text("GET", "x"), found.text("GET", "before")) == ("y", "2")
        assert found.text("EVAL", "return 7", "0") == "7"
        assert "Slow script detected: still in execution after " in found.log()
    finally:
        found.kill()


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_be_ended(kind, tmp_path):
    """The file is what it was, and nothing else can end the script."""
    found = with_slow_script(kind, tmp_path, in_transaction=False)
    try:
        with contextlib.suppress(ConnectionError):
            found.call("SHUTDOWN", "NOSAVE")
        assert found.process is not None
        assert found.process.wait(20) == 0
    finally:
        found.kill()
    (file,) = (tmp_path / "appendonlydir").glob("appendonly.aof")
    assert b"before" in file.read_bytes()
