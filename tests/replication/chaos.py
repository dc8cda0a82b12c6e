"""Trees of nodes under writes of every kind, while links are cut and nodes killed at random.

A run is decided by its seed: the tree, the writes, the faults. Once the faults stop, one node is
the master and all others follow it, straight or over others; then all must have the same data
within `SETTLE_S`. In `sim` the same seed gives the same history, and a run takes a fraction of a
second.

```console
$ python -m tests.replication.chaos --world sim --seed 1 --count 1000
$ python -m tests.replication.chaos --world live --seconds 600
$ python -m tests.replication.chaos --world sim --seed 4711 --count 1   # one run again
```
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import redis

from redislab.labs.replication import ReplicationLab
from redislab.worlds.base import WorldError
from tests.differential.fuzz_generator import FAMILIES
from tests.differential.fuzz_words import Drawing

SETTLE_S = 60.0
CONFIG = {
    "repl-timeout": "4",
    "repl-ping-replica-period": "1",
    "repl-backlog-size": "16kb",
    "enable-debug-command": "yes",
}
# What is written: of these families of the fuzzer's calls, none of which waits for long.
WRITERS = (
    *("strings", "lists", "sets", "hashes", "sorted_sets", "geo", "streams", "groups", "bitmaps"),
    *("hyperloglog", "keys", "expiry", "sort", "transactions", "scripts"),
)
# Those that wait are left out, and BITFIELD ... OVERFLOW FAIL, which makes a string longer without
# telling replicas: real Redis, too.
_BLOCKING = frozenset((b"blpop", b"brpop", b"blmove", b"brpoplpush", b"bzpopmin", b"bzpopmax"))
_WAITING = _BLOCKING | {b"blmpop", b"bzmpop", b"xread", b"xreadgroup", b"wait", b"subscribe"}
FUNCTION = (
    "#!lua name=chaos{0}\n"
    "redis.register_function('count{0}', function(keys) return redis.call('incr', keys[1]) end)"
)


@dataclass
class Report:
    """What one run was.

    Attributes:
        seed: its seed.
        steps: what was done, in order.
        digests: the digest of each node's data at the end.
        settled_s: how long the nodes took to agree once the faults had stopped.
        full, partial: resynchronizations of either kind.
    """

    seed: int
    steps: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    settled_s: float = 0.0
    full: int = 0
    partial: int = 0

    @property
    def agrees(self) -> bool:
        """Whether all nodes have the same data."""
        return len(set(self.digests.values())) == 1

    def __str__(self) -> str:
        how = "agree" if self.agrees else f"DIFFER: {self.digests}"
        return (
            f"seed {self.seed}: {len(self.steps)} steps, resynchronizations: {self.full} full, "
            f"{self.partial} partial; {how} after {self.settled_s:.1f} s"
        )


class Chaos:
    """One run.

    Args:
        lab: its nodes.
        seed: what decides everything.
        steps: how many steps to take.
        writes: how many calls to write between two steps.
    """

    def __init__(self, lab: ReplicationLab, seed: int, *, steps: int, writes: int) -> None:
        self.lab = lab
        self.random = Random(f"chaos {seed}")
        self.report = Report(seed)
        self._steps = steps
        self._writes = writes
        self._drawing = Drawing(self.random)
        self._names = list(lab.nodes)
        self._root = self._names[0]
        self._down: set[str] = set()
        self._paused: set[str] = set()
        self._clients: dict[str, redis.Redis] = {}

    def run(self) -> Report:
        """Do it all."""
        self._plant()
        for _ in range(self._steps):
            for _ in range(self._writes):
                self._write()
            self._step()
        self._calm()
        self._settle()
        return self.report

    # -- writing ---------------------------------------------------------------------------------

    def _client(self, name: str) -> redis.Redis:
        client = self._clients.get(name)
        if client is None:
            # At the observer's place: what is tested is what nodes make of faults, not clients.
            client = self._clients[name] = self.lab.client(
                name, at="observer", socket_timeout=1, protocol=2, single_connection_client=True
            )
        return client

    def _write(self) -> None:
        """A call that writes, to a node that may be no master any more."""
        random = self.random
        name = self._root if random.random() < 0.9 else random.choice(self._names)
        if name in self._down or name in self._paused:
            return
        number = random.randrange(1000)
        if number < 10:
            self._call(name, ("FUNCTION", "LOAD", "REPLACE", FUNCTION.format(number)))
            return
        if number < 20:
            self._call(name, ("FCALL", f"count{number - 10}", "1", "counted"))
            return
        if number < 40:
            self._call(name, ("SELECT", random.choice((0, 0, 3, 9))))
            return
        for step in random.choice(FAMILIES[random.choice(WRITERS)]).draw(self._drawing, 0):
            if step.words and step.words[0].lower() not in _WAITING and b"FAIL" not in step.words:
                self._call(name, step.words)

    def _call(self, name: str, words: Sequence[Any]) -> None:
        try:
            self._client(name).execute_command(*words)
        except (redis.ConnectionError, redis.TimeoutError):
            self._clients.pop(name).close()
        except (redis.RedisError, ValueError, TypeError, IndexError, KeyError, AttributeError):
            pass  # many calls of the fuzzer are wrong, and of some redis-py expects other answers

    # -- faults ----------------------------------------------------------------------------------

    def _step(self) -> None:
        random, lab = self.random, self.lab
        what = random.choices(
            (
                "cut",
                "heal",
                "delay",
                "kill",
                "restart",
                "pause",
                "resume",
                "promote",
                "follow",
                "pass",
            ),
            (6, 3, 1, 2, 4, 1, 3, 1, 2, 4),
        )[0]
        one, other = random.sample(self._names, 2)
        match what:
            case "cut":
                direction = random.choice(("both", "both", f"{one}->{other}"))
                self._do(f"cut {one} {other} {direction}", lambda: lab.cut(one, other, direction))
            case "heal":
                self._do("heal", lab.heal)
            case "delay":
                seconds = random.random() / 4
                self._do(f"delay {one} {other}", lambda: lab.delay(one, other, seconds))
            case "kill" if one not in self._down and len(self._down) < 2 and one != self._root:
                self._down.add(one)
                self._paused.discard(one)
                self._do(f"kill {one}", lambda: lab.kill(one))
            case "restart" if self._down:
                up = random.choice(sorted(self._down))
                self._down.discard(up)
                self._do(f"restart {up}", lambda: lab.restart(up))
            case "pause" if one not in self._down and len(self._paused) < 1:
                self._paused.add(one)
                self._do(f"pause {one}", lambda: lab.pause(one))
            case "resume" if self._paused:
                up = self._paused.pop()
                self._do(f"resume {up}", lambda: lab.resume(up))
            case "promote" if self._is_up(one):
                self._root = one
                self._do(f"promote {one}", lambda: self._tell(one, "NO", "ONE"))
            case "follow" if self._is_up(one) and one != self._root:
                self._do(f"follow {one} {other}", lambda: self._follow(one, other))
        lab.run_for(random.choice((0.01, 0.05, 0.2, 0.5, 2.0)))

    def _is_up(self, name: str) -> bool:
        return name not in self._down and name not in self._paused

    def _do(self, step: str, act: Any) -> None:
        self.report.steps.append(step)
        with contextlib.suppress(redis.RedisError, WorldError):
            act()

    def _tell(self, name: str, *words: str) -> None:
        self._client(name).execute_command("REPLICAOF", *words)

    def _follow(self, name: str, master: str) -> None:
        where = self.lab.find(master)
        self._tell(name, where.host, str(where.port))

    def _insist(self, name: str, master: str | None) -> None:
        """Change what a node follows, None for nobody, however long it is loading."""
        for _ in range(200):
            try:
                if master is None:
                    self._tell(name, "NO", "ONE")
                else:
                    self._follow(name, master)
            except redis.BusyLoadingError:
                self.lab.run_for(0.1)
            else:
                return

    # -- trees -----------------------------------------------------------------------------------

    def _plant(self) -> None:
        """Let every node follow one that comes before it."""
        for place, name in enumerate(self._names[1:], 1):
            self._insist(name, self.random.choice(self._names[:place]))

    def _calm(self) -> None:
        """No faults any more: everybody is there, and follows the root over some way."""
        for name in sorted(self._paused):
            self.lab.resume(name)
        for name in sorted(self._down):
            self.lab.restart(name)
        self._down.clear()
        self._paused.clear()
        self.lab.heal()
        self.report.steps.append(f"calm {self._root}")
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._insist(self._root, None)
        rest = [name for name in self._names if name != self._root]
        self.random.shuffle(rest)
        planted = [self._root]
        for name in rest:
            self._insist(name, self.random.choice(planted))
            planted.append(name)

    def _settle(self) -> None:
        """Wait until all have the same, and write down what they have."""
        lab, report = self.lab, self.report
        began = lab.now
        # Something that comes last, and something that selects a database.
        client = self._client(self._root)
        client.execute_command("SELECT", 1)
        client.execute_command("SET", "last", str(report.seed))
        while True:
            report.digests = self._digests()
            report.settled_s = lab.now - began
            if (report.agrees and self._are_linked()) or report.settled_s > SETTLE_S:
                break
            lab.run_for(0.25)
        for name in self._names:
            info = self._client(name).info("stats")
            report.full += info["sync_full"]
            report.partial += info["sync_partial_ok"]

    def _digests(self) -> dict[str, str]:
        digests = {}
        for name in self._names:
            try:
                digest = self._client(name).execute_command("DEBUG", "DIGEST")
                functions = self._client(name).execute_command("FUNCTION", "LIST")
                digests[name] = f"{digest!r} {len(functions)}"
            except redis.RedisError as failure:
                digests[name] = f"{name}: {failure!r}"
        return digests

    def _are_linked(self) -> bool:
        for name in self._names:
            if name == self._root:
                continue
            if self._client(name).info("replication").get("master_link_status") != "up":
                return False
        return True


def run(
    world: str,
    seed: int,
    *,
    nodes: int = 4,
    steps: int = 25,
    writes: int = 12,
    real: int | None = None,
) -> Report:
    """One run in a world; in `live`, as many of the nodes as `real` says are redis-servers."""
    random = Random(f"nodes {seed}")
    if real is None:
        real = 0 if world == "sim" else nodes // 2
    chosen = random.sample(range(nodes), real)
    with ReplicationLab(
        world,
        replicas=nodes - 1,
        seed=seed,
        sync=False,
        real=chosen,
        config=CONFIG | options(random),
    ) as lab:
        return Chaos(lab, seed, steps=steps, writes=writes).run()


def options(random: Random) -> dict[str, str]:
    """Directives that decide how data sets are sent and loaded."""
    return {
        "repl-diskless-sync": random.choice(("yes", "yes", "no")),
        "repl-diskless-load": random.choice(("disabled", "disabled", "swapdb", "on-empty-db")),
        "save": random.choice(("", "", "3600 1")),
        "appendonly": random.choice(("no", "no", "yes")),
    }


def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description="Cut and kill, and see whether nodes agree again.")
    parser.add_argument("--world", default="sim", choices=("sim", "live", "redis"))
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=10**9, help="how many runs")
    parser.add_argument("--seconds", type=float, default=60, help="how long")
    parser.add_argument("--steps", type=int, default=25, help="faults a run")
    chosen = parser.parse_args()
    ends, ran, bad = time.monotonic() + chosen.seconds, 0, 0
    for seed in range(chosen.seed, chosen.seed + chosen.count):
        if time.monotonic() > ends:
            break
        report = run(chosen.world, seed, steps=chosen.steps)
        ran += 1
        if not report.agrees or chosen.world != "sim" or chosen.count == 1:
            bad += not report.agrees
            print(report, flush=True)  # noqa: T201 - a program that talks to a terminal
        if chosen.count == 1:
            print("\n".join(report.steps))  # noqa: T201
    print(f"{ran} runs, {bad} of them did not agree")  # noqa: T201


if __name__ == "__main__":
    main()
