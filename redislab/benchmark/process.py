"""Running the generator in a process of its own, and listening to it.

`run` waits for the result. `Benchmark` hands out windows as they come in, to a `for` loop, to an
`async for` loop (a dashboard in a notebook, where the kernel's own loop must stay free), or to a
callback. No threads: a pipe is read where somebody waits for it.

A worker ends with the run, with `stop`, with the `with` block, when its `Benchmark` is collected,
and when this process dies however suddenly, because its stdin ends then.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import selectors
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redislab
from redislab.benchmark.results import Result, Window, merge_results, merge_windows
from redislab.benchmark.settings import (
    BenchmarkError,
    ConnectError,
    ReplyError,
    Settings,
    settings_for,
    share,
)

STOP_TIMEOUT_S = 10.0
_ERRORS = {error.__name__: error for error in (BenchmarkError, ConnectError, ReplyError)}


def run(
    test: str | Sequence[str | bytes] | Settings,
    *,
    on_window: Callable[[Window], None] | None = None,
    processes: int = 1,
    **options: Any,
) -> Result:
    """Run a benchmark in a process of its own and wait for it.

    Args:
        test: the name of a default test, the words of a command, or whole settings.
        on_window: called with every window as it comes in.
        processes: how many generators share the load; more than one only where one is not enough.
        **options: `payload` in bytes and the fields of `Settings`.

    Raises:
        ConnectError: the server was not reached.
        BenchmarkError: the run could not begin or go on.
        ValueError: an option is out of its range.
    """
    with Benchmark(test, processes=processes, **options) as benchmark:
        for window in benchmark.stream():
            if on_window is not None:
                on_window(window)
        return benchmark.result


class Benchmark:
    """A run in a process of its own; it begins with the first `stream` or with `start`.

    Args:
        test: the name of a default test, the words of a command, or whole settings.
        processes: how many generators share the load.
        **options: `payload` in bytes and the fields of `Settings`.

    Raises:
        ValueError: an option is out of its range, or no test has that name.
    """

    def __init__(
        self,
        test: str | Sequence[str | bytes] | Settings,
        *,
        processes: int = 1,
        **options: Any,
    ) -> None:
        self.settings = test if isinstance(test, Settings) else settings_for(test, **options)
        self._parts = share(self.settings, processes)
        self._workers: list[_Worker] = []
        self._windows: list[Window] = []
        self._handed_out = 0
        self._result: Result | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the load, if it does not run yet."""
        if not self._workers:
            self._workers = [_Worker(part) for part in self._parts]

    def stop(self) -> None:
        """Ask the load to end; the stream then ends too, and `result` has what was measured."""
        for worker in self._workers:
            worker.stop()

    def close(self) -> None:
        """End the load at once, whatever it is doing."""
        for worker in self._workers:
            worker.kill()

    @property
    def running(self) -> bool:
        """Whether a generator is at work."""
        return any(worker.alive for worker in self._workers)

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that have come in so far."""
        return tuple(self._windows)

    @property
    def result(self) -> Result:
        """What the run found.

        Raises:
            BenchmarkError: the stream has not ended yet.
        """
        if self._result is None:
            raise BenchmarkError("the benchmark has not ended")
        return self._result

    def stream(self) -> Iterator[Window]:
        """Windows as they come in, until the run has ended.

        Raises:
            ConnectError: the server was not reached.
            BenchmarkError: the run could not begin or go on.
        """
        self.start()
        try:
            with selectors.DefaultSelector() as selector:
                for worker in self._workers:
                    selector.register(worker.output, selectors.EVENT_READ, worker)
                while selector.get_map():
                    for key, _ in selector.select():
                        if not key.data.read():
                            selector.unregister(key.fileobj)
                    yield from self._new_windows()
            self._finish()
            yield from self._new_windows()
        except BaseException:
            self.close()
            raise

    async def __aiter__(self) -> AsyncIterator[Window]:
        """The same for `async for`: the loop that runs stays free while nothing comes in."""
        self.start()
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        listening = {worker.output: worker for worker in self._workers}

        def readable(descriptor: int) -> None:
            if not listening[descriptor].read():
                loop.remove_reader(descriptor)
                del listening[descriptor]
            news.set()

        for descriptor in listening:
            loop.add_reader(descriptor, readable, descriptor)
        try:
            while listening:
                await news.wait()
                news.clear()
                for window in self._new_windows():
                    yield window
            self._finish()
            for window in self._new_windows():
                yield window
        except BaseException:
            self.close()
            raise
        finally:
            for descriptor in listening:
                loop.remove_reader(descriptor)

    async def watch(self, on_window: Callable[[Window], None]) -> Result:
        """Call back with every window; returns the result at the end."""
        async for window in self:
            on_window(window)
        return self.result

    def _new_windows(self) -> Iterator[Window]:
        """Windows that every worker has told of, or that only those still at work could add to."""
        self._raise_error()
        while True:
            row = len(self._windows)
            column = [w.windows[row] for w in self._workers if row < len(w.windows)]
            ready = all(row < len(w.windows) or w.ended for w in self._workers)
            if not column or not ready:
                break
            self._windows.append(merge_windows(column))
        while self._handed_out < len(self._windows):
            self._handed_out += 1
            yield self._windows[self._handed_out - 1]

    def _raise_error(self) -> None:
        for worker in self._workers:
            if worker.error is not None:
                self.close()
                raise worker.error

    def _finish(self) -> None:
        for worker in self._workers:
            worker.wait()
        self._raise_error()
        results = [worker.result for worker in self._workers if worker.result is not None]
        if len(results) < len(self._workers):
            raise BenchmarkError("Error: the generator's process ended before its run did")
        self._result = merge_results(self.settings, results)


class _Worker:
    """A generator's process, and what it has said."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.windows: list[Window] = []
        self.result: Result | None = None
        self.error: BenchmarkError | None = None
        self.ended = False
        self._buffer = bytearray()
        root = Path(redislab.__file__).parents[1]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "redislab.benchmark.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=root,
        )
        weakref.finalize(self, _end, self._process)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input = self._process.stdin
        self._output = self._process.stdout
        self.output = self._output.fileno()
        self._input.write(json.dumps(settings.to_dict()).encode() + b"\n")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._input.write(b"stop\n")

    def kill(self) -> None:
        _end(self._process)
        self.ended = True

    def wait(self) -> None:
        _close(self._process)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            _end(self._process)

    def read(self) -> bool:
        """Take what has come; False at the end of it. Blocks only if nothing is there."""
        data = self._output.read(1 << 20) or b""
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        for line in lines:
            self._take(json.loads(line))
        if not data:
            self.ended = True
        return not self.ended

    def _take(self, message: dict[str, Any]) -> None:
        if "window" in message:
            self.windows.append(Window.from_dict(message["window"]))
        elif "error" in message:
            kind, text = message["error"]
            self.error = _ERRORS.get(kind, BenchmarkError)(text)
        else:
            result = Result.from_dict(message["result"])
            self.result = Result(
                settings=self.settings,
                requests=result.requests,
                duration_s=result.duration_s,
                histogram=result.histogram,
                windows=tuple(self.windows),
                errors=result.errors,
                unanswered=result.unanswered,
            )


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    _close(process)
