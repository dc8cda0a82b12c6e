"""One Redis node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis
import redis.asyncio

from redislab.labs.base import Lab
from redislab.labs.snapshot import Snapshot
from redislab.worlds.base import CLIENT, NodeHandle, NodeSpec


class SingleLab(Lab):
    """One Redis node, in any world.

    Args:
        world: "sim" (virtual time), "live" (real ports) or "redis" (a real redis-server).
        seed: of everything that is left to chance.
        config: directives of redis.conf by name, such as {"maxmemory": "10mb"}.
        port: where the node listens; None is a free one (6379 in `sim`).
        options: further options of the world, such as `faults` in `sim`.

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

    def cli(self, command: str) -> str:
        """What redis-cli prints for a command line, such as "INFO memory"."""
        return self._cli(self.node, command)

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
