"""RDB made by hand: what today's Redis does not write any more, and files with anything in them."""

from __future__ import annotations

from struct import pack
from typing import Any

from redislab.wire.rdb.crc64 import crc64
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.reader import RdbReader
from redislab.wire.rdb.strings import length, string


class Recorder:
    """A sink that keeps what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.keys: dict[bytes, Any] = {}

    def select(self, database: int) -> None:
        self.told.append(("select", database))

    def key(
        self,
        key: bytes,
        kind: int,
        value: Any,
        expires_ms: int | None = None,
        idle_s: int | None = None,
        frequency: int | None = None,
    ) -> None:
        self.told.append(("key", key, kind, value, expires_ms, idle_s, frequency))
        self.keys[key] = value

    def empty(self, key: bytes) -> None:
        self.told.append(("empty", key))

    def aux(self, name: bytes, value: bytes) -> None:
        self.told.append(("aux", name, value))

    def resize(self, keys: int, expiring: int) -> None:
        self.told.append(("resize", keys, expiring))

    def library(self, source: bytes) -> str | None:
        self.told.append(("library", source))
        return None if source.startswith(b"#!") else "Missing library metadata"


def read(data: bytes, piece: int = 1 << 16, databases: int | None = None) -> Recorder:
    """What stands in a file that comes in pieces of a size; RdbError if it is damaged."""
    recorder = Recorder()
    reader = RdbReader(recorder, databases=databases)
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])
    reader.finish()
    return recorder


def file_of(*parts: bytes, version: int = 10, sealed: bool = True) -> bytes:
    """A file of these parts; without `sealed` it says to have no checksum."""
    body = b"REDIS%04d" % version + b"".join(parts) + b"\xff"
    return body + pack("<Q", crc64(body) if sealed else 0)


def key_of(kind: int, body: bytes, key: bytes = b"k") -> bytes:
    """A key of a type, whose value is written so."""
    return bytes((kind,)) + string(key) + body


def blob(data: bytes) -> bytes:
    """A string written as it is, whatever it looks like."""
    return length(len(data)) + data


def ziplist(*elements: bytes | int) -> bytes:
    """A ziplist; integers in the smallest form there is."""
    parts: list[bytes] = []
    before = 0
    for element in elements:
        head = bytes((before,)) if before < 254 else b"\xfe" + pack("<I", before)
        body = _ziplist_integer(element) if isinstance(element, int) else _ziplist_string(element)
        parts.append(head + body)
        before = len(parts[-1])
    content = b"".join(parts)
    tail = 10 + len(content) - before
    return pack("<IIH", 11 + len(content), tail, len(elements)) + content + b"\xff"


def _ziplist_string(text: bytes) -> bytes:
    if len(text) < 1 << 6:
        return bytes((len(text),)) + text
    if len(text) < 1 << 14:
        return pack(">H", 0x4000 | len(text)) + text
    return b"\x80" + pack(">I", len(text)) + text


def _ziplist_integer(number: int) -> bytes:
    if 0 <= number <= 12:
        return bytes((0xF1 + number,))
    for first, width in ((0xFE, 1), (0xC0, 2), (0xF0, 3), (0xD0, 4)):
        if -(1 << 8 * width - 1) <= number < 1 << 8 * width - 1:
            return bytes((first,)) + number.to_bytes(width, "little", signed=True)
    return b"\xe0" + pack("<q", number)


def zipmap(*words: bytes, unused: int = 0) -> bytes:
    """A zipmap of fields and values in turn, each value with some unused bytes behind it."""
    parts = [bytes((min(len(words) // 2, 254),))]
    for place, word in enumerate(words):
        parts.append(bytes((len(word),)) if len(word) < 254 else b"\xfe" + pack("<I", len(word)))
        if place % 2:
            parts += (bytes((unused,)), word, b"\0" * unused)
        else:
            parts.append(word)
    return b"".join([*parts, b"\xff"])


def intset(*numbers: int) -> bytes:
    """An intset in the smallest width that holds its members."""
    width, code = next(
        (w, c) for w, c in ((2, "h"), (4, "i"), (8, "q")) if max(map(abs, numbers)) < 1 << 8 * w - 1
    )
    return pack(f"<II{len(numbers)}{code}", width, len(numbers), *numbers)


def old_score(score: bytes) -> bytes:
    """A score of the oldest versions."""
    return bytes((len(score),)) + score


# One key of every type and encoding: the value that stands in it, and the bytes of that.
LONG = b"x" * 300
OLD_ENCODINGS: dict[str, tuple[int, bytes, Any]] = {
    "zipmap": (
        Type.HASH_ZIPMAP,
        blob(zipmap(b"f", b"v", b"", LONG, LONG, b"", unused=3)),
        {b"f": b"v", b"": LONG, LONG: b""},
    ),
    "list ziplist": (
        Type.LIST_ZIPLIST,
        blob(ziplist(b"a", 0, 12, 13, -1, 300, -70000, 1 << 30, -(1 << 62), LONG, LONG, b"z")),
        [
            *(b"a", b"0", b"12", b"13", b"-1", b"300", b"-70000", b"1073741824"),
            *(b"%d" % -(1 << 62), LONG, LONG, b"z"),
        ],
    ),
    "zset ziplist": (
        Type.ZSET_ZIPLIST,
        blob(ziplist(b"a", 1, b"b", b"2.5", b"c", b"inf")),
        {b"a": 1.0, b"b": 2.5, b"c": float("inf")},
    ),
    "hash ziplist": (
        Type.HASH_ZIPLIST,
        blob(ziplist(b"a", 1, 7, b"x")),
        {b"a": b"1", b"7": b"x"},
    ),
    "quicklist": (
        Type.LIST_QUICKLIST,
        length(3) + blob(ziplist(b"a", 1)) + blob(ziplist()) + blob(ziplist(b"b")),
        [b"a", b"1", b"b"],
    ),
    "old zset": (
        Type.ZSET,
        length(4)
        + b"".join(
            [
                string(b"a") + old_score(b"1.5"),
                string(b"b") + old_score(b"-3"),
                string(b"c") + b"\xfe",
                string(b"d") + b"\xff",
            ]
        ),
        {b"a": 1.5, b"b": -3.0, b"c": float("inf"), b"d": float("-inf")},
    ),
    "intset of 16 bits": (Type.SET_INTSET, blob(intset(-5, 0, 9)), {b"-5": 0, b"0": 1, b"9": 2}),
    "intset of 32 bits": (Type.SET_INTSET, blob(intset(-5, 70000)), {b"-5": 0, b"70000": 1}),
    "intset of 64 bits": (Type.SET_INTSET, blob(intset(1 << 40)), {b"%d" % (1 << 40): 0}),
    "list": (Type.LIST, length(2) + string(b"a") + string(b"100"), [b"a", b"100"]),
    "set": (Type.SET, length(2) + string(b"a") + string(b"1"), {b"a": 0, b"1": 1}),
    "hash": (Type.HASH, length(1) + string(b"f") + string(LONG), {b"f": LONG}),
    "zset": (Type.ZSET_2, length(1) + string(b"m") + pack("<d", 0.1), {b"m": 0.1}),
}
