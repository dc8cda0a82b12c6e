"""A host's disk in the simulation: what a power failure takes, and every other way a disk fails.

There is a page cache and a medium. Programs read and write the page cache; `sync` brings a file's
bytes to the medium, `sync_directory` the names in a directory. What waits for thirty seconds gets
there by itself, as on Linux (`medium.py`). A program that is killed leaves the page cache as it is,
as in a real kernel. When the power fails the page cache is gone, and of what was still waiting an
arbitrary part has reached the medium:

- of a file, any prefix of what was written since its last sync, cut at any byte;
- of names made, moved and taken away, any prefix of these operations in their order, as a
  journaling file system keeps them (`names_survive` is for one that writes its journal at once). A
  sync of a directory keeps all operations up to the last one on that directory. POSIX promises no
  more: the sync of a new file does not keep its name.

A sync that fails leaves what it was to write lost for good, also if a later sync succeeds: Linux
marks the pages clean and forgets them. They read well until the power fails; then they are zeros.

Faults are injected one by one (`inject`): errors, short writes, slowness. `capacity_bytes` makes a
disk that fills up. Chance comes from the one random source that the disk is given, so the same seed
loses the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import basename, dirname, normpath
from random import Random
from typing import TYPE_CHECKING, Literal

from redislab.worlds.sim.medium import DIRECTORY, Inode, Naming, Tree

if TYPE_CHECKING:
    from redislab.server.environment import OpenMode

# What a sync takes on a good SSD.
SYNC_SECONDS = 0.001

Operation = Literal[
    "open", "read", "write", "truncate", "sync", "rename", "unlink", "mkdir", "sync_directory"
]


@dataclass(slots=True)
class Fault:
    """Something that goes wrong with the disk.

    Attributes:
        operation: with which call.
        path: a pattern of the file's name (its last part), as in a shell.
        error: the errno that the call fails with; 0 is none.
        short: a write takes at most so many bytes; None is all.
        seconds: a sync takes so much longer.
        skip: how many such calls go well first.
        times: how many go wrong; None is all.
    """

    operation: Operation
    path: str
    error: int
    short: int | None
    seconds: float
    skip: int
    times: int | None

    def strikes(self, operation: Operation, path: str) -> bool:
        """Whether it is this call that goes wrong; counts it."""
        if operation != self.operation or not fnmatchcase(basename(path), self.path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class SimDisk:
    """One host's disk.

    Args:
        random: decides what survives a power failure.
        later: calls back after so many seconds, whatever becomes of the process that asked.
        directory: a directory that is there from the start.
        note: is told of what goes wrong, in words.

    Attributes:
        sync_seconds: how long a sync takes.
        capacity_bytes: how much fits on it; None is without end.
        names_survive: a power failure takes no new, moved or removed name back.
        writes_back: whether what waits long enough gets to the medium without a sync.
        faults: what is still to go wrong.
    """

    def __init__(
        self,
        random: Random,
        later: Callable[[float, Callable[[], None]], object],
        *,
        directory: str = "/data",
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.sync_seconds = SYNC_SECONDS
        self.capacity_bytes: int | None = None
        self.names_survive = False
        self.writes_back = True
        self.faults: list[Fault] = []
        self.directory = directory
        self._random = random
        self._later = later
        self._note = note
        self._tree = Tree("/", directory)
        self._mount: Mount | None = None

    # -- what a scenario does ----------------------------------------------------------------------

    def inject(
        self,
        operation: Operation,
        path: str = "*",
        *,
        error: int = 0,
        short: int | None = None,
        seconds: float = 0.0,
        skip: int = 0,
        times: int | None = 1,
    ) -> Fault:
        """Let a call go wrong; see `Fault`. `error` is an errno, such as errno.EIO."""
        fault = Fault(operation, path, error, short, seconds, skip, times)
        self.faults.append(fault)
        return fault

    def lose_power(self, kept: float | None = None) -> None:
        """The page cache is gone.

        Args:
            kept: the share of what was still waiting that had reached the medium all the same;
                None leaves it to chance.
        """

        def keep(count: int) -> int:
            return self._random.randint(0, count) if kept is None else round(kept * count)

        self.detach()
        self._tree.lose((lambda count: count) if self.names_survive else keep)
        for path in sorted(self._tree.seen.files):
            self._tree.seen.files[path].lose(keep)

    def wipe(self) -> None:
        """A new, empty disk."""
        self.detach()
        self._tree = Tree("/", self.directory)

    def files(self) -> dict[str, bytes]:
        """Every file as programs see it: its path and its bytes."""
        return {path: bytes(inode.content) for path, inode in sorted(self._tree.seen.files.items())}

    def medium(self) -> dict[str, bytes]:
        """What would be left of every file if the power failed now and no more had got there."""
        return {path: inode.durable for path, inode in sorted(self._tree.kept.files.items())}

    def put(self, files: Mapping[str, bytes]) -> None:
        """Lay files on the disk, synced, in place of those of their names; so are all names."""
        tree = self._tree
        tree.settle(tree.made)
        for path, data in files.items():
            inode = Inode(data)
            for names in (tree.seen, tree.kept):
                names.files[path] = inode
                parent = dirname(path)
                while parent not in names.directories:
                    names.directories[parent] = None
                    parent = dirname(parent)

    # -- what a process gets -----------------------------------------------------------------------

    def mount(self) -> Mount:
        """The disk for one run of a program."""
        self.detach()
        self._mount = Mount(self)
        return self._mount

    def detach(self) -> None:
        """The program has ended: whatever is left of its code reads and writes nothing."""
        if self._mount is not None:
            self._mount.is_detached = True
            self._mount = None

    # -- for `Mount` -------------------------------------------------------------------------------

    def strike(self, operation: Operation, path: str) -> Fault | None:
        """The fault that this call meets, if any; raises OSError if it only fails."""
        for fault in self.faults:
            if not fault.strikes(operation, path):
                continue
            if fault.times == 0:
                self.faults.remove(fault)
            slow_or_short = "slow" if fault.short is None else "short"
            what = os.strerror(fault.error) if fault.error else slow_or_short
            self._note(f"{operation} {path}: {what}")
            if fault.error and operation not in {"sync", "sync_directory"}:
                raise OSError(fault.error, os.strerror(fault.error), path)
            return fault
        return None

    def inode(self, path: str) -> Inode:
        """The file of a name."""
        inode = self.find(path)
        if inode is None:
            code = errno.EISDIR if path in self._tree.seen.directories else errno.ENOENT
            raise OSError(code, os.strerror(code), path)
        return inode

    def create(self, path: str) -> Inode:
        """The file of a name, made if there is none."""
        if path not in self._tree.seen.files:
            self._check_new(path)
            self._name((path, Inode()))
        return self._tree.seen.files[path]

    def rename(self, source: str, target: str) -> None:
        """Move a name."""
        self.inode(source)
        if target not in self._tree.seen.files:
            self._check_new(target)
        if source != target:
            self._name((target, source))

    def unlink(self, path: str) -> None:
        """Take a name away."""
        self.inode(path)
        self._name((path, None))

    def mkdir(self, path: str) -> None:
        """Make a directory."""
        if path in self._tree.seen.directories or path in self._tree.seen.files:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        self._check_new(path)
        self._name((path, DIRECTORY))

    def listdir(self, path: str) -> Iterator[str]:
        """The names in a directory, in order."""
        names = self._tree.seen
        if path not in names.directories:
            code = errno.ENOTDIR if path in names.files else errno.ENOENT
            raise OSError(code, os.strerror(code), path)
        everything = sorted([*names.files, *names.directories])
        return (basename(name) for name in everything if dirname(name) == path != name)

    def find(self, path: str) -> Inode | None:
        """The file of a name, if there is one."""
        return self._tree.seen.files.get(path)

    def changed(self, what: Inode | Tree) -> None:
        """A change waits for the medium."""
        if self.writes_back:
            what.age(self._later)

    def room(self) -> int | None:
        """How many bytes still fit; None is without end."""
        if self.capacity_bytes is None:
            return None
        used = sum(len(inode.content) for inode in self._tree.seen.files.values())
        return max(0, self.capacity_bytes - used)

    async def wait(self, operation: Operation, path: str, done: Callable[[bool], None]) -> None:
        """Let a sync take its time; `done` hears whether it went well, whoever is dead by then."""
        fault = self.strike(operation, path)
        error = fault.error if fault is not None else 0
        seconds = self.sync_seconds + (fault.seconds if fault is not None else 0.0)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def over() -> None:
            done(not error)
            if future.done():
                return
            if error:
                future.set_exception(OSError(error, os.strerror(error), path))
            else:
                future.set_result(None)

        self._later(seconds, over)
        await future

    def settle(self, operation: Operation, path: str, done: Callable[[bool], None]) -> None:
        """A sync that the program stands still for; `done` hears whether it went well."""
        fault = self.strike(operation, path)
        error = fault.error if fault is not None else 0
        done(not error)
        if error:
            raise OSError(error, os.strerror(error), path)

    def names_synced(self, path: str) -> Callable[[bool], None]:
        """What brings a directory's names, as they are now, to the medium."""
        tree, last = self._tree, 0
        for at, (target, source) in enumerate(tree.pending, 1):
            moved_from = dirname(source) if isinstance(source, str) else None
            if path in {dirname(target), moved_from}:
                last = at
        until = tree.synced + last

        def done(went_well: bool) -> None:
            if went_well:
                tree.settle(until)

        return done

    def _name(self, naming: Naming) -> None:
        self._tree.name(naming)
        self.changed(self._tree)

    def _check_new(self, path: str) -> None:
        if path in self._tree.seen.directories:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if dirname(path) not in self._tree.seen.directories:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


class Mount:
    """A `SimDisk` as one run of a program sees it: a `redislab.server.environment.Disk`."""

    def __init__(self, disk: SimDisk) -> None:
        self._disk = disk
        self.is_detached = False

    def open(self, path: str, mode: OpenMode) -> SimFile:
        """Open a file."""
        path = self._begin("open", path)
        inode = self._disk.inode(path) if mode == "read" else self._disk.create(path)
        file = SimFile(self, self._disk, path, inode, is_read=mode == "read")
        if mode == "create":
            file.empty()
        return file

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, in place of the file that has it."""
        self._disk.rename(normpath(source), self._begin("rename", target))

    def unlink(self, path: str) -> None:
        """Take a file's name away."""
        self._disk.unlink(self._begin("unlink", path))

    def mkdir(self, path: str) -> None:
        """Make a directory; raises FileExistsError if there is one."""
        self._disk.mkdir(self._begin("mkdir", path))

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        self.check()
        return list(self._disk.listdir(normpath(path)))

    def size(self, path: str) -> int | None:
        """How many bytes a file has; None if there is no such file."""
        self.check()
        inode = self._disk.find(normpath(path))
        return None if inode is None else len(inode.content)

    async def sync_directory(self, path: str) -> None:
        """Wait until the names in a directory are on the medium."""
        self.check()
        path = normpath(path)
        self._disk.listdir(path)
        await self._disk.wait("sync_directory", path, self._disk.names_synced(path))

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        file = self.open(path, "read")
        return file.read(file.size())

    def overwrite(self, path: str, data: bytes) -> None:
        """Put a file in the place of what has its name, in one step; here that takes no time."""
        fresh = f"{path}.rewrite"
        file = self.open(fresh, "create")
        try:
            while data:
                data = data[file.write(data) :]
            file.settle()
            self.rename(fresh, path)
        except OSError:
            with contextlib.suppress(OSError):
                self.unlink(fresh)
            raise
        directory = dirname(normpath(path))
        self._disk.settle("sync_directory", directory, self._disk.names_synced(directory))

    def check(self) -> None:
        """Raises OSError for what is left of a program that has ended."""
        if self.is_detached:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def _begin(self, operation: Operation, path: str) -> str:
        self.check()
        path = normpath(path)
        self._disk.strike(operation, path)
        return path


class SimFile:
    """An open file: a `redislab.server.environment.DiskFile`."""

    def __init__(
        self, mount: Mount, disk: SimDisk, path: str, inode: Inode, *, is_read: bool
    ) -> None:
        self._mount = mount
        self._disk = disk
        self._path = path
        self._inode: Inode | None = inode
        self._is_read = is_read
        self._position = 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes from where the last read ended; b"" at the end."""
        inode = self._open(to_read=True)
        self._disk.strike("read", self._path)
        data = bytes(inode.content[self._position : self._position + size])
        self._position += len(data)
        return data

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write at the end, into the page cache; returns how many bytes were taken."""
        inode = self._open(to_read=False)
        fault = self._disk.strike("write", self._path)
        taken = bytes(data)
        if fault is not None and fault.short is not None:
            taken = taken[: fault.short]
        room = self._disk.room()
        if room is not None and len(taken) > room:
            if not room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
            taken = taken[:room]
        if taken:
            inode.write(taken)
            self._disk.changed(inode)
        return len(taken)

    def truncate(self, size: int) -> None:
        """Cut it down to `size` bytes."""
        self._open(to_read=False)
        self._disk.strike("truncate", self._path)
        self._cut(size)

    def size(self) -> int:
        """How many bytes it has."""
        return len(self._open().content)

    async def sync(self) -> None:
        """Wait until what was written before is on the medium; raises OSError if it may not be."""
        await self._disk.wait("sync", self._path, self._synced())

    def settle(self) -> None:
        """The same at once; raises OSError if what was written may not be on the medium."""
        self._disk.settle("sync", self._path, self._synced())

    def _synced(self) -> Callable[[bool], None]:
        """What brings the file, as it is now, to the medium, or keeps it from it for good."""
        inode = self._open()
        until = inode.made

        def done(went_well: bool) -> None:
            if went_well:
                inode.settle(until)
            else:
                inode.poison(until)

        return done

    def close(self) -> None:
        """Close it. May be called again."""
        self._inode = None

    def empty(self) -> None:
        """Cut it down to nothing, as opening it to be made anew does."""
        self._cut(0)

    def _cut(self, size: int) -> None:
        inode = self._open()
        if size > len(inode.content):
            raise OSError(errno.EINVAL, "a simulated file only shrinks", self._path)
        if size < len(inode.content):
            inode.cut(size)
            self._disk.changed(inode)

    def _open(self, *, to_read: bool | None = None) -> Inode:
        self._mount.check()
        if self._inode is None or to_read not in {None, self._is_read}:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._inode
