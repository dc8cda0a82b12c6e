"""Recordings: what a reader saw of one run, as plain data.

A recording is a list of frames (a time and the state that a view draws at that time) and a list of
events (what happened, where, when).  It is what a static page replays and what a live widget grows
while a lab runs, so both show the same thing.  Nothing here knows how a view looks, and nothing
here needs a notebook: the module is plain Python and runs in a browser as well.

Times are seconds since the lab began, on the lab's own clock: virtual seconds in `sim`, real ones
in `live` and `redis`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from redislab.worlds.base import Event

Json: TypeAlias = (
    "bool | int | float | str | list[Json] | tuple[Json, ...] | dict[str, Json] | None"
)

FORMAT_VERSION = 1
TIME_DIGITS = 6  # a microsecond: finer than anything a view can show
FRAMES_MAX = 600  # about 100 kB of JSON for a server view


@dataclass(frozen=True)
class Frame:
    """The state at one event.  `time` in seconds; `state` is what the view's kind draws."""

    time: float
    state: Mapping[str, Json]


@dataclass(frozen=True)
class Recording:
    """A run as a view shows it.

    `kind` names the drawing ("server", "wire", "benchmark" ...), `title` is also the accessible
    name of the view, `meta` holds what does not change over the run.
    """

    kind: str
    title: str
    frames: tuple[Frame, ...] = ()
    events: tuple[Event, ...] = ()
    meta: Mapping[str, Json] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """From the first frame to the last, in seconds."""
        return self.frames[-1].time - self.frames[0].time if self.frames else 0.0

    def to_plain(self) -> dict[str, Json]:
        """The recording as dicts, lists and scalars, ready for JSON."""
        plain: dict[str, Json] = {
            "version": FORMAT_VERSION,
            "kind": self.kind,
            "title": self.title,
            "frames": [frame_to_plain(frame) for frame in self.frames],
            "events": [event_to_plain(event) for event in self.events],
            "meta": dict(self.meta),
        }
        return plain

    def to_json(self) -> str:
        """One line of JSON; the same recording gives the same text in any process.

        Raises ValueError for NaN and infinities, which JSON does not have.
        """
        return json.dumps(
            self.to_plain(),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Recording:
        """Read what `to_json` wrote.

        Raises ValueError when the text is not a recording or of another format version.
        """
        plain = json.loads(text)
        if not isinstance(plain, dict) or plain.get("version") != FORMAT_VERSION:
            raise ValueError(f"not a redislab recording of format version {FORMAT_VERSION}")
        try:
            return cls(
                kind=plain["kind"],
                title=plain["title"],
                frames=tuple(Frame(item["time"], item["state"]) for item in plain["frames"]),
                events=tuple(
                    Event(item["time"], item["node"], item["kind"], item["detail"])
                    for item in plain["events"]
                ),
                meta=plain["meta"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a redislab recording: {error!r}") from error


def frame_to_plain(frame: Frame) -> dict[str, Json]:
    """Return the frame as it stands in a recording's JSON."""
    return {"time": round(frame.time, TIME_DIGITS), "state": dict(frame.state)}


def event_to_plain(event: Event) -> dict[str, Json]:
    """Return the event as it stands in a recording's JSON."""
    return {
        "time": round(event.time, TIME_DIGITS),
        "node": str(event.node),
        "kind": str(event.kind),
        "detail": str(event.detail),
    }


class Recorder:
    """Grows a recording frame by frame while a lab runs.

    `sample` returns the state to record now, `now` the lab's time in seconds.  At most `frames_max`
    frames are kept: when there are more, every second one is dropped, so that a long run keeps
    its whole length at half the detail instead of losing its beginning.
    """

    def __init__(
        self,
        kind: str,
        title: str,
        *,
        now: Callable[[], float],
        sample: Callable[[], Mapping[str, Json]],
        meta: Mapping[str, Json] | None = None,
        frames_max: int = FRAMES_MAX,
    ) -> None:
        if frames_max < 2:
            raise ValueError("a recording needs room for two frames at least")
        self._kind = kind
        self._title = title
        self._now = now
        self._sample = sample
        self._meta = dict(meta or {})
        self._frames_max = frames_max
        self._frames: list[Frame] = []
        self._events: list[Event] = []
        self._listeners: list[Callable[[Frame], Any]] = []
        self.revision = 0  # grows with every frame and event: "has anything changed?"

    def sample(self) -> Frame:
        """Record the state as it is now and return the frame."""
        frame = Frame(round(self._now(), TIME_DIGITS), dict(self._sample()))
        self.add(frame)
        return frame

    def add(self, frame: Frame) -> None:
        """Append a frame that was taken elsewhere.  Times must not run backwards."""
        if self._frames and frame.time < self._frames[-1].time:
            raise ValueError(f"a frame at {frame.time} s after one at {self._frames[-1].time} s")
        self._frames.append(frame)
        if len(self._frames) > self._frames_max:
            self._frames = [*self._frames[:-1:2], self._frames[-1]]
            opens = self._meta.get("open")  # the place of a frame, where a page opens
            if isinstance(opens, int):
                self._meta["open"] = opens // 2
        self.revision += 1
        for listener in self._listeners:
            listener(frame)

    def note(self, node: str, kind: str, detail: str = "", *, time: float | None = None) -> Event:
        """Record that something happened, now unless a time is given."""
        at = self._now() if time is None else time
        event = Event(round(at, TIME_DIGITS), node, kind, detail)
        self._events.append(event)
        self.revision += 1
        return event

    def take_events(self, events: Iterable[Event]) -> None:
        """Make the lab's events this recording's events (a lab hands out its whole list)."""
        taken = [replace(one, time=round(one.time, TIME_DIGITS)) for one in events]
        if taken != self._events:
            self._events = taken
            self.revision += 1

    def set_meta(self, **changes: Json) -> None:
        """Change what holds for the whole recording."""
        self._meta |= changes
        self.revision += 1

    def listen(self, listener: Callable[[Frame], Any]) -> None:
        """Call `listener` with every frame from now on."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[Frame], Any]) -> None:
        """Call a listener no more."""
        self._listeners.remove(listener)

    @property
    def last(self) -> Frame | None:
        """The latest frame; None before the first."""
        return self._frames[-1] if self._frames else None

    @property
    def events(self) -> tuple[Event, ...]:
        """The events so far."""
        return tuple(self._events)

    @property
    def meta(self) -> Mapping[str, Json]:
        """What holds for the whole recording."""
        return dict(self._meta)

    @property
    def recording(self) -> Recording:
        """The recording so far."""
        return Recording(
            self._kind, self._title, tuple(self._frames), tuple(self._events), dict(self._meta)
        )
