"""What the two real worlds share: real time, real sockets, clients, relays, events.

`live.py` and `redis.py` add how a node is started and ended.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from dataclasses import asdict
from random import Random
from threading import Lock
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from redislab.worlds.background import Background, Owner
from redislab.worlds.base import (
    BOTH,
    CLIENT,
    CLIENT_RETRIES,
    OBSERVER,
    Event,
    NodeHandle,
    NodeSpec,
    State,
    check_span,
    directions,
)
from redislab.worlds.nodes import check_program
from redislab.worlds.routes import RoutedAsyncConnection, RoutedConnection, Routes

T = TypeVar("T")

LOCALHOST = "127.0.0.1"
# A port that looks free may be taken before we have it; so often we look for another.
PORT_TRIES = 5


class EventJournal:
    """The events of a real world. Its messages are the kernel's, and not ours to see."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._events: list[Event] = []
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        return f"<Journal of {len(self._events)} events>"

    @property
    def events(self) -> list[Event]:
        """The events so far."""
        with self._lock:
            return list(self._events)

    def event(self, node: str, kind: str, detail: str = "") -> None:
        """Write down that something happened just now."""
        with self._lock:
            self._events.append(Event(time.monotonic() - self._began, node, kind, detail))

    def to_json(self) -> str:
        """All of them, one a line."""
        lines = [json.dumps(asdict(event), separators=(",", ":")) for event in self.events]
        return "[" + ",\n".join(lines) + "]"


class RealNode:
    """What a real world knows of a node."""

    def __init__(self, spec: NodeSpec, handle: NodeHandle) -> None:
        self.spec = spec
        self.handle = handle
        self.state: State = "stopped"
        self.runs = 0


class RealWorld(ABC):
    """Nodes on real ports of 127.0.0.1, in real time.

    Args:
        seed: of what our own code draws; the machine has its own mind.
    """

    name: str

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self._began = time.monotonic()
        self._journal = EventJournal(self._began)
        self._background: Background | None = None
        self._routes = Routes(Random(f"network/{seed}"), self.background)
        self._owners = {CLIENT: Owner(CLIENT)}
        self._hosts: dict[str, None] = {CLIENT: None, OBSERVER: None}
        self._clients: list[redis.Redis | redis.asyncio.Redis] = []
        self._is_closed = False

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return time.monotonic() - self._began

    @property
    def journal(self) -> EventJournal:
        """What happened."""
        return self._journal

    @property
    def nodes(self) -> dict[str, NodeHandle]:
        """Every node ever started, by name."""
        return {name: node.handle for name, node in self._all_nodes().items()}

    @property
    def background(self) -> Any:
        """Gives the thread with the world's loop, started when it is first asked for."""
        return self._ensure_background

    def _ensure_background(self) -> Background:
        if self._background is None:
            if self._is_closed:
                raise RuntimeError("the lab is closed")
            self._background = Background(f"redislab-{self.name}")
            self._background.loop.routes = self._routes
        return self._background

    # -- the network ---------------------------------------------------------------------------

    def cut(self, a: str, b: str, direction: str = BOTH) -> None:
        """Let nothing through between two hosts."""
        self._check_hosts(a, b)
        for source, target in directions(a, b, direction):
            self._routes.cut(source, target)
            self._journal.event("", "cut", f"{source} -> {target}")

    def delay(self, a: str, b: str, seconds: float, jitter: float = 0.0) -> None:
        """Add one-way latency between two hosts."""
        self._check_hosts(a, b)
        check_span(seconds)
        check_span(jitter, "jitter")
        for source, target in directions(a, b, BOTH):
            self._routes.delay(source, target, seconds, jitter)
        more = f", up to {jitter:g} s more" if jitter else ""
        self._journal.event("", "delay", f"{a} - {b}: {seconds:g} s one way{more}")

    def heal(self) -> None:
        """Undo every cut and every delay."""
        self._routes.heal()
        self._journal.event("", "heal")

    # -- clients and time ----------------------------------------------------------------------

    def client(self, node: str, at: str = CLIENT, **options: Any) -> redis.Redis:
        """A stock blocking client on host `at`."""
        handle = self._handle(node)
        options.setdefault("retry", Retry(ExponentialWithJitterBackoff(), CLIENT_RETRIES))
        single = options.pop("single_connection_client", False)
        client = redis.Redis(host=handle.host, port=handle.port, **options)
        route = self._route(at, handle.name)
        pool = client.connection_pool
        pool.connection_class = type("LabConnection", (RoutedConnection,), {"route": route})
        if single:
            client.connection = pool.get_connection()
        self._clients.append(client)
        return client

    def async_client(self, node: str, at: str = CLIENT, **options: Any) -> redis.asyncio.Redis:
        """A stock asyncio client on host `at`, for the reader's own loop or for `run`."""
        handle = self._handle(node)
        options.setdefault("retry", AsyncRetry(ExponentialWithJitterBackoff(), CLIENT_RETRIES))
        client = redis.asyncio.Redis(host=handle.host, port=handle.port, **options)
        route = self._route(at, handle.name)
        client.connection_pool.connection_class = type(
            "LabAsyncConnection", (RoutedAsyncConnection,), {"route": route}
        )
        self._clients.append(client)
        return client

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine on the world's loop, and return its result.

        Raises:
            TimeoutError: when it is not done within `timeout` seconds.
        """
        return self._ensure_background().call(coroutine, self._owners[CLIENT], timeout)

    def run_for(self, seconds: float) -> None:
        """Let that much time pass."""
        time.sleep(check_span(seconds))

    def close(self) -> None:
        """Stop everything and leave nothing behind."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._end_nodes()
        finally:
            self._routes.close()
            for client in self._clients:
                _close_client(client)
            self._clients.clear()
            if self._background is not None:
                self._background.close()

    # -- for the worlds ------------------------------------------------------------------------

    @abstractmethod
    def _all_nodes(self) -> dict[str, Any]:
        """Every node ever started, by name."""

    @abstractmethod
    def _end_nodes(self) -> None:
        """End every node, at the end of the world."""

    def _prepare(self, spec: NodeSpec) -> NodeHandle:
        """The name and address of a new node."""
        if self._is_closed:
            raise RuntimeError("the lab is closed")
        check_program(spec)
        port = int(spec.config.get("port", "0")) or free_port()
        name = spec.name or f"redis-{port}"
        if name in self._hosts:
            raise ValueError(f"there is a host {name!r} already")
        host = spec.config.get("bind", LOCALHOST).split()[0].lstrip("-")
        return NodeHandle(name, LOCALHOST if host in {"*", "0.0.0.0"} else host, port)

    def _admit(self, node: RealNode) -> None:
        """A new node runs."""
        self._hosts[node.handle.name] = None
        self._routes.add(node.handle.name, (node.handle.host, node.handle.port))

    def _handle(self, name: str) -> NodeHandle:
        handle: NodeHandle = self._node(name).handle
        return handle

    def _node(self, name: str) -> Any:
        nodes = self._all_nodes()
        try:
            return nodes[str(name)]
        except KeyError:
            raise KeyError(
                f"no node {str(name)!r}; there are {', '.join(nodes) or 'none'}"
            ) from None

    def _route(self, at: str, node: str) -> Any:
        self._hosts.setdefault(at)
        return self._routes.between(at, node)

    def _check_hosts(self, *names: str) -> None:
        for name in names:
            if name not in self._hosts:
                raise KeyError(f"no host {name!r}; there are {', '.join(self._hosts)}")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _close_client(client: redis.Redis | redis.asyncio.Redis) -> None:
    """Close a client's connections, whichever loop they belong to."""
    if isinstance(client, redis.Redis):
        client.close()
        return
    pool: Any = client.connection_pool
    for connection in [*pool._available_connections, *pool._in_use_connections]:
        writer = connection._writer
        if writer is not None and not writer._loop.is_closed():
            # Its loop may have been closed since we looked.
            with contextlib.suppress(RuntimeError):
                writer._loop.call_soon_threadsafe(connection._close)
