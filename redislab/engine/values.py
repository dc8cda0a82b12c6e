"""The types of value a key can hold, and the encoding Redis would give each.

| type | here | `OBJECT ENCODING` |
| --- | --- | --- |
| string | `bytes`; `bytearray` once changed in place (APPEND, SETRANGE) | int, embstr, raw |
| list | `ListValue` | quicklist |
| set | `SetValue` | intset, hashtable |
| hash | `HashValue` | listpack, hashtable |
| sorted set | `SortedSetValue` | listpack, skiplist |
| stream | fakeredis' stream, behind `fake.py` | stream |

Redis picks a compact encoding for a small value and converts it, for good, when the value outgrows
a limit of the configuration (`t_hash.c`, `t_set.c`, `t_zset.c`, `object.c` of Redis 7.0). The
values here use one representation each, and remember whether the conversion has happened.

All of them iterate in an order that depends on their history alone, never on a hash seed: the same
seed must give the same simulation in every process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from sortedcontainers import SortedList

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
EMBSTR_MAX = 44  # bytes: OBJ_ENCODING_EMBSTR_SIZE_LIMIT


@dataclass(slots=True)
class EncodingLimits:
    """The configuration directives that decide when a compact encoding is given up.

    Counts are of elements, the others bytes; names as in redis.conf.
    """

    hash_max_listpack_entries: int = 512
    hash_max_listpack_value: int = 64
    set_max_intset_entries: int = 512
    zset_max_listpack_entries: int = 128
    zset_max_listpack_value: int = 64
    list_max_listpack_size: int = -2
    hll_sparse_max_bytes: int = 3000
    stream_node_max_bytes: int = 4096
    stream_node_max_entries: int = 100


class ListValue(deque[bytes]):
    """A list; pushing and popping at either end take constant time."""

    __slots__ = ()


class HashValue(dict[bytes, bytes]):
    """A hash. `packed` until it outgrows a listpack."""

    __slots__ = ("packed",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.packed = True

    def fit(self, limits: EncodingLimits, *texts: bytes) -> None:
        """Give up the listpack if the number of fields or one of these texts is too large."""
        if self.packed and (
            len(self) > limits.hash_max_listpack_entries
            or max(map(len, texts), default=0) > limits.hash_max_listpack_value
        ):
            self.packed = False


class SetValue:
    """A set with a random choice in constant time.

    The members stand in a list, and a dictionary tells where: removing one moves the last member
    into its place. They are iterated over in that order, those of an intset by value as in Redis.
    """

    __slots__ = ("integers", "members", "places")

    def __init__(self) -> None:
        self.members: list[bytes] = []
        self.places: dict[bytes, int] = {}
        self.integers = True  # an intset, in Redis

    def __len__(self) -> int:
        return len(self.members)

    def __contains__(self, member: object) -> bool:
        return member in self.places

    def __iter__(self) -> Iterator[bytes]:
        return iter(sorted(self.members, key=int) if self.integers else self.members)

    def add(self, member: bytes, limits: EncodingLimits) -> bool:
        """Add a member; tell whether it was new."""
        places = self.places
        if member in places:
            return False
        places[member] = len(self.members)
        self.members.append(member)
        if self.integers and (
            len(self.members) > limits.set_max_intset_entries or not is_integer(member)
        ):
            self.integers = False
        return True

    def discard(self, member: bytes) -> bool:
        """Remove a member; tell whether it was there."""
        place = self.places.pop(member, None)
        if place is None:
            return False
        last = self.members.pop()
        if place < len(self.members):
            self.members[place] = last
            self.places[last] = place
        return True

    def choose(self, random: Random) -> bytes:
        """A random member of a set that is not empty."""
        return self.members[int(random.random() * len(self.members))]

    def copy(self) -> SetValue:
        """An equal set of its own."""
        twin = SetValue()
        twin.members = self.members.copy()
        twin.places = self.places.copy()
        twin.integers = self.integers
        return twin


class SortedSetValue:
    """A sorted set: a dictionary from member to score, and the pairs in order.

    Equal scores, 0 and -0 among them, are ordered by member. There is no NaN among the scores.
    Where `order` is left out, it is made when somebody asks for it: so a small one is loaded.
    """

    __slots__ = ("order", "packed", "scores")

    def __init__(self) -> None:
        self.scores: dict[bytes, float] = {}
        self.order: SortedList = SortedList()  # of (score, member)
        self.packed = True

    if not TYPE_CHECKING:  # who checks types shall find misspelled names

        def __getattr__(self, name: str) -> Any:
            if name != "order":
                raise AttributeError(name)
            self.order = SortedList(zip(self.scores.values(), self.scores, strict=True))
            return self.order

    def __len__(self) -> int:
        return len(self.scores)

    def __contains__(self, member: object) -> bool:
        return member in self.scores

    def __iter__(self) -> Iterator[bytes]:
        return (member for _, member in self.order)

    def put(self, member: bytes, score: float, limits: EncodingLimits) -> bool:
        """Set a member's score; tell whether the member was new."""
        scores, order = self.scores, self.order
        before = scores.get(member)
        if before is None and self.packed:
            self.packed = (
                len(scores) < limits.zset_max_listpack_entries
                and len(member) <= limits.zset_max_listpack_value
            )
        if not score and self.packed:
            score = 0.0  # a listpack holds -0 as the integer 0
        if before is not None:
            if before == score:
                return False
            order.remove((before, member))
        scores[member] = score
        order.add((score, member))
        return before is None

    def discard(self, member: bytes) -> bool:
        """Remove a member; tell whether it was there."""
        order = self.order
        score = self.scores.pop(member, None)
        if score is None:
            return False
        order.remove((score, member))
        return True

    def copy(self) -> SortedSetValue:
        """An equal sorted set of its own."""
        twin = SortedSetValue()
        twin.scores = self.scores.copy()
        twin.order = self.order.copy()
        twin.packed = self.packed
        return twin


type_names: dict[type, bytes] = {
    bytes: b"string",
    bytearray: b"string",
    ListValue: b"list",
    SetValue: b"set",
    HashValue: b"hash",
    SortedSetValue: b"zset",
}


def is_integer(text: bytes) -> bool:
    """Whether Redis could hold this text as a 64-bit integer: canonical digits, in range."""
    if not 0 < len(text) <= 20:
        return False
    try:
        number = int(text)
    except ValueError:
        return False
    return b"%d" % number == text and INT64_MIN <= number <= INT64_MAX


def encoding_of(value: Any) -> bytes:
    """The answer of `OBJECT ENCODING` for a value."""
    kind = type(value)
    if kind is bytes:
        if is_integer(value):
            return b"int"
        return b"embstr" if len(value) <= EMBSTR_MAX else b"raw"
    if kind is bytearray:
        return b"raw"
    if kind is ListValue:
        return b"quicklist"
    if kind is HashValue:
        return b"listpack" if value.packed else b"hashtable"
    if kind is SetValue:
        return b"intset" if value.integers else b"hashtable"
    if kind is SortedSetValue:
        return b"listpack" if value.packed else b"skiplist"
    return b"stream"
