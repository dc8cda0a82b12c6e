"""What a node counts about itself, and how it samples rates (`src/server.c` of Redis 7.0).

Rates are the mean of the last 16 samples, taken by the cron every 100 ms. Memory is an estimate:
what Redis 7.0 would use for the same keys and clients, from the sizes of a sample of the keys; the
figure of our own process is `used_memory_rss`.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from redislab.engine.values import type_names

if TYPE_CHECKING:
    from redislab.engine.keyspace import Keyspace
    from redislab.server.node import Node

SAMPLES = 16
STARTUP_BYTES = 876_192  # what an empty redis-server 7.0 reports
CLIENT_BYTES = 20_000  # and about what a connection adds
_KEYS_LOOKED_AT = 32  # at either end of a database
_ERROR_CODES_MAX = 128


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
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.operations, self.input, self.output = Rate(), Rate(), Rate()
        self.peak_bytes = 0
        self.rss_bytes = 0
        self._memory = DatasetEstimate(node)
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
        self.operations, self.input, self.output = Rate(), Rate(), Rate()

    def count_error(self, message: str) -> None:
        """Count an error reply by its first word."""
        self.error_replies += 1
        code = message.split(" ", 1)[0]
        if code in self.errors or len(self.errors) < _ERROR_CODES_MAX:
            self.errors[code] = self.errors.get(code, 0) + 1

    @property
    def commands(self) -> int:
        """How many commands have run."""
        return sum(entry.calls for entry in self.node.entries)

    def sample(self) -> None:
        """Take the samples of the rates; the cron calls this."""
        now = self.node.loop_time()
        self.operations.sample(self.commands, now)
        self.input.sample(self.node.bytes_in, now)
        self.output.sample(self.node.bytes_out, now)
        self.peak_bytes = max(self.peak_bytes, self.used_memory())
        self.rss_bytes = self.node.environment.rss()

    # -- memory --------------------------------------------------------------------------------

    def used_memory(self) -> int:
        """An estimate of the bytes that Redis would have allocated."""
        return self.overhead() + self._memory.bytes()

    def overhead(self) -> int:
        """The part of it that is not data: the program, its clients, the tables of keys."""
        keys = sum(len(db) for db in self.node.engine.databases)
        expires = sum(len(db.expires) for db in self.node.engine.databases)
        return STARTUP_BYTES + self.client_bytes() + 40 * keys + 40 * expires

    def client_bytes(self) -> int:
        """What the connections hold."""
        held = 0
        for client in self.node.clients.values():
            session = client.session
            if session is not None:
                held += session.parser.buffered + session.pending_bytes
                held += session.transport.get_write_buffer_size()
        return held + CLIENT_BYTES * len(self.node.clients)

    def dataset(self) -> int:
        """The estimate of the keys and values alone."""
        return self._memory.bytes()

    def forget_dataset(self) -> None:
        """Estimate anew at the next question."""
        self._memory.forget()


class DatasetEstimate:
    """How large the data of a node is, from a few of its keys.

    The mean size of a key is worked out anew once many changes were made; in between the estimate
    follows the number of keys, which is what eviction needs.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._means: dict[int, float] = {}
        self._dirty = -1

    def forget(self) -> None:
        """Work the means out anew at the next question."""
        self._dirty = -1

    def bytes(self) -> int:
        """The estimate for all databases."""
        engine = self.node.engine
        if self._dirty < 0 or abs(engine.dirty - self._dirty) >= 50:
            self._dirty = engine.dirty
            self._means = {db.index: self._mean(db) for db in engine.databases if db.values}
        return int(sum(self._means.get(db.index, 100.0) * len(db) for db in engine.databases))

    @staticmethod
    def _mean(db: Keyspace) -> float:
        values = db.values
        sample = dict(islice(values.items(), _KEYS_LOOKED_AT))
        sample |= islice(((key, values[key]) for key in reversed(values)), _KEYS_LOOKED_AT)
        return sum(key_bytes(key, value) for key, value in sample.items()) / len(sample)


def key_bytes(key: bytes, value: Any) -> int:
    """About what a key and its value take in Redis."""
    size = 72 + len(key)
    kind = type(value)
    if kind is bytes or kind is bytearray:
        return size + len(value)
    if kind not in type_names or not hasattr(value, "__len__"):
        return size + 200
    count = len(value)
    if not count:
        return size
    elements = list(islice(iter(value), 8))
    mean = sum(len(element) for element in elements if isinstance(element, bytes)) / len(elements)
    return size + int(count * (mean + (16 if count > 128 else 4)))
