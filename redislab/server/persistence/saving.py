"""RDB: saving all data to one file, by itself or when asked.

A save writes a temporary file and gives it the name of the last one when it is whole and on the
medium, so that there is a whole file at any time. Follows `rdbSave` and `rdbSaveBackground` in
`src/rdb.c` of Redis 7.0, and the part of `serverCron` that begins a save when enough has changed.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

from redislab.server.persistence.background import Image, Pace
from redislab.server.persistence.disk import error_text, remove
from redislab.server.persistence.images import rdb_image

if TYPE_CHECKING:
    from redislab.server.environment import DiskFile
    from redislab.server.log import Log
    from redislab.server.node import Node

RETRY_S = 5  # after a save that failed
KILLED_BY = 10  # SIGUSR1, with which Redis ends its own child


class Saving:
    """The saves of one node.

    Attributes:
        image: what is being saved in the background, or None.
        last_save: when a save was finished last, in seconds since the epoch.
        last_ok: whether the last one in the background went well.
        last_try: when one was begun last.
        last_seconds: how long the last one took; -1 before the first.
        started: when the present one was begun, in seconds since the epoch.
        scheduled: one is to begin as soon as nothing else is in the way.
        saves: how many there were, failed ones among them.
        copied_bytes: what the last one had to keep aside for changes.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.image: Image | None = None
        self.last_save = 0
        self.last_ok = True
        self.last_try = 0
        self.last_seconds = -1
        self.started = 0
        self.scheduled = False
        self.saves = 0
        self.copied_bytes = 0
        self._task: asyncio.Task[None] | None = None
        # One save at a time: they share the name of the temporary file.
        self._writing = asyncio.Lock()

    @property
    def running(self) -> bool:
        """Whether a save goes on in the background."""
        return self._task is not None

    @property
    def temporary_name(self) -> str:
        """The name of the file before it is whole."""
        return f"temp-{self.node.environment.process_id}.rdb"

    def begin(self) -> None:
        """The node starts: nothing has changed so far."""
        self.last_save = _now(self.node)

    # -- in the background -------------------------------------------------------------------------

    def start(self) -> bool:
        """Begin a save in the background; tell whether it has begun."""
        node = self.node
        if node.persistence.active is not None:
            return False
        dirty = node.engine.dirty
        image = rdb_image(node)
        self._begin(image)
        self._task = node.loop.create_task(self._run(image, dirty))
        return True

    def _begin(self, image: Image) -> None:
        node = self.node
        self.saves += 1
        self.last_try = self.started = _now(node)
        self.image = image
        node.log.notice(f"Background saving started by pid {node.environment.process_id}")

    def cancel(self, *, tell: bool = True) -> None:
        """End the save that goes on, as if its process had been killed; `tell` the log of it."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        self.killed(tell=tell)

    def killed(self, *, tell: bool = True) -> None:
        """What was saved, for replicas too, has been given up; `tell` the log of it."""
        if tell:
            self.node.log.warning(f"Background saving terminated by signal {KILLED_BY}")
        remove(self.node.environment.disk, self.node.config.absolute(self.temporary_name))
        self._ended()

    def abandon(self) -> None:
        """The node ends: leave everything as it is."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, image: Image, dirty: int) -> None:
        saved = await self._write(image, gently=True, in_child=True)
        self._task = None
        self._finish(dirty, saved=saved)

    def _finish(self, dirty: int, *, saved: bool) -> None:
        node = self.node
        if saved:
            node.log.notice("Background saving terminated with success")
            self._saved(dirty)
        else:
            node.log.warning("Background saving error")
            self.last_ok = False
            node.refresh()
        self._ended()

    def _ended(self) -> None:
        if self.image is not None:
            self.copied_bytes = self.image.copied_bytes
            self.image.close()
            self.image = None
        self.last_seconds = _now(self.node) - self.started

    async def save_for_replicas(self, image: Image, dirty: int) -> str:
        """Save an image that is made for replicas, in the place of the RDB file.

        Args:
            image: the data.
            dirty: how many changes were not saved when it was made.

        Returns:
            The path of the file.

        Raises:
            OSError: that did not go; the log says why.
        """
        self._begin(image)
        saved = await self._write(image, gently=True, in_child=True)
        self._finish(dirty, saved=saved)
        if not saved:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.node.config.absolute(self.node.config.dbfilename)

    # -- at once -----------------------------------------------------------------------------------

    async def save(self, *, durable: bool = True) -> bool:
        """Save now; tell whether it went well.

        Args:
            durable: see that the file is on the medium. Without, it never waits.
        """
        node = self.node
        dirty = node.engine.dirty
        image = rdb_image(node)
        try:
            saved = await self._write(image, gently=False, durable=durable)
        finally:
            image.close()
        if saved:
            self._saved(dirty)
        return saved

    def _saved(self, dirty: int) -> None:
        node = self.node
        node.engine.saved(dirty)
        node.propagation.recount()
        self.last_save = _now(node)
        self.last_ok = True
        node.refresh()

    async def _write(
        self, image: Image, *, gently: bool, in_child: bool = False, durable: bool = True
    ) -> bool:
        """Write an image to the file; tell, and log, how it went."""
        async with self._writing:
            log = self.node.log.child if in_child else self.node.log
            return await self._write_file(image, log, gently=gently, durable=durable)

    async def _write_file(self, image: Image, log: Log, *, gently: bool, durable: bool) -> bool:
        node = self.node
        config, disk = node.config, node.environment.disk
        temporary, name, folder = self.temporary_name, config.dbfilename, config.dir
        try:
            file = disk.open(config.absolute(temporary), "create")
        except OSError as failure:
            log.warning(
                f"Failed opening the temp RDB file {temporary} (in server root dir {folder}) for "
                f"saving: {error_text(failure)}"
            )
            return False
        pace = Pace(
            node,
            gently=gently,
            incremental_fsync=config.rdb_save_incremental_fsync if durable else None,
        )
        try:
            await _written(pace, image, file)
        except _FailedError as failed:
            log.warning(f"Write error saving DB on disk({failed.operation}): {failed}")
            remove(disk, config.absolute(temporary))
            return False
        try:
            disk.rename(config.absolute(temporary), config.absolute(name))
        except OSError as failure:
            log.warning(
                f"Error moving temp DB file {temporary} on the final destination {name} (in server "
                f"root dir {folder}): {error_text(failure)}"
            )
            remove(disk, config.absolute(temporary))
            return False
        try:
            if durable:
                await disk.sync_directory(folder)
        except OSError as failure:
            log.warning(f"Write error saving DB on disk(fsyncFileDir): {error_text(failure)}")
            return False
        log.notice("DB saved on disk")
        return True

    # -- when it is time ---------------------------------------------------------------------------

    def cron(self) -> None:
        """Begin a save if a save point is reached, and nothing else is written."""
        node = self.node
        now = _now(node)
        for seconds, changes in node.config.save:
            if (
                node.engine.dirty >= changes
                and now - self.last_save > seconds
                and self._may_try(now)
            ):
                node.log.notice(f"{changes} changes in {seconds} seconds. Saving...")
                self.start()
                return

    def start_scheduled(self) -> None:
        """Begin the save that was put off."""
        if self.scheduled and self._may_try(_now(self.node)) and self.start():
            self.scheduled = False

    def _may_try(self, now: int) -> bool:
        return self.last_ok or now - self.last_try > RETRY_S


class _FailedError(Exception):
    """A file was not written; the message is the error's text."""

    def __init__(self, operation: str, failure: OSError) -> None:
        super().__init__(error_text(failure))
        self.operation = operation


async def _written(pace: Pace, image: Image, file: DiskFile) -> None:
    """Write an image to a file and close it."""
    try:
        await pace.write(image, file)
    except OSError as failure:
        operation = "rdbSaveRio" if image.keys_done < image.keys_total else "fsync"
        raise _FailedError(operation, failure) from failure
    finally:
        file.close()


def _now(node: Node) -> int:
    return int(node.environment.unix_time())
