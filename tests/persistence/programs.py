"""Servers with a folder of their own, real ones and ours: started, ended, and started again.

Each runs as a process in its folder, so that what it writes is there for the other kind to read.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from redislab.wire.replies import Reply
from tests.servers import HOST, Wire, free_port

Kind = Literal["ours", "real"]
KINDS: tuple[Kind, ...] = ("ours", "real")
START_TIMEOUT_S = 60.0  # on a busy machine
# A child process of Redis that is ended says so in several pieces, and lines of its parent may come
# in between them.
_LAST_WORDS = re.compile(r"^\d+:signal-handler \((?:\d+\) )?(?=\d+:[A-Z] )", re.MULTILINE)
_LINE = re.compile(r"^\d+:([A-Z]) \d+ \w+ \d+ \d\d:\d\d:\d\d\.\d{3} ([.\-*#]) (.*)$")


def program(name: str) -> str:
    """The path of a real program; the test is skipped where it is missing."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian packages redis-server, redis-tools)")
    return path


@dataclass(frozen=True)
class Address:
    """What `Wire` wants to know."""

    port: int
    host: str = HOST


@dataclass
class Server:
    """One server and its folder.

    Attributes:
        options: what it is started with, beside its port and its folder.
    """

    kind: Kind
    folder: Path
    options: list[str] = field(default_factory=list)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def log_path(self) -> Path:
        return self.folder / "server.log"

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, without waiting for anything."""
        self.port = free_port()
        argv = (
            [program("redis-server")]
            if self.kind == "real"
            else [sys.executable, "-m", "redislab", "server"]
        )
        argv += ["--port", str(self.port), "--enable-debug-command", "yes", *self.options]
        with self.log_path.open("ab") as sink:
            self.process = subprocess.Popen(argv, cwd=self.folder, stdout=sink, stderr=sink)
        return self.process

    def start(self) -> Server:
        """Start it and wait until it serves."""
        process = self.launch()
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError, ConnectionError), self.wire() as wire:
                if wire.call(b"PING").text == b"PONG":
                    return self
            time.sleep(0.02)
        code = process.poll()
        self.kill()
        pytest.fail(f"{self.kind} did not start (exit code {code}):\n{self.log()}")

    def refusal(self) -> int:
        """Start it and wait until it ends by itself: its exit code."""
        process = self.launch()
        try:
            return process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"{self.kind} did not end:\n{self.log()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it in good order; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(START_TIMEOUT_S)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def wire(self, timeout_s: float = 20.0) -> Wire:
        return Wire(Address(self.port), timeout_s=timeout_s)  # type: ignore[arg-type]

    def call(self, *words: str | bytes) -> Reply:
        """Send one request on a connection of its own."""
        with self.wire() as wire:
            return wire.call(*(w if isinstance(w, bytes) else w.encode() for w in words))

    def text(self, *words: str | bytes) -> str:
        """The text of a reply."""
        return (self.call(*words).text or b"").decode("utf-8", "replace")

    def info(self, name: str) -> str:
        """One field of INFO."""
        for line in self.text("INFO", "everything").splitlines():
            key, _, value = line.partition(":")
            if key == name:
                return value
        raise KeyError(name)

    def wait_for(self, name: str, value: str, timeout_s: float = 20.0) -> None:
        """Wait until a field of INFO has a value."""
        deadline = time.monotonic() + timeout_s
        while self.info(name) != value:
            assert time.monotonic() < deadline, f"{name} is {self.info(name)}, never {value}"
            time.sleep(0.02)

    def digest(self) -> str:
        return self.text("DEBUG", "DIGEST")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def lines(self) -> list[str]:
        """The log without times and process ids: role, level and message of each line."""
        found = []
        for line in _LAST_WORDS.sub("", self.log()).splitlines():
            match = _LINE.match(line)
            found.append("{} {} {}".format(*match.groups()) if match else line)
        return found


@contextlib.contextmanager
def server(kind: Kind, folder: Path, *options: str) -> Iterator[Server]:
    """A server that is not started yet, and is gone when the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Server(kind, folder, list(options))
    try:
        yield made
    finally:
        made.kill()
