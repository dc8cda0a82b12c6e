"""A whole engine as an RDB file (`rdbSaveRio` and `rdbSaveDb` in `src/rdb.c` of Redis 7.0).

The file has the data of the moment at which it was begun, however long it takes to write it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from redislab.engine.keyspace import Engine
from redislab.engine.rdbvalues import encode
from redislab.engine.snapshot import DatabaseSnapshot, Snapshot
from redislab.wire.rdb import writer
from redislab.wire.rdb.libraries import write_library
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.strings import LONG, long_string, writing


class RdbImage:
    """A file with the data of an engine as they are now.

    Args:
        engine: whose data.
        facts: what the file says of itself and of its node, in this order (aux fields).
        libraries: sources of the libraries of functions.
        with_data: whether the keys are to be in it.
        checksum: whether it ends with a checksum (`rdbchecksum`).
    """

    def __init__(
        self,
        engine: Engine,
        facts: Mapping[str, object],
        libraries: Iterable[bytes] = (),
        *,
        with_data: bool = True,
        checksum: bool = True,
    ) -> None:
        self._engine = engine
        self._facts = dict(facts)
        self._libraries = list(libraries)
        self._checksum = checksum
        self._compress = engine.compress  # from the beginning to the end, as a fork has it
        self._write = writing(engine.compress)
        self._snapshot = Snapshot(engine) if with_data else None

    @property
    def keys_total(self) -> int:
        """How many keys there are in it."""
        return self._snapshot.keys_total if self._snapshot is not None else 0

    @property
    def keys_done(self) -> int:
        """How many of them have been written."""
        return self._snapshot.keys_done if self._snapshot is not None else 0

    @property
    def copied_bytes(self) -> int:
        """About how much had to be kept aside for commands that used it meanwhile."""
        return self._snapshot.copied_bytes if self._snapshot is not None else 0

    def __iter__(self) -> Iterator[bytes]:
        """The bytes of the file, in chunks that take a millisecond or two; to be taken once."""
        yield from writer.in_chunks(self._pieces(), checksum=self._checksum)
        self.close()

    def close(self) -> None:
        """Let go of the data. May be called again."""
        if self._snapshot is not None:
            self._snapshot.close()

    def _pieces(self) -> Iterator[bytes]:
        yield writer.header()
        for name, fact in self._facts.items():
            yield writer.aux(name.encode(), str(fact).encode(), self._write)
        for source in self._libraries:
            yield write_library(source, self._write)
        if self._snapshot is not None:
            for part in self._snapshot.databases:
                yield from self._database(part)

    def _database(self, part: DatabaseSnapshot) -> Iterator[bytes]:
        yield writer.database_head(part.database.index, part.keys, part.expiring)
        uses, policy = self._engine.uses, self._engine.maxmemory_policy
        write = self._write
        idle_s = frequency = None
        by_use = "lru" in policy or "lfu" in policy
        for key, value, expires_ms in part.entries():
            if by_use:
                # As of now: what is remembered of a key's uses is no more than a hint.
                if "lru" in policy:
                    idle_s = uses.idle_ms(part.database, key) // 1000
                else:
                    frequency = uses.frequency(part.database, key)
            if type(value) is bytes:
                head = writer.key_head(Type.STRING, key, expires_ms, idle_s, frequency, write)
                if len(value) < LONG:
                    yield head + write(value)
                else:
                    yield head
                    yield from long_string(value, self._compress)
            else:
                kind, body = encode(value, write, self._engine.limits)
                yield writer.key_head(kind, key, expires_ms, idle_s, frequency, write)
                yield from body


def rdb_chunks(
    engine: Engine,
    facts: Mapping[str, object],
    libraries: Iterable[bytes] = (),
    *,
    with_data: bool = True,
    checksum: bool = True,
) -> Iterator[bytes]:
    """The chunks of an `RdbImage`, which is taken at once."""
    image = RdbImage(engine, facts, libraries, with_data=with_data, checksum=checksum)
    return iter(image)
