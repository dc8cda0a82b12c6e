"""One schedule, carried out: clients at work, faults at their times, checks at every step.

After the last fault everything is undone (links healed, nodes started, clocks right), and then all
must be well within `settle_seconds`: one master that every Sentinel names, every other server
follows it, clients write again. Last, each acknowledged write that is gone is named with the way
in which it was lost; one that was lost in none of the known ways is a failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import redis

from redislab.chaos.checks import Checks, Failure
from redislab.chaos.clients import Reader
from redislab.chaos.schedule import Action, Schedule, Setup
from redislab.chaos.sights import sentinel_state, sights
from redislab.labs.sentinel import SentinelLab
from redislab.labs.sentinelstate import SentinelSnapshot
from redislab.labs.writer import Lost, Reign, Write, explain, values_of
from redislab.worlds.base import OBSERVER, LogLine, WorldError

# A replica gives its master up after so many seconds of silence.
REPL_TIMEOUT_S = 10
# How often the checks look at the Sentinels, in seconds: virtual ones, and real ones.
STEP_SECONDS = {"sim": 0.1}
STEP_SECONDS_REAL = 0.25
_SETTLE_STEP_SECONDS = 1.0
_TILT_SECONDS = 30.0
_RECONNECT_SECONDS = 16.0
_ROUNDS = 3
_INFO_SECONDS = 20.0
# Of a file that is synced once a second: how long a write may wait for it.
_UNSYNCED_SECONDS = 2.5
# The journal of a run that nobody will read.
_MESSAGES_KEPT = 10_000

CONFIG = {
    "save": "",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "repl-timeout": str(REPL_TIMEOUT_S),
    "repl-ping-replica-period": "1",
}


def settle_seconds(setup: Setup) -> float:
    """Within how many seconds all must be well once the faults are over.

    The parts follow each other at worst: a Sentinel whose clock has jumped looks on for 30 s
    (TILT); a dead connection is given up after 15 s, and a replica's after `repl-timeout`; the
    master is found to be down; the next failover may begin after twice `failover-timeout`, and two
    elections may have no winner; a failover is over after `failover-timeout`; an old master is
    told whom to follow after two INFO, and gets the data.
    """
    timeout = setup.failover_timeout_ms / 1000
    return (
        _TILT_SECONDS
        + max(_RECONNECT_SECONDS, REPL_TIMEOUT_S + 1)
        + setup.down_after_ms / 1000
        + _ROUNDS * (2 * timeout + 1)
        + timeout
        + _INFO_SECONDS
        + REPL_TIMEOUT_S
    )


@dataclass(frozen=True, slots=True)
class Report:
    """What a schedule has shown.

    Attributes:
        schedule: what was done.
        world: where.
        failures: what must not be.
        notes: where a flaw has shown that Sentinel is known to have.
        lost: the acknowledged writes that are gone, and why.
        writes, acknowledged: how many writes there were, and how many of them were acknowledged.
        reads: how many reads were answered.
        failovers: how many elections were won.
        reigns: who became the master when.
        settled_s: seconds from the last fault until all was well; None if that was never.
        settle_max_s: within how many it had to be.
        virtual_s, wall_s: how long it took, on the lab's clock and on the wall's.
    """

    schedule: Schedule
    world: str
    failures: tuple[Failure, ...]
    notes: tuple[Failure, ...]
    lost: tuple[Lost, ...]
    writes: int
    acknowledged: int
    reads: int
    failovers: int
    reigns: tuple[Reign, ...]
    settled_s: float | None
    settle_max_s: float
    virtual_s: float
    wall_s: float

    @property
    def is_good(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def lost_by(self, reason: str) -> int:
        """How many writes were lost in one way."""
        return sum(each.reason == reason for each in self.lost)

    def line(self) -> str:
        """The report in a line."""
        lost = [
            f"{count} {reason}"
            for reason in dict.fromkeys(each.reason for each in self.lost)
            if (count := self.lost_by(reason))
        ]
        settled = "never" if self.settled_s is None else f"after {self.settled_s:.1f} s"
        return (
            f"seed {self.schedule.seed}: {'ok' if self.is_good else 'FAILED'},"
            f" {self.schedule.faults} faults, {self.failovers} failovers,"
            f" {self.acknowledged} of {self.writes} writes acknowledged,"
            f" lost {', '.join(lost) or 'none'}; all well {settled}"
            f" ({self.wall_s:.1f} s wall)"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data that turns into JSON."""
        return asdict(self)


class Run:
    """One schedule in one world.

    Args:
        schedule: what to do.
        world: where.
        keep_journal: keep all messages, to look at them afterwards (`sim`).
        options: further options of the lab.

    Attributes:
        lab: the lab, as long as it runs; `close` ends it.
        checks: what was seen.
    """

    def __init__(
        self, schedule: Schedule, world: str = "sim", *, keep_journal: bool = False, **options: Any
    ) -> None:
        self.schedule = schedule.for_world(world)
        self.checks = Checks()
        self._began = time.perf_counter()
        self._world = world
        setup = schedule.setup
        if world == "sim":
            options.setdefault("messages_max", None if keep_journal else _MESSAGES_KEPT)
            options.setdefault("bytes_max", None)
        self.lab = SentinelLab(
            replicas=setup.replicas,
            sentinels=setup.sentinels,
            quorum=setup.quorum,
            down_after_ms=setup.down_after_ms,
            failover_timeout_ms=setup.failover_timeout_ms,
            parallel_syncs=setup.parallel_syncs,
            world=world,
            seed=schedule.seed,
            config=CONFIG,
            **options,
        )
        self._sentinels = [handle.name for handle in self.lab.sentinels]
        self._lines: dict[str, int] = {}
        # In `sim`: of each reign the keys that its server had at its beginning.
        self._had: dict[tuple[float, str], frozenset[str]] = {}
        self._powerless: list[tuple[float, str]] = []
        self._drifted: dict[str, None] = {}
        # (node, since, until): its clock was set back, and shows times again that were before.
        self._set_back: list[tuple[str, float, float]] = []
        self._step = STEP_SECONDS.get(world, STEP_SECONDS_REAL)
        if world == "sim":
            self.lab.place.log_watchers.append(self._line)  # type: ignore[attr-defined]
        self.writers = [self.lab.writer(rate=setup.write_rate, at=host) for host in setup.clients]
        self.readers = [
            Reader(self.lab, writer, rate=setup.read_rate, at=host)
            for writer, host in zip(self.writers, setup.clients, strict=True)
        ]

    def close(self) -> None:
        """End the lab."""
        self.lab.close()

    def run(self, on_action: Callable[[Action], object] = lambda _action: None) -> Report:
        """Do it all.

        Args:
            on_action: told of each action before it is done.
        """
        begun = self.lab.now
        for action in self.schedule.actions:
            self._pass_until(begun + action.at)
            on_action(action)
            self._act(action)
        self._pass_until(begun + self.schedule.seconds)
        settled = self._settle()
        for writer in self.writers:
            writer.stop()
        for reader in self.readers:
            reader.stop()
        reigns = self.lab.reigns()
        lost = self._lost(reigns) if settled is not None else []
        if settled is not None:
            self._compare()
        for reader in self.readers:
            for key, value in reader.wrong:
                self._fail(f"{key} was read as {value}")
        writes = [write for writer in self.writers for write in writer.writes]
        return Report(
            self.schedule,
            self._world,
            tuple(self.checks.failures),
            tuple(self.checks.notes),
            tuple(lost),
            len(writes),
            sum(write.acknowledged for write in writes),
            sum(reader.reads for reader in self.readers),
            len(self.checks.leaders),
            tuple(reigns),
            settled,
            settle_seconds(self.schedule.setup),
            self.lab.now - begun,
            time.perf_counter() - self._began,
        )

    # -- time ------------------------------------------------------------------------------------

    def _pass_until(self, moment: float) -> None:
        lab = self.lab
        while lab.now < moment:
            lab.run_for(min(self._step, moment - lab.now))
            self._look()

    def _look(self) -> None:
        if self._world != "sim":
            self._read_logs()
        self.checks.look(self.lab.now, sights(self.lab))

    def _act(self, action: Action) -> None:
        if action.do == "power_off":
            self._powerless.append((self.lab.now, action.a))
        elif action.do == "drift":
            self._drifted[action.a] = None
        elif action.do == "jump" and action.seconds < 0:
            self._set_back.append((action.a, self.lab.now, self.lab.now - action.seconds))
        if action.do in {"kill", "power_off", "restart"}:
            self.checks.ended(action.a)
        try:
            action.apply(self.lab)
        except WorldError as failure:
            self._fail(f"{action.code()}: {failure}")
        self._look()

    # -- what nodes log --------------------------------------------------------------------------

    def _line(self, name: str, line: LogLine) -> None:
        """A node has logged a line, just now in `sim`."""
        if name not in self._sentinels:
            if "MASTER MODE enabled" in line.text and self._world == "sim":
                self._had[line.time, name] = self._keys_of(name)
            return
        event = self.checks.line(name, line)
        if event is None or self._world != "sim":
            return
        kind, detail = event
        if kind == "+selected-slave":
            state = sentinel_state(self.lab, name)
            if state is not None:
                now = self._node(name).now_ms()
                self.checks.choice(line.time, name, detail, state, now)
        elif kind == "+promoted-slave":
            server = self.lab.name_in(detail)
            self._had[line.time, server] = self._keys_of(server)

    def _read_logs(self) -> None:
        for name in self._sentinels:
            fresh = self.lab.place.log_lines(name, self._lines.get(name, 0))
            self._lines[name] = self._lines.get(name, 0) + len(fresh)
            for line in fresh:
                self._line(name, line)

    def _keys_of(self, name: str) -> frozenset[str]:
        node = self._node(name)
        if node is None:
            return frozenset()
        return frozenset(key.decode() for key in node.engine.databases[0].values)

    def _node(self, name: str) -> Any:
        """A node of `sim` itself; None while it does not run."""
        world: Any = self.lab.place
        return world.running(name)

    # -- the end ---------------------------------------------------------------------------------

    def _settle(self) -> float | None:
        """Undo all faults and wait until all is well; how long that took, None for never."""
        lab = self.lab
        lab.heal()
        for name in self._drifted:
            Action(0.0, "drift", name).apply(lab)
        for name in lab.nodes:
            state = lab.place.state(name)
            if state == "paused":
                lab.resume(name)
            elif state != "running":
                self._act(Action(0.0, "restart", name))
        began, longest = lab.now, settle_seconds(self.schedule.setup)
        wrong = ""
        while lab.now - began <= longest:
            self._pass_until(lab.now + _SETTLE_STEP_SECONDS)
            wrong = self._what_is_wrong(began)
            if not wrong:
                return lab.now - began
        self._fail(f"{longest:g} s after the last fault {wrong}")
        return None

    def _what_is_wrong(self, since: float) -> str:
        now = self.lab.snapshot()
        if not now.settled:
            return f"not all is well: {_summary(now)}"
        for writer in self.writers:
            if not any(each.acknowledged and each.sent > since for each in writer.writes[-5:]):
                return f"{writer.name} does not write again: {writer.writes[-1].error}"
        return ""

    def _lost(self, reigns: Sequence[Reign]) -> list[Lost]:
        found: list[Lost] = []
        try:
            for writer in self.writers:
                found += [self._explain(write, reigns) for write in writer.missing()]
        except redis.RedisError as failure:
            self._fail(f"the master does not answer in the end: {failure}")
        for each in found:
            if each.reason == "unexplained":
                self._fail(str(each))
        return found

    def _compare(self) -> None:
        """Nobody writes any more: every replica must have what its master has."""
        keys = [write.key for writer in self.writers for write in writer.writes]
        had: dict[str, list[Any]] = {}
        try:
            self.lab.wait_until(_is_in_sync, REPL_TIMEOUT_S, every=_SETTLE_STEP_SECONDS)
            for node in self.lab.servers:
                had[node.name] = values_of(self.lab.client(node, at=OBSERVER), keys)
        except (redis.RedisError, TimeoutError) as failure:
            self._fail(f"the data cannot be compared: {failure}")
            return
        named = self.lab.master.name
        for name, values in had.items():
            other = sum(a != b for a, b in zip(values, had[named], strict=True))
            if other:
                self._fail(f"{name} follows {named}, and has other values of {other} keys")

    def _explain(self, write: Write, reigns: Sequence[Reign]) -> Lost:
        """In which way a write was lost; in `sim` that is held against who had it when."""
        lost = explain(write, reigns)
        if self._world != "sim" or lost.reason == "split brain":
            return lost
        holder, since = write.node, lost.acknowledged
        for reign in reigns:
            if reign.since <= since:
                continue
            if write.key not in self._had[reign.since, reign.node]:
                if reign.node == holder:
                    break
                return replace(
                    lost,
                    reason="asynchronous replication",
                    successor=reign.node,
                    since=reign.since,
                )
            holder, since = reign.node, reign.since
        return self._lost_by_holder(lost, holder, since)

    def _lost_by_holder(self, lost: Lost, holder: str, since: float) -> Lost:
        """A write is gone that the last who had it never passed on: has its disk lost it?"""
        for moment, name in self._powerless:
            young = moment - lost.acknowledged <= _UNSYNCED_SECONDS
            if not young:
                young = self._does_not_sync(name, lost.acknowledged)
            if name == holder and moment >= since and young:
                return replace(lost, reason="power failure", successor=holder, since=moment)
        return replace(lost, reason="unexplained")

    def _does_not_sync(self, name: str, moment: float) -> bool:
        """Whether a server waits for its clock, which was set back, to pass its last fsync.

        "Once a second" goes by the wall clock (`server.unixtime > server.aof_last_fsync` in
        `flushAppendOnlyFile` of `src/aof.c`): until then only the kernel writes the file back.
        """
        return any(
            each == name and since <= moment <= until for each, since, until in self._set_back
        )

    def _fail(self, what: str) -> None:
        self.checks.failures.append(Failure(self.lab.now, what))


def _is_in_sync(now: SentinelSnapshot) -> bool:
    """Whether every replica has read all that its master has written."""
    return now.settled and all(each.behind == 0 for each in now.followers)


def _summary(now: Any) -> str:
    """What is not as it should be, in a line."""
    opinions = ", ".join(
        f"{each.name}: {each.master or 'no answer'} {'/'.join(each.flags)}"
        f"{' tilt' if each.tilt else ''} {each.others}+{each.replicas} {each.failover}".rstrip()
        for each in now.sentinels
    )
    servers = ", ".join(
        f"{each.name}: {each.role or each.state}" for each in now.nodes if each.role != "slave"
    )
    followers = ", ".join(f"{each.name} -> {each.master} {each.link}" for each in now.followers)
    return f"{opinions}; {servers}; {followers}"
