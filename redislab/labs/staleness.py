"""How often a read from a replica is out of date: the experiment behind the stale-read meter.

A writer numbers the versions of a few keys and writes them to the master at random moments; a
reader reads them from a replica. A read is *stale* if it returns a version older than the latest
one that the master had acknowledged when the read was sent. Both run on the lab's loop, so the
experiment is the same in every world.

With writes at random moments, `rate` a second to each key, and a replica that is `lag` seconds
late, a read is stale if its key was written during the last `lag` seconds: with probability
1 - exp(-rate * lag). `law` is that formula.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from random import Random
from typing import Any

from redislab.labs.base import Named
from redislab.labs.replication import ReplicationLab

WINDOW_SECONDS = 0.25  # how often `on_window` is told
_SETTLE_MILLISECONDS = 5000  # how long the replica may take to hear of the beginning


@dataclass(frozen=True, slots=True)
class Reads:
    """What was read in a stretch of time.

    Attributes:
        seconds: how long it was.
        reads: how many there were.
        stale: how many of them were out of date.
        ages: of each stale read, for how many seconds a newer value had been acknowledged.
        recent: whether each of the reads was stale, in order.
        writes: how many writes were acknowledged meanwhile.
    """

    seconds: float
    reads: int = 0
    stale: int = 0
    ages: tuple[float, ...] = ()
    recent: tuple[bool, ...] = ()
    writes: int = 0

    @property
    def share(self) -> float:
        """The share of stale reads, 0 to 1."""
        return self.stale / self.reads if self.reads else 0.0


def law(rate: float, lag: float) -> float:
    """The share of stale reads that is to be expected.

    Args:
        rate: writes a second to each key, at random moments.
        lag: seconds by which the replica is late.
    """
    return 1 - exp(-rate * lag)


def stale_reads(
    lab: ReplicationLab,
    *,
    replica: Named | None = None,
    seconds: float = 5.0,
    write_rate: float = 20.0,
    read_rate: float = 400.0,
    keys: int = 10,
    wait: int = 0,
    settle: float = 0.0,
    on_window: Callable[[Reads], object] | None = None,
) -> Reads:
    """Write to the master, read from a replica, and count what was out of date.

    Args:
        lab: a master and its replicas.
        replica: which one to read from; None is the first.
        seconds: how long.
        write_rate: writes a second, spread at random over time and over the keys.
        read_rate: reads a second, at a steady rate, of random keys.
        keys: how many keys.
        wait: if not 0, a write counts as acknowledged when so many replicas have it (WAIT).
        settle: seconds of writing before the first read; the law holds from the lag on.
        on_window: told of every stretch of `WINDOW_SECONDS` as it ends.

    Raises:
        redis.RedisError: a node does not answer.
    """
    where = lab.replicas[0] if replica is None else lab.find(replica)
    experiment = _Experiment(lab.seed, keys, wait, on_window)
    clients = (lab.async_client(lab.master), lab.async_client(where))
    return lab.run(experiment.run(*clients, seconds, write_rate, read_rate, settle))


class _Experiment:
    """The versions that were acknowledged, and what was read."""

    def __init__(
        self, seed: int, keys: int, wait: int, on_window: Callable[[Reads], object] | None
    ) -> None:
        self.random = Random(f"stale reads/{seed}")
        self.keys = keys
        self.wait = wait
        self.on_window = on_window
        # Of each key, when each of its versions was acknowledged; version 0 is no value.
        self.acknowledged: list[list[float]] = [[0.0] for _ in range(keys)]
        self.ages: list[float] = []
        self.recent: list[bool] = []
        self.writes = 0

    async def run(
        self,
        master: Any,
        replica: Any,
        seconds: float,
        write_rate: float,
        read_rate: float,
        settle: float,
    ) -> Reads:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(master.delete(_name(key)) for key in range(self.keys)))
        await master.wait(1, _SETTLE_MILLISECONDS)
        ends = loop.time() + settle + seconds
        tasks = [asyncio.ensure_future(self._write(master, write_rate, ends))]
        try:
            await asyncio.sleep(settle)
            self.writes = 0
            tasks.append(asyncio.ensure_future(self._tell(loop.time(), ends)))
            await self._read(replica, read_rate, ends)
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await master.aclose()
            await replica.aclose()
        return self._reads(0, 0, 0, seconds)

    async def _write(self, master: Any, rate: float, ends: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self.random.expovariate(rate)
            if due >= ends:
                return
            await asyncio.sleep(max(0.0, due - loop.time()))
            key = self.random.randrange(self.keys)
            version = len(self.acknowledged[key])
            await master.set(_name(key), version)
            if self.wait:
                await master.wait(self.wait, 0)
            self.acknowledged[key].append(loop.time())
            self.writes += 1

    async def _read(self, replica: Any, rate: float, ends: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while due < ends:
            await asyncio.sleep(max(0.0, due - loop.time()))
            key = self.random.randrange(self.keys)
            known, sent = self.acknowledged[key], loop.time()
            latest = len(known) - 1
            version = int(await replica.get(_name(key)) or 0)
            stale = version < latest
            self.recent.append(stale)
            if stale:
                self.ages.append(sent - known[version + 1])
            due += 1 / rate

    async def _tell(self, begun: float, ends: float) -> None:
        loop = asyncio.get_running_loop()
        done = reads = stale = writes = 0
        while loop.time() < ends - WINDOW_SECONDS / 2:
            done += 1
            await asyncio.sleep(max(0.0, begun + done * WINDOW_SECONDS - loop.time()))
            if self.on_window is not None:
                self.on_window(self._reads(reads, stale, writes, WINDOW_SECONDS))
            reads, stale, writes = len(self.recent), len(self.ages), self.writes

    def _reads(self, reads: int, stale: int, writes: int, seconds: float) -> Reads:
        """What was read since there had been so many reads."""
        return Reads(
            seconds,
            len(self.recent) - reads,
            len(self.ages) - stale,
            tuple(self.ages[stale:]),
            tuple(self.recent[reads:]),
            self.writes - writes,
        )


def _name(key: int) -> str:
    return f"stale:{key}"
