"""Results as text: the reports of redis-benchmark 7.0 and of the 4.0 that the course shows.

The figures come from the same buckets as redis-benchmark's, 8 µs wide at least, so that the lines
fall on the same values. Follows `showLatencyReport` in `src/redis-benchmark.c`.
"""

from __future__ import annotations

from dataclasses import dataclass

from redislab.benchmark.histogram import Histogram, Step
from redislab.benchmark.results import Result, Window

# redis-benchmark's histogram: nothing below 10 µs is told apart.
LOWEST_US = 10
CSV_HEADER_7 = (
    '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms",'
    '"p95_latency_ms","p99_latency_ms","max_latency_ms"'
)
BAR_WIDTH = 24
BAR_AFTER_S = 1.0


@dataclass(frozen=True)
class ServerConfig:
    """What the report says of a server: `save` and `appendonly`."""

    save: str
    appendonly: str


@dataclass(frozen=True)
class Context:
    """What the report says besides the figures.

    Attributes:
        config: of the one server, if it told; of each master in cluster mode.
        cluster: whether it is a cluster.
        processes: among how many the load was shared; 0 for none but this one.
    """

    config: tuple[ServerConfig | None, ...] = (None,)
    cluster: bool = False
    processes: int = 0


def report_7(result: Result, context: Context) -> str:
    """The report of 7.0."""
    settings, histogram = result.settings, _coarse(result)
    lines = [
        f"====== {result.title} ======",
        f"  {result.requests} requests completed in {result.duration_s:.2f} seconds",
        f"  {settings.clients} parallel clients",
        f"  {settings.workload.payload_bytes} bytes payload",
        f"  keep alive: {int(settings.keepalive)}",
        *_configuration(context),
        f"  multi-thread: {'yes' if context.processes else 'no'}",
    ]
    if context.processes:
        lines.append(f"  threads: {context.processes}")
    lines += ["", "Latency by percentile distribution:"]
    lines += _walk(list(histogram.by_percentile()), histogram.total)
    lines += ["", "Cumulative distribution of latencies:"]
    lines += _walk(list(histogram.by_value(100, 2000, 1000)), histogram.total)
    names = ("avg", "min", "p50", "p95", "p99", "max")
    figures = _latencies(histogram)
    lines += [
        "",
        "Summary:",
        f"  throughput summary: {result.throughput:.2f} requests per second",
        "  latency summary (msec):",
        "    " + " ".join(f"{name:>9}" for name in names),
        "    " + " ".join(f"{figure:9.3f}" for figure in figures),
        *_extras(result),
    ]
    return "\n".join(lines)


def report_4(result: Result, context: Context) -> str:
    """The report of 4.0: whole milliseconds, and how many requests took less."""
    settings = result.settings
    lines = [
        f"====== {result.title} ======",
        f"  {result.requests} requests completed in {result.duration_s:.2f} seconds",
        f"  {settings.clients} parallel clients",
        f"  {settings.workload.payload_bytes} bytes payload",
        f"  keep alive: {int(settings.keepalive)}",
        "",
        *_milliseconds(result.histogram),
        f"{result.throughput:.2f} requests per second",
        *_extras(result),
        "",
    ]
    return "\n".join(lines)


def quiet_7(result: Result) -> str:
    """The line of -q in 7.0."""
    p50 = _coarse(result).percentile_us(50.0) / 1000.0
    return f"{result.title}: {result.throughput:.2f} requests per second, p50={p50:.3f} msec"


def quiet_4(result: Result) -> str:
    """The line of -q in 4.0."""
    return f"{result.title}: {result.throughput:.2f} requests per second"


def csv_7(result: Result) -> str:
    """The row of --csv in 7.0."""
    figures = ",".join(f'"{figure:.3f}"' for figure in _latencies(_coarse(result)))
    return f'"{result.title}","{result.throughput:.2f}",{figures}'


def csv_4(result: Result) -> str:
    """The row of --csv in 4.0, which had no header."""
    return f'"{result.title}","{result.throughput:.2f}"'


class LiveLine:
    """The line that follows a run: redis-benchmark's, and on long runs a bar with the time left.

    Args:
        title: of the workload.
        requests: how many there will be, if that is known.
        duration_s: how long it will take, if that is known.
    """

    def __init__(self, title: str, requests: int | None, duration_s: float | None) -> None:
        self._title = title
        self._requests = requests
        self._duration_s = duration_s
        self._done = 0
        self._weighed_ms = 0.0
        self._width = 0

    def update(self, window: Window) -> str:
        """The characters that replace the line by what it says after this window."""
        self._done += window.requests
        self._weighed_ms += window.mean_ms * window.requests
        elapsed_s = window.start_s + window.duration_s
        overall = self._done / elapsed_s if elapsed_s else 0.0
        mean = self._weighed_ms / self._done if self._done else 0.0
        line = (
            f"{self._title}: rps={window.throughput:.1f} (overall: {overall:.1f}) "
            f"avg_msec={window.mean_ms:.3f} (overall: {mean:.3f})"
        )
        if elapsed_s >= BAR_AFTER_S:
            line += self._bar(elapsed_s)
        clean = self.clear()
        self._width = len(line)
        return f"{clean}{line}\r"

    def clear(self) -> str:
        """The characters that take the line away."""
        return " " * self._width + "\r" if self._width else ""

    def _bar(self, elapsed_s: float) -> str:
        shares = [0.0]
        if self._requests:
            shares.append(self._done / self._requests)
        if self._duration_s:
            shares.append(elapsed_s / self._duration_s)
        share = min(1.0, max(shares))
        if not share:
            return ""
        filled = round(share * BAR_WIDTH)
        left_s = elapsed_s / share - elapsed_s
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        return f" [{bar}] {share:4.0%} {left_s:.0f} s left"


def _coarse(result: Result) -> Histogram:
    return result.histogram.rebinned(result.settings.digits, LOWEST_US)


def _latencies(histogram: Histogram) -> tuple[float, ...]:
    return (
        histogram.mean_us / 1000.0,
        histogram.min_us / 1000.0,
        *(histogram.percentile_us(p) / 1000.0 for p in (50.0, 95.0, 99.0)),
        histogram.max_us / 1000.0,
    )


def _configuration(context: Context) -> list[str]:
    if not context.cluster:
        config = context.config[0]
        if config is None:
            return []
        return [
            f'  host configuration "save": {config.save}',
            f'  host configuration "appendonly": {config.appendonly}',
        ]
    lines = [f"  cluster mode: yes ({len(context.config)} masters)"]
    for index, config in enumerate(context.config):
        if config is not None:
            lines.append(f"  node [{index}] configuration:")
            lines.append(f"    save: {config.save or 'NONE'}")
            lines.append(f"    appendonly: {config.appendonly}")
    return lines


def _walk(steps: list[Step], total: int) -> list[str]:
    """One line a step; a step that adds nothing is left out, unless all is reached."""
    lines = []
    previous = -1
    for step in steps:
        if step.cumulative != previous or step.cumulative == total:
            lines.append(
                f"{step.percentile:.3f}% <= {step.value_us / 1000.0:.3f} milliseconds "
                f"(cumulative count {step.cumulative})"
            )
        previous = step.cumulative
    return lines


def _milliseconds(histogram: Histogram) -> list[str]:
    """For each whole millisecond at which a latency lies: the share up to the first of these.

    4.0 sorted all latencies and printed where the millisecond changed, and at the last one.
    """
    lines = []
    seen, current, total = 0, 0, histogram.total
    for start, count in histogram.counts:
        if start // 1000 != current:
            current = start // 1000
            lines.append(f"{(seen + 1) * 100.0 / total:.2f}% <= {current} milliseconds")
        seen += count
    if histogram.counts and not (histogram.counts[-1][1] == 1 and lines and _alone(histogram)):
        lines.append(f"100.00% <= {current} milliseconds")
    return lines


def _alone(histogram: Histogram) -> bool:
    """Whether the last latency is the only one in its millisecond, and so has its line already."""
    last = histogram.counts[-1][0] // 1000
    return histogram.count_below(last * 1000) == histogram.total - 1


def _extras(result: Result) -> list[str]:
    """What redis-benchmark has no words for; nothing in a run like its own."""
    lines = []
    if result.settings.rate is not None:
        lines.append(f"  arrival rate: {result.settings.rate:.2f} requests per second")
        lines.append("  latency is counted from the moment at which a request was due")
    if result.unanswered:
        lines.append(f"  never answered: {result.unanswered} requests")
    lines += [f"  errors: {count} {kind}" for kind, count in sorted(result.errors.items())]
    return lines
