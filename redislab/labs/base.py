"""What every lab is: a world with nodes in it, the same in all three worlds.

A lab is a context manager, and works without `with` as well: `close` it, run its cell again, or let
it go. What it knows of its nodes it learns over the Redis protocol, from a host of its own that no
fault of a scenario touches.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from abc import ABC, abstractmethod
from asyncio import Task, create_task, sleep
from collections.abc import Callable, Coroutine, Mapping, Sequence
from html import escape
from typing import Any, Self, TypeVar

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from redislab import benchmark
from redislab.labs import registry
from redislab.labs.events import EventTable
from redislab.labs.snapshot import NodeSnapshot, Snapshot, node_snapshot
from redislab.labs.talk import exchange
from redislab.wire.clitext import format_reply
from redislab.wire.replies import Reply, ReplyParser
from redislab.wire.requests import split_words
from redislab.wire.resp import array, bulk
from redislab.worlds import make_world
from redislab.worlds.base import BOTH, CLIENT, OBSERVER, Journal, NodeHandle, NodeSpec, World

T = TypeVar("T")
Named = NodeHandle | str

# How long the lab waits for a node to tell about itself.
ASK_SECONDS = 1.0
# How often `wait_until` looks.
LOOK_SECONDS = 0.05
_CLI_READ_BYTES = 64 * 1024


class Lab(ABC):
    """Nodes in a world.

    Args:
        world: "sim", "live" or "redis".
        seed: of everything that is left to chance.
        options: further options of the world, such as `faults` in `sim`.
    """

    def __init__(self, world: str, seed: int, **options: Any) -> None:
        registry.register(self)
        self._world: World = make_world(world, seed=seed, **options)
        self.seed = seed
        self._closer = weakref.finalize(self, self._world.close)
        self._observers: dict[str, redis.Redis] = {}

    # -- life ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything and leave nothing behind. May be called again."""
        self._closer()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return not self._closer.alive

    @property
    def nodes(self) -> dict[str, NodeHandle]:
        """The nodes by name, in the order in which they were started."""
        return self._world.nodes

    def find(self, node: Named | None = None) -> NodeHandle:
        """A node by its name or handle; the first one for None.

        Raises:
            KeyError: there is no such node; the message names those there are.
        """
        name = next(iter(self.nodes)) if node is None else str(node)
        if name not in self.nodes:
            raise KeyError(f"no node {name!r} in this lab, only {', '.join(self.nodes)}")
        return self.nodes[name]

    @property
    def world(self) -> str:
        """The name of its world."""
        return self._world.name

    def __repr__(self) -> str:
        if self.closed:
            return f"<{type(self).__name__} in {self.world}, closed>"
        nodes = ", ".join(f"{name} ({self._world.state(name)})" for name in self._world.nodes)
        seed = f" seed {self.seed}," if self.world == "sim" else ""
        return f"<{type(self).__name__} in {self.world},{seed} at {self.now:.3f} s: {nodes}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(handle.name)}</td><td>{escape(handle.host)}:{handle.port}</td>"
            f"<td>{'closed' if self.closed else self._world.state(handle.name)}</td></tr>"
            for handle in self._world.nodes.values()
        )
        return (
            f"<table><caption>{type(self).__name__} in <code>{self.world}</code>,"
            f" at {self.now:.3f} s</caption><thead><tr><th>node</th><th>address</th>"
            f"<th>state</th></tr></thead><tbody>{rows}</tbody></table>"
        )

    # -- time ----------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the lab began: virtual in `sim`, real elsewhere."""
        return self._world.now

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine on the lab's loop and return its result.

        Raises:
            TimeoutError: when it is not done within `timeout` seconds of the lab's clock.
        """
        return self._world.run(coroutine, timeout)

    def run_for(self, seconds: float) -> None:
        """Let that much time pass."""
        self._world.run_for(seconds)

    def wait_until(self, condition: Callable[[Any], bool], timeout: float) -> Any:
        """Let time pass until `condition(snapshot)` holds; returns that snapshot.

        Raises:
            TimeoutError: when it did not hold within `timeout` seconds; it shows the last snapshot.
        """
        ends = self.now + timeout
        while True:
            snapshot = self.snapshot()
            if condition(snapshot):
                return snapshot
            if self.now >= ends:
                raise TimeoutError(
                    f"the condition did not hold within {timeout:g} s; last seen: {snapshot}"
                )
            self.run_for(min(LOOK_SECONDS, max(0.0, ends - self.now)))

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something later, while time passes: `lab.after(5, lab.pause)`."""
        if self.world == "sim":
            self.run(_start_later(seconds, action))
            return
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()

    # -- what can be done to nodes ---------------------------------------------------------------

    def kill(self, node: Named) -> None:
        """`kill -9`: the process is gone at once."""
        self._world.kill(str(node))

    def restart(self, node: Named) -> None:
        """Start a node again, at the same address."""
        self._world.restart(str(node))

    def pause(self, node: Named) -> None:
        """`SIGSTOP`: it stands still, its connections stay open."""
        self._world.pause(str(node))

    def resume(self, node: Named) -> None:
        """`SIGCONT`: it goes on."""
        self._world.resume(str(node))

    def cut(self, a: Named, b: Named, direction: str = BOTH) -> None:
        """Let nothing through between two hosts: "both" ways, or only "a->b" or "b->a"."""
        self._world.cut(str(a), str(b), direction)

    def delay(self, a: Named, b: Named, seconds: float, jitter: float = 0.0) -> None:
        """Add one-way latency between two hosts, and up to `jitter` seconds more."""
        self._world.delay(str(a), str(b), seconds, jitter)

    def heal(self) -> None:
        """Undo every cut and every delay."""
        self._world.heal()

    # -- what can be seen ------------------------------------------------------------------------

    @property
    def events(self) -> EventTable:
        """What happened, in order."""
        return EventTable(self._world.journal.events)

    @property
    def journal(self) -> Journal:
        """Events, and in `sim` every message."""
        return self._world.journal

    def log(self, node: Named) -> str:
        """The text of a node's log."""
        return self._world.log(str(node))

    @abstractmethod
    def snapshot(self) -> Any:
        """What the nodes say of themselves now."""

    def _exchange(self, handle: NodeHandle, data: bytes, wait_s: float) -> bytes:
        return self._world.run(exchange(handle, data, wait_s))

    def _measure(
        self, handle: NodeHandle, test: str | Sequence[str | bytes], options: dict[str, Any]
    ) -> benchmark.Result:
        """Load a node: in virtual time in `sim`, else from a process of its own."""
        where: dict[str, Any] = {"host": handle.host, "port": handle.port}
        settings = benchmark.settings_for(test, **(where | options))
        if self.world == "sim":
            return self._world.run(benchmark.coroutine(settings))
        return benchmark.run(settings)

    # -- for the labs ----------------------------------------------------------------------------

    def _start(self, spec: NodeSpec) -> NodeHandle:
        try:
            return self._world.start(spec)
        except BaseException:
            self.close()
            raise

    def _client(self, node: str, at: str, options: dict[str, Any]) -> redis.Redis:
        return self._world.client(node, at, **options)

    def _ask(self, name: str, password: str | None) -> Mapping[str, Any] | None:
        """A node's INFO; None when it does not answer."""
        if self._world.state(name) != "running":
            return None
        client = self._observers.get(name)
        if client is None:
            client = self._observers[name] = self._world.client(
                name,
                OBSERVER,
                password=password,
                socket_timeout=ASK_SECONDS,
                retry=Retry(NoBackoff(), 0),
                decode_responses=True,
            )
        try:
            info: Mapping[str, Any] = client.info()
        except redis.RedisError:
            client.connection_pool.disconnect()
            return None
        return info

    def _snapshot_of(self, handle: NodeHandle, password: str | None) -> NodeSnapshot:
        info = self._ask(handle.name, password)
        state = self._world.state(handle.name)
        return node_snapshot(handle.name, handle.host, handle.port, state, info)

    def _cli(self, handle: NodeHandle, command: str, password: str | None = None) -> str:
        """What redis-cli prints for one command line, sent over a connection of its own."""
        words = split_words(command.encode())
        if words is None:
            return "Invalid argument(s)"
        if not words:
            return ""
        client = self._world.client(
            handle.name,
            CLIENT,
            protocol=2,
            password=password,
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
        )
        with contextlib.closing(client):
            try:
                connection: Any = client.connection_pool.get_connection()
                reply = _exchange(connection._sock, words)
            except (redis.RedisError, OSError) as failure:
                return _connection_error(handle, failure)
        return format_reply(reply, words)


# A loop holds its tasks by weak references only.
_later_tasks: set[Task[None]] = set()


async def _start_later(seconds: float, action: Callable[[], object]) -> None:
    async def later() -> None:
        await sleep(seconds)
        action()

    task = create_task(later(), name=f"after {seconds:g} s")
    _later_tasks.add(task)
    task.add_done_callback(_later_tasks.discard)


def _exchange(sock: Any, words: list[bytes]) -> Reply:
    parser = ReplyParser()
    sock.sendall(array([bulk(word) for word in words]))
    while True:
        data = sock.recv(_CLI_READ_BYTES)
        if not data:
            raise ConnectionError("Server closed the connection")
        replies = parser.feed(data)
        if replies:
            return replies[0]


def _connection_error(handle: NodeHandle, failure: Exception) -> str:
    if "refused" in str(failure) or "Connect call failed" in str(failure):
        return f"Could not connect to Redis at {handle.host}:{handle.port}: Connection refused"
    return f"Error: {failure}"


__all__ = ["Lab", "Named", "Snapshot"]
