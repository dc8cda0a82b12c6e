"""The `sim` world: nodes on the deterministic loop, with virtual time and a simulated network.

Nothing runs while nobody waits: time passes when a client waits for a reply, in `run`, in
`run_for`, and nowhere else. The same seed gives the same history, byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import redis
import redis.asyncio

from redislab.worlds.base import (
    CLIENT,
    OBSERVER,
    Address,
    LogLine,
    NodeHandle,
    NodeSpec,
    State,
    WorldError,
    check_span,
)
from redislab.worlds.common import CommonWorld
from redislab.worlds.nodes import (
    Directives,
    LogLines,
    NodeFactory,
    Runnable,
    asked_port,
    check_program,
    config_name,
    configuration,
    directives,
    node_factory,
    node_name,
    start,
)
from redislab.worlds.proxies import is_proxy, stats_port
from redislab.worlds.sim.client import Driver, asyncio_connections, blocking_connections
from redislab.worlds.sim.disk import SimDisk
from redislab.worlds.sim.faults import Faults
from redislab.worlds.sim.hosts import Process
from redislab.worlds.sim.journal import BYTES_MAX, MESSAGES_MAX, Journal
from redislab.worlds.sim.loop import PATIENCE_SECONDS, SimLoop
from redislab.worlds.sim.network import LOCALHOST
from redislab.worlds.sim.work import Work, Worker

if TYPE_CHECKING:
    from redislab.server import Environment

T = TypeVar("T")

# Every simulation begins at the same moment, in seconds since the epoch: 2025-01-01, 00:00 UTC.
EPOCH = 1_735_689_600.0
FIRST_PORTS = {"redis": 6379, "sentinel": 26379, "proxy": 22121}
DATA_DIRECTORY = "/data"


class _SimNode:
    """A node: what it should be, and what runs now."""

    def __init__(self, spec: NodeSpec, handle: NodeHandle, disk: SimDisk) -> None:
        self.spec = spec
        self.handle = handle
        self.disk = disk
        self.file = f"{disk.directory}/{config_name(spec)}"
        self.runs = 0
        self.running: Runnable | None = None
        self.state: State = "stopped"
        self.log = LogLines()


class SimWorld(CommonWorld[_SimNode]):
    """Nodes in virtual time.

    Args:
        seed: of everything that is left to chance.
        faults: what the network does to messages.
        work: what serving costs a node; None is nothing, so that no node is ever busy.
        messages_max: how many messages the journal keeps; None is all.
        bytes_max: how many bytes of messages it keeps; None is all.
        patience_seconds: virtual seconds that a call without a timeout waits before it is taken
            for a deadlock.
        make_node: makes every node, for tests; see `nodes.py`.

    Attributes:
        began_at: when the world began, in seconds since the epoch: always the same moment.
        log_watchers: told of each line of a node's log as it is written, with the node's name.
    """

    name = "sim"
    began_at = EPOCH

    def __init__(
        self,
        *,
        seed: int = 0,
        faults: Faults | None = None,
        work: Work | None = None,
        messages_max: int | None = MESSAGES_MAX,
        bytes_max: int | None = BYTES_MAX,
        patience_seconds: float = PATIENCE_SECONDS,
        make_node: NodeFactory | None = None,
    ) -> None:
        self._journal = Journal(lambda: self.loop.now, messages_max, bytes_max)
        super().__init__(seed, self._journal)
        self._make_node = make_node
        self._work = work
        self.loop = SimLoop(seed, faults, self._journal, patience_seconds)
        self.network = self.loop.network
        self.log_watchers: list[Callable[[str, LogLine], object]] = []
        self._client_random = Random(f"clients/{seed}")
        self.network.process(CLIENT)
        self.network.process(OBSERVER)

    @property
    def now(self) -> float:
        """Virtual seconds since the world began."""
        return self.loop.now

    @property
    def journal(self) -> Journal:
        """Every message and every event."""
        return self._journal

    # -- nodes ---------------------------------------------------------------------------------

    def start(self, spec: NodeSpec) -> NodeHandle:
        """Start a node and wait until it listens."""
        check_program(spec)
        if spec.real:
            raise WorldError("the world 'sim' has no real programs: say world='live' or 'redis'")
        port = asked_port(spec) or self._free_port(spec)
        name = node_name(spec, port)
        self._check_new(name)
        handle = NodeHandle(name, self.network.host(name).ip, port)
        node = self._nodes[name] = _SimNode(spec, handle, self._new_disk(spec, name))
        self.network.own((handle.host, port), name)
        if is_proxy(spec):
            self.network.own((handle.host, stats_port(port)), name)
        try:
            self._launch(node)
        except BaseException:
            self.network.kill(name)
            del self._nodes[name]
            raise
        return handle

    def state(self, name: str) -> State:
        """How a node is."""
        return self._node(name).state

    def kill(self, name: str) -> None:
        """`kill -9`."""
        node = self._node(name)
        self.network.kill(name)
        self._ended(node, "killed", "kill")

    def power_off(self, name: str, kept: float | None = None) -> None:
        """The node's host loses power: nobody is told, its connections just fall silent.

        Args:
            name: of the host.
            kept: the share of what was not synced that its disk has all the same; see
                `SimDisk.lose_power`.
        """
        node = self._node(name)
        self.network.crash(name)
        self._ended(node, "crashed", "crash")
        node.disk.lose_power(kept)

    def restart(self, name: str, *, wipe: bool = False) -> None:
        """Start a node again, at the same address, on the disk that it left, unless wiped."""
        node = self._node(name)
        if node.state in {"running", "paused"}:
            self.kill(name)
        if wipe:
            config = node.disk.files()[node.file]
            node.disk.wipe()
            node.disk.put({node.file: config})
        self.network.boot(name)
        self._launch(node)

    def pause(self, name: str) -> None:
        """`SIGSTOP`."""
        node = self._node(name)
        if node.state == "running":
            self.network.pause(name)
            node.state = "paused"
            self._journal.event(name, "pause")

    def resume(self, name: str) -> None:
        """`SIGCONT`."""
        node = self._node(name)
        if node.state == "paused":
            node.state = "running"
            self._journal.event(name, "resume")
            self.network.resume(name)

    def drift(self, name: str, rate: float) -> None:
        """Let a host's clock run `rate` times as fast as the true one."""
        self._check_hosts(name)
        self.network.set_clock(name, rate=rate)
        self._journal.event(name, "drift", f"clock runs at {rate:g}")

    def jump(self, name: str, seconds: float) -> None:
        """Let a host's clock jump ahead (or back, below zero) by some seconds."""
        self._check_hosts(name)
        self.network.set_clock(name, jump=seconds)
        self._journal.event(name, "jump", f"clock jumps by {seconds:g} s")

    def log(self, name: str) -> str:
        """The text of a node's log."""
        return self._node(name).log.text()

    def log_lines(self, name: str, since: int = 0) -> list[LogLine]:
        """The lines of a node's log but the first `since`."""
        return self._node(name).log.lines(since)

    def running(self, name: str) -> Any:
        """The node itself, for who looks past the protocol; None while it does not run."""
        return self._node(name).running

    def direct(self, name: str) -> Address:
        """Where a node listens."""
        handle = self._node(name).handle
        return handle.host, handle.port

    # -- disks ---------------------------------------------------------------------------------

    def disk(self, name: str) -> SimDisk:
        """A node's disk."""
        return self._node(name).disk

    def files(self, name: str) -> dict[str, bytes]:
        """The files in a node's `dir` and below, as programs see them."""
        node = self._node(name)
        root = f"{node.disk.directory}/"
        return {
            path.removeprefix(root): data
            for path, data in node.disk.files().items()
            if path.startswith(root) and path != node.file
        }

    def put_files(self, name: str, files: Mapping[str, bytes]) -> None:
        """Lay files into a node's `dir`."""
        disk = self._node(name).disk
        disk.put({f"{disk.directory}/{path}": data for path, data in files.items()})

    # -- time and code -------------------------------------------------------------------------

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine in virtual time and return its result.

        Raises:
            TimeoutError: when it is not done within `timeout` virtual seconds.
            DeadlockError: when it can never be done.
        """
        if timeout is not None:
            coroutine = _within(coroutine, timeout)
        return self._run_as(self.network.process(CLIENT), coroutine)

    def run_for(self, seconds: float) -> None:
        """Let that much virtual time pass."""
        self.loop.run_for(check_span(seconds))

    def close(self) -> None:
        """Drop everything."""
        if self.loop.is_closed():
            return
        with contextlib.suppress(Exception):
            self._run_as(self.network.process(OBSERVER), _close_all(self._clients))
        self.loop.close()
        self._clients.clear()
        for node in self._nodes.values():
            if node.state in {"running", "paused"}:
                node.state = "stopped"

    # -- inside --------------------------------------------------------------------------------

    def _launch(self, node: _SimNode) -> None:
        name = node.handle.name
        process = self.network.process(name)
        if self._work is not None:
            process.worker = Worker(self._work, process, self.loop)
        node.runs += 1
        if node.runs == 1:
            config = configuration(node.spec, self.direct(name), _directives(node))
            node.disk.put({node.file: config})
        make_node = self._make_node or node_factory(node.spec, node.handle.port)
        running = process.context.run(make_node, node.file, self._environment(node, process))
        try:
            self._run_as(process, start(running, name, node.log))
        except BaseException:
            self.network.kill(name)
            node.disk.detach()
            node.state = "stopped"
            raise
        node.state = "running"
        node.running = running
        self._journal.event(name, "start", f"listens on port {node.handle.port}")
        self._watch(node, running)

    def _environment(self, node: _SimNode, process: Process) -> Environment:
        from redislab.server import Environment

        clock = process.host.clock

        def log(line: str) -> None:
            if process.state != "dead":
                told = node.log.append(self.loop.now, line)
                for watcher in self.log_watchers:
                    watcher(node.handle.name, told)

        return Environment(
            name=node.handle.name,
            random=Random(f"{node.handle.name}/{node.runs}/{self.seed}"),
            unix_time=lambda: EPOCH + clock.local(self.loop.now),
            clock=lambda: clock.local(self.loop.now),
            log=log,
            process_id=process.number,
            cpu_time=lambda: (0.0, 0.0),
            rss=lambda: 0,
            disk=node.disk.mount(),
            directory=node.disk.directory,
        )

    def _watch(self, node: _SimNode, running: Runnable) -> None:
        """Notice when a node stops by itself, as SHUTDOWN makes it."""
        stopped = getattr(running, "stopped", None)
        if stopped is None:
            return
        process = self.network.process(node.handle.name)

        async def wait() -> None:
            await stopped.wait()
            # What the node sent last goes out first; then its process ends.
            self.loop.schedule(self.loop.now, over, None)

        def over(_: object) -> None:
            if process.state != "dead":
                self.network.kill(node.handle.name)
                self._ended(node, "stopped", "stop")

        self.loop.create_task(wait(), context=process.context.copy())

    def _ended(self, node: _SimNode, state: State, kind: str) -> None:
        if node.state in {"running", "paused"}:
            self._journal.event(node.handle.name, kind)
        node.state = state
        node.running = None
        node.disk.detach()

    def _run_as(self, process: Process, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            task = self.loop.create_task(coroutine, context=process.context.copy())
        except BaseException:
            coroutine.close()
            raise
        return self.loop.run_until_complete(task)

    def _driver(self, at: str) -> Driver:
        self.network.process(at)
        return Driver(self.loop, lambda: self.network.process(at), self._client_random)

    def _free_port(self, spec: NodeSpec) -> int:
        port = FIRST_PORTS[spec.program]
        while any(node.handle.port == port for node in self._nodes.values()):
            port += 1
        return port

    def _new_disk(self, spec: NodeSpec, name: str) -> SimDisk:
        def later(seconds: float, call: Callable[[], None]) -> None:
            self.loop.schedule(self.loop.now + seconds, lambda _: call(), None)

        return SimDisk(
            Random(f"disk/{name}/{self.seed}"),
            later,
            directory=str(spec.config.get("dir", DATA_DIRECTORY)),
            note=lambda text: self._journal.event(name, "disk", text),
        )

    # -- what `CommonWorld` asks -----------------------------------------------------------------

    def _hosts(self) -> Iterable[str]:
        return self.network.hosts

    def _cut(self, source: str, target: str) -> None:
        self.network.cut(source, target)

    def _delay(self, source: str, target: str, seconds: float, jitter: float) -> None:
        self.network.delay(source, target, seconds, jitter)

    def _drop(self, a: str, b: str) -> None:
        self.network.drop(a, b)

    def _heal(self) -> None:
        self.network.heal()

    def _heal_one(self, source: str, target: str) -> None:
        self.network.heal_one(source, target)

    def connections(self, at: str, options: dict[str, Any]) -> type[redis.Connection]:
        """The class of a blocking client's connections on a host; puts in options."""
        return blocking_connections(self._driver(at), options)

    def async_connections(self, at: str, options: dict[str, Any]) -> type[redis.asyncio.Connection]:
        """The same for an asyncio client."""
        return asyncio_connections(self._driver(at), options, elsewhere=at != CLIENT)


def _directives(node: _SimNode) -> Directives:
    """The node's directives: the spec's, with the address that it really has."""
    config = directives(node.spec)
    config["port"] = str(node.handle.port)
    config.setdefault("bind", node.handle.host)
    config.pop("dir", None)  # it names a place on the simulated disk, where the node is already
    return config


async def _close_all(clients: list[redis.Redis | redis.asyncio.Redis]) -> None:
    for client in clients:
        if isinstance(client, redis.Redis):
            client.close()
        else:
            await client.aclose()


async def _within(coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await coroutine


__all__ = ["EPOCH", "LOCALHOST", "SimWorld"]
