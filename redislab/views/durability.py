"""The view of writes on their way to the disk, and of what is left when the plug is pulled.

A write is acknowledged when it is in the server's memory. It is safe from a crash of the process
when it is in the operating system's page cache, and safe from a power failure when it is on the
disk. The view shows how far the latest writes have got, by `redislab.labs.plug` in `sim`, where the
disk can be looked into.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from redislab.labs.plug import Fault, Mode, Plug, Whereabouts, pull_the_plug
from redislab.labs.single import SingleLab
from redislab.views.display import View
from redislab.views.fallback import fallback_for, line_chart_svg, table_html
from redislab.views.recording import Frame, Json, Recorder, Recording


class DurabilityView(View):
    """One time that the plug is pulled, in `sim`: where the writes were, and what came back.

    Args:
        mode: how data are kept.
        fault: what happens.
        moment: when, in seconds.
        options: further ones of `redislab.labs.plug.pull_the_plug`.

    Attributes:
        plug: how it went.
    """

    def __init__(self, mode: Mode, fault: Fault, moment: float, **options: Any) -> None:
        super().__init__(
            Recorder(
                "durability",
                f"Where the writes are: {mode.name}, then a {fault}",
                now=lambda: 0.0,
                sample=dict,
                meta={"mode": mode.name, "fault": fault},
            )
        )
        acknowledged = [0]

        def look(lab: SingleLab, where: Whereabouts) -> None:
            recorder = self.recorder
            recorder.take_events(lab.events)
            is_over = any(event.kind in {"kill", "crash"} for event in lab.events)
            if not is_over:
                acknowledged[0] = where.acknowledged
            lost = max(0, acknowledged[0] - where.acknowledged) if is_over else 0
            state: dict[str, Json] = {**asdict(where), "over": is_over, "lost": lost}
            recorder.add(Frame(lab.now, state))

        self.plug: Plug = pull_the_plug(mode, fault, moment, on_look=look, **options)

    def controls(self) -> list[Any]:
        """None: the run is over."""
        return []


@fallback_for("durability")
def _durability_fallback(recording: Recording) -> str:
    points = [
        (frame.time, _number(frame.state["acknowledged"]) - _number(frame.state["stored"]))
        for frame in recording.frames
    ]
    top = max((value for _, value in points), default=0.0)
    chart = line_chart_svg(
        points,
        alt=f"Acknowledged writes that are not on the disk yet, at most {top:,.0f}",
        low=f"{recording.seconds:g} s",
        high=f"{top:,.0f} writes not on the disk",
    )
    rows = []
    for frame in recording.frames[-4:]:
        state = frame.state
        numbers = [f"{_number(state[name]):,.0f}" for name in ("acknowledged", "cached", "stored")]
        rows.append((f"{frame.time:.2f}", *numbers, f"{_number(state['lost']):,.0f}"))
    head = ("time (s)", "acknowledged", "in the page cache", "on the disk", "lost")
    return chart + table_html(head, rows, numbers=range(5))


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
