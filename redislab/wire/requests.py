"""Requests: bytes from a client in, commands as lists of bytes out.

A client sends either a RESP array of bulk strings or, for a person with telnet, one line of words
(the inline form). `RequestParser` takes both, in pieces cut anywhere, and refuses what Redis
refuses with the words Redis uses (`processMultibulkBuffer` and `processInlineBuffer` in
`src/networking.c` of Redis 7.0).

Where hiredis is installed a chunk of whole, well-formed commands goes through its C parser. That
parser reads any RESP value, so its result is taken only when a count of the signs shows that there
was nothing but bulk strings in the chunk; everything else goes to the parser written here, which is
the authority.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from typing import Final

try:
    from hiredis import HiredisError, Reader
except ImportError:  # hiredis is optional: the parser below is complete without it
    Reader = None  # type: ignore[assignment, misc]
    HiredisError = Exception  # type: ignore[assignment, misc]

# Limits of Redis 7.0, all in bytes but the first two, which are counts of arguments.
MULTIBULK_COUNT_MAX: Final = 2**31 - 1
UNAUTHENTICATED_COUNT_MAX: Final = 10
UNAUTHENTICATED_BULK_MAX: Final = 16384
INLINE_MAX: Final = 64 * 1024
BULK_MAX_DEFAULT: Final = 512 * 1024 * 1024

# hiredis makes room for the whole array as soon as it reads its length: a client that announces
# a billion arguments must not get there.
_MANY_ARGUMENTS = re.compile(rb"\*[0-9]{6}").search
# Inline requests without a quote or a rare kind of space: plain splitting reads them right.
_PLAIN_INLINE = re.compile(rb"(?:[\w :.,/@=+\-]*+\r?\n)++").fullmatch
_EMPTY_STATUS = b"+\r\n"
_HEX = b"0123456789abcdefABCDEF"
# A line of words that bytes.split tells apart as Redis does, as nearly all are.
_is_plain = re.compile(rb"[^\"'\0\v\f]*").fullmatch
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


# The system hands over no more than so much at a time, or somewhat more.
_LARGE_CHUNK = 16 * 1024


class ProtocolError(Exception):
    """The client broke the protocol: the reply to send before the connection is closed."""


class RequestParser:
    """Turns a client's bytes into commands.

    `feed` takes the next chunk and returns the commands it completes. `restricted` holds while the
    client has yet to authenticate: Redis then allows short commands only, and since one of them may
    be AUTH, `feed` returns one command at a time (call it again with `b""` for the next).

    `canonical` tells of the last chunk that it was, byte for byte, what `resp.request` makes of the
    commands that came of it. It may be false of one that was.
    """

    __slots__ = (
        "_arguments",
        "_buffer",
        "_bulk",
        "_cut",
        "_held",
        "_missing",
        "_position",
        "_reader",
        "bulk_max",
        "canonical",
        "restricted",
    )

    def __init__(self, bulk_max: int = BULK_MAX_DEFAULT) -> None:
        self.bulk_max = bulk_max
        self.restricted = self.canonical = False
        self._buffer = bytearray()
        self._position = 0
        # Of the array under way: how many arguments are missing, which came, and the length
        # announced for the next (-1: not read yet).
        self._missing = 0
        self._arguments: list[bytes] = []
        self._bulk = -1
        self._held = 0  # bytes of the arguments that came
        self._cut = 0  # bytes of the command under way that have left the buffer
        # Made anew after a chunk that it could not read to its end.
        self._reader: Reader | None = None if Reader is None else Reader()

    @property
    def buffered(self) -> int:
        """How many bytes of an incomplete command are held."""
        return len(self._buffer) - self._position + self._held

    @property
    def unfinished(self) -> int:
        """How many bytes of an incomplete command have come, whatever became of them."""
        return self._cut + len(self._buffer)

    def feed(self, data: bytes) -> list[list[bytes]]:
        """Add a chunk; return the commands that are now complete, possibly none.

        Raises:
            ProtocolError: at the first malformed byte. Commands completed before it in the same
                chunk are in the exception's `args[1]`; the parser must not be used again.
        """
        if self.restricted:
            return self._feed_slowly(data)
        if not (self._buffer or self._missing):
            return self._feed_fresh(data) if data else []
        begun, data = self._finish_command(data)
        commands = _more(begun, self._feed_fresh, data) if data else begun
        self.canonical = False  # whatever the rest was
        return commands

    def _feed_fresh(self, data: bytes) -> list[list[bytes]]:
        """`feed` where no command is under way."""
        if data[:1] != b"*":
            if _PLAIN_INLINE(data):
                self.canonical = False
                return [words for line in data.splitlines() if (words := line.split())]
        elif self._reader is not None:
            commands = self._feed_reader(data)
            if commands is not None:
                return commands
            # A large pipeline comes in chunks that end inside a command: read what is before it.
            end = data.rfind(b"\r\n*") + 2
            if len(data) >= _LARGE_CHUNK and end > 1:
                commands = self._feed_reader(data[:end])
                if commands is not None:
                    return _more(commands, self._feed_slowly, data[end:])
        return self._feed_slowly(data)

    def _finish_command(self, data: bytes) -> tuple[list[list[bytes]], bytes]:
        """Go on with the command under way: it, once it is complete, and what follows it then."""
        self._buffer += data
        try:
            command = self._next()
        except ProtocolError as broken:
            raise ProtocolError(broken.args[0], []) from None
        if command is None:
            self._cut += self._position
            del self._buffer[: self._position]
            self._position = 0
            return [], b""
        self._cut = 0
        return [command] if command else [], self.take_rest()

    def _feed_slowly(self, data: bytes) -> list[list[bytes]]:
        """`feed` by the parser of this file."""
        self.canonical = False
        self._buffer += data
        commands = []
        done = 0  # where the last whole command ended
        try:
            while (command := self._next()) is not None:
                done = self._position
                self._cut = 0
                if command:
                    commands.append(command)
                    if self.restricted:
                        break
        except ProtocolError as broken:
            raise ProtocolError(broken.args[0], commands) from None
        if self._position:
            self._cut += self._position - done
            del self._buffer[: self._position]
            self._position = 0
        return commands

    def _feed_reader(self, data: bytes) -> list[list[bytes]] | None:
        """`feed` by way of hiredis; None where its result cannot be trusted.

        A bulk string has a `$` and two carriage returns, an array has one more of these, and any
        other value has too few of either. So if the chunk has just so many of both, and no argument
        contains a carriage return that could make up for a missing one, nothing but arrays of bulk
        strings was in it. Payloads with such signs in them spoil the count: the other parser then
        does the work, to the same result. An empty status after the chunk tells whether the reader
        has come to the end of it; one that keeps a piece is of no use any more. It takes lengths in
        their shortest form only, so what passes is in the canonical form.
        """
        reader = self._reader
        if _MANY_ARGUMENTS(data) or reader is None:
            return None
        reader.feed(data)
        try:
            commands: list[list[bytes]] = [reader.gets()]
            if reader.has_data():  # a pipeline, or a command that is not whole
                commands += iter(reader.gets, False)
            reader.feed(_EMPTY_STATUS)
            at_end = reader.gets() == b""
            arguments = commands[0] if len(commands) == 1 else list(chain.from_iterable(commands))
            payload = b"".join(arguments)
        except (HiredisError, TypeError):  # TypeError: a number, a null or nothing among them
            self._reader = Reader()
            return None
        if (
            not at_end
            or b"\r" in payload
            or (b"=" in data and b"\n=" in data)  # a verbatim string has as many line ends
            or data.count(b"$") != len(arguments)
            or data.count(b"\r") != len(commands) + 2 * len(arguments)
            or not all(commands)
        ):
            self._reader = Reader()
            return None
        self.canonical = True
        return commands

    def take_rest(self) -> bytes:
        """Hand over the bytes that follow the last command, and forget them.

        For a connection that changes its protocol, such as a replica's.
        """
        rest = bytes(self._buffer[self._position :])
        self._buffer.clear()
        self._position = 0
        return rest

    def _next(self) -> list[bytes] | None:
        """One command; an empty list for one to ignore; None when more bytes are needed."""
        if not self._missing:
            if self._position >= len(self._buffer):
                return None
            if self._buffer[self._position] != 0x2A:  # '*'
                return self._next_inline()
            if not self._read_count():
                return None
            if not self._missing:
                return []
        while self._missing:
            if self._bulk < 0 and not self._read_bulk_length():
                return None
            end = self._position + self._bulk
            if len(self._buffer) < end + 2:
                return None
            self._arguments.append(bytes(memoryview(self._buffer)[self._position : end]))
            self._position = end + 2
            self._held += self._bulk
            self._bulk = -1
            self._missing -= 1
        command, self._arguments = self._arguments, []
        self._held = 0
        return command

    def _read_line(self, too_big: str) -> bytes | None:
        """The bytes up to the next carriage return, or None while they have not all come."""
        end = self._end_of_line(b"\r")
        if end < 0:
            if len(self._buffer) - self._position > INLINE_MAX:
                raise ProtocolError(f"Protocol error: {too_big}")
            return None
        if end + 2 > len(self._buffer):
            return None
        return bytes(self._buffer[self._position : end])

    def _end_of_line(self, sign: bytes) -> int:
        """Where the line ends, or -1; to Redis it is a C string, so a null hides what follows."""
        end = self._buffer.find(sign, self._position)
        return -1 if end >= 0 and self._buffer.find(b"\0", self._position, end) >= 0 else end

    def _read_count(self) -> bool:
        line = self._read_line("too big mbulk count string")
        if line is None:
            return False
        count = parse_length(line[1:])
        if count is None or count > MULTIBULK_COUNT_MAX:
            raise ProtocolError("Protocol error: invalid multibulk length")
        if count > UNAUTHENTICATED_COUNT_MAX and self.restricted:
            raise ProtocolError("Protocol error: unauthenticated multibulk length")
        self._position += len(line) + 2
        self._missing = max(count, 0)
        return True

    def _read_bulk_length(self) -> bool:
        line = self._read_line("too big bulk count string")
        if line is None:
            return False
        if line[:1] != b"$":
            got = bytes(self._buffer[self._position : self._position + 1])
            shown = got.decode("utf-8", "surrogateescape")
            raise ProtocolError(f"Protocol error: expected '$', got '{shown}'")
        length = parse_length(line[1:])
        if length is None or length < 0 or length > self.bulk_max:
            raise ProtocolError("Protocol error: invalid bulk length")
        if length > UNAUTHENTICATED_BULK_MAX and self.restricted:
            raise ProtocolError("Protocol error: unauthenticated bulk length")
        self._position += len(line) + 2
        self._bulk = length
        return True

    def _next_inline(self) -> list[bytes] | None:
        end = self._end_of_line(b"\n")
        if end < 0:
            if len(self._buffer) - self._position > INLINE_MAX:
                raise ProtocolError("Protocol error: too big inline request")
            return None
        line = bytes(self._buffer[self._position : end])
        if line.endswith(b"\r"):
            line = line[:-1]
        words = split_words(line)
        if words is None:
            raise ProtocolError("Protocol error: unbalanced quotes in request")
        self._position = end + 1
        return words


def _more(
    commands: list[list[bytes]], feed: Callable[[bytes], list[list[bytes]]], data: bytes
) -> list[list[bytes]]:
    """Commands, and those that come after them; a protocol error there brings both."""
    try:
        return commands + feed(data)
    except ProtocolError as broken:
        raise ProtocolError(broken.args[0], commands + broken.args[1]) from None


def parse_length(digits: bytes) -> int | None:
    """A decimal integer as Redis' `string2ll` takes it, or None: canonical digits only."""
    try:
        number = int(digits)
    except ValueError:
        return None
    if b"%d" % number != digits or not -(2**63) <= number < 2**63:
        return None
    return number


def split_words(line: bytes) -> list[bytes] | None:
    r"""Words of a line with Redis' quoting (`sdssplitargs`), or None where quotes do not balance.

    Double quotes know `\n \r \t \b \a \xHH` and `\` before any other character; single quotes know
    `\'` only. A closing quote must be followed by white space or the end of the line.
    """
    if _is_plain(line):
        return line.split()
    words: list[bytes] = []
    position, size = 0, len(line)
    while True:
        while position < size and line[position : position + 1].isspace():
            position += 1
        if position >= size:
            return words
        word = bytearray()
        quote = b""
        while True:
            char = line[position : position + 1]
            if not quote:
                if not char or char in b" \n\r\t\0":
                    break
                if char in b"\"'":
                    quote = char
                else:
                    word += char
                position += 1
                continue
            if not char:
                return None
            position += 1
            if char == quote:
                following = line[position : position + 1]
                if following and not following.isspace():
                    return None
                break
            if char == b"\\":
                piece, used = _unescape(line, position, quote)
                word += piece
                position += used
            else:
                word += char
        words.append(bytes(word))
        if line[position : position + 1] == b"\0":
            return words


def _unescape(line: bytes, position: int, quote: bytes) -> tuple[bytes, int]:
    """What follows a backslash inside quotes: the bytes it stands for, and how many it took."""
    char = line[position : position + 1]
    if quote == b"'":
        return (b"'", 1) if char == b"'" else (b"\\", 0)
    digits = line[position + 1 : position + 3]
    if char == b"x" and len(digits) == 2 and all(digit in _HEX for digit in digits):
        return bytes([int(digits, 16)]), 3
    if not char:
        return b"\\", 0
    return _ESCAPES.get(char, char), 1
