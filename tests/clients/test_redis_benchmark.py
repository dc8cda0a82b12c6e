"""redis-benchmark, unchanged, against our server."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.servers import our_server

pytestmark = pytest.mark.redis


def test_every_default_test_runs() -> None:
    program = shutil.which("redis-benchmark")
    if program is None:
        pytest.skip("redis-benchmark is not installed (Debian package redis-tools)")
    with our_server() as ours:
        argv = [program, "-p", str(ours.port), "-n", "200", "-c", "5", "--csv"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    names = [line.split(",")[0].strip('"') for line in done.stdout.splitlines()[1:]]
    assert names[:4] == ["PING_INLINE", "PING_MBULK", "SET", "GET"]
    assert len(names) == 20
    assert "error" not in done.stderr.lower()
