"""What a node's work costs, for simulations in which a server can be busy.

By default a command takes no virtual time, so no simulated server is ever slow. With `Work`, a
node has what Redis has: one thread. It takes the connections that have sent something in the order
in which their bytes came, reads one, runs the commands in it, answers, and turns to the next one.
While it is at it, the others wait.

The figures are assumptions and not measurements, and whoever shows a result must say so. Those
given here are chosen so that a load of GETs comes out as in a course's two runs of redis-benchmark
on a small machine: 52,110 a second with values of 3 bytes, 42,955 with values of 2,048. The course
measured no pipeline, so what part of a request is the read and what part the command is a guess.

Timers of the node (its cron) cost nothing and are not held up.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.worlds.sim.hosts import Process
    from redislab.worlds.sim.loop import SimLoop
    from redislab.worlds.sim.transport import SimTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What it costs a node to serve, in virtual seconds.

    Attributes:
        read_seconds: for each time that it reads from a connection and answers: waking up, and the
            system calls.
        command_seconds: for each command.
        byte_seconds: for each byte in and out.

    Raises ValueError for a negative figure.
    """

    read_seconds: float = 17.9e-6
    command_seconds: float = 1.2e-6
    byte_seconds: float = 2e-9

    def __post_init__(self) -> None:
        for option in fields(self):
            if getattr(self, option.name) < 0:
                raise ValueError(f"{option.name} cannot be negative: {getattr(self, option.name)}")

    def before(self, data: bytes) -> float:
        """The cost of reading `data` and of running the commands in it."""
        return (
            self.read_seconds
            + self.command_seconds * commands_in(data)
            + self.byte_seconds * len(data)
        )

    def after(self, written: int) -> float:
        """The cost of the bytes that were answered."""
        return self.byte_seconds * written


def commands_in(data: bytes) -> int:
    """How many commands a read holds: arrays that begin a line, or lines; at least one."""
    if data[:1] == b"*":
        return data.count(b"\r\n*") + 1
    return max(data.count(b"\n"), 1)


class Worker:
    """The one thread of a process: who waits for it, and whom it serves."""

    __slots__ = ("_held_back", "_loop", "_process", "_waiting", "_work", "busy")

    def __init__(self, work: Work, process: Process, loop: SimLoop) -> None:
        self._work = work
        self._process = process
        self._loop = loop
        # A dict where an ordered set is meant.
        self._waiting: dict[SimTransport, None] = {}
        self._held_back: tuple[SimTransport, bytes] | None = None
        self.busy = False

    def ask(self, transport: SimTransport) -> None:
        """A connection has something to read: its turn comes."""
        self._waiting.setdefault(transport)
        if not self.busy:
            self._next()

    def resume(self) -> None:
        """The process goes on after it stood still."""
        if self._held_back is not None:
            served, self._held_back = self._held_back, None
            self._answer(served)

    def _next(self) -> None:
        self.busy = False
        while self._waiting and not self._process.held:
            transport = next(iter(self._waiting))
            del self._waiting[transport]
            data = transport.take()
            if data:
                self.busy = True
                done = self._loop.now + self._work.before(data)
                self._loop.schedule(done, self._answer, (transport, data))
                return

    def _answer(self, served: tuple[SimTransport, bytes]) -> None:
        if self._process.state == "dead":
            return
        if self._process.held:
            self._held_back = served
            return
        transport, data = served
        written = transport.feed(data)
        transport.drain()  # what has come meanwhile waits at the end of the line
        self._loop.schedule(self._loop.now + self._work.after(written), self._free, None)

    def _free(self, _: object) -> None:
        self._next()
