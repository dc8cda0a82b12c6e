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
from itertools import accumulate

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
OWNER_MASK = 2**OWNER_BITS - 1

_FLOAT = struct.Struct("f")


class Continuum:
    """The points of some owners on the circle.

    Args:
        points: for each owner, which is a number, the places of its points.

    Attributes:
        places: all points in order, each below 2**32.
        owners: whose point each is, and after the last the owner of the first, where a hash
            beyond all points belongs.
    """

    __slots__ = ("_circle", "owners", "places")

    def __init__(self, points: Iterable[tuple[int, Iterable[int]]]) -> None:
        # Place and owner in one number sort fast, and of equal places the first owner wins, as
        # with the original's sort.
        both = [place << OWNER_BITS | owner for owner, places in points for place in places]
        both.sort()
        self.places: list[int] = [one >> OWNER_BITS for one in both]
        self.owners: list[int] = [one & OWNER_MASK for one in both]
        self.owners += self.owners[:1]
        self._circle: vectors.Circle | None = None

    def owner(self, value: int) -> int:
        """Whose a hash is; raises IndexError if there is no point at all."""
        return self.owners[bisect_left(self.places, value)]

    def owners_of(self, values: Sequence[int]) -> Sequence[int]:
        """Whose many hashes are, as `vectors.hashes_of` gives them; IndexError likewise."""
        if not vectors.has_numpy():
            return [self.owner(value) for value in values]
        if self._circle is None:
            self._circle = vectors.Circle(self.places, self.owners)
        return self._circle.owners_of(values)

    def point(self, value: int) -> int:
        """The place of the point that a hash belongs to; raises IndexError if there is none."""
        at = bisect_left(self.places, value)
        return self.places[at if at < len(self.places) else 0]


class Slots:
    """As many slots as the owners' weights are together, in the order of the owners.

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
    digests = b"".join(
        [
            md5((b"%b-%d" % (label, number))[:HASHED_LABEL_MAX], usedforsecurity=False).digest()
            for number in range(-(-count // POINTS_PER_HASH))
        ]
    )
    return struct.unpack_from(f"<{count}I", digests)


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
