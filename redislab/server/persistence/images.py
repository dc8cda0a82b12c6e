"""Images of a node's data as files, and data taken from such files.

An image has the data of the moment at which it is made, whatever is changed while it is written
(`redislab.engine.snapshot`). It is an RDB file, or, for a base of the append-only file with
`aof-use-rdb-preamble no`, the commands that make the data. Follows `rdbSaveInfoAuxFields` and
`rdbLoadRio` in `src/rdb.c` and `rewriteAppendOnlyFileRio` in `src/aof.c` of Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.engine.rdbload import RdbLoader
from redislab.engine.rdbsave import RdbImage
from redislab.engine.snapshot import Snapshot
from redislab.server.persistence.rebuild import key_commands, library_command
from redislab.server.persistence.records import select, timestamp
from redislab.wire.rdb import report
from redislab.wire.rdb.faults import Ending, RdbError, shown

if TYPE_CHECKING:
    from redislab.server.node import Node
    from redislab.server.persistence.background import Image

_EMPTY_KEYS_TOLD = 10


def rdb_image(node: Node) -> Image:
    """The data as an RDB file."""
    return _rdb_image(node, is_base=False)


def base_image(node: Node) -> Image:
    """The data as a base of the append-only file."""
    if node.config.aof_use_rdb_preamble:
        return _rdb_image(node, is_base=True)
    return CommandImage(node)


def _rdb_image(node: Node, *, is_base: bool) -> RdbImage:
    place = {} if is_base else node.replication.image_facts()
    return RdbImage(
        node.engine,
        node.image_facts() | place | {"aof-base": int(is_base)},
        node.scripts.libraries.sources(),
        checksum=node.config.rdbchecksum,
    )


class CommandImage:
    """The data of a node as they are now, as commands that make them."""

    def __init__(self, node: Node) -> None:
        self._snapshot = Snapshot(node.engine)
        self._libraries = node.scripts.libraries.sources()
        self._timestamp: int | None = None
        if node.config.aof_timestamp_enabled:
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
        """The commands, one after the other; to be taken once."""
        if self._timestamp is not None:
            yield timestamp(self._timestamp)
        for source in self._libraries:
            yield library_command(source)
        for part in self._snapshot.databases:
            yield select(part.database.index)
            for key, value, expires_ms in part.entries():
                yield from key_commands(key, value, expires_ms)

    def close(self) -> None:
        """Let go of the data. May be called again."""
        self._snapshot.close()


def loader(node: Node, *, keep_expired: bool, merge: bool) -> RdbLoader:
    """What takes a node's data from an RDB file; the log is told what it meets.

    Args:
        node: the node.
        keep_expired: take keys whose time has come, too.
        merge: let keys and libraries replace what is there.
    """
    told = 0

    def on_library(source: bytes) -> str | None:
        try:
            node.scripts.libraries.load(source, replace=merge)
        except CommandError as failed:
            return failed.message.removeprefix("ERR ")
        return None

    def on_aux(name: bytes, value: bytes) -> None:
        line = report.aux_line(name, value, int(node.environment.unix_time()))
        if line is not None:
            node.log.notice(line)

    def on_empty(key: bytes) -> None:
        nonlocal told
        told += 1
        if told <= _EMPTY_KEYS_TOLD:
            node.log.warning(f"rdbLoadObject skipping empty key: {shown(key)}")

    return RdbLoader(
        node.engine,
        keep_expired=keep_expired,
        replace=merge,
        checksum=node.config.rdbchecksum,
        on_library=on_library,
        on_aux=on_aux,
        on_empty=on_empty,
        on_expired=node.replication.note_expired,
    )


def tell_end(node: Node, loaded: RdbLoader) -> None:
    """An RDB file is read to its end: the log tells how much it was."""
    if loaded.reader.unchecked and node.config.rdbchecksum:
        node.log.warning(report.LOADED_WITHOUT_CHECKSUM)
    what = f"Done loading RDB, keys loaded: {loaded.loaded}, keys expired: {loaded.expired}"
    if loaded.empty_keys:
        node.log.warning(f"{what}, empty keys skipped: {loaded.empty_keys}.")
    else:
        node.log.notice(f"{what}.")


def tell_damage(node: Node, name: str, loaded: RdbLoader, damage: RdbError, looked_at: int) -> None:
    """Log what is wrong with a file, with the report of Redis's checker where Redis runs it.

    Args:
        node: the node.
        name: of the file.
        loaded: has read it as far as it goes.
        damage: what it found.
        looked_at: how far the load was when that was last looked at.
    """
    log = node.log
    for line in report.fault_lines(damage, looked_at):
        log.warning(line)
    if damage.ending is Ending.CHECKED:
        for line in report.checker_report(name, loaded.reader, damage, loaded.expired):
            node.environment.log(line)
