"""The background thread of the real worlds, and the event loop in it.

The loop is uvloop's where that is installed, else asyncio's own. On top of it stands what lets one
of several nodes in one loop be stopped or killed as if it were a process: every connection, timer
and task is known by its owner, which a context variable tells (asyncio copies it into whatever a
node starts). Nothing of this is on the path of a request: a connection is noted when it is made,
and hands its bytes straight to the node after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from redislab.worlds.tasks import end_tasks

if TYPE_CHECKING:
    from redislab.worlds.routes import Routes

T = TypeVar("T")

CLOSE_SECONDS_MAX = 5.0

uvloop: Any
try:
    import uvloop
except ImportError:
    uvloop = None


class Owner:
    """Who connections, timers and tasks belong to: one run of a node, or a lab's client."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_paused = False
        self.is_dead = False
        self.transports: WeakSet[asyncio.Transport] = WeakSet()
        self.servers: WeakSet[asyncio.AbstractServer] = WeakSet()
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._silenced: list[asyncio.Transport] = []
        self._deferred: list[tuple[Context, Callable[..., object], tuple[Any, ...]]] = []

    def context(self) -> Context:
        """A context in which code belongs to this owner."""
        context = copy_context()
        context.run(OWNER.set, self)
        return context

    def adopt(self, transport: asyncio.Transport) -> None:
        """Note a new connection."""
        self.transports.add(transport)
        if self.is_dead:
            transport.abort()
        elif self.is_paused:
            asyncio.get_running_loop().call_soon(self._silence, transport)

    def fire(self, callback: Callable[..., object], *args: Any) -> None:
        """A timer has gone off: now, when the owner goes on, or never."""
        if self.is_paused:
            self._deferred.append((copy_context(), callback, args))
        elif not self.is_dead:
            callback(*args)

    def pause(self) -> None:
        """Read nothing and let no timer go off; the kernel keeps what comes."""
        self.is_paused = True
        for transport in list(self.transports):
            self._silence(transport)

    def resume(self) -> None:
        """Go on with what has come and what was due meanwhile."""
        self.is_paused = False
        silenced, self._silenced = self._silenced, []
        for transport in silenced:
            if not transport.is_closing():
                transport.resume_reading()
        deferred, self._deferred = self._deferred, []
        loop = asyncio.get_running_loop()
        for context, callback, args in deferred:
            loop.call_soon(callback, *args, context=context)

    def kill(self) -> None:
        """Drop everything; the kernel tells the other sides."""
        self.is_dead = True
        self.is_paused = False
        self._deferred.clear()
        self._silenced.clear()
        for server in list(self.servers):
            server.close()
        for transport in list(self.transports):
            transport.abort()
        for task in list(self.tasks):
            task.cancel()

    def _silence(self, transport: asyncio.Transport) -> None:
        if self.is_paused and not transport.is_closing() and transport.is_reading():
            transport.pause_reading()
            self._silenced.append(transport)


OWNER: ContextVar[Owner | None] = ContextVar("redislab_owner", default=None)


class _Doorman(asyncio.Protocol):
    """Notes a new connection for its owner, then hands it to the owner's protocol for good."""

    def __init__(self, owner: Owner, protocol: asyncio.BaseProtocol) -> None:
        self.owner = owner
        self.protocol = protocol

    def connection_made(self, transport: Any) -> None:
        transport.set_protocol(self.protocol)
        self.owner.adopt(transport)
        self.protocol.connection_made(transport)


class _OwnedLoop:
    """What is added to an event loop; `make_loop` puts it in front of one.

    Attributes:
        routes: how hosts reach each other's nodes; None is straight.
    """

    routes: Routes | None = None
    # The base loop's own timer; its call_at and call_later lean on each other.
    _timer: Callable[..., asyncio.TimerHandle]

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        owner = OWNER.get()
        if owner is None:
            return self._timer(delay, callback, *args, context=context)
        return self._timer(delay, owner.fire, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        delay = when - self.time()  # type: ignore[attr-defined]
        return self.call_later(delay, callback, *args, context=context)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = super().create_task(coro, **options)  # type: ignore[misc]
        context = options.get("context")
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            owner.tasks.add(task)
        return task

    async def create_server(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        owner = OWNER.get()
        if owner is None:
            return await super().create_server(protocol_factory, *args, **options)  # type: ignore[misc]
        server = await super().create_server(  # type: ignore[misc]
            lambda: _Doorman(owner, protocol_factory()), *args, **options
        )
        owner.servers.add(server)
        return server

    async def create_connection(
        self,
        protocol_factory: Any,
        host: str | None = None,
        port: int | None = None,
        **options: Any,
    ) -> tuple[Any, Any]:
        connect = super().create_connection  # type: ignore[misc]
        owner = OWNER.get()
        if owner is None or host is None or port is None:
            transport, protocol = await connect(protocol_factory, host, port, **options)
            return transport, protocol
        way = self.routes.dial(owner.name, host, port) if self.routes is not None else None
        if way is not None:
            host, port = way.address
            if way.local is not None:
                options["local_addr"] = way.local
        transport, doorman = await connect(
            lambda: _Doorman(owner, protocol_factory()), host, port, **options
        )
        if way is not None:
            way.opened(transport)
        return transport, doorman.protocol


def _make_loop_class() -> Any:
    """An `_OwnedLoop` on top of uvloop's loop where that is installed, else of asyncio's."""
    if uvloop is not None:

        class UvLoop(_OwnedLoop, uvloop.Loop):  # type: ignore[misc]
            _timer = uvloop.Loop.call_later

        return UvLoop

    class PlainLoop(_OwnedLoop, asyncio.SelectorEventLoop):  # type: ignore[misc]
        def _timer(self, delay: float, *args: Any, **options: Any) -> asyncio.TimerHandle:
            return asyncio.SelectorEventLoop.call_at(self, self.time() + delay, *args, **options)

    return PlainLoop


OwnedLoop = _make_loop_class()


class Background:
    """A thread with an `OwnedLoop` that runs until `close`."""

    def __init__(self, name: str) -> None:
        self.loop: Any = OwnedLoop()
        # A loop holds its tasks by weak references only.
        self._begun: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=_run, args=(self.loop,), name=name, daemon=True)
        self._thread.start()

    def call(
        self,
        coroutine: Coroutine[Any, Any, T],
        owner: Owner | None = None,
        timeout: float | None = None,
    ) -> T:
        """Run a coroutine there, as code of an owner, and wait for its result.

        An interrupt, or the end of `timeout` seconds, cancels it.

        Raises:
            TimeoutError: when it is not done in time.
            RuntimeError: when called from the thread itself, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("this is the lab's own loop: await the coroutine instead")
        if self.loop.is_closed():
            coroutine.close()
            raise RuntimeError("the lab is closed")
        context = owner.context() if owner is not None else copy_context()
        future = context.run(asyncio.run_coroutine_threadsafe, coroutine, self.loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def do(self, action: Callable[[], object]) -> None:
        """Do something there that waits for nothing, and return when it is done."""
        if threading.current_thread() is self._thread:
            action()
        else:
            self.call(_call(action))

    def settle(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run a coroutine there, and return when it is done; from there itself, begin it."""
        if threading.current_thread() is self._thread:
            task = self.loop.create_task(coroutine)
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)
        else:
            self.call(coroutine)

    def close(self) -> None:
        """End everything in it, and the thread. May be called again."""
        if self.loop.is_closed() or threading.current_thread() is self._thread:
            return
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(CLOSE_SECONDS_MAX)


async def _call(action: Callable[[], object]) -> None:
    action()


async def _cancel_all() -> None:
    await end_tasks(asyncio.all_tasks() - {asyncio.current_task()})


def _run(loop: Any) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(_cancel_all())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
