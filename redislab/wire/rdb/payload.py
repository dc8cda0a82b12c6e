"""What DUMP and FUNCTION DUMP answer, and RESTORE takes (`src/cluster.c`, `functions.c`, 7.0).

A payload is a value as it stands in RDB, or libraries of functions, and a footer: the version of
RDB in two bytes and the checksum of all before in eight, little-endian both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from redislab.wire.rdb.crc64 import crc64
from redislab.wire.rdb.faults import Fault, RdbError, unknown_type
from redislab.wire.rdb.feed import Feed, Parsing
from redislab.wire.rdb.libraries import LIBRARIES, read_library, write_library
from redislab.wire.rdb.objects import read_object
from redislab.wire.rdb.opcodes import TYPES, VERSION
from redislab.wire.rdb.strings import WriteString, read_byte, string

_VERSION_BYTES, _CHECKSUM_BYTES = 2, 8
FOOTER_BYTES = _VERSION_BYTES + _CHECKSUM_BYTES

T = TypeVar("T")


def seal(body: bytes) -> bytes:
    """A payload: the body with its footer."""
    body += VERSION.to_bytes(_VERSION_BYTES, "little")
    return body + crc64(body).to_bytes(_CHECKSUM_BYTES, "little")


def is_sound(payload: bytes) -> bool:
    """Whether the footer is one of a version that is read here, with the right checksum."""
    if len(payload) < FOOTER_BYTES:
        return False
    body, found = payload[:-_CHECKSUM_BYTES], payload[-_CHECKSUM_BYTES:]
    version = int.from_bytes(body[-_VERSION_BYTES:], "little")
    return version <= VERSION and crc64(body) == int.from_bytes(found, "little")


def read_value(payload: bytes) -> tuple[int, Any]:
    """The type and the value (as in `objects.py`) in a sound payload.

    What stands behind the value is not looked at, and a value that is too long for its body reaches
    into the footer: both as in Redis.

    Raises:
        RdbError: it is damaged, or there is no value in it.
    """
    return _run(payload, _value)


def _value(feed: Feed) -> Parsing[tuple[int, Any]]:
    kind = yield from feed.step(read_byte)
    if kind not in TYPES:
        raise unknown_type(kind)
    return kind, (yield from read_object(feed, kind))


def write_libraries(sources: Iterable[bytes], write: WriteString = string) -> bytes:
    """What FUNCTION DUMP answers for libraries with these sources."""
    return seal(b"".join([write_library(source, write) for source in sources]))


def read_sources(payload: bytes) -> list[bytes]:
    """The sources of the libraries in a sound payload.

    Raises:
        RdbError: it is damaged, or holds something else; the reason is FUNCTION RESTORE's error.
    """
    return _run(payload, _libraries)


def _libraries(feed: Feed) -> Parsing[list[bytes]]:
    found = []
    while len(feed.data) - feed.at > FOOTER_BYTES:
        opcode = yield from feed.step(read_byte)
        if opcode not in LIBRARIES:
            raise RdbError(Fault(0, "given type is not a function"))
        found.append((yield from read_library(feed, opcode)))
    return found


def _run(payload: bytes, parse: Callable[[Feed], Parsing[T]]) -> T:
    """What a parser makes of a payload, which is all there is."""
    feed = Feed()
    feed.data = payload
    feed.ended = True
    parsing = parse(feed)
    try:
        while True:
            next(parsing)
    except StopIteration as finished:
        found: T = finished.value
        return found
