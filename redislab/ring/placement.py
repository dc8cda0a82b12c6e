"""Which server of a pool has a key: exactly the one that nutcracker sends it to.

A key, or the part of it between the two characters of `hash_tag`, is hashed (`hashes.py`) and
looked up (`distributions.py`) among the servers that are live. When one is ejected or comes back
the table is built anew for those that are left. Where keys that come often belong is remembered
(`remembered.py`), and to ask that is all that the way of a request has to do. Follows
`server_pool_idx` and `server_pool_hash` in `src/nc_server.c` of twemproxy 0.5.0.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random

from redislab.ring.distributions import (
    DEFAULT_DISTRIBUTION,
    DISTRIBUTIONS,
    Continuum,
    Slots,
    ketama_counts,
    points_of,
)
from redislab.ring.hashes import DEFAULT_HASH, Hash, hash_named
from redislab.ring.remembered import Remembered
from redislab.ring.servers import Server, in_order
from redislab.ring.vectors import hashes_of

HASH_TAG_LENGTH = 2


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a server has a key.

    Attributes:
        key: the key.
        hashed: the part of it that is hashed; all of it unless there is a hash tag in it.
        value: its hash, below 2**32; None if nothing is hashed: a pool has one server, or the
            distribution is random.
        point: with ketama the place of the point on the circle, with modula the slot; None if
            nothing is hashed.
        index: the server's number among `Placement.servers`.
        server: the server.
    """

    key: bytes
    hashed: bytes
    value: int | None
    point: int | None
    index: int
    server: Server


class Placement:
    """The servers of a pool, and which of them has a key.

    Args:
        servers: the pool's servers in any order.
        hash: the name of a hash, of `hashes.HASHES`.
        distribution: "ketama", "modula" or "random".
        hash_tag: two characters, or none: where a key has the first of them and somewhere after
            it the second, with something in between, only that is hashed.
        random: where "random" takes its chance from.

    Attributes:
        servers: the servers in nutcracker's order.
        live: the numbers of those that keys are placed on now, in order.
        index_of: from a key (bytes) to the number of its server; raises LookupError when none is
            live. It stays the same function for as long as the placement lives.

    Raises:
        ValueError: a name is unknown, a hash tag has another length, there is no server, or
            "random" has no `random`.
    """

    __slots__ = (
        "_close",
        "_hash",
        "_open",
        "_random",
        "_remembered",
        "_table",
        "distribution",
        "hash_name",
        "hash_tag",
        "index_of",
        "live",
        "servers",
    )
    index_of: Callable[[bytes], int]

    def __init__(
        self,
        servers: Sequence[Server],
        *,
        hash: str = DEFAULT_HASH,  # noqa: A002 - as the file calls it
        distribution: str = DEFAULT_DISTRIBUTION,
        hash_tag: str = "",
        random: Random | None = None,
    ) -> None:
        if not servers:
            raise ValueError("a pool needs a server")
        if distribution not in DISTRIBUTIONS:
            known = ", ".join(DISTRIBUTIONS)
            raise ValueError(f"{distribution!r} is not a valid distribution; there are {known}")
        tag = hash_tag.encode()
        if tag and len(tag) != HASH_TAG_LENGTH:
            raise ValueError("a hash tag is two characters")
        if distribution == "random" and random is None:
            raise ValueError("the distribution random needs a source of chance")
        self.servers = in_order(servers)
        self.live: tuple[int, ...] = ()
        self.hash_name = hash
        self.distribution = distribution
        self.hash_tag = hash_tag
        self._hash: Hash = hash_named(hash)
        self._open, self._close = tag[:1], tag[1:]
        self._random = random
        self._table: Continuum | Slots | None = None
        self._remembered = Remembered(self._find)
        if distribution == "random" and len(self.servers) > 1:
            self.index_of = self._draw
        else:
            self.index_of = self._remembered.__getitem__
        self.rebuild(range(len(self.servers)))

    def owner(self, key: bytes) -> Server:
        """The server of a key; raises LookupError when none is live."""
        return self.servers[self.index_of(key)]

    def indexes_of(self, keys: Sequence[bytes]) -> Sequence[int]:
        """The numbers of the servers of many keys: an array with numpy, else a list.

        Raises:
            LookupError: none is live.
        """
        if self._table is None:
            return [self.index_of(key) for key in keys]
        parts = [self.hashed_part(key) for key in keys] if self._open else keys
        return self._table.owners_of(hashes_of(self.hash_name, parts))

    def rebuild(self, live: Collection[int]) -> None:
        """Place keys on these servers only, by number; on none is possible, too."""
        self.live = tuple(sorted(set(live)))
        self._remembered.clear()
        weights = [self.servers[index].weight for index in self.live]
        if not self.live or len(self.servers) == 1 or self.distribution == "random":
            self._table = None
        elif self.distribution == "modula":
            self._table = Slots(zip(self.live, weights, strict=True))
        else:
            self._table = Continuum(
                (index, points_of(self.servers[index].label, count))
                for index, count in zip(self.live, ketama_counts(weights), strict=True)
            )

    def hashed_part(self, key: bytes) -> bytes:
        """What is hashed of a key: what its hash tag holds, or all of it."""
        if self._open:
            begin = key.find(self._open)
            if begin >= 0:
                end = key.find(self._close, begin + 1)
                if end > begin + 1:
                    return key[begin + 1 : end]
        return key

    def explain(self, key: bytes) -> Explanation:
        """Say why a server has a key; raises LookupError when none is live."""
        index = self.index_of(key)
        part = self.hashed_part(key)
        value = point = None
        if self._table is not None:
            value = self._hash(part) if part else 0
            point = self._table.point(value)
        return Explanation(key, part, value, point, index, self.servers[index])

    def _find(self, key: bytes) -> int:
        if self._table is None:
            if not self.live:
                raise LookupError("no server of the pool is live")
            return 0
        if self._open:
            key = self.hashed_part(key)
        # The original does not hash nothing, whichever the hash.
        return self._table.owner(self._hash(key) if key else 0)

    def _draw(self, key: bytes) -> int:
        if not self.live:
            raise LookupError("no server of the pool is live")
        assert self._random is not None
        return self._random.choice(self.live)
