"""Bytes that come in pieces, and parsers that wait for them.

A parser here is a generator: it yields where it needs more bytes than there are, and goes on when
they have come, so that a file can be read from a socket without stopping anything else. `Feed`
holds the bytes that have come and were not read yet; a parser takes them from `data`, from `at` on.

A plain function `parse(data, at)` returns what it found and where that ends. It raises `Short` (or
IndexError, for a single byte) when the data end too early; `Feed.step` runs one and, if it is
short, waits and runs it again. So such a function reads little; long things take many steps.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from redislab.wire.rdb.crc64 import crc64
from redislab.wire.rdb.faults import Fault, RdbError, cut_short

T = TypeVar("T")

# Yields while it waits for bytes; returns what it has read.
Parsing = Generator[None, None, T]


class Short(Exception):  # noqa: N818 - no error: it is how a parser asks for more
    """There are too few bytes.

    Attributes:
        at: up to where the data were read.
        need: how long the data must be at the least.
    """

    def __init__(self, at: int, need: int) -> None:
        super().__init__(at, need)
        self.at = at
        self.need = need


class Feed:
    """The bytes that a parser has not read yet.

    Args:
        checksum: keep the checksum of what was read.

    Attributes:
        data: bytes at hand; those before `at` have been read.
        ended: no more bytes will come.
        wanted: how many bytes must have come before it is of use to go on.
    """

    def __init__(self, *, checksum: bool = False) -> None:
        self.data = b""
        self.at = 0
        self.ended = False
        self.wanted = 1
        self._base = 0  # how many bytes were there before `data`
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._checksum = 0 if checksum else None

    @property
    def offset(self) -> int:
        """How many bytes were read in all."""
        return self._base + self.at

    def add(self, data: bytes) -> bool:
        """More bytes have come; tell whether there are enough to go on."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        return self._waiting_bytes >= self.wanted

    def more(self, short: Short | None = None) -> Parsing[None]:
        """Wait for more bytes; `data` begins with the first one not read, and `at` is 0.

        Raises:
            RdbError: no more will come.
        """
        end = len(self.data)
        self.wanted = 1 if short is None else max(short.need - end, 1)
        while self._waiting_bytes < self.wanted:
            if self.ended:
                self.at = end if short is None else short.at
                raise cut_short()
            yield
        self._forget()
        self.data = b"".join([self.data, *self._waiting])
        self._waiting.clear()
        self._waiting_bytes = 0
        self.wanted = 1

    def step(
        self, parse: Callable[[bytes, int], tuple[T, int]], cut: Fault | None = None
    ) -> Parsing[T]:
        """Read one thing.

        Raises:
            RdbError: the data end too early, or are bad; with the words of `cut` for the former.
        """
        while True:
            short = None
            try:
                found, self.at = parse(self.data, self.at)
            except IndexError:
                pass
            except Short as fewer:
                short = fewer
            else:
                return found
            try:
                yield from self.more(short)
            except RdbError as error:
                raise RdbError(cut, short=True) if cut is not None else error from None

    def checksum(self) -> int | None:
        """The checksum of all that was read, or None if none is kept."""
        self._forget()
        return self._checksum

    def rest(self) -> bytes:
        """What has come and was not read."""
        return b"".join([self.data[self.at :], *self._waiting])

    def _forget(self) -> None:
        """Let go of the bytes that were read."""
        if not self.at:
            return
        if self._checksum is not None:
            self._checksum = crc64(self.data[: self.at], self._checksum)
        self._base += self.at
        self.data = self.data[self.at :]
        self.at = 0
