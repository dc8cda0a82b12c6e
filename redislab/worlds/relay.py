"""A TCP relay on the loopback: what stands between real sockets, so that a link can be cut.

The simulated network can be cut because it is ours. Between real sockets a relay stands in:
whoever dials a node reaches the relay, the relay dials the node, and what the relay does not pass
on is cut off. As with a cut cable, nobody is told: bytes stay where they are, connections stay
open, and after `heal` everything goes on, without TCP's wait for the next retransmission.

A `Way` is what may pass from one host to another, over all their connections; a connection has two,
one for each direction. A `_Pipe` carries one direction of one connection. Bytes that nothing holds
up are handed on in the event in which they came.

A real cut differs in two things that cannot be had from outside the kernel: a connection that is
opened through a cut stands at once (and then waits), and one to a node that does not run breaks
instead of being refused, unless nothing is cut: then the relay does not listen either.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

Address = tuple[str, int]

# What a direction holds on its way; beyond it the sender is not read any more.
HELD_BYTES_MAX = 1024 * 1024
# uvloop counts in milliseconds, and may call back a part of one too soon.
TICK_SECONDS = 0.001

_EOF = object()
_BROKEN = object()
_NO_LINGER = struct.pack("ii", 1, 0)


class Way:
    """What may pass from one host to another.

    Attributes:
        is_cut: nothing does.
        delay_seconds: how long everything is held.
        jitter_seconds: up to this much longer, drawn evenly.
    """

    def __init__(self, random: Random) -> None:
        self.is_cut = False
        self.delay_seconds = 0.0
        self.jitter_seconds = 0.0
        self._random = random
        self._pipes: dict[_Pipe, None] = {}
        self._healed: list[asyncio.Future[None]] = []

    def cut(self) -> None:
        """Let nothing pass from now on."""
        self.is_cut = True

    def drop(self) -> None:
        """Break every connection that goes this way; both of its ends get RST."""
        for pipe in list(self._pipes):
            pipe.source.connection.drop()

    def heal(self) -> None:
        """Let everything pass, what was held back first."""
        self.is_cut = False
        self.delay_seconds = self.jitter_seconds = 0.0
        for pipe in list(self._pipes):
            pipe.pump()
        waiting, self._healed = self._healed, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def opened(self) -> None:
        """Wait until it is not cut."""
        while self.is_cut:
            future = asyncio.get_running_loop().create_future()
            self._healed.append(future)
            await future

    def hold_seconds(self) -> float:
        """How long what comes now is held, chance included."""
        if self.jitter_seconds:
            return self.delay_seconds + self.jitter_seconds * self._random.random()
        return self.delay_seconds

    def join(self, pipe: _Pipe) -> None:
        """A pipe goes this way."""
        self._pipes[pipe] = None

    def leave(self, pipe: _Pipe) -> None:
        """It is over."""
        self._pipes.pop(pipe, None)


class _Pipe:
    """One direction of a connection: bytes, then its end or a break, in order.

    Args:
        way: what may pass.
        source: the end that the bytes come from.
    """

    def __init__(self, way: Way, source: _End) -> None:
        self.way = way
        self.source = source
        self.target: _End | None = None
        self.ended = False
        self._queue: deque[tuple[float, Any]] = deque()
        self._held = 0
        self._last_due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        way.join(self)

    def begin(self, target: _End) -> None:
        """The other end stands: what has come so far may go there."""
        self.target = target
        self.pump()

    def take(self, item: Any) -> None:
        """Bytes, the end, or the break of the connection come in."""
        now = time.monotonic()
        # Jitter does not reorder.
        due = self._last_due = max(self._last_due, now + self.way.hold_seconds())
        if not (self._queue or self.way.is_cut or due > now or self.target is None):
            self._deliver(item)
            return
        self._queue.append((due, item))
        if isinstance(item, bytes):
            self._held += len(item)
            if self._held > HELD_BYTES_MAX:
                self.source.hold(self)
        self.pump()

    def pump(self) -> None:
        """Hand on what is due."""
        self._cancel_timer()
        queue, now = self._queue, time.monotonic()
        while queue and not self.way.is_cut and self.target is not None:
            due, item = queue[0]
            if due > now:
                self._timer = self._loop.call_later(max(TICK_SECONDS, due - now), self.pump)
                return
            queue.popleft()
            if isinstance(item, bytes):
                self._held -= len(item)
                if self._held <= HELD_BYTES_MAX:
                    self.source.release(self)
            self._deliver(item)

    def close(self) -> None:
        """Carry nothing any more."""
        self.way.leave(self)
        self._queue.clear()
        self._cancel_timer()

    def _deliver(self, item: Any) -> None:
        assert self.target is not None, "nothing is delivered before the other end stands"
        if item is _BROKEN:
            self.target.reset()
        elif item is _EOF:
            self.ended = True
            self.target.finish_writing()
        else:
            self.target.write(item)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _End(asyncio.Protocol):
    """One end of a relayed connection: what it hears goes into `out`, and `inward` writes to it."""

    transport: asyncio.Transport
    out: _Pipe
    inward: _Pipe

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self.is_lost = False
        self._held_by: dict[object, None] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.made(self)

    def data_received(self, data: bytes) -> None:
        self.out.take(bytes(data))

    def eof_received(self) -> bool:
        self.out.take(_EOF)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.connection.lost(self)

    def pause_writing(self) -> None:
        self.inward.source.hold(self)

    def resume_writing(self) -> None:
        self.inward.source.release(self)

    @property
    def is_open(self) -> bool:
        """Whether it can be read and written."""
        return not self.is_lost and not self.transport.is_closing()

    def hold(self, reason: object) -> None:
        """Read no more, for one reason more."""
        if not self._held_by and self.is_open:
            self.transport.pause_reading()
        self._held_by[reason] = None

    def release(self, reason: object) -> None:
        """Read again, if that was the last reason not to."""
        if self._held_by.pop(reason, self) is None and not self._held_by and self.is_open:
            self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Bytes from the other end."""
        if self.is_open:
            self.transport.write(data)

    def finish_writing(self) -> None:
        """The other end writes no more; when neither does, the connection is over."""
        if self.out.ended and self.inward.ended:
            self.connection.finish()
        elif self.is_open:
            # The peer may have gone this moment.
            with contextlib.suppress(OSError):
                self.transport.write_eof()

    def reset(self) -> None:
        """The other end broke: so does this one, with RST."""
        if not self.is_lost:
            with contextlib.suppress(OSError):
                found = self.transport.get_extra_info("socket")
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()


class _Connection:
    """A connection through a relay: two ends, and a pipe for each direction."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.near = _End(self)
        self.far = _End(self)
        self.is_over = False
        self._dialing: asyncio.Task[None] | None = None

    def made(self, end: _End) -> None:
        """An end stands."""
        if end is self.far:
            return
        peer = end.transport.get_extra_info("peername")
        if peer is None:
            # Gone before it was accepted.
            self.is_over = True
            end.transport.abort()
            return
        self.relay.connections[self] = None
        there, back = self.relay.ways((peer[0], peer[1]))
        self.near.out = self.far.inward = _Pipe(there, self.near)
        self.far.out = self.near.inward = _Pipe(back, self.far)
        self._dialing = asyncio.get_running_loop().create_task(self._dial(there, back))

    def lost(self, end: _End) -> None:
        """An end is gone: unless all was said, the other end hears of it as a break."""
        both = self.near.is_lost and self.far.is_lost
        if not self.is_over:
            end.out.take(_BROKEN)
            if both:
                self.close()
        elif both:
            self._forget()

    def finish(self) -> None:
        """Both sides have said that they write no more."""
        self.is_over = True
        self.near.transport.close()
        self.far.transport.close()

    def close(self) -> None:
        """Drop it."""
        self.is_over = True
        if self._dialing is not None:
            self._dialing.cancel()
        for end in (self.near, self.far):
            if hasattr(end, "transport") and not end.is_lost:
                end.transport.abort()
        self._forget()

    def drop(self) -> None:
        """Break it, at both ends."""
        for end in (self.near, self.far):
            if hasattr(end, "transport"):
                end.reset()
        self.close()

    def _forget(self) -> None:
        if self.relay.connections.pop(self, self) is None:
            self.near.out.close()
            self.far.out.close()

    async def _dial(self, there: Way, back: Way) -> None:
        """Connect to the node, as soon as a SYN gets there and its answer back."""
        try:
            await there.opened()
            await back.opened()
            await asyncio.get_running_loop().create_connection(lambda: self.far, *self.relay.target)
        except OSError:
            self._dialing = None
            self.near.reset()
            self.close()
            self.relay.refused()
            return
        self._dialing = None
        if self.near.is_lost:
            self.close()
        else:
            self.near.out.begin(self.far)
            self.far.out.begin(self.near)


class Relay:
    """Listens where a node is known to be, and passes connections on to where it is.

    Args:
        target: where the node listens.
        ways: the two ways of a connection from an address: to the node, and back.
        address: where to listen; port 0 is a free one.
        refused: called when the node has refused a connection.

    Attributes:
        address: where it listens.
    """

    def __init__(
        self,
        target: Address,
        ways: Callable[[Address], tuple[Way, Way]],
        *,
        address: Address = ("127.0.0.1", 0),
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        self.target = target
        self.ways = ways
        self.address = address
        self.refused = refused
        self.connections: dict[_Connection, None] = {}
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None

    async def listen(self) -> None:
        """Take connections; raises OSError if the address cannot be had."""
        if self._server is not None:
            return
        if self._reserved is None and sys.platform == "linux":
            # Bound and not listening, it keeps the port while connections are refused. Elsewhere
            # than on Linux no second socket could listen beside it.
            self._reserved = socket.socket()
            self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.bind(self.address)
            self.address = self._reserved.getsockname()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self).near, *self.address, backlog=511
        )
        self.address = self._server.sockets[0].getsockname()[:2]

    def refuse(self) -> None:
        """Take no connections, as a kernel does on a port on which nobody listens."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def stop(self) -> None:
        """Close the port and every connection."""
        self.refuse()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None
        for connection in list(self.connections):
            connection.close()
