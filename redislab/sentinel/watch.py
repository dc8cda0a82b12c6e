"""A Sentinel at work: its state, its surroundings, and what carries its words.

`Watch` ties together what the other files are about, and its methods are what a node calls. What
comes in from others and what the timer does is in functions that are given a `Watch`.
"""

from __future__ import annotations

import asyncio

from redislab.sentinel.host import SentinelHost
from redislab.sentinel.model import SentinelState


class Watch:
    """A Sentinel at work.

    Args:
        host: its surroundings.
        state: what it knows, as its configuration file has it.

    Attributes:
        is_running: it was started and has not ended.
    """

    def __init__(self, host: SentinelHost, state: SentinelState) -> None:
        self.host = host
        self.state = state
        self.is_running = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Give it an id if it has none, tell whom it watches, and begin."""
        self.is_running = True

    def stop(self) -> None:
        """Drop every connection and every timer at once."""
        self.is_running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
