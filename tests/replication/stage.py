"""One scene played twice, by real servers and by ours, and what was said and logged in each.

A scene is a function that gets a `Stage`. It starts servers, calls them, and notes what it sees;
`compare_both` plays it with either kind and compares the notes. What differs from run to run by its
nature is given names: ports are those of their server, replication ids are numbered as they appear.
"""

from __future__ import annotations

import difflib
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redislab.wire.replies import Reply
from tests.differential.harness import show
from tests.servers import HOST, Address, Wire, our_server, real_server

WAIT_S = 20.0
# Nothing but what a scene does adds to the stream.
QUIET = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "3600")
_ID = re.compile(r"\b(?!0{39})[0-9a-fA-F]{39,40}\b")
_CLIENT = re.compile(r"id=\d+ addr=\S+ .* resp=\d")
_VARYING = (
    (re.compile(r"lag=[0-2]\b"), "lag=soon"),
    (re.compile(r"(master_last_io_seconds_ago|master_sync_last_io_seconds_ago):[0-4]\b"), r"\1:s"),
    (re.compile(r"(master_link_down_since_seconds):[0-4]\b"), r"\1:soon"),
    (re.compile(r"(pid|Killing process) \d+"), r"\1 N"),
    (re.compile(r"receiving \d+ bytes"), "receiving N bytes"),
    (re.compile(r"RDB age \d+"), "RDB age N"),
    (re.compile(r"when created [0-9.]+ Mb"), "when created N Mb"),
    (re.compile(r"(\$EOF:|master_sync_perc:)\S+"), r"\1x"),
)
_LOG_LINE = re.compile(r"^\d+:(\w) \d+ \w+ \d+ [\d:.]+ ([.\-*#]) (.*)$")
# What only a process with children says, and what is told at another time: here old data stay until
# the new data are there (see `payload.py`).
_ONLY_REAL = re.compile(
    r"^C .*|.*(Flushing old data|Discarding previously|overcommit|WARNING|Server initialized).*"
)


class Stage:
    """Servers of one kind, and notes about them.

    Attributes:
        notes: what was seen.
        servers: by name.
    """

    def __init__(self, kind: str, stack: ExitStack) -> None:
        self._make = real_server if kind == "real" else our_server
        self._stack = stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._logs: dict[str, int] = {}
        self._ids: dict[str, str] = {}
        self.notes: list[str] = []
        self.servers: dict[str, Address] = {}
        self._wires: dict[str, Wire] = {}

    # -- servers ---------------------------------------------------------------------------------

    def start(self, name: str, *options: str) -> None:
        """Start a server."""
        folder = self._folder / name
        folder.mkdir()
        where = ("--dir", str(folder), "--logfile", str(folder / "log"))
        self.servers[name] = self._stack.enter_context(self._make(*QUIET, *where, *options))
        self._logs[name] = 0

    def start_replica(self, name: str, of: str, *options: str) -> None:
        """Start a server that replicates another one, and wait until it does."""
        self.start(name, "--replicaof", f"{HOST} {self.servers[of].port}", *options)
        self.until_linked(name)

    def folder(self, name: str) -> Path:
        """Where a server's files are."""
        return self._folder / name

    def wire(self, name: str, protocol: int = 2) -> Wire:
        """A new connection."""
        return self._stack.enter_context(Wire(self.servers[name], protocol))

    def ask(self, name: str, line: str) -> Reply:
        """Call a server without a note, over a connection that is kept."""
        wire = self._wires.get(name)
        if wire is None:
            wire = self._wires[name] = self.wire(name)
        return wire.call(*self._words(line))

    def call(self, name: str, line: str) -> Reply:
        """Call a server and note its reply."""
        reply = self.ask(name, line)
        self.note(f"{name}> {line}: {show(reply)}")
        return reply

    def _words(self, line: str) -> list[bytes]:
        """The words of a line; `@name` is the port of a server."""
        words = shlex.split(line)
        return [
            b"%d" % self.servers[word[1:]].port if word[1:] in self.servers else word.encode()
            for word in words
        ]

    # -- waiting ---------------------------------------------------------------------------------

    def until(self, holds: Callable[[], Any], what: str) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + WAIT_S
        while not holds():
            assert time.monotonic() < deadline, f"{what}\n" + "\n".join(self.notes)
            time.sleep(0.02)

    def until_linked(self, *names: str) -> None:
        """Wait until these replicas follow their masters."""
        for name in names:
            self.until(
                lambda name=name: self.field(name, "master_link_status") == "up",
                f"{name} has no link",
            )

    def until_online(self, master: str, place: int = 0) -> None:
        """Wait until a master has told its log that it sends a replica what is written."""
        slave = f"slave{place}"
        self.until(lambda: "state=online" in self.field(master, slave), f"{slave} is not online")

    def until_same(self, field: str, *names: str) -> None:
        """Wait until servers say the same of something."""
        self.until(
            lambda: len({self.field(name, field) for name in names}) == 1,
            f"{names} differ in {field}",
        )

    def until_even(self, *names: str) -> None:
        """Wait until these servers are at the same place of the stream."""
        self.until_same("master_repl_offset", *names)

    def field(self, name: str, field: str) -> str:
        """A field of INFO."""
        text = (self.ask(name, "INFO everything").text or b"").decode()
        found = re.search(rf"^{field}:(.*?)\r$", text, re.MULTILINE)
        return "" if found is None else found[1]

    def until_acknowledged(self, name: str) -> None:
        """Wait until every replica of a server is online and has said that it has everything."""

        def holds() -> bool:
            text = (self.ask(name, "INFO replication").text or b"").decode()
            end = re.search(r"(?m)^master_repl_offset:(\d+)", text)
            told = re.findall(r"(?m)^slave\d+:.*,state=(\w+),offset=(\d+),", text)
            return end is not None and all(each == ("online", end[1]) for each in told)

        self.until(holds, f"a replica of {name} does not acknowledge")

    # -- notes -----------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Note something."""
        self.notes.append(self._named(text))

    def note_info(self, *names: str, acknowledged: bool = True) -> None:
        """Note what servers say of replication.

        A replica says once a second how far it is, so this waits until it has, unless the scene has
        one that never will.
        """
        for name in names:
            if acknowledged:
                self.until_acknowledged(name)
            text = (self.ask(name, "INFO replication").text or b"").decode()
            self.note(f"{name}: {text}")
            self.call(name, "ROLE")

    def note_log(self, *names: str, only: str = "") -> None:
        """Note what servers have logged since they were asked last; only lines with this in it."""
        for name in names:
            lines = (self.folder(name) / "log").read_text().splitlines()
            for line in lines[self._logs[name] :]:
                found = _LOG_LINE.match(line)
                if found is None or _ONLY_REAL.match(f"{found[1]} {found[3]}"):
                    continue
                if re.search(only, found[3]):
                    self.note(f"{name} log {found[2]} {found[3]}")
            self._logs[name] = len(lines)

    def skip_log(self, *names: str) -> None:
        """Leave out what servers have logged so far."""
        for name in names:
            self._logs[name] = len((self.folder(name) / "log").read_text().splitlines())

    def _named(self, text: str) -> str:
        text = _CLIENT.sub("<client>", text)
        for name, address in self.servers.items():
            text = re.sub(rf"\b{address.port}\b", f"@{name}", text)
        text = text.replace(str(self._folder), "<folder>")
        for found in _ID.findall(text):
            self._ids.setdefault(found, f"id-{len(self._ids) + 1}")
        text = _ID.sub(lambda found: self._ids[found[0]], text)
        for pattern, replacement in _VARYING:
            text = pattern.sub(replacement, text)
        return text


@contextmanager
def stage(kind: str) -> Iterator[Stage]:
    """A stage with servers of a kind, "real" or "ours", until the block ends."""
    with ExitStack() as stack:
        yield Stage(kind, stack)


def compare_both(scene: Callable[[Stage], None]) -> None:
    """Play a scene with real servers and with ours, at the same time, and compare the notes."""

    def play(kind: str) -> list[str]:
        with stage(kind) as played:
            scene(played)
            return [line for note in played.notes for line in note.splitlines()]

    with ThreadPoolExecutor(2) as pool:
        real, ours = pool.map(play, ("real", "ours"))
    differences = list(difflib.unified_diff(real, ours, "real", "ours", lineterm="", n=2))
    assert not differences, "\n".join(differences)
