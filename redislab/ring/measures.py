"""The four measures by which one way of dividing keys is better than another.

They are those of Karger, Lehman, Leighton, Panigrahy, Levine and Lewin, "Consistent hashing and
random trees: distributed caching protocols for relieving hot spots on the World Wide Web", STOC
1997, section 4. There a *view* is the set of nodes that one client knows of, and a *ranged hash
function* says which node of a view has a key. The paper proves bounds over all functions of a
family; here each measure is counted, for one sharding and the keys that are given.

- **Balance**: within one view, nodes get about the same number of keys.
- **Monotonicity**: when nodes are added to a view, a key stays or goes to one that is new, and
  never from one old node to another.
- **Spread**: over many clients with different views, one key has few different owners.
- **Load**: over many clients with different views, one node has few different keys.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from redislab.ring.sharding import Key, Sharding


@dataclass(frozen=True)
class Balance:
    """How evenly the keys of one view are divided.

    Attributes:
        counts: node to its number of keys.
        fair: node to the number that is due to it by weight.
        peak: the largest ratio of the one to the other: 1 is perfect, and a node with 1.3 has to
            be 30 % larger than planned.
        low: the smallest such ratio.
        deviation: the standard deviation of the ratios about 1.
    """

    counts: dict[str, int]
    fair: dict[str, float]
    peak: float
    low: float
    deviation: float


@dataclass(frozen=True)
class Monotonicity:
    """What became of keys when nodes were added to a view.

    Attributes:
        keys: how many there are.
        to_new: how many went to a node that is new.
        between_old: how many went from an old node to another old one, for nothing.
    """

    keys: int
    to_new: int
    between_old: int

    @property
    def is_monotone(self) -> bool:
        """Whether none did the latter."""
        return self.between_old == 0


@dataclass(frozen=True)
class Spread:
    """How many owners a key has, over several views.

    Attributes:
        largest: of the key that has most; this is the paper's spread.
        mean: over all keys.
        counts: number of owners to number of keys that have as many.
    """

    largest: int
    mean: float
    counts: dict[int, int]


@dataclass(frozen=True)
class Load:
    """How many different keys come to a node, over several views.

    Attributes:
        largest: of the node that has most; this is the paper's load.
        counts: node to its number of keys.
        ratio: the largest to what each of all nodes would have if every view had all of them and
            were in balance: 1 is perfect.
    """

    largest: int
    counts: dict[str, int]
    ratio: float


def balance(sharding: Sharding, keys: Iterable[Key]) -> Balance:
    """Count how evenly keys are divided.

    Raises:
        ValueError: there are no keys.
    """
    counts = sharding.counts(keys)
    total = sum(counts.values())
    if not total:
        raise ValueError("balance needs keys")
    weights = sum(sharding.weights.values())
    fair = {node: total * weight / weights for node, weight in sharding.weights.items()}
    ratios = [counts[node] / fair[node] for node in sharding.nodes]
    deviation = math.sqrt(sum((ratio - 1) ** 2 for ratio in ratios) / len(ratios))
    return Balance(counts, fair, max(ratios), min(ratios), deviation)


def monotonicity(smaller: Sharding, larger: Sharding, keys: Iterable[Key]) -> Monotonicity:
    """Count what became of keys when nodes were added; to remove nodes is the same, read backward.

    Raises:
        ValueError: not all nodes of the smaller view are in the larger one.
    """
    old = set(smaller.nodes)
    if missing := sorted(old - set(larger.nodes)):
        raise ValueError(f"the larger view lacks {', '.join(missing)}")
    change = smaller.moved(larger, keys)
    between = sum(count for (_, to), count in change.flows.items() if to in old)
    return Monotonicity(change.keys, change.moved - between, between)


def spread(views: Sequence[Sharding], keys: Iterable[Key]) -> Spread:
    """Count the owners of each key over the views of several clients.

    Raises:
        ValueError: there is no view, or no key.
    """
    keys = _distinct(views, keys)
    owners = zip(*(view.owners(keys) for view in views), strict=True)
    sizes = [len(set(of_key)) for of_key in owners]
    counts = {size: sizes.count(size) for size in sorted(set(sizes))}
    return Spread(max(sizes), sum(sizes) / len(sizes), counts)


def load(views: Sequence[Sharding], keys: Iterable[Key]) -> Load:
    """Count the different keys of each node over the views of several clients.

    Raises:
        ValueError: there is no view, or no key.
    """
    keys = _distinct(views, keys)
    of_node: dict[str, set[Key]] = {node: set() for view in views for node in view.nodes}
    for view in views:
        for key, node in zip(keys, view.owners(keys), strict=True):
            of_node[node].add(key)
    counts = {node: len(found) for node, found in of_node.items()}
    largest = max(counts.values())
    return Load(largest, counts, largest * len(counts) / len(keys))


def _distinct(views: Sequence[Sharding], keys: Iterable[Key]) -> list[Key]:
    found = list(dict.fromkeys(keys))
    if not views or not found:
        raise ValueError("there has to be a view, and a key")
    return found
