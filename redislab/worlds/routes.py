"""How hosts of the real worlds reach each other, so that faults can be put between any two of them.

Everything happens on the loopback of one machine, where nothing tells two hosts apart. Three ways
to change that were weighed:

- A relay for each ordered pair of hosts, each on a port of its own, and `replicaof 127.0.0.1 PORT`
  with the port of the pair. That ends where nodes tell each other addresses, as Sentinels, Cluster
  and INFO do: the address of a node would have to be another one for everybody who hears it.
- An address out of 127.0.0.0/8 for each node, listened on and dialed from, and seen by all. But
  Redis's protected mode takes only 127.0.0.1 for the loopback, and refuses everybody else.
- What is built here: a node is known to all as 127.0.0.1 and its port, as in `sim` and as on a
  reader's own machine. There a relay listens. The node itself listens on the same port of an
  address of its own, 127.1.0.1, 127.1.0.2 ..., and dials from it (`bind-source-addr`), which
  tells the relay who dials. The relay goes on from 127.0.0.1. So every address that anybody sees,
  announces or configures is the same, and programs that are no part of the lab (redis-cli, a
  client in another language) come in as the host "client". Only those who tell others their own
  address off a socket must be told it: a node of a cluster (`cluster-announce-ip`) and a Sentinel
  (`sentinel announce-ip`), which is done here. And MIGRATE minds no `bind-source-addr`: there the
  relay asks the system whose process dials.

One relay for each port of a node, then, and a `Way` for each ordered pair of hosts. macOS has only
127.0.0.1 unless its owner adds more (`sudo ifconfig lo0 alias 127.1.0.1`). There a node listens on
another port and announces the known one (`replica-announce-port`, `cluster-announce-port`); the
relay knows our own code's connections by their local port, and asks the system whose all others
are (`dialers.py`).

A lab of a single node pays for none of this: its node listens where it is known to be, connections
go straight, and what is measured without a fault is the node and not a relay. The first fault
between a client and the node starts a relay beside it; what is connected between them is then
broken off, once, and comes back through the relay.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from redislab.worlds.base import CLIENT, OBSERVER, Address, WorldError
from redislab.worlds.dialers import Finder
from redislab.worlds.ports import BUS_PORT_OFFSET, LOCALHOST, free_port, source_port
from redislab.worlds.relay import Relay, Way

if TYPE_CHECKING:
    from redislab.worlds.background import Background


@dataclass(slots=True)
class Site:
    """Where a node is.

    Attributes:
        known: where everybody dials it.
        own: where it listens itself.
        directives: what it must be told beside `port` and `bind`, so that others find it.
        relays: what listens in its place.
        is_up: whether it listens, as far as is known.
        straight: connections that went past all relays, by the host they came from.
    """

    known: Address
    own: Address
    directives: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    relays: list[Relay] = field(default_factory=list)
    is_up: bool = False
    straight: dict[str, WeakSet[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dialing:
    """How a host connects to a node.

    Attributes:
        address: what to connect to.
        local: what to connect from; None is anything.
        opened: to be called with the connection: a socket, or a transport that has one.
    """

    address: Address
    local: Address | None
    opened: Callable[[Any], None]


class Routes:
    """The hosts of a world, where its nodes are, and what may pass between any two.

    Args:
        random: of the jitter of delays.
        background: gives the thread that relays run in; called when the first one is needed.
        relayed: whether every node is behind a relay from the start.
        own_addresses: whether a host has an address of its own; None is where the machine can.
    """

    def __init__(
        self,
        random: Random,
        background: Callable[[], Background],
        *,
        relayed: bool = False,
        own_addresses: bool | None = None,
    ) -> None:
        self.relayed = relayed
        self._random = random
        self._background = background
        self._own_addresses = own_addresses
        self._sites: dict[str, Site] = {}
        self._ways: dict[tuple[str, str], Way] = {}
        self._addresses: dict[str, str] = {}
        self._names: dict[str, str] = {}
        # Where hosts share an address: whose a local port is. And what asks the system that.
        self._ports: dict[int, str] = {}
        self._find_process: Finder = lambda _near, _far: None

    # -- nodes ---------------------------------------------------------------------------------

    def add(
        self, name: str, known: Address, *, with_bus: bool = False, is_sentinel: bool = False
    ) -> Site:
        """A new node, before it is started.

        Args:
            name: of its host.
            known: the address that it is to be known by.
            with_bus: whether it also listens on the port of Cluster's bus.
            is_sentinel: whether it is a Sentinel, which takes its own address off its sockets.

        Raises:
            OSError: when the address is taken.
        """
        site = Site(known, known)
        self._sites[name] = site
        if not self.relayed:
            return site
        offsets = (0, BUS_PORT_OFFSET) if with_bus else (0,)
        if self.has_own_addresses:
            site.own = (self._address_of(name), known[1])
            site.directives["bind-source-addr"] = site.own[0]
            if with_bus:
                site.directives["cluster-announce-ip"] = known[0]
        else:
            site.own = (LOCALHOST, free_port(with_bus=with_bus))
            if not is_sentinel:
                site.directives["replica-announce-ip"] = known[0]
                site.directives["replica-announce-port"] = str(known[1])
            if with_bus:
                site.directives["cluster-announce-ip"] = known[0]
                site.directives["cluster-announce-port"] = str(known[1])
                site.directives["cluster-announce-bus-port"] = str(known[1] + BUS_PORT_OFFSET)
        if is_sentinel:
            site.directives["sentinel"] = (
                f"announce-ip {known[0]}",
                f"announce-port {known[1]}",
            )
        for offset in offsets:
            here, there = (known[0], known[1] + offset), (site.own[0], site.own[1] + offset)
            site.relays.append(self._relay(name, there, here))
        try:
            for relay in site.relays:
                self._background().call(relay.listen())
        except BaseException:
            self.remove(name)
            raise
        return site

    def remove(self, name: str) -> None:
        """A node could not be started: forget it."""
        site = self._sites.pop(name)
        for relay in site.relays:
            self._background().do(relay.stop)

    def site(self, name: str) -> Site:
        """Where a node is."""
        return self._sites[name]

    def mark(self, name: str, *, up: bool) -> None:
        """A node listens from now on, or does not."""
        site = self._sites[name]
        site.is_up = up
        if site.relays and self.relayed:
            self._background().settle(self._tend(name, site))

    def find_processes_by(self, find: Finder) -> None:
        """What knows whose a connection is, where the address does not tell."""
        self._find_process = find

    # -- faults --------------------------------------------------------------------------------

    def cut(self, source: str, target: str) -> None:
        """Let nothing through from one host to the other, whichever of them connected."""
        self._divert(source, target)
        self._background().do(self._way(source, target).cut)
        self._tend_all()

    def delay(self, source: str, target: str, seconds: float, jitter: float) -> None:
        """Hold everything from one host to the other."""
        self._divert(source, target)
        way = self._way(source, target)
        way.delay_seconds, way.jitter_seconds = seconds, jitter

    def drop(self, a: str, b: str) -> None:
        """Break every connection between two hosts, and lose what is under way on it."""
        for source, target in ((a, b), (b, a)):
            site = self._sites.get(target)
            for connection in site.straight.pop(source, ()) if site is not None else ():
                _shut(connection)
            way = self._ways.get((source, target))
            if way is not None:
                self._background().do(way.drop)

    def heal(self) -> None:
        """Undo every cut and delay; relays stay, open."""
        for way in list(self._ways.values()):
            self._background().do(way.heal)
        self._tend_all()

    def heal_one(self, source: str, target: str) -> None:
        """Undo the cut and the delay from one host to the other."""
        way = self._ways.get((source, target))
        if way is not None:
            self._background().do(way.heal)
            self._tend_all()

    def close(self) -> None:
        """Stop the relays."""
        for site in self._sites.values():
            for relay in site.relays:
                with contextlib.suppress(RuntimeError, TimeoutError):
                    self._background().do(relay.stop)

    # -- connecting ----------------------------------------------------------------------------

    def dial(self, source: str, host: str, port: int) -> Dialing | None:
        """How a host connects to a node's address; None for an address that is no node's."""
        found = self._find(host, port)
        if found is None:
            return None
        name, offset = found
        site = self._sites[name]
        if source in {OBSERVER, name}:
            return Dialing((site.own[0], site.own[1] + offset), None, _forget)
        if not site.relays:
            return Dialing(
                (site.own[0], site.own[1] + offset),
                None,
                site.straight.setdefault(source, WeakSet()).add,
            )
        relay = site.relays[1 if offset and len(site.relays) > 1 else 0]
        return Dialing(relay.address, self._local_address(source), _forget)

    @property
    def has_own_addresses(self) -> bool:
        """Whether a host has an address of its own."""
        if self._own_addresses is None:
            self._own_addresses = _has_address(_own_address(0))
        return self._own_addresses

    # -- inside --------------------------------------------------------------------------------

    def _way(self, source: str, target: str) -> Way:
        way = self._ways.get((source, target))
        if way is None:
            way = self._ways[source, target] = Way(self._random)
        return way

    def _relay(self, name: str, target: Address, address: Address) -> Relay:
        def ways(peer: Address) -> tuple[Way, Way]:
            source = self._who(peer, relay.address)
            return self._way(source, name), self._way(name, source)

        def refused() -> None:
            # It has ended by itself, and from now on the kernel may say so.
            if self.relayed and not self._has_cut(name):
                for relay in self._sites[name].relays:
                    relay.refuse()

        relay = Relay(target, ways, address=address, refused=refused)
        return relay

    def _divert(self, source: str, target: str) -> None:
        """Let a straight node's connections come through a relay from now on."""
        if self.relayed:
            return
        nodes = [name for name in (source, target) if name in self._sites]
        if len(nodes) == 2:
            raise WorldError(
                "this world was made for one node: nothing can be put between two of its nodes."
                " Say relayed=True when it is made"
            )
        for name in nodes:
            site = self._sites[name]
            if not site.relays:
                site.relays.append(self._relay(name, site.own, (LOCALHOST, 0)))
                self._background().call(site.relays[0].listen())
            for connection in site.straight.pop(target if name == source else source, ()):
                _shut(connection)

    async def _tend(self, name: str, site: Site) -> None:
        """Listen for a node that runs, or that somebody cannot see is gone; else refuse."""
        for relay in site.relays:
            if site.is_up or self._has_cut(name):
                await relay.listen()
            else:
                relay.refuse()

    def _tend_all(self) -> None:
        if self.relayed:
            for name, site in self._sites.items():
                if not site.is_up:
                    self._background().settle(self._tend(name, site))

    def _has_cut(self, name: str) -> bool:
        return any(way.is_cut and name in pair for pair, way in list(self._ways.items()))

    def _find(self, host: str, port: int) -> tuple[str, int] | None:
        """The node that an address is of, and how far its port is from the first one."""
        for name, site in self._sites.items():
            if host in {site.known[0], LOCALHOST, "localhost"}:
                if port == site.known[1]:
                    return name, 0
                if len(site.relays) > 1 and port == site.known[1] + BUS_PORT_OFFSET:
                    return name, BUS_PORT_OFFSET
        return None

    def _who(self, peer: Address, here: Address) -> str:
        """The host that connects from an address; strangers are on the clients' host."""
        name = self._names.get(peer[0]) or self._ports.pop(peer[1], None)
        if name is None:
            name = self._find_process(peer, here)
        return name or CLIENT

    def _local_address(self, source: str) -> Address:
        """What a host connects from, so that a relay knows it."""
        if self.has_own_addresses:
            return self._address_of(source), 0
        port = source_port()
        self._ports[port] = source
        return LOCALHOST, port

    def _address_of(self, name: str) -> str:
        address = self._addresses.get(name)
        if address is None:
            address = self._addresses[name] = _own_address(len(self._addresses))
            self._names[address] = name
        return address


def is_taken(failure: BaseException) -> bool:
    """Whether a node could not start because somebody else has its port."""
    if isinstance(failure, OSError) and failure.errno == errno.EADDRINUSE:
        return True
    return "Address already in use" in str(failure)


def _own_address(number: int) -> str:
    return f"127.1.{number // 250}.{number % 250 + 1}"


def _has_address(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True


def _forget(_connection: Any) -> None:
    """Nobody breaks off what a relay carries, or what the lab watches with."""


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
