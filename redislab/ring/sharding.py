"""What all ways of dividing keys have in common: owners, counts, and what a change moves.

A `Sharding` has named nodes with weights and does not change: `add` and `remove` give another one,
so that two can be compared. A key is hashed (`hashes.py`) and the hash has an owner; how it comes
to it is what `Ring` (`ring.py`) and those in `others.py` differ in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Self

from redislab.ring.distributions import Table
from redislab.ring.hashes import DEFAULT_HASH, hash_named
from redislab.ring.remembered import Remembered
from redislab.ring.vectors import as_list, hashes_of

Key = str | bytes
# So many nodes are named where a sharding is printed.
SHOWN_MAX = 8


@dataclass(frozen=True)
class Moved:
    """What became of keys when one sharding was put in the place of another.

    Attributes:
        keys: how many keys were looked at.
        flows: how many went from one node to another: (from, to) to a count, most first.
    """

    keys: int
    flows: dict[tuple[str, str], int]

    @property
    def moved(self) -> int:
        """How many keys have another owner."""
        return sum(self.flows.values())

    @property
    def share(self) -> float:
        """Which share of the keys that is, 0 to 1."""
        return self.moved / self.keys if self.keys else 0.0

    def __str__(self) -> str:
        return f"{self.moved} of {self.keys} keys moved, {self.share:.1%}"


class Sharding:
    """Nodes, and which of them has a key.

    Args:
        nodes: their names, or a mapping of names to weights, which are whole numbers from 1 on.
        hash: the name of the hash for keys, of `hashes.HASHES`.

    Each kind has a table of its own, `_table`, whose owners are places in `nodes`.

    Attributes:
        nodes: the names, in the order given.
        weights: name to weight.
        hash: the name of the hash.

    Raises:
        ValueError: there is no node, one comes twice, a weight is not positive, or there is no such
            hash.
    """

    _table: Table

    def __init__(
        self,
        nodes: Iterable[str] | Mapping[str, int],
        *,
        hash: str = DEFAULT_HASH,  # noqa: A002 - as nutcracker calls it
    ) -> None:
        if isinstance(nodes, str):
            raise TypeError("nodes are a list of names, or a mapping of names to weights")
        weighed: list[tuple[str, int]] = (
            list(nodes.items()) if isinstance(nodes, Mapping) else [(name, 1) for name in nodes]
        )
        self.weights: dict[str, int] = dict(weighed)
        self.nodes: tuple[str, ...] = tuple(self.weights)
        self.hash = hash
        self._hash = hash_named(hash)
        if not weighed:
            raise ValueError("there has to be a node")
        if len(self.nodes) < len(weighed):
            twice = [name for name, count in Counter(n for n, _ in weighed).items() if count > 1]
            raise ValueError(f"{twice[0]!r} is there twice")
        for name, weight in weighed:
            if weight < 1:
                raise ValueError(f"the weight of {name!r} is {weight}; it has to be positive")
        self._owners: Remembered[Key, str] = Remembered(self._search)

    def owner(self, key: Key) -> str:
        """The node that has a key; text is hashed as UTF-8."""
        return self._owners[key]

    def owners(self, keys: Iterable[Key]) -> list[str]:
        """The nodes that have these keys, in their order; quick for many of them."""
        nodes = self.nodes
        return [nodes[index] for index in as_list(self.indexes(keys))]

    def indexes(self, keys: Iterable[Key]) -> Sequence[int]:
        """Likewise as places in `nodes`: an array where numpy is installed, else a list."""
        values = hashes_of(self.hash, [encoded(key) for key in keys])
        return self._table.owners_of(values)

    def counts(self, keys: Iterable[Key]) -> dict[str, int]:
        """How many of these keys each node has; 0 is among them."""
        found = Counter(as_list(self.indexes(keys)))
        return {node: found[index] for index, node in enumerate(self.nodes)}

    def moved(self, other: Sharding, keys: Iterable[Key]) -> Moved:
        """Which keys have another owner in another sharding, with which nodes in between."""
        keys = list(keys)
        pairs = Counter(zip(self.owners(keys), other.owners(keys), strict=True))
        return Moved(len(keys), {pair: n for pair, n in pairs.most_common() if pair[0] != pair[1]})

    def add(self, node: str, weight: int = 1) -> Self:
        """The same with one more node; raises ValueError if it is there."""
        if node in self.weights:
            raise ValueError(f"{node!r} is there already")
        return self._with({**self.weights, node: weight})

    def remove(self, node: str) -> Self:
        """The same without a node.

        Raises:
            KeyError: it is not there.
            ValueError: it is the last.
        """
        if node not in self.weights:
            raise KeyError(f"there is no node {node!r}; there are {', '.join(self.nodes)}")
        return self._with({name: w for name, w in self.weights.items() if name != node})

    def __repr__(self) -> str:
        shown: dict[str, int] = dict(list(self.weights.items())[:SHOWN_MAX])
        names: Any = shown if set(self.weights.values()) != {1} else list(shown)
        words = repr(names)
        if len(shown) < len(self.nodes):
            words = f"{words[:-1]}, ...{words[-1]}"
        more = "".join(f", {name}={value!r}" for name, value in self._settings().items())
        count = f" with {len(self.nodes)} nodes" if len(shown) < len(self.nodes) else ""
        text = f"{type(self).__name__}({words}{more})"
        return f"<{text}{count}>" if count else text

    def _repr_html_(self) -> str:
        """The nodes as a table, for a notebook."""
        heads, rows = self._shown()
        head = "".join(f"<th scope='col'>{escape(word)}</th>" for word in heads)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(word)}</td>" for word in row) + "</tr>" for row in rows
        )
        caption = ", ".join(f"{name} {value}" for name, value in self._settings().items())
        return (
            f"<table><caption>{type(self).__name__}, {escape(caption)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        """What a notebook shows of it: the heads of columns, and rows."""
        rows = [[node, str(weight)] for node, weight in self.weights.items()]
        return ["node", "weight"], rows

    def _settings(self) -> dict[str, Any]:
        """What it is made with beside its nodes, by the names of the arguments."""
        return {"hash": self.hash}

    def _with(self, weights: Mapping[str, int]) -> Self:
        """The same with other nodes."""
        return type(self)(weights, **self._settings())

    def _search(self, key: Key) -> str:
        data = key if isinstance(key, bytes) else key.encode()
        return self.nodes[self._table.owner(self._hash(data) if data else 0)]


def encoded(key: Key) -> bytes:
    """The bytes of a key."""
    return key.encode() if isinstance(key, str) else key
