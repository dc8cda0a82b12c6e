"""What a node gets from the world it runs in: clocks, chance, a log, and figures about itself.

A node has no clock and no random source of its own, so that the same code runs in virtual time and
in real time. `Environment` is the whole of that seam beside asyncio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random


@dataclass(slots=True)
class Environment:
    """A node's surroundings.

    Attributes:
        name: the node's name in its lab, such as `redis-6379`.
        random: the node's own random source.
        unix_time: seconds since the epoch.
        clock: a monotonic clock in seconds, fine enough to time one command. In a simulation it
            is the virtual clock, so a command takes no time there.
        log: takes one complete line of the log, without its line end.
        process_id: what INFO and the log show.
        cpu_time: (system, user) seconds of processor time used so far.
        rss: bytes of memory resident.
        utc_offset: seconds that the log's clock is ahead of UTC.
        machine: what INFO shows as `os`, and the machine's memory in bytes.
    """

    name: str
    random: Random
    unix_time: Callable[[], float]
    clock: Callable[[], float]
    log: Callable[[str], None]
    process_id: int
    cpu_time: Callable[[], tuple[float, float]]
    rss: Callable[[], int]
    utc_offset: float = 0.0
    machine: tuple[str, int] = ("Simulated 1.0 virtual", 8 * 1024**3)
