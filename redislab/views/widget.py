"""The live form of a view: an anywidget around the same JavaScript that replays recordings.

The widget's state holds the recording, so a notebook that was saved with its widgets still replays
without a kernel.  With a kernel, new frames travel as messages, and a view that opens late asks for
everything so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from redislab.views.assets import CORE, STYLE, asset, kind_file
from redislab.views.recording import Frame, Json, Recording, event_to_plain, frame_to_plain
from redislab.worlds.base import Event


class ReplayWidget(anywidget.AnyWidget):
    """Shows a recording and lets it grow.

    `current` gives the recording as it is now; `receive` is called with every message that the
    view sends (a command that the reader typed, say); `greet` gives a message for a view that
    opens, beside the recording.
    """

    _esm = asset(CORE)
    _css = asset(STYLE)
    recording = traitlets.Unicode().tag(sync=True)
    kind_source = traitlets.Unicode().tag(sync=True)
    live = traitlets.Bool(default_value=True).tag(sync=True)

    def __init__(
        self,
        current: Callable[[], Recording],
        *,
        receive: Callable[[dict[str, Any]], None] | None = None,
        greet: Callable[[], dict[str, Any] | None] = lambda: None,
        live: bool = True,
    ) -> None:
        self._current = current
        self._receive = receive
        self._greet = greet
        first = current()
        super().__init__(
            recording=first.to_json(), kind_source=asset(kind_file(first.kind)), live=live
        )
        self.on_msg(self._on_message)

    def grow(
        self,
        frames: Sequence[Frame],
        events: Sequence[Event] | None = None,
        meta: Mapping[str, Json] | None = None,
    ) -> None:
        """Show more frames, and these events and this meta where they have changed."""
        message: dict[str, Any] = {
            "type": "grow",
            "frames": [frame_to_plain(frame) for frame in frames],
        }
        if meta is not None:
            message["meta"] = dict(meta)
        if events is not None:
            message["events"] = [event_to_plain(event) for event in events]
        self.send(message)

    def replace(self) -> None:
        """Show another recording, which `current` gives from now on."""
        self.send({"type": "all", "recording": self._current().to_plain()})

    def keep(self) -> None:
        """Put the recording so far into the state that a notebook saves."""
        self.recording = self._current().to_json()

    def _on_message(self, _widget: object, message: dict[str, Any], _buffers: object) -> None:
        if message.get("type") == "hello":
            self.replace()
            greeting = self._greet()
            if greeting is not None:
                self.send(greeting)
        elif self._receive is not None:
            self._receive(message)
