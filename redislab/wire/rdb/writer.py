"""Writing values and whole files (`rdbSaveRio`, `rdbSaveObject` in `src/rdb.c` of Redis 7.0).

A small value is written in its compact encoding (`packing.py`), a large one element by element in a
plain type; a stream has but one form (`streams.py`). Everything comes out in pieces, of a value as
well, so that a large one can be written a little at a time; `in_chunks` joins them and ends the
file with its checksum. An empty piece says that some work was done of which nothing is seen yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from struct import Struct

from redislab.wire.rdb.crc64 import crc64
from redislab.wire.rdb.opcodes import CHECKSUM_BYTES, MAGIC, VERSION, Opcode
from redislab.wire.rdb.strings import WriteString, length, string

CHUNK_BYTES = 1 << 13  # some hundred small keys: a millisecond or two
_SLICE = 128  # elements that are written in one piece

_SCORE = Struct("<d")
_EXPIRES = Struct("<Bq")
_END = bytes((Opcode.END,))

# -- values ---------------------------------------------------------------------------------------


def write_elements(elements: Collection[bytes], write: WriteString = string) -> Iterator[bytes]:
    """A set as Type.SET, or a list as Type.LIST; `write` writes a string."""
    yield length(len(elements))
    rest = iter(elements)
    while piece := b"".join([write(element) for element in islice(rest, _SLICE)]):
        yield piece


def write_pairs(
    pairs: Collection[tuple[bytes, bytes]], write: WriteString = string
) -> Iterator[bytes]:
    """The fields and values of a hash, as Type.HASH."""
    yield length(len(pairs))
    rest = iter(pairs)
    while piece := b"".join([write(text) for pair in islice(rest, _SLICE) for text in pair]):
        yield piece


def write_scores(
    order: Sequence[tuple[float, bytes]], write: WriteString = string
) -> Iterator[bytes]:
    """The scores and members of a sorted set, as Type.ZSET_2.

    The greatest comes first: Redis puts them together faster so.

    Args:
        order: the pairs in rising order.
        write: writes a string.
    """
    yield length(len(order))
    rest = reversed(order)
    pack = _SCORE.pack
    while part := list(islice(rest, _SLICE)):
        yield b"".join([write(member) + pack(score) for score, member in part])


def key_head(
    kind: int,
    key: bytes,
    expires_ms: int | None,
    idle_s: int | None,
    frequency: int | None,
    write: WriteString = string,
) -> bytes:
    """What stands before a value: the attributes of its key, its type, the key."""
    head = b""
    if expires_ms is not None:
        head = _EXPIRES.pack(Opcode.EXPIRES_MS, expires_ms)
    if idle_s is not None:
        head += bytes((Opcode.IDLE,)) + length(idle_s)
    if frequency is not None:
        head += bytes((Opcode.FREQUENCY, frequency))
    return b"%b%c%b" % (head, kind, write(key))


# -- files ----------------------------------------------------------------------------------------


def header() -> bytes:
    """What a file begins with."""
    return b"%b%04d" % (MAGIC, VERSION)


def aux(name: bytes, value: bytes, write: WriteString = string) -> bytes:
    """A fact about the file."""
    return bytes((Opcode.AUX,)) + write(name) + write(value)


def database_head(number: int, keys: int, expiring: int) -> bytes:
    """What stands before the keys of a database: its number, and how many they are."""
    return b"%c%b%c%b%b" % (
        Opcode.SELECT_DB,
        length(number),
        Opcode.RESIZE_DB,
        length(keys),
        length(expiring),
    )


def in_chunks(pieces: Iterable[bytes], *, checksum: bool = True) -> Iterator[bytes]:
    """A file in chunks of about `CHUNK_BYTES`, its end and checksum among them.

    Where a piece is empty the chunk ends, and may be as empty: each takes a millisecond or two.

    Args:
        pieces: everything before the end, the header first.
        checksum: write the checksum, not zeros in its place (`rdbchecksum`).
    """
    before = size = 0
    parts: list[bytes] = []
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES or not piece:
            chunk = b"".join(parts)
            parts.clear()
            size = 0
            if checksum:
                before = crc64(chunk, before)
            yield chunk
    parts.append(_END)
    chunk = b"".join(parts)
    computed = crc64(chunk, before) if checksum else 0
    yield chunk + computed.to_bytes(CHECKSUM_BYTES, "little")
