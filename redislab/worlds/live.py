"""The `live` world: our own nodes on real ports of 127.0.0.1, in one background thread.

Anything that speaks Redis can talk to them: redis-cli, redis-benchmark, other people's clients,
real Redis processes. They share this interpreter, so a load generator belongs in a process of its
own, and so does a server that is being measured.

A node is a guest here, not a process. Killing it drops its connections, timers and tasks. Pausing
it stops its timers and its reading, and the kernel goes on taking connections and bytes for it; a
coroutine of it that is under way runs on to where it waits next.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from redislab.worlds.background import Owner
from redislab.worlds.base import NodeHandle, NodeSpec, State
from redislab.worlds.nodes import LogLines, NodeFactory, Runnable, directives, redis_node
from redislab.worlds.real import PORT_TRIES, RealNode, RealWorld

if TYPE_CHECKING:
    from redislab.server import Environment


class _LiveNode(RealNode):
    """A node, and its present run."""

    def __init__(self, spec: NodeSpec, handle: NodeHandle) -> None:
        super().__init__(spec, handle)
        self.owner = Owner(handle.name)
        self.running: Runnable | None = None
        self.log = LogLines()


class LiveWorld(RealWorld):
    """Our own nodes, in real time.

    Args:
        seed: of what the nodes draw.
        make_node: makes a node from its directives and its surroundings.
    """

    name = "live"

    def __init__(self, *, seed: int = 0, make_node: NodeFactory = redis_node) -> None:
        super().__init__(seed=seed)
        self._make_node = make_node
        self._nodes: dict[str, _LiveNode] = {}

    def start(self, spec: NodeSpec) -> NodeHandle:
        """Start a node and wait until it listens; raises OSError if its port is taken."""
        for tries_left in reversed(range(PORT_TRIES)):
            node = _LiveNode(spec, self._prepare(spec))
            try:
                self._launch(node)
            except OSError as failure:
                is_ours_to_choose = int(spec.config.get("port", "0")) == 0
                if failure.errno == errno.EADDRINUSE and is_ours_to_choose and tries_left:
                    continue
                raise
            break
        self._nodes[node.handle.name] = node
        self._admit(node)
        return node.handle

    def state(self, name: str) -> State:
        """How a node is."""
        node: _LiveNode = self._node(name)
        return node.state

    def kill(self, name: str) -> None:
        """Drop the node's connections, timers and tasks at once."""
        node: _LiveNode = self._node(name)
        if node.state in {"running", "paused"}:
            self._ensure_background().call(_kill(node))
            node.state = "killed"
            self._journal.event(name, "kill")

    def restart(self, name: str) -> None:
        """Start a node again, at the same address."""
        self.kill(name)
        self._launch(self._node(name))

    def pause(self, name: str) -> None:
        """Stop the node's timers and its reading."""
        node: _LiveNode = self._node(name)
        if node.state == "running":
            self._ensure_background().call(_do(node.owner.pause))
            node.state = "paused"
            self._journal.event(name, "pause")

    def resume(self, name: str) -> None:
        """Let it go on."""
        node: _LiveNode = self._node(name)
        if node.state == "paused":
            node.state = "running"
            self._journal.event(name, "resume")
            self._ensure_background().call(_do(node.owner.resume))

    def log(self, name: str) -> str:
        """The text of a node's log."""
        node: _LiveNode = self._node(name)
        return node.log.text()

    # -- inside --------------------------------------------------------------------------------

    def _launch(self, node: _LiveNode) -> None:
        node.runs += 1
        node.owner = Owner(node.handle.name)
        background = self._ensure_background()
        try:
            background.call(self._run_node(node, node.owner), node.owner)
        except BaseException:
            background.call(_do(node.owner.kill))
            raise
        node.state = "running"
        self._journal.event(node.handle.name, "start", f"listens on port {node.handle.port}")

    async def _run_node(self, node: _LiveNode, owner: Owner) -> None:
        running = self._make_node(
            directives(node.spec, node.handle), self._environment(node, owner)
        )
        await running.start()
        node.running = running
        stopped = getattr(running, "stopped", None)
        if stopped is not None:
            watch = asyncio.get_running_loop().create_task(self._watch(node, owner, stopped))
            owner.tasks.add(watch)

    async def _watch(self, node: _LiveNode, owner: Owner, stopped: asyncio.Event) -> None:
        """Notice when a node stops by itself, as SHUTDOWN makes it."""
        await stopped.wait()
        if node.owner is owner and not owner.is_dead:
            node.state = "stopped"
            node.running = None
            self._journal.event(node.handle.name, "stop")

    def _environment(self, node: _LiveNode, owner: Owner) -> Environment:
        from redislab.server import Environment

        def log(line: str) -> None:
            if not owner.is_dead:
                node.log.append(line)

        return Environment(
            name=node.handle.name,
            random=Random(f"{node.handle.name}/{node.runs}/{self.seed}"),
            unix_time=time.time,
            clock=time.perf_counter,
            log=log,
            process_id=os.getpid(),
            cpu_time=_cpu_time,
            rss=_resident_bytes,
        )

    def _all_nodes(self) -> dict[str, Any]:
        return self._nodes

    def _end_nodes(self) -> None:
        for node in self._nodes.values():
            if node.state in {"running", "paused"}:
                self._ensure_background().call(_kill(node))
                node.state = "stopped"


async def _kill(node: _LiveNode) -> None:
    running, node.running = node.running, None
    if running is not None:
        node.owner.context().run(running.abort)
    node.owner.kill()
    # The closing of sockets takes one turn of the loop; a restart wants the port back.
    await asyncio.sleep(0)


async def _do(action: Any) -> None:
    action()


def _cpu_time() -> tuple[float, float]:
    """Seconds of (system, user) time of this process, which all nodes of it share."""
    times = os.times()
    return times.system, times.user


def _resident_bytes() -> int:
    """Memory of this process, which all nodes of it share; 0 where it cannot be told."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return _resident_bytes_from_psutil()


def _resident_bytes_from_psutil() -> int:
    try:
        import psutil
    except ImportError:
        return 0
    resident: int = psutil.Process().memory_info().rss
    return resident
