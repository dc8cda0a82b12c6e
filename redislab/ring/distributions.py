"""From a hash to a server: the continuum of ketama, the slots of modula.

A continuum is a circle of 2**32 places with a server's points on it; a hash belongs to the first
point that is not before it, and past the last point to the first. Its table is built once and
searched by halving. Who has how many points follows the weights; ketama computes that in C's
float, whose rounding is part of the format: a weight of 10 among others may have 4 points fewer
than exact arithmetic gives it. Follows `src/hashkit/nc_ketama.c` and `nc_modula.c` of twemproxy
0.5.0.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from hashlib import md5
from itertools import accumulate, pairwise
from typing import Protocol

from redislab.ring import vectors

DISTRIBUTIONS = ("ketama", "modula", "random")
DEFAULT_DISTRIBUTION = "ketama"
CIRCLE = 2**32
# An MD5 is cut into so many points.
POINTS_PER_HASH = 4
POINTS_PER_SERVER = 160
# "label-number" is cut to so many bytes before it is hashed.
HASHED_LABEL_MAX = 272

# Owners have their number in so many bits below the place of a point while points are sorted.
OWNER_BITS = 28
OWNER_MASK = (1 << OWNER_BITS) - 1
# The circle is cut into so many arcs, 256: the first 8 of 32 bits are the number of the arc.
ARC_SHIFT = 24

_FLOAT = struct.Struct("f")


class Table(Protocol):
    """What tells whose a hash is: owners are numbers."""

    def owner(self, value: int) -> int:
        """Whose a hash is."""
        ...

    def owners_of(self, values: Sequence[int]) -> Sequence[int]:
        """Whose many hashes are, as `vectors.hashes_of` gives them: an array or a list."""
        ...


class Continuum:
    """The points of some owners on the circle, a `Table`.

    Args:
        points: for each owner, which is a number below 2**28, the places of its points.
    """

    __slots__ = ("_arcs", "_circle", "_points")

    def __init__(self, points: Iterable[tuple[int, Iterable[int]]]) -> None:
        # Place and owner in one number sort fast, and of equal places the first owner wins, as
        # with the original's sort.
        self._points = [place << OWNER_BITS | owner for owner, places in points for place in places]
        self._points.sort()
        # Once more the first, at the end of the circle, where a hash beyond all points belongs.
        self._points += [CIRCLE << OWNER_BITS | first & OWNER_MASK for first in self._points[:1]]
        # The points of each arc, and the one after them: a search there is a third shorter, and
        # stays in one place of memory.
        begins = range(0, (CIRCLE << OWNER_BITS) + 1, 1 << ARC_SHIFT + OWNER_BITS)
        bounds = [bisect_left(self._points, begin) for begin in begins]
        self._arcs = [self._points[begin : end + 1] for begin, end in pairwise(bounds)]
        self._circle: vectors.Circle | None = None

    @property
    def places(self) -> list[int]:
        """Where all points are, in order, each below 2**32."""
        return [point >> OWNER_BITS for point in self._points[:-1]]

    @property
    def owners(self) -> list[int]:
        """Whose these points are."""
        return [point & OWNER_MASK for point in self._points[:-1]]

    def owner(self, value: int) -> int:
        """Whose a hash is; raises IndexError if there is no point at all."""
        arc = self._arcs[value >> ARC_SHIFT]
        return arc[bisect_left(arc, value << OWNER_BITS)] & OWNER_MASK

    def owners_of(self, values: Sequence[int]) -> Sequence[int]:
        """Whose many hashes are, an array or a list; raises IndexError likewise."""
        if not vectors.has_numpy():
            return [self.owner(value) for value in values]
        if self._circle is None:
            self._circle = vectors.Circle(self.places, self.owners)
        return self._circle.owners_of(values)

    def point(self, value: int) -> int:
        """The place of the point that a hash belongs to; raises IndexError if there is none."""
        at = bisect_left(self._points, value << OWNER_BITS)
        return self._points[at % (len(self._points) - 1)] >> OWNER_BITS


class Slots:
    """As many slots as the owners' weights are together, in the order of the owners: a `Table`.

    Args:
        weights: of each owner its number and its weight.

    Attributes:
        total: how many slots there are.
    """

    __slots__ = ("_ends", "_numbers", "total")

    def __init__(self, weights: Iterable[tuple[int, int]]) -> None:
        pairs = list(weights)
        self._numbers = [number for number, _ in pairs]
        self._ends = list(accumulate(weight for _, weight in pairs))
        self.total = self._ends[-1] if pairs else 0

    def owner(self, value: int) -> int:
        """Whose a hash is; raises ZeroDivisionError if there is no slot at all."""
        return self._numbers[bisect_right(self._ends, value % self.total)]

    def owners_of(self, values: Sequence[int]) -> Sequence[int]:
        """Whose many hashes are, as `vectors.hashes_of` gives them; ZeroDivisionError likewise."""
        if self.total and vectors.has_numpy():
            return vectors.slot_owners(self._ends, self._numbers, values)
        return [self.owner(value) for value in values]

    def point(self, value: int) -> int:
        """The slot that a hash belongs to."""
        return value % self.total


def points_of(label: bytes, count: int) -> tuple[int, ...]:
    """The first points of a label: places on the circle, in the order in which they are made."""
    numbers = range(-(-count // POINTS_PER_HASH))
    if len(label) > HASHED_LABEL_MAX - 20:
        texts = [(b"%b-%d" % (label, number))[:HASHED_LABEL_MAX] for number in numbers]
        digests = [md5(text, usedforsecurity=False).digest() for text in texts]
    else:
        # All texts begin alike, so that is hashed once.
        begun = md5(label + b"-", usedforsecurity=False)
        digests = []
        for number in numbers:
            one = begun.copy()
            one.update(b"%d" % number)
            digests.append(one.digest())
    return struct.unpack_from(f"<{count}I", b"".join(digests))


def ketama_counts(weights: Sequence[int]) -> list[int]:
    """How many points each server has, by weights of all that are live, in C's float."""
    total = _rounded(sum(weights))
    count = _rounded(len(weights))
    hashes = []
    for weight in weights:
        share = _rounded(_rounded(weight) / total)
        of_one = _rounded(_rounded(share * POINTS_PER_SERVER) / POINTS_PER_HASH)
        # The product is a float, the little that is added to it a double, and their sum a float.
        hashes.append(int(_rounded(_rounded(of_one * count) + 1e-10)))
    return [number * POINTS_PER_HASH for number in hashes]


def _rounded(value: float) -> float:
    """A number as the nearest float of 32 bits; one operation in doubles, rounded, is exact."""
    (nearest,) = _FLOAT.unpack(_FLOAT.pack(value))
    return float(nearest)
