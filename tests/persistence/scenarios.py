"""What is done to both kinds of server, and what comes of it in comparable form.

A scenario is a generator that is given a `Server` and yields whatever should be the same in both:
replies, fields of INFO, names of files. Their logs are compared too, with every number replaced.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.persistence.programs import Server, server

Scenario = Callable[[Server], Iterator[object]]

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
# What only Redis says: of its child process, of the machine that it runs on.
_REDIS_ONLY = (
    "Fork CoW",
    "in child, exiting now",
    "WARNING Memory overcommit",
    "WARNING overcommit",
    "Warning: no config file",
    "monotonic clock",
    "Running mode",
    "oO0Oo",
    "Redis version",
    "Configuration loaded",
    "WARNING you have Transparent",
    "WARNING Your system",
    "DB loaded from disk",
    "RDB memory usage",
    "Increased maximum number",
)


def run(
    kind: str, folder: Path, scenario: Scenario, *options: str
) -> tuple[list[object], list[str]]:
    """What a scenario yields on one kind of server, and the server's log."""
    with server(kind, folder, *options) as one:  # type: ignore[arg-type]
        found = [plain(each) for each in scenario(one)]
        one.kill()
        return found, log_lines(one)


def plain(value: object) -> object:
    """A value without what differs from run to run."""
    return getattr(value, "text", None) if hasattr(value, "kind") else value


def log_lines(one: Server) -> list[str]:
    """The log's lines in their order, without numbers and without what only Redis says."""
    lines = []
    for line in one.lines():
        if line and not line.startswith((" ", "_", ".", "`")) and "=" * 4 not in line[:8]:
            text = line.replace(str(one.folder), "<dir>")
            if not any(words in text for words in _REDIS_ONLY):
                lines.append(_NUMBER.sub("N", text))
    return lines


def wait(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def tree(folder: Path) -> list[str]:
    """The names of all files below a folder, without process ids."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(_NUMBER.sub("N", name) if "temp-" in name else name for name in names)
