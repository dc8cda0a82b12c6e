"""Libraries of functions in RDB (`rdbFunctionLoad`, `rdbSaveFunctions` in `src/rdb.c`, 7.0).

A library is its source, which begins with `#!engine name=...`. The release candidates of 7.0 kept
engine and name apart; a library written so comes out in today's form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from redislab.wire.rdb.faults import Fault, RdbError
from redislab.wire.rdb.feed import Feed, Parsing
from redislab.wire.rdb.opcodes import Opcode
from redislab.wire.rdb.strings import WriteString, read_length, read_string, string

LIBRARIES = frozenset({Opcode.FUNCTION, Opcode.FUNCTION_2})

T = TypeVar("T")


def read_library(feed: Feed, opcode: int) -> Parsing[bytes]:
    """The source of a library.

    Raises:
        RdbError: the data end too early, or are damaged; the reason says what could not be read.
    """
    if opcode == Opcode.FUNCTION_2:
        return (yield from _read(feed, read_string, "library payload"))
    name = yield from _read(feed, read_string, "library name")
    engine = yield from _read(feed, read_string, "engine name")
    if (yield from _read(feed, read_length, "library description indicator")):
        yield from _read(feed, read_string, "library description")
    blob = yield from _read(feed, read_string, "library blob")
    return b"#!%b name=%b\n%b" % (engine, name, blob)


def _read(feed: Feed, parse: Callable[[bytes, int], tuple[T, int]], what: str) -> Parsing[T]:
    cut = Fault(0, f"Failed loading {what}")
    try:
        return (yield from feed.step(parse, cut))
    except RdbError as error:
        raise RdbError(cut, at=error.at, short=error.short) from None


def write_library(source: bytes, write: WriteString = string) -> bytes:
    """A library as it stands in a file, and in what FUNCTION DUMP answers."""
    return bytes((Opcode.FUNCTION_2,)) + write(source)
