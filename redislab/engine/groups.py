"""Consumer groups of streams as plain state (`streamCG` and its kin in `src/stream.h`, Redis 7.0).

A group remembers the last entry it has handed out, and for every entry that was handed out and not
yet acknowledged who has it, since when, and how often it was delivered. Such a `Pending` stands in
two maps ordered by id: that of the group and that of its consumer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sortedcontainers import SortedDict

from redislab.engine.stream_ids import LEAST, StreamId


@dataclass(slots=True, eq=False)
class Consumer:
    """A member of a group.

    Attributes:
        seen_ms: when it last asked for something, in milliseconds since the epoch.
        pending: what it has to acknowledge: `Pending` by id, in order.
    """

    name: bytes
    seen_ms: int
    pending: SortedDict = field(default_factory=SortedDict)


@dataclass(slots=True, eq=False)
class Pending:
    """An entry that was delivered and is not acknowledged.

    Attributes:
        consumer: who has it; None for an instant, while XCLAIM FORCE makes it.
        delivered_ms: when it was delivered last.
        times: how often that happened.
    """

    consumer: Consumer | None
    delivered_ms: int
    times: int = 1


@dataclass(slots=True, eq=False)
class Group:
    """A consumer group.

    Attributes:
        last_id: of the last entry it has handed out.
        entries_read: how many entries up to that one there were in the stream; None if unknown.
    """

    last_id: StreamId
    entries_read: int | None = None
    consumers: dict[bytes, Consumer] = field(default_factory=dict)
    pending: SortedDict = field(default_factory=SortedDict)

    def give(self, entry: StreamId, pending: Pending, consumer: Consumer) -> None:
        """Let a consumer have an entry, whoever had it before."""
        if pending.consumer is not consumer:
            if pending.consumer is not None:
                del pending.consumer.pending[entry]
            pending.consumer = consumer
            consumer.pending[entry] = pending
        self.pending[entry] = pending

    def drop(self, entry: StreamId) -> bool:
        """Forget a pending entry; tell whether it was there."""
        pending: Pending | None = self.pending.pop(entry, None)
        if pending is None:
            return False
        if pending.consumer is not None:
            del pending.consumer.pending[entry]
        return True

    def remove_consumer(self, name: bytes) -> int | None:
        """Remove a consumer and what it has; how many entries that were, None without consumer."""
        consumer = self.consumers.pop(name, None)
        if consumer is None:
            return None
        for entry in consumer.pending:
            del self.pending[entry]
        return len(consumer.pending)

    def copy(self) -> Group:
        """An equal group of its own."""
        twin = Group(self.last_id, self.entries_read)
        for name, consumer in self.consumers.items():
            twin.consumers[name] = Consumer(name, consumer.seen_ms)
        for entry, pending in self.pending.items():
            own = Pending(None, pending.delivered_ms, pending.times)
            twin.give(entry, own, twin.consumers[pending.consumer.name])
        return twin


@dataclass(frozen=True, slots=True)
class Counters:
    """What a stream knows of its entries, those that are gone included."""

    length: int
    added: int
    first_id: StreamId
    last_id: StreamId
    max_deleted_id: StreamId

    def has_holes_after(self, entry: StreamId) -> bool:
        """Whether something was deleted at an id or after it (`streamRangeHasTombstones`)."""
        deleted = self.max_deleted_id
        return bool(self.length) and LEAST != deleted >= self.first_id and entry <= deleted

    def read_up_to(self, entry: StreamId) -> int | None:
        """How many entries there have been up to an id; None if that is not to be known.

        Follows `streamEstimateDistanceFromFirstEverEntry`.
        """
        if not self.added:
            return 0
        if (not self.length and entry <= self.last_id) or entry == self.last_id:
            return self.added
        if entry > self.last_id:
            return None
        deleted = self.max_deleted_id
        if deleted == LEAST or deleted < self.first_id:
            if entry < self.first_id:
                return self.added - self.length
            if entry == self.first_id:
                return self.added - self.length + 1
        return None

    def lag_of(self, group: Group) -> int | None:
        """How many entries a group has yet to read; None if that is not to be known."""
        if not self.added:
            return 0
        read = group.entries_read
        if read is None or self.has_holes_after(group.last_id):
            read = self.read_up_to(group.last_id)
        return None if read is None else self.added - read

    def advance(self, group: Group, entry: StreamId) -> None:
        """Let a group have read an entry, and keep its count right as far as that is possible."""
        if entry <= group.last_id:
            return
        if group.entries_read is not None and not self.has_holes_after(entry):
            group.entries_read += 1
        elif self.added:
            group.entries_read = self.read_up_to(entry)
        group.last_id = entry
