"""The simulated network: hosts, addresses, links, listeners, and the way to a connection.

Hosts are known by name. By default they all have the address 127.0.0.1, told apart by port as on a
reader's own machine, so that a lesson shows the same addresses in every world; the network
remembers whose a port is, also while nobody listens on it, for a cut needs to know.

How a message crosses a link is in `link.py`, what a connection makes of it in `flow.py` and
`transport.py`, how one begins in `dial.py` and `listeners.py`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING

from redislab.worlds.base import OBSERVER
from redislab.worlds.sim.dial import Dial
from redislab.worlds.sim.faults import Faults
from redislab.worlds.sim.hosts import CURRENT, Host, Process
from redislab.worlds.sim.journal import Journal
from redislab.worlds.sim.link import Link
from redislab.worlds.sim.listeners import Listener, SimServer
from redislab.worlds.sim.transport import SimTransport

if TYPE_CHECKING:
    from redislab.worlds.sim.loop import SimLoop

Address = tuple[str, int]

LOCALHOST = "127.0.0.1"
# Where Linux's ip_local_port_range begins and ends.
EPHEMERAL_PORTS = range(32768, 61000)
# What a host needs to reach itself.
LOOPBACK_SECONDS = 0.000_02
_ANY_ADDRESS = ("", "0.0.0.0", "*")
_ANY_ADDRESS_6 = ("::", "::1", "::0")
_FIRST_PROCESS_ID = 1000


class Network:
    """Hosts and what connects them."""

    def __init__(self, loop: SimLoop, seed: int | str, faults: Faults, journal: Journal) -> None:
        self.loop = loop
        self.faults = faults
        self.journal = journal
        # A string seed is hashed by SHA-512, so it says the same in every interpreter.
        self.random = Random(f"network/{seed}")
        self.hosts: dict[str, Host] = {}
        self.connections = 0
        self._links: dict[tuple[str, str], Link] = {}
        self._listeners: dict[Address, Listener] = {}
        # Whose an address is, also while nobody listens there: a cut needs to know.
        self._owners: dict[Address, Host] = {}
        self._used_ports: dict[Address, None] = {}
        self._next_port = EPHEMERAL_PORTS.start
        self._next_process = _FIRST_PROCESS_ID

    # -- hosts and processes -------------------------------------------------------------------

    def host(self, name: str, ip: str = LOCALHOST) -> Host:
        """The host of that name; it joins the network when it is first asked for."""
        host = self.hosts.get(name)
        if host is None:
            host = self.hosts[name] = Host(name, ip)
            if self.faults.clock_drift_max and name != OBSERVER:
                drift = self.random.uniform(-1, 1) * self.faults.clock_drift_max
                self.set_clock(name, rate=1.0 + drift)
        return host

    def process(self, name: str) -> Process:
        """The process that runs on a host; a new one if none does."""
        host = self.host(name)
        if host.process is None or host.process.state == "dead":
            host.up = True
            host.process = Process(host, self._next_process)
            self._next_process += 1
        return host.process

    def own(self, address: Address, name: str) -> None:
        """Say whose an address is before anybody listens on it."""
        self._owners[address] = self.host(name)

    def kill(self, name: str) -> None:
        """`kill -9` of a host's process: its kernel closes the connections."""
        self._end(self._known(name), by_power=False)

    def crash(self, name: str) -> None:
        """A host loses power: its connections vanish, and nobody tells the other side."""
        host = self._known(name)
        host.up = False
        self._end(host, by_power=True)

    def boot(self, name: str) -> None:
        """Power is back: the kernel answers again, and it knows no old connection."""
        self._known(name).up = True

    def pause(self, name: str) -> None:
        """`SIGSTOP`: nothing of the process runs; its kernel goes on."""
        process = self._known(name).process
        if process is not None and process.state == "running":
            process.state = "paused"
            process.held = True

    def resume(self, name: str) -> None:
        """`SIGCONT`: what was held back runs now, and what came in meanwhile is read."""
        process = self._known(name).process
        if process is None or process.state != "paused":
            return
        process.state = "running"
        process.held = False
        self.loop.release(process)
        self.loop.schedule(self.loop.now, self._catch_up, process)

    def set_clock(self, name: str, *, rate: float | None = None, jump: float = 0.0) -> None:
        """Let a host's clock run at another rate from now on, or jump by some seconds."""
        if rate is not None and rate <= 0:
            raise ValueError(f"a clock's rate is above 0 (1.0 is right), not {rate!r}")
        self._known(name).clock.adjust(self.loop.now, rate=rate, jump=jump)
        self.loop.skewed = True

    def close(self) -> None:
        """The end of the simulation: nothing is told to anybody."""
        for host in self.hosts.values():
            if host.process is not None:
                self._end(host, by_power=True)

    # -- links ---------------------------------------------------------------------------------

    def link(self, source: Host, target: Host) -> Link:
        """The link from one host to another."""
        link = self._links.get((source.name, target.name))
        if link is None:
            if source is target or OBSERVER in {source.name, target.name}:
                faults = Faults(latency_seconds=LOOPBACK_SECONDS, jitter_seconds=0.0)
            else:
                faults = self.faults
            link = self._links[source.name, target.name] = Link(source, target, faults, self.random)
        return link

    def cut(self, source: str, target: str) -> None:
        """Let nothing through from one host to the other, what is on its way included."""
        link = self.link(self.host(source), self.host(target))
        link.is_cut = True
        link.cuts += 1

    def delay(self, source: str, target: str, seconds: float, jitter: float) -> None:
        """Add latency from one host to the other."""
        link = self.link(self.host(source), self.host(target))
        link.extra_seconds = seconds
        link.extra_jitter = jitter

    def drop(self, a: str, b: str) -> None:
        """Lose what is on its way between two hosts; both ends of their connections hear of it."""
        near, far = self.host(a), self.host(b)
        for link in (self.link(near, far), self.link(far, near)):
            link.cuts += 1
        for one, other in ((near, far), (far, near)):
            if one.process is not None:
                for transport in list(one.process.transports):
                    if transport.peer.host is other:
                        self.loop.schedule(self.loop.now, transport.hear_reset, None)
                        self.loop.schedule(self.loop.now, transport.peer.hear_reset, None)

    def heal(self) -> None:
        """Undo every cut and delay. What was lost goes out when TCP sends it again."""
        for link in self._links.values():
            link.heal()

    def heal_one(self, source: str, target: str) -> None:
        """Undo the cut and the delay from one host to the other."""
        self.link(self.host(source), self.host(target)).heal()

    # -- addresses -----------------------------------------------------------------------------

    def resolve(self, name: str | None) -> str:
        """The address of a host; raises socket.gaierror for a name that is none here."""
        if name in self.hosts:
            return self.hosts[name].ip
        if name is None or name == "localhost" or name in _ANY_ADDRESS:
            return LOCALHOST
        if name in _ANY_ADDRESS_6:
            return "::1"
        if name.replace(".", "").isdigit():
            return name
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def serve(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        hosts: str | Iterable[str] | None,
        port: int,
        backlog: int,
        start_serving: bool,
    ) -> SimServer:
        """Listen as the current process; raises OSError for an address that cannot be had."""
        process = self._current()
        server = SimServer(self, self.loop)
        names = [hosts] if isinstance(hosts, str) or hosts is None else list(hosts)
        for name in names:
            address = self._bind(process.host, name, port)
            listener = Listener(address, process, factory, backlog, server)
            server.listeners.append(listener)
            process.listeners[listener] = None
            self._listeners[address] = listener
            self._owners[address] = process.host
            port = port or address[1]
        if start_serving:
            server.begin()
        return server

    def unlisten(self, listener: Listener) -> None:
        """A listening socket is closed: whoever was not accepted yet is reset."""
        listener.process.listeners.pop(listener, None)
        if self._listeners.get(listener.address) is listener:
            del self._listeners[listener.address]
        for transport in listener.queue:
            transport.vanish(reset=True)
        listener.queue.clear()

    def listener(self, address: Address) -> Listener | None:
        """Who listens at an address."""
        return self._listeners.get(address)

    def release_port(self, address: Address) -> None:
        """A connection's own end of an address is free again."""
        self._used_ports.pop(address, None)

    # -- connecting ----------------------------------------------------------------------------

    async def connect(
        self, host: str, port: int, local_addr: tuple[str, int] | None = None
    ) -> SimTransport:
        """A connection of the current process; its transport has no protocol yet.

        Raises:
            ConnectionRefusedError: when nobody listens there.
            TimeoutError: when nobody answered for 127 seconds.
            socket.gaierror: when there is no such host.
        """
        process = self._current()
        remote = (self.resolve(host), port)
        local_ip = local_addr[0] if local_addr else process.host.ip
        local = (local_ip, self._ephemeral_port(local_ip, local_addr))
        dial = Dial(self, process, local, remote)
        dial.begin()
        try:
            return await dial.future
        except BaseException:
            dial.give_up()
            raise

    def owner(self, address: Address, process: Process) -> Host:
        """The host behind an address; a port that nobody ever had is the caller's own."""
        owner = self._owners.get(address)
        if owner is not None:
            return owner
        for host in self.hosts.values():
            if host.ip == address[0] and host.ip != LOCALHOST:
                return host
        return process.host

    def _bind(self, host: Host, name: str | None, port: int) -> Address:
        ip = host.ip if name is None or name in _ANY_ADDRESS else self.resolve(name)
        if ip not in {host.ip, "::1", LOCALHOST}:
            raise OSError(
                errno.EADDRNOTAVAIL,
                f"error while attempting to bind on address ({ip!r}, {port}): "
                f"{os.strerror(errno.EADDRNOTAVAIL).lower()}",
            )
        if port == 0:
            port = self._ephemeral_port(ip, None)
        if (ip, port) in self._listeners:
            raise OSError(
                errno.EADDRINUSE,
                f"error while attempting to bind on address ({ip!r}, {port}): "
                f"{os.strerror(errno.EADDRINUSE).lower()}",
            )
        return ip, port

    def _ephemeral_port(self, ip: str, wanted: tuple[str, int] | None) -> int:
        if wanted is not None and wanted[1]:
            return wanted[1]
        for _ in EPHEMERAL_PORTS:
            port = self._next_port
            self._next_port += 1
            if self._next_port >= EPHEMERAL_PORTS.stop:
                self._next_port = EPHEMERAL_PORTS.start
            address = (ip, port)
            if address not in self._used_ports and address not in self._owners:
                self._used_ports[address] = None
                return port
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    def _current(self) -> Process:
        process = CURRENT.get()
        return process if process is not None else self.process("client")

    def _known(self, name: str) -> Host:
        try:
            return self.hosts[name]
        except KeyError:
            raise KeyError(f"no host {name!r}; there are {', '.join(self.hosts)}") from None

    def _end(self, host: Host, *, by_power: bool) -> None:
        process = host.process
        if process is None or process.state == "dead":
            return
        process.state = "dead"
        process.held = True
        for listener in list(process.listeners):
            listener.server._serving = False
            if by_power:
                listener.queue.clear()
            self.unlisten(listener)
        for transport in list(process.transports):
            transport.vanish(silent=by_power)
        self.loop.bury(process)

    def _catch_up(self, process: Process) -> None:
        if process.worker is not None:
            process.worker.resume()
        for listener in list(process.listeners):
            listener.accept()
        for transport in list(process.transports):
            transport.drain()
