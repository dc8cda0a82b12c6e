"""Reading a whole RDB file, piece by piece (`rdbLoadRio` in `src/rdb.c` of Redis 7.0).

A file is a header with the version, then opcodes and keys in any order, and, behind the opcode that
ends it, the checksum of all before. What is read is told to a `Sink` at once, so that neither the
file nor its data stand in memory twice; how much is read in one go is decided by how much is fed.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from redislab.wire.rdb.faults import (
    RdbError,
    bad_library,
    bad_module_aux,
    module_aux,
    no_signature,
    shown,
    unknown_database,
    unknown_type,
    unknown_version,
    wrong_checksum,
)
from redislab.wire.rdb.feed import Feed, Parsing
from redislab.wire.rdb.libraries import read_library
from redislab.wire.rdb.objects import read_object
from redislab.wire.rdb.opcodes import (
    CHECKSUM_BYTES,
    HEADER_BYTES,
    MAGIC,
    MODULE_UINT,
    OLDEST_WITH_CHECKSUM,
    TYPES,
    VERSION,
    Opcode,
    Type,
)
from redislab.wire.rdb.quick import Bulk, read_keys
from redislab.wire.rdb.strings import read_byte, read_fixed, read_length, read_string


class Sink(Protocol):
    """Who is told what stands in a file, in its order; by raising RdbError it ends the reading."""

    def select(self, database: int) -> None:
        """The keys that follow belong to this database."""

    def key(
        self,
        key: bytes,
        kind: int,
        value: Any,
        expires_ms: int | None = None,
        idle_s: int | None = None,
        frequency: int | None = None,
    ) -> None:
        """A key with its value.

        Args:
            key: the key.
            kind: the type of its value, which tells how that was encoded.
            value: the value, as in `objects.py`.
            expires_ms: when it expires, in milliseconds since the epoch.
            idle_s: for how many seconds it was not used.
            frequency: how often it was used, on a scale from 0 to 255.
        """

    def empty(self, key: bytes) -> None:
        """A key whose value has no elements: Redis skips it."""

    def aux(self, name: bytes, value: bytes) -> None:
        """A fact about the file, or about the node that wrote it."""

    def resize(self, keys: int, expiring: int) -> None:
        """How many keys the database has, and how many of them expire."""

    def library(self, source: bytes) -> str | None:
        """The source of a library of functions; returns why it does not load, or None."""


class Progress:
    """How far a reader is, as the checker of files tells it.

    Attributes:
        doing: what it reads.
        key: the key whose value it reads, or None.
        kind: the type of that value; 0 before the first key, -1 behind a key.
        keys: how many keys it has read.
        expiring: how many of them expire.
        told: what it met, with its offset.
    """

    def __init__(self) -> None:
        self.doing = "start"
        self.key: bytes | None = None
        self.kind = 0
        self.keys = 0
        self.expiring = 0
        self.told: list[tuple[int, str]] = []


class RdbReader:
    """Reads a file.

    Args:
        sink: who is told.
        checksum: whether to verify the checksum (`rdbchecksum`).
        databases: how many databases there are, or None to take any number.
        bulk: takes what keys it can many at a time, which is quicker than to tell the sink of each.

    Attributes:
        done: the end was read.
        version: the format's version, once it is known.
        unchecked: the file was written without checksum.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        checksum: bool = True,
        databases: int | None = None,
        bulk: Bulk | None = None,
    ) -> None:
        self.progress = Progress()
        self.done = False
        self.version = 0
        self.unchecked = False
        self._sink = sink
        self._databases = databases
        self._bulk = bulk
        self._one_by_one_to = 0  # up to which offset `bulk` is not asked again
        self._feed = Feed(checksum=checksum)
        self._parsing = self._file()
        next(self._parsing)

    @property
    def offset(self) -> int:
        """How many bytes were read."""
        return self._feed.offset

    @property
    def rest(self) -> bytes:
        """What came after the end of the file: the tail of an append-only file."""
        return self._feed.rest()

    def feed(self, data: bytes) -> None:
        """Read some more bytes.

        Raises:
            RdbError: they are damaged. Nothing can be read after that.
        """
        if self._feed.add(data) and not self.done:
            self._advance()

    def finish(self) -> None:
        """No more bytes will come.

        Raises:
            RdbError: the file is not at its end.
        """
        self._feed.ended = True
        if not self.done:
            self._advance()

    def _advance(self) -> None:
        try:
            next(self._parsing)
        except StopIteration:
            self.done = True
        except RdbError as error:
            if error.offset < 0:
                error.offset = self._feed.offset
                if error.at >= 0:
                    error.offset += error.at - self._feed.at
            raise

    # -- the parser ------------------------------------------------------------------------------

    def _file(self) -> Parsing[None]:
        feed, progress, bulk = self._feed, self.progress, self._bulk
        yield
        header = yield from feed.step(_read_header)
        self.version = _version(header)
        expires_ms = idle_s = frequency = None
        while True:
            if bulk is not None and expires_ms is idle_s is frequency is None:
                self._read_whole_keys(bulk)
            progress.doing = "read-type"
            opcode = yield from feed.step(read_byte)
            match opcode:
                case Opcode.EXPIRES_MS | Opcode.EXPIRES_S:
                    progress.doing = "read-expire"
                    parse = _read_ms if opcode == Opcode.EXPIRES_MS else _read_s
                    expires_ms = yield from feed.step(parse)
                case Opcode.IDLE:
                    idle_s = yield from feed.step(read_length)
                case Opcode.FREQUENCY:
                    frequency = yield from feed.step(read_byte)
                case Opcode.END:
                    break
                case _ if opcode >= Opcode.FUNCTION_2:
                    yield from self._read_other(opcode)
                case _:
                    yield from self._read_key(opcode, expires_ms, idle_s, frequency)
                    expires_ms = idle_s = frequency = None
        if self.version >= OLDEST_WITH_CHECKSUM:
            yield from self._check()

    def _read_whole_keys(self, bulk: Bulk) -> None:
        """Read keys as long as nothing else comes and they have come whole.

        That goes without waiting, and most keys are read here; `_read_key` has the others, and
        those that are damaged.
        """
        feed, progress = self._feed, self.progress
        if feed.offset < self._one_by_one_to:
            return
        values, expires, end = read_keys(feed.data, feed.at, bulk.parsers)
        if not values:
            return
        keys, expiring = len(values), len(expires)
        if not bulk.take(values, expires):
            self._one_by_one_to = feed.offset + end - feed.at
            return
        feed.at = end
        progress.keys += keys
        progress.expiring += expiring
        progress.kind = -1

    def _read_key(
        self, kind: int, expires_ms: int | None, idle_s: int | None, frequency: int | None
    ) -> Parsing[None]:
        feed, progress = self._feed, self.progress
        if kind not in TYPES:
            raise unknown_type(kind)
        progress.doing, progress.kind = "read-key", kind
        key = yield from feed.step(read_string)
        progress.doing, progress.key = "read-object-value", key
        progress.keys += 1
        value = yield from read_object(feed, kind)
        progress.key, progress.kind = None, -1
        if expires_ms is not None:
            progress.expiring += 1
        if value or kind == Type.STRING:
            self._sink.key(key, kind, value, expires_ms, idle_s, frequency)
        else:
            self._sink.empty(key)

    def _read_other(self, opcode: int) -> Parsing[None]:
        """What is neither a key nor belongs to the next one."""
        feed, progress, sink = self._feed, self.progress, self._sink
        if opcode == Opcode.SELECT_DB:
            progress.doing = "read-len"
            database = yield from feed.step(read_length)
            progress.told.append((feed.offset, f"Selecting DB ID {database}"))
            if self._databases is not None and database >= self._databases:
                raise unknown_database(self._databases)
            sink.select(database)
        elif opcode == Opcode.RESIZE_DB:
            progress.doing = "read-len"
            keys = yield from feed.step(read_length)
            expiring = yield from feed.step(read_length)
            sink.resize(keys, expiring)
        elif opcode == Opcode.AUX:
            progress.doing = "read-aux"
            name = yield from feed.step(read_string)
            value = yield from feed.step(read_string)
            progress.told.append((feed.offset, f"AUX FIELD {shown(name)} = '{shown(value)}'"))
            sink.aux(name, value)
        elif opcode == Opcode.MODULE_AUX:
            progress.doing = "read-module-aux"
            module = yield from feed.step(read_length)
            follows = yield from feed.step(read_length)
            yield from feed.step(read_length)
            raise module_aux(module) if follows == MODULE_UINT else bad_module_aux()
        else:
            progress.doing = "read-functions"
            try:
                source = yield from read_library(feed, opcode)
            except RdbError as error:
                raise bad_library(error.reason, short=error.short) from None
            problem = sink.library(source)
            if problem is not None:
                raise bad_library(problem)

    def _check(self) -> Parsing[None]:
        """Compare the checksum of what was read with the one that stands in the file."""
        computed = self._feed.checksum()
        self.progress.doing = "check-sum"
        found = yield from self._feed.step(_read_checksum)
        self.unchecked = not found
        if found and computed not in {None, found}:
            raise wrong_checksum(computed or 0, found)


def _read_header(data: bytes, at: int) -> tuple[bytes, int]:
    return read_fixed(data, at, HEADER_BYTES)


def _version(header: bytes) -> int:
    """The version in a header.

    Raises:
        RdbError: it is no header, or of a version that is not read.
    """
    if not header.startswith(MAGIC):
        raise no_signature()
    digits = re.match(rb"[ \t\n\v\f\r]*([+-]?\d+)", header[len(MAGIC) :])
    version = 0 if digits is None else int(digits[1])
    if not 1 <= version <= VERSION:
        raise unknown_version(version)
    return version


def _read_ms(data: bytes, at: int) -> tuple[int, int]:
    digits, end = read_fixed(data, at, 8)
    return int.from_bytes(digits, "little", signed=True), end


def _read_s(data: bytes, at: int) -> tuple[int, int]:
    digits, end = read_fixed(data, at, 4)
    return 1000 * int.from_bytes(digits, "little", signed=True), end


def _read_checksum(data: bytes, at: int) -> tuple[int, int]:
    digits, end = read_fixed(data, at, CHECKSUM_BYTES)
    return int.from_bytes(digits, "little"), end
