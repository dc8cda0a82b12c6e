"""A load generator in the manner of redis-benchmark, from Python and from the command line.

    from redislab import benchmark

    result = benchmark.run("SET", port=6379, clients=50, requests=100_000)
    result.throughput, result.p99_ms

    with benchmark.Benchmark("GET", port=6379, duration_s=10, rate=5_000) as running:
        for window in running.stream():
            print(window.throughput, window.p99_ms)

The generator runs in a process of its own, so that it is never the notebook's interpreter lock that
is measured. In simulated time there are no processes: there `coroutine` runs the same loops on
asyncio. `main` is the command `redislab benchmark`.
"""

from typing import TYPE_CHECKING

from redislab.benchmark.histogram import Histogram, Step
from redislab.benchmark.results import Result, Window
from redislab.benchmark.settings import (
    BenchmarkError,
    ConnectError,
    Node,
    ReplyError,
    Settings,
    Tls,
    settings_for,
)
from redislab.benchmark.virtual import coroutine
from redislab.benchmark.workload import TESTS, Workload

if TYPE_CHECKING:
    from redislab.benchmark.process import Benchmark, run

__all__ = [
    "TESTS",
    "Benchmark",
    "BenchmarkError",
    "ConnectError",
    "Histogram",
    "Node",
    "ReplyError",
    "Result",
    "Settings",
    "Step",
    "Tls",
    "Window",
    "Workload",
    "coroutine",
    "main",
    "run",
    "settings_for",
]


def main(argv: list[str]) -> int:
    """Run `redislab benchmark` with these arguments; returns the exit code."""
    from redislab.benchmark.command import main as command

    return command(argv)


def __getattr__(name: str) -> object:
    """Import what needs processes when it is first used: a browser has none."""
    if name in {"Benchmark", "run"}:
        from redislab.benchmark import process

        return getattr(process, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
