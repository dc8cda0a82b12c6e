"""What is the same in all three worlds: names, and faults and clients by name.

A client is redis-py's own with another class of connection. In `sim` that class runs the simulation
(`sim/client.py`), in the real worlds it finds its way to the node (`clients.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import permutations, product
from typing import Any, Generic, Protocol, TypeVar

import redis
import redis.asyncio

from redislab.worlds.base import (
    BOTH,
    CLIENT,
    OBSERVER,
    NodeHandle,
    NodeSpec,
    State,
    both_or_none,
    check_span,
    directions,
)


class Noting(Protocol):
    """A journal that a world writes into."""

    def event(self, node: str, kind: str, detail: str = "") -> None:
        """Write down that something happened just now."""
        ...


class Kept(Protocol):
    """What every world keeps of a node."""

    spec: NodeSpec
    handle: NodeHandle
    state: State


NodeT = TypeVar("NodeT", bound=Kept)


class CommonWorld(ABC, Generic[NodeT]):
    """Nodes by name, the faults between hosts, and clients.

    Args:
        seed: of everything that is left to chance.
        journal: where events are written.
    """

    def __init__(self, seed: int, journal: Noting) -> None:
        self.seed = seed
        self._noting = journal
        self._nodes: dict[str, NodeT] = {}
        # Kept until the end: a client that the garbage collector closed would make the history of
        # a simulation depend on when it runs.
        self._clients: list[redis.Redis | redis.asyncio.Redis] = []

    @property
    def nodes(self) -> dict[str, NodeHandle]:
        """Every node ever started, by name."""
        return {name: node.handle for name, node in self._nodes.items()}

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of all hosts but the one that the lab watches from."""
        return tuple(name for name in self._hosts() if name != OBSERVER)

    # -- faults --------------------------------------------------------------------------------

    def cut(self, a: str, b: str, direction: str = BOTH) -> None:
        """Let nothing through between two hosts."""
        self._check_hosts(a, b)
        for source, target in directions(a, b, direction):
            self._cut(source, target)
            self._noting.event("", "cut", f"{source} -> {target}")

    def partition(self, sides: Sequence[Sequence[str]]) -> None:
        """Let nothing through between any two hosts of different sides."""
        self._check_hosts(*(host for side in sides for host in side))
        for one, other in permutations(sides, 2):
            for source, target in product(one, other):
                self._cut(source, target)
        largest = max(sides, key=len, default=())
        named = [", ".join(side) for side in sides if side and side is not largest]
        self._noting.event("", "partition", " | ".join([*named, "the others"]))

    def delay(self, a: str, b: str, seconds: float, jitter: float = 0.0) -> None:
        """Add one-way latency between two hosts."""
        self._check_hosts(a, b)
        check_span(seconds)
        check_span(jitter, "jitter")
        for source, target in directions(a, b, BOTH):
            self._delay(source, target, seconds, jitter)
        more = f", up to {jitter:g} s more" if jitter else ""
        self._noting.event("", "delay", f"{a} - {b}: {seconds:g} s one way{more}")

    def drop(self, a: str, b: str) -> None:
        """Lose what is under way between two hosts, and break their connections."""
        self._check_hosts(a, b)
        self._noting.event("", "drop", f"{a} - {b}")
        self._drop(a, b)

    def heal(self, a: str | None = None, b: str | None = None) -> None:
        """Undo every cut and every delay, or those between two hosts."""
        if a is None or b is None:
            both_or_none(a, b)
            self._heal()
            self._noting.event("", "heal")
            return
        self._check_hosts(a, b)
        for source, target in directions(a, b, BOTH):
            self._heal_one(source, target)
        self._noting.event("", "heal", f"{a} - {b}")

    # -- clients -------------------------------------------------------------------------------

    def client(self, node: str, at: str = CLIENT, **options: Any) -> redis.Redis:
        """A stock blocking client on host `at`."""
        handle = self._node(node).handle
        client = stock_client(self.connections(at, options), handle.host, handle.port, options)
        self.keep(client)
        return client

    def async_client(self, node: str, at: str = CLIENT, **options: Any) -> redis.asyncio.Redis:
        """A stock asyncio client on host `at`."""
        handle = self._node(node).handle
        connection = self.async_connections(at, options)
        client = stock_async_client(connection, handle.host, handle.port, options)
        self.keep(client)
        return client

    def keep(self, client: redis.Redis | redis.asyncio.Redis) -> None:
        """Close a client with the world, and not before."""
        self._clients.append(client)

    # -- what each world does in its own way ------------------------------------------------------

    @abstractmethod
    def _hosts(self) -> Iterable[str]:
        """The names of all hosts."""

    @abstractmethod
    def _cut(self, source: str, target: str) -> None:
        """Let nothing through from one host to the other."""

    @abstractmethod
    def _delay(self, source: str, target: str, seconds: float, jitter: float) -> None:
        """Hold what goes from one host to the other."""

    @abstractmethod
    def _drop(self, a: str, b: str) -> None:
        """Lose what is under way between two hosts, and break their connections."""

    @abstractmethod
    def _heal(self) -> None:
        """Undo every cut and delay."""

    @abstractmethod
    def _heal_one(self, source: str, target: str) -> None:
        """Undo the cut and the delay from one host to the other."""

    @abstractmethod
    def connections(self, at: str, options: dict[str, Any]) -> type[redis.Connection]:
        """The class of a blocking client's connections on a host; puts in options."""

    @abstractmethod
    def async_connections(self, at: str, options: dict[str, Any]) -> type[redis.asyncio.Connection]:
        """The same for an asyncio client."""

    # -- names ---------------------------------------------------------------------------------

    def _node(self, name: str) -> NodeT:
        try:
            return self._nodes[str(name)]
        except KeyError:
            raise KeyError(
                f"no node {str(name)!r}; there are {', '.join(self._nodes) or 'none'}"
            ) from None

    def _check_new(self, name: str) -> None:
        """Raises ValueError if a new node cannot have a name."""
        if name in self._nodes or name in {CLIENT, OBSERVER}:
            raise ValueError(f"there is a host {name!r} already")

    def _check_hosts(self, *names: str) -> None:
        hosts = list(self._hosts())
        for name in names:
            if name not in hosts:
                raise KeyError(f"no host {name!r}; there are {', '.join(hosts)}")


def stock_client(
    connection: type[redis.Connection], host: str, port: int, options: dict[str, Any]
) -> redis.Redis:
    """A blocking client whose connections are of a class."""
    single = options.pop("single_connection_client", False)
    client = redis.Redis(host=host, port=port, **options)
    client.connection_pool.connection_class = connection
    if single:
        client.connection = client.connection_pool.get_connection()
    return client


def stock_async_client(
    connection: type[redis.asyncio.Connection], host: str, port: int, options: dict[str, Any]
) -> redis.asyncio.Redis:
    """The same for asyncio."""
    client = redis.asyncio.Redis(host=host, port=port, **options)
    client.connection_pool.connection_class = connection
    return client
