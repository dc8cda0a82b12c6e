"""A server that cannot start says why, as Redis does; one that is told to stop does so at once."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.differential.configured import OUR_PROGRAM, real_program
from tests.servers import HOST, our_server

_BEFORE_TEXT = re.compile(r"^\d+:[CM] \d\d \w{3} \d{4} [\d:.]+ ", re.MULTILINE)
_IN_GOOD_ORDER = re.compile("pid=|oO0OoO0|monotonic clock|Running mode|Configuration loaded|^[^*#]")


def complaints(argv: list[str], folder: Path) -> tuple[int, list[str]]:
    """The exit code of a server that does not start, and what its log says of it."""
    run = subprocess.run(argv, cwd=folder, capture_output=True, timeout=20, check=False)
    lines = _BEFORE_TEXT.sub("", run.stdout.decode()).splitlines()
    return run.returncode, [line for line in lines if line and not _IN_GOOD_ORDER.search(line)]


@pytest.mark.redis
@pytest.mark.parametrize(
    "options",
    [
        ["--port", "BUSY"],
        ["--port", "BUSY", "--bind", f"{HOST} -::1"],
        ["--port", "7961", "--bind", "192.0.2.1"],
        ["--port", "7961", "--bind", "nobody.invalid"],
        ["--port", "7961", "--unixsocket", "/nonexistent/socket"],
        ["--port", "0"],
    ],
    ids=" ".join,
)
def test_where_it_cannot_listen(options: list[str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = [port if word == "BUSY" else word for word in options]
        if "--bind" not in words:
            words += ["--bind", HOST]
        expected = complaints([real_program(), *words], tmp_path)
        assert complaints([*OUR_PROGRAM, *words], tmp_path) == expected
        assert expected[0] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize("names", [["SIGTERM"], ["SIGINT"], ["SIGTERM"] * 2, ["SIGINT"] * 2])
def test_signals_end_it(names: list[str], tmp_path: Path) -> None:
    with our_server("--logfile", str(tmp_path / "log")) as ours:
        with socket.create_connection((HOST, ours.port)) as client:
            client.sendall(b"BLPOP nothing 0\r\n")
            started = time.monotonic()
            for name in names:
                ours.process.send_signal(getattr(signal, name))
            code = ours.process.wait(10)
            assert client.recv(10) == b""
        assert time.monotonic() - started < 5
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert f"Received {names[0]} scheduling shutdown..." in log
    assert "Traceback" not in log
    # A second SIGINT, if it comes in time, ends it on the spot and not in good order.
    assert code == (1 if "You insist... exiting now." in log else 0)
