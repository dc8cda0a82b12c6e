"""The servers that are measured, each in a process of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from redislab.worlds.ports import free_port

HOST = "127.0.0.1"
START_TIMEOUT_S = 20.0

FAKEREDIS = """
import sys
from fakeredis import TcpFakeServer
server = TcpFakeServer(("127.0.0.1", int(sys.argv[1])), server_type="redis")
server.daemon_threads = True
server.serve_forever()
"""


class MissingError(Exception):
    """A program that a row needs is not there; the message names it."""


def program(name: str) -> str:
    """The path of a program."""
    path = shutil.which(name)
    if path is None:
        raise MissingError(f"{name} is not installed")
    return path


@contextlib.contextmanager
def real(*options: str) -> Iterator[tuple[int, int]]:
    """A real redis-server, without persistence unless options say so: its port and process id."""
    port = free_port()
    argv = [program("redis-server"), "--port", str(port), "--save", "", *options]
    with _started(argv, port) as pid:
        yield port, pid


@contextlib.contextmanager
def ours(*options: str) -> Iterator[tuple[int, int]]:
    """Our live server: its port and process id."""
    port = free_port()
    argv = [sys.executable, "-m", "redislab", "server", "--port", str(port), "--save", ""]
    with _started([*argv, *options], port) as pid:
        yield port, pid


@contextlib.contextmanager
def fake() -> Iterator[tuple[int, int]]:
    """The TCP server that fakeredis brings: its port and process id."""
    port = free_port()
    with _started([sys.executable, "-c", FAKEREDIS, str(port)], port) as pid:
        yield port, pid


@contextlib.contextmanager
def _started(argv: list[str], port: int) -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="redislab-bench-") as folder:
        where = folder if "redislab" not in argv else None
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(argv, cwd=where, stdout=quiet, stderr=quiet)
        try:
            _await_port(process, port)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 0.2):
            return
        time.sleep(0.02)
    raise MissingError(f"{process.args!r} did not start")
