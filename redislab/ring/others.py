"""Other ways of dividing keys among nodes, to hold a ring against: modulo, rendezvous, jump.

They take the same hashes and have the same methods (`sharding.py`), so that the measures of
`measures.py` can be taken of each. Where keys go when a node comes or leaves is what tells them
apart; what it costs to find an owner, and whether any node may leave, is the price.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from redislab.ring import vectors
from redislab.ring.distributions import CIRCLE, Slots
from redislab.ring.hashes import DEFAULT_HASH, MASK, Word, murmur
from redislab.ring.sharding import Sharding

LCG_FACTOR = 2862933555777941757
MASK_64 = 2**64 - 1


class Modulo(Sharding):
    """The rest of the hash divided by the number of nodes, as nutcracker's modula has it.

    A weight counts as so many nodes. When the number changes by one, all but about 1/n of the keys
    get another owner.
    """

    def __init__(
        self,
        nodes: Iterable[str] | Mapping[str, int],
        *,
        hash: str = DEFAULT_HASH,  # noqa: A002 - as nutcracker calls it
    ) -> None:
        super().__init__(nodes, hash=hash)
        self._table = Slots(enumerate(self.weights.values()))


class Rendezvous(Sharding):
    """The node that scores highest for the key, of all nodes: highest random weight.

    A score depends on the key and on that node alone, so that a node which leaves loses its own
    keys and no others, to all others evenly. There is no table, and each lookup asks every node.
    With weights a score is -weight / ln(u), u being the mixed hash as a number between 0 and 1.
    Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998; for
    weights, Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005.
    """

    def __init__(
        self,
        nodes: Iterable[str] | Mapping[str, int],
        *,
        hash: str = DEFAULT_HASH,  # noqa: A002 - as nutcracker calls it
    ) -> None:
        super().__init__(nodes, hash=hash)
        self._table = Scores(self.weights)


class Jump(Sharding):
    """Jump consistent hashing: no table, even to the last key, and moves as few as possible.

    Its nodes are numbers from 0 on: names are only for reading. So one can be added or removed at
    the end, and there it is perfect; one that leaves from the middle renumbers all that follow it.
    It has no weights. Source: Lamping and Veach, "A fast, minimal memory, consistent hash
    algorithm", 2014. The arithmetic is that of the package `jump-consistent-hash` where it is
    installed.

    Raises:
        ValueError: as with any sharding, or a weight is not 1.
    """

    def __init__(
        self,
        nodes: Iterable[str] | Mapping[str, int],
        *,
        hash: str = DEFAULT_HASH,  # noqa: A002 - as nutcracker calls it
    ) -> None:
        super().__init__(nodes, hash=hash)
        if set(self.weights.values()) != {1}:
            raise ValueError("jump hashing has no weights")
        self._table = Buckets(len(self.nodes))


class Scores:
    """Owners by rendezvous, a `Table`.

    Args:
        weights: name to weight, whose order numbers the owners.
    """

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._seeds = [(murmur(name.encode()), weight) for name, weight in weights.items()]
        self._is_even = len(set(weights.values())) == 1

    def owner(self, value: int) -> int:
        """Whose a hash is."""
        scores: list[float] = [_mixed(value ^ seed) for seed, _ in self._seeds]
        if not self._is_even:
            scores = [
                -weight / math.log((score + 0.5) / CIRCLE)
                for score, (_, weight) in zip(scores, self._seeds, strict=True)
            ]
        return scores.index(max(scores))

    def owners_of(self, values: Sequence[int]) -> Sequence[int]:
        """Whose many hashes are, an array or a list."""
        if not vectors.has_numpy():
            return [self.owner(value) for value in values]
        import numpy as np

        hashes = np.asarray(values, np.uint32)
        best = np.zeros(len(hashes), np.int32)
        highest = np.full(len(hashes), -1.0)
        for index, (seed, weight) in enumerate(self._seeds):
            scores = _mixed(hashes ^ seed)
            if not self._is_even:
                scores = -weight / np.log((scores + 0.5) / CIRCLE)
            best[scores > highest] = index
            highest = np.maximum(highest, scores)
        return cast("Sequence[int]", best)


class Buckets:
    """Owners by jump hashing, a `Table`.

    Args:
        count: how many owners there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._jump = _compiled_jump() or jump

    def owner(self, value: int) -> int:
        """Whose a hash is."""
        return self._jump(value, self._count)

    def owners_of(self, values: Sequence[int]) -> Sequence[int]:
        """Whose many hashes are, a list."""
        find, count = self._jump, self._count
        return [find(value, count) for value in vectors.as_list(values)]


def jump(value: int, count: int) -> int:
    """The bucket of a 64-bit number among `count` buckets, which is positive.

    A generator with the number as its seed draws how far to jump to the next bucket at which an
    owner would change as buckets are added one by one; the last jump that stays within counts.
    """
    bucket, following = -1, 0.0
    while following < count:
        bucket = int(following)
        value = value * LCG_FACTOR + 1 & MASK_64
        following = (bucket + 1) * (2**31 / ((value >> 33) + 1))
    return bucket


def _compiled_jump() -> Callable[[int, int], int] | None:
    try:
        from jump import hash as compiled
    except ImportError:  # optional: the function above gives the same
        return None
    return compiled


def _mixed(value: Word) -> Word:
    """A word stirred so that each bit of it depends on all bits: the end of MurmurHash3."""
    value = (value ^ value >> 16) * 0x85EBCA6B & MASK
    value = (value ^ value >> 13) * 0xC2B2AE35 & MASK
    return value ^ value >> 16
