"""The views of a master and its replicas: who follows whom, and what the backlog still holds.

`ReplicationWatch` is the logic: it takes snapshots of a `ReplicationLab`, turns them into frames of
two recordings, and does what the buttons do, all through the lab; so it works wherever the lab does
and on real Redis. `TopologyView` and `BacklogView` put the two into a notebook, with the same
buttons. What is shown are the fields of INFO's replication section.

A node that does not answer is shown with the last that it said of itself.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from redislab.labs.replication import Follower, ReplicationLab, ReplicationSnapshot
from redislab.labs.sentinelstate import SentinelSnapshot
from redislab.labs.snapshot import NodeSnapshot
from redislab.views.fallback import cell_text, fallback_for, line_chart_svg, table_html
from redislab.views.labview import SAMPLE_SECONDS, SAMPLES_MAX, LabView, LabWatch
from redislab.views.recording import Frame, Json, Recorder, Recording

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
    snapshot: ReplicationSnapshot | SentinelSnapshot, before: Mapping[str, NodeState]
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


class ReplicationWatch(LabWatch):
    """Watches a lab and does what the buttons of its views say.

    Attributes:
        topology: the recorder of who follows whom.
        backlog: the recorder of the ring.
    """

    lab: ReplicationLab

    def __init__(self, lab: ReplicationLab) -> None:
        super().__init__(lab)
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
            self.add(self.topology, Frame(time, topology))
            self.add(self.backlog, Frame(time, asdict(self._ring)))

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
        self.let_pass(seconds)

    # -- inside ------------------------------------------------------------------------------------

    def _recorder(self, kind: str, title: str) -> Recorder:
        return Recorder(kind, title, now=lambda: self.lab.now, sample=dict, frames_max=FRAMES_MAX)

    def _sample_after(self, gap: float) -> None:
        """Record a frame if the last one is so long ago."""
        last = self.topology.last
        if last is None or self.lab.now - last.time >= gap - 1e-6:
            self.sample()


class _ReplicationView(LabView):
    """A view of a watch, with its buttons."""

    watch: ReplicationWatch

    def __init__(self, watch: ReplicationWatch, recorder: Recorder) -> None:
        super().__init__(watch, recorder)
        self._rate: Any = None

    def rows(self) -> list[list[Any]]:
        """Buttons for a node, for a link, for writes and time."""
        import ipywidgets

        watch = self.watch
        self._rate = ipywidgets.SelectionSlider(
            options=[(f"{rate // 1000} kB/s", rate) for rate in WRITE_RATES],
            value=WRITE_RATE,
            description="writes", continuous_update=False,
        )  # fmt: skip

        def run(seconds: float) -> None:
            watch.run_for(seconds, float(self._rate.value))

        return [
            self.node_row(),
            self.link_row(),
            [
                self._rate,
                *self.time_controls(),
                self.button("run 1 s", lambda: run(1.0), "let a second pass, writing"),
                self.button("run 10 s", lambda: run(10.0), "let ten seconds pass, writing"),
                self.button("write 1,000 keys", watch.write_keys, "1,000 SET to the master"),
            ],
        ]

    def pass_time(self, seconds: float) -> None:
        """Let a short time pass, writing."""
        rate = 0.0 if self._rate is None else float(self._rate.value)
        lab = self.watch.lab
        self.watch.tick(seconds, (lambda span: lab.write_for(span, rate)) if rate else None)


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
