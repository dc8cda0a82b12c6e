"""The types of directives: how each is read from words, shown by CONFIG GET and written back.

Follows the typed tables of `src/config.c` in Redis 7.0, whose refusals are quoted to the letter. A
`Kind` has no state: the value lives in the `Config`, as a plain Python value (named at each kind).
Texts are `str`; bytes that are no UTF-8 pass through as surrogate escapes.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import ClassVar, NamedTuple

from redislab.engine.arguments import parse_float, parse_int
from redislab.engine.errors import CommandError
from redislab.wire.clitext import quote

_UNITS = {"": 1, "b": 1, "k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}
_MEMORY = re.compile(rb"(\d*)([a-zA-Z]*)")
_TITLE = re.compile(
    r"(?:[^{]|\{\{|\{(?:title|listen-addr|server-mode|port|tls-port|config-file|unixsocket)\})*",
    re.DOTALL,
)
_C_NUMBER = re.compile(rb"\s*[+-]?\d+")
_C_INT_MASK = 2**32
_ERROR_BYTES = 255  # the longest list of choices that Redis prints
WRONG_NUMBER = "wrong number of arguments"
BIND_ADDRESSES_MAX = 16
HOSTNAME_MAX = 255


class RefusedError(Exception):
    """A value that a directive does not take; the message is Redis's."""


class BufferLimit(NamedTuple):
    """One class of `client-output-buffer-limit`: bytes, bytes, seconds; 0 for no limit."""

    hard_bytes: int
    soft_bytes: int
    soft_seconds: int


class Kind:
    """A type of directives. What differs from type to type stands in `_parse`, `_show`, `_lines`.

    Attributes:
        multi: whether it takes several words.
    """

    multi = False

    def parse(self, words: list[bytes], current: object, *, first: bool | None) -> object:
        """The value that words mean.

        Args:
            words: what follows the directive's name.
            current: the value so far, for directives that change only a part of it.
            first: while files are read, whether this is the first line with this directive;
                None for CONFIG SET.

        Raises:
            RefusedError: the words are no such value.
        """
        if not self.multi and len(words) != 1:
            raise RefusedError(WRONG_NUMBER)
        return self._parse(words, current, first=first)

    def show(self, value: object) -> bytes:
        """The value as CONFIG GET answers it."""
        return self._show(value)

    def lines(self, value: object, default: object) -> list[tuple[bytes, bool]]:
        """What CONFIG REWRITE writes after the name, and whether it has to be written at all."""
        return self._lines(value, default)

    def _parse(self, words: list[bytes], current: object, *, first: bool | None) -> object:
        raise NotImplementedError

    def _show(self, value: object) -> bytes:
        return to_bytes(str(value))

    def _lines(self, value: object, default: object) -> list[tuple[bytes, bool]]:
        return [(self._show(value), value != default)]


def to_text(word: bytes) -> str:
    """A word as text, whatever bytes it holds."""
    return word.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """The bytes that a text came from."""
    return text.encode("utf-8", "surrogateescape")


class Bool(Kind):
    """yes or no; a `bool`. With a `refusal`, yes is answered with it."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal

    def _parse(self, words: list[bytes], current: object, *, first: bool | None) -> bool:
        word = words[0].lower()
        if word not in {b"yes", b"no"}:
            raise RefusedError("argument must be 'yes' or 'no'")
        if self.refusal and word == b"yes":
            raise RefusedError(self.refusal)
        return word == b"yes"

    def _show(self, value: object) -> bytes:
        return b"yes" if value else b"no"


class Text(Kind):
    """Any text; a `str`. Where empty means "not set", it is not written back when empty."""

    def __init__(self, check: str = "", *, empty_is_unset: bool = False) -> None:
        self.check = check
        self.empty_is_unset = empty_is_unset

    def _parse(self, words: list[bytes], current: object, *, first: bool | None) -> str:
        text = to_text(words[0])
        if self.check:
            _check_text(self.check, text)
        return text

    def _lines(self, value: object, default: object) -> list[tuple[bytes, bool]]:
        if self.empty_is_unset and not value:
            return []
        return [(quote(self._show(value)).encode(), value != default)]


def _check_text(check: str, text: str) -> None:
    if check == "hostname":
        if len(text) > HOSTNAME_MAX:
            raise RefusedError("Hostnames must be less than 256 characters")
        if not re.fullmatch(r"[A-Za-z0-9.-]*", text):
            raise RefusedError(
                "Hostnames may only contain alphanumeric characters, hyphens or dots"
            )
    elif check == "title":
        shown = re.sub(r"\{(?:title|server-mode|unixsocket)\}", "", text).strip(" ")
        if not shown or not _TITLE.fullmatch(text):
            raise RefusedError("template format is invalid or contains unknown variables")
    else:
        name, kind = check.rstrip("!").split(":")
        if check.endswith("!") and not text:
            raise RefusedError(f"{name} can't be empty")
        if "/" in text or "\\" in text:
            raise RefusedError(f"{name} can't be a path, just a {kind}")


class Choice(Kind):
    """One of several words; a `str`, spelled as in the list. A synonym turns into its word."""

    def __init__(self, names: list[str], synonyms: dict[str, str] | None = None) -> None:
        self.names = names
        self.synonyms = synonyms or {}

    def _parse(self, words: list[bytes], current: object, *, first: bool | None) -> str:
        word = to_text(words[0]).lower()
        if word not in self.names:
            raise _no_choice(self.names)
        return self.synonyms.get(word, word)


class Choices(Kind):
    """Any of several words at once; a `str` of them with spaces between, in the list's order."""

    multi = True

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def _parse(self, words: list[bytes], current: object, *, first: bool | None) -> str:
        given = {to_text(word).lower() for word in words}
        if not given or not given <= set(self.names):
            raise _no_choice(self.names)
        if {"save", "nosave"} <= given:
            raise RefusedError("shutdown options SAVE and NOSAVE can't be used simultaneously")
        return " ".join(n for n in self.names[1:] if n in given) or self.names[0]


def _no_choice(names: list[str]) -> RefusedError:
    message = "argument(s) must be one of the following: " + ", ".join(names)
    return RefusedError(message[:_ERROR_BYTES])


class Number(Kind):
    """A number in bounds; an `int`.

    Args:
        form: "int", "octal", "memory" (with units such as 5mb) or "percent" (memory, or 5% which
            is kept as -5).
        low, high: the bounds, both included.
        unsigned: negative numbers count as huge ones, which shows in the refusal only.
    """

    def __init__(self, form: str, low: int, high: int, *, unsigned: bool) -> None:
        self.form = form
        self.low = low
        self.high = high
        self.unsigned = unsigned

    def _parse(self, words: list[bytes], current: object, *, first: bool | None) -> int:
        value = self._read(words[0])
        if self.form == "percent" and value < 0:
            if value < self.low:
                raise RefusedError(f"percentage argument must be less or equal to {-self.low}")
        elif not self.low <= (value % 2**64 if self.unsigned else value) <= self.high:
            low, high = (f"{n:o}" if self.form == "octal" else n for n in (self.low, self.high))
            raise RefusedError(f"argument must be between {low} and {high} inclusive")
        return value % 2**64 if self.unsigned else value

    def _read(self, word: bytes) -> int:
        if self.form == "int":
            try:
                return parse_int(word)
            except CommandError:
                raise RefusedError("argument couldn't be parsed into an integer") from None
        if self.form == "octal":
            if word and not re.fullmatch(rb"\s*[+-]?[0-7]+", word):
                raise RefusedError("argument couldn't be parsed as an octal number")
            return int(word or b"0", 8)
        value = parse_memory(word)
        if value is not None:
            return value
        if self.form == "memory":
            raise RefusedError("argument must be a memory value")
        try:
            percent = parse_int(word[:-1]) if word.endswith(b"%") else -1
        except CommandError:
            percent = -1
        if percent < 0:
            raise RefusedError("argument must be a memory or percent value")
        return -percent

    def _show(self, value: object) -> bytes:
        assert isinstance(value, int)
        if self.form == "octal":
            return b"%o" % value
        if self.form == "percent" and value < 0:
            return b"%d%%" % -value
        return b"%d" % value

    def _lines(self, value: object, default: object) -> list[tuple[bytes, bool]]:
        assert isinstance(value, int)
        plain = self.form in {"int", "octal"} or value < 0
        return [(self._show(value) if plain else format_memory(value), value != default)]


def parse_memory(word: bytes) -> int | None:
    """A size such as 100, 5k, 5kb or 1gb in bytes, as a signed 64-bit number; None for no size."""
    match = _MEMORY.fullmatch(word)
    if not match or len(match[1]) > 127:
        return None
    unit = _UNITS.get(match[2].decode().lower())
    if unit is None:
        return None
    count = min(int(match[1] or b"0"), 2**64 - 1)
    return (count * unit + 2**63) % 2**64 - 2**63


def format_memory(value: int) -> bytes:
    """A size in the largest unit that leaves no remainder, as redis.conf writes it."""
    for unit in ("gb", "mb", "kb"):
        if value and value % _UNITS[unit] == 0:
            return b"%d%b" % (value // _UNITS[unit], unit.encode())
    return b"%d" % value


def _c_number(word: bytes) -> int | None:
    """What C's strtoll makes of a whole word; the empty word is 0, None for no number."""
    if not word:
        return 0
    return int(word) if _C_NUMBER.fullmatch(word) else None


def _c_int(value: int) -> int:
    """A number that is stored in 32 bits."""
    return (value + 2**31) % _C_INT_MASK - 2**31


class Save(Kind):
    """`save`: points of (seconds, changes); a tuple of pairs. Further lines add points."""

    multi = True

    def _parse(
        self, words: list[bytes], current: object, *, first: bool | None
    ) -> tuple[tuple[int, int], ...]:
        if words == [b""]:
            return ()
        numbers = [_c_number(word) for word in words]
        if len(numbers) % 2:
            raise RefusedError("Invalid save parameters")
        points: list[tuple[int, int]] = []
        for seconds, changes in zip(numbers[::2], numbers[1::2], strict=True):
            if seconds is None or changes is None or seconds < 1 or changes < 0:
                raise RefusedError("Invalid save parameters")
            points.append((seconds, _c_int(changes)))
        earlier = current if first is False and isinstance(current, tuple) else ()
        return (*earlier, *points)

    def _show(self, value: object) -> bytes:
        assert isinstance(value, tuple)
        return b" ".join(b"%d %d" % point for point in value)

    def _lines(self, value: object, default: object) -> list[tuple[bytes, bool]]:
        assert isinstance(value, tuple)
        return [(b"%d %d" % point, True) for point in value] or [(b'""', True)]


class Buffers(Kind):
    """`client-output-buffer-limit`: three `BufferLimit`s, for normal, replica and pubsub."""

    multi = True
    _classes: ClassVar = {b"normal": 0, b"slave": 1, b"replica": 1, b"pubsub": 2}

    def _parse(
        self, words: list[bytes], current: object, *, first: bool | None
    ) -> tuple[BufferLimit, ...]:
        if len(words) % 4:
            raise RefusedError("Wrong number of arguments in buffer limit configuration.")
        limits = list(current) if isinstance(current, tuple) else [BufferLimit(0, 0, 0)] * 3
        for at in range(0, len(words), 4):
            which = self._classes.get(words[at].lower())
            if which is None:
                raise RefusedError("Invalid client class specified in buffer limit configuration.")
            hard, soft = parse_memory(words[at + 1]), parse_memory(words[at + 2])
            seconds = _c_number(words[at + 3])
            if hard is None or soft is None or seconds is None or _c_int(seconds) < 0:
                raise RefusedError(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                )
            limits[which] = BufferLimit(hard % 2**64, soft % 2**64, _c_int(seconds))
        return tuple(limits)

    def _show(self, value: object) -> bytes:
        assert isinstance(value, tuple)
        names = (b"normal", b"slave", b"pubsub")
        return b" ".join(
            b"%b %d %d %d" % (name, *limit) for name, limit in zip(names, value, strict=True)
        )

    def _lines(self, value: object, default: object) -> list[tuple[bytes, bool]]:
        assert isinstance(value, tuple)
        assert isinstance(default, tuple)
        names = (b"normal", b"replica", b"pubsub")
        return [
            (
                b"%b %b %b %d"
                % (name, format_memory(now.hard_bytes), format_memory(now.soft_bytes), now[2]),
                now != before,
            )
            for name, now, before in zip(names, value, default, strict=True)
        ]


class Scores(Kind):
    """`oom-score-adj-values`: three numbers."""

    multi = True

    def _parse(self, words: list[bytes], current: object, *, first: bool | None) -> tuple[int, ...]:
        if len(words) != 3:
            raise RefusedError(WRONG_NUMBER)
        numbers = [_c_number(word) for word in words]
        found = tuple(n for n in numbers if n is not None and -2000 <= n <= 2000)
        if len(found) < 3:
            raise RefusedError(
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000."
            )
        return found

    def _show(self, value: object) -> bytes:
        assert isinstance(value, tuple)
        return b" ".join(b"%d" % score for score in value)


class Events(Kind):
    """`notify-keyspace-events`: a `str` of flags in the order in which Redis shows them."""

    _all = "g$lshzxetd"

    def _parse(self, words: list[bytes], current: object, *, first: bool | None) -> str:
        given = to_text(words[0])
        if not set(given) <= set("A" + self._all + "nKEm"):
            raise RefusedError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        if "A" in given or set(self._all) <= set(given):
            classes = "A" + "n" * ("n" in given)
        else:
            classes = "".join(flag for flag in self._all + "n" if flag in given)
        return classes + "".join(flag for flag in "KEm" if flag in given)

    def _show(self, value: object) -> bytes:
        return to_bytes(str(value).replace("An", "A"))  # Redis leaves the n out beside an A

    def _lines(self, value: object, default: object) -> list[tuple[bytes, bool]]:
        return [(quote(self._show(value)).encode(), value != default)]


class Addresses(Kind):
    """`bind`: a tuple of addresses; one that begins with `-` may be missing."""

    multi = True

    def _parse(self, words: list[bytes], current: object, *, first: bool | None) -> tuple[str, ...]:
        if len(words) > BIND_ADDRESSES_MAX:
            raise RefusedError("Too many bind addresses specified.")
        return () if words == [b""] else tuple(to_text(word) for word in words)

    def _show(self, value: object) -> bytes:
        assert isinstance(value, tuple)
        return to_bytes(" ".join(value))

    def _lines(self, value: object, default: object) -> list[tuple[bytes, bool]]:
        return [] if value == default else [(self._show(value) or b'""', True)]


class ReplicaOf(Kind):
    """`replicaof`: host and port as a pair, None for a master."""

    multi = True

    def _parse(
        self, words: list[bytes], current: object, *, first: bool | None
    ) -> tuple[str, int] | None:
        if len(words) != 2:
            raise RefusedError(WRONG_NUMBER)
        if [word.lower() for word in words] == [b"no", b"one"]:
            return None
        port = _c_number(words[1])
        if port is None or not 0 <= _c_int(port) <= 65535:
            raise RefusedError("Invalid master port")
        return to_text(words[0]), _c_int(port)

    def _show(self, value: object) -> bytes:
        return to_bytes(f"{value[0]} {value[1]}") if isinstance(value, tuple) else b""

    def _lines(self, value: object, default: object) -> list[tuple[bytes, bool]]:
        return [(self._show(value), True)] if value else []


class Percentiles(Kind):
    """`latency-tracking-info-percentiles`: a tuple of percentages."""

    multi = True

    def _parse(
        self, words: list[bytes], current: object, *, first: bool | None
    ) -> tuple[float, ...]:
        if words == [b""]:
            return ()
        found: list[float] = []
        for word in words:
            try:
                percent = parse_float(word)
            except CommandError:
                raise RefusedError("Invalid latency-tracking-info-percentiles parameters") from None
            if not 0.0 <= percent <= 100.0:
                raise RefusedError(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                )
            found.append(percent)
        return tuple(found)

    def _show(self, value: object) -> bytes:
        assert isinstance(value, tuple)
        return " ".join(format_percent(percent) for percent in value).encode()

    def _lines(self, value: object, default: object) -> list[tuple[bytes, bool]]:
        return [(self._show(value) or b'""', True)]


def format_percent(percent: float) -> str:
    """A percentage with up to six decimal places and no zeros at its end."""
    return f"{percent:f}".rstrip("0").rstrip(".")


class Directory(Kind):
    """`dir`: the absolute path of a directory that exists. The process does not move there."""

    def _parse(self, words: list[bytes], current: object, *, first: bool | None) -> str:
        if not words[0]:
            raise RefusedError(os.strerror(errno.ENOENT))
        if to_text(words[0]) == current:
            # Where the node is already: it may be on no disk of this machine.
            return str(current)
        path = Path(str(current), to_text(words[0]))
        try:
            path = path.resolve(strict=True)
            if not stat.S_ISDIR(path.stat().st_mode):
                raise RefusedError(os.strerror(errno.ENOTDIR))
        except OSError as failure:
            raise RefusedError(os.strerror(failure.errno or errno.EIO)) from None
        if not os.access(path, os.X_OK):
            raise RefusedError(os.strerror(errno.EACCES))
        return str(path)

    def _lines(self, value: object, default: object) -> list[tuple[bytes, bool]]:
        return [(quote(self._show(value)).encode(), True)]
