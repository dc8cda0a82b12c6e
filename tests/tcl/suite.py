"""Runs units of Redis's own test suite, which is written in Tcl.

The suite comes with Redis's sources (Debian's source package `redis`). Most units are run in its
external mode, against a server that listens: it starts no servers of its own and leaves out what
needs them. A few units are all about how a server starts; there the suite starts the program that
it is given. Each run has a folder to itself, made of links into the sources, so that runs may go on
side by side and the sources stay as they are.

The tests of Sentinel are a suite of their own, which starts five Sentinels and five servers.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from redislab.worlds.ports import port_block
from tests.servers import HOST

SOURCE_VARIABLE = "REDISLAB_REDIS_SOURCE"
SOURCE_FOLDER = Path(__file__).parents[2] / "_build" / "redis-source"
PROGRAMS = ("server", "cli", "benchmark", "sentinel", "check-aof", "check-rdb")

# The suite's own processes talk to each other over one of so many ports below a base port; its
# servers get those from there on. It looks by itself which of them are free.
TALK_PORTS = 32

REAL_PROGRAM = None  # the one that is installed
OUR_PROGRAM = (sys.executable, "-m", "redislab", "server")
OUR_SENTINEL = (sys.executable, "-m", "redislab", "sentinel")

# Marks what `make test` leaves to a run with this variable set.
every_unit = pytest.mark.skipif(
    not os.environ.get("REDISLAB_TCL_ALL"), reason="takes minutes: REDISLAB_TCL_ALL is not set"
)

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
# A line of the suite of Sentinel: the time, the test's name, and how it went.
_SENTINEL_OUTCOME = re.compile(r"^\d\d:\d\d:\d\d> (.*?): .*?(OK$|FAILED|$)", re.MULTILINE)
_OUTCOME = re.compile(
    r"^\[(ok|err|exception)\]: (.*?)(?: \(\d+ ms\)| in tests/\S+\.tcl)?$", re.MULTILINE
)


@dataclass(frozen=True)
class Outcome:
    """What one run of a unit said.

    Attributes:
        passed: names of the tests that passed, in the order they ran.
        failed: names of those that did not.
        finished: whether the unit came to its end in time.
        output: everything the suite printed, without colors.
    """

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    finished: bool
    output: str


def find_source() -> Path | None:
    """The folder of Redis's sources, or None if they are not here."""
    named = os.environ.get(SOURCE_VARIABLE)
    folders = [Path(named)] if named else sorted(SOURCE_FOLDER.glob("redis-*/"))
    return next((folder for folder in folders if (folder / "runtest").is_file()), None)


def need_source() -> Path:
    """The folder of Redis's sources; without them or Tcl the test is skipped, in CI it fails."""
    found, reason = find_source(), "tclsh is not installed (Debian package tcl)"
    if found is None:
        reason = (
            f"the sources of Redis are not in {SOURCE_FOLDER} (.ci/run gets them), nor where "
            f"{SOURCE_VARIABLE} points"
        )
    elif shutil.which("tclsh") is not None:
        return found
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def run_unit(source: Path, unit: str, port: int, timeout_s: float) -> Outcome:
    """Run one unit, such as `unit/type/string`, against the server at a port.

    Args:
        source: the folder of Redis's sources.
        unit: the unit's name.
        port: where the server listens.
        timeout_s: how long the unit may take, in seconds; then it is ended.
    """
    with _work_folder(source) as folder:
        return _run(folder, unit, timeout_s, "--host", HOST, "--port", str(port))


def run_unit_with_program(
    source: Path,
    unit: str,
    program: tuple[str, ...] | None,
    timeout_s: float,
    *,
    without: tuple[str, ...] = (),
) -> Outcome:
    """Run one unit with servers that the suite starts itself.

    Args:
        source: the folder of Redis's sources.
        unit: the unit's name.
        program: the words that start a server, before the name of its configuration file; None
            for the real one.
        timeout_s: how long the unit may take, in seconds; then it is ended.
        without: names of tests of the unit that are left out.
    """
    left_out = [word for name in without for word in ("--skiptest", name)]
    with _work_folder(source) as folder:
        _put_program(folder, "redis-server", program)
        return _run(folder, unit, timeout_s, "--clients", "1", *left_out)


def run_sentinel_units(
    source: Path,
    units: tuple[str, ...],
    sentinel: tuple[str, ...] | None,
    server: tuple[str, ...] | None,
    timeout_s: float,
) -> Outcome:
    """Run units of the tests of Sentinel, such as `01`, one after the other on the same processes.

    Args:
        source: the folder of Redis's sources.
        units: the beginnings of the units' names.
        sentinel: the words that start a Sentinel; None for the real one.
        server: the words that start a server; None for the real one.
        timeout_s: how long all may take, in seconds; then they are ended.
    """
    with _work_folder(source) as folder:
        _put_program(folder, "redis-sentinel", sentinel)
        _put_program(folder, "redis-server", server)
        chosen = [word for unit in units for word in ("--single", f"tests/{unit}")]
        output, finished = _run_command(folder, ["./runtest-sentinel", *chosen], timeout_s)
    return read_sentinel_outcome(output, finished=finished)


def _put_program(folder: Path, name: str, program: tuple[str, ...] | None) -> None:
    """Put a program in the place of one of Redis's, if there is one to put there."""
    if program is None:
        return
    start = folder / "src" / name
    start.unlink(missing_ok=True)
    start.write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n')
    start.chmod(0o755)


def _run(folder: Path, unit: str, timeout_s: float, *options: str) -> Outcome:
    with port_block() as ports:
        own = ports[TALK_PORTS:]
        words = [
            *("./runtest", *options, "--baseport", str(own[0]), "--portcount", str(len(own))),
            *("--durable", "--tags", "-slow", "--single", unit),
        ]
        output, finished = _run_command(folder, words, timeout_s)
    return read_outcome(output, finished=finished)


def _run_command(folder: Path, words: list[str], timeout_s: float) -> tuple[str, bool]:
    """Run a command of the suite: what it printed, and whether it came to its end in time."""
    with (folder / "output").open("w+b") as sink:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(timeout_s)
            finished = True
        except subprocess.TimeoutExpired:
            finished = False
        finally:
            # The suite's own clients are in the same process group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        sink.seek(0)
        return sink.read().decode(errors="replace"), finished


def read_outcome(output: str, *, finished: bool) -> Outcome:
    """Read what the suite printed. A test that failed once has failed, whatever else it did."""
    plain = _ESCAPES.sub("", output)
    outcomes: dict[str, bool] = {}
    for status, name in _OUTCOME.findall(plain):
        outcomes[name] = outcomes.get(name, True) and status == "ok"
    return Outcome(
        passed=tuple(name for name, ok in outcomes.items() if ok),
        failed=tuple(name for name, ok in outcomes.items() if not ok),
        finished=finished and "[exception]" not in plain,
        output=plain,
    )


def read_sentinel_outcome(output: str, *, finished: bool) -> Outcome:
    """Read what the suite of Sentinel printed; it ends in `GOOD!` where all is well."""
    plain = _ESCAPES.sub("", output)
    outcomes = _SENTINEL_OUTCOME.findall(plain)
    return Outcome(
        passed=tuple(name for name, how in outcomes if how == "OK"),
        failed=tuple(name for name, how in outcomes if how != "OK"),
        finished=finished and "GOOD!" in plain,
        output=plain,
    )


@contextlib.contextmanager
def _work_folder(source: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="redislab-tcl-") as name:
        folder = Path(name)
        for part in ("tests/tmp", "tests/sentinel/tmp", "src"):
            (folder / part).mkdir(parents=True)
        for start in ("runtest", "runtest-sentinel"):
            (folder / start).symlink_to(source / start)
        # The suite of Sentinel has its working folder beside its tests.
        for inside in ("tests", "tests/sentinel"):
            for entry in sorted((source / inside).iterdir()):
                if entry.name not in {"tmp", "sentinel"}:
                    (folder / inside / entry.name).symlink_to(entry)
        for program in PROGRAMS:
            installed = shutil.which(f"redis-{program}")
            if installed is not None:
                (folder / "src" / f"redis-{program}").symlink_to(installed)
        yield folder
