"""A Sentinel at work: its state, its surroundings, and what carries its words.

`Watch` ties together what the other files are about, and its methods are what a node calls. What
comes in from others and what the timer does is in functions that are given a `Watch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, NoReturn

from redislab.sentinel import events, timer
from redislab.sentinel.addresses import is_known, look_up
from redislab.sentinel.crash import CrashError
from redislab.sentinel.host import SentinelHost
from redislab.sentinel.links import Links
from redislab.sentinel.model import SentinelState
from redislab.sentinel.scripts import Scripts

_FIRST_RUN_SECONDS = 0.001
_CRASH_EXIT_CODE = 99
# How many complaints are remembered, so that they are not logged again and again.
_COMPLAINTS_MAX = 100
_COMPLAINT_PERIOD_MS = 60_000


class Watch:
    """A Sentinel at work.

    Args:
        host: its surroundings.
        state: what it knows, as its configuration file has it.

    Attributes:
        links: its connections.
        scripts: the programs that it runs.
        own_prefixes: how its own hellos begin: with its address, as it was told to others.
        is_running: it was started and has not ended.
    """

    def __init__(self, host: SentinelHost, state: SentinelState) -> None:
        self.host = host
        self.state = state
        self.links = Links(self)
        self.scripts = Scripts(self)
        self.own_prefixes: dict[bytes, None] = {}
        self.is_running = False
        self._timer: asyncio.TimerHandle | None = None
        self._complaints: dict[str, int] = {}
        self._lookups: dict[asyncio.Task[None], None] = {}

    def start(self) -> None:
        """Give it an id if it has none, tell whom it watches, and begin."""
        state = self.state
        self.is_running = True
        if not state.my_id:
            state.my_id = f"{self.host.random.getrandbits(160):040x}"
            self.host.flush_config()
        self.host.log.warning(f"Sentinel ID is {state.my_id}")
        if self.knows(tuple(each.address.host for each in state.masters.values()), self._begin):
            self._begin()

    def _begin(self) -> None:
        for master in self.state.masters.values():
            events.about(self, events.WARNING, "+monitor", master, f" quorum {master.quorum}")
        self.state.previous_time = self.host.now_ms()
        self._timer = self.host.loop.call_later(_FIRST_RUN_SECONDS, self._run)

    def stop(self) -> None:
        """Drop every connection and every timer at once."""
        self.is_running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._lookups:
            task.cancel()
        self.links.stop()

    def _run(self) -> None:
        try:
            seconds = timer.run(self)
        except CrashError:
            return
        self.links.flush()
        self._timer = self.host.loop.call_later(seconds, self._run)

    def knows(self, hosts: tuple[str, ...], go_on: Callable[[], None]) -> bool:
        """Whether hosts were looked up; if not they are, and then it is gone on, found or not."""
        unknown = [host for host in hosts if not is_known(self.state, host)]
        if unknown:
            work = self._look_up(unknown, go_on)
            task = self.host.loop.create_task(work, name="look up names of hosts")
            self._lookups[task] = None
            task.add_done_callback(self._lookups.pop)
        return not unknown

    async def _look_up(self, hosts: list[str], go_on: Callable[[], None]) -> None:
        for host in hosts:
            try:
                await look_up(self.host.loop, self.state, host)
            except OSError:
                self.host.log.warning(f"Failed to resolve hostname '{host}'")
        go_on()

    # -- SENTINEL SIMULATE-FAILURE ---------------------------------------------------------------

    def crashes_after(self, point: Literal["election", "promotion"]) -> bool:
        """Whether it was told to crash there."""
        if point == "election":
            return self.state.crash_after_election
        return self.state.crash_after_promotion

    def crash(self) -> NoReturn:
        """End here and now.

        Raises:
            CrashError: always, so that nothing else is done.
        """
        self.host.log.warning("Sentinel CRASH because of SENTINEL simulate-failure")
        self.stop()
        self.host.die(_CRASH_EXIT_CODE)
        raise CrashError

    # -- what makes no sense ---------------------------------------------------------------------

    def complain(self, words: str) -> None:
        """Log what makes no sense, the same words once a minute at most."""
        now, said = self.host.now_ms(), self._complaints
        if not 0 <= now - said.get(words, -_COMPLAINT_PERIOD_MS) < _COMPLAINT_PERIOD_MS:
            self.host.log.warning(words)
            said.pop(words, None)
            said[words] = now
            if len(said) > _COMPLAINTS_MAX:
                del said[next(iter(said))]
