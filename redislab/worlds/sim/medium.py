"""What lies between a page cache and the medium: changes that were made and have not got there yet.

A file's bytes and the tree of names are kept in the same way: as programs see them, as they are on
the medium, and the list of changes between the two, in order. A sync brings changes to the medium,
and so does time, for the kernel writes back by itself what is old. When the power fails, the medium
is what counts, and some prefix of the changes that had got there all the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

ChangeT = TypeVar("ChangeT")

# Linux looks every five seconds for what has been waiting for thirty (dirty_writeback_centisecs,
# dirty_expire_centisecs).
WRITE_BACK_STEP_SECONDS = 5.0
WRITE_BACK_STEPS = 6


class Unsynced(ABC, Generic[ChangeT]):
    """Something with changes that the medium has not got.

    Attributes:
        pending: those changes, in order.
        synced: how many of all that were ever made the medium has.
    """

    def __init__(self) -> None:
        self.pending: list[ChangeT] = []
        self.synced = 0
        # How many changes there were at each of the kernel's last looks.
        self._looks: deque[int] = deque()
        self._is_looked_at = False

    @abstractmethod
    def apply(self, change: ChangeT) -> None:
        """Bring a change to the medium."""

    @abstractmethod
    def weigh(self, change: ChangeT) -> int:
        """In how many steps a change gets to the medium."""

    @abstractmethod
    def apply_part(self, change: ChangeT, steps: int) -> None:
        """Bring the first steps of a change to the medium."""

    @abstractmethod
    def forget(self) -> None:
        """From now on it is what is on the medium."""

    @property
    def made(self) -> int:
        """How many changes were ever made."""
        return self.synced + len(self.pending)

    def settle(self, until: int) -> None:
        """The first `until` of all changes are on the medium."""
        count = until - self.synced
        if count > 0:
            for change in self.pending[:count]:
                self.apply(change)
            del self.pending[:count]
            self.synced = until

    def lose(self, keep: Callable[[int], int]) -> None:
        """The power fails; `keep` says how many of so many steps had been taken all the same."""
        left = keep(sum(self.weigh(change) for change in self.pending))
        for change in self.pending:
            if left <= 0:
                break
            weight = self.weigh(change)
            if weight <= left:
                self.apply(change)
            else:
                self.apply_part(change, left)
            left -= weight
        self.synced += len(self.pending)
        self.pending.clear()
        self.forget()

    def age(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        """A change was made: the kernel will look, again and again, until nothing is pending."""

        def look() -> None:
            self._looks.append(self.made)
            if len(self._looks) > WRITE_BACK_STEPS:
                self.settle(self._looks.popleft())
            self._is_looked_at = bool(self.pending)
            if self._is_looked_at:
                later(WRITE_BACK_STEP_SECONDS, look)
            else:
                self._looks.clear()

        if not self._is_looked_at:
            self._is_looked_at = True
            later(WRITE_BACK_STEP_SECONDS, look)


class Inode(Unsynced["bytes | int"]):
    """A file: a change is what was written, or the size that it was cut down to.

    Attributes:
        content: its bytes as programs see them.
    """

    def __init__(self, content: bytes = b"") -> None:
        super().__init__()
        self.content = bytearray(content)
        self._durable = bytearray(content)

    @property
    def durable(self) -> bytes:
        """Its bytes as they are on the medium."""
        return bytes(self._durable)

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        self.content += data
        self.pending.append(data)

    def cut(self, size: int) -> None:
        """Cut it down."""
        del self.content[size:]
        self.pending.append(size)

    def poison(self, until: int) -> None:
        """A sync of the first `until` changes has failed: their bytes will never get there."""
        for at in range(max(0, until - self.synced)):
            change = self.pending[at]
            if not isinstance(change, int):
                self.pending[at] = bytes(len(change))

    def apply(self, change: bytes | int) -> None:
        """Bring a change to the medium."""
        if isinstance(change, int):
            del self._durable[change:]
        else:
            self._durable += change

    def weigh(self, change: bytes | int) -> int:
        """A step for each byte; a cut is one."""
        return 1 if isinstance(change, int) else len(change)

    def apply_part(self, change: bytes | int, steps: int) -> None:
        """Bring the first bytes of a write to the medium."""
        if not isinstance(change, int):
            self._durable += change[:steps]

    def forget(self) -> None:
        """From now on it is what is on the medium."""
        self.content = bytearray(self._durable)


# What was done to names: (target, source) is a rename, (path, inode) a new name, (path, None) one
# taken away, (path, DIRECTORY) a new directory.
Naming = tuple[str, "str | Inode | None"]
DIRECTORY = "/"


class Names:
    """A tree of names, flat: files by their path, and directories."""

    __slots__ = ("directories", "files")

    def __init__(self) -> None:
        self.files: dict[str, Inode] = {}
        self.directories: dict[str, None] = {}

    def apply(self, naming: Naming) -> None:
        """Do to names what was done."""
        path, what = naming
        if what is None:
            self.files.pop(path, None)
        elif what == DIRECTORY:
            self.directories[path] = None
        elif isinstance(what, str):
            self.files[path] = self.files.pop(what)
        else:
            self.files[path] = what


class Tree(Unsynced[Naming]):
    """The names of a file system: a change is something done to a name.

    Args:
        directories: that are there from the start.

    Attributes:
        seen: the names as programs see them.
        kept: the names on the medium.
    """

    def __init__(self, *directories: str) -> None:
        super().__init__()
        self.seen = Names()
        self.kept = Names()
        self.seen.directories = dict.fromkeys(directories)
        self.kept.directories = dict.fromkeys(directories)

    def name(self, naming: Naming) -> None:
        """Do something to a name."""
        self.seen.apply(naming)
        self.pending.append(naming)

    def apply(self, change: Naming) -> None:
        """Bring what was done to the medium."""
        self.kept.apply(change)

    def weigh(self, change: Naming) -> int:
        """A name is there or it is not."""
        return 1

    def apply_part(self, change: Naming, steps: int) -> None:
        """Nothing is done to half a name."""

    def forget(self) -> None:
        """From now on the names are those on the medium."""
        self.seen.files = dict(self.kept.files)
        self.seen.directories = dict(self.kept.directories)
