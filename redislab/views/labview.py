"""What the views of labs with several nodes have in common.

`LabWatch` is the logic: it takes frames of a lab while time passes, and does to nodes and links
what the buttons say, all through the lab. `LabView` puts a recorder of a watch into a notebook,
with the buttons for faults and, in `sim`, for time.

In `sim` time stands still between cells, unless the reader lets it run. Then the drawing in the
reader's browser is what drives it: ten times a second it asks for a step, and the kernel answers
when it has taken it. So time runs only while somebody looks, at most as fast as the kernel can
follow, and between two steps the kernel does whatever else there is to do, cells first.
"""

from __future__ import annotations

import html
import time
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
SPEEDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds of the lab a second of the reader's
TICK_SECONDS = 0.1  # of the reader's time, between two steps; redislab-view.js has it too
TICK_SAMPLES_MAX = 4  # of one step
TICK_WORK_SECONDS = 0.25  # a step that takes longer is cut short


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

    def drop(self, a: str, b: str) -> None:
        """Lose what is under way between two hosts, and break their connections."""
        self.do(lambda: self.lab.drop(a, b))

    def heal(self) -> None:
        """Undo every cut and delay."""
        self.do(self.lab.heal)

    def tick(self, seconds: float, run: Callable[[float], object] | None = None) -> None:
        """Let a short time pass that the reader sees go by, in one to four steps of one length.

        Args:
            seconds: how long, on the lab's clock.
            run: lets time pass, with whatever is done meanwhile; None is the lab's own.
        """
        run = self.lab.run_for if run is None else run
        began = time.perf_counter()
        steps = max(1, min(TICK_SAMPLES_MAX, round(seconds / SAMPLE_SECONDS)))
        for _ in range(steps):
            run(seconds / steps)
            self.sample()
            if time.perf_counter() - began > TICK_WORK_SECONDS:
                break

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
        if self.lab.closed:  # while the frame was taken: who did not answer had ended with the lab
            return
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
        self._turn: int | None = None  # the number of the next step; None while time stands still
        self._turns = 0
        self._play: Any = None
        self._speed: Any = None
        watch.sample()
        if not self._steps_time:
            Thread(target=self._keep_sampling, name="redislab-view", daemon=True).start()

    def close(self) -> None:
        """Take no more frames; what was recorded stays on show."""
        self.hold()
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

        self._node = ipywidgets.Dropdown(options=self._nodes(), description="node")
        return [
            self._node,
            self.button("kill -9", lambda: self.watch.kill(self.node), "kill the process"),
            self.button("restart", lambda: self.watch.restart(self.node), "start it again"),
            self.button("pause", lambda: self.watch.pause(self.node), "SIGSTOP: it stands still"),
            self.button("resume", lambda: self.watch.resume(self.node), "SIGCONT"),
        ]

    def link_row(self) -> list[Any]:
        """A link to choose, and what can be done to links."""
        import ipywidgets

        self._link = ipywidgets.Dropdown(options=self._links(), description="link")
        return [
            self._link,
            self.button("cut", lambda: self.watch.cut(*self.link), "let nothing through"),
            self.button(
                "drop", lambda: self.watch.drop(*self.link), "lose what is under way, once"
            ),
            self.button("heal all", self._heal, "undo every cut and delay"),
        ]

    def _heal(self) -> None:
        self.watch.heal()

    def time_controls(self) -> list[Any]:
        """Let time run or stand still, and how fast; none where it goes by itself."""
        import ipywidgets

        if not self._steps_time:
            return []
        self._play = self.button("play time", self._play_or_pause, "let time run while you look")
        self._speed = ipywidgets.Dropdown(
            options=[(f"{speed:g}\N{MULTIPLICATION SIGN}", speed) for speed in SPEEDS],
            value=1.0,
            description="speed",
            layout=ipywidgets.Layout(width="170px"),
        )
        return [self._play, self._speed]

    def play(self, speed: float | None = None) -> None:
        """Let time run while somebody looks.

        Args:
            speed: seconds of the lab in one of the reader's, one of `SPEEDS`; None is as it was.

        Raises:
            ValueError: there is no such speed.
            RuntimeError: time is not in this view's hands.
        """
        if not self._steps_time or self._closed.is_set() or self.watch.lab.closed:
            raise RuntimeError("time is not in the hands of this view: its lab is closed, or real")
        if speed is not None and speed not in SPEEDS:
            raise ValueError(f"there are the speeds {', '.join(f'{each:g}' for each in SPEEDS)}")
        if self._speed is not None and speed is not None:
            self._speed.value = speed
        self._turns += 1
        self._set_turn(self._turns)

    def hold(self) -> None:
        """Let time stand still."""
        if self._turn is not None:
            self._set_turn(None)

    def greeting(self) -> dict[str, Any]:
        """Whether time runs, and which step is asked for next."""
        return {"type": "clock", "turn": self._turn}

    def _set_turn(self, turn: int | None) -> None:
        self._turn = turn
        if self._play is not None:
            self._play.description = "play time" if turn is None else "pause time"
        self.send(self.greeting())

    def _play_or_pause(self) -> None:
        if self._turn is None:
            self.play()
        else:
            self.hold()

    def _step(self, turn: object) -> None:
        """A drawing asks for a step; of several that are open, the first one is heard."""
        if self._turn is None or turn != self._turn:
            return
        if self.watch.lab.closed:
            self.hold()
            return
        speed = 1.0 if self._speed is None else float(self._speed.value)
        if not self._press("play time", lambda: self.pass_time(speed * TICK_SECONDS)):
            self.hold()
            return
        self._turns += 1
        self._set_turn(self._turns)

    def pass_time(self, seconds: float) -> None:
        """Let a short time pass."""
        self.watch.tick(seconds)

    @property
    def node(self) -> str:
        """The node that is chosen."""
        return str(self._node.value)

    @property
    def link(self) -> tuple[str, str]:
        """The two hosts of the link that is chosen."""
        a, b = str(self._link.value).split(" - ")
        return a, b

    def go_on_with(self, watch: LabWatch, recorder: Recorder) -> None:
        """Show another lab from now on; the buttons are for that one."""
        self.hold()
        self.watch = watch
        self.show(recorder)
        for field, names in ((self._node, self._nodes()), (self._link, self._links())):
            if field is not None and list(field.options) != names:
                field.options = names

    def _nodes(self) -> list[str]:
        return list(self.watch.lab.nodes)

    def _links(self) -> list[str]:
        names = self._nodes()
        links = [f"{a} - {b}" for at, a in enumerate(names) for b in names[at + 1 :]]
        return links + [f"client - {name}" for name in names]

    def receive(self, message: dict[str, Any]) -> None:
        """A step of time, or a node or a link that was pressed: the buttons are for it now."""
        if message.get("type") == "step":
            self._step(message.get("turn"))
            return
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
        made.on_click(lambda _: self.hand_over(lambda: self._press(label, action)))
        return made

    def hand_over(self, call: Callable[[], object]) -> None:
        """Do what a reader asks for; a simulation is for the thread of the cells alone."""
        if self._steps_time:
            self.hand_home(call)
        else:
            call()

    def _press(self, label: str, action: Callable[[], object]) -> bool:
        """Do what a button says; what goes wrong is the lesson, so say it and go on.

        Returns whether it went well.
        """
        said = ""
        try:
            action()
        except Exception as error:
            told = html.escape(" ".join(f"{type(error).__name__}: {error}".split()))
            said = f'<span role="alert"><b>{html.escape(label)}</b>: {told}</span>'
        if self._status is not None:
            self._status.value = said
        return not said

    def _keep_sampling(self) -> None:
        while not self._closed.wait(SAMPLE_SECONDS) and not self.watch.lab.closed:
            with suppress(Exception):  # the lab was closed between two frames
                self.watch.sample()
