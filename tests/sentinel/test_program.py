"""`redislab sentinel` as a program: its log, its files, its signals, its help."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from pathlib import Path

import pytest

from redislab import cli
from redislab.sentinel.configfile import SentinelConfig
from redislab.server.config import StartupExit
from tests.sentinel.processes import OUR_SENTINEL, OUR_SERVER, real_sentinel, sentinel
from tests.servers import HOST, Wire, free_port

WAIT_S = 20.0


def life(program: tuple[str, ...], folder: Path, end: str) -> tuple[int, list[str], bool]:
    """Run a Sentinel to its end: the exit code, its log without what differs, its pid file."""
    folder.mkdir()
    file, log, pid = folder / "sentinel.conf", folder / "s.log", folder / "s.pid"
    port = free_port()
    file.write_text(f"port {port}\ndir {folder}\nlogfile s.log\npidfile {pid}\n")
    with file.open("a") as more:
        more.write(f"sentinel monitor m {HOST} 1 2\n")
    with sentinel(program, file=file) as address:
        deadline = time.monotonic() + WAIT_S
        while "+monitor" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert pid.read_text() == f"{address.process.pid}\n"
        # As when the terminal is closed that it was started from.
        address.process.send_signal(signal.SIGHUP)
        if end == "SHUTDOWN":
            with contextlib.suppress(ConnectionError), Wire(address) as wire:
                wire.call(b"SHUTDOWN")
        else:
            address.process.send_signal(getattr(signal, end))
        code = address.process.wait(WAIT_S)
    lines = [
        re.sub(r"pid=\d+|port=\d+|ID is \w+|\(\d+\)|^\d+:(signal-handler)?", "", line)
        for line in log.read_text().splitlines()
    ]
    return code, [re.sub(r" \d\d \w+ \d{4} [\d:.]+ ", " ", line) for line in lines], pid.exists()


@pytest.mark.redis
@pytest.mark.parametrize("end", ["SIGTERM", "SIGINT", "SHUTDOWN"])
def test_it_lives_and_ends_as_redis_sentinel_does(end: str, tmp_path: Path) -> None:
    expected, got = (
        life(program, tmp_path / name, end)
        for name, program in (("real", real_sentinel()), ("ours", OUR_SENTINEL))
    )
    assert got == expected
    assert got[0] == 0
    assert not got[2]


def test_a_server_with_the_option_is_a_sentinel(tmp_path: Path) -> None:
    file = tmp_path / "sentinel.conf"
    file.write_text(f"port {free_port()}\nsentinel monitor m {HOST} 1 2\n")
    starter = tmp_path / "start"
    starter.write_text(f'#!/bin/sh\nexec {" ".join(OUR_SERVER)} "$@" --sentinel\n')
    starter.chmod(0o755)
    with sentinel((str(starter),), file=file) as address, Wire(address) as wire:
        assert (wire.call(b"ROLE").items or ())[0].text == b"sentinel"


def test_its_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StartupExit) as end:
        SentinelConfig.from_args(["--help"])
    for words in ("redislab sentinel /path", "sentinel monitor mymaster", "--sentinel", "26379"):
        assert words in end.value.stderr
    assert cli.main(["--help"]) == 0
    assert "sentinel" in capsys.readouterr().out


def test_the_configuration_in_its_help_is_one(tmp_path: Path) -> None:
    with pytest.raises(StartupExit) as end:
        SentinelConfig.from_args(["-h"])
    lines = [line.strip() for line in end.value.stderr.splitlines()]
    text = "\n".join(line for line in lines if re.match(r"port|sentinel ", line))
    state = SentinelConfig.from_text(text.encode(), directory=str(tmp_path)).first_state(0)
    assert state.masters["mymaster"].down_after == 5000
    assert state.masters["mymaster"].quorum == 2


@pytest.mark.redis
def test_scripts_are_run_and_what_they_end_with_is_told(tmp_path: Path) -> None:
    """A failing, an impossible and a good one, in the words of Redis."""
    told = []
    for name, program in (("real", real_sentinel()), ("ours", OUR_SENTINEL)):
        folder = tmp_path / name
        folder.mkdir()
        for script, body in (("good", 'echo "$@" >> said'), ("bad", "exit 7"), ("none", "")):
            path = folder / script
            path.write_text(f"#!/bin/sh\n{body}\n" if body else "#!/nosuch/program\n")
            path.chmod(0o755)
        log = folder / "s.log"
        text = f"dir {folder}\nlogfile s.log\nsentinel deny-scripts-reconfig no\n" + "".join(
            f"sentinel monitor {name} {HOST} {port} 1\n"
            f"sentinel notification-script {name} ./{name}\n"
            for port, name in enumerate(("good", "bad", "none"), 1)
        )
        with (
            sentinel(program, text, file=folder / "sentinel.conf") as address,
            Wire(address) as wire,
        ):
            deadline = time.monotonic() + WAIT_S
            pending = wire.call(b"SENTINEL", b"PENDING-SCRIPTS")
            while (
                log.read_text().count("-script-error") < 2 or pending.items
            ) and time.monotonic() < deadline:
                time.sleep(0.05)
                pending = wire.call(b"SENTINEL", b"PENDING-SCRIPTS")
            missing = wire.call(b"SENTINEL", b"SET", b"good", b"notification-script", b"nosuch")
        errors = {
            line.partition(" # ")[2] for line in log.read_text().splitlines() if "-script" in line
        }
        told.append((errors, (folder / "said").read_text(), pending, missing))
    assert told[0] == told[1]
    assert told[1][0] == {"-script-error ./bad 0 7", "-script-error ./none 0 2"}
