"""`redislab proxy` as a program beside the real one: options, exit codes, signals, stats."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from redislab.ring.proxy.main import main
from redislab.ring.proxy.options import OptionError, read_options
from redislab.ring.proxy.stats import POOL_FIELDS, SERVER_FIELDS
from redislab.worlds.ports import free_port
from tests.ring.nutcracker import nutcracker
from tests.ring.proxy.bad_files import BAD, GOOD
from tests.ring.proxy.proxies import configuration, request
from tests.servers import HOST

OURS = (sys.executable, "-m", "redislab", "proxy")
WAIT_S = 20.0


def real(*argv: str) -> tuple[int, str]:
    """Exit code and standard error of nutcracker, which has ended."""
    argv = (nutcracker(), *argv)
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=WAIT_S)
    return done.returncode, done.stderr


def ours(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    """The same of ours."""
    code = main(list(argv))
    return code, capsys.readouterr().err


def until(condition: object) -> None:
    """Wait until something holds."""
    assert callable(condition)
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- programs that end at once ---------------------------------------------------------------------


def test_a_file_is_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "nutcracker.yml"
    file.write_text(GOOD)
    assert ours(capsys, "-t", "-c", str(file)) == real("-t", "-c", str(file))
    file.write_text(BAD["an unknown hash"])
    code, text = ours(capsys, "-t", "-c", str(file))
    real_code, real_text = real("-t", "-c", str(file))
    assert code == real_code == 1
    # The real one says it twice, and not why.
    assert text.splitlines()[-1] == real_text.splitlines()[-1]
    assert text.startswith('conf: directive "hash" is not a valid hash (line 3, column 9)\n')
    missing = str(tmp_path / "none.yml")
    code, text = ours(capsys, "--test-conf", f"--conf-file={missing}")
    assert code == real("--test-conf", f"--conf-file={missing}")[0] == 1
    assert "failed to open configuration" in text
    assert "No such file or directory" in text


@pytest.mark.parametrize(
    "argv",
    [
        ["-x"],
        ["-v"],
        ["-v", "much"],
        ["-s"],
        ["-s", "0"],
        ["-s", "65536"],
        ["-s", "-1"],
        ["-i", "soon"],
        ["-m"],
        ["-m", "0"],
        ["-m", "511"],
        ["-m", "16777217"],
        ["-m", "much"],
        ["-c"],
        ["-o"],
        ["-p"],
        ["-a"],
    ],
)
def test_options_are_refused_in_the_same_words(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = real(*argv)
    assert (code, text.split("\n")[0].split(": ", 1)[0]) == (1, "nutcracker")
    mine, told = ours(capsys, *argv)
    assert mine == 1
    assert told.split("\n")[0] == text.split("\n")[0].replace("nutcracker:", "redislab proxy:")
    assert "Usage:" in told


def test_options_are_read_as_getopt_does() -> None:
    options = read_options(["-td", "-s2222", "--conf=a.yml", "--verbose", "11", "-m", "512"])
    assert (options.test_conf, options.daemonize, options.stats_port) == (True, True, 2222)
    assert (options.conf_file, options.verbose, options.mbuf_size) == ("a.yml", 11, 512)
    assert read_options(["-v", "99"]).verbose == 11
    with pytest.raises(OptionError, match="no argument 'x'"):
        read_options(["x"])
    with pytest.raises(OptionError, match="--explain requires a key"):
        read_options(["--explain"])


def test_the_stats_are_described_alike(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = ours(capsys, "-D")
    real_code, real_text = real("-D")
    assert code == real_code == 0
    assert text.partition("\n\n")[2] == real_text.partition("\n\n")[2]


def test_version_and_help_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = ours(capsys, "-V")
    assert (code, real("-V")[0]) == (0, 0)
    assert "nutcracker-0.5.0" in text
    code, text = ours(capsys, "--help")
    assert code == real("--help")[0] == 0
    # Every option of the real one is told of.
    for option in re.findall(r"^  -\w, --([\w-]+)", real("-h")[1], re.MULTILINE):
        assert f"--{option}" in text


def test_a_key_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "nutcracker.yml"
    file.write_text(GOOD.replace("  redis: true", '  redis: true\n  hash_tag: "{}"'))
    assert main(["-c", str(file), "--explain", "user:{1000}:name"]) == 0
    told = capsys.readouterr().out
    assert "hashed  1000, between the signs of hash_tag {}" in told
    assert re.search(r"hash    \d+ \(0x[0-9a-f]{8}\), fnv1a_64", told)
    assert re.search(r"server  127\.0\.0\.1:760[123]", told)


# -- programs that run -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Running:
    """A proxy that runs, and its files."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int
    stats_port: int

    def ask(self, *words: bytes) -> bytes:
        """One request on a connection of its own."""
        with socket.create_connection((HOST, self.port), WAIT_S) as client:
            client.sendall(request(*words))
            return client.recv(65536)

    def log(self) -> str:
        """The log so far."""
        return (self.folder / "log").read_text()

    def write(self, servers: list[int], more: str = "") -> None:
        """Write another configuration."""
        text = configuration(self.port, servers, more)
        (self.folder / "nutcracker.yml").write_text(text)


@contextlib.contextmanager
def running(folder: Path, program: tuple[str, ...], *more: str) -> Iterator[Running]:
    """Run a proxy before a port on which nobody listens."""
    port, stats_port = free_port(), free_port()
    (folder / "nutcracker.yml").write_text(configuration(port, [free_port()]))
    argv = ["-c", "nutcracker.yml", "-o", "log", "-p", "pid", "-s", str(stats_port), "-a", HOST]
    process = subprocess.Popen([*program, *argv, "-i", "20", *more], cwd=folder)
    try:
        proxy = Running(process, folder, port, stats_port)
        until(lambda: _answers(port))
        yield proxy
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 0.2):
        return True
    return False


def _stats(port: int) -> bytes:
    with socket.create_connection((HOST, port), WAIT_S) as client:
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_the_stats_have_the_same_fields_in_the_same_order(tmp_path: Path) -> None:
    shown = []
    for name, program in (("real", (nutcracker(),)), ("ours", OURS)):
        (tmp_path / name).mkdir()
        with running(tmp_path / name, program) as proxy:
            data = _stats(proxy.stats_port)
            assert data.endswith(b"}\n")
            shown.append(json.loads(data))
    keys = [[list(each), list(each["alpha"]), list(each["alpha"]["shard-0"])] for each in shown]
    assert keys[0] == keys[1]
    assert keys[0][1] == [*POOL_FIELDS, "shard-0"]
    assert keys[0][2] == list(SERVER_FIELDS)
    for field in ("service", "version"):
        assert shown[0][field] == shown[1][field]


def test_a_program_lives_by_signals(tmp_path: Path) -> None:
    """One that is read again, the file of its process id, its end."""
    with running(tmp_path, OURS) as proxy:
        assert (tmp_path / "pid").read_text() == str(proxy.process.pid)
        with socket.create_connection((HOST, proxy.port), WAIT_S) as client:
            client.sendall(request(b"GET", b"a"))
            assert client.recv(100) == b"-ERR Connection refused\r\n"
            # An invalid file changes nothing.
            (tmp_path / "nutcracker.yml").write_text("alpha:\n  hsh: a\n")
            proxy.process.send_signal(signal.SIGHUP)
            until(lambda: "the present configuration is kept" in proxy.log())
            client.sendall(request(b"PING"))
            assert client.recv(100) == b"+PONG\r\n"
            # A valid one is in force, and the client is still there.
            with socket.create_server((HOST, 0)) as server:
                proxy.write([server.getsockname()[1]])
                proxy.process.send_signal(signal.SIGHUP)
                until(lambda: "is in force" in proxy.log())
                client.sendall(request(b"GET", b"a"))
                accepted, _ = server.accept()
                with accepted:
                    assert accepted.recv(100) == request(b"GET", b"a")
                    accepted.sendall(b"$1\r\nb\r\n")
                    assert client.recv(100) == b"$1\r\nb\r\n"
        proxy.process.send_signal(signal.SIGTTIN)
        until(lambda: "log level is 6" in proxy.log())
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(WAIT_S) == 0
        assert not (tmp_path / "pid").exists()


def test_the_interrupt_ends_both_with_code_1(tmp_path: Path) -> None:
    for name, program in (("real", (nutcracker(),)), ("ours", OURS)):
        (tmp_path / name).mkdir()
        with running(tmp_path / name, program) as proxy:
            proxy.process.send_signal(signal.SIGINT)
            assert proxy.process.wait(WAIT_S) == 1


def test_it_runs_in_the_background(tmp_path: Path) -> None:
    """As in the course: with -d the command is over, and the proxy runs."""
    with running(tmp_path, OURS, "-d") as proxy:
        assert proxy.process.wait(WAIT_S) == 0
        until((tmp_path / "pid").exists)
        background = int((tmp_path / "pid").read_text())
        try:
            assert proxy.ask(b"PING") == b"+PONG\r\n"
        finally:
            os.kill(background, signal.SIGTERM)
        until(lambda: not (tmp_path / "pid").exists())


def test_nothing_starts_with_a_bad_file_or_an_address_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "nutcracker.yml"
    argv = ["-c", str(file), "-o", "log", "-p", "pid", "-a", HOST]
    file.write_text(BAD["an unknown one"])
    assert main([*argv, "-s", str(free_port())]) == 1
    assert 'conf: directive "hsh" is unknown (line 9, column 3)' in Path("log").read_text()
    assert not Path("pid").exists()
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(configuration(port, [free_port()]))
        assert main([*argv, "-s", str(free_port())]) == 1
        where = f"bind to addr '{HOST}:{port}' failed: Address already in use"
        assert where in Path("log").read_text()
        file.write_text(configuration(free_port(), [free_port()]))
        assert main([*argv, "-s", str(port)]) == 1
    assert main([*argv[:2], "-o", "/nowhere/log"]) == 1
    assert main([*argv[:4], "-p", "/nowhere/pid"]) == 1
