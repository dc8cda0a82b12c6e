"""What replication costs: a replica under writes, a full resynchronization, an idle hour in `sim`.

The replicas here are real ones, of our master as of the real one, so that either pays for the same
replica on the same two cores, and what differs is the master.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from operator import truediv
from pathlib import Path
from random import Random
from statistics import median

import redis

from benchmarks import servers
from benchmarks.rows import Plan, Row, in_turn, redis_benchmark

KEYS = 100_000
AT_ONCE = ("--repl-diskless-sync-delay", "0")
WAIT_S = 120.0
SEEDED_HOUR = """
import time
from redislab.labs.replication import ReplicationLab
with ReplicationLab("sim", replicas=3) as lab:
    began = time.perf_counter()
    lab.run_for(3600)
    print(time.perf_counter() - began)
    assert lab.snapshot().in_sync
"""


def replication_rows(plan: Plan) -> Iterator[Row]:
    """SET with a replica and without; a full resynchronization; an hour of simulated idleness."""
    yield attached_row(plan)
    yield resynchronization_row(plan)
    yield idle_row(plan)


@dataclass
class _Master:
    """A master under writes, and what each round of them showed.

    Attributes:
        rates: SETs a second.
        costs: microseconds of the process's own time for one SET.
    """

    port: int
    pid: int
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def measure(self, requests: int) -> None:
        """One round."""
        before = _cpu_seconds(self.pid)
        self.rates.append(redis_benchmark(self.port, "set", requests))
        self.costs.append((_cpu_seconds(self.pid) - before) / requests * 1e6)


def attached_row(plan: Plan) -> Row:
    """SETs a second of a master with a replica, as a share of those of one without: two programs.

    Four masters run all the time, of either program one with a replica and one without, and each
    round measures all four; its ratios are those of neighbors in time. Every other round goes the
    other way around, so that nobody is always the one that comes first, and a short round that does
    not count precedes them.

    The ratio is not only what a master does for its replica. The replica is a third process beside
    the master and the client, and where the system puts the three counts as much where there are
    two cores: ratios above 1 were seen of masters that spent more on each SET, not less. So what a
    SET takes of the master's own time, with a replica and without, stands beside it; that is nearly
    the same on a busy machine.
    """
    with ExitStack() as stack:
        masters = []
        for start in (servers.ours, servers.real):
            pair = [_Master(*stack.enter_context(start(*AT_ONCE))) for _ in range(2)]
            replica, _ = stack.enter_context(servers.real())
            _follow(replica, pair[0].port)
            masters += pair
        for master in masters:
            redis_benchmark(master.port, "set", plan.requests // 10)
        for number in range(plan.rounds):
            for master in masters if number % 2 == 0 else reversed(masters):
                master.measure(plan.requests)
    ratios, details = [], []
    for name, (attached, alone) in (("ours", masters[:2]), ("real", masters[2:])):
        ratios.append(median(map(truediv, attached.rates, alone.rates)))
        rates = f"{median(attached.rates):.0f} / {median(alone.rates):.0f}"
        costs = f"{median(attached.costs):.1f} / {median(alone.costs):.1f} us of CPU"
        details.append(f"{name} {ratios[-1]:.2f} ({rates}, {costs})")
    what = "SET with a replica against without"
    return Row(what, abs(ratios[1] - ratios[0]), 0.15, "at most", "apart", ", ".join(details))


def _cpu_seconds(pid: int) -> float:
    """The time that the main thread of a process has had, which is where commands run."""
    schedstat = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii")
    return int(schedstat.split()[0]) / 1e9


def resynchronization_row(plan: Plan) -> Row:
    keys = KEYS // 10 if plan.quick else KEYS
    with ExitStack() as stack:
        ports = []
        for start in (servers.ours, servers.real):
            port, _ = stack.enter_context(start(*AT_ONCE))
            fill(port, keys)
            ports.append(port)
        replica, _ = stack.enter_context(servers.real())
        mine, real = in_turn(
            plan,
            lambda: _resynchronize(replica, ports[0], keys),
            lambda: _resynchronize(replica, ports[1], keys),
        )
    what = f"full resynchronization, {keys} keys"
    return Row(what, mine / real, 6.0, "at most", detail=f"{mine:.2f} s / {real:.2f} s")


def idle_row(plan: Plan) -> Row:
    argv = [sys.executable, "-c", SEEDED_HOUR]
    seconds = median(
        float(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120).stdout)
        for _ in range(plan.rounds)
    )
    return Row("an idle hour in sim, 3 replicas", seconds, 5.0, "at most", "s")


def fill(port: int, keys: int) -> None:
    """Write keys of every type: half of them strings, the others with five elements or so."""
    random = Random(1)
    with redis.Redis(port=port) as client:
        for begin in range(0, keys, 1000):
            pipe = client.pipeline(transaction=False)
            for number in range(begin, begin + 1000):
                _write_key(pipe, number, random)
            pipe.execute()


def _write_key(pipe: redis.client.Pipeline, number: int, random: Random) -> None:
    words = [f"{random.getrandbits(40):010x}" for _ in range(5)]
    key = f"key:{number:08d}"
    match number % 10:
        case 0:
            pipe.rpush(key, *words)
        case 1:
            pipe.sadd(key, *words)
        case 2:
            pipe.hset(key, mapping=dict.fromkeys(words, "value"))
        case 3:
            pipe.zadd(key, {word: random.random() for word in words})
        case 4:
            pipe.xadd(key, {"field": words[0], "other": words[1]})
        case _:
            pipe.set(key, "".join(words), px=10**9 if number % 10 == 5 else None)


def _follow(replica: int, master: int) -> None:
    """Let a replica follow a master, and wait until it has its data."""
    with redis.Redis(port=replica) as client:
        client.replicaof(servers.HOST, master)
        ends = time.monotonic() + WAIT_S
        while client.info("replication").get("master_link_status") != "up":
            if time.monotonic() > ends:
                raise TimeoutError("the replica does not get its data")
            time.sleep(0.002)


def _resynchronize(replica: int, master: int, keys: int) -> float:
    """Seconds from REPLICAOF until an empty replica has all data."""
    with redis.Redis(port=replica) as client:
        client.replicaof("NO", "ONE")
        client.flushall()
        began = time.perf_counter()
        _follow(replica, master)
        seconds = time.perf_counter() - began
        if client.dbsize() != keys:
            raise ValueError(f"the replica has {client.dbsize()} keys of {keys}")
        return seconds
