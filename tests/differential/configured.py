"""What the tests of the configuration share: programs with a file, and CONFIG GET's reply."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redislab.wire.replies import Reply
from tests.servers import Address, free_port, started

OUR_PROGRAM = [sys.executable, "-m", "redislab", "server"]
# Directives whose values depend on where a server runs.
ELSEWHERE = {"port", "bind", "dir"}


def real_program() -> str:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian package redis-server)")
    return program


@contextlib.contextmanager
def from_file(program: list[str], path: Path, *options: str) -> Iterator[Address]:
    """A server with a configuration file, and options after it."""
    port = free_port()
    with started([*program, str(path), "--port", str(port), *options], port) as address:
        yield address


def table(reply: Reply) -> dict[bytes, bytes]:
    texts = [item.text or b"" for item in reply.items or ()]
    return dict(zip(texts[::2], texts[1::2], strict=True))
