"""The data of an engine at one moment, to be written while commands go on changing them.

Redis forks for this. Here a snapshot begins as a copy of the dictionary of values, not of the
values; when a key was to expire is put aside where that changes (`expires.py`). Plain strings never
change. Any other value is copied when a command looks it up (`Keyspace.lookup`) for the first time
since, because the command may change it in place; and when it is handed out for writing, because
the writer may take its time. So the engine stops for a moment at the start, and later at most for
the copy of one value, whose elements are not copied.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any, NamedTuple

from redislab.engine import fake
from redislab.engine.keyspace import Engine, Keyspace
from redislab.engine.values import HashValue, ListValue, SetValue, SortedSetValue

# A snapshot of so many keys is worth keeping from the collector.
_ASIDE_KEYS = 10_000


class SavedKey(NamedTuple):
    """A key as it was.

    The value is one of ours, and nobody changes it; it is good for reading it from its beginning to
    its end, and for nothing else.
    """

    key: bytes
    value: Any
    expires_ms: int | None


class DatabaseSnapshot:
    """One database of a snapshot.

    Attributes:
        database: the database; by now it may have other data.
        keys, expiring: how many keys there were, and how many of them expire.
    """

    __slots__ = ("_copied", "_expires", "_values", "database", "expiring", "keys")

    def __init__(self, database: Keyspace, copied: Copied) -> None:
        self.database = database
        self._values = dict(database.values)
        self._expires = database.expires.keep()
        self.keys, self.expiring = len(self._values), self._expires.count
        self._copied = copied

    def preserve(self, key: bytes, value: Any) -> None:
        """A value may be changed from now on: copy it, if it has yet to be written."""
        if value is not None and self._values.get(key) is value:
            self._values[key] = _Kept(frozen(value))
            self._copied.note(value)

    def entries(self) -> Iterator[SavedKey]:
        """Every key, in the order in which they were added; to be taken once."""
        values, expires = self._values, self._expires
        for key in values:
            value = values[key]
            values[key] = None  # it needs no keeping any more
            value = value.value if type(value) is _Kept else frozen(value)
            yield SavedKey(key, value, expires.get(key))
            self._copied.keys_done += 1
        values.clear()
        self.close()

    def close(self) -> None:
        """Let what changes go unheeded: there are no more entries. May be called again."""
        self._expires.close()


class _Kept:
    """A value that was copied before its turn."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Copied:
    """What a snapshot has had to copy, and how far it is.

    Attributes:
        keys_done: how many keys have been handed out.
        size: about how much was copied because somebody wanted to use it, in bytes.
    """

    __slots__ = ("keys_done", "size")

    def __init__(self) -> None:
        self.keys_done = self.size = 0

    def note(self, value: Any) -> None:
        """A value was copied: of its elements only the references are new."""
        self.size += len(value) * (1 if type(value) is bytearray else 8)


class Snapshot:
    """The data of an engine as they are now.

    Let go of it with `close`: until then every value that is used for the first time is copied.

    Attributes:
        databases: those that are not empty.
        keys_total: how many keys there are in all.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._copied = Copied()
        self.databases = [
            DatabaseSnapshot(database, self._copied)
            for database in engine.databases
            if database.values
        ]
        self.keys_total = sum(part.keys for part in self.databases)
        for part in self.databases:
            part.database.snapshots = (*(part.database.snapshots or ()), part)
        self._aside = _Aside(self.keys_total)

    @property
    def keys_done(self) -> int:
        """How many keys have been handed out."""
        return self._copied.keys_done

    @property
    def copied_bytes(self) -> int:
        """About how much was copied because commands came to use it."""
        return self._copied.size

    def close(self) -> None:
        """Let go of the data. May be called again."""
        self._aside.end()
        for part in self.databases:
            part.close()
        mine, self.databases = set(map(id, self.databases)), []
        for database in self._engine.databases if mine else ():
            kept = tuple(part for part in database.snapshots or () if id(part) not in mine)
            database.snapshots = kept or None

    def __del__(self) -> None:
        self.close()


class _Aside:
    """Keeps Python's collector from what there is now, until `end`.

    The collector looks through new objects every now and then, and the long lists of a snapshot are
    new: each time that would take as long as making them. Few keys are left to it: the end puts all
    garbage among the oldest objects, uncounted, so in a process that takes many small snapshots the
    collector would never look at those again.
    """

    count = 0

    def __init__(self, keys: int) -> None:
        self._is_open = keys >= _ASIDE_KEYS
        if self._is_open:
            _Aside.count += 1
            gc.freeze()

    def end(self) -> None:
        """Leave everything to the collector again. May be called again."""
        if self._is_open:
            self._is_open = False
            _Aside.count -= 1
            if not _Aside.count:
                gc.unfreeze()


def frozen(value: Any) -> Any:
    """A value that nobody changes; what is immutable is its own copy."""
    kind = type(value)
    if kind is bytes:
        return value
    if kind is bytearray:
        return bytes(value)
    if kind is HashValue:
        pairs = HashValue(value)
        pairs.packed = value.packed
        return pairs
    if kind is ListValue:
        return ListValue(value)
    if kind is SetValue:
        return value.copy()
    if kind is SortedSetValue:
        members = SortedSetValue()
        members.packed = value.packed
        members.scores = value.scores.copy()
        members.order = list(value.order)  # quicker than a SortedList, and as good to read
        return members
    return fake.duplicate(value)
