"""What a node counts about itself, and how it samples rates (`src/server.c` of Redis 7.0).

Rates are the mean of the last 16 samples, taken by the cron every 100 ms. Memory is an estimate:
what Redis 7.0 would use for the same keys and clients, from the sizes of a sample of the keys; the
figure of our own process is `used_memory_rss`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from redislab.engine.memory import MemoryMeter

if TYPE_CHECKING:
    from redislab.server.node import Node

SAMPLES = 16
STARTUP_BYTES = 876_192  # what an empty redis-server 7.0 reports
CLIENT_BYTES = 20_000  # and about what a connection adds
_CHANGES_BETWEEN = 50  # of two measurements of the data
_ERROR_CODES_MAX = 128
_TABLE_BYTES_PER_KEY = 32


class Rate:
    """Something that grows, as so much a second."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque([0.0] * SAMPLES, SAMPLES)
        self._before = 0.0
        self._at: float | None = None

    def sample(self, total: float, now: float) -> None:
        """Take a sample: the total so far, and the time in seconds."""
        if self._at is not None and now > self._at:
            self._samples.append(max(total - self._before, 0.0) / (now - self._at))
        self._before, self._at = total, now

    @property
    def per_second(self) -> float:
        """The mean of the last samples."""
        return sum(self._samples) / SAMPLES


class Stats:
    """The counters of one node.

    Attributes:
        errors: how many error replies there were, by code.
        lazyfreed_objects: how many keys were freed beside the commands; `lazyfree_pending_objects`
            have yet to be.
        stream_input, stream_output: of the bytes, those from a master and those to replicas.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._begin_rates()
        self.peak_bytes = 0
        self.rss_bytes = 0
        self.lazyfree_pending_objects = 0
        self._memory = DatasetEstimate(node)
        self._commands, self._counted_at = 0, -1
        self.reset()

    def reset(self) -> None:
        """Set to zero what CONFIG RESETSTAT does."""
        self.connections = self.rejected_connections = 0
        self.evicted_keys = self.evicted_clients = 0
        self.eviction_exceeded_s = 0.0
        self.expire_cycle_s = 0.0
        self.error_replies = 0
        self.errors: dict[str, int] = {}
        self.limit_disconnections = 0
        self.lazyfreed_objects = 0
        self._begin_rates()
        self._counted_at = -1

    def _begin_rates(self) -> None:
        self.operations, self.input, self.output = Rate(), Rate(), Rate()
        self.stream_input, self.stream_output = Rate(), Rate()

    def count_error(self, message: str) -> None:
        """Count an error reply by its first word."""
        self.error_replies += 1
        code = message.split(" ", 1)[0]
        if code in self.errors or len(self.errors) < _ERROR_CODES_MAX:
            self.errors[code] = self.errors.get(code, 0) + 1

    @property
    def activity(self) -> int:
        """A number that changes whenever commands may have run: they came from somewhere."""
        node = self.node
        return node.reads + node.writes + node.replication.replicaside.bytes_in

    @property
    def commands(self) -> int:
        """How many commands have run; there are many kinds, and an idle node counts none."""
        activity = self.activity
        if activity != self._counted_at:
            self._counted_at = activity
            # `entry.calls` without the calls: there are some 250 of them, ten times a second.
            self._commands = sum([each._calls + len(each.times) for each in self.node.entries])
        return self._commands

    def fold(self) -> None:
        """Add up what was called, in one pass; the cron calls this when commands may have run."""
        total = 0
        for entry in self.node.entries:
            if entry.times:
                entry.fold()
            total += entry._calls
        self._commands, self._counted_at = total, self.activity
        self.peak_bytes = max(self.peak_bytes, self.used_memory())

    def sample(self) -> None:
        """Take the samples of the rates; the cron calls this."""
        now = self.node.loop_time()
        self.operations.sample(self.commands, now)
        from_master = self.node.replication.replicaside.bytes_in
        self.input.sample(self.node.bytes_in + from_master, now)
        self.output.sample(self.node.bytes_out, now)
        self.stream_input.sample(from_master, now)
        self.stream_output.sample(self.node.replication.masterside.bytes_out, now)
        self.rss_bytes = self.node.environment.rss()

    # -- memory --------------------------------------------------------------------------------

    def used_memory(self) -> int:
        """An estimate of the bytes that Redis would have allocated.

        What replicas have not taken counts up to the size of the backlog: evicting keys sends them
        more, and so would never end.
        """
        kept = self.node.replication.masterside.buffer_bytes
        stream = min(kept, self.node.config.repl_backlog_size) if kept else 0
        return STARTUP_BYTES + self.client_bytes() + stream + self._memory.bytes()

    def overhead(self) -> int:
        """The part of it that is not data: the program, its clients, the tables of keys."""
        keys = sum(len(db) + len(db.expires) for db in self.node.engine.databases)
        return STARTUP_BYTES + self.client_bytes() + _TABLE_BYTES_PER_KEY * keys

    def client_bytes(self) -> int:
        """What the connections hold."""
        held = 0
        for client in self.node.clients.values():
            session = client.session
            if session is not None and not client.is_replica:
                held += session.parser.buffered + session.pending_bytes
                held += session.transport.get_write_buffer_size()
        return held + CLIENT_BYTES * len(self.node.clients)

    @property
    def startup_bytes(self) -> int:
        """What a node takes without data and clients."""
        return STARTUP_BYTES

    def forget_dataset(self) -> None:
        """Estimate anew at the next question."""
        self._memory.forget()


class DatasetEstimate:
    """How large the data of a node is, by `engine.memory.MemoryMeter`.

    The meter looks at some hundred keys. Between two of its answers, while few changes are made,
    the estimate follows the number of keys: so eviction sees at once what it has done.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._meter = MemoryMeter(node.engine)
        self._measured = self._keys = 0
        self._dirty = -1

    def forget(self) -> None:
        """Measure anew at the next question."""
        self._dirty = -1

    def exact(self) -> int:
        """What the meter says now."""
        engine = self.node.engine
        self._dirty = engine.dirty
        self._keys = sum(map(len, engine.databases))
        self._measured = self._meter.measure()
        return self._measured

    def bytes(self) -> int:
        """The estimate for all databases."""
        engine = self.node.engine
        if self._dirty < 0 or abs(engine.dirty - self._dirty) >= _CHANGES_BETWEEN:
            return self.exact()
        keys = sum(map(len, engine.databases))
        return self._measured * keys // self._keys if self._keys else self._measured
