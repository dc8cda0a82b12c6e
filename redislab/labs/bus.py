"""A real cluster whose bus is measured: how many messages its nodes send, and how many bytes.

The nodes are real redis-servers. They count their own messages by type, and `CLUSTER INFO` tells;
bytes they do not count, so the lab does. Each node announces the port of a meter in the place of
its bus, whoever dials it reaches the meter, and the meter passes on what comes and counts it. A
message begins with the four letters `RCmb` and says how long it is (`clusterMsg` in
`src/cluster.h` of Redis 7.0), so the meter can tell one from the next.

The cluster is not put together by MEET, which takes its time: each node begins with a file
`nodes.conf` that knows all the others, as a node has that is started again. Every node is a master
with its share of the slots.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from redislab.labs.base import Lab
from redislab.labs.gossip import Detection, Traffic
from redislab.worlds.base import OBSERVER, NodeSpec
from redislab.worlds.ports import BUS_PORT_OFFSET, LOCALHOST, free_port
from redislab.worlds.redis import RedisWorld

SLOTS = 16384
_LETTERS = b"RCmb"
_KINDS = {0: "ping", 1: "pong", 2: "meet", 3: "fail"}
_HEAD_BYTES = 16
_READY_SECONDS = 10.0
_LOOK_SECONDS = 0.02
_LOOK_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class _Known:
    """What the nodes know of one of them at one moment.

    Attributes:
        seconds: since the lab began.
        aware: how many of the others have it in their tables.
        suspecting: how many take it to be PFAIL.
        failing: how many take it to be FAIL.
    """

    seconds: float
    aware: int
    suspecting: int
    failing: int


class Meter:
    """Stands in front of a node's bus, and counts what passes, both ways.

    Attributes:
        bytes: what passed.
        sizes: how many messages of which kind and size.
        first: the first message of each kind, whole.
        connections: those that stand.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.bytes = 0
        self.sizes: Counter[tuple[str, int]] = Counter()
        self.first: dict[str, bytes] = {}
        self.connections: dict[_Near, None] = {}
        self._server: asyncio.Server | None = None

    async def listen(self, port: int) -> None:
        """Take connections on a port."""
        host, _ = self.target
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Near(self), host, port)

    async def close(self) -> None:
        """Take no more, and drop those there are."""
        if self._server is not None:
            self._server.close()
        for near in list(self.connections):
            near.abort()
        # A transport is closed in the next turn of the loop.
        await asyncio.sleep(0)

    def count(self, message: bytes) -> None:
        """A whole message has passed."""
        number = int.from_bytes(message[12:14])
        kind = _KINDS.get(number, f"type {number}")
        self.sizes[kind, len(message)] += 1
        self.first.setdefault(kind, message)


class _Reader:
    """Takes one direction of a connection apart into messages."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._held = bytearray()

    def take(self, data: bytes) -> None:
        self._meter.bytes += len(data)
        self._held += data
        while len(self._held) >= _HEAD_BYTES and self._held[:4] == _LETTERS:
            size = int.from_bytes(self._held[4:8])
            if len(self._held) < size:
                break
            self._meter.count(bytes(self._held[:size]))
            del self._held[:size]


class _Far(asyncio.Protocol):
    """The connection from a meter to the node."""

    def __init__(self, near: _Near) -> None:
        self._near = near
        self._reader = _Reader(near.meter)

    def data_received(self, data: bytes) -> None:
        self._reader.take(data)
        self._near.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._near.transport.close()


class _Near(asyncio.Protocol):
    """The connection of somebody who dials the meter."""

    transport: asyncio.Transport

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._reader = _Reader(meter)
        self._far: asyncio.Transport | None = None
        self._waiting = bytearray()
        self._dialing: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.meter.connections[self] = None
        self._dialing = asyncio.get_running_loop().create_task(self._dial())

    def data_received(self, data: bytes) -> None:
        self._reader.take(data)
        if self._far is None:
            self._waiting += data
        else:
            self._far.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.meter.connections.pop(self, None)
        if self._far is not None:
            self._far.close()

    def abort(self) -> None:
        """Drop both ends."""
        if self._dialing is not None:
            self._dialing.cancel()
        for end in (self.transport, self._far):
            if end is not None:
                end.abort()

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            far, _ = await loop.create_connection(lambda: _Far(self), *self.meter.target)
        except OSError:
            self.transport.close()
            return
        self._far = far
        far.write(bytes(self._waiting))
        if self.transport.is_closing():
            far.close()


class BusLab(Lab):
    """A cluster of real redis-servers, all masters.

    Args:
        nodes: how many.
        timeout: their `cluster-node-timeout`, in seconds.
        metered: whether meters count what passes on the bus, and its bytes.
        seed: of the nodes' ids.

    Raises:
        ProgramMissingError: there is no redis-server.
    """

    relayed = False

    def __init__(
        self, nodes: int = 6, timeout: float = 15.0, *, metered: bool = False, seed: int = 0
    ) -> None:
        super().__init__("redis", seed)
        self.timeout = timeout
        self._founders = nodes
        self.meters: list[Meter] = []
        self._asked: dict[str, Any] = {}
        try:
            self._begin(nodes, metered=metered)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop everything and leave nothing behind. May be called again."""
        if not self.closed:
            for meter in self.meters:
                self.run(meter.close())
        super().close()

    def snapshot(self) -> dict[str, int]:
        """How many messages the nodes have sent so far, all together, by type."""
        sent: Counter[str] = Counter()
        for node in self.nodes:
            for name, value in self._info(node).items():
                if name.startswith("cluster_stats_messages_") and name.endswith("_sent"):
                    kind = name.removeprefix("cluster_stats_messages_").removesuffix("sent")
                    sent[kind.rstrip("_") or "all"] += int(value)
        return dict(sent)

    def traffic(self, seconds: float) -> Traffic:
        """Let time pass, and count."""
        before = (self.snapshot(), self.metered_bytes, self.now)
        self.run_for(seconds)
        return self.traffic_since(*before)

    def traffic_since(self, sent: Mapping[str, int], passed: int, began: float) -> Traffic:
        """Count what was sent since a moment, which has to be some messages ago.

        Args:
            sent: the `snapshot` of that moment.
            passed: its `metered_bytes`; without meters, no bytes are counted.
            began: when it was, by `now`.
        """
        now = self.snapshot()
        pings, pongs = (now.get(kind, 0) - sent.get(kind, 0) for kind in ("ping", "pong"))
        size = self.metered_bytes - passed
        return Traffic(len(self.nodes), self.timeout, self.now - began, pings, pongs, size)

    @property
    def metered_bytes(self) -> int:
        """What has passed the meters so far."""
        return sum(meter.bytes for meter in self.meters)

    @property
    def sizes(self) -> Counter[tuple[str, int]]:
        """How many messages of which kind and size have passed the meters."""
        found: Counter[tuple[str, int]] = Counter()
        for meter in self.meters:
            found.update(meter.sizes)
        return found

    @property
    def samples(self) -> dict[str, list[bytes]]:
        """Messages of each kind that have passed the meters, whole: the first one of each meter."""
        found: dict[str, list[bytes]] = {}
        for meter in self.meters:
            for kind, message in meter.first.items():
                found.setdefault(kind, []).append(message)
        return found

    def news(self) -> list[float]:
        """Let a node join, and see when each of the others has heard of it.

        It knows nobody, and MEET introduces it to the first one, as `redis-cli --cluster add-node`
        does. Times are in seconds since that one took it in, ascending.

        Raises:
            TimeoutError: somebody had not heard of it after a minute.
        """
        first, others = self.find(), len(self.nodes)
        node = self._start(NodeSpec(config=self._config()))
        self._command(first.name, "MEET", node.host, node.port)
        heard: list[float] = []
        for known in self._looks(node.name):
            heard += [known.seconds] * (known.aware - len(heard))
            if len(heard) == others:
                break
        return [round(at - heard[0], 3) for at in heard]

    def detection(self) -> Detection:
        """Let a node stand still, see when the others find out, and let it go on.

        It is the last one of those that the cluster began with.

        Raises:
            TimeoutError: they had not agreed after a minute.
        """
        name, others = list(self.nodes)[self._founders - 1], len(self.nodes) - 1
        began = self.now
        self.pause(name)
        first = last = 0.0
        suspecting = 0
        try:
            for known in self._looks(name):
                if known.suspecting > suspecting or (known.failing and not suspecting):
                    first, last = first or known.seconds, known.seconds
                suspecting = known.suspecting
                if known.failing == others:
                    break
        finally:
            self.resume(name)
        times = (round(at - began, 3) for at in (first, last, known.seconds))
        return Detection(len(self.nodes), self.timeout, *times)

    # -- inside --------------------------------------------------------------------------------

    def _begin(self, nodes: int, *, metered: bool) -> None:
        assert isinstance(self._world, RedisWorld), "that is the world that was asked for"
        random = Random(f"bus/{self.seed}")
        ids = [f"{random.getrandbits(160):040x}" for _ in range(nodes)]
        ports = [free_port(with_bus=True) for _ in range(nodes)]
        buses = [free_port() if metered else port + BUS_PORT_OFFSET for port in ports]
        for number, (port, bus) in enumerate(zip(ports, buses, strict=True)):
            config = {**self._config(), "port": str(port)}
            if metered:
                config["cluster-announce-bus-port"] = str(bus)
                self.meters.append(Meter((LOCALHOST, port + BUS_PORT_OFFSET)))
                self.run(self.meters[-1].listen(bus))
            directory = self._world.workspace.make(f"redis-{port}")
            text = _nodes_conf(ids, ports, buses, number)
            (directory / "nodes.conf").write_text(text, encoding="ascii")
            self._start(NodeSpec(config=config))
        ends = self.now + _READY_SECONDS
        while not all(self._is_linked(name) for name in self.nodes):
            if self.now > ends:
                raise TimeoutError(f"the cluster did not come up in {_READY_SECONDS:g} s")
            self.run_for(_LOOK_SECONDS)

    def _is_linked(self, name: str) -> bool:
        """Whether a node is connected to all others, and has had their first answers."""
        lines = [line.split() for line in self._command(name, "NODES").splitlines()]
        others = [words for words in lines if "myself" not in words[2]]
        return all(words[4] == "0" and words[7] == "connected" for words in others)

    def _config(self) -> dict[str, str]:
        return {
            "cluster-enabled": "yes",
            "cluster-node-timeout": str(round(self.timeout * 1000)),
            "save": "",
        }

    def _looks(self, name: str) -> Iterator[_Known]:
        """What the others know of a node, again and again, for a minute at most."""
        ends = self.now + _LOOK_SECONDS_MAX
        while self.now < ends:
            yield self._known(name)
            self.run_for(_LOOK_SECONDS)
        raise TimeoutError(f"{name} was not known to all in {_LOOK_SECONDS_MAX:g} s")

    def _known(self, name: str) -> _Known:
        node = self.find(name)
        aware = suspecting = failing = 0
        for other in self.nodes:
            if other == node.name:
                continue
            for line in self._command(other, "NODES").splitlines():
                _, address, flags, *_ = line.split()
                if address.split("@")[0].endswith(f":{node.port}"):
                    words = flags.split(",")
                    aware += "handshake" not in words
                    suspecting += "fail?" in words
                    failing += "fail" in words
        return _Known(self.now, aware, suspecting, failing)

    def _command(self, name: str, *words: str | int) -> str:
        """What CLUSTER with some words answers."""
        if name not in self._asked:
            self._asked[name] = self.client(name, at=OBSERVER, decode_responses=True)
        # With words of its own redis-py would take the answer apart.
        self._asked[name].response_callbacks.clear()
        return str(self._asked[name].execute_command("CLUSTER", *words))

    def _info(self, name: str) -> dict[str, str]:
        """CLUSTER INFO, as a table."""
        lines = self._command(name, "INFO").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


def _nodes_conf(ids: Sequence[str], ports: Sequence[int], buses: Sequence[int], myself: int) -> str:
    """The file of a node that knows all the others, as Redis writes it."""
    lines = []
    count = len(ids)
    for number, (name, port, bus) in enumerate(zip(ids, ports, buses, strict=True)):
        flags = "myself,master" if number == myself else "master"
        first, end = SLOTS * number // count, SLOTS * (number + 1) // count
        address = f"{LOCALHOST}:{port}@{bus}"
        epoch = number + 1
        lines.append(f"{name} {address} {flags} - 0 0 {epoch} connected {first}-{end - 1}\n")
    lines.append(f"vars currentEpoch {count} lastVoteEpoch 0\n")
    return "".join(lines)
