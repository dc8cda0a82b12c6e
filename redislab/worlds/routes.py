"""Which way connections go in the real worlds: straight, or through a relay that can be cut.

Connections go straight until a fault is asked for between two hosts, so that what is measured
without one is the node and not a relay. The first fault between two hosts starts a relay; what is
connected between them is then broken off, once, and comes back through the relay. From there on,
cuts and delays act on connections as they stand, as in the simulation.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import redis
import redis.asyncio

from redislab.worlds.relay import Relay

if TYPE_CHECKING:
    from redislab.worlds.background import Background

Address = tuple[str, int]


class Route:
    """The way from a host to a node."""

    def __init__(self, target: Address) -> None:
        self.target = target
        self.relay: Relay | None = None
        self._open: WeakSet[Any] = WeakSet()

    def address(self) -> Address:
        """What to connect to, now."""
        return self.target if self.relay is None else self.relay.address

    def opened(self, connection: Any) -> None:
        """Note a connection: a socket, or a transport that has one."""
        self._open.add(connection)

    def divert(self, relay: Relay) -> None:
        """From now on through a relay; what goes straight is broken off."""
        self.relay = relay
        for connection in list(self._open):
            _shut(connection)
        self._open.clear()


class Routes:
    """All routes of a world.

    Args:
        random: of the jitter of delays.
        background: gives the thread that relays run in; called when the first one is needed.
    """

    def __init__(self, random: Random, background: Callable[[], Background]) -> None:
        self._random = random
        self._background = background
        self._routes: dict[tuple[str, str], Route] = {}
        self._targets: dict[str, Address] = {}

    def add(self, name: str, target: Address) -> None:
        """A node has an address."""
        self._targets[name] = target

    def between(self, source: str, target: str) -> Route:
        """The route from a host to a node."""
        route = self._routes.get((source, target))
        if route is None:
            route = self._routes[source, target] = Route(self._targets[target])
        return route

    def towards(self, source: str, port: int) -> Route | None:
        """The route from a host to the node that has a port; None if no node has it."""
        for name, (_, its_port) in self._targets.items():
            if its_port == port and name != source:
                return self.between(source, name)
        return None

    def cut(self, source: str, target: str) -> None:
        """Let nothing through from one host to the other, whichever of them connected."""
        for relay, way in self._ways(source, target):
            self._background().loop.call_soon_threadsafe(getattr(relay, way).opened.clear)

    def delay(self, source: str, target: str, seconds: float, jitter: float) -> None:
        """Hold everything from one host to the other."""
        for relay, way in self._ways(source, target):
            direction = getattr(relay, way)
            direction.delay_seconds, direction.jitter_seconds = seconds, jitter

    def heal(self) -> None:
        """Undo every cut and delay; relays stay, open."""
        for route in self._routes.values():
            if route.relay is None:
                continue
            for way in (route.relay.there, route.relay.back):
                way.delay_seconds = way.jitter_seconds = 0.0
                self._background().loop.call_soon_threadsafe(way.opened.set)

    def close(self) -> None:
        """Stop the relays."""
        for route in self._routes.values():
            if route.relay is not None:
                with contextlib.suppress(RuntimeError, TimeoutError):
                    self._background().call(route.relay.stop(), timeout=1.0)

    def _ways(self, source: str, target: str) -> list[tuple[Relay, str]]:
        """The relays between two hosts, each with its direction from `source` to `target`."""
        ways = []
        if target in self._targets:
            ways.append((self._relay(source, target), "there"))
        if source in self._targets:
            ways.append((self._relay(target, source), "back"))
        return ways

    def _relay(self, source: str, target: str) -> Relay:
        route = self.between(source, target)
        if route.relay is None:
            relay = Relay(route.target, self._random)
            self._background().call(relay.start())
            route.divert(relay)
        return route.relay  # type: ignore[return-value]


class RoutedConnection(redis.Connection):
    """redis-py's connection, on its route."""

    route: Route

    def _connect(self) -> socket.socket:
        host, port = self._host, self.port
        self._host, self.port = self.route.address()
        try:
            sock: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        finally:
            self._host, self.port = host, port
        self.route.opened(sock)
        return sock


class RoutedAsyncConnection(redis.asyncio.Connection):
    """redis-py's asyncio connection, on its route."""

    route: Route

    def _connection_arguments(self) -> dict[str, Any]:
        host, port = self.route.address()
        return {**super()._connection_arguments(), "host": host, "port": port}

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]
        self.route.opened(self._writer.transport)  # type: ignore[union-attr]


def _shut(connection: Any) -> None:
    """Break a connection off, from whichever thread."""
    if not isinstance(connection, socket.socket):
        if connection.is_closing():
            return
        connection = connection.get_extra_info("socket")
    # A second descriptor, for the first belongs to a loop that may run in another thread.
    with contextlib.suppress(OSError, ValueError):
        twin = socket.socket(fileno=os.dup(connection.fileno()))
        with twin:
            twin.shutdown(socket.SHUT_RDWR)
