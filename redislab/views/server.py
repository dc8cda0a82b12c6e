"""The view of one node: clients, keys, memory and speed over time, as INFO tells them.

`ServerWatch` is the logic: it asks a node for INFO, turns the answer into the state of a frame and
does what the buttons do, all through the lab, so it runs wherever the lab runs and against any
Redis.  `ServerView` puts it into a notebook.

Field names are those of the INFO command (sections clients, memory, stats and keyspace).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any

from redislab.views.display import View
from redislab.views.fallback import fallback_for, last_frame_table, line_chart_svg
from redislab.views.recording import Json, Recorder, Recording
from redislab.worlds.base import Event

SAMPLE_EVERY = 0.25  # seconds between two frames while time passes
STEPS_MAX = 400  # frames of one `run_for`: a long wait is sampled more coarsely
LIFE = ("start", "kill", "pause", "resume", "stop", "crash")  # events that say how a node is
KEYS_AT_ONCE = 1000  # what the button writes


@dataclass(frozen=True)
class ServerState:
    """One frame of the server view.

    `used`, `peak`, `rss` and `limit` (maxmemory, 0: none) in bytes; `ops` commands a second
    since the frame before; `commands` in all since the node began.  The connection that
    watches is not counted, neither among the clients nor among the commands.
    """

    up: bool = False
    paused: bool = False
    cut: bool = False
    clients: int = 0
    blocked: int = 0
    keys: int = 0
    used: int = 0
    rss: int = 0
    peak: int = 0
    limit: int = 0
    ops: float = 0.0
    commands: int = 0


def keys_in(info: Mapping[str, Any]) -> int:
    """Keys in all databases, from INFO's keyspace section (redis-py gives dicts for dbN)."""
    return sum(
        int(value["keys"])
        for name, value in info.items()
        if name.startswith("db") and name[2:].isdigit() and isinstance(value, Mapping)
    )


def latest(events: Iterable[Event], node: str | None, kinds: Sequence[str]) -> str:
    """The kind of the last event of these kinds (of this node, if one is named); "" for none."""
    last = ""
    for event in events:
        if event.kind in kinds and (node is None or event.node == node):
            last = event.kind
    return last


def state_from_info(
    info: Mapping[str, Any],
    *,
    before: ServerState | None = None,
    seconds: float = 0.0,
    watchers: int = 1,
    asked: int = 1,
) -> ServerState:
    """The state that an INFO tells of.

    `before` and `seconds` are the frame before and the time since: they give the rate.
    `watchers` connections and `asked` commands since then are the watching itself.
    """
    commands = int(info.get("total_commands_processed", 0))
    ops = 0.0
    if before is not None and seconds > 0 and commands >= before.commands > 0:
        ops = max(commands - before.commands - asked, 0) / seconds
    return ServerState(
        up=True,
        clients=max(int(info.get("connected_clients", 0)) - watchers, 0),
        blocked=int(info.get("blocked_clients", 0)),
        keys=keys_in(info),
        used=int(info.get("used_memory", 0)),
        rss=int(info.get("used_memory_rss", 0)),
        peak=int(info.get("used_memory_peak", 0)),
        limit=int(info.get("maxmemory", 0)),
        ops=round(ops, 1),
        commands=commands,
    )


class ServerWatch:
    """Watches the node of a lab and does what the view's buttons say.

    `lab` is any lab with one node; `info` returns the node's INFO as a mapping, or None where no
    answer came.  How the node is otherwise (paused, cut off) is told by the lab's events.
    """

    def __init__(self, lab: Any, *, info: Callable[[], Mapping[str, Any] | None]) -> None:
        self.lab = lab
        self._info = info
        self._lock = Lock()  # the thread that watches and the cell that acts both take frames
        self._keys_written = 0
        self._writer: Any = None
        self._state = ServerState()
        self._asked_at = 0.0
        name = str(lab.node)
        self.recorder = Recorder(
            "server",
            f"One Redis node: {name}",
            now=lambda: self.lab.now,
            sample=self._sample,
            meta={"node": name, "port": int(lab.node.port)},
        )

    def sample(self) -> None:
        """Record a frame now."""
        with self._lock:
            self.recorder.take_events(self.lab.events)
            self.recorder.sample()

    def write_keys(self, count: int = KEYS_AT_ONCE, size: int = 100) -> None:
        """Write `count` new keys with values of `size` bytes, in pipelines, and record the growth.

        Raises what redis-py raises when the node does not answer.
        """
        if self._writer is None:
            self._writer = self.lab.client()
        parts = 10
        for part in range(parts):
            pipeline = self._writer.pipeline(transaction=False)
            for _ in range(count * part // parts, count * (part + 1) // parts):
                pipeline.set(f"key:{self._keys_written:08d}", b"x" * size)
                self._keys_written += 1
            pipeline.execute()
            self.sample()

    def kill(self) -> None:
        """`kill -9` the node."""
        self._do(self.lab.kill)

    def restart(self) -> None:
        """Start it again at the same address."""
        self._do(self.lab.restart)

    def pause(self) -> None:
        """Let the process stand still."""
        self._do(self.lab.pause)

    def resume(self) -> None:
        """Let it go on."""
        self._do(self.lab.resume)

    def cut(self) -> None:
        """Cut the clients off from the node."""
        self.lab.cut("client", self.lab.node)
        self.sample()

    def heal(self) -> None:
        """Undo the cut."""
        self.lab.heal()
        self.sample()

    def run_for(self, seconds: float) -> None:
        """Let time pass on the lab's clock, recording as it does."""
        steps = max(1, min(STEPS_MAX, round(seconds / SAMPLE_EVERY)))
        for _ in range(steps):
            self.lab.run_for(seconds / steps)
            self.sample()

    def _do(self, action: Callable[[Any], Any]) -> None:
        self.sample()
        action(self.lab.node)
        self.sample()

    def _sample(self) -> dict[str, Json]:
        now = self.lab.now
        paused = latest(self.recorder.events, str(self.lab.node), LIFE) == "pause"
        info = None if paused else self._info()
        if info is not None:
            told = state_from_info(info, before=self._state, seconds=now - self._asked_at)
            self._state = told
            self._asked_at = now
        plain = asdict(self._state)
        plain["up"] = info is not None or paused
        plain["paused"] = paused
        plain["cut"] = latest(self.recorder.events, None, ("cut", "heal")) == "cut"
        if info is None:
            plain["ops"] = 0.0
        if not plain["up"]:
            plain.update(clients=0, blocked=0, keys=0, used=0, rss=0)
        return plain


class ServerView(View):
    """The server view of a lab in a notebook; `lab.view()` makes one.

    In `live` and `redis` a thread takes a frame every quarter of a second until `close`; in `sim`,
    where time stands still between cells, frames are taken as time is made to pass.
    """

    def __init__(self, watch: ServerWatch, *, background: bool = False) -> None:
        super().__init__(watch.recorder)
        self.watch = watch
        self._background = background
        self._closed = Flag()
        self._status: Any = None
        watch.sample()
        if background:
            Thread(target=self._keep_sampling, name="redislab-view", daemon=True).start()

    def close(self) -> None:
        """Take no more frames; what was recorded stays on show."""
        self._closed.set()
        self.publish()
        super().close()

    def refresh(self) -> None:
        """Take a frame after a cell that did something to the lab itself."""
        if not self._closed.is_set() and not self.watch.lab.closed:
            self.watch.sample()

    def controls(self) -> list[Any]:
        """Buttons for everything that can be done to the node."""
        import ipywidgets

        watch = self.watch
        actions: list[tuple[str, Callable[[], None], str]] = [
            ("write 1,000 keys", watch.write_keys, "SET a thousand keys of 100 bytes"),
            ("kill -9", watch.kill, "kill the process"),
            ("restart", watch.restart, "start it again"),
            ("pause", watch.pause, "SIGSTOP: it stands still, connections stay open"),
            ("resume", watch.resume, "SIGCONT"),
            ("cut", watch.cut, "cut the network between client and node"),
            ("heal", watch.heal, "undo the cut"),
        ]
        if not self._background:
            actions += [
                ("run 1 s", lambda: watch.run_for(1.0), "let a second pass"),
                ("run 10 s", lambda: watch.run_for(10.0), "let ten seconds pass"),
            ]
        self._status = ipywidgets.HTML()
        buttons = []
        for label, action, tooltip in actions:
            one = ipywidgets.Button(
                description=label, tooltip=tooltip, layout=ipywidgets.Layout(width="auto")
            )
            one.on_click(lambda _, label=label, action=action: self._press(label, action))
            buttons.append(one)
        row = ipywidgets.Layout(display="flex", flex_flow="row wrap")
        return [ipywidgets.Box(buttons, layout=row), self._status]

    def _press(self, label: str, action: Callable[[], None]) -> None:
        """Do what a button says; what goes wrong is the lesson, so say it and go on."""
        import html

        try:
            action()
        except Exception as error:
            self._status.value = (
                f"<b>{html.escape(label)}</b>: {html.escape(type(error).__name__)}: "
                f"{html.escape(str(error))}"
            )
        else:
            self._status.value = ""

    def _keep_sampling(self) -> None:
        while not self._closed.wait(SAMPLE_EVERY) and not self.watch.lab.closed:
            try:
                self.watch.sample()
            except Exception:  # the lab was closed between two frames
                return


@fallback_for("server")
def _server_fallback(recording: Recording) -> str:
    points = [(frame.time, float(_number(frame.state.get("keys")))) for frame in recording.frames]
    top = max((value for _, value in points), default=0.0)
    chart = line_chart_svg(
        points,
        alt=f"The number of keys over {recording.seconds:g} seconds, at most {top:,.0f}",
        low=f"{recording.seconds:g} s",
        high=f"{top:,.0f} keys",
    )
    return chart + last_frame_table(recording)


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
