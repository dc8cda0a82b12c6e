"""The ends of a simulated TCP connection: asyncio transports with a kernel's socket behind them.

`flow.py` carries bytes from one end's kernel to the other's. Here is what the two ends do with
them, and how a connection begins and ends:

- What does not fit into the receiver's window stays in the sender's write buffer, which pauses its
  protocol at the high-water mark as in asyncio. A program that does not read fills the window.
- A program that closes sends FIN, or RST if it had not read everything; so does the kernel of a
  killed process. `abort()` sends RST. A host that loses power sends nothing. Whatever reaches a
  closed socket is answered with RST.
- A process that stands still (`hosts.py`) keeps its connections: its kernel takes bytes until the
  window is full.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from asyncio.transports import _FlowControlMixin
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from redislab.worlds.sim.flow import SEGMENT_BYTES_MAX, WINDOW_BYTES, Flow
from redislab.worlds.sim.journal import Segment

if TYPE_CHECKING:
    from redislab.worlds.sim.hosts import Host, Process
    from redislab.worlds.sim.listeners import SimServer
    from redislab.worlds.sim.loop import SimLoop
    from redislab.worlds.sim.network import Address, Network

# What a read hands to the program at once, as in asyncio.
READ_BYTES_MAX = 256 * 1024

_FIN = object()


def connect_pair(
    network: Network, process: Process, target: Host, local: Address, remote: Address
) -> SimTransport:
    """The two ends of a new connection; the near one is returned, to be owned, the far one told."""
    network.connections += 1
    number = network.connections
    near = SimTransport(network, process.host, local, remote)
    far = SimTransport(network, target, remote, local)
    near._is_client = True
    near.flow, far.flow = Flow(number, near, far), Flow(number, far, near)
    near.peer, far.peer = far, near
    near.flow.send("open", b"")
    return near


class SimTransport(_FlowControlMixin):
    """One end of a connection: the program's transport and the kernel's socket behind it."""

    flow: Flow
    peer: SimTransport
    _loop: SimLoop
    # asyncio's own bookkeeping of the write buffer's marks, which typeshed does not list.
    _maybe_pause_protocol: Callable[[], None]
    _maybe_resume_protocol: Callable[[], None]

    def __init__(self, network: Network, host: Host, local: Address, remote: Address) -> None:
        self._extra: dict[str, Any] = {
            "sockname": local,
            "peername": remote,
            "socket": SimSocket(local, remote),
        }
        super().__init__(self._extra, network.loop)
        self.network = network
        self.host = host
        self.local = local
        self._process: Process | None = None
        self._context: Context | None = None
        self._protocol: asyncio.BaseProtocol | None = None
        self._server: SimServer | None = None
        # Written, and not yet taken by the kernel.
        self._buffer: deque[bytes | memoryview] = deque()
        self._buffered = 0
        # In the kernel, and not yet read by the program: bytes, and _FIN.
        self._inbox: deque[Any] = deque()
        self._paused = False
        self._eof_written = False
        # The program has closed it (`_closing`), has been told that it is gone (`_lost`), and the
        # kernel has no such socket any more (`_gone`).
        self._closing = False
        self._lost = False
        self._gone = False
        self._error: OSError | None = None
        self._is_client = False

    def __repr__(self) -> str:
        state = "closed" if self._gone else "closing" if self._closing else "open"
        return f"<SimTransport on {self.host.name} {self.local} {state}>"

    # -- asyncio.Transport, for reading --------------------------------------------------------

    def is_reading(self) -> bool:
        """Whether bytes are handed to the protocol as they come."""
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        """Leave what comes in the kernel, until the window is full and the writer has to wait."""
        self._paused = True

    def resume_reading(self) -> None:
        """Read again, what has come in meanwhile first."""
        if self._paused:
            self._paused = False
            if self._inbox or self._error is not None:
                self._drain_soon()

    # -- asyncio.Transport, for writing --------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, or buffer what the window has no room for."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data is bytes, bytearray or memoryview, not {type(data).__name__}")
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._closing or self._lost:
            return
        if self._error is not None:
            self._learn_error()
            return
        flow = self.flow
        size = len(data)
        if not self._buffer and size <= SEGMENT_BYTES_MAX and flow.unread + size <= WINDOW_BYTES:
            flow.send("data", data if type(data) is bytes else bytes(data))
            return
        self._buffer.append(bytes(data))
        self._buffered += size
        self._send_buffered()
        self._maybe_pause_protocol()

    def write_eof(self) -> None:
        """Send FIN after what is buffered; reading goes on."""
        if self._eof_written or self._closing:
            return
        self._eof_written = True
        if not self._buffer:
            self.flow.send("fin", b"")

    def can_write_eof(self) -> bool:
        """TCP closes each direction on its own."""
        return True

    def get_write_buffer_size(self) -> int:
        """Bytes that are written and that the kernel has not taken."""
        return self._buffered

    # -- asyncio.Transport, the end ------------------------------------------------------------

    def is_closing(self) -> bool:
        """Whether the program has closed it, or has been told that it is closed."""
        return self._closing

    def close(self) -> None:
        """Read no more; close when what is buffered has been sent."""
        if self._closing:
            return
        self._closing = True
        if not self._buffer:
            self._finish(None)

    def abort(self) -> None:
        """Close now, and break the connection: the other side gets RST."""
        if not self._gone:
            self._finish(None, reset=True)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes from now on to another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that gets what comes."""
        assert self._protocol is not None
        return self._protocol

    # -- what the network and the kernel do ----------------------------------------------------

    @property
    def wants_window(self) -> bool:
        """Whether bytes wait here for room in the window."""
        return bool(self._buffer)

    @property
    def is_gone_for_good(self) -> bool:
        """Whether nobody is left to send anything again: reset, or the host lost its power."""
        return self._gone and (self._error is not None or not self.host.up)

    def own(self, process: Process, context: Context) -> None:
        """It belongs to a process, whose code runs in this context."""
        self._process = process
        self._context = context
        process.transports[self] = None

    def attach(self, protocol: asyncio.BaseProtocol) -> None:
        """The client's side: connect() has returned, so the protocol begins."""
        self._protocol = protocol
        protocol.connection_made(self)
        if self._inbox or self._error is not None:
            self._drain_soon()

    def accept(
        self, context: Context, factory: Callable[[], asyncio.BaseProtocol], server: SimServer
    ) -> None:
        """The server's side: the program takes it from the backlog."""
        self._server = server
        server.attach()
        self._context = context
        protocol = context.run(factory)
        self._protocol = protocol
        self._call(protocol.connection_made, self)
        self.drain()

    def arrived(self, segment: Segment) -> None:
        """The kernel gets a segment: into the inbox, and on to the program if it reads."""
        if segment.kind == "open":
            self._opened()
            return
        if self._gone:
            if segment.kind == "data":
                self.flow.reset()
            return
        self._inbox.append(_FIN if segment.kind == "fin" else segment.data)
        self.drain()

    def drain(self) -> None:
        """Hand to the program what is in the kernel, as long as it runs and reads."""
        inbox, process = self._inbox, self._process
        if self._protocol is None or process is None:
            return
        while inbox and not (self._paused or self._closing or process.held):
            if process.worker is not None and inbox[0] is not _FIN:
                process.worker.ask(self)
                return
            item = inbox.popleft()
            if item is _FIN:
                self._read_eof()
                continue
            if inbox and len(item) < READ_BYTES_MAX:
                item = self._gather(item)
            self.peer.flow.opened(len(item))
            self._feed(item)
        if self._error is not None and not inbox and not (self._paused or process.held):
            self._learn_error()

    def take(self) -> bytes:
        """For a worker whose turn it is: read what has come; empty where nothing may be read."""
        inbox = self._inbox
        if not inbox or inbox[0] is _FIN or self._paused or self._closing:
            return b""
        data: bytes = self._gather(inbox.popleft())
        self.peer.flow.opened(len(data))
        return data

    def feed(self, data: bytes) -> int:
        """For a worker that has done its work: let the program have it; how much it has written."""
        if self._closing or self._protocol is None:
            return 0
        before = self.flow.unread + self._buffered
        self._feed(data)
        return max(self.flow.unread + self._buffered - before, 0)

    def window_opened(self) -> None:
        """The kernel has room again: send what is buffered, and let the program go on."""
        if self._gone:
            return
        self._send_buffered()
        if not self._lost:
            self._call(self._maybe_resume_protocol)
        if self._buffer:
            return
        if self._eof_written:
            self.flow.send("fin", b"")
        if self._closing:
            self._finish(None)

    def hear_reset(self, _: object) -> None:
        """RST: the connection is broken. The program learns it when it reads or writes."""
        self.fail(errno.ECONNRESET)

    def fail(self, code: int) -> None:
        """The kernel gives the connection up."""
        if self._gone or self._error is not None:
            return
        kinds = {errno.ECONNRESET: ConnectionResetError, errno.ETIMEDOUT: TimeoutError}
        self._error = kinds[code](code, os.strerror(code))
        self.flow.lost.clear()
        self._buffer.clear()
        self._buffered = 0
        if self._process is None:
            self._release()
        else:
            self.drain()

    def vanish(self, *, reset: bool = False, silent: bool = False) -> None:
        """The process is gone: its kernel closes the socket, or has no power to."""
        if self._gone:
            return
        if silent:
            self._error = ConnectionResetError()
            self.flow.lost.clear()
            self._release()
        else:
            self._release(reset=reset)
        self._closing = self._lost = True
        self._protocol = None

    # -- inside --------------------------------------------------------------------------------

    def _opened(self) -> None:
        """The third step of the handshake: the listener has a connection, if it is still there."""
        listener = self.network.listener(self.local)
        if listener is None:
            self._gone = True
            self.flow.reset()
            return
        self.own(listener.process, listener.process.context)
        listener.connected(self)

    def _drain_soon(self) -> None:
        self._loop.call_soon(self.drain, context=self._loop.kernel)

    def _send_buffered(self) -> None:
        """Send as much of the buffer as the window has room for."""
        flow, buffer = self.flow, self._buffer
        while buffer:
            room = min(WINDOW_BYTES - flow.unread, SEGMENT_BYTES_MAX)
            if room <= 0:
                return
            piece = buffer.popleft()
            if len(piece) > room:
                # A view, so that cutting up a long write does not copy its rest each time.
                rest = memoryview(piece)
                buffer.appendleft(rest[room:])
                piece = rest[:room]
            self._buffered -= len(piece)
            flow.send("data", bytes(piece))

    def _call(self, callback: Callable[..., object], *args: Any) -> None:
        """Run the program's code as code of its process, and survive what it raises.

        Only events of the kernel come here: they are in no context that would be entered twice.
        """
        assert self._context is not None
        try:
            self._context.run(callback, *args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as failure:
            self._loop.call_exception_handler(
                {
                    "message": f"Fatal error: {callback!r} failed.",
                    "exception": failure,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
            self.abort()

    def _feed(self, data: bytes) -> None:
        protocol = self._protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            self._call(_fill, protocol, data)
        else:
            self._call(protocol.data_received, data)  # type: ignore[union-attr]

    def _gather(self, first: bytes) -> bytes:
        """Several segments that wait are read at once, as recv() does."""
        pieces, size, inbox = [first], len(first), self._inbox
        while inbox and inbox[0] is not _FIN and size + len(inbox[0]) <= READ_BYTES_MAX:
            pieces.append(inbox.popleft())
            size += len(pieces[-1])
        return b"".join(pieces)

    def _read_eof(self) -> None:
        keep_open: list[object] = []
        protocol = self._protocol
        self._call(lambda: keep_open.append(protocol.eof_received()))  # type: ignore[union-attr]
        if not (keep_open and keep_open[0]):
            self.close()

    def _learn_error(self) -> None:
        """The program finds out that the connection is broken."""
        if not self._lost:
            self._finish(self._error)

    def _finish(self, failure: OSError | None, *, reset: bool = False) -> None:
        """Tell the protocol, in an event of its own, and close the socket."""
        self._closing = True
        self._buffer.clear()
        self._buffered = 0
        if self._lost:
            return
        self._lost = True
        self._loop.call_soon(self._connection_lost, failure, reset, context=self._context)

    def _connection_lost(self, failure: OSError | None, reset: bool) -> None:
        try:
            if self._protocol is not None:
                self._protocol.connection_lost(failure)
        finally:
            self._release(reset=reset)
            self._protocol = None

    def _release(self, *, reset: bool = False) -> None:
        """The kernel closes the socket: FIN, or RST if bytes were not read."""
        if self._gone:
            return
        self._gone = True
        if self._error is None:
            if reset or any(item is not _FIN for item in self._inbox):
                self.flow.reset()
                self._error = ConnectionResetError()
            elif not self._eof_written:
                self.flow.send("fin", b"")
        self._inbox.clear()
        if self._process is not None:
            self._process.transports.pop(self, None)
        if self._server is not None:
            self._server.detach()
        elif self._is_client:
            self.network.release_port(self.local)


class SimSocket:
    """As much of a socket as programs ask a transport for."""

    def __init__(self, local: Address, remote: Address) -> None:
        self._local = local
        self._remote = remote
        self._options: dict[tuple[int, int], int | bytes] = {}
        self.family = socket.AF_INET
        self.type = socket.SOCK_STREAM
        self.proto = 6

    def getsockname(self) -> Address:
        """This side's address."""
        return self._local

    def getpeername(self) -> Address:
        """The other side's address."""
        return self._remote

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Remembered; the network has neither Nagle's delay nor keep-alive probes to turn off."""
        self._options[level, option] = value

    def getsockopt(self, level: int, option: int) -> int | bytes:
        """What was set, or 0."""
        return self._options.get((level, option), 0)

    def fileno(self) -> int:
        """It has none."""
        return -1


def _fill(protocol: asyncio.BufferedProtocol, data: bytes) -> None:
    """Hand bytes to a protocol that brings its own buffers."""
    view = memoryview(data)
    while view:
        buffer = memoryview(protocol.get_buffer(len(view)))
        if not buffer:
            raise RuntimeError("get_buffer() returned an empty buffer")
        size = min(len(buffer), len(view))
        buffer[:size] = view[:size]
        protocol.buffer_updated(size)
        view = view[size:]
