"""What Cluster's bus costs and how fast it is: a model of its gossip, node by node.

Every node of a Cluster keeps a connection to every other one, and on it they ping each other. A
message has a header, in which the sender tells all about itself, and some gossip entries, each
about another node, drawn at random. The model follows `clusterCron`, `clusterSendPing`,
`clusterProcessGossipSection` and `markNodeAsFailingIfNeeded` in `src/cluster.c` of Redis 7.0:

- ten times a second a node looks at what it knows; every tenth time it pings, of five nodes drawn
  at random, the one whose pong is oldest;
- each time it pings whoever's pong is older than half of `cluster-node-timeout`;
- since Redis 4.0 a gossip entry counts as a pong: it says, in whole seconds, when its sender had
  one, and whoever has none as young believes it. `trusts=False` is the time before;
- who has had no pong for a ping within `cluster-node-timeout` is PFAIL for its pinger, which tells
  of it in every message; a node that takes it to be PFAIL, and has heard the same so often that a
  majority of masters says it, makes it FAIL and tells everybody at once.

Left out is what does not matter on a network that works: a message arrives at once, clocks agree,
and no node is slow. All nodes are masters with slots. Times are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from random import Random

HEADER_BYTES = 2256
"""A message without gossip; 2048 of these are a bit for each slot."""
ENTRY_BYTES = 104
DEFAULT_TIMEOUT = 15.0
"""`cluster-node-timeout` unless told otherwise, in seconds."""

_LOOKS_A_SECOND = 10
_DRAWN = 5
# A look comes a little more than a tenth of a second after the one before.
_LATE = 0.001
_ORDERS = 100
_DETECTION_TIMEOUTS_MAX = 4.0
_NEWS_SECONDS_MAX = 600.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the bus carried.

    Attributes:
        nodes: how many there were.
        timeout: their `cluster-node-timeout`, in seconds.
        seconds: for how long it was counted.
        pings: how many were sent, by all of them together.
        pongs: likewise.
        bytes: of these messages, without what TCP puts around them.
        believed: how many gossip entries told their receiver of a younger pong than it knew of;
            only the model can see that.
    """

    nodes: int
    timeout: float
    seconds: float
    pings: int
    pongs: int
    bytes: int
    believed: int = 0

    @property
    def messages_per_node(self) -> float:
        """How many messages a node sends in a second; it gets as many."""
        return (self.pings + self.pongs) / self.nodes / self.seconds

    @property
    def bytes_per_node(self) -> float:
        """How many bytes a node sends in a second."""
        return self.bytes / self.nodes / self.seconds

    @property
    def bytes_per_second(self) -> float:
        """How many bytes all of them send in a second."""
        return self.bytes / self.seconds


@dataclass(frozen=True, slots=True)
class Detection:
    """How a node that fell silent was found out; times since then.

    Attributes:
        nodes: how many there were, the silent one included.
        timeout: their `cluster-node-timeout`.
        first_suspected: the first one took it to be PFAIL.
        last_suspected: the last one did, of those that did before they were told.
        failed: one of them knew of a majority, made it FAIL, and told everybody.
    """

    nodes: int
    timeout: float
    first_suspected: float
    last_suspected: float
    failed: float


def entries(nodes: int) -> int:
    """How many gossip entries a message has: a tenth of the nodes, three at least.

    Never more than there are nodes besides the sender and the receiver.
    """
    return max(0, min(max(3, nodes // 10), nodes - 2))


def message_bytes(nodes: int) -> int:
    """The size of a ping or pong in bytes."""
    return HEADER_BYTES + ENTRY_BYTES * entries(nodes)


def links(nodes: int) -> int:
    """How many TCP connections the bus has: each node dials each other one."""
    return nodes * (nodes - 1)


def traffic(
    nodes: int,
    timeout: float = DEFAULT_TIMEOUT,
    *,
    seconds: float | None = None,
    seed: int = 0,
    trusts: bool = True,
) -> Traffic:
    """Let a healthy cluster run, and count.

    Args:
        nodes: how many, two at least.
        timeout: their `cluster-node-timeout`.
        seconds: for how long to count; `timeout` unless told otherwise. Pings come in waves, twice
            in a `timeout`, so it should be a multiple of half of it.
        seed: of all chance.
        trusts: whether a gossip entry counts as a pong, as it does since Redis 4.0.
    """
    bus = _Bus(nodes, timeout, seed=seed, trusts=trusts)
    bus.run(timeout)
    before, believed = bus.pings, bus.believed
    counted = timeout if seconds is None else seconds
    bus.run(counted)
    pings = bus.pings - before
    size = 2 * pings * message_bytes(nodes)
    return Traffic(nodes, timeout, counted, pings, pings, size, bus.believed - believed)


def most_messages(nodes: int, timeout: float = DEFAULT_TIMEOUT) -> float:
    """How many messages a node sends in a second at most, pings and pongs.

    As many as if nobody believed what gossip says, as it was before Redis 4.0: one ping at random,
    and everybody in each half of `timeout`. It gets as many.
    """
    return 2 * (1 + (nodes - 1) / (timeout / 2))


def detection(nodes: int, timeout: float = DEFAULT_TIMEOUT, *, seed: int = 0) -> Detection:
    """Let a node fall silent, and see when the others find out.

    It is silent as a machine is that has lost its cable: nobody is told that a connection broke.

    Args:
        nodes: how many, three at least.
        timeout: their `cluster-node-timeout`.
        seed: of all chance.

    Raises:
        TimeoutError: no majority agreed in four times `timeout`.
    """
    bus = _Bus(nodes, timeout, seed=seed)
    bus.run(_moment(timeout, seed))
    bus.silence(nodes - 1)
    began = bus.now
    while bus.failed is None:
        if bus.now - began > _DETECTION_TIMEOUTS_MAX * timeout:
            raise TimeoutError(f"no majority of {nodes} agreed in {bus.now - began:.0f} s")
        bus.run(1 / _LOOKS_A_SECOND)
    suspected = [at - began for at in bus.suspected.values()]
    return Detection(nodes, timeout, min(suspected), max(suspected), bus.failed - began)


def news(nodes: int, timeout: float = DEFAULT_TIMEOUT, *, seed: int = 0) -> list[float]:
    """When each node hears of one that is new, in seconds since the first one did, ascending.

    CLUSTER MEET introduces the new one to a single node. Nobody announces it: the others hear of it
    when a message happens to have an entry about it.

    Args:
        nodes: how many there were before it came.
        timeout: their `cluster-node-timeout`.
        seed: of all chance.

    Raises:
        TimeoutError: somebody had not heard of it after ten minutes.
    """
    bus = _Bus(nodes, timeout, seed=seed)
    bus.run(_moment(timeout, seed))
    began = bus.now
    bus.heard[0] = began
    while len(bus.heard) < nodes:
        if bus.now - began > _NEWS_SECONDS_MAX:
            raise TimeoutError(f"only {len(bus.heard)} of {nodes} nodes have heard of it")
        bus.run(1 / _LOOKS_A_SECOND)
    return sorted(at - began for at in bus.heard.values())


def _moment(timeout: float, seed: int) -> float:
    """When something happens to a cluster: at no particular moment between two waves of pings."""
    return timeout * (1 + Random(f"moment/{seed}").random() / 2)


class _Bus:
    """All nodes of a cluster, and when each last knew of a pong of each other one.

    Attributes:
        now: seconds since it began.
        pings: how many were sent; those that were answered have as many pongs.
        believed: how many gossip entries told of a younger pong.
        suspected: when nodes took the silent one to be PFAIL, by node.
        failed: when one of them made it FAIL.
        heard: when nodes heard of the new one, by node.
    """

    def __init__(self, nodes: int, timeout: float, *, seed: int, trusts: bool = True) -> None:
        if nodes < 2:
            raise ValueError(f"a bus of {nodes} nodes: it takes two to talk")
        self.now = 0.0
        self.pings = 0
        self.believed = 0
        self.suspected: dict[int, float] = {}
        self.failed: float | None = None
        self.heard: dict[int, float] = {}
        self._random = Random(f"bus/{nodes}/{timeout}/{seed}")
        self._timeout = timeout
        self._trusts = trusts
        self._entries = entries(nodes)
        self._numbers = range(nodes)
        self._looks = 0
        draw = self._random.random
        # A node's crons are its own: when in a tenth of a second, and which of ten pings at random.
        self._moments = [draw() / _LOOKS_A_SECOND for _ in self._numbers]
        self._tenth = [self._random.randrange(_LOOKS_A_SECOND) for _ in self._numbers]
        self._pongs: list[list[float]] = [
            [-draw() * timeout / 2 for _ in self._numbers] for _ in self._numbers
        ]
        # For each node: whom to look at in which of its looks, instead of at everybody each time.
        self._due: list[dict[int, list[int]]] = [{} for _ in self._numbers]
        for node, due in enumerate(self._due):
            for other in self._numbers:
                if other != node:
                    due.setdefault(self._due_at(node, other), []).append(other)
        self._orders = [self._order() for _ in range(_ORDERS)]
        self._silent = -1
        self._unanswered: dict[int, float] = {}
        self._reports: dict[int, dict[int, None]] = {}

    def run(self, seconds: float) -> None:
        """Let time pass, a tenth of a second at least."""
        for _ in range(max(1, round(seconds * _LOOKS_A_SECOND))):
            began = self._looks / _LOOKS_A_SECOND
            for node in sorted(self._numbers, key=self._moments.__getitem__):
                if node != self._silent:
                    self.now = began + self._moments[node]
                    self._look(node)
            self._looks += 1
            self.now = self._looks / _LOOKS_A_SECOND

    def silence(self, node: int) -> None:
        """Let a node say nothing any more."""
        self._silent = node

    def _look(self, node: int) -> None:
        """What a node does ten times a second."""
        pongs = self._pongs[node]
        pinged: list[int] = []
        if (self._looks + self._tenth[node]) % _LOOKS_A_SECOND == 0:
            drawn = [one for one in self._draw(_DRAWN) if one != node]
            if drawn:
                pinged.append(min(drawn, key=pongs.__getitem__))
        # They are due by what was known then; a younger pong puts a ping off.
        due = self._due[node].pop(self._looks, [])
        limit = self.now - self._timeout / 2 + _LATE
        pinged += [one for one in due if pongs[one] <= limit and one not in pinged]
        self._ping(node, pinged)
        for other in due:
            self._due[node].setdefault(self._due_at(node, other), []).append(other)
        since = self._unanswered.get(node)
        if since is not None and self.now - since > self._timeout and node not in self.suspected:
            self.suspected[node] = self.now
            self._count(node)

    def _due_at(self, node: int, other: int) -> int:
        """In which look the pong that a node has of another one is too old, the next at least."""
        old = self._pongs[node][other] + self._timeout / 2
        return max(self._looks + 1, ceil((old - self._moments[node]) * _LOOKS_A_SECOND - _LATE))

    def _ping(self, node: int, others: list[int]) -> None:
        """All pings of one look leave before an answer to any of them tells of the others."""
        if self._silent in others:
            others = [other for other in others if other != self._silent]
            if node not in self._unanswered:
                self.pings += 1
                self._unanswered[node] = self.now
        self.pings += len(others)
        for other in others:
            self._tell(node, other)
        for other in others:
            self._tell(other, node)
            self._pongs[node][other] = self.now

    def _tell(self, sender: int, receiver: int) -> None:
        """The gossip of a message."""
        known, held = self._pongs[sender], self._pongs[receiver]
        silent = self._silent
        if self._trusts:
            for about in self._drawn_for(sender):
                pong = known[about]
                # Cut to whole seconds it may be no younger after all.
                if pong > held[about] and about != silent and (whole := int(pong)) > held[about]:
                    held[about] = whole
                    self.believed += 1
        if silent >= 0:
            self._tell_of_silent(sender, receiver)
        if sender in self.heard and receiver not in self.heard and self._has_news():
            self.heard[receiver] = self.now

    def _drawn_for(self, sender: int) -> list[int]:
        """Whom a message is about."""
        draw, count = self._random.random, self._entries
        order = self._orders[int(draw() * _ORDERS)]
        start = int(draw() * len(self._numbers))
        drawn = order[start : start + count + 1]
        drawn.remove(sender if sender in drawn else drawn[-1])
        return drawn

    def _order(self) -> list[int]:
        """All nodes in random order, around which a message's entries are a window.

        To draw each entry by itself would be most of the work of a large cluster.
        """
        order = list(self._numbers)
        self._random.shuffle(order)
        return order + order[: self._entries + 1]

    def _draw(self, count: int) -> list[int]:
        return self._random.choices(self._numbers, k=count)

    def _has_news(self) -> bool:
        """Whether one of a message's entries is about the new node, of all that there are."""
        return self._random.random() < self._entries / len(self._numbers)

    def _tell_of_silent(self, sender: int, receiver: int) -> None:
        """A suspect is in every message of those who suspect it; others may have had a pong."""
        silent = self._silent
        if sender in self.suspected:
            self._reports.setdefault(receiver, {})[sender] = None
            self._count(receiver)
        elif receiver not in self._unanswered and not self._reports.get(receiver):
            chance = self._entries / len(self._numbers)
            known, held = self._pongs[sender][silent], self._pongs[receiver][silent]
            if known > held and self._random.random() < chance:
                self._pongs[receiver][silent] = max(held, float(int(known)))

    def _count(self, node: int) -> None:
        """Whether a majority says that the silent one is, as this node knows."""
        if node in self.suspected and self.failed is None:
            reports = len(self._reports.get(node, ())) + 1
            if reports >= len(self._numbers) // 2 + 1:
                self.failed = self.now
