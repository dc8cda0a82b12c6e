"""The same loops on plain asyncio, for simulated time and for tests.

Inside a simulated world there are no processes and no epoll, and time is the loop's. `coroutine`
uses nothing but the running loop: its clock, its connections and its timers. It is slower than the
generator by a factor of five or so, which costs nothing in virtual time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from redislab.benchmark.arrivals import arrivals
from redislab.benchmark.histogram import Histogram
from redislab.benchmark.results import Result, Window
from redislab.benchmark.settings import (
    ConnectError,
    Node,
    ReplyError,
    Settings,
    kind_of,
    prefix,
    settings_for,
)
from redislab.benchmark.workload import RequestMaker, new_random
from redislab.wire.replies import PUSH, ReplyParser

RECONNECT_DELAY_S = 0.05
WINDOW_DIGITS = 2
NEVER = float("inf")


async def coroutine(
    test: str | Sequence[str | bytes] | Settings,
    *,
    on_window: Callable[[Window], None] | None = None,
    stop: asyncio.Event | None = None,
    **options: Any,
) -> Result:
    """Run a benchmark on the running loop, in its time.

    Args:
        test: the name of a default test, the words of a command, or whole settings.
        on_window: called with every window as it ends.
        stop: set it to end the run early.
        **options: `payload` in bytes and the fields of `Settings`; TLS, Unix sockets, cluster mode
            and `keepalive=False` are for the generator only.

    Raises:
        ConnectError: the server was not reached, or hung up under `stop_on_error`.
        ReplyError: an error reply under `stop_on_error`.
        ValueError: an option is out of its range or needs the generator.
    """
    settings = test if isinstance(test, Settings) else settings_for(test, **options)
    if settings.tls or settings.unix_socket or settings.nodes or not settings.keepalive:
        raise ValueError("TLS, Unix sockets, clusters and keepalive=False need the generator")
    return await _Load(settings, on_window, stop).run()


class _Load:
    """One run: its clients are tasks, its windows timers."""

    def __init__(
        self,
        settings: Settings,
        on_window: Callable[[Window], None] | None,
        stop: asyncio.Event | None,
    ) -> None:
        self._settings = settings
        self._on_window = on_window
        self._stop = stop or asyncio.Event()
        self._loop = asyncio.get_running_loop()
        node = settings.targets[0]
        self._node = node
        self._maker = RequestMaker(
            settings.workload.request, settings.keyspace, new_random(settings.seed)
        )
        self._left = settings.requests or 1 << 62
        self._due: deque[float] = deque()
        self._news = asyncio.Condition()
        self._closing = False
        self._windows: list[Window] = []
        self._counts: dict[int, int] = {}
        self._total: dict[int, int] = {}
        self._errors: dict[str, int] = {}
        self._window_errors: dict[str, int] = {}
        self._finished = self._window_finished = self._unanswered = 0
        self._begin = self._window_begin = self._last = 0.0

    async def run(self) -> Result:
        settings, loop = self._settings, self._loop
        connections = [await self._connect() for _ in range(settings.clients)]
        self._begin = self._window_begin = self._last = loop.time()
        work = self._closed if settings.rate is None else self._open
        tasks = [asyncio.ensure_future(work(connection)) for connection in connections]
        if settings.rate is not None:
            tasks.append(asyncio.ensure_future(self._arrive()))
        stopping = asyncio.ensure_future(self._stop.wait())
        ticking = asyncio.ensure_future(self._tick())
        everything: asyncio.Future[Any] = asyncio.gather(*tasks)
        limit = settings.duration_s if settings.rate is None else None
        try:
            awaited: set[asyncio.Future[Any]] = {everything, stopping, ticking}
            await asyncio.wait(
                awaited,
                timeout=limit,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if everything.done():
                everything.result()
        finally:
            self._unanswered += len(self._due)
            for task in (*tasks, stopping, ticking):
                task.cancel()
            await asyncio.gather(*tasks, everything, stopping, ticking, return_exceptions=True)
            for connection in connections:
                connection.close()
        return self._result(limit)

    # -- the loops --------------------------------------------------------------------------------

    async def _closed(self, connection: _Connection) -> None:
        batch = self._settings.pipeline
        while self._left > 0:
            self._left -= batch
            begin = self._loop.time()
            if await self._exchange(connection, batch):
                self._record([begin] * batch)
            else:
                self._left += batch

    async def _open(self, connection: _Connection) -> None:
        while True:
            async with self._news:
                await self._news.wait_for(lambda: self._due or self._closing)
                if not self._due:
                    return
                size = min(self._settings.pipeline, len(self._due))
                due = [self._due.popleft() for _ in range(size)]
            answered = False
            try:
                answered = await self._exchange(connection, size)
            finally:
                self._unanswered += 0 if answered else size
            self._record(due)

    async def _arrive(self) -> None:
        """Let requests fall due, then close the door."""
        deadline = self._settings.duration_s
        end = NEVER if deadline is None else self._begin + deadline
        for offset in arrivals(self._settings):
            at = self._begin + offset / 1e9
            await asyncio.sleep(min(at, end) - self._loop.time())
            if at >= end or self._left <= 0:
                break
            self._left -= 1
            async with self._news:
                self._due.append(at)
                self._news.notify()
        async with self._news:
            if self._loop.time() >= end:
                self._unanswered += len(self._due)
                self._due.clear()
            self._closing = True
            self._news.notify_all()

    # -- connections and errors -------------------------------------------------------------------

    async def _connect(self) -> _Connection:
        connection = _Connection(self._loop)
        try:
            await connection.open(self._node)
            hello = prefix(self._settings)
            for error in await connection.ask(hello.data, hello.replies):
                raise ReplyError(f"Error from server: {error}")
        except OSError as error:
            place = f"{self._node.host}:{self._node.port}"
            reason = error.strerror or error
            raise ConnectError(f"Could not connect to Redis at {place}: {reason}") from None
        return connection

    async def _exchange(self, connection: _Connection, size: int) -> bool:
        """One batch and its replies; False if the connection broke, which then is a new one."""
        try:
            errors = await connection.ask(self._maker.batch(size), size)
        except OSError as error:
            if self._settings.stop_on_error:
                raise ConnectError(f"Error: {error.strerror or error}") from None
            self._count("connection lost")
            await self._reconnect(connection)
            return False
        for text in errors:
            if self._settings.stop_on_error:
                raise ReplyError(f"Error from server: {text}")
            self._count(kind_of(text))
        return True

    async def _reconnect(self, connection: _Connection) -> None:
        while True:
            await asyncio.sleep(RECONNECT_DELAY_S)
            try:
                await connection.open(self._node)
                hello = prefix(self._settings)
                refused = await connection.ask(hello.data, hello.replies)
            except OSError:
                self._count("connection refused")
                continue
            if not refused:
                return
            self._count(kind_of(refused[0]))

    def _count(self, kind: str) -> None:
        self._window_errors[kind] = self._window_errors.get(kind, 0) + 1

    # -- windows and the result -------------------------------------------------------------------

    def _record(self, begins: list[float]) -> None:
        now = self._loop.time()
        for begin in begins:
            latency = max(0, round((now - begin) * 1e6))
            self._counts[latency] = self._counts.get(latency, 0) + 1
        self._finished += len(begins)
        self._last = now

    async def _tick(self) -> None:
        width, index = self._settings.window_s, 0
        while True:
            index += 1
            await asyncio.sleep(self._begin + index * width - self._loop.time())
            self._end_window(self._loop.time())

    def _end_window(self, now: float) -> None:
        window = Window(
            start_s=self._window_begin - self._begin,
            duration_s=now - self._window_begin,
            requests=self._finished - self._window_finished,
            histogram=Histogram.from_counts(self._counts, WINDOW_DIGITS),
            errors=self._window_errors,
            waiting=len(self._due),
        )
        for latency, number in self._counts.items():
            self._total[latency] = self._total.get(latency, 0) + number
        for kind, number in self._window_errors.items():
            self._errors[kind] = self._errors.get(kind, 0) + number
        self._counts, self._window_errors = {}, {}
        self._window_finished, self._window_begin = self._finished, now
        self._windows.append(window)
        if self._on_window is not None:
            self._on_window(window)

    def _result(self, limit: float | None) -> Result:
        now = self._last if limit is None else self._loop.time()
        if self._finished > self._window_finished or self._window_errors or not self._windows:
            self._end_window(max(now, self._window_begin))
        return Result(
            settings=self._settings,
            requests=self._finished,
            duration_s=now - self._begin,
            histogram=Histogram.from_counts(self._total, self._settings.digits),
            windows=tuple(self._windows),
            errors=self._errors,
            unanswered=self._unanswered,
        )


class _Connection(asyncio.Protocol):
    """A connection that asks for a number of replies and waits for all of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[list[str]] | None = None
        self._parser = ReplyParser()
        self._missing = 0
        self._refusals: list[str] = []

    async def open(self, node: Node) -> None:
        """Connect, again if need be; OSError if it cannot be."""
        self._parser = ReplyParser()
        transport, _ = await self._loop.create_connection(lambda: self, node.host, node.port)
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def ask(self, data: bytes, replies: int) -> list[str]:
        """Send, and wait for so many replies; returns the texts of the errors among them."""
        if not replies:
            return []
        if self._transport is None:
            raise ConnectionResetError("Server closed the connection")
        self._missing, self._refusals = replies, []
        self._waiter = self._loop.create_future()
        self._transport.write(data)
        return await self._waiter

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count the replies that are complete now."""
        for reply in self._parser.feed(data):
            if reply.kind == PUSH:
                continue
            self._missing -= 1
            if reply.is_error:
                self._refusals.append((reply.text or b"").decode("utf-8", "replace"))
        if self._missing <= 0 and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._refusals)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the one who waits."""
        self._transport = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError("Server closed the connection"))
