"""Caches: Redis nodes that know nothing of each other.

No node tells a client where a key is. Whoever asks has to know which of them to ask, and when one
is gone, whom to ask in its place: that is what `redislab.ring` is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from redislab.labs.base import Lab
from redislab.labs.snapshot import NodeSnapshot
from redislab.worlds.base import NodeHandle, NodeSpec


@dataclass(frozen=True, slots=True)
class CachesSnapshot:
    """The caches at one moment.

    Attributes:
        time: seconds since the lab began.
        nodes: the caches, in the order of their numbers.
    """

    time: float
    nodes: tuple[NodeSnapshot, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain data that turns into JSON."""
        return asdict(self)


class CacheLab(Lab):
    """Several Redis nodes with nothing between them, in any world.

    Args:
        caches: how many; they are `cache-1`, `cache-2` ...
        config: directives of redis.conf for each.
        world: "sim" (virtual time), "live" (real ports) or "redis" (real redis-servers).
        seed: of everything that is left to chance.
        options: further options of the world.

    Raises:
        ValueError: there is no such world, or there would be no cache.
        ProgramMissingError: when `redis` finds no redis-server; it names the package.
    """

    # They have no links to each other, and a fault between them would be none.
    relayed = False

    def __init__(
        self,
        *,
        caches: int = 4,
        config: Mapping[str, Any] | None = None,
        world: str = "sim",
        seed: int = 0,
        **options: Any,
    ) -> None:
        if caches < 1:
            raise ValueError(f"there is 1 cache or more, not {caches}")
        directives = {name: str(value) for name, value in (config or {}).items()}
        password = directives.get("requirepass") or None
        super().__init__(world, seed, password=password, **options)
        for number in range(1, caches + 1):
            self._start(NodeSpec(f"cache-{number}", directives))

    @property
    def caches(self) -> list[NodeHandle]:
        """The nodes, in the order of their numbers."""
        return list(self.nodes.values())

    def snapshot(self) -> CachesSnapshot:
        """What the caches say of themselves now; one that does not answer is not `up`."""
        return CachesSnapshot(self.now, tuple(self._snapshot_of(each) for each in self.caches))
