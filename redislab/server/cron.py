"""The periodic work of a node (`serverCron` in `src/server.c` of Redis 7.0), `hz` times a second.

Expired keys are removed, rates are sampled, counters are folded, idle clients are closed. A node
that sleeps, is paused or runs a slow script does not expire keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from redislab.engine.expiry import active_expire, expire_own

if TYPE_CHECKING:
    from redislab.server.node import Node

_SAMPLE_S = 0.1
_CLIENTS_S = 1.0
# How many keys one call may look at. Redis limits the time instead, a quarter of it at most; a
# count keeps a simulation the same on every machine.
_EXPIRE_KEYS = 2000


class Cron:
    """The timer of one node.

    Attributes:
        active_expire: whether keys are removed when their time comes, without being asked for.
        paused: nothing is done (DEBUG PAUSE-CRON).
        tasks: what parts built on top of the node want to be called for at every run.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.active_expire = True
        self.paused = False
        self.tasks: list[Callable[[], None]] = [node.leaving.cron, node.persistence.cron]
        self._handle: asyncio.TimerHandle | None = None
        self._sampled = self._looked = float("-inf")
        self._folded_at = -1

    def start(self) -> None:
        """Begin."""
        self._handle = self.node.loop.call_later(1 / self.node.config.hz, self._run)

    def stop(self) -> None:
        """End."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _run(self) -> None:
        node = self.node
        self._handle = node.loop.call_later(1 / node.config.hz, self._run)
        if node.asleep or self.paused:
            return
        now = node.loop_time()
        stands = node.pause_mode() or node.scripts.slow.client is not None
        if self.active_expire and not stands:
            self._expire()
        if now - self._sampled >= _SAMPLE_S - 1e-9:
            self._sampled = now
            if node.stats.activity != self._folded_at:
                self._folded_at = node.stats.activity
                node.stats.fold()
            node.stats.sample()
            node.engine.uses.look()
        if now - self._looked >= _CLIENTS_S - 1e-9:
            self._looked = now
            node.limits.check_silence()
        node.limits.evict_clients()
        for task in self.tasks:
            task()

    def _expire(self) -> None:
        node = self.node
        started = node.clock()
        budget = _EXPIRE_KEYS * node.config.active_expire_effort
        if node.engine.expires_by_itself:
            active_expire(node.engine, budget)
        elif node.engine.own_expiring:
            expire_own(node.engine, budget)
        else:
            return
        if node.engine.ready:
            node.blocking.serve_ready()
        node.propagation.flush(together=False)
        seconds = node.clock() - started
        node.stats.expire_cycle_s += seconds
        node.latency.add("expire-cycle", seconds)
