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
from typing import Any, Protocol, TypeVar

from redislab.engine.errors import wrong_type
from redislab.engine.expires import Expires
from redislab.engine.uses import Uses
from redislab.engine.values import (
    EncodingLimits,
    HashValue,
    ListValue,
    SetValue,
    SortedSetValue,
    type_names,
)
from redislab.wire.rdb.strings import Compress

V = TypeVar("V")

_WAITED_FOR = frozenset({b"list", b"zset", b"stream"})  # no client waits for a key of other types
# The event of a change that comes of replacing a whole database: FLUSHALL, SWAPDB.
REPLACED = b"\0replaced"


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
        # Directives of redis.conf that data commands look at.
        self.proto_max_bulk_len = 512 * 1024 * 1024
        self.maxmemory = 0
        self.maxmemory_policy = "noeviction"
        # Compresses the strings in RDB files and in what DUMP answers, as LZF does.
        self.compress: Compress | None = None
        # Counted since the last save; a command that changes nothing leaves it alone, which is how
        # the server knows whether there is anything to replicate.
        self.dirty = 0
        self.saved_changes = 0  # what was taken from `dirty` by saves
        # The orders in which SCAN walks through dictionaries, by their identity: a cache.
        self.scan_indexes: dict[int, Any] = {}
        self.hits = 0
        self.misses = 0
        self.expired_keys = 0
        # Of the active expire cycle: the database to look at next, and what INFO tells of it.
        self.next_expiring = 0
        self.expired_stale_fraction = 0.0
        self.expired_time_cap_reached = 0
        # Whether anybody is told what commands change: replicas, the append-only file.
        self.propagating = False
        # A replica never expires a key by itself: it waits for its master's DEL, and meanwhile
        # answers as if the key were gone.
        self.expires_by_itself = True
        # Data are being loaded: nothing has expired before all of them are there.
        self.loading = False
        # While a master's stream is applied, a key is there until the master deletes it.
        self.obeys_master = False
        # A replica that clients may write to: their commands must not find what has expired.
        self.is_writable_replica = False
        # The keys that its clients have let expire, by database and key: no master deletes them.
        self.own_expiring: dict[tuple[int, bytes], None] = {}
        # Told of a change: (database, event, key). Set by the server while somebody listens.
        self.observers: list[Callable[[Keyspace, bytes, bytes], None]] = []
        # Told, as observers are, of changes that touch no watched key (`Keyspace.announce`).
        self.on_event: Callable[[Keyspace, bytes, bytes], None] | None = None
        # Told of a key removed because its time had come, so that a DEL can be sent on.
        self.on_expired: Callable[[Keyspace, bytes], None] | None = None
        # Told of a key that was looked for to be read, and is not there (keymiss).
        self.on_missed: Callable[[Keyspace, bytes], None] | None = None
        # Told when all keys of a database, or of all of them, are deleted at once.
        self.on_flushed: Callable[[], None] | None = None
        # Told after that when FLUSHALL has done so.
        self.on_emptied: Callable[[], None] | None = None
        # Keys that blocked clients wait for and that have just received data, in order.
        self.ready: dict[tuple[int, bytes], None] = {}
        self.databases = [Keyspace(self, index) for index in range(databases)]
        self.uses = Uses(self)

    @property
    def must_obey(self) -> bool:
        """Whether the commands that run now ran elsewhere before, with another node's limits."""
        return self.obeys_master or self.loading

    def saved(self, changes: int) -> None:
        """A save has put this many of the changes counted in `dirty` on disk."""
        self.dirty -= changes
        self.saved_changes += changes


class ToldValues(dict[bytes, Any]):
    """The values of a database, telling of every key that is added.

    It costs time at every write, so a database has one only while somebody listens.
    """

    __slots__ = ("database", "on_new")

    def __init__(self, database: Keyspace, on_new: Callable[[Keyspace, bytes], None]) -> None:
        super().__init__(database.values)
        self.database = database
        self.on_new = on_new

    def __setitem__(self, key: bytes, value: Any) -> None:
        is_new = key not in self
        super().__setitem__(key, value)
        if is_new:
            self.on_new(self.database, key)


class Preserving(Protocol):
    """Keeps what the data were (`snapshot.py`)."""

    def preserve(self, key: bytes, value: Any) -> None:
        """A value that can be changed in place is about to be used."""


class Keyspace:
    """One numbered database of an engine."""

    __slots__ = (
        "accessed",
        "average_ttl_ms",
        "awaited",
        "engine",
        "expires",
        "index",
        "snapshots",
        "to_sample",
        "values",
    )

    def __init__(self, engine: Engine, index: int) -> None:
        self.engine = engine
        self.index = index
        self.values: dict[bytes, Any] = {}
        self.expires = Expires()
        # Keys with an expiry that the active expire cycle has yet to look at in this round.
        self.to_sample: list[bytes] = []
        self.average_ttl_ms = 0
        # The last uses of each key (`uses.py`), while they are remembered.
        self.accessed: dict[bytes, int] | None = None
        # How many clients are blocked on each key.
        self.awaited: dict[bytes, int] = {}
        # The snapshots that are being written of these values, or None.
        self.snapshots: tuple[Preserving, ...] | None = None

    def __len__(self) -> int:
        return len(self.values)

    # -- reading -------------------------------------------------------------------------------

    def lookup(self, key: bytes) -> Any:
        """The value of a key, or None. Use it to write, or where no statistics are kept."""
        if key in self.expires and self.expire_if_due(key, to_write=True):
            return None
        return self._used(key)

    def _used(self, key: bytes) -> Any:
        value = self.values.get(key)
        if self.accessed is not None and value is not None:
            self.accessed[key] = self.engine.uses.used(self.accessed.get(key))
        if self.snapshots is not None and type(value) is not bytes:
            for snapshot in self.snapshots:
                snapshot.preserve(key, value)
        return value

    def peek(self, key: bytes) -> Any:
        """The value of a key, or None, without counting as a use of it (LOOKUP_NOTOUCH)."""
        if key in self.expires and self.expire_if_due(key):
            return None
        return self.values.get(key)

    def peek_read(self, key: bytes) -> Any:
        """`peek`, counted as a hit or a miss."""
        value = self.peek(key)
        if value is None:
            self.missed(key)
        else:
            self.engine.hits += 1
        return value

    def inspect(self, key: bytes) -> Any:
        """`peek_read` without a word of a miss to anybody, as OBJECT looks (LOOKUP_NONOTIFY)."""
        value = self.peek(key)
        if value is None:
            self.engine.misses += 1
        else:
            self.engine.hits += 1
        return value

    def missed(self, key: bytes) -> None:
        """A command has looked for a key to read, and there is none."""
        engine = self.engine
        engine.misses += 1
        if engine.on_missed is not None:
            engine.on_missed(self, key)

    def lookup_read(self, key: bytes) -> Any:
        """The value of a key, or None, counted as a hit or a miss in `INFO stats`."""
        is_gone = key in self.expires and self.expire_if_due(key)
        value = None if is_gone else self._used(key)
        if value is None:
            self.missed(key)
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
        """Set a key to a value and forget its expiry, as SET does. Report with `changed`.

        A key whose time has come is first removed as expired. Clients that wait for the key are
        served if it is new. As in Redis they are not where it replaces another value, one of a
        type they cannot use.
        """
        self.expire_if_due(key, to_write=True)
        is_new = key not in self.values
        self.signal_gone(key)
        self.values[key] = value
        if is_new:
            self.signal_ready(key)
        if self.expires:
            self.expires.pop(key, None)

    def list_for_write(self, key: bytes) -> ListValue:
        """The list at a key, made if there is none: clients that wait for it will be served."""
        value = self.typed(key, ListValue)
        if value is None:
            value = self.values[key] = ListValue()
            self.signal_ready(key)
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
        """The sorted set at a key, made if there is none: clients waiting for it will be served."""
        value = self.typed(key, SortedSetValue)
        if value is None:
            value = self.values[key] = SortedSetValue()
            self.signal_ready(key)
        return value

    def remove(self, key: bytes) -> bool:
        """Delete a key; tell whether it was there. Report with `changed(key, b"del")`."""
        self.expires.pop(key, None)
        if self.accessed is not None:
            self.accessed.pop(key, None)
        self.signal_gone(key)
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
            self.tell(key, event)

    def tell(self, key: bytes, event: bytes) -> None:
        """Tell the observers of a change that is counted already."""
        for observer in self.engine.observers:
            observer(self, event, key)

    def announce(self, key: bytes, event: bytes, count: int = 1) -> None:
        """Report a change that has an event but does not concern who watches the key.

        Redis does so for what happens to the groups of a stream.
        """
        engine = self.engine
        engine.dirty += count
        if engine.on_event is not None:
            engine.on_event(self, event, key)

    def touched(self, key: bytes, count: int = 1) -> None:
        """Report a change that has no keyspace event; observers get an empty event name."""
        self.changed(key, b"", count)

    def signal_ready(self, key: bytes) -> None:
        """A key received elements: remember it if blocked clients wait for it."""
        if key in self.awaited and type_names.get(type(self.values.get(key))) in _WAITED_FOR:
            self.engine.ready[self.index, key] = None

    def signal_gone(self, key: bytes) -> None:
        """A key is about to be removed or replaced: who reads a stream in a group is told so."""
        if key in self.awaited and type_names.get(type(self.values.get(key))) == b"stream":
            self.engine.ready[self.index, key] = None

    def clear(self) -> int:
        """Remove every key; return how many there were."""
        count = len(self.values)
        if self.engine.observers:
            for key in list(self.values):
                self.changed(key, REPLACED, 0)
        for key in self.awaited:
            self.signal_gone(key)
        self.values.clear()
        self.engine.scan_indexes.clear()
        self.expires.clear()
        if self.accessed is not None:
            self.accessed.clear()
        self.to_sample.clear()
        self.average_ttl_ms = 0
        return count

    def swap(self, other: Keyspace) -> None:
        """Exchange the contents of two databases; the clients of each see the other's keys."""
        if self.engine.observers:
            for database in (self, other):
                for key in {**self.values, **other.values}:
                    database.changed(key, REPLACED, 0)
        self.values, other.values = other.values, self.values
        for database in (self, other):
            if isinstance(database.values, ToldValues):
                database.values.database = database
        self.expires, other.expires = other.expires, self.expires
        self.snapshots, other.snapshots = other.snapshots, self.snapshots
        self.accessed, other.accessed = other.accessed, self.accessed
        self.to_sample, other.to_sample = other.to_sample, self.to_sample
        self.average_ttl_ms, other.average_ttl_ms = other.average_ttl_ms, self.average_ttl_ms
        for database in (self, other):
            for key in database.awaited:
                database.signal_ready(key)

    def tell_new(self, on_new: Callable[[Keyspace, bytes], None] | None) -> None:
        """Call this from now on with every key that is added; None for nobody."""
        self.values = dict(self.values) if on_new is None else ToldValues(self, on_new)

    # -- expiry --------------------------------------------------------------------------------

    def set_expiry(self, key: bytes, at_ms: int) -> None:
        """Let an existing key expire at a time in milliseconds since the epoch."""
        self.expires[key] = at_ms
        if self.engine.is_writable_replica and not self.engine.obeys_master:
            self.engine.own_expiring[self.index, key] = None

    def expire_if_due(self, key: bytes, *, to_write: bool = False) -> bool:
        """Whether the key's time has come; it is removed then, except on a replica.

        A replica that clients may write to removes it as well where one is about to (`to_write`).
        """
        at = self.expires.get(key)
        engine = self.engine
        if at is None or at >= engine.now_ms() or engine.loading:
            return False
        if engine.obeys_master:
            return False
        if engine.expires_by_itself or (to_write and engine.is_writable_replica):
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
