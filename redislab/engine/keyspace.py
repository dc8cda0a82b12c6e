"""One numbered database: keys, their values, and when they expire.

`Keyspace` is Redis' `redisDb` (`src/server.h`, `src/db.c`): a dictionary of values and a second one
of expiry times. Commands read through `lookup...` so that a key whose time has come is gone for
them, and report every change through `changed`, which is where WATCH, keyspace events, client-side
caching and the count of unsaved changes are told.

`Engine` holds the databases of one node together with what their commands need from outside: the
node's clock and its random source. Nothing here reads a clock or draws a number of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeVar

from redislab.engine.errors import wrong_type
from redislab.engine.values import (
    EncodingLimits,
    HashValue,
    ListValue,
    SetValue,
    SortedSetValue,
)

V = TypeVar("V")


class Engine:
    """The data of one node.

    Args:
        databases: how many numbered databases there are (`databases` in redis.conf).
        now_ms: the node's clock, milliseconds since the epoch.
        random: the node's random source.
    """

    def __init__(self, databases: int, now_ms: Callable[[], int], random: Random) -> None:
        self.now_ms = now_ms
        self.random = random
        self.limits = EncodingLimits()
        # Counted since the last save; a command that changes nothing leaves it alone, which is how
        # the server knows whether there is anything to replicate.
        self.dirty = 0
        self.hits = 0
        self.misses = 0
        self.expired_keys = 0
        # Whether anybody is told what commands change: replicas, the append-only file.
        self.propagating = False
        # A replica never expires a key by itself: it waits for its master's DEL, and meanwhile
        # answers as if the key were gone.
        self.expires_by_itself = True
        # Told of a change: (database, event, key). Set by the server while somebody listens.
        self.observers: list[Callable[[Keyspace, bytes, bytes], None]] = []
        # Told of a key removed because its time had come, so that a DEL can be sent on.
        self.on_expired: Callable[[Keyspace, bytes], None] | None = None
        # Keys that blocked clients wait for and that have just received data, in order.
        self.ready: dict[tuple[int, bytes], None] = {}
        self.databases = [Keyspace(self, index) for index in range(databases)]


class Keyspace:
    """One numbered database of an engine."""

    __slots__ = ("awaited", "engine", "expires", "index", "values")

    def __init__(self, engine: Engine, index: int) -> None:
        self.engine = engine
        self.index = index
        self.values: dict[bytes, Any] = {}
        self.expires: dict[bytes, int] = {}  # milliseconds since the epoch
        # How many clients are blocked on each key.
        self.awaited: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.values)

    # -- reading -------------------------------------------------------------------------------

    def lookup(self, key: bytes) -> Any:
        """The value of a key, or None. Use it to write, or where no statistics are kept."""
        if key in self.expires and self.expire_if_due(key):
            return None
        return self.values.get(key)

    def lookup_read(self, key: bytes) -> Any:
        """The value of a key, or None, counted as a hit or a miss in `INFO stats`."""
        value = self.lookup(key)
        if value is None:
            self.engine.misses += 1
        else:
            self.engine.hits += 1
        return value

    def typed(self, key: bytes, kind: type[V]) -> V | None:
        """The value of a key if it is of this type, None if there is none.

        Raises:
            CommandError: WRONGTYPE, when the key holds another type.
        """
        value = self.lookup(key)
        if value is None or type(value) is kind:
            return value
        raise wrong_type()

    def typed_read(self, key: bytes, kind: type[V]) -> V | None:
        """`typed`, counted as a hit or a miss."""
        value = self.lookup_read(key)
        if value is None or type(value) is kind:
            return value
        raise wrong_type()

    def string(self, key: bytes) -> bytes | bytearray | None:
        """The string at a key, or None; WRONGTYPE for another type."""
        value = self.lookup(key)
        if value is None or type(value) is bytes or type(value) is bytearray:
            return value
        raise wrong_type()

    def string_read(self, key: bytes) -> bytes | bytearray | None:
        """`string`, counted as a hit or a miss."""
        value = self.lookup_read(key)
        if value is None or type(value) is bytes or type(value) is bytearray:
            return value
        raise wrong_type()

    def keys(self) -> Iterator[bytes]:
        """Every key whose time has not come, in insertion order."""
        now = self.engine.now_ms()
        expires = self.expires
        return (key for key in self.values if expires.get(key, now) >= now)

    def exists(self, key: bytes) -> bool:
        """Whether there is such a key now."""
        return self.lookup(key) is not None

    # -- writing -------------------------------------------------------------------------------

    def put(self, key: bytes, value: Any) -> None:
        """Set a key to a value and forget its expiry, as SET does. Report with `changed`."""
        self.values[key] = value
        if self.expires:
            self.expires.pop(key, None)

    def list_for_write(self, key: bytes) -> ListValue:
        """The list at a key, made if there is none."""
        value = self.typed(key, ListValue)
        if value is None:
            value = self.values[key] = ListValue()
        return value

    def hash_for_write(self, key: bytes) -> HashValue:
        """The hash at a key, made if there is none."""
        value = self.typed(key, HashValue)
        if value is None:
            value = self.values[key] = HashValue()
        return value

    def set_for_write(self, key: bytes) -> SetValue:
        """The set at a key, made if there is none."""
        value = self.typed(key, SetValue)
        if value is None:
            value = self.values[key] = SetValue()
        return value

    def sorted_set_for_write(self, key: bytes) -> SortedSetValue:
        """The sorted set at a key, made if there is none."""
        value = self.typed(key, SortedSetValue)
        if value is None:
            value = self.values[key] = SortedSetValue()
        return value

    def remove(self, key: bytes) -> bool:
        """Delete a key; tell whether it was there. Report with `changed(key, b"del")`."""
        self.expires.pop(key, None)
        return self.values.pop(key, None) is not None

    def remove_if_empty(self, key: bytes) -> None:
        """Delete a key whose collection has lost its last element, and report the `del`."""
        value = self.values.get(key)
        if value is not None and type(value) is not bytes and not value:
            self.remove(key)
            self.changed(key, b"del", 0)

    def changed(self, key: bytes, event: bytes, count: int = 1) -> None:
        """Report a change: a keyspace event by name, and how many changes it is for `dirty`."""
        engine = self.engine
        engine.dirty += count
        if engine.observers:
            for observer in engine.observers:
                observer(self, event, key)

    def signal_ready(self, key: bytes) -> None:
        """A key received elements: remember it if blocked clients wait for it."""
        if key in self.awaited:
            self.engine.ready[self.index, key] = None

    def clear(self) -> int:
        """Remove every key; return how many there were."""
        count = len(self.values)
        self.values.clear()
        self.expires.clear()
        return count

    # -- expiry --------------------------------------------------------------------------------

    def set_expiry(self, key: bytes, at_ms: int) -> None:
        """Let an existing key expire at a time in milliseconds since the epoch."""
        self.expires[key] = at_ms

    def expire_if_due(self, key: bytes) -> bool:
        """Whether the key's time has come; it is removed then, except on a replica."""
        at = self.expires.get(key)
        if at is None or at >= self.engine.now_ms():
            return False
        if self.engine.expires_by_itself:
            self.remove_expired(key)
        return True

    def remove_expired(self, key: bytes) -> None:
        """Remove a key whose time has come, and tell everybody."""
        engine = self.engine
        self.remove(key)
        engine.expired_keys += 1
        self.changed(key, b"expired", 0)
        if engine.on_expired is not None:
            engine.on_expired(self, key)
