"""What must hold of Sentinels whatever is done to them; each check is asked at every step.

- A Sentinel votes once in an epoch, also over a restart; so an epoch has one leader at most.
- Epochs never go back: neither the greatest that a Sentinel has heard of, nor those of the
  master's configuration and of its vote; also over a restart.
- An epoch of the configuration belongs to one master.
- A replica that is promoted was fit, and the best of those that were, in its leader's eyes.

Two flaws of Sentinel itself are known, and only noted. A Sentinel that hears of a later epoch for
the address that it has keeps that to itself: it is not in its file before the next change, and a
Sentinel that ends meanwhile comes back with the earlier one. And say a leader has promoted a
replica and waits for the others to follow it, when the next election is won by another Sentinel,
which promotes the old master of the first. The first then hears of a later epoch with the address
that it still has for its master: it takes over the epoch and goes on, and in the end it names its
own replica with an epoch in which another one was promoted. A hello of the same epoch changes
nobody's mind, so both are named until the next failover (`sentinelProcessHelloMessage` of
Redis 7.0).

Whether a replica was fit can be seen in `sim` only, where the leader's state can be read at the
moment at which it chooses. What it takes is told in Sentinel's documentation; it is written down
here once more, so that the check does not trust the code that it checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from redislab.chaos.sights import Sight
from redislab.labs.sentinelstate import log_event
from redislab.sentinel.model import Master, Replica, SentinelState
from redislab.worlds.base import LogLine

_CHOSEN = re.compile(r"slave (\S+) ")
# As in Redis: asked every second, and told of within five; INFO comes every ten seconds.
_ANSWER_MS_MAX = 5_000
_INFO_MS_MAX = 30_000


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that must not be.

    Attributes:
        time: when, in seconds of the lab's clock.
        what: in a sentence.
    """

    time: float
    what: str

    def __str__(self) -> str:
        return f"at {self.time:.3f} s: {self.what}"


class Checks:
    """What was seen so far, and what was wrong with it.

    Attributes:
        failures: what was wrong.
        notes: where a known flaw has shown.
        leaders: of each epoch in which there was an election, who won it.
        switches: how often a Sentinel has changed over to another master.
        tilts: how often a Sentinel has lost its trust in its clock.
    """

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.notes: list[Failure] = []
        self.leaders: dict[int, str] = {}
        self.switches = 0
        self.tilts = 0
        self._votes: dict[tuple[str, int], str] = {}
        self._heard: dict[str, int] = {}
        self._tried: dict[str, int] = {}
        self._seen: dict[str, Sight] = {}
        self._masters: dict[int, tuple[str, str]] = {}
        self._ended: dict[str, None] = {}
        # Leaders that took over a later epoch while they led; and whom they name with it.
        self._overtaken: dict[tuple[str, int], None] = {}
        self._strays: dict[tuple[int, str], None] = {}

    # -- lines of logs ---------------------------------------------------------------------------

    def line(self, name: str, line: LogLine) -> tuple[str, str] | None:
        """A Sentinel has logged a line; returns the event that it tells of, with its detail."""
        event = log_event(name, line)
        if event is None:
            return None
        if event.kind == "+new-epoch":
            self._heard[name] = int(event.detail)
        elif event.kind == "+try-failover":
            self._tried[name] = self._heard.get(name, 0)
        elif event.kind == "+vote-for-leader":
            leader, epoch = event.detail.split()
            self._vote(line.time, name, leader, int(epoch))
        elif event.kind == "+elected-leader":
            self._elect(line.time, name, self._tried.get(name, 0))
        elif event.kind == "+switch-master":
            self.switches += 1
        elif event.kind == "+tilt":
            self.tilts += 1
        return event.kind, event.detail

    def _vote(self, time: float, voter: str, leader: str, epoch: int) -> None:
        before = self._votes.setdefault((voter, epoch), leader)
        if before != leader:
            self._fail(time, f"{voter} votes for {leader} in epoch {epoch}, after {before}")

    def _elect(self, time: float, leader: str, epoch: int) -> None:
        before = self.leaders.setdefault(epoch, leader)
        if before != leader:
            self._fail(time, f"{leader} is elected in epoch {epoch}, in which {before} was")

    def ended(self, name: str) -> None:
        """A Sentinel has ended, and has only its file when it comes back."""
        self._ended[name] = None

    # -- states ----------------------------------------------------------------------------------

    def look(self, time: float, seen: Iterable[Sight]) -> None:
        """Sentinels as they are now."""
        for sight in seen:
            before = self._seen.get(sight.name)
            now = sight
            if before is not None and sight.leader_epoch < 0:
                now = replace(sight, leader=before.leader, leader_epoch=before.leader_epoch)
            if now == before:
                continue
            self._seen[now.name] = now
            if before is not None:
                self._compare(time, before, now)
            if now.config_epoch and now.master:
                self._hold_master(time, now)

    def _hold_master(self, time: float, sight: Sight) -> None:
        """An epoch has one master."""
        epoch, stray = sight.config_epoch, (sight.config_epoch, sight.master)
        if (sight.name, epoch) in self._overtaken:
            first = self._masters.get(epoch, (sight.master, ""))
            if first[0] != sight.master and stray not in self._strays:
                self._strays[stray] = None
                what = f"{sight.name}, overtaken in its failover, names {sight.master} in epoch"
                self.notes.append(
                    Failure(time, f"{what} {epoch}, the master of which is {first[0]}")
                )
        elif stray not in self._strays:
            first = self._masters.setdefault(epoch, (sight.master, sight.name))
            if first[0] != sight.master:
                self._fail(
                    time,
                    f"{sight.name} names {sight.master} in epoch {epoch},"
                    f" in which {first[1]} named {first[0]}",
                )

    def _compare(self, time: float, before: Sight, after: Sight) -> None:
        ended = self._ended.pop(after.name, self) is None
        for what in ("epoch", "config_epoch", "leader_epoch"):
            earlier, later = getattr(before, what), getattr(after, what)
            if later >= earlier:
                continue
            told = f"the {what} of {after.name} goes back from {earlier} to {later}"
            if ended and what == "config_epoch" and after.master == before.master:
                self.notes.append(Failure(time, f"{told} as it ends: it was not in its file"))
            else:
                self._fail(time, told)
        epoch = after.config_epoch
        if before.leads and epoch > before.config_epoch and self.leaders.get(epoch) != after.name:
            self._overtaken[after.name, epoch] = None

    # -- choices ---------------------------------------------------------------------------------

    def choice(self, time: float, name: str, detail: str, state: SentinelState, now: int) -> None:
        """A leader has chosen a replica.

        Args:
            time: of the lab.
            name: the leader's.
            detail: of its `+selected-slave`.
            state: the leader's.
            now: milliseconds since the epoch on its clock.
        """
        found = _CHOSEN.match(detail)
        for master in state.masters.values():
            chosen = master.replicas.get(found[1]) if found is not None else None
            if chosen is None:
                continue
            wrong = unfitness(master, chosen, now)
            if wrong:
                self._fail(time, f"{name} promotes {chosen.name}, {wrong}")
            for other in master.replicas.values():
                if not unfitness(master, other, now) and _is_better(other, chosen):
                    self._fail(time, f"{name} promotes {chosen.name}, and {other.name} is better")

    def _fail(self, time: float, what: str) -> None:
        self.failures.append(Failure(time, what))


def unfitness(master: Master, replica: Replica, now: int) -> str:
    """What keeps a replica from taking its master's place; empty for nothing.

    Follows "Replica selection and priority" of Sentinel's documentation, and for the figures that
    it does not give `sentinelSelectSlave` in `src/sentinel.c` of Redis 7.0.
    """
    fresh, apart = _INFO_MS_MAX, 10 * master.down_after
    if master.s_down:
        fresh, apart = _ANSWER_MS_MAX, apart + now - master.s_down_since
    wrong = {
        "which is down": replica.s_down,
        "to which it has no connection": not replica.link.has_commands,
        "which did not answer for 5 s": now - replica.link.available > _ANSWER_MS_MAX,
        "which is never to be promoted": replica.priority == 0,
        f"of which it has not heard for {fresh} ms": now - replica.info_time > fresh,
        f"which was without its master for {apart} ms": replica.master_link_down > apart,
    }
    return next((what for what, is_so in wrong.items() if is_so), "")


def _is_better(one: Replica, other: Replica) -> bool:
    """Whether a replica comes before another: by priority, data, and run id."""
    if one.priority != other.priority:
        return one.priority < other.priority
    if one.offset != other.offset:
        return one.offset > other.offset
    # A replica that did not tell its run id comes last.
    return bool(one.run_id) and (not other.run_id or one.run_id.lower() < other.run_id.lower())
