"""Runs one sequence of calls on two masters, and compares what each of them sends to its replicas.

The sequences are those of `tests/differential/fuzz_generator.py`. After every call both streams are
read up to a message that was published behind it, so that a difference names the call it is of.

```console
$ python -m tests.replication.streams --seed 1 --seconds 600
```
"""

from __future__ import annotations

import argparse
import itertools
import re
from random import Random

from tests.differential import fuzz
from tests.differential.fuzz_generator import FAMILIES, Atom, Plan, plan
from tests.differential.fuzz_runner import (
    Runner,
    Side,
    _name,
    _Run,
    draws_clock_id,
    shown,
)
from tests.differential.fuzz_words import Drawing
from tests.replication.raw import Command, RawReplica
from tests.servers import Address, our_server, real_server

# A moment in milliseconds, by itself or as the first part of a stream's ID: it differs by what
# passes between two calls.
_MOMENT = re.compile(rb"(\d{13})(-\d+)?")
_TOLERANCE_MS = 3000
_MARKER = b"redislab:marker"
OPTIONS = (*fuzz.OPTIONS, "--repl-diskless-sync-delay", "0")
# What writes is drawn from these families of calls.
WRITERS = (
    *("strings", "lists", "blocking", "sets", "hashes", "sorted_sets", "geo", "streams", "groups"),
    *("bitmaps", "hyperloglog", "keys", "expiry", "sort", "transactions", "scripts"),
)


class StreamRunner(Runner):
    """Runs sequences on a real master and on ours, each with a replica that a test reads."""

    def __init__(self, real: Address, ours: Address) -> None:
        super().__init__(real, ours)
        self.replicas = [RawReplica(address) for address in self.addresses]
        self.markers = 0

    def close(self) -> None:
        """Close what is open."""
        super().close()
        for replica in self.replicas:
            replica.close()

    def begin(self, sides: list[Side]) -> _StreamRun:
        """A sequence of which the streams are compared."""
        return _StreamRun(sides, self)

    def streams(self, sides: list[Side]) -> list[list[Command]]:
        """What either master has sent since this was asked last."""
        self.markers += 1
        name = b"%d" % self.markers
        for side in sides:
            side.ask(b"PUBLISH", _MARKER, name)
        return [each.until([b"PUBLISH", _MARKER, name]) for each in self.replicas]


class _StreamRun(_Run):
    """One sequence under way."""

    def run(self, plan: Plan) -> None:
        """Run it all.

        Raises:
            DiffersError: at the first difference.
        """
        runner = self.runner
        assert isinstance(runner, StreamRunner)
        runner.streams(self.sides)  # what it took to prepare
        for number, atom in enumerate(plan.atoms):
            for step in atom:
                if step.client in self.waiting:
                    continue
                self.has_float |= _name(step) == "INCRBYFLOAT"
                self.where = f"call {number}, {shown(step)}"
                runner.calls += 1
                self.call(step)
                if self.waiting:
                    self.look_for_served()
            self.compare_streams(atom, runner.streams(self.sides))
        self.where = "at the end"
        self.compare_data()

    def compare_streams(self, atom: Atom, streams: list[list[Command]]) -> None:
        """What both masters have sent after some calls."""
        by_chance = any(step.mark == "?" and not draws_clock_id(step) for step in atom)
        # An ID that was made of the clock must be the one that the client was told.
        streams = [
            [[ids.get(word, word) for word in command] for command in stream]
            for ids, stream in zip(self.clock_ids, streams, strict=True)
        ]
        if not same_streams(*streams, by_chance=by_chance):
            self.differ(f"stream {_name(atom[0])}", *map(_lines, streams))


def same_streams(one: list[Command], other: list[Command], *, by_chance: bool = False) -> bool:
    """Whether two streams are the same, but for moments; by chance, only the commands' names."""
    return len(one) == len(other) and all(
        _same(*pair, by_chance=by_chance) for pair in zip(one, other, strict=True)
    )


def _same(one: Command, other: Command, *, by_chance: bool) -> bool:
    """Whether two commands are the same, but for moments and what chance has decided."""
    if len(one) != len(other):
        return False
    if by_chance:
        return one[0] == other[0]
    return all(map(_same_word, one, other))


def _same_word(one: bytes, other: bytes) -> bool:
    if one == other:
        return True
    moments = _MOMENT.fullmatch(one), _MOMENT.fullmatch(other)
    if moments[0] is None or moments[1] is None or moments[0][2] != moments[1][2]:
        return False
    return abs(int(moments[0][1]) - int(moments[1][1])) < _TOLERANCE_MS


def _lines(commands: list[Command]) -> str:
    return "; ".join(b" ".join(command).decode("latin-1") for command in commands)


def writing_plan(seed: int) -> Plan:
    """A long sequence of a seed, mostly of calls that write."""
    whole = plan(seed, WRITERS)
    random = Random(f"more {seed}")
    drawing = Drawing(random)
    more = [
        random.choice(FAMILIES[random.choice(WRITERS)]).draw(drawing, random.randrange(3))
        for _ in range(100)
    ]
    return Plan(seed, whole.settings, whole.protocols, (*whole.atoms, *more))


def main() -> None:
    """Search as the command line says."""
    parser = argparse.ArgumentParser(description="Search for differences between streams.")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seconds", type=float, default=60, help="how long")
    options = parser.parse_args()
    with real_server(*OPTIONS) as real, our_server(*OPTIONS) as ours:
        runner = StreamRunner(real, ours)
        plans = map(writing_plan, itertools.count(options.seed))
        fuzz.search_all(runner, plans, options.seconds)
        runner.close()


if __name__ == "__main__":
    main()
