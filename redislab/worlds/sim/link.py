"""One direction between two hosts: where cuts, delays and chance act."""

from __future__ import annotations

from random import Random

from redislab.worlds.sim.faults import RETRANSMISSION_SECONDS_MIN, Faults
from redislab.worlds.sim.hosts import Host


class Link:
    """One direction between two hosts."""

    __slots__ = (
        "cuts",
        "extra_jitter",
        "extra_seconds",
        "faults",
        "free_at",
        "is_cut",
        "random",
        "source",
        "target",
    )

    def __init__(self, source: Host, target: Host, faults: Faults, random: Random) -> None:
        self.source = source
        self.target = target
        self.faults = faults
        self.random = random
        self.is_cut = False
        self.cuts = 0
        self.extra_seconds = 0.0
        self.extra_jitter = 0.0
        # When the last byte that was sent has left, on a link of limited bandwidth.
        self.free_at = 0.0

    def heal(self) -> None:
        """Undo the cut and the delay."""
        self.is_cut = False
        self.extra_seconds = self.extra_jitter = 0.0

    def travel_seconds(self, now: float, size: int) -> float:
        """How long a message of `size` bytes that leaves now is on its way, chance included."""
        faults, chance = self.faults, self.random.random
        seconds = faults.latency_seconds + self.extra_seconds
        jitter = faults.jitter_seconds + self.extra_jitter
        if jitter:
            seconds += jitter * chance()
        if faults.bandwidth_bytes_per_second is not None:
            self.free_at = max(now, self.free_at) + size / faults.bandwidth_bytes_per_second
            seconds += self.free_at - now
        if faults.stall_probability and chance() < faults.stall_probability:
            seconds += faults.stall_seconds_max * chance()
        if faults.loss_probability:
            timeout = RETRANSMISSION_SECONDS_MIN
            while chance() < faults.loss_probability:
                seconds += timeout
                timeout *= 2
        return seconds

    def breaks(self) -> bool:
        """Whether chance has it that the next message breaks its connection."""
        probability = self.faults.reset_probability
        return bool(probability) and self.random.random() < probability
