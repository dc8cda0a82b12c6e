"""A lab of several nodes: what was done to the links between them is remembered, to be shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import permutations, product
from typing import Any

from redislab.labs.base import Lab, Named
from redislab.worlds.base import BOTH, NodeHandle, directions

Side = Named | Iterable[Named]
"""One host, or several."""


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

    def partition(self, *sides: Side, between: Side = ()) -> None:
        """Split the network: nothing gets from a host of one side to one of another.

        Every host is on exactly one side. Those that are named nowhere keep together and are one
        more side, so `lab.partition(["redis-1", "client"])` cuts these two off from all others.
        What was cut before stays so, and `heal` undoes all of it.

        Args:
            sides: hosts by name or handle: nodes, "client", and wherever else there are clients.
            between: hosts that are on no side: they reach all, and all reach them.

        Raises:
            ValueError: there is no such host, or one is named on two sides; nothing was cut then.
        """
        apart = sides_of(self._world.hosts, sides, between)
        self._world.partition(apart)
        for one, other in permutations(apart, 2):
            self._cuts |= dict.fromkeys(product(one, other))

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


def sides_of(
    hosts: Collection[str], sides: Iterable[Side], between: Side = ()
) -> list[Sequence[str]]:
    """The sides of a partition by the names of their hosts: those given, and that of the rest.

    Args:
        hosts: all that there are.
        sides: as `NetworkLab.partition` takes them.
        between: likewise.

    Raises:
        ValueError: see there.
    """
    named = [names_of(side) for side in sides]
    place: dict[str, int] = {}
    for number, side in enumerate([*named, names_of(between)]):
        for host in side:
            if host not in hosts:
                raise ValueError(f"no host {host!r} to put on a side; there are {', '.join(hosts)}")
            if place.setdefault(host, number) != number:
                raise ValueError(f"{host} cannot be in two places of one partition: choose one")
    return [*named, [host for host in hosts if host not in place]]


def names_of(side: Side) -> list[str]:
    """The names of the hosts of a side, each once."""
    hosts = [side] if isinstance(side, str | NodeHandle) else side
    return list(dict.fromkeys(str(host) for host in hosts))
