"""The files of an append-only file: which there are, and how a rewrite makes fewer of them.

A rewrite takes the data as they are and writes them to a new base. From that moment on commands go
to a new increment, so that base and increment together are the data; when the base is whole, the
manifest is replaced by one that names these two, and what was there before is removed. Whenever the
node dies, the manifest names files that are the data together.

Follows `src/aof.c` of Redis 7.0, with two differences. Redis does the few steps of a switch in one
go, its fsyncs among them; here the loop goes on meanwhile, and it is the commands that wait in the
buffer, with their replies, until the new increment is in the manifest. And the increment before is
brought to the medium before that: no power failure leaves a hole in the middle of the data.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redislab.server.persistence.appendfile import State
from redislab.server.persistence.background import RDB, Image, Pace
from redislab.server.persistence.disk import (
    error_text,
    in_background,
    make_directory,
    remove,
    write_all,
)
from redislab.server.persistence.images import base_image
from redislab.server.persistence.manifest import Manifest

if TYPE_CHECKING:
    from redislab.server.environment import DiskFile
    from redislab.server.node import Node

_FAILURES_MAX = 3  # in a row, before rewrites are put off
_DELAY_MINUTES_MAX = 60

_OTHER_WORK = (
    "AOF was enabled but there is already another background operation. An AOF background was "
    "scheduled to start when possible."
)
_IN_TRANSACTION = (
    "AOF was enabled during a transaction. An AOF background was scheduled to start when possible."
)
_OTHER_REWRITE = (
    "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF "
    "and starting a rewrite now."
)
_CANNOT_ENABLE = (
    "Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the "
    "above logs for more info about the error."
)


class Rewriting:
    """The files of one node's append-only file, and their rewrites.

    Attributes:
        manifest: what files there are.
        image: the data that are being written to a new base, or None.
        last_ok: whether the last rewrite went well.
        last_seconds: how long it took; -1 before the first.
        started: when the present one was begun, in seconds since the epoch.
        scheduled: one is to begin as soon as nothing else is in the way.
        rewrites: how many there were, failed ones among them.
        failures: how many failed in a row.
        copied_bytes: what the last one had to keep aside for changes.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.manifest = Manifest()
        self.image: Image | None = None
        self.last_ok = True
        self.last_seconds = -1
        self.started = 0
        self.scheduled = False
        self.rewrites = 0
        self.failures = 0
        self.copied_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._begun: asyncio.Future[bool] | None = None
        self._is_rdb = True  # the base that is written now
        self._delay_minutes = 0
        self._delayed_until = 0
        # One change of the manifest at a time.
        self._changing = asyncio.Lock()

    @property
    def running(self) -> bool:
        """Whether a rewrite goes on."""
        return self._task is not None

    @property
    def temporary_name(self) -> str:
        """The name of a base before it is whole."""
        return f"temp-rewriteaof-bg-{self.node.environment.process_id}.aof"

    @property
    def temporary_increment(self) -> str:
        """The name of the first increment before there is a base."""
        return f"temp-{self.node.config.appendfilename}.incr"

    def path(self, name: str) -> str:
        """Where a file of the append-only file is."""
        config = self.node.config
        return config.absolute(f"{config.appenddirname}/{name}")

    # -- when it is time ---------------------------------------------------------------------------

    def start_scheduled(self) -> None:
        """Begin the rewrite that was put off."""
        if self.scheduled and not self._is_limited():
            self.start()

    def cron(self) -> None:
        """Begin a rewrite if the file has grown enough since the last one."""
        node, file = self.node, self.node.persistence.aof
        config = node.config
        if (
            file.state is not State.ON
            or node.persistence.active is not None
            or not config.auto_aof_rewrite_percentage
            or file.size <= config.auto_aof_rewrite_min_size
        ):
            return
        growth = file.size * 100 // (file.base_size or 1) - 100
        if growth >= config.auto_aof_rewrite_percentage and not self._is_limited():
            node.log.notice(f"Starting automatic rewriting of AOF on {growth}% growth")
            self.start()

    def _is_limited(self) -> bool:
        """Whether rewrites have failed so often that the next one has to wait."""
        if self.failures < _FAILURES_MAX:
            self._delay_minutes = self._delayed_until = 0
            return False
        now = _now(self.node)
        if self._delayed_until:
            if now < self._delayed_until:
                return True
            self._delayed_until = 0
            return False
        self._delay_minutes = min(self._delay_minutes * 2 or 1, _DELAY_MINUTES_MAX)
        self._delayed_until = now + self._delay_minutes * 60
        self.node.log.warning(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in "
            f"{self._delay_minutes} minutes"
        )
        return True

    # -- a rewrite ---------------------------------------------------------------------------------

    def start(self) -> asyncio.Future[bool] | None:
        """Begin a rewrite.

        Returns:
            What becomes true once it has really begun, and false if it cannot; None if something
            else is being written, or the disk refuses at once.
        """
        node, aof = self.node, self.node.persistence.aof
        if node.persistence.active is not None:
            return None
        if not self.make_directory():
            self.last_ok = False
            return None
        aof.select_again()
        aof.flush(force=True)
        name, increment = "", None
        if aof.state is not State.OFF:
            name = self._next_increment()
            increment = self._open_increment(name)
            if increment is None:
                self.last_ok = False
                return None
        image = self.image = base_image(node)
        self._is_rdb = node.config.aof_use_rdb_preamble
        self.started = _now(node)
        if aof.state is State.WAITS_FOR_REWRITE and increment is not None:
            # Commands are kept from this moment on, which the base will begin with.
            aof.switch(increment)
            increment = None
        if increment is not None:
            aof.frozen = True
            node.outbox.block()
        self._begun = node.loop.create_future()
        self._task = node.loop.create_task(self._run(image, increment, name, self._begun))
        return self._begun

    def cancel(self) -> None:
        """End the rewrite that goes on, as if its process had been killed."""
        task, self._task = self._task, None
        if task is None:
            return
        pid = self.node.environment.process_id
        self.node.log.notice(f"Killing running AOF rewrite child: {pid}")
        task.cancel()
        self._thaw()
        if self._begun is not None and not self._begun.done():
            self._begun.set_result(True)
        self._let_go()

    def abandon(self) -> None:
        """The node ends: leave everything as it is."""
        if self._task is not None:
            self._task.cancel()

    async def settle(self) -> None:
        """Wait until the file that is written to is the one that the manifest tells."""
        async with self._changing:
            pass

    async def _run(
        self, image: Image, increment: DiskFile | None, name: str, begun: asyncio.Future[bool]
    ) -> None:
        node = self.node
        if increment is not None and not await self._switch(increment):
            increment.close()
            self.last_ok = False
            self._task = None
            self._let_go()
            self._thaw()
            begun.set_result(False)
            return
        self._thaw()
        if name:
            node.log.notice(f"Creating AOF incr file {name} on background rewrite")
        self.rewrites += 1
        self.scheduled = False
        pid = node.environment.process_id
        node.log.notice(f"Background append only file rewriting started by pid {pid}")
        begun.set_result(True)
        if await self._write_base(image):
            node.log.notice("Background AOF rewrite terminated with success")
            await self._finish()
        else:
            node.log.warning("Background AOF rewrite terminated with error")
            self._note_failure()
        self._task = None
        self._let_go()
        self.last_seconds = _now(node) - self.started
        if node.persistence.aof.state is State.WAITS_FOR_REWRITE:
            self._try_again()

    async def _switch(self, increment: DiskFile) -> bool:
        """Let commands go to a new increment, which the manifest names from now on."""
        aof = self.node.persistence.aof
        async with self._changing:
            manifest = self.manifest.with_increment(self.node.config.appendfilename)
            if not await aof.sync_now() or not await self.write_manifest(manifest):
                return False
            aof.switch(increment)
        return True

    def _thaw(self) -> None:
        """Let commands be written again, and their replies leave."""
        aof = self.node.persistence.aof
        if aof.frozen:
            aof.frozen = False
            self.node.outbox.unblock()

    async def _write_base(self, image: Image) -> bool:
        """Write the data to a temporary file; tell whether it is whole."""
        node = self.node
        log, name = node.log.child, self.temporary_name
        try:
            file = node.environment.disk.open(node.config.absolute(name), "create")
        except OSError as failure:
            log.warning(
                "Opening the temp file for AOF rewrite in rewriteAppendOnlyFile(): "
                f"{error_text(failure)}"
            )
            return False
        incremental = node.config.aof_rewrite_incremental_fsync
        try:
            await Pace(node, gently=True, incremental_fsync=incremental).write(image, file)
        except OSError as failure:
            log.warning(f"Write error writing append only file on disk: {error_text(failure)}")
            return False
        finally:
            file.close()
        log.notice(f"Successfully created the temporary AOF base file {name}")
        return True

    async def _finish(self) -> None:
        """Put the new base, and the increments since, in the place of all files before."""
        node, aof, disk = self.node, self.node.persistence.aof, self.node.environment.disk
        config = node.config
        async with self._changing:
            manifest = self.manifest.with_base(
                config.appendfilename, "rdb" if self._is_rdb else "aof"
            )
            assert manifest.base is not None, "it was just added"
            made = [manifest.base.name]
            went_well = self._rename(
                config.absolute(self.temporary_name), self.temporary_name, made[0], "base"
            )
            if went_well and aof.state is State.WAITS_FOR_REWRITE:
                manifest = manifest.with_increment(config.appendfilename)
                temporary = self.temporary_increment
                name = manifest.increments[-1].name
                went_well = self._rename(self.path(temporary), temporary, name, "incr")
                made.append(name)
            manifest = manifest.rewritten(keep_last=aof.file is not None)
            if not went_well or not await self.write_manifest(manifest):
                for name in made:
                    remove(disk, self.path(name))
                self._note_failure()
                return
            if aof.state is not State.OFF:
                aof.size = self._size(made[0]) + aof.increment_size
                aof.base_size = aof.size
            if aof.state is State.WAITS_FOR_REWRITE:
                aof.state = State.ON
        await self.remove_history()
        self.last_ok = True
        self.failures = 0
        node.log.notice("Background AOF rewrite finished successfully")

    def _size(self, name: str) -> int:
        """How many bytes a file has; none, if the disk does not say, which the log tells."""
        try:
            return self.node.environment.disk.size(self.path(name)) or 0
        except OSError as failure:
            self.node.log.warning(
                f"Unable to obtain the AOF file {name} length. stat: {error_text(failure)}"
            )
            return 0

    def _rename(self, path: str, source: str, target: str, what: str) -> bool:
        """Give a temporary file its name among the others; tell whether that went."""
        log = self.node.log
        try:
            self.node.environment.disk.rename(path, self.path(target))
        except OSError as failure:
            folder = self.node.config.appenddirname
            log.warning(
                f"Error trying to rename the temporary AOF {what} file {source} into "
                f"{folder}/{target}: {error_text(failure)}"
            )
            return False
        log.notice(f"Successfully renamed the temporary AOF {what} file {source} into {target}")
        return True

    def _note_failure(self) -> None:
        self.last_ok = False
        self.failures += 1

    def _let_go(self) -> None:
        """Nothing of the rewrite is left, whatever became of it."""
        node = self.node
        if self.image is not None:
            self.copied_bytes = self.image.copied_bytes
            self.image.close()
            self.image = None
        remove(node.environment.disk, node.config.absolute(self.temporary_name))

    def _try_again(self) -> None:
        """There is no base yet: begin once more, soon, and from nothing."""
        node, aof = self.node, self.node.persistence.aof
        aof.drop_buffer()
        aof.keeps = False
        name = self.temporary_increment
        node.log.notice(f"Removing the temp incr aof file {name} in the background")
        remove(node.environment.disk, self.path(name))
        self.scheduled = True

    # -- files -------------------------------------------------------------------------------------

    def make_directory(self) -> bool:
        """See that the directory of the files is there; log if it cannot be."""
        config = self.node.config
        try:
            make_directory(self.node.environment.disk, config.absolute(config.appenddirname))
        except OSError as failure:
            self.node.log.warning(
                f"Can't open or create append-only dir {config.appenddirname}: "
                f"{error_text(failure)}"
            )
            return False
        return True

    def _next_increment(self) -> str:
        """The name of the file that commands go to from the beginning of a rewrite on."""
        if self.node.persistence.aof.state is State.WAITS_FOR_REWRITE:
            return self.temporary_increment
        return self.manifest.with_increment(self.node.config.appendfilename).increments[-1].name

    def _open_increment(self, name: str) -> DiskFile | None:
        try:
            return self.node.environment.disk.open(self.path(name), "create")
        except OSError as failure:
            self.node.log.warning(f"Can't open the append-only file {name}: {error_text(failure)}")
            return None

    async def write_manifest(self, manifest: Manifest) -> bool:
        """Put a manifest in the place of the present one; log if that does not go."""
        node, disk = self.node, self.node.environment.disk
        log = node.log
        name = f"{node.config.appendfilename}.manifest"
        temporary = f"temp-{name}"
        path = self.path(temporary)
        try:
            file = disk.open(path, "create")
        except OSError as failure:
            log.warning(f"Can't open the AOF manifest file {temporary}: {error_text(failure)}")
            return False
        try:
            write_all(file, manifest.text().encode("utf-8", "surrogateescape"))
        except OSError as failure:
            file.close()
            log.warning(
                f"Error trying to write the temporary AOF manifest file {temporary}: "
                f"{error_text(failure)}"
            )
            return False
        try:
            await file.sync()
        except OSError as failure:
            log.warning(f"Fail to fsync the temp AOF file {temporary}: {error_text(failure)}.")
            return False
        finally:
            file.close()
        try:
            disk.rename(path, self.path(name))
        except OSError as failure:
            log.warning(
                f"Error trying to rename the temporary AOF manifest file {temporary} into {name}: "
                f"{error_text(failure)}"
            )
            return False
        try:
            await disk.sync_directory(node.config.absolute(node.config.appenddirname))
        except OSError as failure:
            log.warning(
                f"Fail to fsync AOF directory {node.config.appenddirname}/{name}: "
                f"{error_text(failure)}."
            )
            return False
        self.manifest = manifest
        return True

    async def remove_history(self) -> None:
        """Remove what rewrites have made superfluous, unless the configuration keeps it."""
        node = self.node
        if node.config.aof_disable_auto_gc or not self.manifest.history:
            return
        async with self._changing:
            for file in self.manifest.history:
                node.log.notice(f"Removing the history file {file.name} in the background")
                remove(node.environment.disk, self.path(file.name))
            self.manifest = self.manifest.without_history()
            await self.write_manifest(self.manifest)

    # -- switched on and off -----------------------------------------------------------------------

    def switch_on(self) -> bool:
        """CONFIG SET appendonly yes: tell whether that goes."""
        node, aof = self.node, self.node.persistence.aof
        busy = node.persistence.active
        aof.await_rewrite()
        if busy == RDB:
            self.scheduled = True
            node.log.warning(_OTHER_WORK)
        elif node.current is not None and node.current.in_exec:
            self.scheduled = True
            node.log.warning(_IN_TRANSACTION)
        else:
            if busy is not None:
                node.log.warning(_OTHER_REWRITE)
                self.cancel()
            if self.start() is None:
                aof.close()
                node.log.warning(_CANNOT_ENABLE)
                return False
        aof.forgive()
        return True

    def switch_off(self) -> None:
        """CONFIG SET appendonly no: what was written so far gets to the medium first."""
        node, aof = self.node, self.node.persistence.aof
        self.cancel()
        aof.flush(force=True)
        self.scheduled = False
        file = aof.close()
        if file is None:
            return

        async def finish() -> None:
            try:
                await file.sync()
            except OSError as failure:
                node.log.warning(f"Fail to fsync the AOF file: {error_text(failure)}")
            finally:
                file.close()
                node.outbox.unblock()

        node.outbox.block()
        in_background(node, finish())


def _now(node: Node) -> int:
    return int(node.environment.unix_time())
