"""sentinel.conf and the command line against the real redis-sentinel: what is refused, and how."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from redislab.sentinel.configfile import SentinelConfig
from redislab.server.config import StartupExit
from redislab.server.directive_kinds import to_bytes, to_text
from tests.sentinel.processes import OUR_SENTINEL, real_sentinel
from tests.servers import free_port

pytestmark = pytest.mark.redis

MASTER = "sentinel monitor m 127.0.0.1 1 2"
NAME = "sentinel.conf"

# What follows a line that keeps a Sentinel with a good file from listening.
FILES = [
    MASTER,
    f"{MASTER}\n{MASTER}",
    "sentinel monitor m 127.0.0.1 1 0",
    "sentinel monitor m 127.0.0.1 1 -1",
    "sentinel monitor m 127.0.0.1 1 x",
    "sentinel monitor m 127.0.0.1 65536 2",
    "sentinel monitor m 127.0.0.1 -1 2",
    "sentinel monitor m 127.0.0.1 x 2",
    "sentinel monitor m nosuch.invalid 1 2",
    "sentinel monitor m ::1 1 2",
    "sentinel monitor m 127.0.0.1 1",
    "sentinel monitor m 127.0.0.1 1 2 3",
    "sentinel monitor",
    "SENTINEL MONITOR m 127.0.0.1 1 2\nsentinel monitor m 127.0.0.1 1 2",
    "sentinel",
    "sentinel nosuch",
    "sentinel nosuch m 1",
    'sentinel ""',
    "sentinel monitor 'm",
    *(
        f"{MASTER}\nsentinel {name} {value}"
        for name in ("down-after-milliseconds", "failover-timeout", "parallel-syncs")
        for value in ("m 1000", "n 1000", "m 0", "m -1", "m x", "m", "m 1 2", "m 5000000000")
    ),
    *(
        f"{MASTER}\nsentinel {name} {value}"
        for name in ("notification-script", "client-reconfig-script")
        for value in (
            "m /bin/true",
            "m /nosuch",
            "n /bin/true",
            "m /etc/passwd",
            "m script.sh",
            "m",
            "m ''",
            'm "/nosuch\\x00"',
        )
    ),
    *(
        f"{MASTER}\nsentinel {name} {value}"
        for name in ("auth-pass", "auth-user", "config-epoch", "leader-epoch")
        for value in ("m x", "n x", "m", "m 5 6", "m -1", "m 99999999999999999999")
    ),
    *(
        f"{MASTER}\nsentinel master-reboot-down-after-period {value}"
        for value in ("m 0", "m -1", "m 5", "n 5", "m x")
    ),
    f"{MASTER}\nsentinel rename-command m CONFIG guess\nsentinel rename-command m config x",
    f"{MASTER}\nsentinel rename-command n config x",
    f"{MASTER}\nsentinel rename-command m config",
    f"{MASTER}\nsentinel known-replica m 127.0.0.1 2\nsentinel known-slave m 127.0.0.1 2",
    f"{MASTER}\nsentinel known-replica m 127.0.0.1 2\nsentinel known-slave m 127.0.0.1 3",
    f"{MASTER}\nsentinel known-replica n 127.0.0.1 2",
    f"{MASTER}\nsentinel known-replica m nosuch.invalid 2",
    f"{MASTER}\nsentinel known-replica m 127.0.0.1 65536",
    f"{MASTER}\nsentinel known-replica m 127.0.0.1",
    f"{MASTER}\nsentinel known-sentinel m 127.0.0.1 2",
    f"{MASTER}\nsentinel known-sentinel n 127.0.0.1 2",
    f"{MASTER}\nsentinel known-sentinel n 127.0.0.1 2 {'a' * 40}",
    f"{MASTER}\nsentinel known-sentinel m 127.0.0.1 2 x\nsentinel known-sentinel m 127.0.0.1 3 x",
    f"{MASTER}\nsentinel known-sentinel m nosuch.invalid 2 x",
    f"{MASTER}\nsentinel known-sentinel m 127.0.0.1 -2 x",
    "sentinel down-after-milliseconds m 100\n" + MASTER,
    "sentinel down-after-milliseconds m 0\nsentinel myid x\n" + MASTER,
    "sentinel resolve-hostnames yes\nsentinel monitor m nosuch.invalid 1 2",
    "sentinel monitor m localhost 1 2\nsentinel resolve-hostnames yes",
    "sentinel monitor m localhost 1 2",
    "sentinel monitor m 127.1 1 2",
    "sentinel monitor m 127.0.0.01 1 2",
    'sentinel monitor m "" 1 2',
    "sentinel myid x",
    f"sentinel myid {'a' * 40}",
    f"sentinel myid {'a' * 40} x",
    "sentinel myid",
    "sentinel current-epoch x",
    "sentinel current-epoch",
    "sentinel announce-ip 1.2.3.4",
    "sentinel announce-ip",
    'sentinel announce-ip ""',
    "sentinel announce-port 1 2",
    "sentinel announce-port x",
    "sentinel sentinel-user",
    "sentinel sentinel-user joe",
    "sentinel sentinel-pass a b",
    *(
        f"sentinel {name} {value}"
        for name in ("deny-scripts-reconfig", "resolve-hostnames", "announce-hostnames")
        for value in ("yes", "NO", "maybe", "", "yes no")
    ),
    "prot 1",
    "port x",
    "sentinel nosuch\nprot 1",
    "timeout abc\nsentinel nosuch",
    "rename-command get x",
    "rename-command sentinel x",
    "user u on +sentinel +@all -sentinel|set ~* &* nopass",
    "user u bogus",
    "include nosuch.conf",
    "include other.conf",
    "requirepass secret\nloglevel verbose\ntcp-keepalive 10\nprotected-mode yes\nmaxclients 100",
    "loglevel loud",
    "logfile /nosuch/x.log",
    "dir /nosuch",
    "dir .",
    "pidfile",
    "save 900 1\nappendonly no",
]
OTHER = "sentinel nosuch\n"


def their_start(folder: Path, argv: list[str]) -> tuple[int, str, str]:
    """Run redis-sentinel where it will not listen: exit code, standard error and log."""
    done = subprocess.run(
        [*real_sentinel(), *argv], cwd=folder, capture_output=True, timeout=20, check=False
    )
    return done.returncode, to_text(done.stderr), to_text(done.stdout)


def our_start(folder: Path, argv: list[str]) -> StartupExit | SentinelConfig:
    """What our reading of a configuration comes to."""
    try:
        return SentinelConfig.from_args(argv, directory=str(folder))
    except StartupExit as end:
        return end


def compare(folder: Path, text: str, options: list[str]) -> None:
    """Hold the start of both against each other."""
    theirs, mine = folder / "theirs", folder / "mine"
    for place in (theirs, mine):
        place.mkdir()
        (place / NAME).write_bytes(to_bytes(text))
        (place / "other.conf").write_text(OTHER)
        script = place / "script.sh"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
    code, stderr, log = their_start(theirs, [NAME, *options])
    end = our_start(mine, [NAME, *options])
    assert code == 1
    if isinstance(end, SentinelConfig):
        assert not stderr
        assert "Configured to not listen anywhere, exiting." in log
        notes = end.notes
    else:
        assert end.code == 1
        assert end.stderr.replace(str(mine), str(theirs)) == stderr
        notes = end.log.splitlines()
    for line in notes:
        assert line.replace(str(mine), str(theirs)) in log
    if "resolve-hostnames yes" not in text:  # else we look names up later, when we connect
        assert log.count("Failed to resolve") == len([n for n in notes if "to resolve" in n])


@pytest.mark.parametrize("text", FILES)
def test_what_is_refused_is_refused_in_the_same_words(text: str, tmp_path: Path) -> None:
    compare(tmp_path, f"port 0\n{text}\n", [])


OPTIONS = [
    ["--port", "0"],
    ["--port", "0", "--sentinel"],
    ["--sentinel", "--port", "0"],
    ["--port", "0", "--sentinel monitor m 127.0.0.1 1 0"],
    ["--port", "0", "--sentinel", "monitor", "m", "127.0.0.1", "1", "0"],
    ["--port", "0", "--sentinel", "monitor", "m", "127.0.0.1", "1", "2", "--sentinel", "nosuch"],
    ["--port", "0", "--nosuch", "1"],
    ["--port", "x", "--sentinel", "nosuch"],
]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_options_are_lines_after_those_of_the_file(options: list[str], tmp_path: Path) -> None:
    compare(tmp_path, f"{MASTER}1\n", options)


def ends(program: tuple[str, ...], folder: Path, argv: list[str]) -> tuple[int, list[str], str]:
    """Run a Sentinel that ends at once: its exit code, its log without times, standard error."""
    done = subprocess.run(
        [*program, *argv],
        cwd=folder,
        capture_output=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    lines = [
        re.sub(r"^\d+:(\S) .*? ([.*#-]) ", r"\1 \2 ", each)
        for each in to_text(done.stdout).splitlines()
    ]
    lines = [re.sub(r"pid=\d+", "pid=", line) for line in lines]
    return done.returncode, lines, to_text(done.stderr)


@pytest.mark.parametrize(
    "argv",
    [[], ["nosuch.conf"], ["--port", "0"], ["bad.conf"], ["nowhere.conf"]],
    ids=" ".join,
)
def test_the_program_ends_as_redis_sentinel_does(argv: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.conf").write_text("port 0\nsentinel nosuch\n")
    (tmp_path / "nowhere.conf").write_text("port 0\n")
    expected, got = (ends(program, tmp_path, argv) for program in (real_sentinel(), OUR_SENTINEL))
    assert got == expected
    assert got[0] == 1


@pytest.mark.parametrize("rules", ["+get", "+sentinel|nosuch", "+x", "+@nosuch"])
def test_a_user_with_rules_about_commands_that_are_not_there(rules: str, tmp_path: Path) -> None:
    text = f"port {free_port()}\nrename-command sentinel x\nuser u on {rules}\n"
    (tmp_path / NAME).write_text(text)
    expected, got = (ends(program, tmp_path, [NAME]) for program in (real_sentinel(), OUR_SENTINEL))
    reasons = [[line for line in lines if "ACL" in line] for _, lines, _ in (expected, got)]
    assert reasons[0] == reasons[1]
    assert (expected[0], got[0], len(reasons[0])) == (1, 1, 2)
