"""connect() on the simulated network.

It follows Linux: a SYN that finds no listener is answered with RST (connection refused); one that
is lost, or dropped by a full backlog, is sent again after 1, 3, 7 ... seconds; after 127 seconds
connect() gives up.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from redislab.worlds.sim.faults import CONNECT_GIVES_UP_SECONDS, SYN_SECONDS
from redislab.worlds.sim.transport import SimTransport, connect_pair

if TYPE_CHECKING:
    from redislab.worlds.sim.hosts import Process
    from redislab.worlds.sim.network import Address, Network


class Dial:
    """One connect(): SYN, SYN again, until somebody answers or it gives up."""

    def __init__(self, network: Network, process: Process, local: Address, remote: Address) -> None:
        self.network = network
        self.loop = network.loop
        self.process = process
        # What comes over the connection later is code of the one who asked for it.
        self.context = copy_context()
        self.local = local
        self.remote = remote
        self.target = network.owner(remote, process)
        self.there = network.link(process.host, self.target)
        self.back = network.link(self.target, process.host)
        self.future: asyncio.Future[SimTransport] = self.loop.create_future()
        self.over = False
        self.began = self.loop.now
        self.timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Send the first SYN; each one plans the next."""
        self._syn(0)

    def give_up(self) -> None:
        """The caller waits no more."""
        if not self.over:
            self._finish()
        elif self.future.done() and not self.future.cancelled() and not self.future.exception():
            self.future.result().abort()

    def _finish(self) -> None:
        self.over = True
        if self.timer is not None:
            self.timer.cancel()

    def _syn(self, attempt: int) -> None:
        if self.over or self.process.state == "dead":
            return
        if attempt + 1 < len(SYN_SECONDS):
            later = self.began + SYN_SECONDS[attempt + 1]
            self.timer = self.loop.kernel_timer(later, self._syn, attempt + 1)
        else:
            later = self.began + CONNECT_GIVES_UP_SECONDS
            self.timer = self.loop.kernel_timer(later, self._time_out, None)
        if not self.there.is_cut:
            now = self.loop.now
            arrival = now + self.there.travel_seconds(now, 0)
            self.loop.schedule(arrival, self._syn_arrives, self.there.cuts)

    def _syn_arrives(self, cuts: int) -> None:
        """The SYN is at the other host: its kernel answers, if it can be heard."""
        if self.there.is_cut or cuts != self.there.cuts or not self.target.up or self.over:
            return
        listener = self.network.listener(self.remote)
        if listener is not None and len(listener.queue) >= listener.backlog:
            return
        if self.back.is_cut:
            return
        now = self.loop.now
        arrival = now + self.back.travel_seconds(now, 0)
        answer: Callable[[Any], object] = self._refused if listener is None else self._answered
        self.loop.schedule(arrival, answer, self.back.cuts)

    def _refused(self, cuts: int) -> None:
        if self._hears(cuts):
            self._fail(ConnectionRefusedError, errno.ECONNREFUSED)

    def _answered(self, cuts: int) -> None:
        """SYN-ACK: the connection stands on this side; the other learns it from our answer."""
        if not self._hears(cuts):
            return
        self._finish()
        near = connect_pair(self.network, self.process, self.target, self.local, self.remote)
        near.own(self.process, self.context)
        self.future.set_result(near)

    def _hears(self, cuts: int) -> bool:
        return not (self.over or self.back.is_cut or cuts != self.back.cuts) and (
            not self.future.done() and self.process.state != "dead"
        )

    def _time_out(self, _: object) -> None:
        if not self.over and not self.future.done():
            self._fail(TimeoutError, errno.ETIMEDOUT)

    def _fail(self, kind: type[OSError], code: int) -> None:
        self._finish()
        self.network.release_port(self.local)
        self.future.set_exception(kind(code, f"Connect call failed {self.remote!r}"))
