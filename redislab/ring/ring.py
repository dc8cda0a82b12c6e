"""A ring to look at: nodes with points on a circle of 2**32 places, and each key's next point.

`Ring` places keys as nutcracker's ketama does, on the same continuum, but for one thing: a node
has as many points as its weight times `points_per_weight` and no matter what other nodes there are,
where ketama's rounding couples them. With 160 points and equal weights both are the same, except
for the numbers of servers (25 is the first) at which ketama's float falls short of 40 hashes each.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self

from redislab.ring.distributions import CIRCLE, POINTS_PER_SERVER, Continuum, points_of
from redislab.ring.hashes import DEFAULT_HASH
from redislab.ring.sharding import Key, Sharding, encoded


class Point(NamedTuple):
    """A point on the circle.

    Attributes:
        place: from 0 to 2**32 - 1.
        node: whose it is.
    """

    place: int
    node: str


class Ring(Sharding):
    """Consistent hashing: a key belongs to the node whose point comes next on the circle.

    Args:
        nodes: names, or a mapping of names to weights.
        hash: the name of the hash for keys; points are made by MD5, as ketama makes them.
        points_per_weight: so many points has a node for each unit of its weight: what is also
            called virtual nodes.

    Attributes:
        points_per_weight: likewise.

    Raises:
        ValueError: as with any sharding, or there would be no points.
    """

    def __init__(
        self,
        nodes: Iterable[str] | Mapping[str, int],
        *,
        hash: str = DEFAULT_HASH,  # noqa: A002 - as nutcracker calls it
        points_per_weight: int = POINTS_PER_SERVER,
    ) -> None:
        super().__init__(nodes, hash=hash)
        if points_per_weight < 1:
            raise ValueError(f"points_per_weight is {points_per_weight}; it has to be positive")
        self.points_per_weight = points_per_weight
        self._is_placed = False
        self._set({node: self._points_of(node) for node in self.nodes})

    @classmethod
    def placed(
        cls,
        places: Mapping[str, float | Iterable[float]],
        *,
        hash: str = DEFAULT_HASH,  # noqa: A002 - as nutcracker calls it
    ) -> Ring:
        """A ring whose points are put by hand: node to one or more places, as parts of the circle.

        For drawings and thought: `Ring.placed({"A": 0.25, "B": [0.5, 0.9]})`. Nodes that are added
        have one point each, where MD5 puts it.

        Raises:
            ValueError: a place is not from 0 up to, but not including, 1; or as for any ring.
        """
        given = {
            node: tuple(where) if isinstance(where, Iterable) else (where,)
            for node, where in places.items()
        }
        for node, where in given.items():
            if not where or not all(0 <= place < 1 for place in where):
                raise ValueError(f"{node!r} needs places from 0 up to 1, not {list(where)}")
        ring = cls(list(given), hash=hash, points_per_weight=1)
        ring._is_placed = True
        ring._set({n: tuple(int(place * CIRCLE) for place in where) for n, where in given.items()})
        return ring

    @property
    def points(self) -> list[Point]:
        """All points, in the order of the circle."""
        pairs = zip(self._continuum.places, self._continuum.owners, strict=True)
        return [Point(place, self.nodes[index]) for place, index in pairs]

    def place(self, key: Key) -> int:
        """Where a key is on the circle: its hash; 0 for an empty one."""
        data = encoded(key)
        return self._hash(data) if data else 0

    def point(self, key: Key) -> Point:
        """The point that a key belongs to, the first that is not before it."""
        value = self.place(key)
        return Point(self._continuum.point(value), self.nodes[self._continuum.owner(value)])

    def shares(self) -> dict[str, float]:
        """Which part of the circle each node has, 0 to 1: what its share of many keys tends to."""
        places, owners = self._continuum.places, self._continuum.owners
        lengths = dict.fromkeys(range(len(self.nodes)), 0)
        # A point has what lies between the one before it and itself; the first, around the end.
        for (before, here), owner in zip(pairwise(places), owners[1:], strict=True):
            lengths[owner] += here - before
        lengths[owners[0]] += places[0] + CIRCLE - places[-1]
        return {node: lengths[index] / CIRCLE for index, node in enumerate(self.nodes)}

    def successors(self, key: Key, count: int) -> list[str]:
        """The first nodes that come after a key, each once: its owner, and who would come next."""
        at = bisect_left(self._continuum.places, self.place(key))
        owners = self._continuum.owners
        found = dict.fromkeys(owners[at:] + owners[:at])
        return [self.nodes[index] for index in list(found)[:count]]

    def __repr__(self) -> str:
        if not self._is_placed:
            return super().__repr__()
        places = {node: [place / CIRCLE for place in where] for node, where in self._places.items()}
        return f"Ring.placed({places!r}, hash={self.hash!r})"

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        shares = self.shares()
        rows = [
            [node, str(weight), str(len(self._places[node])), f"{shares[node]:.1%}"]
            for node, weight in self.weights.items()
        ]
        return ["node", "weight", "points", "share of the circle"], rows

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "points_per_weight": self.points_per_weight}

    def _with(self, weights: Mapping[str, int]) -> Self:
        other = type(self).__new__(type(self))
        Sharding.__init__(other, weights, hash=self.hash)
        other.points_per_weight = self.points_per_weight
        other._is_placed = self._is_placed
        # Who was there keeps its points, also those that were put by hand.
        other._set({node: self._places.get(node) or other._points_of(node) for node in other.nodes})
        return other

    def _points_of(self, node: str) -> tuple[int, ...]:
        return points_of(node.encode(), self.weights[node] * self.points_per_weight)

    def _set(self, places: Mapping[str, Sequence[int]]) -> None:
        self._places = dict(places)
        self._table = self._continuum = Continuum(enumerate(self._places.values()))
