"""One Redis node."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import redis
import redis.asyncio

from redislab.benchmark import Result
from redislab.labs.base import Lab
from redislab.labs.snapshot import Snapshot
from redislab.worlds.base import CLIENT, NodeHandle, NodeSpec, WorldError


class SingleLab(Lab):
    """One Redis node, in any world.

    Args:
        world: "sim" (virtual time), "live" (real ports) or "redis" (a real redis-server).
        seed: of everything that is left to chance.
        config: directives of redis.conf by name, such as {"maxmemory": "10mb"}.
        port: where the node listens; None is a free one (6379 in `sim`).
        options: further options of the world, such as `faults` in `sim`, or `own_process=True` in
            `live`: the node is a program of its own, which shares no interpreter with the notebook.

    Raises:
        ValueError: when there is no such world.
        ProgramMissingError: when `redis` finds no redis-server; it names the package.
        OSError: when the port is taken.
    """

    def __init__(
        self,
        world: str = "sim",
        *,
        seed: int = 0,
        config: Mapping[str, Any] | None = None,
        port: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(world, seed, **options)
        directives = {name: str(value) for name, value in (config or {}).items()}
        if port is not None:
            directives["port"] = str(port)
        self._password = directives.get("requirepass") or None
        self._handle = self._start(NodeSpec(config=directives))

    @property
    def node(self) -> NodeHandle:
        """The node: its name, host and port."""
        return self._handle

    def client(self, *, at: str = CLIENT, **options: Any) -> redis.Redis:
        """A stock blocking redis-py client; `options` are redis-py's, `at` names its host."""
        return self._client(self.node.name, at, options)

    def async_client(self, *, at: str = CLIENT, **options: Any) -> redis.asyncio.Redis:
        """A stock redis-py asyncio client; in `sim`, for coroutines that `run` runs."""
        return self._world.async_client(self.node.name, at, **options)

    def cli(self, command: str, *, password: str | None = None) -> str:
        """What redis-cli prints for a command line, such as "INFO memory"; `password` is its -a."""
        return self._cli(self.node, command, password)

    def exchange(self, data: bytes, *, wait_s: float = 1.0) -> bytes:
        """Send bytes as they are on a connection of their own; return what comes back.

        Args:
            data: what to send.
            wait_s: how long to wait for the first byte, in seconds of the lab's clock. What comes
                after it is collected until the node falls silent or hangs up.
        """
        return self._exchange(self.node, data, wait_s)

    def measure(self, test: str | Sequence[str | bytes] = "GET", **options: Any) -> Result:
        """Load the node and return what was measured.

        Args:
            test: the name of one of redis-benchmark's tests, or the words of a command.
            options: those of `redislab.benchmark.run`: `clients`, `requests`, `duration_s`,
                `payload` in bytes, `pipeline`, `rate` in requests a second (the open loop), ...

        In `sim` the load runs in virtual time, elsewhere in a process of its own. A node that is
        to be measured should be one as well: see `own_process`.
        """
        return self._measure(self.node, test, {"password": self._password} | options)

    def benchmark(self, *words: str) -> str:
        """The report that `redislab benchmark` prints for the node.

        Args:
            words: its options, as on the command line: `lab.benchmark("-t", "get", "-q")`.

        Raises:
            WorldError: in `sim`, where no other process can connect.
            RuntimeError: the benchmark could not run; the message is what it said.
        """
        if self.world == "sim":
            raise WorldError("no other process reaches a node in `sim`; use lab.measure there")
        line = [sys.executable, "-m", "redislab", "benchmark", "-p", str(self.node.port), *words]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def kill(self, node: NodeHandle | str | None = None) -> None:
        """`kill -9`; the one node where none is named."""
        super().kill(node or self.node)

    def restart(self, node: NodeHandle | str | None = None) -> None:
        """Start the node again, at the same address."""
        super().restart(node or self.node)

    def pause(self, node: NodeHandle | str | None = None) -> None:
        """`SIGSTOP`: it stands still, its connections stay open."""
        super().pause(node or self.node)

    def resume(self, node: NodeHandle | str | None = None) -> None:
        """`SIGCONT`: it goes on."""
        super().resume(node or self.node)

    def log(self, node: NodeHandle | str | None = None) -> str:
        """The text of the node's log."""
        return super().log(node or self.node)

    def snapshot(self) -> Snapshot:
        """What the node says of itself now; `up` is false where it does not answer."""
        node = self._snapshot_of(self.node, self._password)
        return Snapshot(self.now, node)

    def view(self) -> Any:
        """The node as a picture: live in a notebook, a recording on a page."""
        from redislab.views.server import ServerView, ServerWatch

        watch = ServerWatch(self, info=lambda: self._ask(self.node.name, self._password))
        return ServerView(watch, background=self.world != "sim")
