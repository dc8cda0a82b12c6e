"""Stock redis-py clients inside the simulation.

The asyncio client needs nothing: it runs on the simulated loop as it is. The blocking client is a
stock `redis.Redis` whose connections have a socket that runs the simulation: `recv` lets virtual
time pass until bytes come or the timeout is over, in virtual seconds. It works in a notebook's
cell too, where the kernel's own loop is running (see `loop.py`).

Three habits of redis-py touch the wall clock or the machine, and are given another way here: it
polls a file descriptor before it reuses a connection, it sleeps between its retries, and it draws
the length of that sleep from the global random source. And it packs and parses with hiredis where
that is installed; here it uses its own Python code, so that the messages of a run do not depend on
what is installed.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from contextvars import Context
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import redis.asyncio
from redis._parsers import _RESP2Parser, _RESP3Parser
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import AbstractBackoff
from redis.connection import Connection, PythonRespSerializer
from redis.retry import Retry

from redislab.worlds.base import CLIENT_RETRIES
from redislab.worlds.sim.hosts import CURRENT, Process

if TYPE_CHECKING:
    from redislab.worlds.sim.loop import SimLoop

T = TypeVar("T")

# redis-py's own backoff.
RETRY_SECONDS_BASE = 0.01
RETRY_SECONDS_MAX = 1.0
# What a look at a socket without waiting takes: a program that polls sees time pass, too.
POLL_SECONDS = 0.000_1
RECEIVE_BYTES = 64 * 1024
_NO_WAIT = -1.0


class Driver:
    """How blocking code on one host runs the simulation while it waits.

    Args:
        loop: the simulation.
        process: finds the host's process, which may be another one after a restart.
        random: of the retries' jitter.
    """

    def __init__(self, loop: SimLoop, process: Callable[[], Process], random: Random) -> None:
        self.loop = loop
        self.random = random
        self._process = process
        self._waiting = 0  # how many calls of `wait` are under way

    def context(self) -> Context:
        """A context in which code belongs to the host."""
        return self._process().context.copy()

    def wait(self, ready: Callable[[], bool], seconds: float | None) -> None:
        """Run until `ready()` or until so many virtual seconds have passed; None is forever.

        Whatever makes it ready calls `wake`.
        """
        loop = self.loop
        horizon = loop._horizon
        timer = None
        if seconds is None:
            loop._horizon = loop.now + loop.patience_seconds
        else:
            timer = loop.kernel_timer(loop.now + seconds, self._over, None)
        self._waiting += 1
        try:
            while not ready() and not (timer is not None and timer.when() <= loop.now):
                loop.run_forever()
        finally:
            self._waiting -= 1
            loop._horizon = horizon
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """What somebody waits for may have come.

        An idle connection hears from a killed node too: then nobody waits, and the loop may be
        running for somebody else, whom stopping it would cut short.
        """
        if self._waiting:
            self.loop.stop()

    def _over(self, _: object) -> None:
        self.loop.stop()


class _Inbox(asyncio.Protocol):
    """What has come for a blocking socket."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.data = bytearray()
        self.ended = False
        self.failure: Exception | None = None
        self.writable = True

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.driver.wake()

    def eof_received(self) -> bool:
        self.ended = True
        self.driver.wake()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.writable = True
        self.failure = exc
        self.driver.wake()

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self.driver.wake()


class BlockingSocket:
    """As much of a connected, blocking socket as redis-py uses."""

    def __init__(self, driver: Driver, host: str, port: int, timeout: float | None) -> None:
        self._driver = driver
        self._timeout = timeout
        self._inbox = _Inbox(driver)
        self._closed = False
        self._transport = self._connect(host, port)

    @property
    def pending(self) -> bool:
        """Whether `recv` would return at once."""
        return bool(self._inbox.data) or self._inbox.ended

    def settimeout(self, timeout: float | None) -> None:
        """Virtual seconds that a call may take; None is forever, 0 is not to wait."""
        self._timeout = timeout

    def recv(self, size: int) -> bytes:
        """Wait for bytes; b"" is the end.

        Raises:
            TimeoutError: when none came in time.
            BlockingIOError: when none are here, and the timeout is 0.
            OSError: when the connection broke.
        """
        inbox = self._inbox
        if not self.pending:
            polls = self._timeout == 0
            self._driver.wait(lambda: self.pending, POLL_SECONDS if polls else self._timeout)
            if not self.pending:
                if polls:
                    raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
                raise TimeoutError("timed out")
        if inbox.data:
            data = bytes(inbox.data[:size])
            del inbox.data[:size]
            return data
        if inbox.failure is not None:
            raise inbox.failure
        return b""

    def sendall(self, data: bytes) -> None:
        """Send bytes; waits while the other side reads more slowly than this one writes."""
        if self._closed or self._transport.is_closing():
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        self._transport.write(data)
        if not self._inbox.writable:
            self._driver.wait(lambda: self._inbox.writable, self._timeout)
            if not self._inbox.writable:
                raise TimeoutError("timed out")

    def shutdown(self, how: int) -> None:
        """What `close` does anyhow."""

    def close(self) -> None:
        """Close the connection; the other side hears of it when time goes on."""
        if not self._closed:
            self._closed = True
            if not self._driver.loop.is_closed():
                self._transport.close()

    def getpeername(self) -> tuple[str, int]:
        """The server's address."""
        address: tuple[str, int] = self._transport.get_extra_info("peername")
        return address

    def getsockname(self) -> tuple[str, int]:
        """This side's address."""
        address: tuple[str, int] = self._transport.get_extra_info("sockname")
        return address

    def fileno(self) -> int:
        """It has none."""
        return -1

    def _connect(self, host: str, port: int) -> asyncio.Transport:
        driver = self._driver
        loop = driver.loop
        task = loop.create_task(
            loop.create_connection(lambda: self._inbox, host, port), context=driver.context()
        )
        task.add_done_callback(lambda _: driver.wake())
        try:
            driver.wait(task.done, self._timeout)
        finally:
            if not task.done():
                task.cancel()
        if not task.done():
            raise TimeoutError("timed out")
        return task.result()[0]


class SimConnection(Connection):
    """redis-py's connection over a `BlockingSocket`."""

    driver: Driver

    def __init__(self, *, parser_class: type | None = None, **options: Any) -> None:
        parser = _RESP3Parser if options.get("protocol") in {3, "3", None} else _RESP2Parser
        super().__init__(parser_class=parser, **options)  # type: ignore[no-untyped-call]

    def can_read(self, timeout: float = _NO_WAIT) -> bool:
        """Whether something can be read, within `timeout` virtual seconds.

        The pool looks before each command without naming a timeout: that look takes no time.
        """
        waits = timeout != _NO_WAIT
        sock: Any = self._sock
        if not waits and sock is not None and not sock.pending:
            return bool(self._parser._buffer.unread_bytes())
        return bool(super().can_read(timeout if waits else 0))

    def _connect(self) -> BlockingSocket:
        sock = BlockingSocket(self.driver, self.host, self.port, self.socket_connect_timeout)
        sock.settimeout(self.socket_timeout)
        return sock

    def _construct_command_packer(self, packer: Any) -> Any:
        return packer or PythonRespSerializer(self._buffer_cutoff, self.encoder.encode)


class SeededBackoff(AbstractBackoff):
    """redis-py's exponential backoff with jitter, from the simulation's random source."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def __deepcopy__(self, memo: object) -> SeededBackoff:
        return self

    def compute(self, failures: int) -> float:
        """Seconds to wait after so many failures."""
        return min(RETRY_SECONDS_MAX, self._random.random() * RETRY_SECONDS_BASE * 2.0**failures)


class SimRetry(Retry):
    """redis-py's retries, waiting in virtual time."""

    def __init__(
        self,
        driver: Driver,
        backoff: AbstractBackoff,
        retries: int,
        supported_errors: Iterable[type[Exception]],
    ) -> None:
        super().__init__(backoff, retries, tuple(supported_errors))
        self._driver = driver

    def __deepcopy__(self, memo: object) -> SimRetry:
        # redis-py copies the retry it is given for each connection; the simulation is one.
        return SimRetry(self._driver, self._backoff, self._retries, self._supported_errors)

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """Call `do` until it succeeds or the retries are used up."""
        self._backoff.reset()  # type: ignore[no-untyped-call]
        failures = 0
        while True:
            try:
                return do()
            except self._supported_errors as failure:
                if is_retryable is not None and not is_retryable(failure):
                    raise
                failures += 1
                if with_failure_count:
                    fail(failure, failures)
                else:
                    fail(failure)
                if 0 <= self._retries < failures:
                    raise
                seconds = self._backoff.compute(failures)
                if seconds > 0:
                    self._driver.wait(lambda: False, seconds)


def blocking_connections(driver: Driver, options: dict[str, Any]) -> type[SimConnection]:
    """The class of a blocking client's connections, which run the simulation."""
    retry: Retry = options.pop("retry", None) or Retry(SeededBackoff(driver.random), CLIENT_RETRIES)
    options["retry"] = SimRetry(driver, retry._backoff, retry._retries, retry._supported_errors)
    return type("SimConnection", (SimConnection,), {"driver": driver})


def asyncio_connections(
    driver: Driver, options: dict[str, Any], *, elsewhere: bool
) -> type[redis.asyncio.Connection]:
    """The same for asyncio; `elsewhere` when they begin on another host than their caller's."""
    options.setdefault("retry", AsyncRetry(SeededBackoff(driver.random), CLIENT_RETRIES))
    if elsewhere:
        return type("SimAsyncConnection", (_AsyncConnection,), {"driver": driver})
    return redis.asyncio.Connection


class _AsyncConnection(redis.asyncio.Connection):
    """redis-py's asyncio connection, made on a host of its own."""

    driver: Driver

    async def _connect(self) -> None:
        process = self.driver.context()[CURRENT]
        before = CURRENT.set(process)
        try:
            await super()._connect()  # type: ignore[no-untyped-call]
        finally:
            CURRENT.reset(before)
