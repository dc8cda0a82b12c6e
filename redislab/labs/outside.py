"""A writer that is a program of its own, in another language, and is watched from outside.

It writes numbered keys to whoever the Sentinels of a lab name, as `Writer` does, and tells of each
write what became of it, one line of JSON each, so that both can be held against each other. The
book and the tests run `notebooks/03-sentinel/ioredis/writer.cjs`, a program for Node.js. Such a
program needs real sockets, and so a lab in a world that has them.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redislab.labs.writer import Lost, Write, explain, values_of
from redislab.worlds.base import OBSERVER, Event

if TYPE_CHECKING:
    from redislab.labs.sentinel import SentinelLab

# How long it may take until it is connected to the master.
_READY_SECONDS = 20.0
# It finishes the write that is under way; one that waits for a silent server never ends.
_STOP_SECONDS = 1.0


def missing_program(script: Path) -> str:
    """What a program for Node.js lacks on this machine, as a sentence; empty if nothing."""
    if shutil.which("node") is None:
        return "This needs Node.js, which is not installed here."
    if not (script.parent / "node_modules").exists():
        return f"This needs what `npm ci` installs, run once in the folder {script.parent}."
    return ""


class OutsideWriter:
    """A program that writes, from when it is connected until it is stopped.

    Args:
        lab: whose Sentinels it asks; in `live` or `redis`.
        script: the program.
        options: what it is told besides where the Sentinels are and what they call the master:
            passwords, its client library's options.
        name: of the writer: its keys begin with it.

    Attributes:
        writes: all it wrote, in order.
        events: what its client told meanwhile.

    Raises:
        RuntimeError: the program lacks something, ended at once or does not come to its master;
            the message says why.
    """

    def __init__(
        self,
        lab: SentinelLab,
        script: Path,
        options: Mapping[str, Any] | None = None,
        *,
        name: str = "outside",
    ) -> None:
        node = shutil.which("node")
        if node is None or not (script.parent / "node_modules").exists():
            raise RuntimeError(missing_program(script))
        self.name = name
        self.writes: list[Write] = []
        self.events: list[Event] = []
        self._lab = lab
        settings = {
            "sentinels": [{"host": each.host, "port": each.port} for each in lab.sentinels],
            "name": lab.service,
            "prefix": name,
            **(options or {}),
        }
        # Its clock is that of the day; the lab's begins with the lab.
        self._began = time.time() - lab.now
        self._ports = {each.port: each.name for each in lab.servers}
        self._process = subprocess.Popen(
            [node, str(script), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._is_ready = threading.Event()
        self._reader = threading.Thread(target=self._listen, name=name, daemon=True)
        self._reader.start()
        self._is_ready.wait(_READY_SECONDS)
        if not any(event.kind == "ready" for event in self.events):
            self.stop()
            raise RuntimeError(f"{script.name} did not find its master in time")

    @property
    def acknowledged(self) -> list[Write]:
        """Those that were acknowledged."""
        return [write for write in self.writes if write.acknowledged]

    @property
    def failed(self) -> list[Write]:
        """Those that were not: they may have been written all the same."""
        return [write for write in self.writes if not write.acknowledged]

    def stop(self) -> None:
        """Let it end, and read what it told. May be called again.

        Raises:
            RuntimeError: it ended with an error; the message is what it said.
        """
        process = self._process
        assert process.stdin is not None, "they are pipes"
        assert process.stderr is not None, "they are pipes"
        if process.stdin.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        self._reader.join()
        with process.stderr as told:
            complaints = told.read()
        if process.wait() > 0:
            raise RuntimeError(complaints.strip())

    def lost(self) -> list[Lost]:
        """The acknowledged writes that are gone, each with the way in which it was lost.

        Raises:
            redis.RedisError: the master does not answer.
        """
        wanted = self.acknowledged
        client = self._lab.client(at=OBSERVER, decode_responses=True)
        found = values_of(client, [write.key for write in wanted])
        reigns = self._lab.reigns()
        return [
            explain(write, reigns)
            for write, value in zip(wanted, found, strict=True)
            if value != str(write.number)
        ]

    def _listen(self) -> None:
        """Read what it tells until it ends."""
        assert self._process.stdout is not None, "it is a pipe"
        with self._process.stdout as lines:
            for line in lines:
                # Who is killed may be cut off in the middle of one.
                with contextlib.suppress(json.JSONDecodeError):
                    self._read(json.loads(line))
        self._is_ready.set()

    def _read(self, told: Mapping[str, Any]) -> None:
        at = told["at"] / 1000 - self._began
        where = self._ports.get(told.get("port", 0), "")
        if "event" in told:
            self.events.append(Event(at, where or self.name, told["event"], told.get("detail", "")))
            if told["event"] == "ready":
                self._is_ready.set()
            return
        self.writes.append(
            Write(
                f"{self.name}:{told['number']}",
                told["number"],
                told["sent"] / 1000 - self._began,
                at,
                acknowledged=told["ok"],
                node=where,
                error=told.get("detail", ""),
            )
        )
