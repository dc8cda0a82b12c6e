"""The connections to the servers of a pool: few, shared by all clients, pipelined.

A connection is made when the first request needs it, or at the start with `preconnect`. Requests
are written in the order in which they came, all of a turn of the loop at once, and replies come in
the same order; so a queue says whose each reply is. When a connection ends, whoever waits on it is
told why, and the next request makes a new one. Follows `src/nc_server.c`, `src/nc_response.c` and
`core_timeout` in `src/nc_core.c` of twemproxy 0.5.0.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from redislab.ring.proxy.batches import Batch, Failure
from redislab.ring.proxy.ejection import Action, Event, Health
from redislab.ring.proxy.log import reason
from redislab.ring.proxy.replies import GarbageError, ReplyReader
from redislab.wire.resp import bulks

if TYPE_CHECKING:
    from redislab.ring.proxy.pool import Pool
    from redislab.ring.proxy.settings import PoolConfig
    from redislab.ring.servers import Server

# Errors after which a server is better left alone for a while, and the reply is not passed on.
_FAILURES: Final = frozenset({b"-OOM", b"-BUSY", b"-LOADING"})
# A server that takes no more is not written to any more from here on.
_UNSENT_BYTES: Final = 1024 * 1024
UNKNOWN: Final = 0  # the number of an error that has none: a server has just hung up


class Shard:
    """One server of a pool, and the connections to it.

    Attributes:
        index: its number among the pool's servers.
        config: of the pool, as long as it has this server.
        only: the one connection, where `server_connections` is 1, as it nearly always is.
        requests, request_bytes, responses, response_bytes, eof, errors, timeouts, ejected_at,
            connected: what the stats show; `ejected_at` in microseconds since the epoch.
    """

    def __init__(self, pool: Pool, server: Server, index: int) -> None:
        self.pool = pool
        self.server = server
        self.index = index
        self.config = config = pool.config
        self.health = Health(config.server_failure_limit if config.auto_eject_hosts else 0)
        self.connections = [Connection(self) for _ in range(config.server_connections)]
        self.only = self.connections[0] if len(self.connections) == 1 else None
        self._last = -1
        self._return: asyncio.TimerHandle | None = None
        self.requests = self.request_bytes = self.responses = self.response_bytes = 0
        self.eof = self.errors = self.timeouts = self.ejected_at = 0
        self.connected = 0

    def fits(self, server: Server, config: PoolConfig) -> bool:
        """Whether its connections are what a pool of another configuration wants."""
        mine = self.config
        return (
            (self.server.host, self.server.port) == (server.host, server.port)
            and mine.redis_auth == config.redis_auth
            and mine.redis_db == config.redis_db
            and mine.server_connections == config.server_connections
        )

    def adopt(self, server: Server, index: int, config: PoolConfig) -> None:
        """Be this server of its pool from now on; whoever was ejected is not any more."""
        self.server = server
        self.index = index
        self.config = config
        self.health = Health(config.server_failure_limit if config.auto_eject_hosts else 0)
        self._forget_return()

    def retire(self) -> None:
        """The pool has it no more: hang up, once nobody waits."""
        self.health = Health(0)
        self._forget_return()
        for connection in self.connections:
            connection.retire()

    def _forget_return(self) -> None:
        if self._return is not None:
            self._return.cancel()
            self._return = None

    def next_connection(self) -> Connection:
        """Each in turn."""
        self._last = (self._last + 1) % len(self.connections)
        return self.connections[self._last]

    @property
    def is_live(self) -> bool:
        """It is not ejected."""
        return self._return is None

    def failed(self) -> None:
        """A connection has ended: that may eject it."""
        if self.health.limit:
            self._act(Event.FAILURE)

    def replied(self) -> None:
        """It has answered after a failure."""
        self._act(Event.REPLY)

    def _act(self, event: Event) -> None:
        actions = self.health.happened(event)
        pool = self.pool
        if Action.EJECT in actions:
            self._forget_return()
            seconds = pool.config.server_retry_timeout / 1000
            self._return = pool.loop.call_later(seconds, self._time_up)
            self.ejected_at = int(pool.environment.unix_time() * 1e6)
            pool.ejected(self)
        elif Action.RETURN in actions:
            self._return = None
            pool.returned(self)

    def _time_up(self) -> None:
        self._act(Event.TIME_UP)

    def close(self) -> None:
        """Hang up; whoever waits hears nothing more."""
        self._forget_return()
        for connection in self.connections:
            connection.close()


class Connection:
    """One connection to a server; made anew as often as it is needed.

    Attributes:
        waiting: for each reply that is to come the batch and the place in it.
        unsent: requests to be written at the end of the turn, or once there is a connection.
        touched: it has such requests and is known to the turn.
        sent_bytes: how much was written that was not yet answered; 0 when all was.
    """

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.pool = shard.pool
        self.waiting: deque[tuple[Batch, int]] = deque()
        self.unsent: list[bytes] = []
        self.touched = False
        self._wire: Wire | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._is_full = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_retired = False
        self.sent_bytes = 0
        self.unsent_requests = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._wire is not None

    # -- requests ----------------------------------------------------------------------------

    def send(self, request: bytes, batch: Batch, place: int) -> None:
        """Send a request at the end of the turn."""
        self.waiting.append((batch, place))
        self.unsent.append(request)
        self.unsent_requests += 1
        if not self.touched:
            self.touch()

    def touch(self) -> None:
        """There is something to be sent at the end of the turn."""
        self.touched = True
        turn = self.pool.turn
        turn.connections.append(self)
        turn.wish()

    def flush(self) -> None:
        """Write what is to be sent, or begin to connect."""
        self.touched = False
        if self._timer is None and self.pool.timeout is not None and self.waiting:
            self._watch()
        wire = self._wire
        if wire is None:
            self.connect()
            return
        if self._is_full:
            return
        unsent, self.unsent = self.unsent, []
        if unsent:
            payload = unsent[0] if len(unsent) == 1 else b"".join(unsent)
            self.shard.request_bytes += len(payload)
            self.sent_bytes += len(payload)
            self.shard.requests += self.unsent_requests
            self.unsent_requests = 0
            wire.transport.write(payload)

    def fill(self, *, is_full: bool) -> None:
        """The server takes no more for now, or takes more again."""
        self._is_full = is_full
        if not is_full and self.unsent and not self.touched:
            self.touch()

    # -- making a connection -------------------------------------------------------------------

    def connect(self) -> None:
        """Begin to connect, unless that goes on."""
        if self._attempt is None and self._wire is None:
            self._attempt = self.pool.loop.create_task(self._connect())

    async def _connect(self) -> None:
        server, loop = self.shard.server, self.pool.loop
        try:
            if server.port:
                await loop.create_connection(lambda: Wire(self), server.host, server.port)
            else:
                await loop.create_unix_connection(lambda: Wire(self), server.host)
        except (OSError, UnicodeError) as failure:  # UnicodeError: a host that can be none
            self._attempt = None
            self.pool.log.notice(f"connect to server '{server}' failed: {reason(failure)}")
            self._end(_number(failure))
        else:
            self._attempt = None

    def opened(self, wire: Wire) -> None:
        """Connected: log in, choose the database, send what was waiting."""
        self._wire = wire
        self.shard.connected += 1
        self._is_full = False
        config = self.shard.config
        greetings = []
        if config.redis_auth:
            greetings.append((b"AUTH", config.redis_auth))
        if config.redis_db > 0:
            greetings.append((b"SELECT", b"%d" % config.redis_db))
        for words in reversed(greetings):
            self.unsent.insert(0, bulks(words))
            self.waiting.appendleft((_Greeting(self, words[0]), 0))
        self.flush()

    # -- replies -----------------------------------------------------------------------------

    def received(self, reader: ReplyReader, data: bytes) -> None:
        """Replies, or pieces of them."""
        try:
            replies = reader.feed(data)
        except GarbageError as garbage:
            self.pool.log.notice(f"server '{self.shard.server}' sends no replies: {garbage}")
            self._end(errno.EINVAL)
            return
        shard, waiting = self.shard, self.waiting
        # A reply that nobody asked for: whose those after it are cannot be known any more.
        has_stray = len(replies) > len(waiting)
        if has_stray:
            del replies[len(waiting) :]
        shard.responses += len(replies)
        shard.response_bytes += len(data)
        take = waiting.popleft
        last: Batch | None = None
        for reply in replies:
            if reply[0] == 0x2D and reply.split(b" ", 1)[0] in _FAILURES:  # -
                if last is not None:
                    last.touch()
                self._end(errno.EINVAL)
                return
            batch, place = take()
            batch.replies[place] = reply
            batch.missing -= 1
            if batch is not last:
                if last is not None:
                    last.touch()
                last = batch
        if last is not None:
            last.touch()
            if shard.health.failures:
                shard.replied()
        if has_stray:
            self._end(errno.EINVAL)
        elif not waiting:
            self.sent_bytes = 0
            if self._is_retired:
                self.close()

    # -- the end -----------------------------------------------------------------------------

    def ended(self, number: int) -> None:
        """The server has hung up, with the number of an error or UNKNOWN."""
        if number == UNKNOWN:
            self.shard.eof += 1
        self._end(number)

    def _watch(self) -> None:
        """Look again when the oldest request has waited for as long as it may."""
        timeout = self.pool.timeout
        self._timer = None
        if not self.waiting or timeout is None:
            return
        left = self.waiting[0][0].since + timeout - self.pool.loop.time()
        if left > 0:
            self._timer = self.pool.loop.call_later(left, self._watch)
            return
        self._end(errno.ETIMEDOUT)

    def _end(self, number: int) -> None:
        """The connection is of no use: tell everybody who waits on it."""
        shard = self.shard
        if number == errno.ETIMEDOUT:
            shard.timeouts += 1
        elif number != UNKNOWN:
            shard.errors += 1
        self._hang_up()
        waiting, self.waiting = self.waiting, deque()
        reply = Failure.of(number)
        for batch, place in waiting:
            batch.answer(place, reply)
        self.pool.forward_errors += len(waiting)
        shard.failed()

    def _hang_up(self) -> None:
        # Requests that could not even be written are counted as well.
        self.shard.requests += self.unsent_requests
        self.shard.request_bytes += sum(map(len, self.unsent))
        self.sent_bytes = self.unsent_requests = 0
        self.unsent.clear()
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.connection = None
            wire.transport.abort()
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def retire(self) -> None:
        """Hang up as soon as nobody waits."""
        self._is_retired = True
        if not self.waiting:
            self.close()

    def close(self) -> None:
        """Hang up, with no word to anybody."""
        self._hang_up()
        self.waiting.clear()


class Wire(asyncio.Protocol):
    """What a connection consists of while there is one.

    It is told apart from the next one, so that what is still to be said of an old one harms none.

    Attributes:
        connection: which it is; None once that has hung up.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection: Connection | None = connection
        self._reader = ReplyReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_UNSENT_BYTES)
        if self.connection is not None:
            self.connection.opened(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of replies."""
        if self.connection is not None:
            self.connection.received(self._reader, data)

    def eof_received(self) -> bool:
        """The server hangs up, perhaps in the middle of a reply."""
        if self.connection is not None:
            self.connection.ended(UNKNOWN)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone without a word."""
        if self.connection is not None:
            number = _number(exc) if isinstance(exc, OSError) else errno.ECONNRESET
            self.connection.ended(number)

    def pause_writing(self) -> None:
        """The server takes no more for now."""
        if self.connection is not None:
            self.connection.fill(is_full=True)

    def resume_writing(self) -> None:
        """It takes more."""
        if self.connection is not None:
            self.connection.fill(is_full=False)


class _Greeting(Batch):
    """AUTH or SELECT on a new connection, whose reply nobody is waiting for."""

    __slots__ = ("connection", "name")

    def __init__(self, connection: Connection, name: bytes) -> None:
        super().__init__(None, 1, 0, connection.pool.loop.time())  # type: ignore[arg-type]
        self.connection = connection
        self.name = name

    def touch(self) -> None:
        """Note it if the server will not."""
        reply = self.replies[0] or b""
        if reply[:1] == b"-":
            shard = self.connection.shard
            self.connection.pool.log.warning(
                f"{self.name.decode()} failed on {shard.pool.config.name} | "
                f"{shard.server.label.decode('utf-8', 'replace')}: {reply[1:].decode('latin-1')}"
            )


def _number(failure: OSError | UnicodeError) -> int:
    """The number of an error; a name that is not found has one of its own kind."""
    number = (failure.errno or 0) if isinstance(failure, OSError) else 0
    return number if number > 0 else errno.EHOSTDOWN
