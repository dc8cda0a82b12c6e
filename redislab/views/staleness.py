"""The stale-read meter: what share of the reads from a replica is out of date, and by how much.

The experiment is `redislab.labs.staleness`; the meter injects the lag, shows what comes of it as it
comes, and keeps one run after the other. Beside what was measured stands what the law says.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from redislab.labs.base import Named
from redislab.labs.replication import ReplicationLab
from redislab.labs.staleness import Reads, law, stale_reads
from redislab.views.display import View
from redislab.views.fallback import fallback_for, line_chart_svg, table_html
from redislab.views.recording import Frame, Json, Recorder, Recording

RECENT_MAX = 160  # reads of one frame that are drawn as dots
LAGS_MS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)
RATES = (1, 2, 5, 10, 20, 50)


@dataclass(frozen=True)
class Run:
    """One run of the meter: the lag in seconds, writes a second to each key, and what was read."""

    lag: float
    rate: float
    reads: Reads

    @property
    def expected(self) -> float:
        """The share of stale reads that the law says, 0 to 1."""
        return law(self.rate, self.lag)


class StaleReadMeter(View):
    """Measures stale reads of one replica of a lab, at any lag.

    Args:
        lab: a master and its replicas.
        replica: which one to read from; None is the first.
        seconds: how long a run takes, on the lab's clock.
        keys: how many keys are written and read.

    Attributes:
        runs: what was measured so far.
    """

    def __init__(
        self,
        lab: ReplicationLab,
        replica: Named | None = None,
        *,
        seconds: float = 4.0,
        keys: int = 10,
    ) -> None:
        self.lab = lab
        self.replica = lab.replicas[0] if replica is None else lab.find(replica)
        self.seconds = seconds
        self.keys = keys
        self.runs: list[Run] = []
        self._began = 0.0  # where the current run begins on the recording's own time
        self._fields: dict[str, Any] = {}
        self._note: Any = None
        super().__init__(
            Recorder(
                "stale",
                f"Stale reads from {self.replica.name}",
                now=lambda: self._began,
                sample=dict,
                meta={"replica": self.replica.name},
            )
        )

    def measure(self, lag: float, rate: float = 10.0) -> Run:
        """Let the replica be late, write and read, and count.

        Args:
            lag: seconds that everything takes longer from the master to the replica.
            rate: writes a second to each key, at random moments.
        """
        master = self.lab.master
        self.lab.delay(master, self.replica, lag)
        self.lab.run_for(2 * lag + 0.05)
        self.recorder.note(self.replica.name, "lag", f"{lag * 1000:g} ms", time=self._began)
        so_far: list[Reads] = []

        def add(window: Reads) -> None:
            so_far.append(window)
            self._add(so_far, lag, rate)

        reads = stale_reads(
            self.lab,
            replica=self.replica,
            seconds=self.seconds,
            write_rate=rate * self.keys,
            keys=self.keys,
            settle=lag,
            on_window=add,
        )
        self._began = round(self._began + sum(window.seconds for window in so_far), 6)
        self.runs.append(Run(lag, rate, reads))
        return self.runs[-1]

    def controls(self) -> list[Any]:
        """How late the replica is, how often each key is written; measure."""
        import ipywidgets

        wide = ipywidgets.Layout(width="min(100%, 26rem)")
        self._fields = {
            "lag": ipywidgets.SelectionSlider(
                options=[(f"{lag} ms", lag / 1000) for lag in LAGS_MS],
                value=0.05, description="lag", layout=wide, continuous_update=False,
            ),
            "rate": ipywidgets.SelectionSlider(
                options=[(f"{rate} a second", float(rate)) for rate in RATES],
                value=10.0, description="writes to a key", layout=wide, continuous_update=False,
                style={"description_width": "7rem"},
            ),
        }  # fmt: skip
        self._note = ipywidgets.HTML()
        start = ipywidgets.Button(description=f"Measure {self.seconds:g} s", icon="play")
        start.on_click(lambda _: self._press())
        return [*self._fields.values(), start, self._note]

    def _press(self) -> None:
        said = ""
        try:
            self.measure(**{name: field.value for name, field in self._fields.items()})
        except Exception as error:
            said = html.escape(f"{type(error).__name__}: {error}")
        self._note.value = said

    def _add(self, so_far: list[Reads], lag: float, rate: float) -> None:
        window = so_far[-1]
        reads = sum(each.reads for each in so_far)
        stale = sum(each.stale for each in so_far)
        ages = sorted(age for each in so_far for age in each.ages)
        state: dict[str, Json] = {
            "lag": lag,
            "rate": rate,
            "expected": round(law(rate, lag), 4),
            "share": round(window.share, 4),
            "total": round(stale / reads, 4) if reads else 0.0,
            "reads": reads,
            "stale": stale,
            "age": round(ages[len(ages) // 2], 6) if ages else 0.0,
            "oldest": round(ages[-1], 6) if ages else 0.0,
            "recent": "".join("1" if each else "0" for each in window.recent[-RECENT_MAX:]),
        }
        passed = sum(each.seconds for each in so_far)
        self.recorder.add(Frame(round(self._began + passed, 6), state))


@fallback_for("stale")
def _stale_fallback(recording: Recording) -> str:
    points = [(frame.time, 100 * _number(frame.state["share"])) for frame in recording.frames]
    top = max((value for _, value in points), default=0.0)
    chart = line_chart_svg(
        points,
        alt=f"The share of stale reads over time, at most {top:.0f} %",
        low="time",
        high=f"{top:.0f} % stale",
    )
    last: dict[tuple[float, float], Frame] = {}
    for frame in recording.frames:
        last[_number(frame.state["lag"]), _number(frame.state["rate"])] = frame
    rows = [
        (
            f"{lag * 1000:g}",
            f"{rate:g}",
            f"{_number(frame.state['reads']):,.0f}",
            f"{100 * _number(frame.state['total']):.1f}",
            f"{100 * _number(frame.state['expected']):.1f}",
        )
        for (lag, rate), frame in last.items()
    ]
    head = ("lag (ms)", "writes to a key a second", "reads", "stale (%)", "expected (%)")
    return chart + table_html(head, rows, numbers=range(5))


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
