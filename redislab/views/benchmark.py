"""The benchmark dashboard: runs as they happen, side by side, and their recording afterwards.

`RunsRecorder` turns the windows of `redislab.benchmark` into frames; it needs no notebook, and
`runs_recording` makes a replay of results that are already there.  `BenchmarkDashboard` adds the
controls: which test, how many clients, what payload, how deep a pipeline, start and stop.

Latencies are in milliseconds.  The histogram that a page draws has ten buckets to a power of ten,
coarser than the one that it is made from, which no screen could show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, Protocol

from redislab.benchmark.histogram import Histogram
from redislab.benchmark.results import Result, Window
from redislab.benchmark.settings import Settings, settings_for
from redislab.benchmark.virtual import coroutine
from redislab.views.display import View
from redislab.views.fallback import fallback_for, line_chart_svg, table_html
from redislab.views.recording import Frame, Json, Recorder, Recording

BUCKETS_A_DECADE = 10
TITLE = "Benchmark runs side by side"
LIST_LENGTH = 100  # what LRANGE_100 reads
TESTS = ("SET", "GET", "INCR", "LPUSH", "LRANGE_100", "MSET", "PING_MBULK")


def label_of(settings: Settings) -> str:
    """A run in a few words: what it sends, from how many clients, how deep."""
    clients = "client" if settings.clients == 1 else "clients"
    parts = [settings.workload.title, f"{settings.clients} {clients}"]
    if settings.pipeline > 1:
        parts.append(f"pipeline {settings.pipeline}")
    if settings.rate is not None:
        parts.append(f"{settings.rate:,.0f}/s offered")
    return ", ".join(parts)


def coarse_buckets(histogram: Histogram) -> list[tuple[int, int]]:
    """The histogram in buckets of a tenth of a power of ten: (number, count), ascending.

    Bucket b holds the latencies from 10 ** (b / 10) microseconds on.
    """
    buckets: dict[int, int] = {}
    for value_us, count in histogram.counts:
        bucket = math.floor(math.log10(max(value_us, 1)) * BUCKETS_A_DECADE + 1e-9)
        buckets[bucket] = buckets.get(bucket, 0) + count
    return sorted(buckets.items())


@dataclass
class _RunSoFar:
    label: str
    requests: int = 0
    seconds: float = 0.0
    errors: int = 0
    histogram: Histogram = field(default_factory=lambda: Histogram(digits=2))

    def add(self, window: Window) -> None:
        self.requests += window.requests
        self.seconds = max(self.seconds, window.start_s + window.duration_s)
        self.errors += sum(window.errors.values())
        self.histogram = self.histogram + window.histogram


class RunsRecorder:
    """Records runs one after the other; every window becomes a frame."""

    def __init__(self, title: str = TITLE) -> None:
        self._runs: list[_RunSoFar] = []
        self._begun_at = 0.0  # where the current run begins on the recording's time
        self.recorder = Recorder(
            "benchmark",
            title,
            now=lambda: self._begun_at,
            sample=dict,
            meta={"runs": [], "buckets_a_decade": BUCKETS_A_DECADE},
        )

    def begin(self, label: str) -> None:
        """The windows from now on belong to a new run."""
        if self._runs:
            self._begun_at = round(self._begun_at + self._runs[-1].seconds, 6)
        self._runs.append(_RunSoFar(label))
        self.recorder.note(f"run {len(self._runs)}", "start", label, time=self._begun_at)
        self.recorder.set_meta(runs=[{"label": run.label} for run in self._runs])

    def add(self, window: Window) -> None:
        """Record a window of the current run.  Raises ValueError before the first `begin`."""
        if not self._runs:
            raise ValueError("a window of no run: call begin first")
        run = self._runs[-1]
        run.add(window)
        whole = run.histogram
        buckets: list[Json] = [list(pair) for pair in coarse_buckets(whole)]
        state: dict[str, Json] = {
            "run": len(self._runs) - 1,
            "elapsed": round(run.seconds, 3),
            "rps": round(window.throughput, 1),
            "requests": run.requests,
            "errors": run.errors,
            "mean": round(window.mean_ms, 4),
            "p50": window.p50_ms,
            "p95": window.p95_ms,
            "p99": window.p99_ms,
            "max": window.max_ms,
            "histogram": buckets,
            "total": {
                "rps": round(run.requests / run.seconds, 1) if run.seconds > 0 else 0.0,
                "p50": whole.percentile_us(50.0) / 1000,
                "p95": whole.percentile_us(95.0) / 1000,
                "p99": whole.percentile_us(99.0) / 1000,
                "max": whole.max_us / 1000,
            },
        }
        self.recorder.add(Frame(round(self._begun_at + run.seconds, 6), state))


def runs_recording(
    results: Mapping[str, Result] | Iterable[Result], *, title: str = TITLE
) -> Recording:
    """A replay of runs that are over, by label or labeled by their settings."""
    if isinstance(results, Mapping):
        pairs = list(results.items())
    else:
        pairs = [(label_of(result.settings), result) for result in results]
    runs = RunsRecorder(title)
    for label, result in pairs:
        runs.begin(label)
        for window in result.windows:
            runs.add(window)
    return runs.recorder.recording


def write_what_is_read(client: Any, test: str, payload: int) -> None:
    """Store values of `payload` bytes where redis-benchmark's reading tests look for them.

    redis-benchmark itself does no such thing: its GET reads what happens to be there.
    """
    if test == "GET":
        client.set("key:__rand_int__", b"x" * payload)
    elif test.startswith("LRANGE"):
        client.delete("mylist")
        client.rpush("mylist", *[b"x" * payload] * LIST_LENGTH)
    client.close()


class Run(Protocol):
    """A benchmark under way."""

    def stream(self) -> Iterator[Window]:
        """Windows as they come in."""
        ...

    def stop(self) -> None:
        """End the run early."""
        ...


class _VirtualRun:
    """A run in simulated time: over as soon as it is looked at."""

    def __init__(self, lab: Any, settings: Settings) -> None:
        self._lab = lab
        self._settings = settings

    def stream(self) -> Iterator[Window]:
        windows: list[Window] = []
        self._lab.run(coroutine(self._settings, on_window=windows.append))
        yield from windows

    def stop(self) -> None:
        """Nothing to stop: nobody can ask before it is over."""


class BenchmarkDashboard(View):
    """Start and stop runs and watch them, in a notebook.

    `start_run` begins a benchmark with these settings; `host` and `port` are the server's;
    `prepare`, told which test comes with what payload, writes what it is going to read.  In the
    background a thread follows the run, so that the buttons keep working; without (a simulated
    world, whose time passes only while something runs) a run is over when `start` returns.
    """

    def __init__(
        self,
        start_run: Callable[[Settings], Run],
        *,
        host: str = "127.0.0.1",
        port: int = 6379,
        seconds: float = 5.0,
        background: bool = True,
        prepare: Callable[[str, int], object] | None = None,
    ) -> None:
        self.runs = RunsRecorder()
        super().__init__(self.runs.recorder)
        self._start_run = start_run
        self._address = {"host": host, "port": port}
        self._seconds = seconds
        self._background = background
        self._prepare = prepare
        self._run: Run | None = None
        self._thread: Thread | None = None
        self._fields: dict[str, Any] = {}
        self._note: Any = None
        self._progress: Any = None

    @classmethod
    def of(cls, lab: Any, *, seconds: float = 5.0) -> BenchmarkDashboard:
        """A dashboard for the node of a lab; in `sim` runs take no time but the lab's own."""

        def start_run(settings: Settings) -> Run:
            if lab.world == "sim":
                return _VirtualRun(lab, settings)
            from redislab.benchmark.process import Benchmark

            return Benchmark(settings)

        return cls(
            start_run,
            host=lab.node.host,
            port=lab.node.port,
            seconds=seconds,
            background=lab.world != "sim",
            prepare=lambda test, payload: write_what_is_read(lab.client(), test, payload),
        )

    def start(
        self, test: str = "SET", *, clients: int = 50, payload: int = 3, pipeline: int = 1
    ) -> None:
        """Begin a run; `payload` in bytes.  Raises ValueError while another one goes on."""
        if self._thread is not None and self._thread.is_alive():
            raise ValueError("a run is under way: stop it first")
        settings = settings_for(
            test,
            payload=payload,
            clients=clients,
            pipeline=pipeline,
            duration_s=self._seconds,
            **self._address,
        )
        if self._prepare is not None:
            self._prepare(test, payload)
        label = label_of(settings) + (f", {payload:,} bytes" if payload != 3 else "")
        self.runs.begin(label)
        self._run = self._start_run(settings)
        if self._background:
            self._thread = Thread(target=self._follow, name="redislab-dashboard", daemon=True)
            self._thread.start()
        else:
            self._follow()

    def stop(self) -> None:
        """End the run that goes on, if one does."""
        if self._run is not None:
            self._run.stop()

    def close(self) -> None:
        """End the run that goes on, and follow the notebook no more."""
        self.stop()
        super().close()

    def wait(self) -> None:
        """Return when the run is over."""
        if self._thread is not None:
            self._thread.join()

    def controls(self) -> list[Any]:
        """Test, clients, payload, pipeline; start, stop, and how far the run has come."""
        import ipywidgets

        wide = ipywidgets.Layout(width="min(100%, 26rem)")
        style = {"description_width": "6.5rem"}
        self._fields = {
            "test": ipywidgets.Dropdown(options=TESTS, description="test", style=style),
            "clients": ipywidgets.SelectionSlider(
                options=[1, 2, 5, 10, 20, 50, 100, 200, 500], value=50, description="clients",
                style=style, layout=wide, continuous_update=False,
            ),
            "payload": ipywidgets.SelectionSlider(
                options=[3, 64, 256, 1024, 2048, 8192, 65536], value=3,
                description="payload (bytes)", style=style, layout=wide, continuous_update=False,
            ),
            "pipeline": ipywidgets.SelectionSlider(
                options=[1, 2, 4, 8, 16, 32, 64], value=1, description="pipeline",
                style=style, layout=wide, continuous_update=False,
            ),
        }  # fmt: skip
        start = ipywidgets.Button(description="Start", button_style="primary", icon="play")
        stop = ipywidgets.Button(description="Stop", icon="stop")
        self._progress = ipywidgets.FloatProgress(max=self._seconds, layout=wide)
        self._note = ipywidgets.HTML()
        start.on_click(lambda _: self._press(self._start_from_fields))
        stop.on_click(lambda _: self._press(self.stop))
        return [*self._fields.values(), ipywidgets.HBox([start, stop]), self._progress, self._note]

    def _start_from_fields(self) -> None:
        self.start(**{name: one.value for name, one in self._fields.items()})

    def _press(self, action: Callable[[], None]) -> None:
        import html

        try:
            action()
        except Exception as error:
            self._note.value = html.escape(f"{type(error).__name__}: {error}")
        else:
            self._note.value = ""

    def _follow(self) -> None:
        run = self._run
        if run is None:
            return
        try:
            for window in run.stream():
                self.runs.add(window)
                if self._progress is not None:
                    self._progress.value = window.start_s + window.duration_s
        except Exception as error:
            if self._note is None or not self._background:
                raise
            self._note.value = f"{type(error).__name__}: {error}"


@fallback_for("benchmark")
def _benchmark_fallback(recording: Recording) -> str:
    last: dict[int, Mapping[str, Json]] = {}
    points = []
    for frame in recording.frames:
        state = frame.state
        run, rps = state["run"], state["rps"]
        if isinstance(run, int) and isinstance(rps, int | float):
            last[run] = state
            points.append((frame.time, float(rps)))
    top = max((rps for _, rps in points), default=0.0)
    chart = line_chart_svg(
        points,
        alt=f"Requests a second over {len(last)} runs, at most {top:,.0f}",
        low="time",
        high=f"{top:,.0f} requests a second",
    )
    rows = [_summary_row(run, state, recording.meta["runs"]) for run, state in last.items()]
    head = ("run", "", "requests/s", "p50 (ms)", "p95 (ms)", "p99 (ms)", "max (ms)", "errors")
    return chart + table_html(head, rows, numbers=range(2, 8))


def _summary_row(run: int, state: Mapping[str, Json], runs: Json) -> Sequence[str]:
    total = state["total"]
    figures = total if isinstance(total, dict) else {}
    listed = runs[run] if isinstance(runs, list) else {}
    label = str(listed.get("label", "")) if isinstance(listed, dict) else ""
    latencies = [f"{figures[name]:.3f}" for name in ("p50", "p95", "p99", "max")]
    return (str(run + 1), label, f"{figures['rps']:,.0f}", *latencies, str(state["errors"]))
