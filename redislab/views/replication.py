"""The views of a master and its replicas: who follows whom, and what the backlog still holds.

`ReplicationWatch` is the logic: it takes snapshots of a `ReplicationLab`, turns them into frames of
two recordings, and does what the buttons do, all through the lab; so it works wherever the lab does
and on real Redis. `TopologyView` and `BacklogView` put the two into a notebook, with the same
buttons. What is shown are the fields of INFO's replication section.

A node that does not answer is shown with the last that it said of itself.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from threading import Event as Flag
from threading import RLock, Thread
from typing import Any

from redislab.labs.replication import Follower, ReplicationLab, ReplicationSnapshot
from redislab.labs.snapshot import NodeSnapshot
from redislab.views.display import View
from redislab.views.fallback import cell_text, fallback_for, line_chart_svg, table_html
from redislab.views.recording import Frame, Json, Recorder, Recording

SAMPLE_SECONDS = 0.25  # between two frames while time passes
SAMPLES_MAX = 240  # of one `run_for`: a long wait is sampled more coarsely
FRAMES_MAX = 300  # of one recording: a frame of four nodes is about 600 bytes of JSON
KEYS_AT_ONCE = 1000  # what the button writes
WRITE_RATES = (0, 1_000, 10_000, 50_000, 100_000, 500_000)  # bytes a second, on the slider
WRITE_RATE = 50_000  # where the slider begins


@dataclass(frozen=True)
class NodeState:
    """One node in one frame.

    Attributes:
        name: its name in the lab.
        state: what the lab did to it: "running", "paused", "killed" ...
        role: "master" or "replica".
        offset: of the stream, in bytes: written by a master, taken in by a replica.
        keys: in all databases.
        follows: the name of a replica's master; "" for a master.
        link: "up" or "down", as the replica says; "" for a master.
        syncing: it is receiving the whole data set.
        behind: bytes that its master has written and it has not; None where that is not known.
        lag: seconds since its master heard of it; None if the master does not list it.
    """

    name: str
    state: str
    role: str = ""
    offset: int = 0
    keys: int = 0
    follows: str = ""
    link: str = ""
    syncing: bool = False
    behind: int | None = None
    lag: int | None = None


@dataclass(frozen=True)
class RingPlace:
    """A replica's place on the ring of the backlog.

    Attributes:
        name: its name.
        offset: the last byte of the stream that it has.
        connected: its master lists it.
        cut: something is cut between it and the master.
        room: bytes that may still be written before the byte that it needs next is overwritten;
            negative if it is, by that many bytes.
    """

    name: str
    offset: int
    connected: bool
    cut: bool
    room: int


@dataclass(frozen=True)
class RingState:
    """A master's backlog in one frame.

    Attributes:
        master: whose it is; "" if there is no master.
        active: whether there is a backlog yet.
        size: bytes that it can hold.
        first: offset of the oldest byte in it.
        length: bytes in it.
        offset: of the last byte written to the stream.
        replicas: who follows this master.
    """

    master: str = ""
    active: bool = False
    size: int = 0
    first: int = 0
    length: int = 0
    offset: int = 0
    replicas: tuple[RingPlace, ...] = ()


def node_states(
    snapshot: ReplicationSnapshot, before: Mapping[str, NodeState]
) -> tuple[NodeState, ...]:
    """The nodes of a snapshot; `before` tells what those said last that do not answer now."""
    followers = {each.name: each for each in snapshot.followers}
    known = {
        node.name: _node_state(node, followers.get(node.name), before.get(node.name))
        for node in snapshot.nodes
    }
    answer = {node.name for node in snapshot.nodes if node.up}
    return tuple(
        state if name in answer else replace(state, behind=_behind(state, known.get(state.follows)))
        for name, state in known.items()
    )


def _node_state(
    node: NodeSnapshot, follower: Follower | None, before: NodeState | None
) -> NodeState:
    state = node.state if node.up or node.state != "running" else "silent"
    if not node.up:
        known = {} if before is None else asdict(before)
        return NodeState(**{**known, "name": node.name, "state": state, "lag": None})
    if follower is None:
        offset = int(node.info.get("master_repl_offset", 0))
        return NodeState(node.name, state, "master", offset, node.keys)
    return NodeState(
        name=node.name,
        state=state,
        role="replica",
        offset=follower.offset,
        keys=node.keys,
        follows=follower.master,
        link=follower.link,
        syncing=follower.syncing,
        behind=follower.behind,
        lag=follower.lag,
    )


def _behind(replica: NodeState, master: NodeState | None) -> int | None:
    """How far behind a replica that does not answer is: its master may have gone on."""
    if master is None or master.state != "running" or replica.state not in {"paused", "silent"}:
        return None
    return max(0, master.offset - replica.offset)


def ring_state(snapshot: ReplicationSnapshot, nodes: Iterable[NodeState]) -> RingState:
    """The backlog of the snapshot's master, and where its replicas are on it.

    A replica goes on without a full resynchronization while the byte after its last one is in the
    backlog, or the next to come (`masterTryPartialResynchronization` in Redis).
    """
    if not snapshot.master:
        return RingState()
    info = snapshot.node(snapshot.master).info
    size, offset = int(info.get("repl_backlog_size", 0)), int(info.get("master_repl_offset", 0))
    active = bool(int(info.get("repl_backlog_active", 0)))
    first = int(info.get("repl_backlog_first_byte_offset", 0))
    length = int(info.get("repl_backlog_histlen", 0))
    places = tuple(
        RingPlace(
            name=node.name,
            offset=node.offset,
            connected=node.lag is not None,
            cut=any({node.name, snapshot.master} == set(pair) for pair in snapshot.cuts),
            # Until it is full the backlog grows, and nothing is overwritten.
            room=node.offset + 1 - first + (size - length),
        )
        for node in nodes
        if node.follows == snapshot.master
    )
    return RingState(snapshot.master, active, size, first, length, offset, places)


class ReplicationWatch:
    """Watches a lab and does what the buttons of its views say.

    Attributes:
        topology: the recorder of who follows whom.
        backlog: the recorder of the ring.
    """

    def __init__(self, lab: ReplicationLab) -> None:
        self.lab = lab
        self._lock = RLock()  # the thread that watches and the cell that acts both take frames
        self._nodes: dict[str, NodeState] = {}
        self._ring = RingState()
        self._state: dict[str, Json] = {}
        self._number = 0  # of keys written by the button
        self.topology = self._recorder("replication", "A master and its replicas")
        self.backlog = self._recorder("backlog", "The replication backlog of the master")

    def sample(self) -> None:
        """Record a frame of both recordings now."""
        with self._lock:
            snapshot = self.lab.snapshot()
            nodes = node_states(snapshot, self._nodes)
            self._nodes = {node.name: node for node in nodes}
            self._ring = ring_state(snapshot, nodes)
            time = snapshot.time
            topology: dict[str, Json] = {
                "master": snapshot.master,
                "nodes": [asdict(node) for node in nodes],
                "cuts": [list(pair) for pair in snapshot.cuts],
                "delays": [list(delay) for delay in snapshot.delays],
            }
            self._add(self.topology, Frame(time, topology))
            self._add(self.backlog, Frame(time, asdict(self._ring)))

    # -- what the buttons do -----------------------------------------------------------------------

    def write_keys(self, count: int = KEYS_AT_ONCE, size: int = 100) -> None:
        """SET `count` new keys with values of `size` bytes on the master.

        Raises what redis-py raises when the master does not answer.
        """
        pipeline = self.lab.client().pipeline(transaction=False)
        for _ in range(count):
            pipeline.set(f"new:{self._number:08d}", b"x" * size)
            self._number += 1
        pipeline.execute()
        self.sample()

    def kill(self, node: str) -> None:
        """`kill -9` a node."""
        self._do(lambda: self.lab.kill(node))

    def restart(self, node: str) -> None:
        """Start it again at the same address."""
        self._do(lambda: self.lab.restart(node))

    def pause(self, node: str) -> None:
        """Let its process stand still."""
        self._do(lambda: self.lab.pause(node))

    def resume(self, node: str) -> None:
        """Let it go on."""
        self._do(lambda: self.lab.resume(node))

    def cut(self, a: str, b: str) -> None:
        """Let nothing through between two hosts."""
        self._do(lambda: self.lab.cut(a, b))

    def delay(self, a: str, b: str, seconds: float) -> None:
        """Let everything between two hosts take longer."""
        self._do(lambda: self.lab.delay(a, b, seconds))

    def heal(self) -> None:
        """Undo every cut and delay."""
        self._do(self.lab.heal)

    def run_for(self, seconds: float, bytes_per_second: float = 0.0, **options: Any) -> None:
        """Let time pass, with a client that writes at this rate, recording as it does.

        Args:
            seconds: how long, on the lab's clock.
            bytes_per_second: of the replication stream; 0 for no writes.
            options: further ones of `ReplicationLab.write_for`.
        """
        if bytes_per_second:
            gap = max(SAMPLE_SECONDS, seconds / SAMPLES_MAX)
            self.lab.write_for(
                seconds, bytes_per_second, on_step=lambda: self._sample_after(gap), **options
            )
            self.sample()
            return
        steps = max(1, min(SAMPLES_MAX, round(seconds / SAMPLE_SECONDS)))
        for _ in range(steps):
            self.lab.run_for(seconds / steps)
            self.sample()

    # -- inside ------------------------------------------------------------------------------------

    def _recorder(self, kind: str, title: str) -> Recorder:
        return Recorder(kind, title, now=lambda: self.lab.now, sample=dict, frames_max=FRAMES_MAX)

    def _add(self, recorder: Recorder, frame: Frame) -> None:
        recorder.take_events(self.lab.events)
        last = recorder.last
        # In `sim` time stands still between cells but for the asking itself: nothing has changed.
        if last is None or last.state != frame.state or frame.time - last.time > SAMPLE_SECONDS / 2:
            recorder.add(frame)

    def _sample_after(self, gap: float) -> None:
        """Record a frame if the last one is so long ago."""
        last = self.topology.last
        if last is None or self.lab.now - last.time >= gap - 1e-6:
            self.sample()

    def _do(self, action: Callable[[], object]) -> None:
        self.sample()
        action()
        self.sample()


class _ReplicationView(View):
    """A view of a watch: its buttons, and the thread that keeps looking where time goes by itself.

    In `live` and `redis` a thread takes a frame every quarter of a second until `close`; in `sim`,
    where time stands still between cells, frames are taken as time is made to pass.
    """

    def __init__(self, watch: ReplicationWatch, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.watch = watch
        self._closed = Flag()
        self._status: Any = None
        self._node: Any = None
        self._link: Any = None
        self._rate: Any = None
        self._steps_time = watch.lab.world == "sim"
        watch.sample()
        if not self._steps_time:
            Thread(target=self._keep_sampling, name="redislab-view", daemon=True).start()

    def close(self) -> None:
        """Take no more frames; what was recorded stays on show."""
        self._closed.set()
        self.publish()
        super().close()

    def open_at(self, time: float) -> None:
        """Let a page open on what was recorded at this time; seconds of the lab's clock."""
        frames = self.recording.frames
        before = [at for at, frame in enumerate(frames) if frame.time <= time]
        self.recorder.set_meta(open=before[-1] if before else 0)

    def refresh(self) -> None:
        """Take a frame after a cell that did something to the lab itself."""
        if not self._closed.is_set() and not self.watch.lab.closed:
            self.watch.sample()

    def controls(self) -> list[Any]:
        """Buttons for a node, for a link, for writes and time; none for a view that is closed."""
        import ipywidgets

        if self._closed.is_set():
            return []
        watch, names = self.watch, list(self.watch.lab.nodes)
        links = [f"{a} - {b}" for at, a in enumerate(names) for b in names[at + 1 :]]
        links += [f"client - {name}" for name in names]
        self._node = ipywidgets.Dropdown(options=names, description="node")
        self._link = ipywidgets.Dropdown(options=links, description="link")
        self._rate = ipywidgets.SelectionSlider(
            options=[(f"{rate // 1000} kB/s", rate) for rate in WRITE_RATES],
            value=WRITE_RATE,
            description="writes", continuous_update=False,
        )  # fmt: skip
        self._status = ipywidgets.HTML()

        def node() -> str:
            return str(self._node.value)

        def cut() -> None:
            a, b = str(self._link.value).split(" - ")
            watch.cut(a, b)

        def run(seconds: float) -> None:
            watch.run_for(seconds, float(self._rate.value))

        rows = [
            [
                self._node,
                self._button("kill -9", lambda: watch.kill(node()), "kill the process"),
                self._button("restart", lambda: watch.restart(node()), "start it again"),
                self._button("pause", lambda: watch.pause(node()), "SIGSTOP: it stands still"),
                self._button("resume", lambda: watch.resume(node()), "SIGCONT"),
            ],
            [
                self._link,
                self._button("cut", cut, "let nothing through"),
                self._button("heal all", watch.heal, "undo every cut and delay"),
            ],
            [
                self._rate,
                self._button("run 1 s", lambda: run(1.0), "let a second pass, writing"),
                self._button("run 10 s", lambda: run(10.0), "let ten seconds pass, writing"),
                self._button("write 1,000 keys", watch.write_keys, "1,000 SET to the master"),
            ],
        ]
        layout = ipywidgets.Layout(display="flex", flex_flow="row wrap")
        return [*(ipywidgets.Box(row, layout=layout) for row in rows), self._status]

    def receive(self, message: dict[str, Any]) -> None:
        """The reader pressed a node or a link in the drawing: the buttons are for it now."""
        chosen, field = str(message.get("target", "")), self._node
        if " - " in chosen:
            field = self._link
            a, b = chosen.split(" - ", 1)
            chosen = chosen if chosen in field.options else f"{b} - {a}"
        if field is not None and chosen in field.options:
            field.value = chosen

    def _button(self, label: str, action: Callable[[], None], tooltip: str) -> Any:
        import ipywidgets

        button = ipywidgets.Button(
            description=label, tooltip=tooltip, layout=ipywidgets.Layout(width="auto")
        )
        button.on_click(lambda _: self._press(label, action))
        return button

    def _press(self, label: str, action: Callable[[], None]) -> None:
        """Do what a button says; what goes wrong is the lesson, so say it and go on."""
        said = ""
        try:
            action()
        except Exception as error:
            said = f"<b>{html.escape(label)}</b>: {html.escape(f'{type(error).__name__}: {error}')}"
        self._status.value = said

    def _keep_sampling(self) -> None:
        while not self._closed.wait(SAMPLE_SECONDS) and not self.watch.lab.closed:
            with suppress(Exception):  # the lab was closed between two frames
                self.watch.sample()


class TopologyView(_ReplicationView):
    """Who follows whom, how far behind, and what the network does to them."""

    def __init__(self, watch: ReplicationWatch) -> None:
        super().__init__(watch, watch.topology)


class BacklogView(_ReplicationView):
    """The backlog as a ring, with everyone's place on it."""

    def __init__(self, watch: ReplicationWatch) -> None:
        super().__init__(watch, watch.backlog)


def replication_view(watch: ReplicationWatch, kind: str) -> _ReplicationView:
    """A view of a watch by its name; raises ValueError for a name that is none."""
    kinds = {"topology": TopologyView, "backlog": BacklogView}
    if kind not in kinds:
        raise ValueError(f"a replication lab has the views {', '.join(kinds)}, not {kind!r}")
    return kinds[kind](watch)


@fallback_for("replication")
def _topology_fallback(recording: Recording) -> str:
    last = recording.frames[-1].state if recording.frames else {}
    nodes = _dicts(last.get("nodes"))
    rows = [
        (
            str(node["name"]),
            str(node["role"]),
            str(node["state"]),
            str(node["follows"]),
            str(node["link"]),
            f"{_whole(node['offset']):,}",
            "" if node["behind"] is None else f"{_whole(node['behind']):,}",
        )
        for node in nodes
    ]
    points = [
        (frame.time, float(max((_whole(n["behind"]) for n in _dicts(frame.state["nodes"])),
                               default=0)))
        for frame in recording.frames
    ]  # fmt: skip
    top = max((value for _, value in points), default=0.0)
    chart = line_chart_svg(
        points,
        alt=f"Bytes that the last replica was behind, over {recording.seconds:g} seconds: at "
        f"most {top:,.0f}",
        low=f"{recording.seconds:g} s",
        high=f"{top:,.0f} bytes behind",
    )
    head = ("node", "role", "state", "follows", "link", "offset", "bytes behind")
    return chart + table_html(head, rows, numbers=(5, 6))


@fallback_for("backlog")
def _backlog_fallback(recording: Recording) -> str:
    last = recording.frames[-1].state if recording.frames else {}
    size, first, length = (_whole(last.get(name)) for name in ("size", "first", "length"))
    said = (
        f"<p>{html.escape(str(last.get('master', '')))} keeps {length:,} of at most {size:,} bytes "
        f"of its stream, from byte {first:,} to byte {first + length - 1:,}.</p>"
    )
    rows = [
        (str(place["name"]), cell_text(place["connected"]), f"{_whole(place['offset']):,}",
         f"{_whole(place['room']):,}")
        for place in _dicts(last.get("replicas"))
    ]  # fmt: skip
    return said + table_html(("replica", "connected", "offset", "room"), rows, numbers=(2, 3))


def _dicts(value: Json) -> list[dict[str, Json]]:
    if not isinstance(value, list | tuple):
        return []
    return [item for item in value if isinstance(item, dict)]


def _whole(value: Json) -> int:
    return int(value) if isinstance(value, int | float) else 0
