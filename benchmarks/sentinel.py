"""What Sentinels cost: a failover, ours against the real one; failovers and schedules in `sim`.

A failover is measured in two labs that stand side by side, one of our live nodes and one of real
programs. In every round the master of each is killed, one lab after the other, and started again.
What a round takes depends on chance (when the master last answered a PING, and now and then an
election without a winner), so many rounds are needed, whatever is said of the other rows.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from statistics import median

from benchmarks.rows import Plan, Row
from benchmarks.servers import program
from redislab.labs.sentinel import SentinelLab
from redislab.labs.writer import Writer

ROUNDS = 20
WRITES_PER_SECOND = 50.0
WAIT_S = 120.0
LOOK_S = 0.1
SCHEDULE_MINUTES = 10
SIM_FAILOVER = """
import time
from redislab.labs.sentinel import SentinelLab
with SentinelLab(world="sim", seed={seed}) as lab:
    old = lab.master
    began = time.perf_counter()
    lab.kill(old)
    while not any(event.kind == "+failover-end" for event in lab.told()):
        lab.run_for(0.5)
        assert lab.now < 600
    print(time.perf_counter() - began)
    assert lab.master.name != old.name
"""
SIM_HOUR = """
import time
from redislab.labs.sentinel import SentinelLab
with SentinelLab(world="sim", replicas=2, sentinels=3) as lab:
    began = time.perf_counter()
    lab.run_for(3600)
    print(time.perf_counter() - began)
    assert lab.snapshot().settled
"""


def sentinel_rows(plan: Plan) -> Iterator[Row]:
    """A failover, fault schedules and an idle hour in `sim`; failovers, ours against real."""
    yield sim_failover_row(plan)
    yield chaos_row(plan)
    yield idle_row(plan)
    # Last, so that the others are measured where the real programs are missing.
    yield from failover_rows(plan)


@dataclass
class _Town:
    """A lab with a client that writes, and what each round of it showed.

    Attributes:
        switches: seconds from the kill to the first `+switch-master`.
        writes: seconds from the kill to the first write that another server acknowledged.
    """

    lab: SentinelLab
    writer: Writer
    switches: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)

    def fail_over(self, pause: float) -> None:
        """One round: when all is well, kill the master; start it again at the end.

        Args:
            pause: seconds that pass before the kill.
        """
        lab = self.lab
        lab.wait_until(lambda now: now.settled, WAIT_S, every=0.5)
        old, first = lab.master.name, len(self.writer.writes)
        lab.run_for(pause)
        killed = lab.now
        lab.kill(old)
        while True:
            switches = [
                event.time
                for event in lab.told()
                if event.kind == "+switch-master" and event.time > killed
            ]
            writes = [
                write.ended
                for write in self.writer.writes[first:]
                if write.acknowledged and write.node != old and write.ended is not None
            ]
            if switches and writes:
                break
            if lab.now > killed + WAIT_S:
                raise TimeoutError("the Sentinels name no other master")
            lab.run_for(LOOK_S)
        self.switches.append(min(switches) - killed)
        self.writes.append(min(writes) - killed)
        lab.restart(old)


def failover_rows(plan: Plan) -> Iterator[Row]:
    """From kill to +switch-master and to the client's first good write: medians, and the worst.

    A plan of the usual five rounds is one of 20 here; one of fewer is taken at its word.
    """
    for name in ("redis-server", "redis-sentinel"):
        program(name)
    rounds = ROUNDS if plan.rounds == Plan().rounds else plan.rounds
    with ExitStack() as stack:
        towns = []
        for world in ("live", "redis"):
            lab = stack.enter_context(
                SentinelLab(
                    replicas=2,
                    sentinels=3,
                    world=world,
                    down_after_ms=1000,
                    failover_timeout_ms=10_000,
                )
            )
            towns.append(_Town(lab, lab.writer(rate=WRITES_PER_SECOND)))
        random = Random(1)
        for number in range(rounds):
            # A Sentinel sends a PING every second: the master may die at any moment between two.
            pause = random.uniform(1.0, 2.0)
            for town in towns if number % 2 == 0 else reversed(towns):
                town.fail_over(pause)
    mine, real = towns
    for what, ours, theirs in (
        ("kill to +switch-master", mine.switches, real.switches),
        ("kill to the first good write", mine.writes, real.writes),
    ):
        usual = median(theirs)
        detail = f"{median(ours):.2f} s / {usual:.2f} s, {rounds} rounds"
        yield Row(what, median(ours) / usual, 1.1, "at most", detail=detail)
        worst = f"ours {max(ours):.2f} s, real {max(theirs):.2f} s"
        yield Row(f"{what}, the worst", max(ours) / usual, 1.5, "at most", detail=worst)


def sim_failover_row(plan: Plan) -> Row:
    seconds = median(_printed(SIM_FAILOVER.format(seed=seed)) for seed in range(plan.rounds))
    return Row("a failover in sim, 30 s until down", seconds, 0.5, "at most", "s")


def chaos_row(plan: Plan) -> Row:
    """Schedules a minute, one process, its start counted in."""
    count = 2 if plan.quick else 2 * plan.rounds
    argv = [sys.executable, "-m", "redislab", "chaos", "--seeds", f"1..{count}"]
    began = time.perf_counter()
    subprocess.run(
        [*argv, "--minutes", str(SCHEDULE_MINUTES)], check=True, capture_output=True, timeout=1200
    )
    seconds = time.perf_counter() - began
    what = f"fault schedules of {SCHEDULE_MINUTES} minutes in sim"
    detail = f"{count} in {seconds:.1f} s"
    return Row(what, count / seconds * 60, 12.0, "at least", "/min", detail)


def idle_row(plan: Plan) -> Row:
    seconds = median(_printed(SIM_HOUR) for _ in range(1 if plan.quick else min(plan.rounds, 3)))
    return Row("an idle hour in sim, 3 Sentinels, 2 replicas", seconds, 20.0, "at most", "s")


def _printed(code: str) -> float:
    """The figure that a program of its own prints."""
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300)
    return float(done.stdout)
