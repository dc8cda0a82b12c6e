"""The real file system as a node's disk (`environment.py` says what a disk is).

fsync runs in a thread of the loop's executor, as Redis's does in a thread of its own (`bio.c`), and
is what `redis_fsync` of `config.h` makes of it on each system.
"""

# The kernel's calls, under the kernel's names.
# ruff: noqa: PTH102, PTH105, PTH108, PTH116, PTH120, PTH123, PTH208

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from redislab.server.environment import OpenMode

_FLAGS: dict[OpenMode, int] = {
    "read": os.O_RDONLY,
    "append": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "create": os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC,
}
_MODE = 0o644


class FileSystem:
    """The files of this machine.

    Args:
        prepare: called before anything is written: makes the node's directory.
    """

    def __init__(self, prepare: Callable[[], object] | None = None) -> None:
        self._prepare = prepare
        self._is_detached = False

    def detach(self) -> None:
        """The process that it belongs to is dead: whatever is left of its code writes nothing."""
        self._is_detached = True

    def open(self, path: str, mode: OpenMode) -> File:
        """Open a file."""
        if mode == "read":
            self.check()
        else:
            self._about_to_write()
        return File(os.open(path, _FLAGS[mode] | os.O_CLOEXEC, _MODE), self)

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, in place of the file that has it."""
        self._about_to_write()
        os.replace(source, target)

    def unlink(self, path: str) -> None:
        """Take a file's name away."""
        self._about_to_write()
        os.unlink(path)

    def mkdir(self, path: str) -> None:
        """Make a directory; raises FileExistsError if there is one."""
        self._about_to_write()
        os.mkdir(path, 0o755)

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        self._about_to_write()
        return sorted(os.listdir(path))

    def size(self, path: str) -> int | None:
        """How many bytes a file has; None if there is no such file."""
        self.check()
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    async def sync_directory(self, path: str) -> None:
        """Wait until the names in a directory are on the medium."""
        self._about_to_write()
        await _sync(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        self.check()
        return Path(path).read_bytes()

    def overwrite(self, path: str, data: bytes) -> None:
        """Put a file in the place of what has its name, in one step, and wait for the medium."""
        self._about_to_write()
        fresh = f"{path}.rewrite"
        try:
            with open(os.open(fresh, _FLAGS["create"] | os.O_CLOEXEC, _MODE), "wb") as sink:
                sink.write(data)
                sink.flush()
                _sync_and_close(os.dup(sink.fileno()))
            os.replace(fresh, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            raise
        _sync_and_close(os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC))

    def check(self) -> None:
        """Raises OSError for code of a process that is dead."""
        if self._is_detached:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def _about_to_write(self) -> None:
        self.check()
        if self._prepare is not None:
            prepare, self._prepare = self._prepare, None
            prepare()


class File:
    """An open file of this machine."""

    def __init__(self, descriptor: int, disk: FileSystem) -> None:
        self._descriptor = descriptor
        self._disk = disk

    def read(self, size: int) -> bytes:
        """At most `size` bytes from where the last read ended; b"" at the end."""
        return os.read(self._own(), size)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write at the end; returns how many bytes were taken."""
        return os.write(self._own(), data)

    def truncate(self, size: int) -> None:
        """Cut it down to `size` bytes."""
        os.ftruncate(self._own(), size)

    def size(self) -> int:
        """How many bytes it has."""
        return os.fstat(self._own()).st_size

    async def sync(self) -> None:
        """Wait until what was written is on the medium."""
        # A descriptor of its own: this one may be closed, and its number used again, meanwhile.
        await _sync(os.dup(self._own()))

    def close(self) -> None:
        """Close it. May be called again."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def _own(self) -> int:
        self._disk.check()
        if self._descriptor < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._descriptor


async def _sync(descriptor: int) -> None:
    """Sync a descriptor in another thread, and close it there."""
    await asyncio.get_running_loop().run_in_executor(None, _sync_and_close, descriptor)


def _sync_and_close(descriptor: int) -> None:
    try:
        if sys.platform == "darwin":
            import fcntl

            # fsync leaves it in the drive's own cache there.
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        elif hasattr(os, "fdatasync") and not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.fdatasync(descriptor)
        else:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
