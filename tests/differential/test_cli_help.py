"""redis-cli's help and hints, made of COMMAND DOCS, on our server and on the real one."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import termios
from collections.abc import Iterator

import pytest

from tests.servers import Address, Wire, our_server, real_server

pytestmark = pytest.mark.redis

TERMINAL_WAIT_S = 5.0
_COLORS = re.compile(rb"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def real() -> Iterator[Address]:
    with real_server() as address:
        yield address


@pytest.fixture(scope="module")
def ours() -> Iterator[Address]:
    with our_server() as address:
        yield address


def program() -> str:
    found = shutil.which("redis-cli")
    if found is None:
        pytest.skip("redis-cli is not installed (Debian package redis-tools)")
    return found


def help_of(address: Address, names: list[str]) -> list[str]:
    """What `help` prints of commands, without the summaries, which are our own words."""
    asked = "".join(f"help {name}\n" for name in names)
    done = subprocess.run(
        [program(), "-p", str(address.port)],
        input=asked,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [line for line in done.stdout.split("\n") if "summary:" not in line]


def test_help_of_every_command_is_that_of_redis(real: Address, ours: Address) -> None:
    with Wire(ours) as wire:
        listed = wire.call(b"COMMAND", b"LIST").items or ()
    names = [(item.text or b"").decode().replace("|", " ") for item in listed]
    assert len(names) > 200
    # For a container redis-cli prints every form, and ours may have fewer.
    names = [name for name in names if not any(other.startswith(f"{name} ") for other in names)]
    got = help_of(ours, names)
    assert len(got) > 3 * len(names)
    assert got == help_of(real, names)


def test_help_shows_our_summary(ours: Address) -> None:
    done = subprocess.run(
        [program(), "-p", str(ours.port)],
        input="help getrange\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "GETRANGE" in done.stdout
    assert "Return part of a string." in done.stdout


def hints(address: Address, typed: str) -> list[bytes]:
    """The line on the screen after each key, hint and all, while a person types."""
    process, terminal = pty.fork()
    if process == 0:
        termios.tcsetwinsize(0, (40, 200))
        os.environ.update(TERM="xterm", HOME="/nonexistent")
        os.execv(program(), ["redis-cli", "-p", str(address.port)])
    try:
        prompt = b""
        while not prompt.endswith(b"> "):
            prompt += drawn(terminal)
        lines = []
        for at, key in enumerate(typed):
            os.write(terminal, key.encode())
            lines.append(screen(terminal, b"> " + typed[: at + 1].encode()))
        os.write(terminal, b"\x03")
        return lines
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def drawn(terminal: int) -> bytes:
    """The next bytes that the program writes to its terminal."""
    ready, _, _ = select.select([terminal], [], [], TERMINAL_WAIT_S)
    assert ready, "redis-cli draws nothing"
    return os.read(terminal, 65536)


def screen(terminal: int, awaited: bytes) -> bytes:
    """The last line that was drawn, once it shows what is awaited and the cursor stands."""
    seen = b""
    while True:
        seen += drawn(terminal)
        *_, line, cursor = (b"\r" + _COLORS.sub(b"", seen)).split(b"\r")
        if awaited in line and re.fullmatch(rb"\x1b\[\d+C", cursor):
            return line.split(b"> ", 1)[1].replace(b"\x1b[0K", b"")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("set a b ex 5 ", b"[NX|XX] [GET]"),
        ("lpush k ", b"element [element ...]"),
        ("config get ", b"parameter [parameter ...]"),
        ("zadd z ", b"[NX|XX] [GT|LT] [CH] [INCR] score member"),
        ("xread ", b"STREAMS key [key ...] id [id ...]"),
    ],
)
def test_hints_appear_while_typing(
    typed: str, expected: bytes, real: Address, ours: Address
) -> None:
    shown = hints(ours, typed)
    assert expected in shown[-1]
    assert shown == hints(real, typed)
