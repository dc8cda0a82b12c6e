"""Loading: how a node comes to its data when it starts, or is told to read them again.

With `appendonly yes` the data are those of the append-only file, else those of the RDB file.
Commands that do without data are served meanwhile; all others are told LOADING. What cannot be read
ends the node, and leaves the files as they are. Follows `loadDataFromDisk` in
`src/server.c`, `loadAppendOnlyFiles` in `src/aof.c` and `rdbLoad` in `src/rdb.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from redislab.server.exits import ExitError
from redislab.server.persistence.background import SLICE_S, Pace
from redislab.server.persistence.disk import error_text, read_file, remove
from redislab.server.persistence.images import base_image, loader, tell_damage, tell_end
from redislab.server.persistence.manifest import Manifest, ManifestError, parse
from redislab.server.persistence.replay import Outcome, Replay
from redislab.wire.rdb.faults import Ending, RdbError
from redislab.wire.rdb.reader import RdbReader
from redislab.wire.rdb.report import leading_integer

if TYPE_CHECKING:
    from redislab.server.environment import DiskFile
    from redislab.server.node import Node

# So much of a file is loaded in one go; with `key-load-delay`, which is per key, less.
_PIECE_BYTES = 1 << 15
_SLOW_PIECE_BYTES = 1 << 12


class Loading:
    """The loads of one node.

    Attributes:
        running: whether data are being loaded.
        started: when that began, in seconds since the epoch.
        total_bytes: how much there is to load.
        position: how much of it is loaded.
        used_memory: what the RDB file says that its data took in memory.
        keys_loaded, keys_expired: of the last RDB file: keys, and those whose time had come.
        facts: what that file says of itself.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.running = False
        self.started = 0
        self.total_bytes = self.position = self.used_memory = 0
        self.keys_loaded = self.keys_expired = 0
        self.facts: dict[bytes, bytes] = {}
        self._slice_began = 0.0
        self._starting = False

    # -- the start of a node -----------------------------------------------------------------------

    async def start_up(self) -> None:
        """Load what the configuration says, and open the append-only file if there is to be one.

        The node stands still meanwhile, but for the time that data are loaded.

        Raises:
            ExitError: that cannot be done.
        """
        self._starting = True
        await self._load_and_open()
        self._starting = False

    async def _load_and_open(self) -> None:
        node = self.node
        self.read_manifest()
        began = node.clock()
        if not node.config.appendonly:
            await self._load_rdb_at_start(began)
            await node.persistence.rewriting.remove_history()
            return
        outcome = await self.load_append_only_file()
        if outcome is Outcome.FAILED:
            raise ExitError(1)
        if outcome is not Outcome.MISSING:
            node.log.notice(f"DB loaded from append only file: {node.clock() - began:.3f} seconds")
        await self._open_append_only_file()
        await node.persistence.rewriting.remove_history()

    def read_manifest(self) -> None:
        """Read the manifest, if there is one.

        Raises:
            ExitError: it cannot be read.
        """
        node = self.node
        log, rewriting = node.log, node.persistence.rewriting
        rewriting.manifest = Manifest()
        name = f"{node.config.appendfilename}.manifest"
        path = rewriting.path(name)
        if node.environment.disk.size(path) is None:
            log.debug(f"The AOF manifest file {name} doesn't exist")
            return
        try:
            rewriting.manifest = parse(read_file(node.environment.disk, path))
        except OSError as failure:
            log.warning(
                "Fatal error: can't open the AOF manifest file "
                f"{node.config.appenddirname}/{name} for reading: {error_text(failure)}"
            )
            raise ExitError(1) from None
        except ManifestError as bad:
            log.warning("\n*** FATAL AOF MANIFEST FILE ERROR ***\n")
            if bad.line is not None:
                log.warning(f"Reading the manifest file, at line {bad.number}\n")
                log.warning(f">>> '{bad.line}'\n")
            log.warning(f"{bad}\n")
            raise ExitError(1) from None

    async def _load_rdb_at_start(self, began: float) -> None:
        node = self.node
        try:
            loaded = await self.load_rdb_file()
        except FileNotFoundError:
            return
        except OSError as failure:
            node.log.warning(f"Fatal error loading the DB: {error_text(failure)}. Exiting.")
            raise ExitError(1) from None
        if not loaded:
            reason = os.strerror(errno.EINVAL)
            node.log.warning(f"Fatal error loading the DB: {reason}. Exiting.")
            raise ExitError(1)
        node.log.notice(f"DB loaded from disk: {node.clock() - began:.3f} seconds")
        node.replication.restore(self.facts)

    async def _open_append_only_file(self) -> None:
        """Open the last increment; make what is missing, a base for a start without data too."""
        node = self.node
        rewriting, disk, config = node.persistence.rewriting, node.environment.disk, node.config
        if not rewriting.make_directory():
            raise ExitError(1)
        manifest = rewriting.manifest
        is_known = bool(manifest.increments)
        if manifest.base is None and not is_known:
            manifest = manifest.with_base(
                config.appendfilename, "rdb" if config.aof_use_rdb_preamble else "aof"
            )
            assert manifest.base is not None, "it was just added"
            await self._make_first_base(manifest.base.name)
        if not is_known:
            manifest = manifest.with_increment(config.appendfilename)
        name = manifest.increments[-1].name
        path = rewriting.path(name)
        try:
            file = disk.open(path, "append")
        except OSError as failure:
            node.log.warning(f"Can't open the append-only file {name}: {error_text(failure)}")
            raise ExitError(1) from None
        if manifest != rewriting.manifest and not await rewriting.write_manifest(manifest):
            raise ExitError(1)
        aof = node.persistence.aof
        aof.open(file, file.size())
        # What is in the file may be in the kernel's memory only, if the node was killed before; it
        # is to be as safe as what is written from now on.
        await aof.sync_now()
        how = "Opening" if is_known else "Creating"
        node.log.notice(f"{how} AOF incr file {name} on server start")

    async def _make_first_base(self, name: str) -> None:
        node = self.node
        disk = node.environment.disk
        temporary = node.config.absolute(f"temp-rewriteaof-{node.environment.process_id}.aof")
        image = base_image(node)
        try:
            file = disk.open(temporary, "create")
            try:
                await Pace(node, gently=False, incremental_fsync=False).write(image, file)
            finally:
                file.close()
            disk.rename(temporary, node.persistence.rewriting.path(name))
        except OSError as failure:
            remove(disk, temporary)
            node.log.warning(f"Write error writing append only file on disk: {error_text(failure)}")
            raise ExitError(1) from None
        finally:
            image.close()
        node.log.notice(f"Creating AOF base file {name} on server start")

    # -- the append-only file ----------------------------------------------------------------------

    async def load_append_only_file(self) -> Outcome:
        """Load the files of the manifest.

        Raises:
            ExitError: a snapshot among them is damaged.
        """
        node = self.node
        rewriting, aof = node.persistence.rewriting, node.persistence.aof
        await self._take_old_file()
        files = rewriting.manifest.loaded
        if not files:
            return Outcome.MISSING
        sizes = [self._size(file.name) for file in files]
        if None in sizes:
            return Outcome.FAILED
        total = sum(size or 0 for size in sizes)
        if not total:
            return Outcome.EMPTY
        outcome = Outcome.LOADED
        async with self._going_on(total):
            for number, file in enumerate(files, 1):
                kind = "base" if file is rewriting.manifest.base else "incr"
                outcome = await self._load_one(file.name, kind, is_last=number == len(files))
                if outcome in {Outcome.FAILED, Outcome.MISSING}:
                    return Outcome.FAILED
        aof.size = total
        aof.base_size = (sizes[0] or 0) if rewriting.manifest.base is not None else 0
        return outcome

    async def _load_one(self, name: str, kind: str, *, is_last: bool) -> Outcome:
        node = self.node
        began = node.clock()
        outcome = await Replay(self, name, is_last=is_last).run()
        if outcome is Outcome.LOADED or (outcome is Outcome.TRUNCATED and is_last):
            node.log.notice(
                f"DB loaded from {kind} file {name}: {node.clock() - began:.3f} seconds"
            )
        if outcome is Outcome.TRUNCATED and not is_last:
            node.log.warning("Fatal error: the truncated file is not the last file")
            return Outcome.FAILED
        return outcome

    def _size(self, name: str) -> int | None:
        node = self.node
        size = node.environment.disk.size(node.persistence.rewriting.path(name))
        if size is None:
            reason = os.strerror(errno.ENOENT)
            node.log.warning(f"Unable to obtain the AOF file {name} length. stat: {reason}")
        return size

    async def _take_old_file(self) -> None:
        """Make the single file that a Redis before 7.0 has left the base of a directory."""
        node = self.node
        config, disk, rewriting = node.config, node.environment.disk, node.persistence.rewriting
        name = config.appendfilename
        if disk.size(config.absolute(name)) is None:
            return
        manifest = rewriting.manifest
        begun = (
            manifest.base is not None
            and manifest.base.name == name
            and not manifest.increments
            and disk.size(rewriting.path(name)) is None
        )
        if manifest.loaded and not begun:
            return
        if not rewriting.make_directory():
            raise ExitError(1)
        if not await rewriting.write_manifest(
            Manifest(history=manifest.history).with_old_file(name)
        ):
            raise ExitError(1)
        try:
            disk.rename(config.absolute(name), rewriting.path(name))
        except OSError as failure:
            node.log.warning(
                f"Error trying to move the old AOF file {name} into dir {config.appenddirname}: "
                f"{error_text(failure)}"
            )
            raise ExitError(1) from None
        node.log.notice(
            f"Successfully migrated an old-style AOF file ({name}) into the AOF directory "
            f"({config.appenddirname})."
        )

    # -- RDB ---------------------------------------------------------------------------------------

    async def load_rdb_file(self, *, merge: bool = False) -> bool:
        """Load the RDB file; False where Redis calls it an invalid argument, or only says so.

        Args:
            merge: keys that are there already are replaced.

        Raises:
            OSError: it cannot be read; FileNotFoundError, if there is none.
            ExitError: it is damaged, and the node starts with it.
        """
        node = self.node
        name = node.config.dbfilename
        file = node.environment.disk.open(node.config.absolute(name), "read")
        try:
            async with self._going_on(file.size()):
                quietly = not self._starting
                reader = await self.read_rdb(file, b"", name, merge=merge, quietly=quietly)
                return reader is not None
        finally:
            file.close()

    async def read_rdb(
        self,
        file: DiskFile,
        piece: bytes,
        name: str,
        *,
        is_base: bool = False,
        merge: bool = False,
        quietly: bool = False,
    ) -> RdbReader | None:
        """Load a snapshot from an open file.

        Args:
            file: the file.
            piece: what was read of it before.
            name: of the file, for the log.
            is_base: it is a part of an append-only file: nothing in it has expired yet.
            merge: keys that are there already are replaced.
            quietly: a client has asked for it, and hears of any damage; the node does not end.

        Returns:
            The reader, at the end of the snapshot; None for what is none at all.

        Raises:
            ExitError: it is damaged.
        """
        node = self.node
        keep_expired = is_base or node.config.replicaof is not None
        loaded = loader(node, keep_expired=keep_expired, merge=merge)
        reader, delay_us = loaded.reader, node.config.key_load_delay
        self.keys_loaded = self.keys_expired = 0
        try:
            while not reader.done:
                if not piece:
                    piece = file.read(_SLOW_PIECE_BYTES if delay_us else _PIECE_BYTES)
                self.position += len(piece)
                before = loaded.loaded
                loaded.feed(piece) if piece else loaded.finish()
                piece = b""
                await self.tick(delay_us * (loaded.loaded - before))
        except RdbError as damage:
            if quietly:
                for line in damage.before.splitlines():
                    node.log.warning(line)
                return None
            tell_damage(node, name, loaded, damage, self._looked_at(reader))
            if damage.ending is Ending.REFUSED:
                return None
            raise ExitError(1) from None
        finally:
            self.keys_loaded, self.keys_expired = loaded.loaded, loaded.expired
            self.facts = loaded.facts
            self.used_memory = leading_integer(loaded.facts.get(b"used-mem", b""))
        tell_end(node, loaded)
        return reader

    def _looked_at(self, reader: RdbReader) -> int:
        """Up to where a load was when Redis looked last, which it does every so many bytes."""
        interval = self.node.config.loading_process_events_interval_bytes
        return reader.offset // interval * interval if interval else 0

    # -- going on ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _going_on(self, total_bytes: int) -> AsyncIterator[None]:
        """Data are being loaded: nothing expires, and nothing is sent on."""
        node = self.node
        engine = node.engine
        self.running = engine.loading = True
        self.started = int(node.environment.unix_time())
        self.total_bytes, self.position, self.used_memory = total_bytes, 0, 0
        expires, engine.expires_by_itself = engine.expires_by_itself, False
        propagating, engine.propagating = engine.propagating, False
        self._slice_began = node.clock()
        if self._starting:
            node.go_on()
        node.refresh()
        try:
            yield
        finally:
            if self._starting:
                node.stand_still()
            self.running = engine.loading = False
            engine.expires_by_itself = expires
            engine.propagating = propagating
            node.propagation.recount()
            node.refresh()

    async def tick(self, delay_us: float = 0.0) -> None:
        """Let the loop run if it is time.

        Args:
            delay_us: for tests: take so many microseconds longer.

        Raises:
            ExitError: the node was told to end meanwhile.
        """
        clock = self.node.clock
        if delay_us > 0:
            await asyncio.sleep(delay_us / 1e6)
        elif clock() - self._slice_began >= SLICE_S:
            await asyncio.sleep(0)
        else:
            return
        self._slice_began = clock()
        if self.node.stopping:
            raise ExitError(0)
