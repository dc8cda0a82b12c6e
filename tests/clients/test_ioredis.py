"""ioredis, the client that most JavaScript programs use, unchanged, against our server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.servers import our_server

# Whoever fetches ioredis does it for all.
pytestmark = [pytest.mark.node, pytest.mark.timeout(180), pytest.mark.xdist_group("ioredis")]


def test_a_program_with_ioredis_runs(ioredis: Path) -> None:
    program = Path(__file__).parent / "ioredis_talk.cjs"
    with our_server() as ours:
        words = ["node", str(program), str(ioredis), str(ours.port)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "set": "OK",
        "get": "hello",
        "binary": [0, 13, 10, 255],
        "hash": {"a": "1", "b": "2"},
        "error": "WRONGTYPE Operation against a key holding the wrong kind of value",
        "transaction": [[None, 1], [None, 2]],
        "pipeline": [[None, "2"], [None, None]],
        "message": ["news", "it works"],
        "popped": [["queue", "job"], 1],
    }
