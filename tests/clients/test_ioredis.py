"""ioredis, the client that most JavaScript programs use, unchanged, against our server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import our_server

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "ioredis"
VERSION = "5.4.2"

pytestmark = [pytest.mark.node, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def ioredis() -> Path:
    """The folder of npm's ioredis, fetched once; without node this is skipped, but not in CI."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("node and npm are needed for the ioredis test")
        pytest.skip("no node or npm here")
    folder = CACHE / "node_modules" / "ioredis"
    manifest = folder / "package.json"
    if not manifest.exists() or json.loads(manifest.read_text())["version"] != VERSION:
        CACHE.mkdir(parents=True, exist_ok=True)
        words = ["npm", "install", "--no-audit", "--no-fund", f"ioredis@{VERSION}"]
        subprocess.run(words, cwd=CACHE, check=True, capture_output=True)
    return folder


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
