"""Hosts and processes: who an event belongs to, whether it may run, and what time it thinks it is.

A `Host` is a machine: it has a name, an address, a clock, and it is up or down. A `Process` is one
run of a program on it; killing and restarting a node makes a new process on the same host.

Which process a piece of code belongs to is told by the context variable `CURRENT`. asyncio copies
the context into every task, callback and transport, so whatever a node starts belongs to the node
without the node doing anything for it, and the loop can tell from any handle whose it is. That is
all that pausing (its events are held back), killing (they are dropped) and clock drift (it reads
another time) need.
"""

from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from redislab.worlds.sim.listeners import Listener
    from redislab.worlds.sim.transport import SimTransport
    from redislab.worlds.sim.work import Worker

CURRENT: ContextVar[Process | None] = ContextVar("redislab_process", default=None)


class HostClock:
    """A host's clock: it runs `rate` times as fast as the true one, from where it was set.

    A rate of 1.0001 gains 0.1 ms a second, which is what a cheap crystal does (100 ppm).
    """

    __slots__ = ("_local", "_true", "rate")

    def __init__(self) -> None:
        self.rate = 1.0
        self._true = 0.0
        self._local = 0.0

    def local(self, true: float) -> float:
        """What the clock shows at a true time."""
        return self._local + (true - self._true) * self.rate

    def true(self, local: float) -> float:
        """The true time at which the clock will show `local`."""
        return self._true + (local - self._local) / self.rate

    def adjust(self, now: float, *, rate: float | None = None, jump: float = 0.0) -> None:
        """From the true time `now` on, run at another rate, or jump ahead by some seconds.

        Timers that are already set keep the true time at which they go off, as timers of a
        monotonic clock do that is set while they run.
        """
        self._local = self.local(now) + jump
        self._true = now
        if rate is not None:
            self.rate = rate


class Process:
    """One run of a program on a host: the owner of tasks, timers, connections and listeners."""

    __slots__ = (
        "context",
        "deferred",
        "held",
        "host",
        "listeners",
        "number",
        "state",
        "transports",
        "worker",
    )

    def __init__(self, host: Host, number: int) -> None:
        self.host = host
        self.number = number
        self.state: Literal["running", "paused", "dead"] = "running"
        # True unless it runs: what the loop asks before each event.
        self.held = False
        self.deferred: list[asyncio.Handle] = []
        # Dicts where a set is meant: their order is that of insertion, in every process.
        self.transports: dict[SimTransport, None] = {}
        self.listeners: dict[Listener, None] = {}
        # Its one thread, where work takes time; None where it takes none.
        self.worker: Worker | None = None
        # A context in which code belongs to this process.
        self.context = self._own_context()

    def __repr__(self) -> str:
        return f"<Process {self.number} of {self.host.name}, {self.state}>"

    def hold(self, handle: asyncio.Handle) -> None:
        """Keep an event until the process goes on; a dead process's events are forgotten."""
        if self.state == "paused":
            self.deferred.append(handle)

    def _own_context(self) -> Context:
        context = copy_context()
        context.run(CURRENT.set, self)
        return context


class Host:
    """A machine of the simulated network."""

    __slots__ = ("clock", "ip", "name", "process", "up")

    def __init__(self, name: str, ip: str) -> None:
        self.name = name
        self.ip = ip
        self.up = True
        self.clock = HostClock()
        # The latest process: a host of this simulator runs one program.
        self.process: Process | None = None

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.ip}{'' if self.up else ', down'}>"
