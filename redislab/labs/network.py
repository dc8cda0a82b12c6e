"""A lab of several nodes: what was done to the links between them is remembered, to be shown."""

from __future__ import annotations

from typing import Any

from redislab.labs.base import Lab, Named
from redislab.worlds.base import BOTH, directions


class NetworkLab(Lab):
    """Nodes that talk to each other."""

    def __init__(self, world: str, seed: int, **options: Any) -> None:
        super().__init__(world, seed, **options)
        self._cuts: dict[tuple[str, str], None] = {}
        self._delays: dict[tuple[str, str], float] = {}

    @property
    def cuts(self) -> tuple[tuple[str, str], ...]:
        """(from, to) of every cut that was made here and not healed."""
        return tuple(self._cuts)

    @property
    def delays(self) -> tuple[tuple[str, str, float], ...]:
        """(a, b, seconds one way) of every delay likewise."""
        return tuple((*pair, seconds) for pair, seconds in self._delays.items())

    def cut(self, a: Named, b: Named, direction: str = BOTH) -> None:
        """Let nothing through between two hosts; a snapshot tells which are cut."""
        super().cut(a, b, direction)
        self._cuts |= dict.fromkeys(directions(str(a), str(b), direction))

    def delay(self, a: Named, b: Named, seconds: float, jitter: float = 0.0) -> None:
        """Add one-way latency between two hosts; a snapshot tells how much."""
        super().delay(a, b, seconds, jitter)
        self._delays[str(a), str(b)] = seconds

    def heal(self, a: Named | None = None, b: Named | None = None) -> None:
        """Undo every cut and every delay, or those between two hosts, both ways."""
        super().heal(a, b)
        if a is None:
            self._cuts.clear()
            self._delays.clear()
            return
        for pair in ((str(a), str(b)), (str(b), str(a))):
            self._cuts.pop(pair, None)
            self._delays.pop(pair, None)
