"""One connection to a node: bytes in, commands run in order, bytes out.

This file is the hot path. A chunk from the socket is parsed as a whole, its commands are run one
after the other, and their replies leave in one write: that is what makes pipelining pay, and a
request costs two system calls at most. For a client in no special state (`Client.plain`, on a node
that is `Node.plain`) commands on data (`Node.quick_commands`) skip the questions that `dispatch`
asks; they cannot change that state, so nothing is asked between them either. Every other request
goes there.

Follows `readQueryFromClient` and `processInputBuffer` in `src/networking.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from redislab.engine.errors import CommandError
from redislab.server.client import Client
from redislab.server.dispatch import dispatch
from redislab.wire.requests import ProtocolError, RequestParser
from redislab.wire.resp import error

if TYPE_CHECKING:
    from redislab.server.commands import Entry
    from redislab.server.node import Node

# So much of what a client has sent is looked at in one turn; then the others have theirs.
TURN_BYTES = 64 * 1024
# A client whose socket takes no more is looked at from here on (see Node.check_output).
SLOW_READER_BYTES = 16 * 1024


class Session(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.parser = RequestParser(node.config.proto_max_bulk_len)
        # Replies of the commands being run; None between chunks.
        self.out: list[bytes] | None = None
        # Commands that came while the client was blocked or paused, and about how long they are.
        self.pending: list[list[bytes]] = []
        self.pending_bytes = 0
        self.waiting = False
        self.broken: str | None = None
        self.slow_reader = False
        self.has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected: refuse it, or give it an id."""
        self.transport = cast("asyncio.Transport", transport)
        self.client: Client | None = None
        refusal = self.node.refuses(self.transport)
        if refusal is not None:
            self.transport.write(error(refusal))
            self.transport.close()
            return
        self.transport.set_write_buffer_limits(high=SLOW_READER_BYTES)
        self.client = self.node.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by either side's doing."""
        if self.client is not None:
            self.node.forget(self.client)
            self.client = None
        self.pending.clear()

    def eof_received(self) -> bool:
        """The client will send no more: answer what it asked, then close, as Redis does."""
        if self._is_put_off:
            # Redis reads nothing while it stands still, and finds this after what was asked.
            self.has_ended = True
            return True
        outbox = self.node.outbox
        if not outbox.holding:
            return False
        outbox.hold_end(self)
        return True

    def data_received(self, data: bytes) -> None:
        """What the client has sent, which may be much."""
        if len(data) <= TURN_BYTES:
            self._take(data)
            return
        cut = data.rfind(b"\r\n*", 0, TURN_BYTES) + 2  # before a request, if that can be
        if cut < 2:
            cut = TURN_BYTES
        self._take(data[:cut])
        if not self.transport.is_closing():
            self.transport.pause_reading()
            self.node.loop.call_soon(self._next_turn, data[cut:])

    def _next_turn(self, data: bytes) -> None:
        """Go on with what was left of a chunk when the turn was over."""
        if self.client is not None and not self.transport.is_closing():
            self.transport.resume_reading()
            self.data_received(data)

    def _take(self, data: bytes) -> None:
        """A chunk of requests."""
        client = self.client
        if client is None or self.broken is not None:
            return
        node = self.node
        node.bytes_in += len(data)
        node.reads += 1
        client.last_used = node.loop_time()
        try:
            commands = self.parser.feed(data)
        except ProtocolError as broken:
            self.broken, commands = broken.args
        if self.waiting:
            self.pending += commands
            self.pending_bytes += len(data)
            node.check_query(self)
            return
        alone = len(commands) == 1 and self.parser.canonical
        self.run(commands, data if alone else None)
        if self.parser.restricted or self.parser.buffered:
            self._run_rest()

    def run(self, commands: list[list[bytes]], canonical: bytes | None = None) -> None:
        """Run commands in order and write their replies at once.

        Args:
            commands: the requests.
            canonical: the bytes of the only one, where they are those that a replica would get.
        """
        client, node = self.client, self.node
        if client is None:
            return
        engine, clock, ready = node.engine, node.clock, node.engine.ready
        slow_seconds = node.slow_seconds
        out: list[bytes] = []
        self.out = out
        node.current = client
        quick, propagating = node.quick_commands(client), engine.propagating
        pass_on = node.propagation.pass_on
        # Calls of one command right after the other are counted together.
        counted: Entry | None = None
        calls = 0
        began = started = clock()
        rest = iter(commands)
        for args in rest:
            entry = quick.get(args[0])
            if entry is not None and entry.least <= len(args) <= entry.most:
                if entry is not counted:
                    if counted is not None:
                        counted.count(calls, started - began)
                    client.executing = counted = entry
                    calls, began = 0, started
                try:
                    out.append(entry.handler(client, args))
                except CommandError as failed:
                    out.append(node.failed(entry, failed))
                except Exception as bug:
                    out.append(node.crashed(args, bug))
                now = clock()
                if now - started >= slow_seconds:
                    node.note_slow(client, args, now - started)
                started = now
                calls += 1
                if propagating and not (canonical and pass_on(client, canonical)):
                    node.propagate(client, entry, args)
                if ready:
                    node.blocking.serve_ready()
                continue
            if counted is not None:
                counted.count(calls, started - began)
                counted = None
            reply = dispatch(client, args)
            if isinstance(reply, bytes):
                out.append(reply)
            else:
                node.blocking.block(client, reply, args)
            if ready:
                node.blocking.serve_ready()
            if self.waiting or client.close_after_reply:
                self.pending += rest
                break
            # The command may have changed anything: ask again.
            quick, propagating = node.quick_commands(client), engine.propagating
            slow_seconds = node.slow_seconds
            started = clock()
        if counted is not None:
            counted.count(calls, started - began)
        if self.broken is not None and not self.waiting and not client.close_after_reply:
            out.append(error("ERR " + self.broken))
            node.note_protocol_error(client, self.broken)
            client.close_after_reply = True
        self.flush()

    def flush(self) -> None:
        """Write what the commands answered, and close if one of them asked for it."""
        out, self.out = self.out, None
        self.node.current = None
        if out:
            payload = out[0] if len(out) == 1 else b"".join(out)
            if payload:
                self.write(payload)
        if self.client is not None and self.client.close_after_reply:
            self._end()

    def send(self, data: bytes) -> None:
        """Send out of turn; among the replies if commands are being run."""
        if self.out is not None:
            self.out.append(data)
        elif data:
            self.write(data)

    def write(self, payload: bytes) -> None:
        """Hand bytes to the transport, and mind the limit on what it may hold."""
        node = self.node
        node.bytes_out += len(payload)
        node.writes += 1
        if node.outbox.holding:
            node.outbox.hold(self, payload)
            return
        self.transport.write(payload)
        if self.slow_reader:
            node.check_output(self)

    def resume(self) -> None:
        """Go on with what was pending when the client had to wait."""
        if self.waiting or self.client is None:
            return
        pending, self.pending = self.pending, []
        self.pending_bytes = 0
        if pending or self.broken is not None:
            self.run(pending)
        if not self.waiting:
            self._run_rest()
        if self.has_ended and not self._is_put_off:
            self._end()

    def pause_writing(self) -> None:
        """The client reads more slowly than it asks."""
        self.slow_reader = True
        self.node.check_output(self)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.slow_reader = False
        if self.client is not None:
            self.client.soft_limit_since = None

    @property
    def _is_put_off(self) -> bool:
        """Whether the client waits for a node that stands still."""
        return self.client is not None and self.client.postponed and self.node.asleep

    def _end(self) -> None:
        """Close the connection once what was said before has left."""
        if self.node.outbox.holding:
            self.node.outbox.hold_end(self)
        else:
            self.transport.close()

    def _run_rest(self) -> None:
        """Run what a restricted parser still holds, a command at a time, and mind the limit."""
        while self.client is not None and not self.waiting and self.broken is None:
            if self.client.close_after_reply:
                return
            try:
                commands = self.parser.feed(b"")
            except ProtocolError as broken:
                self.broken, commands = broken.args
            if not commands and self.broken is None:
                break
            self.run(commands)
        if self.client is not None and self.parser.buffered:
            self.node.check_query(self)
