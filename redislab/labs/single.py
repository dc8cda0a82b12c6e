"""One Redis node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redislab.labs.base import Lab
from redislab.labs.snapshot import Snapshot
from redislab.worlds.base import NodeHandle, NodeSpec


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

    relayed = False

    def __init__(
        self,
        world: str = "sim",
        *,
        seed: int = 0,
        config: Mapping[str, Any] | None = None,
        port: int | None = None,
        **options: Any,
    ) -> None:
        directives = {name: str(value) for name, value in (config or {}).items()}
        if port is not None:
            directives["port"] = str(port)
        super().__init__(world, seed, password=directives.get("requirepass") or None, **options)
        self._handle = self._start(NodeSpec(config=directives))

    @property
    def node(self) -> NodeHandle:
        """The node: its name, host and port."""
        return self._handle

    def snapshot(self) -> Snapshot:
        """What the node says of itself now; `up` is false where it does not answer."""
        node = self._snapshot_of(self.node)
        return Snapshot(self.now, node)

    def view(self) -> Any:
        """The node as a picture: live in a notebook, a recording on a page."""
        from redislab.views.server import ServerView, ServerWatch

        watch = ServerWatch(self, info=lambda: self._ask(self.node.name))
        return ServerView(watch, background=self.world != "sim")
