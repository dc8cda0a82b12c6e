"""When requests fall due in the open loop."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from redislab.benchmark.settings import Settings

SECOND = 1_000_000_000  # ns


def arrivals(settings: Settings) -> Iterator[int]:
    """Due times in ns after the begin, ascending, without end.

    Evenly spread they come like the ticks of a clock. A Poisson process, many independent users,
    has exponential gaps and is the harder test: its bursts queue.
    """
    gap = SECOND / (settings.rate or 1.0)
    if settings.arrivals == "uniform":
        tick = 0
        while True:
            yield int(tick * gap)
            tick += 1
    random = Random(f"arrivals {settings.seed}")
    at = 0.0
    while True:
        at += random.expovariate(1.0) * gap
        yield int(at)
