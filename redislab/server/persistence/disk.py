"""Small things that everything here does with a disk (`environment.py` says what a disk is)."""

from __future__ import annotations

import errno
import os
from asyncio import Task
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from redislab.server.environment import Disk, DiskFile
    from redislab.server.node import Node

T = TypeVar("T")


def error_text(failure: OSError) -> str:
    """What the C library says of an error, as Redis logs it."""
    return os.strerror(failure.errno or errno.EIO)


def is_directory(disk: Disk, path: str) -> bool:
    """Whether there is such a directory."""
    try:
        disk.listdir(path)
    except OSError:
        return False
    return True


def make_directory(disk: Disk, path: str) -> None:
    """Make a directory if it is not there; raises OSError if that cannot be."""
    try:
        disk.mkdir(path)
    except FileExistsError:
        if not is_directory(disk, path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None


def write_all(file: DiskFile, data: bytes) -> None:
    """Write all of it; raises OSError where that does not go."""
    taken = file.write(data)
    if taken < len(data):
        rest = memoryview(data)[taken:]
        while rest:
            taken = file.write(rest)
            if not taken:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            rest = rest[taken:]


def read_pieces(file: DiskFile, size: int = 1 << 16) -> Iterator[bytes]:
    """The rest of a file, in pieces."""
    while piece := file.read(size):
        yield piece


def read_file(disk: Disk, path: str) -> bytes:
    """All of a small file; raises OSError."""
    file = disk.open(path, "read")
    try:
        return b"".join(read_pieces(file))
    finally:
        file.close()


def remove(disk: Disk, path: str) -> None:
    """Take a file away, if it is there and that can be done."""
    with suppress(OSError):
        disk.unlink(path)


def in_background(node: Node, work: Coroutine[Any, Any, T]) -> Task[T]:
    """Do something beside everything else; it ends with the node."""
    task = node.loop.create_task(work)
    tasks = node.persistence.tasks
    tasks[task] = None
    task.add_done_callback(lambda _: tasks.pop(task, None))
    return task
