"""Rings: owners and building against uhashring, many keys at once, placements against nutcracker.

uhashring (extra `bench`) is a ring of its own in pure Python. It has two kinds of ring, one of them
compatible with ketama; ours is held against whichever of the two is faster. Owners are asked for as
a cache is: some keys come often and most seldom, by Zipf's law, and each round begins with a new
ring, which has seen none of them. Ours remembers keys, so two more rows tell what it makes of keys
that it knows, and of keys that never come again, for which it has to search like the other and is
to be about as fast.

What is measured here waits for nothing, so it is measured in the processor's time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, count
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.rows import Plan, Row, in_turn
from benchmarks.servers import MissingError, program
from redislab.ring import Placement, Ring, Server
from redislab.ring.vectors import has_numpy

if TYPE_CHECKING:
    from uhashring import HashRing

NODES = [f"10.0.0.{number}:6379" for number in range(100)]
ZIPF_NAMES = 100_000
ZIPF_KEYS = 200_000
FRESH_KEYS = 20_000
BULK_KEYS = 1_000_000


def ring_rows(plan: Plan) -> Iterator[Row]:
    """A ring of 100 servers: owners, building, keys in bulk; placements of real nutcracker."""
    yield from uhashring_rows(plan)
    yield bulk_row(plan)
    yield placement_row()


def uhashring_rows(plan: Plan) -> Iterator[Row]:
    """Ours against the faster of uhashring's two rings."""
    try:
        from uhashring import HashRing
    except ImportError as error:
        raise MissingError("uhashring is not installed (extra bench)") from error

    theirs = HashRing(NODES), HashRing(NODES, hash_fn="ketama")
    ours = Ring(NODES)
    zipf, known, fresh = _zipf_keys(), [f"key:{n}" for n in range(1000)] * 100, _fresh_keys()
    yield _ratio(
        "owner(key), keys by Zipf's law",
        plan,
        lambda: _rate(Ring(NODES).owner, zipf),
        lambda: _best_rate(theirs, zipf),
    )
    yield _ratio(
        "owner(key), known keys",
        plan,
        lambda: _rate(ours.owner, known),
        lambda: _best_rate(theirs, known),
    )
    yield _ratio(
        "owner(key), each key once",
        plan,
        lambda: _rate(ours.owner, next(fresh)),
        lambda: _best_rate(theirs, next(fresh)),
        floor=0.9,
    )
    yield _ratio(
        "building a ring of 100 servers",
        plan,
        lambda: 1 / _seconds(lambda: Ring(NODES)),
        lambda: max(
            1 / _seconds(lambda: HashRing(NODES)),
            1 / _seconds(lambda: HashRing(NODES, hash_fn="ketama")),
        ),
    )


def bulk_row(plan: Plan) -> Row:
    """Keys a second that are placed in one call, from a list of them to the numbers of servers."""
    if not has_numpy():
        raise MissingError("numpy is not installed (extra fast)")
    placement = Placement([Server("10.0.0.1", 7000 + number) for number in range(100)])
    keys = [b"key:%d" % number for number in range(BULK_KEYS)]
    placement.indexes_of(keys[:1])
    taken = [_seconds(lambda: placement.indexes_of(keys)) for _ in range(plan.rounds)]
    rate = BULK_KEYS / median(taken)
    return Row("ring, keys placed in bulk, fnv1a_64", rate, 5e6, "at least", "/s")


def placement_row() -> Row:
    """The share of placements that are nutcracker's: all hashes, ketama and modula, all sets."""
    program("nutcracker")
    from tests.ring.placements import SETS, differences

    asked = different = 0
    for name in SETS:
        with tempfile.TemporaryDirectory(prefix="redislab-bench-") as folder:
            of_set, found = differences(name, Path(folder))
        asked += of_set
        different += len(found)
    share = 100 * (1 - different / asked)
    detail = f"{asked - different} of {asked}"
    return Row("ring, placements equal to nutcracker's", share, 100.0, "at least", "%", detail)


def _ratio(
    what: str,
    plan: Plan,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    floor: float = 3.0,
) -> Row:
    mine, other = in_turn(plan, ours, theirs)
    detail = f"{mine:.0f} / {other:.0f}"
    return Row(f"ring, {what}", mine / other, floor, "at least", detail=detail)


def _zipf_keys() -> list[str]:
    """Keys that come with a frequency that falls with the number of the key."""
    weights = list(accumulate(1 / number for number in range(1, ZIPF_NAMES + 1)))
    numbers = Random(1).choices(range(ZIPF_NAMES), cum_weights=weights, k=ZIPF_KEYS)
    return [f"key:{number}" for number in numbers]


def _fresh_keys() -> Iterator[list[str]]:
    """Lists of keys, none of which is in another."""
    for begin in count(0, FRESH_KEYS):
        yield [f"key:{number}" for number in range(begin, begin + FRESH_KEYS)]


def _best_rate(rings: Sequence[HashRing], keys: Sequence[str]) -> float:
    return max(_rate(ring.get_node, keys) for ring in rings)


def _rate(owner: Callable[[str], object], keys: Sequence[str]) -> float:
    """Owners a second."""

    def ask() -> None:
        for key in keys:
            owner(key)

    return len(keys) / _seconds(ask)


def _seconds(action: Callable[[], object]) -> float:
    """What an action takes of the processor's time."""
    begin = time.process_time()
    action()
    return time.process_time() - begin
