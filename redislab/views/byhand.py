"""The view of a failover by hand: servers, a client that knows one address, and a running clock.

`HandWatch` is the logic: it makes an incident (one replica falls behind, then the master dies under
a client that writes), does what a person does about it, one step after the other, and counts in the
end what it has cost. What is told of a server without asking is what any monitoring tells: that it
is up, and its role. Offsets and links are those of the last time that somebody looked.

`HandView` puts it into a notebook, with a button for each step. In `live` and `redis` the clock is
the reader's own. In `sim`, where time stands still between cells, as much of it passes as the
reader took before pressing the next button.
"""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from redislab.labs.base import Named
from redislab.labs.byhand import (
    SETTLE_SECONDS,
    FixedWriter,
    Run,
    Step,
    failures_of,
    longest_silence,
    run_of,
    settle,
    silent_since,
)
from redislab.labs.replication import ReplicationLab, ReplicationSnapshot
from redislab.views.fallback import cell_text, fallback_for, table_html
from redislab.views.labview import LabView, LabWatch
from redislab.views.recording import TIME_DIGITS, Frame, Json, Recorder, Recording
from redislab.views.replication import NodeState, node_states
from redislab.views.sentinel import Stretch, stretches
from redislab.views.tables import Table
from redislab.worlds.base import Event

FRAMES_MAX = 240
QUIET_SECONDS = 0.7  # of an incident, before anything goes wrong
FIRST_SECONDS = 0.2  # after a fault or a step, in which the first writes tell what came of it
BEHIND_SECONDS = (0.5, 3.0)  # how long a replica is cut off before the master dies
THINK_SECONDS_MAX = 120.0  # in `sim`, what a reader is charged at most for one step

# What the lab's own events tell already.
_TOLD_BY_THE_LAB = frozenset({"kill", "restart"})


@dataclass(slots=True)
class Incident:
    """A master that dies, and what is done about it.

    Attributes:
        number: counted from 1.
        began: when the client began to write, in seconds of the lab's clock.
        master: the server that dies.
        writer: the client.
        fault: when the master died; None before.
        steps: what was done since.
        lost: of the lost writes, when that was found out and why, by key.
        run: how it went; None until that was counted.
        ended: when that was.
    """

    number: int
    began: float
    master: str
    writer: FixedWriter
    fault: float | None = None
    steps: list[Step] = field(default_factory=list)
    lost: dict[str, tuple[float, str]] = field(default_factory=dict)
    run: Run | None = None
    ended: float = 0.0

    def seen(self) -> list[Stretch]:
        """What became of the client's writes so far."""
        return stretches(self.writer.name, list(self.writer.writes), self.lost)


class HandWatch(LabWatch):
    """Makes incidents, and does by hand what is to be done about them.

    Args:
        lab: a master and its replicas. So that a server that comes back has its data, let it have
            `appendonly yes`.
        rate: writes a second of the client.
        boot_seconds: how long the machine of the dead master takes until it can be started.

    Attributes:
        recorder: of what is seen.
        incidents: all there were.
    """

    lab: ReplicationLab

    def __init__(
        self, lab: ReplicationLab, *, rate: float = 25.0, boot_seconds: float = 10.0
    ) -> None:
        super().__init__(lab)
        self.rate = rate
        self.boot_seconds = boot_seconds
        self.incidents: list[Incident] = []
        self._done: list[Stretch] = []  # of incidents that are over
        self._looked: dict[str, dict[str, Json]] = {}
        self.recorder = Recorder(
            "byhand",
            "A failover by hand",
            now=lambda: self.lab.now,
            sample=dict,
            meta={"writes": [], "runs": []},
            frames_max=FRAMES_MAX,
        )

    @property
    def incident(self) -> Incident | None:
        """The one that is under way, or the last one."""
        return self.incidents[-1] if self.incidents else None

    @property
    def runs(self) -> list[Run]:
        """How those went that are over."""
        return [each.run for each in self.incidents if each.run is not None]

    def scoreboard(self) -> Table:
        """All runs, one row each."""
        rows = tuple(
            (number, run.heir, round(run.downtime, 1), run.failed, len(run.lost))
            for number, run in enumerate(self.runs, 1)
        )
        head = ("run", "promoted", "downtime (s)", "failed", "lost")
        return Table(head, rows, caption="Your runs")

    # -- what goes wrong -----------------------------------------------------------------------

    def begin(self, behind: Named | None = None, behind_seconds: float | None = None) -> Incident:
        """Bring the servers in step, let a client write, cut one replica off, kill the master.

        Args:
            behind: the replica that falls behind; None leaves it to chance.
            behind_seconds: for how long nothing gets from the master to it; None likewise.

        Raises:
            RuntimeError: the last incident is not over.
            TimeoutError: the servers did not come in step.
        """
        if self.incident is not None and self.incident.run is None:
            raise RuntimeError("the last incident is not over: count the losses first")
        master = self._in_step()
        number = len(self.incidents) + 1
        chance = Random(f"incident/{self.lab.seed}/{number}")
        others = [name for name in self.lab.nodes if name != master]
        late = chance.choice(others) if behind is None else self.lab.find(behind).name
        drawn = round(chance.uniform(*BEHIND_SECONDS), 1)
        seconds = drawn if behind_seconds is None else behind_seconds
        began = self.lab.now
        writer = FixedWriter(self.lab, master, name=f"order-{number}", rate=self.rate)
        incident = Incident(number, began, master, writer)
        self.incidents.append(incident)
        self._look()
        self.sample()
        self.let_pass(QUIET_SECONDS)
        self.lab.cut(master, late)
        self.let_pass(seconds)
        incident.fault = self.lab.now
        self.do(lambda: self.lab.kill(master))
        self.let_pass(FIRST_SECONDS)
        return incident

    def _in_step(self) -> str:
        """Repair everything, let all follow one master, and say which."""
        self.lab.heal()
        for handle in self.lab.nodes.values():
            if self.lab.snapshot().node(handle).state != "running":
                self._start(handle)
        previous = self.incident
        master = self.lab.master.name if previous is None else previous.writer.address
        # It may be a replica: of one that was started again as what it was before.
        if self.lab.snapshot().node(master).role != "master":
            self.lab.promote(master)
        for name in self.lab.nodes:
            if name != master and self._follows(name) != master:
                self.lab.follow(name, master)
        settle(self.lab, master)
        return master

    def _start(self, node: Named) -> None:
        """Start a server, and wait until it has loaded its data: until then it refuses commands."""
        self.lab.restart(node)
        self.lab.wait_until(
            lambda now: now.node(node).info.get("loading") == 0, timeout=SETTLE_SECONDS
        )

    def _follows(self, name: str) -> str:
        followers = {one.name: one.master for one in self.lab.snapshot().followers}
        return followers.get(name, "")

    # -- what is done about it -----------------------------------------------------------------

    def think(self, seconds: float) -> None:
        """Let time pass, as it does while a person reads and types."""
        self.let_pass(seconds)

    def look(self) -> dict[str, dict[str, Json]]:
        """INFO replication of every server: what they say of their offsets and links."""
        self._step("look", "", self._look)
        return dict(self._looked)

    def promote(self, node: Named) -> None:
        """REPLICAOF NO ONE."""
        self._step("promote", node, lambda: self.lab.promote(node))

    def follow(self, node: Named, master: Named) -> None:
        """REPLICAOF: the server follows that one."""
        self._step("follow", node, lambda: self.lab.follow(node, master), str(master))

    def point(self, node: Named) -> None:
        """Give the client the address of this server."""
        incident = self._under_way()
        self._step("point", node, lambda: incident.writer.point_at(node))

    def restart(self, node: Named) -> None:
        """Start a dead server again, if its machine is there, and repair its cables.

        Raises:
            RuntimeError: the machine is not there yet.
        """
        incident = self._under_way()
        left = (incident.fault or 0.0) + self.boot_seconds - self.lab.now
        if str(node) == incident.master and left > 0:
            raise RuntimeError(f"the machine does not answer yet, for {left:.0f} s more")

        def start() -> None:
            self.lab.heal()
            self._start(node)

        self._step("restart", node, start)

    def finish(self) -> Run:
        """End the incident, and count what it has cost.

        Raises:
            RuntimeError: no incident is under way.
            redis.RedisError: the server at the client's address does not answer.
        """
        incident = self._under_way()
        fault = incident.began if incident.fault is None else incident.fault
        run = run_of(incident.writer, incident.master, began=fault, steps=incident.steps)
        incident.writer.stop()
        with self._lock:
            incident.ended = self.lab.now
            incident.lost = dict.fromkeys(run.lost, (incident.ended, f"not at {run.heir}"))
            incident.run = run
            self._done += incident.seen()
            told: list[Json] = [_run_row(each) for each in self.incidents]
            self.recorder.set_meta(runs=told)
        self.sample()
        return run

    def _under_way(self) -> Incident:
        if self.incident is None or self.incident.run is not None:
            raise RuntimeError("no incident is under way: begin one")
        return self.incident

    def _step(self, what: str, node: Named, action: Callable[[], object], detail: str = "") -> None:
        """Do something by hand, and note it when it was done."""
        incident = self._under_way()
        self.sample()
        action()
        incident.steps.append(Step(self.lab.now, what, str(node), detail))
        self.sample()

    # -- what is seen --------------------------------------------------------------------------

    def sample(self) -> None:
        """Record a frame now."""
        with self._lock:
            snapshot = self.lab.snapshot()
            incident = self.incident
            over = incident is None or incident.run is not None
            seen = self._done if over else [*self._done, *(incident.seen() if incident else [])]
            writes: list[Json] = [asdict(each) for each in seen]
            if writes != self.recorder.meta["writes"]:
                self.recorder.set_meta(writes=writes)
            self.recorder.take_events(self._events())
            state: dict[str, Json] = {"nodes": self._nodes(snapshot), **self._client(snapshot.time)}
            last = self.recorder.last
            # Between two incidents nothing happens, however long that is.
            if last is None or last.state != state or not over:
                self.recorder.add(Frame(snapshot.time, state))

    def _nodes(self, snapshot: ReplicationSnapshot) -> list[Json]:
        return [
            {
                "name": each.name,
                "state": each.state,
                "role": each.role,
                "follows": each.follows,
                "seen": self._looked.get(each.name),
            }
            for each in node_states(snapshot, {})
        ]

    def _client(self, now: float) -> dict[str, Json]:
        incident = self.incident
        if incident is None:
            return {"client": "", "began": now, "fault": None, "silent": None, "downtime": 0.0,
                    "acknowledged": 0, "failed": 0, "lost": 0, "over": True}  # fmt: skip
        writes = list(incident.writer.writes)
        run = incident.run
        silent = None if run is not None else silent_since(writes)
        begin, end = longest_silence(writes, now) if run is None else (0.0, run.downtime)
        acknowledged = sum(write.acknowledged for write in writes)
        lost = len(incident.lost)
        return {
            "client": incident.writer.address,
            "began": round(incident.began, TIME_DIGITS),
            "fault": None if incident.fault is None else round(incident.fault, TIME_DIGITS),
            "silent": None if silent is None else round(silent, TIME_DIGITS),
            # A write every 40 ms leaves a silence of 40 ms; that is none.
            "downtime": round(end - begin, 3) if end - begin > 2 / self.rate else 0.0,
            "acknowledged": acknowledged - lost,
            "failed": failures_of(writes).total(),
            "lost": lost,
            "over": run is not None,
        }

    def _events(self) -> list[Event]:
        """What happened since the first incident began: what the lab tells, and the steps."""
        begun = self.incidents[0].began if self.incidents else self.lab.now
        told = [event for event in self.lab.events if event.time >= begun]
        done = [
            Event(step.time, step.node, step.what, step.detail and f"to {step.detail}")
            for each in self.incidents
            for step in each.steps
            if step.what not in _TOLD_BY_THE_LAB
        ]
        return sorted([*told, *done], key=lambda event: event.time)

    def _look(self) -> None:
        snapshot = self.lab.snapshot()
        for each in node_states(snapshot, {}):
            if each.state == "running":
                self._looked[each.name] = _what_info_says(each, snapshot.time)


def _what_info_says(node: NodeState, now: float) -> dict[str, Json]:
    return {
        "at": round(now, TIME_DIGITS),
        "offset": node.offset,
        "keys": node.keys,
        "link": node.link,
    }


def _run_row(incident: Incident) -> dict[str, Json]:
    run = incident.run
    assert run is not None, "it is over"
    return {
        "number": incident.number,
        "heir": run.heir,
        "downtime": round(run.downtime, 3),
        "failed": run.failed,
        "lost": len(run.lost),
        "at": round(incident.ended, TIME_DIGITS),
    }


class HandView(LabView):
    """Servers, a client and a clock, with a button for each step of a failover.

    Args:
        watch: what it shows.
        clock: tells the reader's own time in seconds; in `sim` it is what a step is charged by.
    """

    watch: HandWatch

    def __init__(self, watch: HandWatch, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(watch, watch.recorder)
        self._clock = clock
        self._pressed = clock()
        self._server: Any = None
        self._master: Any = None

    def rows(self) -> list[list[Any]]:
        """Buttons for the incident, and for what is done about it."""
        import ipywidgets

        watch = self.watch
        names = list(watch.lab.nodes)
        narrow = ipywidgets.Layout(width="14rem")
        self._server = ipywidgets.Dropdown(options=names, description="server", layout=narrow)
        self._master = ipywidgets.Dropdown(
            options=names, description="its master", layout=narrow, value=names[-1]
        )

        def step(label: str, action: Callable[[], object], tooltip: str) -> Any:
            return self.button(label, lambda: self._in_time(action), tooltip)

        return [
            [
                self.button("let the master die", self._begin, "some time from now"),
                step("look", watch.look, "INFO replication of every server"),
            ],
            [
                self._server,
                step("replicaof no one", lambda: watch.promote(self.server), "promote it"),
                step("point the client at it", lambda: watch.point(self.server), "its new address"),
                step("start it again", lambda: watch.restart(self.server), "if it is dead"),
            ],
            [
                self._master,
                step("replicaof its master", lambda: watch.follow(self.server, self.master),
                     "let the server follow this one"),
                step("count the losses", watch.finish, "end the run"),
            ],
        ]  # fmt: skip

    @property
    def server(self) -> str:
        """The server that the buttons are for."""
        return str(self._server.value)

    @property
    def master(self) -> str:
        """The server that it is to follow."""
        return str(self._master.value)

    def receive(self, message: dict[str, Any]) -> None:
        """The reader pressed a server in the drawing: the buttons are for it now."""
        chosen = str(message.get("target", ""))
        if self._server is not None and chosen in self._server.options:
            self._server.value = chosen

    def _begin(self) -> None:
        self.watch.begin()
        self._pressed = self._clock()

    def _in_time(self, action: Callable[[], object]) -> None:
        """Do something after as much time as the reader took for it.

        In `sim` a moment passes after it, on account, so that what came of it is seen.
        """
        took = self._clock() - self._pressed - FIRST_SECONDS
        in_sim = self.watch.lab.world == "sim"
        if in_sim:
            self.watch.think(min(max(took, 0.0), THINK_SECONDS_MAX))
        self._pressed = self._clock()
        action()
        if in_sim:
            self.watch.think(FIRST_SECONDS)
        self._pressed = self._clock()


@fallback_for("byhand")
def _byhand_fallback(recording: Recording) -> str:
    if not recording.frames:
        return "<p>Nothing was recorded.</p>"
    state = recording.frames[-1].state
    said = (
        f"<p>The client writes to {html.escape(str(state['client'])) or 'nobody'}. Its writes:"
        f" {cell_text(state['acknowledged'])} acknowledged, {cell_text(state['failed'])} failed,"
        f" {cell_text(state['lost'])} acknowledged and lost; down for"
        f" {cell_text(state['downtime'])} s.</p>"
    )
    shown = ("name", "state", "role", "follows")
    nodes = table_html(("server", *shown[1:]), _rows(state["nodes"], shown))
    names = ("number", "heir", "downtime", "failed", "lost")
    head = ("run", "promoted", "downtime (s)", "failed", "lost")
    runs = table_html(head, _rows(recording.meta["runs"], names), numbers=(0, 2, 3, 4))
    return said + nodes + runs


def _rows(listed: Json, names: tuple[str, ...]) -> list[list[str]]:
    if not isinstance(listed, list | tuple):
        return []
    return [
        [cell_text(each[name]) for name in names] for each in listed if isinstance(each, Mapping)
    ]
