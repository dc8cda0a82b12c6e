"""An RDB file into an engine (`rdbLoadRioWithLoadingCtx` in `src/rdb.c` of Redis 7.0).

Nobody is told of the keys that come so: no keyspace events, no clients that wait for them.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from redislab.engine.keyspace import Engine, Keyspace
from redislab.engine.rdbquick import parsers
from redislab.engine.rdbvalues import decode
from redislab.wire.rdb.faults import RdbError, duplicated_key
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.reader import RdbReader
from redislab.wire.rdb.report import leading_integer

REPLICATION_ID_BYTES = 40
assert not Type.STRING


class RdbLoader:
    """Reads a file that comes in pieces; how long one takes is decided by its size.

    Args:
        engine: where the keys go; it may have others.
        keep_expired: take keys whose time has come too, as a replica does, and the reader of an
            append-only file; else they are left out.
        replace: let a key of the file take the place of one with its name; else that is a fault.
        checksum: verify the checksum (`rdbchecksum`).
        on_library: is given the source of each library of functions; returns why it does not load,
            or None. Without it they are kept in `libraries`.
        on_aux: is told each fact about the file.
        on_empty: is told each key whose value has no elements, which is left out.
        on_expired: is told each key that is left out because its time has come.

    Attributes:
        parsers: what reads values that have come whole.
        reader: tells how far it is, and what comes behind the end.
        expired, empty_keys: how many keys were left out.
        facts: the facts about the file.
        libraries: sources of libraries of functions.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keep_expired: bool,
        replace: bool = False,
        checksum: bool = True,
        on_library: Callable[[bytes], str | None] | None = None,
        on_aux: Callable[[bytes, bytes], None] | None = None,
        on_empty: Callable[[bytes], None] | None = None,
        on_expired: Callable[[Keyspace, bytes], None] | None = None,
    ) -> None:
        self.engine = engine
        self.expired = self.empty_keys = 0
        self.facts: dict[bytes, bytes] = {}
        self.libraries: list[bytes] = []
        self.parsers = parsers(engine.limits)
        self.reader = RdbReader(self, checksum=checksum, databases=len(engine.databases), bulk=self)
        self._collector: _CollectorPause | None = None
        self._replace = replace
        self._on_library = on_library
        self._on_aux = on_aux
        self._on_empty = on_empty
        self._on_expired = on_expired
        # Keys that expire before this are left out.
        self._oldest_ms = None if keep_expired else engine.now_ms()
        self.select(0)

    def feed(self, data: bytes) -> None:
        """Read some more bytes.

        Raises:
            RdbError: they are damaged. What was read before stays in the engine.
        """
        if self._collector is None and not self.reader.done:
            self._collector = _CollectorPause()
        try:
            self.reader.feed(data)
        except RdbError:
            self._collector = None
            raise
        if self.reader.done:
            self._collector = None

    def finish(self) -> None:
        """No more bytes will come.

        Raises:
            RdbError: the file is not at its end.
        """
        self._collector = None
        self.reader.finish()

    @property
    def loaded(self) -> int:
        """How many keys were taken."""
        return self.reader.progress.keys - self.expired - self.empty_keys

    @property
    def stream_database(self) -> int:
        """The database that the master's stream was in when the file was made."""
        return max(leading_integer(self.facts.get(b"repl-stream-db", b"0")), 0)

    @property
    def replication(self) -> tuple[str, int] | None:
        """The replication id and offset that the data belong to, if the file tells them."""
        name = self.facts.get(b"repl-id", b"")
        if len(name) != REPLICATION_ID_BYTES:
            return None
        return name.decode("latin-1"), leading_integer(self.facts.get(b"repl-offset", b"-1"))

    # -- what the reader tells -------------------------------------------------------------------

    def select(self, database: int) -> None:
        """The keys that follow belong to this database."""
        self._database = self.engine.databases[database]

    def key(
        self,
        key: bytes,
        kind: int,
        value: Any,
        expires_ms: int | None = None,
        idle_s: int | None = None,
        frequency: int | None = None,
    ) -> None:
        """A key with its value."""
        database = self._database
        if expires_ms is not None and self._oldest_ms is not None and expires_ms < self._oldest_ms:
            self.expired += 1
            if self._on_expired is not None:
                self._on_expired(database, key)
            return
        values = database.values
        if key in values:
            if not self._replace:
                raise duplicated_key(key, database.index)
            database.remove(key)
        if kind:  # no string
            value = decode(kind, value, self.engine.limits)
        if type(values) is dict:
            values[key] = value
        else:
            dict.__setitem__(values, key, value)  # nobody is told that it is new
        if expires_ms is not None:
            database.set_expiry(key, expires_ms)
        if idle_s is not None or frequency is not None:
            self.engine.uses.restore(database, key, idle_s, frequency)

    def take(self, values: dict[bytes, Any], expires: dict[bytes, int]) -> bool:
        """Many keys with our values; False if one of them is there already."""
        database = self._database
        there = database.values
        if not there.keys().isdisjoint(values):
            return False
        oldest_ms = self._oldest_ms
        if expires and oldest_ms is not None and min(expires.values()) < oldest_ms:
            for key in [key for key, at_ms in expires.items() if at_ms < oldest_ms]:
                del values[key], expires[key]
                self.expired += 1
                if self._on_expired is not None:
                    self._on_expired(database, key)
        dict.update(there, values)  # nobody is told that they are new
        for key, at_ms in expires.items():
            database.set_expiry(key, at_ms)
        return True

    def empty(self, key: bytes) -> None:
        """A key whose value has no elements."""
        self.empty_keys += 1
        if self._on_empty is not None:
            self._on_empty(key)

    def aux(self, name: bytes, value: bytes) -> None:
        """A fact about the file."""
        self.facts[name.lower()] = value
        if self._on_aux is not None:
            self._on_aux(name, value)

    def resize(self, keys: int, expiring: int) -> None:
        """How many keys follow: nothing has to be prepared for them here."""

    def library(self, source: bytes) -> str | None:
        """A library of functions."""
        if self._on_library is not None:
            return self._on_library(source)
        self.libraries.append(source)
        return None


class _CollectorPause:
    """Keeps Python from looking for garbage, until it is let go.

    All that a load makes is kept, and nothing of it is garbage. Left alone, Python would look
    through the data over and over while they grow: a quarter of the time of a load and more.
    """

    pauses = 0
    was_enabled = False

    def __init__(self) -> None:
        kind = _CollectorPause
        if not kind.pauses:
            kind.was_enabled = gc.isenabled()
            gc.disable()
        kind.pauses += 1

    def __del__(self) -> None:
        kind = _CollectorPause
        kind.pauses -= 1
        if not kind.pauses and kind.was_enabled:
            gc.enable()
