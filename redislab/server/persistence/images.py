"""Images of a node's data as files, and data taken from such files.

An image begins with the moment at which it is made, whatever is changed while it is written. It is
written as RDB, or, for a base of the append-only file with `aof-use-rdb-preamble no`, as the
commands that make the data. Follows `rdbSaveInfoAuxFields` and `rdbLoadRio` in `src/rdb.c` and
`rewriteAppendOnlyFileRio` in `src/aof.c` of Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from redislab.engine.errors import CommandError
from redislab.engine.rdbvalues import decode, encode
from redislab.engine.snapshot import Snapshot
from redislab.server.persistence.rebuild import key_commands, library_command
from redislab.server.persistence.records import select, timestamp
from redislab.wire.rdb import report, writer
from redislab.wire.rdb.faults import Ending, RdbError, duplicated_key, shown
from redislab.wire.rdb.libraries import write_library
from redislab.wire.rdb.reader import RdbReader

if TYPE_CHECKING:
    from redislab.server.node import Node

_EMPTY_KEYS_TOLD = 10


class DataImage:
    """The data of a node at one moment, as a file.

    Args:
        node: the node.
        facts: what an RDB file is to say of itself (its aux fields).
        as_commands: write commands, not RDB.
    """

    def __init__(self, node: Node, facts: dict[str, object], *, as_commands: bool = False) -> None:
        self._snapshot = Snapshot(node.engine)
        self._libraries = node.scripts.libraries.sources()
        self._facts = facts
        self._as_commands = as_commands
        self._checksum = node.config.rdbchecksum
        self._timestamp = None
        if as_commands and node.config.aof_timestamp_enabled:
            self._timestamp = int(node.environment.unix_time())

    @property
    def keys_total(self) -> int:
        """How many keys there are."""
        return self._snapshot.keys_total

    @property
    def keys_done(self) -> int:
        """How many have been written."""
        return self._snapshot.keys_done

    @property
    def copied_bytes(self) -> int:
        """About how much had to be kept aside because it was changed meanwhile."""
        return self._snapshot.copied_bytes

    def __iter__(self) -> Iterator[bytes]:
        """The file in pieces."""
        if self._as_commands:
            return self._commands()
        return writer.in_chunks(self._rdb(), checksum=self._checksum)

    def close(self) -> None:
        """Let go of the data. May be called again."""
        self._snapshot.close()

    def _rdb(self) -> Iterator[bytes]:
        yield writer.header()
        for name, fact in self._facts.items():
            yield writer.aux(name.encode(), str(fact).encode())
        for source in self._libraries:
            yield write_library(source)
        for part in self._snapshot.databases:
            yield writer.database_head(part.database.index, part.keys, part.expiring)
            for key, value, expires_ms in part.entries():
                kind, body = encode(value)
                yield writer.key_head(kind, key, expires_ms, None, None)
                yield from body

    def _commands(self) -> Iterator[bytes]:
        if self._timestamp is not None:
            yield timestamp(self._timestamp)
        for source in self._libraries:
            yield library_command(source)
        for part in self._snapshot.databases:
            yield select(part.database.index)
            for key, value, expires_ms in part.entries():
                yield from key_commands(key, value, expires_ms)


def rdb_image(node: Node) -> DataImage:
    """The data as an RDB file."""
    return DataImage(node, node.image_facts() | {"aof-base": 0})


def base_image(node: Node) -> DataImage:
    """The data as a base of the append-only file."""
    facts = node.image_facts() | {"aof-base": 1}
    return DataImage(node, facts, as_commands=not node.config.aof_use_rdb_preamble)


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
        database.values[key] = decode(kind, value, self.node.engine.limits)
        if expires_ms is not None:
            database.expires[key] = expires_ms
        if idle_s is not None or frequency is not None:
            self.node.engine.uses.restore(database, key, idle_s, frequency)

    def empty(self, key: bytes) -> None:
        """A key whose value has no elements."""
        self._empty_keys += 1
        if self._empty_keys <= _EMPTY_KEYS_TOLD:
            self.node.log.warning(f"rdbLoadObject skipping empty key: {shown(key)}")

    def aux(self, name: bytes, value: bytes) -> None:
        """A fact about the file: the log tells most of them."""
        line = report.aux_line(name, value, int(self.node.environment.unix_time()))
        if line is not None:
            self.node.log.notice(line)
        if name == b"used-mem":
            self.used_memory = report.leading_integer(value)

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
            log.warning(report.LOADED_WITHOUT_CHECKSUM)
        what = f"Done loading RDB, keys loaded: {self.keys}, keys expired: {self.expired}"
        if self._empty_keys:
            log.warning(f"{what}, empty keys skipped: {self._empty_keys}.")
        else:
            log.notice(f"{what}.")


def tell_damage(node: Node, name: str, reader: RdbReader, damage: RdbError, loaded: int) -> None:
    """Log what is wrong with a file, with the report of Redis's checker where Redis runs it.

    Args:
        node: the node.
        name: of the file.
        reader: has read it as far as it goes.
        damage: what it found.
        loaded: how far the load was when that was last looked at.
    """
    log = node.log
    for line in report.fault_lines(damage, loaded):
        log.warning(line)
    if damage.ending is Ending.CHECKED:
        for line in report.checker_report(name, reader, damage):
            node.environment.log(line)
        log.warning(report.TERMINATING)
