"""What the two load loops share: clients on one epoll, errors, windows, the result.

A connection that breaks ends the run, as in redis-benchmark, or (with `stop_on_error=False`) counts
as an error and is opened again: a load that goes on through a failover is how a lesson shows one.
"""

from __future__ import annotations

import gc
import heapq
import socket
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator
from time import perf_counter_ns

from redislab.benchmark.connection import (
    NOT_READY,
    connect,
    receiver,
    refusal,
)
from redislab.benchmark.histogram import Histogram
from redislab.benchmark.poller import IN, OUT, Poller
from redislab.benchmark.replies import ReplyMatcher
from redislab.benchmark.results import Result, Window
from redislab.benchmark.settings import ConnectError, Node, ReplyError, Settings, kind_of
from redislab.benchmark.workload import RequestMaker, new_random

SECOND = 1_000_000_000  # in the clock's unit, nanoseconds
NEVER = 1 << 62
RECONNECT_DELAY = SECOND // 20
RECONNECT_TIMEOUT_S = 0.5
REFRESH_INTERVAL = SECOND // 2
WINDOW_DIGITS = 2
MOVED = ("MOVED", "ASK", "CLUSTERDOWN")

# Cluster mode: called with the error of a node that has lost a slot; gives the masters anew.
Refresh = Callable[[str], tuple[Node, ...]]


class Client:
    """A connection, what it sends, and since when it waits."""

    __slots__ = (
        "connecting",
        "due",
        "index",
        "maker",
        "matcher",
        "node",
        "receive",
        "send",
        "sock",
        "start",
        "unsent",
    )

    def __init__(
        self,
        index: int,
        node: Node,
        sock: socket.socket,
        maker: RequestMaker,
        matcher: ReplyMatcher,
    ) -> None:
        self.index = index
        self.node = node
        self.maker = maker
        self.matcher = matcher
        self.start = 0  # when the batch was sent; 0 while none is
        self.due: list[int] = []  # the open loop: when the requests of the batch fell due
        self.unsent = b""
        self.connecting = False
        self.use(sock)

    def use(self, sock: socket.socket) -> None:
        """Go on with another socket."""
        self.sock = sock
        self.send = sock.send
        self.receive = receiver(sock)


class LoadLoop(ABC):
    """What both loops share: clients, errors, windows, the result."""

    def __init__(
        self,
        settings: Settings,
        on_window: Callable[[Window], None] | None,
        refresh: Refresh | None,
        control: int | None,
    ) -> None:
        self.settings = settings
        self._on_window = on_window
        self._refresh = refresh
        self._control = control
        self._poller = Poller()
        self._random = new_random(settings.seed)
        self._clients: dict[int, Client] = {}  # by descriptor
        self._lost_clients: list[tuple[int, int, Client]] = []  # a heap: when to open again
        self._matchers: dict[int, ReplyMatcher] = {}
        self._stopping = False
        self._topology_error: str | None = None
        self._refreshed = -NEVER
        self._errors: dict[str, int] = {}
        self._window_errors: dict[str, int] = {}
        self._windows: list[Window] = []
        self._counts: defaultdict[int, int] = defaultdict(int)  # latencies of this window
        self._total: dict[int, int] = {}  # latencies of the windows before it
        self._finished = 0
        self._window_finished = 0
        self._waiting = 0
        self._unanswered = 0
        self._begin = self._window_begin = self._window_end = 0

    def run(self) -> Result:
        """Connect, send, measure, disconnect."""
        collecting = gc.isenabled()
        try:
            for index in range(self.settings.clients):
                self._register(self._new_client(index))
            if self._control is not None:
                self._poller.register(self._control, IN)
            gc.disable()  # nothing below makes cycles, and a pause would count as latency
            self._begin = self._window_begin = perf_counter_ns()
            self._window_end = self._begin + int(self.settings.window_s * SECOND)
            self._loop()
            return self._result()
        finally:
            if collecting:
                gc.enable()
            for client in self._clients.values():
                client.sock.close()
            self._poller.close()

    @abstractmethod
    def _loop(self) -> None:
        """Send and receive until the run is over."""

    # -- clients ----------------------------------------------------------------------------------

    def _new_client(self, index: int) -> Client:
        node = self.settings.targets[index % len(self.settings.targets)]
        sock = connect(self.settings, node)
        return Client(index, node, sock, self._maker(node), self._matcher_for(1))

    def _maker(self, node: Node) -> RequestMaker:
        tag = None if node.tag is None else node.tag.encode()
        request = self.settings.workload.request
        return RequestMaker(request, self.settings.keyspace, self._random, tag)

    def _matcher_for(self, replies: int) -> ReplyMatcher:
        """The matcher of batches with this many replies; all clients share it."""
        matcher = self._matchers.get(replies)
        if matcher is None:
            matcher = self._matchers[replies] = ReplyMatcher(replies, self._on_error_reply)
        return matcher

    def _register(self, client: Client, events: int = IN) -> None:
        descriptor = client.sock.fileno()
        self._clients[descriptor] = client
        self._poller.register(descriptor, events)

    def _drop(self, client: Client) -> None:
        descriptor = client.sock.fileno()
        client.matcher.forget(descriptor)
        self._poller.unregister(descriptor)
        del self._clients[descriptor]
        client.sock.close()

    def _send(self, client: Client, request: bytes) -> None:
        """Send what goes out at once; the rest when the socket has room."""
        try:
            sent = client.send(request)
        except NOT_READY:
            sent = 0
        except OSError:
            return  # the read that follows says what became of the connection
        if sent != len(request):
            client.unsent = request[sent:]
            self._poller.modify(client.sock.fileno(), IN | OUT)

    def _not_read(self, client: Client, error: OSError | None) -> None:
        """Nothing was read: there is room to send, or the connection is lost (None: it ended)."""
        if not isinstance(error, NOT_READY):
            self._lose(client, error)
            return
        rest, client.unsent = client.unsent, b""
        if client.connecting:
            client.connecting = False
            client.start = perf_counter_ns()
        if rest:
            self._poller.modify(client.sock.fileno(), IN)
            self._send(client, rest)

    def _lose(self, client: Client, error: OSError | None) -> None:
        """A connection broke: the end of the run, or an error that counts and a new connection."""
        refused = isinstance(error, ConnectionRefusedError | TimeoutError)
        if self.settings.stop_on_error:
            if refused and error is not None:
                raise ConnectError(refusal(self.settings, client.node, error))
            reason = "Server closed the connection" if error is None else error.strerror
            raise ConnectError(f"Error: {reason}")
        self._count_error("connection refused" if refused else "connection lost")
        self._give_up(client)

    def _give_up(self, client: Client) -> None:
        """Close a connection; it comes back by `_reopened`."""
        self._forfeit(client)
        self._drop(client)
        self._retry_later(client)

    @abstractmethod
    def _forfeit(self, client: Client) -> None:
        """Account for the requests that a client will have no replies to."""

    def _retry_later(self, client: Client) -> None:
        client.unsent = b""
        client.start = 0
        client.connecting = False
        again = perf_counter_ns() + RECONNECT_DELAY
        heapq.heappush(self._lost_clients, (again, client.index, client))

    def _reopened(self, now: int) -> Iterator[Client]:
        """Open the lost connections whose time has come."""
        while self._lost_clients and self._lost_clients[0][0] <= now:
            client = heapq.heappop(self._lost_clients)[2]
            try:
                client.use(connect(self.settings, client.node, RECONNECT_TIMEOUT_S))
            except ConnectError:
                self._count_error("connection refused")
                self._retry_later(client)
            except ReplyError as error:
                self._count_error(kind_of(str(error).removeprefix("Error from server: ")))
                self._retry_later(client)
            else:
                self._register(client)
                yield client

    # -- errors -----------------------------------------------------------------------------------

    def _on_error_reply(self, text: str) -> None:
        if self._refresh is not None and text.startswith(MOVED):
            self._topology_error = text
        elif self.settings.stop_on_error:
            raise ReplyError(f"Error from server: {text}")
        self._count_error(kind_of(text))

    def _count_error(self, kind: str) -> None:
        self._window_errors[kind] = self._window_errors.get(kind, 0) + 1

    def _follow_topology(self, now: int) -> None:
        """Cluster mode: a slot has moved. Ask who the masters are and aim the clients anew."""
        error, self._topology_error = self._topology_error, None
        if error is None or self._refresh is None or now - self._refreshed < REFRESH_INTERVAL:
            return
        self._refreshed = now
        nodes = self._refresh(error)
        if not nodes:
            return
        by_address = {(node.host, node.port): node for node in nodes}
        for client in list(self._clients.values()):
            node = by_address.get((client.node.host, client.node.port))
            if node is None:  # it is no master any more, or has no slots
                node = nodes[client.index % len(nodes)]
                self._give_up(client)
            client.node, client.maker = node, self._maker(node)

    # -- windows and the result -------------------------------------------------------------------

    def _deadline(self) -> int:
        seconds = self.settings.duration_s
        return NEVER if seconds is None else self._begin + int(seconds * SECOND)

    def _end_window(self, now: int) -> None:
        """Close the window that runs, hand it out, and begin the next."""
        counts, total = self._counts, self._total
        window = Window(
            start_s=(self._window_begin - self._begin) / SECOND,
            duration_s=(now - self._window_begin) / SECOND,
            requests=self._finished - self._window_finished,
            histogram=Histogram.from_counts(counts, WINDOW_DIGITS),
            errors=self._window_errors,
            waiting=self._waiting,
        )
        for latency, number in counts.items():
            total[latency] = total.get(latency, 0) + number
        for kind, number in self._window_errors.items():
            self._errors[kind] = self._errors.get(kind, 0) + number
        counts.clear()
        self._window_errors = {}
        self._window_finished = self._finished
        self._window_begin = now
        length = int(self.settings.window_s * SECOND)
        self._window_end += max(1, (now - self._window_end) // length + 1) * length
        self._windows.append(window)
        if self._on_window is not None:
            self._on_window(window)

    def _result(self) -> Result:
        now = perf_counter_ns()
        if self._finished > self._window_finished or self._window_errors or not self._windows:
            self._end_window(now)
        return Result(
            settings=self.settings,
            requests=self._finished,
            duration_s=(now - self._begin) / SECOND,
            histogram=Histogram.from_counts(self._total, self.settings.digits),
            windows=tuple(self._windows),
            errors=self._errors,
            unanswered=self._unanswered,
        )
