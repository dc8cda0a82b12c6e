"""The view of a master, its replicas and their Sentinels: who thinks what, and what became of it.

`SentinelWatch` is the logic: it takes snapshots of a `SentinelLab`, turns them into frames of a
recording, and does what the buttons do, all through the lab; so it works wherever the lab does and
on real Redis. Above are the servers and what each Sentinel thinks of their master, with the words
of SENTINEL MASTER; below, on one time axis, the faults, what the Sentinels' logs tell, and what the
clients that write see. `SentinelView` puts it into a notebook, with buttons.

Who does not answer is shown with the last that it said of itself.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from redislab.labs import registry
from redislab.labs.actions import Action
from redislab.labs.scenario import Scenario
from redislab.labs.sentinel import SentinelLab
from redislab.labs.sentinelstate import Opinion, SentinelSnapshot
from redislab.labs.writer import Lost, Write, Writer
from redislab.views.fallback import cell_text, fallback_for, table_html
from redislab.views.labview import SAMPLE_SECONDS, SAMPLES_MAX, LabView, LabWatch
from redislab.views.recording import TIME_DIGITS, Frame, Json, Recorder, Recording
from redislab.views.replication import NodeState, node_states
from redislab.worlds.base import WorldError

FRAMES_MAX = 240  # a frame of three servers and three Sentinels is about 1,200 bytes of JSON
JOIN_SECONDS = 1.0  # writes no further apart, with the same end, are one stretch of the strip
WRITE_RATE = 20.0  # writes a second, of the client that the button starts


@dataclass(frozen=True)
class SentinelState:
    """One Sentinel in one frame; the fields of `Opinion` that are shown.

    Attributes:
        name: its name in the lab.
        state: what the lab did to it: "running", "paused", "killed" ..., or "silent".
        master: the name of the server that it takes for the master.
        s_down: it takes the master to be down.
        o_down: it knows that enough of them do.
        config_epoch: of the failover that made that one the master.
        leader: the Sentinel that it voted for last; "" for none.
        leader_epoch: in which epoch.
        failover: how far its own failover is; "" for none.
        others: how many other Sentinels it knows of.
        quorum: how many have to agree that the master is down.
        tilt: it trusts its clock so little that it does not act.
    """

    name: str
    state: str
    master: str = ""
    s_down: bool = False
    o_down: bool = False
    config_epoch: int = 0
    leader: str = ""
    leader_epoch: int = 0
    failover: str = ""
    others: int = 0
    quorum: int = 0
    tilt: bool = False


@dataclass(frozen=True)
class Stretch:
    """Writes of one client, one after the other, that ended in the same way.

    Attributes:
        writer: whose.
        since: when the first was sent, in seconds.
        until: when the last ended, in seconds.
        outcome: "acknowledged", "failed", or "lost": acknowledged, and gone later.
        count: how many.
        node: the server that acknowledged them; "" for none.
        detail: the error, or the way in which they were lost.
        found: when it was found out that they are lost, in seconds; None if they are not.
    """

    writer: str
    since: float
    until: float
    outcome: str
    count: int = 1
    node: str = ""
    detail: str = ""
    found: float | None = None

    def joins(self, other: Stretch) -> bool:
        """Whether another stretch, the next one, is the same one going on."""
        ends = (self.outcome, self.node, self.detail, self.found)
        return (
            ends == (other.outcome, other.node, other.detail, other.found)
            and other.since - self.until <= JOIN_SECONDS
        )


def sentinel_states(
    snapshot: SentinelSnapshot, before: Mapping[str, SentinelState]
) -> tuple[SentinelState, ...]:
    """What the Sentinels think; `before` tells what those said last that do not answer now."""
    return tuple(_sentinel_state(each, before.get(each.name)) for each in snapshot.sentinels)


def _sentinel_state(opinion: Opinion, before: SentinelState | None) -> SentinelState:
    if opinion.up:
        shown = {each.name: getattr(opinion, each.name) for each in fields(SentinelState)}
        return SentinelState(**shown)
    state = "silent" if opinion.state == "running" else opinion.state
    return replace(before or SentinelState(opinion.name, state), state=state)


def stretches(
    writer: str, writes: Iterable[Write], lost: Mapping[str, tuple[float, str]]
) -> list[Stretch]:
    """What became of a client's writes, in order; of those that wait, nothing yet.

    Args:
        writer: its name.
        writes: its writes, in order.
        lost: of those that are gone, when that was found out, and in which way, by their keys.
    """
    found: list[Stretch] = []
    grow(found, writer, writes, lost)
    return found


def grow(
    found: list[Stretch],
    writer: str,
    writes: Iterable[Write],
    lost: Mapping[str, tuple[float, str]],
) -> int:
    """Add to stretches what became of the writes that follow; how many of them have ended."""
    count = 0
    for write in writes:
        if write.ended is None:
            continue
        count += 1
        one = Stretch(
            writer,
            round(write.sent, TIME_DIGITS),
            round(write.ended, TIME_DIGITS),
            "acknowledged" if write.acknowledged else "failed",
            node=write.node,
            detail=write.error,
        )
        if write.key in lost:
            at, reason = lost[write.key]
            one = replace(one, outcome="lost", detail=reason, found=round(at, TIME_DIGITS))
        if found and found[-1].joins(one):
            found[-1] = replace(found[-1], until=one.until, count=found[-1].count + 1)
        else:
            found.append(one)
    return count


class SentinelWatch(LabWatch):
    """Watches a lab and does what the buttons of its view say.

    Args:
        lab: which one.
        writers: the clients that write; those that come later are seen as well.

    Attributes:
        recorder: of what is seen.
    """

    lab: SentinelLab

    def __init__(self, lab: SentinelLab, writers: Sequence[Writer]) -> None:
        super().__init__(lab)
        self._writers = writers
        self._nodes: dict[str, NodeState] = {}
        self._sentinels: dict[str, SentinelState] = {}
        self._lost: dict[str, tuple[float, str]] = {}
        self._strips: dict[str, tuple[list[Stretch], int]] = {}  # and of how many writes they are
        self.recorder = Recorder(
            "sentinel",
            "A master, its replicas, and the Sentinels that watch them",
            now=lambda: self.lab.now,
            sample=dict,
            meta={"writes": [], "world": lab.world},
            frames_max=FRAMES_MAX,
        )

    def sample(self) -> None:
        """Record a frame now."""
        with self._lock:
            snapshot = self.lab.snapshot()
            nodes = node_states(snapshot, self._nodes)
            sentinels = sentinel_states(snapshot, self._sentinels)
            self._nodes = {each.name: each for each in nodes}
            self._sentinels = {each.name: each for each in sentinels}
            seen: list[Stretch] = []
            for writer in self._writers:
                seen += self._stretches_of(writer)
            meta: dict[str, Json] = {"writes": [asdict(each) for each in seen], **self._told()}
            before = self.recorder.meta
            changed = {name: each for name, each in meta.items() if each != before.get(name)}
            if changed:
                self.recorder.set_meta(**changed)
            state: dict[str, Json] = {
                "master": snapshot.named,
                "nodes": [asdict(each) for each in nodes],
                "sentinels": [asdict(each) for each in sentinels],
                "cuts": [list(pair) for pair in snapshot.cuts],
                "delays": [list(delay) for delay in snapshot.delays],
                "writes": _counts(seen),
            }
            self.add(self.recorder, Frame(snapshot.time, state))

    def _stretches_of(self, writer: Writer) -> list[Stretch]:
        """What became of a client's writes: those that are new since the last frame are added.

        A client sends a write when the last one has ended, so only the last one may be waiting.
        """
        known, count = self._strips.get(writer.name, ([], 0))
        count += grow(known, writer.name, writer.writes[count:], self._lost)
        self._strips[writer.name] = known, count
        return known

    def run_for(self, seconds: float) -> None:
        """Let time pass, recording as it does."""
        self.let_pass(seconds)

    def failover(self, sentinel: str | None = None) -> None:
        """SENTINEL FAILOVER; raises what `SentinelLab.failover` raises."""
        self.do(lambda: self.lab.failover(sentinel))

    def start_writer(self, rate: float = WRITE_RATE) -> Writer:
        """Start a client that writes, `rate` times a second."""
        self.sample()
        writer = self.lab.writer(rate=rate)
        self.sample()
        return writer

    def find_lost(self) -> list[Lost]:
        """Which acknowledged writes the master of this moment does not have; they are shown so.

        Raises:
            redis.RedisError: the master does not answer.
        """
        lost = [each for writer in self._writers for each in self._find_lost_of(writer)]
        self.sample()
        return lost

    def _find_lost_of(self, writer: Writer) -> list[Lost]:
        lost = writer.lost()
        now = self.lab.now
        with self._lock:
            own = [key for key in self._lost if key.startswith(f"{writer.name}:")]
            known = {key: self._lost.pop(key) for key in own}
            for each in lost:
                self._lost[each.key] = (known.get(each.key, (now, ""))[0], each.reason)
            self._strips.pop(writer.name, None)
        return lost

    def replay(self, scenario: Scenario, until: float | None = None) -> None:
        """Bring the lab, which is at its beginning, as far as a scenario says, recording it.

        Args:
            scenario: what is done; where it has no looks, some are taken.
            until: to which moment, in seconds of the lab's clock; None is the end.
        """
        ends = scenario.seconds if until is None else min(until, scenario.seconds)
        every = max(SAMPLE_SECONDS, (ends - self.lab.now) / SAMPLES_MAX)
        scenario.with_looks(self.lab.now, every).carry_out(self.lab, ends, self._again)
        self.sample()

    def _again(self, action: Action, lab: SentinelLab) -> None:
        if action.do == "look":
            self.sample()
        elif action.do == "find_lost":
            self._find_lost_of(lab.writer_of(action.a))
        else:
            action.apply(lab)

    def _told(self) -> dict[str, Json]:
        """The run so far as a scenario and as a program, for a reader to take along."""
        try:
            scenario = self.lab.scenario()
        except ValueError:  # of what the lab was made with, JSON has no words
            return {}
        return {"scenario": scenario.to_json(), "code": scenario.code()}


def _counts(seen: Iterable[Stretch]) -> dict[str, Json]:
    """How many writes ended in which way."""
    counts = {"acknowledged": 0, "failed": 0, "lost": 0}
    for each in seen:
        counts[each.outcome] += each.count
    return {**counts}


class SentinelView(LabView):
    """Servers, Sentinels, and what happened on one time axis."""

    watch: SentinelWatch

    def __init__(self, watch: SentinelWatch) -> None:
        super().__init__(watch, watch.recorder)
        self._first = watch.lab

    @property
    def lab(self) -> SentinelLab:
        """The lab that it shows: the one that it was made for, or the latest fork."""
        return self.watch.lab

    def fork(self, time: float | None = None) -> SentinelLab:
        """Go back to a moment, and on from there with a new lab that has the same past.

        The lab that was shown so far stays as it is, for the cells that know it.

        Args:
            time: in seconds of the lab's clock; None is now.

        Raises:
            WorldError: outside `sim`, where a run cannot be had again.
        """
        self._check_sim()
        before = self.lab.scenario()
        self._play_out(before, before.seconds if time is None else time)
        self.tell(f"Forked at {self.lab.now:.2f} s. What you see is view.lab; lab is as it was.")
        return self.lab

    def load(self, scenario: Scenario | str | bytes) -> SentinelLab:
        """Show a scenario's lab, brought to the scenario's end; the lab shown so far stays.

        Args:
            scenario: as such, or as JSON.

        Raises:
            ValueError: it is no scenario; the message says in a line what is wrong.
            WorldError: outside `sim`, where it would take as long as it took.
        """
        self._check_sim()
        if not isinstance(scenario, Scenario):
            scenario = Scenario.from_json(scenario)
        self._play_out(scenario, None)
        self.tell(f"Imported a scenario of {self.lab.now:.2f} s. What you see is view.lab.")
        return self.lab

    def _check_sim(self) -> None:
        if self._closed.is_set():
            raise RuntimeError("this view is closed: run its cell again")
        if self.lab.world != "sim":
            raise WorldError(
                f"a run of the world {self.lab.world!r} cannot be had again in no time, as in 'sim'"
            )

    def _play_out(self, scenario: Scenario, until: float | None) -> None:
        with registry.apart():
            lab = scenario.start("sim")
        try:
            lab.watch.replay(scenario, until)
        except BaseException:
            lab.close()
            raise
        self._first.adopt(lab)
        self.go_on_with(lab.watch, lab.watch.recorder)

    def receive(self, message: dict[str, Any]) -> None:
        """The reader wants to fork or to import, or what every view of a lab understands."""
        kind = message.get("type")
        if kind == "fork":
            self._take_along("Fork from here", lambda: self.fork(float(message["time"])))
        elif kind == "load":
            self._take_along("Import scenario", lambda: self.load(str(message["text"])))
        else:
            super().receive(message)

    def _take_along(self, label: str, action: Callable[[], object]) -> None:
        """Do what a button under the drawing says, and tell there what went wrong."""
        try:
            action()
        except Exception as error:
            self.tell(f"{label}: " + " ".join(f"{error}".split()))

    def rows(self) -> list[list[Any]]:
        """Buttons for a node, for a link, for time, for clients."""
        return [
            self.node_row(),
            [
                *self.link_row(),
                self.button("failover", self._failover, "SENTINEL FAILOVER, of the chosen one"),
            ],
            [
                *self.time_controls(),
                self.button("run 1 s", lambda: self.watch.run_for(1.0), "let a second pass"),
                self.button("run 10 s", lambda: self.watch.run_for(10.0), "let ten seconds pass"),
            ],
            [
                self.button("start a client", self._start_writer, "one that writes"),
                self.button(
                    "find lost writes",
                    self._find_lost,
                    "compare with the master's data",
                ),
            ],
        ]

    def _start_writer(self) -> None:
        self.watch.start_writer()

    def _find_lost(self) -> None:
        self.watch.find_lost()

    def _failover(self) -> None:
        """Ask the Sentinel that is chosen; if a server is, the first one that runs."""
        states = self.watch.lab.snapshot().sentinels
        running = [each.name for each in states if each.up]
        chosen = [self.node] if self.node in {each.name for each in states} else running
        self.watch.failover(chosen[0] if chosen else None)


@fallback_for("sentinel")
def _sentinel_fallback(recording: Recording) -> str:
    if not recording.frames:
        return "<p>Nothing was recorded.</p>"
    state = recording.frames[-1].state
    writes = state["writes"]
    counts = writes if isinstance(writes, dict) else {}
    said = (
        f"<p>The Sentinels name {html.escape(str(state['master'])) or 'nobody'} as the master."
        f" Writes: {cell_text(counts['acknowledged'])} acknowledged,"
        f" {cell_text(counts['failed'])} failed, {cell_text(counts['lost'])} found lost.</p>"
    )
    shown = ("name", "state", "master", "s_down", "o_down", "config_epoch", "leader", "failover")
    head = ("Sentinel", "state", "master", "s_down", "o_down", "epoch", "voted for", "failover")
    servers = ("name", "state", "role", "follows", "link", "offset")
    return (
        said
        + table_html(head, _rows(state["sentinels"], shown), numbers=(5,))
        + table_html(("server", *servers[1:]), _rows(state["nodes"], servers), numbers=(5,))
    )


def _rows(listed: Json, names: Sequence[str]) -> list[list[str]]:
    if not isinstance(listed, list | tuple):
        return []
    return [[cell_text(each[name]) for name in names] for each in listed if isinstance(each, dict)]
