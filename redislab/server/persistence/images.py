"""Images of a node's data as files, and data taken from such files.

An image begins with the moment at which it is made, whatever is changed while it is written. It is
written as RDB, or, for a base of the append-only file with `aof-use-rdb-preamble no`, as the
commands that make the data. Follows `rdbSaveInfoAuxFields` and `rdbLoadRio` in `src/rdb.c` and
`rewriteAppendOnlyFileRio` in `src/aof.c` of Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import TYPE_CHECKING, Any

from redislab.engine import fake
from redislab.engine.errors import CommandError
from redislab.engine.values import HashValue, ListValue, SetValue, SortedSetValue
from redislab.server.persistence.rebuild import key_commands, library_command
from redislab.server.persistence.records import select, timestamp
from redislab.wire.rdb import writer
from redislab.wire.rdb.faults import RdbError, duplicated_key, shown
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.reader import RdbReader
from redislab.wire.rdb.strings import string

if TYPE_CHECKING:
    from redislab.server.node import Node

_EMPTY_KEYS_TOLD = 10


class DataImage:
    """The data of a node at one moment.

    Args:
        node: the node.
        form: "rdb", or "commands".
        is_base: it is the base of an append-only file.
    """

    def __init__(self, node: Node, form: str, *, is_base: bool) -> None:
        self.node = node
        self.form = form
        self.keys_done = self.copied_bytes = 0
        self.keys_total = sum(map(len, node.engine.databases))
        self.libraries = node.scripts.libraries.sources()
        self.facts = node.image_facts() | {"aof-base": int(is_base)}
        self.now = int(node.environment.unix_time())
        self._databases: list[tuple[int, list[tuple[bytes, Any, int | None]]]] = [
            (
                database.index,
                [(key, copied(value), database.expires.get(key)) for key, value in values.items()],
            )
            for database in node.engine.databases
            if (values := database.values)
        ]

    def __iter__(self) -> Iterator[bytes]:
        """The file in pieces."""
        if self.form == "rdb":
            return writer.in_chunks(self._rdb(), checksum=self.node.config.rdbchecksum)
        return self._commands()

    def close(self) -> None:
        """Let go of the data."""
        self._databases = []

    def _rdb(self) -> Iterator[bytes]:
        yield writer.header()
        for name, fact in self.facts.items():
            yield writer.aux(name.encode(), str(fact).encode())
        for index, items in self._databases:
            expiring = sum(expires is not None for _, _, expires in items)
            yield writer.database_head(index, len(items), expiring)
            for key, value, expires in items:
                self.keys_done += 1
                yield from _rdb_key(key, value, expires)

    def _commands(self) -> Iterator[bytes]:
        if self.node.config.aof_timestamp_enabled:
            yield timestamp(self.now)
        for source in self.libraries:
            yield library_command(source)
        for index, items in self._databases:
            yield select(index)
            for key, value, expires in items:
                self.keys_done += 1
                yield from key_commands(key, value, expires)


def copied(value: Any) -> Any:
    """A value that nobody changes."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, fake.Stream):
        return fake.duplicate(value)
    if isinstance(value, HashValue):
        return HashValue(value)
    return value.copy() if hasattr(value, "copy") else copy(value)


def _rdb_key(key: bytes, value: Any, expires: int | None) -> Iterator[bytes]:
    body: Iterator[bytes]
    if isinstance(value, bytes | bytearray):
        kind, body = Type.STRING, iter([string(bytes(value))])
    elif isinstance(value, ListValue):
        kind, body = Type.LIST, writer.write_elements(value)
    elif isinstance(value, SetValue):
        kind, body = Type.SET, writer.write_elements(value.members)
    elif isinstance(value, HashValue):
        kind, body = Type.HASH, writer.write_pairs(value.items())
    elif isinstance(value, SortedSetValue):
        kind, body = Type.ZSET_2, writer.write_scores(value.order)
    else:
        return
    yield writer.key_head(kind, key, expires, None, None)
    yield from body


def rdb_image(node: Node) -> DataImage:
    """The data as an RDB file."""
    return DataImage(node, "rdb", is_base=False)


def base_image(node: Node) -> DataImage:
    """The data as a base of the append-only file."""
    form = "rdb" if node.config.aof_use_rdb_preamble else "commands"
    return DataImage(node, form, is_base=True)


class DataSink:
    """Takes the data from a file that is read.

    Args:
        node: whose data they become.
        keep_expired: take keys whose time has come, too.
        merge: let them replace what is there.

    Attributes:
        keys, expired: how many keys were taken, and how many left, for their time had come.
        used_memory: what the file says that the data took in memory.
    """

    def __init__(self, node: Node, *, keep_expired: bool, merge: bool) -> None:
        self.node = node
        self.keys = self.expired = self.used_memory = 0
        self._keep_expired = keep_expired
        self._merge = merge
        self._empty_keys = 0
        self._now_ms = node.now_ms()
        self._database = node.engine.databases[0]

    def select(self, database: int) -> None:
        """The keys that follow belong to this database."""
        self._database = self.node.engine.databases[database]

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
        if expires_ms is not None and expires_ms < self._now_ms and not self._keep_expired:
            self.expired += 1
            return
        database = self._database
        if key in database.values:
            if not self._merge:
                raise duplicated_key(key, database.index)
            database.remove(key)
        self.keys += 1
        database.values[key] = self._value(kind, value)
        if expires_ms is not None:
            database.expires[key] = expires_ms

    def _value(self, kind: int, value: Any) -> Any:
        limits = self.node.engine.limits
        if isinstance(value, bytes):
            return value
        if isinstance(value, list):
            return ListValue(value)
        if kind in {Type.SET, Type.SET_INTSET}:
            made = SetValue()
            for member in value:
                made.add(member, limits)
            return made
        if kind in {Type.ZSET, Type.ZSET_2, Type.ZSET_ZIPLIST, Type.ZSET_LISTPACK}:
            scored = SortedSetValue()
            for member, score in value.items():
                scored.put(member, score, limits)
            return scored
        pairs = HashValue(value)
        pairs.fit(limits, *(text for pair in pairs.items() for text in pair))
        return pairs

    def empty(self, key: bytes) -> None:
        """A key whose value has no elements."""
        self._empty_keys += 1
        if self._empty_keys <= _EMPTY_KEYS_TOLD:
            self.node.log.warning(f"rdbLoadObject skipping empty key: {shown(key)}")

    def aux(self, name: bytes, value: bytes) -> None:
        """A fact about the file: the log tells most of them."""
        log = self.node.log
        match name.lower():
            case b"redis-ver":
                log.notice(f"Loading RDB produced by version {shown(value)}")
            case b"ctime":
                age = int(self.node.environment.unix_time()) - _number(value)
                log.notice(f"RDB age {max(age, 0)} seconds")
            case b"used-mem":
                self.used_memory = _number(value)
                log.notice(f"RDB memory usage when created {self.used_memory / 2**20:.2f} Mb")
            case b"aof-preamble" if _number(value):
                log.notice("RDB has an AOF tail")
            case b"aof-base" if _number(value):
                log.notice("RDB is base AOF")
            case _ if name.startswith(b"%"):
                log.notice(f"RDB '{shown(name)}': {shown(value)}")

    def resize(self, keys: int, expiring: int) -> None:
        """How many keys follow: nothing has to be prepared for them here."""

    def library(self, source: bytes) -> str | None:
        """A library of functions; returns why it does not load, or None."""
        try:
            self.node.scripts.libraries.load(source, replace=self._merge)
        except CommandError as failed:
            return failed.message.removeprefix("ERR ")
        return None

    def tell_end(self, *, unchecked: bool) -> None:
        """All is read: the log tells how much it was."""
        log = self.node.log
        if unchecked and self.node.config.rdbchecksum:
            log.warning("RDB file was saved with checksum disabled: no check performed.")
        what = f"Done loading RDB, keys loaded: {self.keys}, keys expired: {self.expired}"
        if self._empty_keys:
            log.warning(f"{what}, empty keys skipped: {self._empty_keys}.")
        else:
            log.notice(f"{what}.")


def tell_damage(node: Node, name: str, reader: RdbReader, damage: RdbError) -> None:
    """Log what is wrong with a file."""
    node.log.warning(f"{damage} in {name} after {reader.offset} bytes")


def _number(text: bytes) -> int:
    """A number that a fact tells; 0 if it is none."""
    try:
        return int(text)
    except ValueError:
        return 0
