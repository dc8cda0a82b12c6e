"""The Python interface: results, windows, stopping, the open loop, and no process left over."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from itertools import islice, pairwise
from statistics import mean
from typing import Any

import pytest

from redislab import benchmark
from redislab.benchmark.arrivals import arrivals
from redislab.benchmark.settings import settings_for

pytestmark = pytest.mark.redis


def test_a_run_adds_up(port: int) -> None:
    windows: list[benchmark.Window] = []
    result = benchmark.run(
        "SET", port=port, requests=20_000, clients=20, window_s=0.05, on_window=windows.append
    )
    assert result.requests == result.histogram.total == 20_000
    assert sum(window.requests for window in windows) == 20_000
    assert tuple(windows) == result.windows
    assert result.errors == {}
    # Little's law: with 20 clients in a closed loop, about 20 requests are in the system.
    assert result.concurrency < 20.5


def test_result_round_trip(port: int) -> None:
    result = benchmark.run("INCR", port=port, requests=1000, password=None)
    assert benchmark.Result.from_json(result.to_json()) == result


def test_processes_share_a_run(port: int) -> None:
    result = benchmark.run("SET", port=port, requests=3001, clients=7, processes=3)
    assert result.requests == 3001


def test_errors_are_counted_by_kind(port: int) -> None:
    benchmark.run(["SET", "text", "x"], port=port, requests=1)
    result = benchmark.run(["INCR", "text"], port=port, requests=100)
    assert result.errors == {"ERR": 100}


def test_nothing_listens() -> None:
    with pytest.raises(benchmark.ConnectError, match=r"at 127\.0\.0\.1:7: Connection refused"):
        benchmark.run("SET", port=7)


def test_unknown_tests_and_options_are_refused() -> None:
    with pytest.raises(ValueError, match="no test"):
        benchmark.run("FLUSH")
    with pytest.raises(ValueError, match="clients"):
        benchmark.run("SET", clients=0)


def test_stop_ends_the_stream_with_a_result(port: int) -> None:
    with benchmark.Benchmark("GET", port=port, duration_s=60.0, window_s=0.05) as running:
        for index, _ in enumerate(running.stream()):
            if index == 2:
                running.stop()
        assert running.result.duration_s < 30
    assert not running.running


def test_async_iteration(port: int) -> None:
    async def watch() -> list[benchmark.Window]:
        running = benchmark.Benchmark("GET", port=port, duration_s=0.3, window_s=0.1)
        return [window async for window in running]

    windows = asyncio.run(watch())
    assert sum(window.requests for window in windows) > 0


def test_no_worker_outlives_its_parent(port: int) -> None:
    code = (
        "import sys; from redislab.benchmark import Benchmark\n"
        f"b = Benchmark('GET', port={port}, duration_s=60.0)\n"
        "next(b.stream()); print(b._workers[0]._process.pid, flush=True); sys.stdin.read()\n"
        "keep = b"
    )
    code = code.replace("next(b.stream())", "s = b.stream(); next(s)")
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while _runs(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
    finally:
        os.sched_yield()


def test_due_times_keep_the_rate() -> None:
    even = list(islice(arrivals(settings_for("SET", rate=1000, arrivals="uniform")), 4))
    assert even == [0, 1_000_000, 2_000_000, 3_000_000]
    settings = settings_for("SET", rate=1000, seed=5)
    due = list(islice(arrivals(settings), 20_000))
    assert due == list(islice(arrivals(settings), 20_000))
    gaps = [after - before for before, after in pairwise(due)]
    assert mean(gaps) == pytest.approx(1_000_000, rel=0.05)


def test_open_loop_makes_as_many_requests_as_fall_due(port: int) -> None:
    result = benchmark.run("SET", port=port, rate=2000, requests=500, arrivals="uniform")
    assert result.requests == 500
    assert result.duration_s >= 499 / 2000


class _Stalling(asyncio.Protocol):
    """Answers at once, but for one second in which it answers nothing."""

    stalled = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time() - _Stalling.begin
        delay = 1.5 - now if 0.5 <= now < 1.5 else 0.0
        loop.call_later(delay, self.transport.write, b"+PONG\r\n" * data.count(b"PING"))

    begin = 0.0


def test_only_the_open_loop_sees_the_whole_stall(port: int) -> None:
    async def both() -> tuple[benchmark.Result, benchmark.Result]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Stalling, "127.0.0.1", 0)
        number = server.sockets[0].getsockname()[1]
        _Stalling.begin = loop.time()
        closed = await benchmark.coroutine("ping_mbulk", port=number, clients=1, duration_s=2.0)
        _Stalling.begin = loop.time()
        opened = await benchmark.coroutine(
            "ping_mbulk", port=number, clients=1, pipeline=1000, duration_s=2.0, rate=500
        )
        server.close()
        await server.wait_closed()
        return closed, opened

    closed, opened = asyncio.run(both())
    # The closed loop waited for one reply; the open one knows that half of its requests waited.
    assert closed.p99_ms < 500 < opened.p99_ms
    assert 40 < 100 * opened.histogram.count_below(50_000) / opened.histogram.total < 60
