"""What a node gets from the world it runs in: clocks, chance, a log, a disk, figures about itself.

A node has no clock, no random source and no file of its own, so that the same code runs in virtual
time and in real time. `Environment` is the whole of that seam beside asyncio.

A `Disk` is as much of a file system as Redis's persistence uses. What does not wait for the medium
in a real kernel does not wait here either: a write goes to the page cache. What does wait, fsync,
is awaited, so that a loop never stands still for a disk; only a configuration file is rewritten
with the process standing still for it, as Redis does. Paths are absolute, with slashes, in a
`str`. Every call raises the OSError that the kernel would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

from redislab.wire.rdb.strings import Compress

# How a file is opened: to be read from its beginning; to be written at its end, made if it is
# missing; or the same, emptied first.
OpenMode = Literal["read", "append", "create"]


class DiskFile(Protocol):
    """An open file."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes from where the last read ended; b"" at the end."""
        ...

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write at the end of the file, into the page cache.

        Returns:
            How many bytes were taken: fewer than were given when the disk fills up, as write(2).
        """
        ...

    def truncate(self, size: int) -> None:
        """Cut the file down to `size` bytes."""
        ...

    def size(self) -> int:
        """How many bytes it has."""
        ...

    async def sync(self) -> None:
        """fsync: return when what was written before the call is on the medium.

        An error means that it may not be, and that a later success does not make up for it.
        """
        ...

    def close(self) -> None:
        """Close it. What was written stays in the page cache."""
        ...


class Disk(Protocol):
    """A file system."""

    def open(self, path: str, mode: OpenMode) -> DiskFile:
        """Open a file."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, in place of the file that has it."""
        ...

    def unlink(self, path: str) -> None:
        """Take a file's name away."""
        ...

    def mkdir(self, path: str) -> None:
        """Make a directory; raises FileExistsError if there is one."""
        ...

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        ...

    def size(self, path: str) -> int | None:
        """How many bytes a file has; None if there is no such file."""
        ...

    async def sync_directory(self, path: str) -> None:
        """Make the names in a directory, as they are now, survive a power failure (fsync)."""
        ...

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        ...

    def overwrite(self, path: str, data: bytes) -> None:
        """Put a file in the place of what has its name, in one step, and stand still for that.

        Who looks finds the old file or the new one, and the new one survives a power failure. If
        it fails, the old one is there as it was.
        """
        ...


class Program(Protocol):
    """A program of this machine that a node has started (of `subprocess.Popen`)."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def poll(self) -> int | None:
        """Its exit code, or a signal's number below zero; None while it runs."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


# Starts a program: its absolute path, its arguments (the first is its name), where it is to work.
# Raises OSError if it cannot be executed.
StartProgram = Callable[[str, Sequence[str], str], Program]


@dataclass(slots=True)
class Environment:
    """A node's surroundings.

    Attributes:
        name: the node's name in its lab, such as `redis-6379`.
        random: the node's own random source.
        unix_time: seconds since the epoch.
        clock: a monotonic clock in seconds, fine enough to time one command. In a simulation it
            is the virtual clock, so a command takes no time there.
        log: takes one complete line of the log, without its line end.
        process_id: what INFO and the log show.
        cpu_time: (system, user) seconds of processor time used so far.
        rss: bytes of memory resident.
        disk: the file system that its files are on.
        directory: where they are unless its configuration says otherwise: `dir`. It may not be
            there before the first file is written; `disk` makes it then.
        utc_offset: seconds that the log's clock is ahead of UTC.
        machine: what INFO shows as `os`, and the machine's memory in bytes.
        start_program: starts a program of the machine; None where there are none.
        compress: compresses strings in RDB, as `redislab.wire.rdb.lzf.compress` does; None where
            none are compressed, as in a simulation: what comes out is not always the same.
    """

    name: str
    random: Random
    unix_time: Callable[[], float]
    clock: Callable[[], float]
    log: Callable[[str], None]
    process_id: int
    cpu_time: Callable[[], tuple[float, float]]
    rss: Callable[[], int]
    disk: Disk
    directory: str
    utc_offset: float = 0.0
    machine: tuple[str, int] = ("Simulated 1.0 virtual", 8 * 1024**3)
    start_program: StartProgram | None = None
    compress: Compress | None = None
