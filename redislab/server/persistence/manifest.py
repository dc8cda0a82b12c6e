"""The manifest of an append-only file: which files it is made of, as plain data.

Since 7.0 an append-only file is a directory (`src/aof.c`): at most one *base*, a snapshot from the
time of the last rewrite, and *increments*, the commands since. The manifest lists them, one a line:

    file appendonly.aof.2.base.rdb seq 2 type b
    file appendonly.aof.1.incr.aof seq 1 type h
    file appendonly.aof.2.incr.aof seq 2 type i

A file of type h is *history*: a rewrite has made it superfluous, and it is yet to be removed. A
manifest is never changed: each step from one set of files to the next makes another manifest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from redislab.wire.clitext import quote
from redislab.wire.requests import split_words

Kind = Literal["b", "h", "i"]
BASE: Kind = "b"
HISTORY: Kind = "h"
INCREMENT: Kind = "i"
_KINDS: dict[str, Kind] = {"b": BASE, "h": HISTORY, "i": INCREMENT}

_LINE_MAX = 1024
_FORMAT = "Invalid AOF manifest file format"
# An ordinary name is written as it is, any other one in quotes.
_QUOTED = frozenset(b"\"'\\ \n\r\t\a\b\v\f")


class ManifestError(Exception):
    """A manifest cannot be read; the message is Redis's.

    Attributes:
        number: of the line that is wrong.
        line: that line, or None where Redis does not show it.
    """

    def __init__(self, reason: str, number: int, line: str | None = None) -> None:
        super().__init__(reason)
        self.number = number
        self.line = line


@dataclass(frozen=True, slots=True)
class AofFile:
    """One file of an append-only file."""

    name: str
    sequence: int
    kind: Kind

    def line(self) -> str:
        """It as a line of the manifest."""
        raw = self.name.encode("utf-8", "surrogateescape")
        plain = all(0x20 < byte < 0x7F and byte not in _QUOTED for byte in raw)
        return f"file {self.name if plain else quote(raw)} seq {self.sequence} type {self.kind}\n"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of an append-only file.

    Attributes:
        base: the snapshot that comes first, if there is one.
        history: what is to be removed, the newest first.
        increments: the commands since, in order; the last one is written to.
        base_sequence, increment_sequence: the highest numbers given so far.
    """

    base: AofFile | None = None
    history: tuple[AofFile, ...] = ()
    increments: tuple[AofFile, ...] = ()
    base_sequence: int = 0
    increment_sequence: int = 0

    @property
    def loaded(self) -> tuple[AofFile, ...]:
        """The files that make up the data, in order."""
        return (*(() if self.base is None else (self.base,)), *self.increments)

    def text(self) -> str:
        """The manifest as it is written."""
        base = () if self.base is None else (self.base,)
        return "".join(file.line() for file in (*base, *self.history, *self.increments))

    # -- steps -----------------------------------------------------------------------------------

    def with_base(self, filename: str, suffix: str) -> Manifest:
        """One with a new base, in place of the present one, which becomes history.

        Args:
            filename: `appendfilename`.
            suffix: `rdb` or `aof`, after what the new base is written in.
        """
        number = self.base_sequence + 1
        base = AofFile(f"{filename}.{number}.base.{suffix}", number, BASE)
        return replace(self, base=base, base_sequence=number, history=self._history(self.base))

    def with_old_file(self, filename: str) -> Manifest:
        """One whose base is the single file of a Redis before 7.0."""
        return replace(self, base=AofFile(filename, 1, BASE), base_sequence=1)

    def with_increment(self, filename: str) -> Manifest:
        """One with a new increment after the others."""
        number = self.increment_sequence + 1
        file = AofFile(f"{filename}.{number}.incr.aof", number, INCREMENT)
        return replace(self, increments=(*self.increments, file), increment_sequence=number)

    def rewritten(self, *, keep_last: bool) -> Manifest:
        """One whose increments have become history, all but the last if that one is written to."""
        kept = self.increments[-1:] if keep_last else ()
        gone = self.increments[: len(self.increments) - len(kept)]
        return replace(self, increments=kept, history=self._history(*reversed(gone)))

    def without_history(self) -> Manifest:
        """One that has forgotten what was to be removed."""
        return replace(self, history=())

    def _history(self, *files: AofFile | None) -> tuple[AofFile, ...]:
        history = self.history
        for file in files:
            if file is not None:
                history = (replace(file, kind=HISTORY), *history)
        return history


def parse(data: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        ManifestError: it is not one that Redis would take.
    """
    manifest = Manifest()
    rest, number = data, 0
    while rest:
        number += 1
        chunk = rest[:_LINE_MAX]
        chunk = chunk[: chunk.find(b"\n") + 1 or len(chunk)]
        rest = rest[len(chunk) :]
        if chunk.startswith(b"#"):
            continue
        line, newline, _ = chunk.partition(b"\0")[0].partition(b"\n")
        if not newline:
            raise ManifestError("The AOF manifest file contains too long line", number)
        line = line.strip(b" \t\r\n")
        manifest = _with_line(manifest, line, number)
    if not number:
        raise ManifestError("Found an empty AOF manifest", 0)
    return manifest


def _with_line(manifest: Manifest, line: bytes, number: int) -> Manifest:
    """The manifest with what one more line tells."""

    def fail(reason: str) -> ManifestError:
        return ManifestError(reason, number, line.decode("utf-8", "surrogateescape"))

    words = split_words(line) if line else None
    if words is None or len(words) < 6 or len(words) % 2:
        raise fail(_FORMAT)
    name, sequence, kind = "", 0, ""
    for key, value in zip(words[::2], words[1::2], strict=True):
        match key.lower():
            case b"file":
                name = value.decode("utf-8", "surrogateescape")
                if "/" in name or "\\" in name:
                    raise fail("File can't be a path, just a filename")
            case b"seq":
                sequence = _leading_integer(value)
            case b"type":
                kind = value[:1].decode("latin-1")
            case _:
                pass  # a later version may tell more of a file
    if not name or not sequence or not kind:
        raise fail(_FORMAT)
    if kind not in _KINDS:
        raise fail("Unknown AOF file type")
    file = AofFile(name, sequence, _KINDS[kind])
    if file.kind == BASE:
        if manifest.base is not None:
            raise fail("Found duplicate base file information")
        return replace(manifest, base=file, base_sequence=sequence)
    if file.kind == HISTORY:
        return replace(manifest, history=(*manifest.history, file))
    last = manifest.increments[-1].sequence if manifest.increments else 0
    if sequence <= last:
        raise fail("Found a non-monotonic sequence number")
    increments = (*manifest.increments, file)
    return replace(manifest, increments=increments, increment_sequence=sequence)


def _leading_integer(text: bytes) -> int:
    """The number that a text begins with, 0 where it begins with none (`atoll`)."""
    digits = text.lstrip()
    sign = digits[:1] if digits[:1] in {b"-", b"+"} else b""
    number = digits[len(sign) :]
    end = len(number) - len(number.lstrip(b"0123456789"))
    return int(sign + number[:end]) if end else 0
