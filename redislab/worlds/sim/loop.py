"""The deterministic event loop: asyncio on a virtual clock.

`SimLoop` is an asyncio event loop that never waits. It runs what is ready; when nothing is, it
moves its clock to the next timer. Time passes only there, so an hour of heartbeats takes as long as
their Python code does, and the same program with the same seed has the same history.

Three things make it more than a fast clock:

- It knows whose an event is (`hosts.py`), and holds back or drops what belongs to a process that is
  paused or dead.
- It can be entered while another loop runs in this thread, as a notebook's kernel does: the running
  loop is set aside and put back.
- If nothing is scheduled and somebody still waits, that is a deadlock, and it says who waits where.

Nothing here needs a thread, a socket or a pipe, so it runs in Pyodide as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import socket
import sys
import threading
from asyncio import events, tasks
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakKeyDictionary

from redislab.worlds.sim.faults import Faults
from redislab.worlds.sim.hosts import CURRENT, Process
from redislab.worlds.sim.journal import Journal
from redislab.worlds.sim.network import Network
from redislab.worlds.sim.waits import who_waits

if TYPE_CHECKING:
    from redislab.worlds.sim.transport import SimTransport

T = TypeVar("T")

# After so many rounds at one instant the clock moves on all the same: a task that polls with
# `await asyncio.sleep(0)` would otherwise never see a timer go off.
ROUNDS_MAX = 10_000
# And with no timer either, it is a busy loop that nothing can end.
ROUNDS_HOPELESS = 1_000_000
# How long, in virtual seconds, `run_until_complete` waits while only others' timers go off. A
# server's cron would let it wait forever.
PATIENCE_SECONDS = 24 * 3600.0
# Cancelled timers are swept out when there are this many of them, and more than half.
CANCELLED_MAX = 64

# When it is due, the order in which it was scheduled, and either a handle of asyncio's or a
# callback of the network's own with its one argument, which belongs to no process.
_Timer = tuple[float, int, Any, Any, Any]


class DeadlockError(RuntimeError):
    """Nothing can ever happen again, and somebody still waits; the message says who and where."""


class SimLoop(asyncio.BaseEventLoop):
    """An event loop on a virtual clock, with a simulated network.

    Args:
        seed: of the network's one random source, which decides everything that is left to chance.
        faults: what the network does to messages.
        journal: where messages and events are written; a new one by default.
        patience_seconds: virtual seconds after which `run_until_complete` gives up waiting.

    `asyncio.Runner(loop_factory=SimLoop)` works, and so does `run_until_complete` inside a running
    loop, which asyncio's own loops refuse.
    """

    if TYPE_CHECKING:
        # What BaseEventLoop has and typeshed does not list.
        _ready: deque[Any]
        _stopping: bool
        _thread_id: int | None

        def _check_closed(self) -> None: ...

    def __init__(
        self,
        seed: int | str = 0,
        faults: Faults | None = None,
        journal: Journal | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        super().__init__()
        self._now = 0.0
        self._timers: list[_Timer] = []
        self._sequence = 0
        self._cancelled = 0
        self._rounds = 0
        self._horizon = float("inf")
        self._task_processes: WeakKeyDictionary[asyncio.Task[Any], Process | None] = (
            WeakKeyDictionary()
        )
        self._tasks_made = 0
        # A context that belongs to no process.
        self.kernel = Context()
        self._span: object = None
        # Whether any host's clock differs from the true one: only then is it worth asking whose
        # time is meant.
        self.skewed = False
        self.patience_seconds = patience_seconds
        self.journal = journal if journal is not None else Journal(lambda: self._now)
        self.network = Network(self, seed, faults or Faults(), self.journal)

    # -- time ----------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The true time in seconds, whatever anybody's clock shows."""
        return self._now

    def time(self) -> float:
        """What the clock of the current host shows, in seconds."""
        if self.skewed:
            process = CURRENT.get()
            if process is not None:
                return process.host.clock.local(self._now)
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback at this instant, after what is ready already."""
        self._check_closed()
        handle = events.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    # There are no other threads in here, and Pyodide has none at all.
    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback after `delay` seconds of the current host's clock."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback when the current host's clock shows `when`."""
        self._check_closed()
        timer = events.TimerHandle(when, callback, args, self, context)
        timer._scheduled = True  # type: ignore[attr-defined]
        if self.skewed:
            process = CURRENT.get()
            if process is not None:
                when = process.host.clock.true(when)
        self._sequence += 1
        heapq.heappush(self._timers, (when, self._sequence, timer, None, None))
        return timer

    def schedule(self, when: float, callback: Callable[[Any], object], argument: Any) -> None:
        """Run the network's own callback at the true time `when`, whoever is paused or dead."""
        self._sequence += 1
        heapq.heappush(self._timers, (when, self._sequence, None, callback, argument))

    def kernel_timer(
        self, when: float, callback: Callable[[Any], object], argument: Any
    ) -> asyncio.TimerHandle:
        """The same, for what may have to be cancelled."""
        timer = events.TimerHandle(when, callback, (argument,), self, self.kernel)
        timer._scheduled = True  # type: ignore[attr-defined]
        self._sequence += 1
        heapq.heappush(self._timers, (when, self._sequence, timer, None, None))
        return timer

    # -- running -------------------------------------------------------------------------------

    def run_forever(self) -> None:
        """Run until `stop` is called.

        Raises:
            DeadlockError: when nothing is left to do.
            RuntimeError: when this loop is running already.
        """
        self._check_closed()
        if self.is_running():
            raise RuntimeError(
                "this simulation is running already: a coroutine in it cannot use a blocking"
                " client, which would run it again; await an asyncio client instead"
            )
        outer = events._get_running_loop()
        outer_task = None
        if outer is not None and hasattr(tasks, "_swap_current_task"):
            outer_task = tasks._swap_current_task(outer, None)
        hooks = sys.get_asyncgen_hooks()
        self._thread_id = threading.get_ident()
        try:
            sys.set_asyncgen_hooks(
                firstiter=self._asyncgen_firstiter_hook,  # type: ignore[attr-defined]
                finalizer=self._asyncgen_finalizer_hook,  # type: ignore[attr-defined]
            )
            events._set_running_loop(self)
            self._run_until_stopped()
        finally:
            self._stopping = False
            self._thread_id = None
            sys.set_asyncgen_hooks(*hooks)
            events._set_running_loop(outer)
            if outer_task is not None:
                tasks._swap_current_task(outer, outer_task)  # type: ignore[attr-defined]

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until a future or coroutine is done, and return its result.

        Raises:
            DeadlockError: when it can never be done, or is not within `patience_seconds`.
        """
        self._check_closed()
        is_new = not asyncio.isfuture(future)
        task = cast("asyncio.Future[T]", asyncio.ensure_future(future, loop=self))  # type: ignore[arg-type]
        if is_new:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.add_done_callback(self._stop_for)
        self._horizon, horizon = self._now + self.patience_seconds, self._horizon
        try:
            self.run_forever()
        except BaseException:
            if is_new and task.done() and not task.cancelled():
                task.exception()
            raise
        finally:
            self._horizon = horizon
            task.remove_done_callback(self._stop_for)
        if not task.done():
            raise RuntimeError("the loop was stopped before the future was done")
        return task.result()

    def run_for(self, seconds: float) -> None:
        """Let `seconds` of true time pass."""
        self._span = span = object()
        self.schedule(self._now + seconds, self._end_span, span)
        self.run_forever()

    def close(self) -> None:
        """Drop everything that is scheduled, and every task that is not done."""
        if self.is_running():
            raise RuntimeError("a simulation cannot be closed while it runs")
        if self.is_closed():
            return
        self.network.close()
        for task in list(self._task_processes):
            self._discard(task)
        self._timers.clear()
        super().close()

    # -- processes -----------------------------------------------------------------------------

    def release(self, process: Process) -> None:
        """A process goes on: what was held back is run, in order, after what is ready."""
        deferred, process.deferred = process.deferred, []
        self._ready.extend(deferred)

    def bury(self, process: Process) -> None:
        """A process is dead: none of its events and none of its tasks run again."""
        process.deferred.clear()
        alive = [timer for timer in self._timers if not _belongs(timer[2], process)]
        if len(alive) < len(self._timers):
            # In place: the running loop holds on to this list.
            self._timers[:] = alive
            heapq.heapify(self._timers)
            self._cancelled = sum(t[2] is not None and t[2]._cancelled for t in alive)
        for task, owner in list(self._task_processes.items()):
            if owner is process:
                self._discard(task)

    # -- what asyncio asks of a loop -----------------------------------------------------------

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        """Start a task; it belongs to the process of its context."""
        self._check_closed()
        self._tasks_made += 1
        # asyncio numbers tasks through the whole interpreter: a second lab would differ.
        name = name or f"Task-{self._tasks_made}"
        task = asyncio.Task(coro, loop=self, name=name, context=context, **options)
        owner = CURRENT.get() if context is None else context.get(CURRENT)
        self._task_processes[task] = owner
        return task

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: object = None,
        sock: object = None,
        local_addr: tuple[str, int] | None = None,
        **options: Any,
    ) -> tuple[SimTransport, asyncio.BaseProtocol]:
        """Connect through the simulated network."""
        _refuse_sockets(ssl, sock)
        transport = await self.network.connect(host or "127.0.0.1", int(port or 0), local_addr)
        protocol = protocol_factory()
        transport.attach(protocol)
        return transport, protocol

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | list[str] | None = None,
        port: int | None = None,
        *,
        ssl: object = None,
        sock: object = None,
        backlog: int = 100,
        start_serving: bool = True,
        **options: Any,
    ) -> asyncio.AbstractServer:
        """Listen on the simulated network; raises OSError if an address is taken."""
        _refuse_sockets(ssl, sock)
        return self.network.serve(protocol_factory, host, port or 0, backlog, start_serving)

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: str | None,
        port: int | str | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the loop's interface names it so
        proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        """The simulated network's addresses of a host; it knows its own hosts and no others."""
        ip = self.network.resolve(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, int(port or 0)))]

    async def getnameinfo(self, sockaddr: tuple[str, int] | Any, flags: int = 0) -> tuple[str, str]:
        """An address is its own name here."""
        return sockaddr[0], str(sockaddr[1])

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run a function here and now: a thread would bring its own order of events."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as failure:
            future.set_exception(failure)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """There is none."""

    # -- inside --------------------------------------------------------------------------------

    def _run_until_stopped(self) -> None:
        """Run what is ready; when nothing is, move the clock to the next timer and run that."""
        ready = self._ready
        while True:
            if ready and (self._rounds < ROUNDS_MAX or not self._has_timer()):
                self._rounds += 1
                for _ in range(len(ready)):
                    handle = ready.popleft()
                    if handle._cancelled:
                        continue
                    process = handle._context.get(CURRENT)
                    if process is not None and process.held:
                        process.hold(handle)
                    else:
                        handle._run()
                if self._rounds > ROUNDS_HOPELESS:
                    raise DeadlockError(who_waits(self, "only busy loops are left"))
            else:
                self._rounds = 0
                self._run_next_timer()
            if self._stopping:
                return

    def _run_next_timer(self) -> None:
        if not self._has_timer():
            raise DeadlockError(who_waits(self, "nothing is scheduled, so nothing can happen"))
        when, _, handle, callback, argument = self._timers[0]
        if when > self._horizon:
            raise DeadlockError(
                who_waits(self, f"{self.patience_seconds:g} s of virtual time have passed")
            )
        heapq.heappop(self._timers)
        self._now = max(self._now, when)
        if handle is None:
            callback(argument)
            return
        handle._scheduled = False
        process = handle._context.get(CURRENT)
        if process is not None and process.held:
            process.hold(handle)
        else:
            handle._run()

    def _has_timer(self) -> bool:
        """Whether a timer is left that was not cancelled; cancelled ones in front are dropped."""
        timers = self._timers
        while timers and timers[0][2] is not None and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._cancelled -= 1
        return bool(timers)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A handle tells that it was cancelled: asyncio's clients set a timer for each reply."""
        if not handle._scheduled:  # type: ignore[attr-defined]
            return
        self._cancelled += 1
        if self._cancelled > CANCELLED_MAX and self._cancelled > len(self._timers) // 2:
            self._timers[:] = [t for t in self._timers if t[2] is None or not t[2]._cancelled]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _stop_for(self, _: object) -> None:
        self.stop()

    def _end_span(self, span: object) -> None:
        # One that an interrupt cut short has left its timer behind.
        if span is self._span:
            self.stop()

    def _discard(self, task: asyncio.Task[Any]) -> None:
        """End a task as a killed process does: without a word, and never to be run again."""
        if task.done():
            return
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        coroutine: Any = task.get_coro()
        if coroutine is None:
            return
        if getattr(coroutine, "cr_running", False):
            # It is killing itself; it will be gone as soon as it waits.
            self.schedule(self._now, self._discard, task)
            return
        owner = self._task_processes.pop(task, None)
        # Python has no way to drop a coroutine: it must be unwound. What its `finally` blocks do
        # meets closed connections and a loop that runs nothing for a dead process.
        with contextlib.suppress(Exception):
            if owner is not None:
                owner.context.copy().run(coroutine.close)
            else:
                coroutine.close()

    def _write_to_self(self) -> None:
        """Nobody waits outside, so there is nobody to wake."""

    def _process_events(self, event_list: object) -> None:
        """There is no selector."""


def _belongs(handle: Any, process: Process) -> bool:
    return handle is not None and handle._context.get(CURRENT) is process


def _refuse_sockets(ssl: object, sock: object) -> None:
    if ssl:
        raise NotImplementedError("the simulated network has no TLS")
    if sock is not None:
        raise NotImplementedError("the simulated network has no operating system sockets")
