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
import os
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from redislab.wire.rdb import lzf
from redislab.worlds.background import Owner
from redislab.worlds.base import LogLine, NodeHandle, NodeSpec
from redislab.worlds.nodes import (
    Directives,
    LogLines,
    NodeFactory,
    Runnable,
    node_factory,
    start,
)
from redislab.worlds.real import RealNode, RealWorld

if TYPE_CHECKING:
    from redislab.server import Environment
    from redislab.server.files import FileSystem
    from redislab.worlds.routes import Site


class Guest(RealNode):
    """A node of ours in the background thread, and its present run."""

    def __init__(
        self,
        world: RealWorld,
        spec: NodeSpec,
        handle: NodeHandle,
        site: Site,
        make_node: NodeFactory,
    ) -> None:
        super().__init__(world, spec, handle, site)
        self.owner = Owner(handle.name)
        self._make_node = make_node
        self._running: Runnable | None = None
        self._files: FileSystem | None = None
        self._log = LogLines()

    def launch(self) -> None:
        """Start it on the loop, as its own owner."""
        self.owner = Owner(self.handle.name)
        background = self.world.background()
        try:
            background.call(self._run(self.owner), self.owner)
        except BaseException:
            background.do(self.owner.kill)
            raise

    def end(self) -> None:
        """Drop its connections, timers and tasks at once."""
        self.world.background().call(self._kill())

    def pause(self) -> None:
        """Stop its timers and its reading."""
        self.world.background().do(self.owner.pause)

    def resume(self) -> None:
        """Let it go on."""
        self.world.background().do(self.owner.resume)

    def log(self) -> str:
        """The text of its log, over all of its runs."""
        return self._log.text()

    def log_lines(self) -> list[LogLine]:
        """Its lines."""
        return self._log.lines(0)

    def directives(self) -> Directives:
        """Without what tells a process where it dials from: the loop sees to that."""
        config = super().directives()
        config.pop("bind-source-addr", None)
        return config

    async def _run(self, owner: Owner) -> None:
        running = self._make_node(str(self.configure()), self._environment(owner))
        await start(running, self.handle.name, self._log)
        self._running = running
        stopped = getattr(running, "stopped", None)
        if stopped is not None:
            watch = asyncio.get_running_loop().create_task(self._watch(owner, stopped))
            owner.tasks.add(watch)

    async def _watch(self, owner: Owner, stopped: asyncio.Event) -> None:
        """Notice when it stops by itself, as SHUTDOWN makes it."""
        await stopped.wait()
        if self.owner is owner and not owner.is_dead:
            self._running = None
            self.stopped()

    async def _kill(self) -> None:
        if self._files is not None:
            self._files.detach()
        running, self._running = self._running, None
        if running is not None:
            self.owner.context().run(running.abort)
        self.owner.kill()
        # The closing of sockets takes one turn of the loop; a restart wants the port back.
        await asyncio.sleep(0)

    def _environment(self, owner: Owner) -> Environment:
        from redislab.server import Environment
        from redislab.server.files import FileSystem
        from redislab.server.main import start_program

        world, name = self.world, self.handle.name
        self._files = FileSystem(lambda: world.workspace.make(name))

        def log(line: str) -> None:
            if not owner.is_dead:
                self._log.append(world.now, line)

        return Environment(
            name=name,
            random=Random(f"{name}/{self.runs}/{world.seed}"),
            unix_time=time.time,
            clock=time.perf_counter,
            log=log,
            process_id=os.getpid(),
            cpu_time=_cpu_time,
            rss=_resident_bytes,
            disk=self._files,
            directory=str(world.workspace.path / name),
            start_program=start_program,
            compress=lzf.compress,
        )


class LiveWorld(RealWorld):
    """Our own nodes, in real time.

    Args:
        seed: of what the nodes draw.
        make_node: makes every node, for tests; see `nodes.py`.
        options: those of `RealWorld`.
    """

    name = "live"

    def __init__(
        self, *, seed: int = 0, make_node: NodeFactory | None = None, **options: Any
    ) -> None:
        super().__init__(seed=seed, **options)
        self._make_node = make_node

    def make_node(self, spec: NodeSpec, handle: NodeHandle, site: Site) -> RealNode:
        """One of ours, or a real one if the spec says so."""
        if spec.real:
            from redislab.worlds.redis import ProcessNode, real_command

            return ProcessNode(self, spec, handle, site, real_command(spec.program))
        return Guest(self, spec, handle, site, self._make_node or node_factory(spec, handle.port))


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
