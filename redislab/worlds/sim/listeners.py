"""Listening on the simulated network: the kernel's backlog, and asyncio's server object.

A stopped process still has its kernel: a client's connection stands in the backlog, and nobody
answers, until the process goes on and accepts it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.worlds.sim.hosts import Process
    from redislab.worlds.sim.loop import SimLoop
    from redislab.worlds.sim.network import Address, Network
    from redislab.worlds.sim.transport import SimTransport


class Listener:
    """A listening socket: where it listens, whose it is, and who has not been accepted yet."""

    __slots__ = ("address", "backlog", "factory", "process", "queue", "server")

    def __init__(
        self,
        address: Address,
        process: Process,
        factory: Callable[[], asyncio.BaseProtocol],
        backlog: int,
        server: SimServer,
    ) -> None:
        self.address = address
        self.process = process
        self.factory = factory
        self.backlog = backlog
        self.server = server
        self.queue: list[SimTransport] = []

    def connected(self, transport: SimTransport) -> None:
        """The kernel has a new connection; the program gets it as soon as it runs."""
        self.queue.append(transport)
        self.accept()

    def accept(self) -> None:
        """Hand over what waits in the backlog, unless the process stands still."""
        while self.queue and not self.process.held and self.server.is_serving():
            transport = self.queue.pop(0)
            transport.accept(self.process.context.copy(), self.factory, self.server)


class SimServer(asyncio.AbstractServer):
    """What `loop.create_server` returns."""

    def __init__(self, network: Network, loop: SimLoop) -> None:
        self._network = network
        self._loop = loop
        self._serving = False
        self._closed = False
        self._open = 0
        self._waiters: list[asyncio.Future[None]] = []
        self.listeners: list[Listener] = []

    @property
    def sockets(self) -> tuple[ListeningSocket, ...]:
        """Stand-ins for the listening sockets, each with its `getsockname`."""
        return tuple(ListeningSocket(listener.address) for listener in self.listeners)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it serves on."""
        return self._loop

    def is_serving(self) -> bool:
        """Whether it accepts connections."""
        return self._serving

    def begin(self) -> None:
        """Accept connections."""
        self._serving = True
        for listener in self.listeners:
            listener.accept()

    async def start_serving(self) -> None:
        """Accept connections, if it does not yet."""
        self.begin()

    async def serve_forever(self) -> None:
        """Accept connections until cancelled."""
        self.begin()
        try:
            await self._loop.create_future()
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening; connections that were accepted live on."""
        if self._closed:
            return
        self._closed = True
        self._serving = False
        for listener in self.listeners:
            self._network.unlisten(listener)
        self.listeners.clear()
        self.detach(0)

    async def wait_closed(self) -> None:
        """Wait until it is closed and its last connection is gone."""
        if self._closed and not self._open:
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def attach(self) -> None:
        """One more connection."""
        self._open += 1

    def detach(self, count: int = 1) -> None:
        """One connection less."""
        self._open -= count
        if self._closed and not self._open:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)


class ListeningSocket:
    """As much of a listening socket as programs ask for."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.family = socket.AF_INET
        self.type = socket.SOCK_STREAM
        self.proto = 6

    def getsockname(self) -> Address:
        """Its address."""
        return self._address

    def fileno(self) -> int:
        """It has none."""
        return -1
