"""How a view gets into a notebook, and how what it shows there stays true to the end.

A view is displayed as one bundle: the live widget for whoever has a kernel, HTML that replays the
recording for everyone else, a line of text for a terminal.  The HTML is made when the cell runs,
but a lab goes on in later cells; so after each cell whose run changed the recording the bundle is
sent again under its display id, and the notebook that is saved (by a reader, or by the run that
makes the website) holds the whole run.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from redislab.labs import registry
from redislab.views.recording import Frame, Recorder, Recording
from redislab.views.static import recording_html

if TYPE_CHECKING:
    from redislab.views.widget import ReplayWidget

_display_numbers = count(1)


class View(ABC):
    """Something a cell shows: a recording that may still grow.

    Subclasses give `recorder`, and `controls` where a reader with a kernel may do something.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._replay: ReplayWidget | None = None
        self._widget: Any = None
        self._display_id: str | None = None
        self._displayed_revision = -1
        self._shell: Any = None  # the IPython whose cells are followed
        self._home: tuple[int, asyncio.AbstractEventLoop] | None = None
        recorder.listen(self._send)

    @property
    def recording(self) -> Recording:
        """What the view has recorded so far."""
        return self.recorder.recording

    @property
    def html(self) -> str:
        """The recording as an HTML fragment."""
        return recording_html(self.recording)

    @property
    def widget(self) -> Any:
        """The live widget (an ipywidgets widget), made when first asked for."""
        if self._widget is None:
            import ipywidgets

            from redislab.views.widget import ReplayWidget

            with suppress(RuntimeError):  # no loop runs outside notebooks
                self._home = threading.get_ident(), asyncio.get_running_loop()
            self._replay = ReplayWidget(
                lambda: self.recording,
                receive=lambda message: self.hand_over(lambda: self.receive(message)),
                greet=self.greeting,
            )
            self._widget = ipywidgets.VBox([*self.controls(), self._replay])
        return self._widget

    @abstractmethod
    def controls(self) -> list[Any]:
        """The ipywidgets above the drawing."""

    def hand_over(self, call: Callable[[], object]) -> None:
        """Do what a reader's message asks for, in the thread in which it came."""
        call()

    def hand_home(self, call: Callable[[], object]) -> None:
        """Do it in the thread of the cells, between two of them.

        JupyterLab hands the messages of widgets to a thread of their own (a subshell), so that they
        are heard while a cell runs. A simulation has no use for two threads.
        """
        if self._home is None or self._home[0] == threading.get_ident():
            call()
        else:
            self._home[1].call_soon_threadsafe(call)

    def receive(self, message: dict[str, Any]) -> None:
        """Take a message of the drawing.

        Raises ValueError: most views have nothing to be told.
        """
        raise ValueError(f"a message that nobody expects: {message!r}")

    def greeting(self) -> dict[str, Any] | None:
        """What a drawing that opens is told beside the recording; most views have nothing."""
        return None

    def send(self, message: dict[str, Any]) -> None:
        """Send a message to the drawings of everyone who looks."""
        if self._replay is not None:
            self._replay.send(message)

    def tell(self, text: str) -> None:
        """Say something under the drawing of everyone who looks (an error; "" takes it away)."""
        self.send({"type": "tell", "text": text})

    def show(self, recorder: Recorder) -> None:
        """Show another recording from now on, which may grow as well."""
        self.recorder.forget(self._send)
        self.recorder = recorder
        recorder.listen(self._send)
        self._displayed_revision = -1
        if self._replay is not None:
            self._replay.replace()

    def text(self) -> str:
        """One line for a terminal."""
        recording = self.recording
        return f"{recording.title}: {len(recording.frames)} frames over {recording.seconds:g} s"

    def bundle(self) -> dict[str, Any]:
        """Every form of the view by MIME type; without ipywidgets there is no live one."""
        data: dict[str, Any] = {"text/plain": self.text(), "text/html": self.html}
        try:
            live = self.widget._repr_mimebundle_()
        except ImportError:
            return data
        return {**live, **data}

    def publish(self) -> None:
        """Send what is displayed again if the recording has changed since."""
        if self._display_id is None or self.recorder.revision == self._displayed_revision:
            return
        from IPython.display import display

        if self._replay is not None:
            self._replay.keep()
        self._displayed_revision = self.recorder.revision
        display(self.bundle(), raw=True, display_id=self._display_id, update=True)  # type: ignore[no-untyped-call]

    def _send(self, frame: Frame) -> None:
        """Pass a new frame on to the live drawing, if there is one."""
        if self._replay is not None:
            self._replay.grow([frame], self.recorder.events, self.recorder.meta)

    def _ipython_display_(self) -> None:
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        if self._display_id is None:
            self._display_id = f"redislab-view-{next(_display_numbers)}"
            self._shell = get_ipython()
            if self._shell is not None:
                self._shell.events.register("post_run_cell", self._after_cell)
                registry.register(self)  # another run of this cell closes this one
        self._displayed_revision = self.recorder.revision
        display(self.bundle(), raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Follow the notebook's cells no more; what was recorded stays on show."""
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.events.unregister("post_run_cell", self._after_cell)

    def refresh(self) -> None:  # noqa: B027 - most views record by themselves
        """Record what a cell has changed, before the view is sent again."""

    def _after_cell(self, _result: object = None) -> None:
        self.refresh()
        self.publish()
