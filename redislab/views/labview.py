"""What the views of labs with several nodes have in common.

`LabWatch` is the logic: it takes frames of a lab while time passes, and does to nodes and links
what the buttons say, all through the lab. `LabView` puts a recorder of a watch into a notebook,
with the buttons for faults.
"""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from threading import Event as Flag
from threading import RLock, Thread
from typing import Any

from redislab.labs.network import NetworkLab
from redislab.views.display import View
from redislab.views.recording import Frame, Recorder

SAMPLE_SECONDS = 0.25  # between two frames while time passes
SAMPLES_MAX = 240  # of one `run_for`: a long wait is sampled more coarsely


class LabWatch(ABC):
    """Watches a lab and does what the buttons of its views say.

    Attributes:
        lab: which one.
    """

    def __init__(self, lab: NetworkLab) -> None:
        self.lab = lab
        self._lock = RLock()  # the thread that watches and the cell that acts both take frames

    @abstractmethod
    def sample(self) -> None:
        """Record a frame now."""

    def kill(self, node: str) -> None:
        """`kill -9` a node."""
        self.do(lambda: self.lab.kill(node))

    def restart(self, node: str) -> None:
        """Start it again at the same address."""
        self.do(lambda: self.lab.restart(node))

    def pause(self, node: str) -> None:
        """Let its process stand still."""
        self.do(lambda: self.lab.pause(node))

    def resume(self, node: str) -> None:
        """Let it go on."""
        self.do(lambda: self.lab.resume(node))

    def cut(self, a: str, b: str) -> None:
        """Let nothing through between two hosts."""
        self.do(lambda: self.lab.cut(a, b))

    def delay(self, a: str, b: str, seconds: float) -> None:
        """Let everything between two hosts take longer."""
        self.do(lambda: self.lab.delay(a, b, seconds))

    def heal(self) -> None:
        """Undo every cut and delay."""
        self.do(self.lab.heal)

    def let_pass(self, seconds: float) -> None:
        """Let time pass on the lab's clock, recording as it does."""
        steps = max(1, min(SAMPLES_MAX, round(seconds / SAMPLE_SECONDS)))
        for _ in range(steps):
            self.lab.run_for(seconds / steps)
            self.sample()

    def do(self, action: Callable[[], object]) -> None:
        """Do something to the lab, with a frame before it and one after it."""
        self.sample()
        action()
        self.sample()

    def add(self, recorder: Recorder, frame: Frame) -> None:
        """Add a frame, and the lab's events, to a recording."""
        recorder.take_events(self.lab.events)
        last = recorder.last
        # In `sim` time stands still between cells but for the asking itself: nothing has changed.
        if last is None or last.state != frame.state or frame.time - last.time > SAMPLE_SECONDS / 2:
            recorder.add(frame)


class LabView(View):
    """A view of a watch: its buttons, and the thread that keeps looking where time goes by itself.

    In `live` and `redis` a thread takes a frame every quarter of a second until `close`; in `sim`,
    where time stands still between cells, frames are taken as time is made to pass.
    """

    def __init__(self, watch: LabWatch, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.watch = watch
        self._closed = Flag()
        self._status: Any = None
        self._node: Any = None
        self._link: Any = None
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

    @abstractmethod
    def rows(self) -> list[list[Any]]:
        """The rows of buttons."""

    def controls(self) -> list[Any]:
        """The rows, and what went wrong under them; none for a view that is closed."""
        import ipywidgets

        if self._closed.is_set():
            return []
        self._status = ipywidgets.HTML()
        layout = ipywidgets.Layout(display="flex", flex_flow="row wrap")
        return [*(ipywidgets.Box(row, layout=layout) for row in self.rows()), self._status]

    def node_row(self) -> list[Any]:
        """A node to choose, and what can be done to it."""
        import ipywidgets

        watch = self.watch
        self._node = ipywidgets.Dropdown(options=list(watch.lab.nodes), description="node")
        return [
            self._node,
            self.button("kill -9", lambda: watch.kill(self.node), "kill the process"),
            self.button("restart", lambda: watch.restart(self.node), "start it again"),
            self.button("pause", lambda: watch.pause(self.node), "SIGSTOP: it stands still"),
            self.button("resume", lambda: watch.resume(self.node), "SIGCONT"),
        ]

    def link_row(self) -> list[Any]:
        """A link to choose, and what can be done to links."""
        import ipywidgets

        names = list(self.watch.lab.nodes)
        links = [f"{a} - {b}" for at, a in enumerate(names) for b in names[at + 1 :]]
        links += [f"client - {name}" for name in names]
        self._link = ipywidgets.Dropdown(options=links, description="link")

        def cut() -> None:
            a, b = str(self._link.value).split(" - ")
            self.watch.cut(a, b)

        return [
            self._link,
            self.button("cut", cut, "let nothing through"),
            self.button("heal all", self.watch.heal, "undo every cut and delay"),
        ]

    @property
    def node(self) -> str:
        """The node that is chosen."""
        return str(self._node.value)

    def receive(self, message: dict[str, Any]) -> None:
        """The reader pressed a node or a link in the drawing: the buttons are for it now."""
        chosen, field = str(message.get("target", "")), self._node
        if " - " in chosen:
            field = self._link
            a, b = chosen.split(" - ", 1)
            chosen = chosen if chosen in field.options else f"{b} - {a}"
        if field is not None and chosen in field.options:
            field.value = chosen

    def button(self, label: str, action: Callable[[], object], tooltip: str) -> Any:
        """A button that does something, and says under the rows what went wrong."""
        import ipywidgets

        made = ipywidgets.Button(
            description=label, tooltip=tooltip, layout=ipywidgets.Layout(width="auto")
        )
        made.on_click(lambda _: self._press(label, action))
        return made

    def _press(self, label: str, action: Callable[[], object]) -> None:
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
