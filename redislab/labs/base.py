"""What every lab is: a world with nodes in it, the same in all three worlds.

A lab is a context manager, and works without `with` as well: `close` it, run its cell again, or let
it go. What it knows of its nodes it learns over the Redis protocol, from a host of its own that no
fault of a scenario touches.
"""

from __future__ import annotations

import math
import sys
import threading
import weakref
from abc import ABC, abstractmethod
from asyncio import Task, create_task, sleep
from collections.abc import Callable, Coroutine, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from redislab.labs import registry
from redislab.labs.events import EventTable
from redislab.labs.snapshot import NodeSnapshot, node_snapshot
from redislab.labs.talk import SILENCE_S, answer_once, exchange
from redislab.worlds import make_world
from redislab.worlds.base import (
    BOTH,
    CLIENT,
    OBSERVER,
    Journal,
    NodeHandle,
    NodeSpec,
    World,
)

if TYPE_CHECKING:
    from redislab.benchmark import Result
    from redislab.worlds.sim.disk import SimDisk

T = TypeVar("T")
Named = NodeHandle | str

# How long the lab waits for a node to tell about itself.
ASK_SECONDS = 1.0
# How often `wait_until` looks.
LOOK_SECONDS = 0.05


class Lab(ABC):
    """Nodes in a world.

    A method that takes a node takes its name or its handle; a lab of one node needs neither.

    Args:
        world: "sim", "live" or "redis".
        seed: of everything that is left to chance.
        password: what nodes ask for, if they do; the lab watches them with it.
        options: further options of the world, such as `faults` in `sim`.

    Attributes:
        relayed: whether faults can be put between two of its nodes, which a lab of one has no use
            for.
    """

    relayed: ClassVar[bool] = True

    def __init__(
        self, world: str, seed: int, *, password: str | None = None, **options: Any
    ) -> None:
        registry.register(self)
        self._world: World = make_world(world, seed=seed, relayed=self.relayed, **options)
        self.seed = seed
        self._password = password
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

    @property
    def place(self) -> World:
        """Its world itself, for what a lab has no words for."""
        return self._world

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

    def run_until(self, moment: float) -> None:
        """Let time pass up to a moment of the lab's clock, in seconds; none if it is over.

        In `sim` it is then exactly this moment: a span that is added to the clock may be rounded.
        """
        now = self.now
        span = moment - now
        while span > 0 and now + span < moment:
            span = math.nextafter(span, math.inf)
        while span > 0 and now + span > moment:
            span = math.nextafter(span, 0.0)
        if span > 0:
            self._world.run_for(span)

    def wait_until(
        self, condition: Callable[[Any], bool], timeout: float, *, every: float = LOOK_SECONDS
    ) -> Any:
        """Let time pass until `condition(snapshot)` holds; returns that snapshot.

        Args:
            condition: is asked about a snapshot.
            timeout: seconds after which to give up.
            every: seconds between two snapshots.

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
            self.run_for(min(every, max(0.0, ends - self.now)))

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something later, while time passes: `lab.after(5, lab.pause)`."""
        if self.world == "sim":
            self.run(_start_later(seconds, action))
            return
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()

    # -- what can be done to nodes ---------------------------------------------------------------

    def kill(self, node: Named | None = None) -> None:
        """`kill -9`: the process is gone at once; what it wrote to files stays."""
        self._world.kill(self._one(node))

    def power_off(self, node: Named | None = None, *, kept: float | None = None) -> None:
        """Its host loses power: nobody is told, and what was not synced to disk may be lost.

        Args:
            node: which one.
            kept: the share of what was not synced that has reached the disk by itself, 0 to 1;
                None leaves it to chance.

        Raises:
            WorldError: outside `sim`. There, `kill` is as far as it goes.
        """
        self._world.power_off(self._one(node), kept)

    def restart(self, node: Named | None = None, *, wipe: bool = False) -> None:
        """Start a node again, at the same address, on the files it left; none if `wipe`."""
        self._world.restart(self._one(node), wipe=wipe)

    def pause(self, node: Named | None = None) -> None:
        """`SIGSTOP`: it stands still, its connections stay open."""
        self._world.pause(self._one(node))

    def resume(self, node: Named | None = None) -> None:
        """`SIGCONT`: it goes on."""
        self._world.resume(self._one(node))

    def cut(self, a: Named, b: Named, direction: str = BOTH) -> None:
        """Let nothing through between two hosts: "both" ways, or only "a->b" or "b->a".

        Hosts are the nodes by name, and "client", where the lab's clients are unless they say
        otherwise and where every program is that is no part of the lab.
        """
        self._world.cut(str(a), str(b), direction)

    def delay(self, a: Named, b: Named, seconds: float, jitter: float = 0.0) -> None:
        """Add one-way latency between two hosts, and up to `jitter` seconds more."""
        self._world.delay(str(a), str(b), seconds, jitter)

    def drop(self, a: Named, b: Named) -> None:
        """Lose what is under way between two hosts, once: both ends of a connection see a reset.

        Nothing is in the way of new connections.
        """
        self._world.drop(str(a), str(b))

    def heal(self, a: Named | None = None, b: Named | None = None) -> None:
        """Undo every cut and every delay, or those between two hosts, both ways.

        Raises:
            ValueError: one host is named, and not the other.
        """
        self._world.heal(*(None if host is None else str(host) for host in (a, b)))

    # -- what can be seen ------------------------------------------------------------------------

    @property
    def events(self) -> EventTable:
        """What happened, in order."""
        return EventTable(self._world.journal.events)

    @property
    def journal(self) -> Journal:
        """Events, and in `sim` every message."""
        return self._world.journal

    def log(self, node: Named | None = None) -> str:
        """The text of a node's log."""
        return self._world.log(self._one(node))

    def files(self, node: Named | None = None) -> dict[str, bytes]:
        """The files in a node's `dir` and below: their paths from there, and their bytes."""
        return self._world.files(self._one(node))

    def put_files(self, files: Mapping[str, bytes], node: Named | None = None) -> None:
        """Lay files into a node's `dir`, in place of those of their names."""
        self._world.put_files(self._one(node), files)

    def disk(self, node: Named | None = None) -> SimDisk:
        """A node's disk, to make it fail; raises WorldError outside `sim`."""
        return self._world.disk(self._one(node))

    @abstractmethod
    def snapshot(self) -> Any:
        """What the nodes say of themselves now."""

    # -- talking to nodes ------------------------------------------------------------------------

    def client(self, node: Named | None = None, *, at: str = CLIENT, **options: Any) -> redis.Redis:
        """A stock blocking redis-py client; `options` are redis-py's, `at` names its host."""
        return self._world.client(self._one(node), at, **options)

    def async_client(
        self, node: Named | None = None, *, at: str = CLIENT, **options: Any
    ) -> redis.asyncio.Redis:
        """A stock redis-py asyncio client; in `sim`, for coroutines that `run` runs."""
        return self._world.async_client(self._one(node), at, **options)

    def cli(self, command: str, node: Named | None = None, *, password: str | None = None) -> str:
        """What redis-cli prints for a command line, such as "INFO memory"; `password` is its -a."""
        return self.run(answer_once(self.find(self._one(node)), password, command))

    def exchange(
        self,
        data: bytes,
        node: Named | None = None,
        *,
        wait_s: float = 1.0,
        silence_s: float = SILENCE_S,
    ) -> bytes:
        """Send bytes as they are on a connection of their own; return what comes back.

        Args:
            data: what to send.
            node: to which one.
            wait_s: how long to wait for the first byte, in seconds of the lab's clock. What comes
                after it is collected until the node falls silent or hangs up.
            silence_s: how long it says nothing when it is taken to have said all.
        """
        return self.run(exchange(self.find(self._one(node)), data, wait_s, silence_s))

    def measure(
        self,
        test: str | Sequence[str | bytes] = "GET",
        node: Named | None = None,
        **options: Any,
    ) -> Result:
        """Load a node and return what was measured.

        Args:
            test: the name of one of redis-benchmark's tests, or the words of a command.
            node: which one.
            options: those of `redislab.benchmark.run`: `clients`, `requests`, `duration_s`,
                `payload` in bytes, `pipeline`, `rate` in requests a second (the open loop), ...

        In `sim` the load runs in virtual time, elsewhere in a process of its own, past everything
        that faults are put into. A node that is to be measured should be a process as well: see
        `own_process`.
        """
        from redislab import benchmark

        host, port = self._world.direct(self._one(node))
        where: dict[str, Any] = {"host": host, "port": port, "password": self._password}
        settings = benchmark.settings_for(test, **(where | options))
        if self.world == "sim":
            return self._world.run(benchmark.coroutine(settings))
        return benchmark.run(settings)

    def benchmark(self, *words: str, node: Named | None = None) -> str:
        """The report that `redislab benchmark` prints for a node.

        Args:
            words: its options, as on the command line: `lab.benchmark("-t", "get", "-q")`.
            node: which one.

        In `sim` the load runs in virtual time, and the figures are as virtual as the time.

        Raises:
            RuntimeError: the benchmark could not run; the message is what it said.
        """
        host, port = self._world.direct(self._one(node))
        if self.world == "sim":
            return self._virtual_benchmark(node, ["-h", host, "-p", str(port), *words])
        import subprocess

        line = [sys.executable, "-m", "redislab", "benchmark", "-h", host, "-p", str(port), *words]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    # -- for the labs ----------------------------------------------------------------------------

    def _virtual_benchmark(self, node: Named | None, words: Sequence[str]) -> str:
        from redislab import benchmark
        from redislab.benchmark.command import virtual
        from redislab.benchmark.report import ServerConfig

        with self.client(node, decode_responses=True, password=self._password) as client:
            told = client.config_get("save", "appendonly")
        try:
            return virtual(
                words,
                ServerConfig(told["save"], told["appendonly"]),
                lambda settings: self._world.run(benchmark.coroutine(settings)),
            )
        except (benchmark.BenchmarkError, ValueError) as refusal:
            raise RuntimeError(str(refusal)) from None

    def _start(self, spec: NodeSpec) -> NodeHandle:
        try:
            return self._world.start(spec)
        except BaseException:
            self.close()
            raise

    def _one(self, node: Named | None) -> str:
        """The name of a node; None is the only one.

        Raises:
            KeyError: there is no such node, or None could be any of several.
        """
        if node is None and len(self.nodes) != 1:
            raise KeyError(f"which node? There are {', '.join(self.nodes) or 'none'}")
        return self.find(node).name

    def _ask(self, name: str) -> Mapping[str, Any] | None:
        """A node's INFO; None when it does not answer."""
        if self._world.state(name) != "running":
            return None
        client = self._observer(name)
        # A connection may still be of the node's earlier run: then a second one tells.
        for _ in range(2):
            try:
                info: Mapping[str, Any] = client.info()
            except redis.ConnectionError:
                client.connection_pool.disconnect()
            except redis.RedisError:
                client.connection_pool.disconnect()
                return None
            else:
                return info
        return None

    def _observer(self, name: str) -> redis.Redis:
        """A client of a node on a host of its own, that no fault of a scenario touches."""
        client = self._observers.get(name)
        if client is None:
            client = self._observers[name] = self._world.client(
                name,
                OBSERVER,
                password=self._password_of(name),
                socket_timeout=ASK_SECONDS,
                retry=Retry(NoBackoff(), 0),
                decode_responses=True,
            )
        return client

    def _password_of(self, name: str) -> str | None:
        """What a node asks for."""
        return self._password

    def _snapshot_of(self, handle: NodeHandle) -> NodeSnapshot:
        info = self._ask(handle.name)
        state = self._world.state(handle.name)
        return node_snapshot(handle.name, handle.host, handle.port, state, info)


# A loop holds its tasks by weak references only.
_later_tasks: set[Task[None]] = set()


async def _start_later(seconds: float, action: Callable[[], object]) -> None:
    async def later() -> None:
        await sleep(seconds)
        action()

    task = create_task(later(), name=f"after {seconds:g} s")
    _later_tasks.add(task)
    task.add_done_callback(_later_tasks.discard)
