"""The load generator: many connections on one epoll, in one thread.

Two loops. The **closed** loop is redis-benchmark's: each of N clients sends a batch, waits for its
replies, sends the next. When the server stalls, the clients stall with it, and the requests that
*would* have come meanwhile are never sent and never measured; this is called coordinated omission.
The **open** loop sends what falls due at a fixed rate whatever the server does, and measures each
latency from the moment at which the request was due, so that a stall shows in every request that it
delayed.

What costs time here is paid per reply, some hundred thousand times a second, so a turn of the
closed loop is: a recv, a comparison, a count, a send. A latency is the time from the clock right
before the send to the clock right before the recv that completes the batch, in whole microseconds;
all replies of a batch share it.

Follows `src/redis-benchmark.c` of Redis 7.0 (`readHandler`, `writeHandler`, `clientDone`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter_ns

from redislab.benchmark.arrivals import arrivals
from redislab.benchmark.clients import Client, LoadLoop, Refresh
from redislab.benchmark.connection import RECEIVE_BYTES, begin_connect
from redislab.benchmark.poller import IN, OUT
from redislab.benchmark.replies import DIGITS
from redislab.benchmark.results import Result, Window
from redislab.benchmark.settings import ConnectError, Settings, prefix

SECOND = 1_000_000_000  # in the clock's unit, nanoseconds
NEVER = 1 << 62
# How long the open loop waits for replies that are on their way when its time is up.
GRACE = 5 * SECOND


def generate(
    settings: Settings,
    on_window: Callable[[Window], None] | None = None,
    *,
    refresh: Refresh | None = None,
    control: int | None = None,
) -> Result:
    """Run the load in this process and thread until it is done.

    Args:
        settings: what to do.
        on_window: called with every window as it ends.
        refresh: cluster mode, see `Refresh`.
        control: a descriptor that becomes readable when the run should stop.

    Raises:
        ConnectError: the server was not reached, or hung up under `stop_on_error`.
        ReplyError: an error reply under `stop_on_error`.
        BenchmarkError: what came was no RESP.
    """
    loop: type[LoadLoop] = _ClosedLoop if settings.rate is None else _OpenLoop
    return loop(settings, on_window, refresh, control).run()


class _ClosedLoop(LoadLoop):
    """Every client sends its next batch when the replies of the last one have come."""

    _left = 0  # requests that are still to be sent

    def _loop(self) -> None:
        settings, clients, counts = self.settings, self._clients, self._counts
        batch, clock, poll = settings.pipeline, perf_counter_ns, self._poller.poll
        wanted = self._left = settings.requests or NEVER
        deadline = self._deadline()
        # A connection that is not kept alive introduces itself in every batch.
        hello = 0 if settings.keepalive else prefix(settings).replies
        matcher = self._matcher_for(batch + hello)
        expected, skeleton, partial = matcher.expected, matcher.skeleton, matcher.partial
        for client in list(clients.values()):
            client.matcher = matcher
            self._next(client)
        while self._finished < wanted and not self._stopping:
            now = clock()
            for descriptor, _ in poll((min(self._window_end, deadline) - now) / SECOND):
                now = clock()
                if descriptor not in clients:  # it was closed just now, or is the control
                    self._stopping = self._stopping or descriptor == self._control
                    continue
                client = clients[descriptor]
                try:
                    data = client.receive(RECEIVE_BYTES)
                except OSError as error:
                    self._not_read(client, error)
                    continue
                if (
                    data == expected or (skeleton and data.translate(None, DIGITS) == skeleton)
                ) and descriptor not in partial:
                    pass  # as the last time, which is nearly always
                elif not data:
                    self._not_read(client, None)
                    continue
                elif matcher.feed(descriptor, data):
                    expected, skeleton = matcher.expected, matcher.skeleton
                else:
                    continue
                counts[(now - client.start) // 1000] += batch
                self._finished += batch
                self._next(client)
            if now >= self._window_end:
                self._end_window(now)
            if now >= deadline:
                break
            if self._topology_error or self._lost_clients:
                self._follow_topology(now)
                for client in self._reopened(now):
                    self._next(client)

    def _next(self, client: Client) -> None:
        """Send the next batch, if there is one left."""
        if self._left <= 0:
            client.start = 0
            return
        batch = self.settings.pipeline
        self._left -= batch
        request = client.maker.batch(batch)
        if self.settings.keepalive:
            client.start = perf_counter_ns()
            self._send(client, request)
        else:
            self._send_anew(client, request)

    def _send_anew(self, client: Client, request: bytes) -> None:
        """Send on a new connection; its time begins when it is connected."""
        self._drop(client)
        client.start = perf_counter_ns()
        try:
            client.use(begin_connect(self.settings, client.node))
        except ConnectError:
            if self.settings.stop_on_error:
                raise
            self._count_error("connection refused")
            self._forfeit(client)
            self._retry_later(client)
            return
        client.connecting = True
        client.unsent = prefix(self.settings).data + request
        self._register(client, IN | OUT)

    def _forfeit(self, client: Client) -> None:
        if client.start:
            self._left += self.settings.pipeline


class _OpenLoop(LoadLoop):
    """Requests fall due on their own; a free client takes what is due, at most a batch."""

    def __init__(
        self,
        settings: Settings,
        on_window: Callable[[Window], None] | None,
        refresh: Refresh | None,
        control: int | None,
    ) -> None:
        super().__init__(settings, on_window, refresh, control)
        self._due: deque[int] = deque()  # when requests fell due that are not sent yet
        self._idle: deque[Client] = deque()
        self._arrivals = arrivals(settings)
        self._left = settings.requests or NEVER  # requests that have not fallen due
        self._next_due = NEVER
        self._in_flight = 0

    def _loop(self) -> None:
        clock, wait = perf_counter_ns, self._poller.wait
        deadline = self._deadline()
        self._idle.extend(self._clients.values())
        self._next_due = self._begin + next(self._arrivals)
        while True:
            now = clock()
            if now >= deadline or self._stopping:
                self._close_door()
            while self._next_due <= now:
                self._due.append(self._next_due)
                self._left -= 1
                self._next_due = self._begin + next(self._arrivals) if self._left else NEVER
            while self._due and self._idle:
                self._take(self._idle.popleft())
            if self._next_due == NEVER and not self._due and not self._in_flight:
                break
            if now >= deadline + GRACE or self._stopping:
                self._unanswered += self._in_flight
                break
            self._waiting = len(self._due)
            if now >= self._window_end:
                self._end_window(now)
            until = min(self._next_due, self._window_end)
            if now < deadline:
                until = min(until, deadline)
            for descriptor, _ in wait((until - now) / SECOND):
                self._ready(descriptor)
            if self._topology_error or self._lost_clients:
                self._follow_topology(now)
                self._idle.extend(self._reopened(now))

    def _take(self, client: Client) -> None:
        """Send what is due, at most a batch of it."""
        size = min(self.settings.pipeline, len(self._due))
        client.due = [self._due.popleft() for _ in range(size)]
        client.matcher = self._matcher_for(size)
        client.start = perf_counter_ns()
        self._in_flight += size
        self._send(client, client.maker.batch(size))

    def _ready(self, descriptor: int) -> None:
        """Read what has come; a batch that is complete is counted and its client free again."""
        now = perf_counter_ns()
        client = self._clients.get(descriptor)
        if client is None:
            self._stopping = self._stopping or descriptor == self._control
            return
        try:
            data = client.receive(RECEIVE_BYTES)
        except OSError as error:
            self._not_read(client, error)
            return
        if not data:
            self._not_read(client, None)
        elif client.matcher.feed(descriptor, data):
            for due in client.due:
                self._counts[(now - due) // 1000] += 1
            self._finished += len(client.due)
            self._in_flight -= len(client.due)
            client.due = []
            client.start = 0
            self._idle.append(client)

    def _close_door(self) -> None:
        """Time is up: nothing more falls due, and what waits is not sent any more."""
        self._next_due = NEVER
        self._unanswered += len(self._due)
        self._due.clear()

    def _forfeit(self, client: Client) -> None:
        self._unanswered += len(client.due)
        self._in_flight -= len(client.due)
        client.due = []
        if not client.start:
            self._idle.remove(client)
