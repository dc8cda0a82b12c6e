"""What a run found: windows as they come in, and the result at the end. Plain, frozen data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import add
from typing import Any

from redislab.benchmark.histogram import Histogram
from redislab.benchmark.settings import Settings


class _Figures:
    """What windows and results are both asked for. Latencies in milliseconds."""

    requests: int
    duration_s: float
    histogram: Histogram

    @property
    def throughput(self) -> float:
        """Replies a second."""
        return self.requests / self.duration_s if self.duration_s > 0 else 0.0

    @property
    def mean_ms(self) -> float:
        """The mean latency; 0.0 if there was no reply."""
        return self.histogram.mean_us / 1000.0

    def percentile_ms(self, percentile: float) -> float:
        """The latency that this share of the requests, in percent, did not exceed."""
        return self.histogram.percentile_us(percentile) / 1000.0

    @property
    def p50_ms(self) -> float:
        """The median latency."""
        return self.percentile_ms(50.0)

    @property
    def p95_ms(self) -> float:
        """The latency that 95 % of the requests did not exceed."""
        return self.percentile_ms(95.0)

    @property
    def p99_ms(self) -> float:
        """The latency that 99 % of the requests did not exceed."""
        return self.percentile_ms(99.0)

    @property
    def max_ms(self) -> float:
        """The greatest latency."""
        return self.histogram.max_us / 1000.0

    def summary(self) -> dict[str, float]:
        """Throughput and the usual latencies, by name."""
        return {
            "throughput": self.throughput,
            "mean_ms": self.mean_ms,
            "min_ms": self.histogram.min_us / 1000.0,
            "p50_ms": self.p50_ms,
            "p95_ms": self.p95_ms,
            "p99_ms": self.p99_ms,
            "p999_ms": self.percentile_ms(99.9),
            "max_ms": self.max_ms,
        }


@dataclass(frozen=True)
class Window(_Figures):
    """A stretch of a run.

    Attributes:
        start_s: when it began, in seconds since the first request.
        duration_s: how long it was, in seconds.
        requests: replies that came in it.
        histogram: their latencies, to two significant digits.
        errors: {kind: how many}; the kind is an error's first word ("OOM", "MOVED", ...) or what
            became of a connection ("connection lost", "connection refused").
        waiting: in the open loop, requests that were due and not yet sent at its end.
    """

    start_s: float
    duration_s: float
    requests: int
    histogram: Histogram
    errors: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it."""
        return {
            "start_s": self.start_s,
            "duration_s": self.duration_s,
            "requests": self.requests,
            "errors": dict(self.errors),
            "waiting": self.waiting,
            "histogram": self.histogram.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Window:
        """What `to_dict` made."""
        return cls(
            start_s=data["start_s"],
            duration_s=data["duration_s"],
            requests=data["requests"],
            histogram=Histogram.from_dict(data["histogram"]),
            errors=data["errors"],
            waiting=data["waiting"],
        )


@dataclass(frozen=True)
class Result(_Figures):
    """A whole run.

    Attributes:
        settings: what was asked for.
        requests: replies that came.
        duration_s: from the first request to the last reply, in seconds.
        histogram: the latencies of all of them.
        windows: throughput and latency over time.
        errors: {kind: how many}, as in `Window`.
        unanswered: in the open loop, requests that fell due and had no reply when time was up.
    """

    settings: Settings
    requests: int
    duration_s: float
    histogram: Histogram
    windows: tuple[Window, ...] = ()
    errors: Mapping[str, int] = field(default_factory=dict)
    unanswered: int = 0

    @property
    def title(self) -> str:
        """The workload's name."""
        return self.settings.workload.title

    @cached_property
    def concurrency(self) -> float:
        """Requests in the system at a time, by Little's law: throughput times mean latency."""
        return self.throughput * self.mean_ms / 1000.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, the summary included; the password is left out."""
        return {
            "title": self.title,
            "settings": self.settings.to_dict() | {"password": None},
            "requests": self.requests,
            "duration_s": self.duration_s,
            "summary": self.summary(),
            "errors": dict(self.errors),
            "unanswered": self.unanswered,
            "histogram": self.histogram.to_dict(),
            "windows": [window.to_dict() for window in self.windows],
        }

    def to_json(self) -> str:
        """One line of JSON; `from_json` reads it."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """What `to_dict` made."""
        return cls(
            settings=Settings.from_dict(data["settings"]),
            requests=data["requests"],
            duration_s=data["duration_s"],
            histogram=Histogram.from_dict(data["histogram"]),
            windows=tuple(Window.from_dict(window) for window in data["windows"]),
            errors=data["errors"],
            unanswered=data["unanswered"],
        )

    @classmethod
    def from_json(cls, text: str) -> Result:
        """What `to_json` made.

        Raises:
            ValueError: the text is no JSON.
            KeyError: something is missing in it.
        """
        return cls.from_dict(json.loads(text))


def merge_windows(windows: Sequence[Window]) -> Window:
    """Windows of the same stretch of time in several processes, as one."""
    return Window(
        start_s=min(window.start_s for window in windows),
        duration_s=max(window.duration_s for window in windows),
        requests=sum(window.requests for window in windows),
        histogram=reduce(add, (window.histogram for window in windows)),
        errors=merge_errors([window.errors for window in windows]),
        waiting=sum(window.waiting for window in windows),
    )


def merge_results(settings: Settings, results: Sequence[Result]) -> Result:
    """The results of processes that shared a run, as the result of that run."""
    rows = max(len(result.windows) for result in results)
    columns = [[r.windows[row] for r in results if row < len(r.windows)] for row in range(rows)]
    return Result(
        settings=settings,
        requests=sum(result.requests for result in results),
        duration_s=max(result.duration_s for result in results),
        histogram=reduce(add, (result.histogram for result in results)),
        windows=tuple(merge_windows(column) for column in columns),
        errors=merge_errors([result.errors for result in results]),
        unanswered=sum(result.unanswered for result in results),
    )


def merge_errors(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Counts by kind, added up."""
    merged: dict[str, int] = {}
    for part in parts:
        for kind, count in part.items():
            merged[kind] = merged.get(kind, 0) + count
    return merged
