"""The two servers that tests hold against each other: a real redis-server, and ours.

Both are addressed by host and port and spoken to over plain sockets, so that nothing stands between
a test and the bytes.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from redislab.wire.replies import Reply, ReplyParser
from redislab.worlds.ports import free_port

HOST = "127.0.0.1"
# The worlds that a lab can be in, as parameters of a test.
WORLDS = [
    "sim",
    "live",
    pytest.param(
        "redis",
        marks=[
            pytest.mark.redis,
            pytest.mark.skipif(
                not shutil.which("redis-server"), reason="redis-server is not installed"
            ),
        ],
    ),
]
# One that cannot start ends at once; one that is left waiting by a busy machine takes its time.
START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Address:
    """Where a server listens, and its process."""

    port: int
    process: subprocess.Popen[bytes]
    host: str = HOST


@contextlib.contextmanager
def started(argv: list[str], port: int) -> Iterator[Address]:
    """Run a server until the block ends; wait until it accepts connections."""
    with tempfile.TemporaryDirectory(prefix="redislab-test-") as folder:
        log = Path(folder) / "server.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(argv, cwd=folder, stdout=sink, stderr=sink)
        try:
            _await_port(process, port, log)
            yield Address(port, process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 0.2):
            return
        time.sleep(0.02)
    pytest.fail(f"{process.args!r} did not start:\n{log.read_text(errors='replace')}")


@contextlib.contextmanager
def real_server(*options: str) -> Iterator[Address]:
    """A real redis-server 7.0 without persistence."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian package redis-server)")
    port = free_port()
    argv = [program, "--port", str(port), "--save", "", "--enable-debug-command", "yes", *options]
    with started(argv, port) as address:
        yield address


@contextlib.contextmanager
def our_server(*options: str) -> Iterator[Address]:
    """Our server, in a process of its own, with the same options."""
    port = free_port()
    argv = [sys.executable, "-m", "redislab", "server", "--port", str(port), "--save", ""]
    with started([*argv, "--enable-debug-command", "yes", *options], port) as address:
        yield address


class Wire:
    """A bare connection: requests out as they are given, typed replies in."""

    def __init__(self, address: Address, protocol: int = 2, timeout_s: float = 10.0) -> None:
        self.socket = socket.create_connection((address.host, address.port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._parser = ReplyParser()
        self._replies: list[Reply] = []
        if protocol == 3:
            self.call(b"HELLO", b"3")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *words: bytes) -> None:
        """Send one request."""
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
        self.socket.sendall(b"".join(parts))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def read(self) -> Reply:
        """The next reply, or message.

        Raises:
            TimeoutError: none came in time.
            ConnectionError: the server closed the connection.
        """
        while not self._replies:
            data = self.socket.recv(65536)
            if not data:
                message = "the server closed the connection"
                raise ConnectionError(message)
            self._replies += self._parser.feed(data)
        return self._replies.pop(0)

    def call(self, *words: bytes) -> Reply:
        """Send one request and read its reply."""
        self.send(*words)
        return self.read()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()
