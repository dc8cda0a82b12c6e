"""Requests of clients: words to decide by, and beside them the bytes as they came, to be sent on.

Only the form that client libraries use is taken, arrays of bulk strings; a line of words is not, as
in the original. Lengths have to be in their shortest form, and no request without words is taken:
what is sent on shares its connection with requests of others, and a server that finds it malformed
would close it for all. (The original sends a length such as 03 on, and that is what happens.)

A short request that comes by itself is cut at its line ends, and its lengths compared. Where
hiredis is installed, a pipeline of whole requests goes through its parser. Its result is taken
only when a count of the signs shows that there was nothing but bulk strings in it, and no argument
has a carriage return (see `redislab/wire/requests.py`); the bytes of a pipeline are then cut apart
before each array's sign. Everything else goes through the parser written here.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Final

from redislab.wire.requests import parse_length

try:
    from hiredis import HiredisError, Reader
except ImportError:  # hiredis is optional: the parser below is complete without it
    Reader = None  # type: ignore[assignment, misc]
    HiredisError = Exception  # type: ignore[assignment, misc]

BULK_MAX: Final = 512 * 1024 * 1024  # bytes, as a server's proto-max-bulk-len
WORDS_MAX: Final = 1024 * 1024  # of one request, as in Redis before 7.0
_LINE_MAX: Final = 32  # bytes of a length with its sign
# hiredis makes room for the whole array as soon as it reads its length.
_MANY_WORDS = re.compile(rb"\*[0-9]{6}").search
_CRLF: Final = b"\r\n"
_CUT: Final = b"\r\n*"
# A request of so many bytes, which its client has sent by itself, is read in the quickest way.
QUICK_BYTES: Final = 4096
# By how many pieces there are between line ends: the head of an array that has so many.
_HEADS: Final = {2 * count + 2: b"*%d" % count for count in range(1, 64)}
# The line before a string of so many bytes.
_LENGTHS: Final = tuple(b"$%d" % length for length in range(QUICK_BYTES + 1))

# Words, and the bytes that said them.
Request = tuple[list[bytes], bytes]


class BrokenError(Exception):
    """No request that a proxy takes: the connection is to be closed.

    Attributes:
        before: the requests of the same chunk that came before.
    """

    def __init__(self, before: list[Request]) -> None:
        super().__init__("a client broke the protocol")
        self.before = before


def quick(data: bytes) -> list[bytes] | None:
    """The words of a chunk that is one whole short request; None for any other.

    At most QUICK_BYTES, with no line end in a word, as nearly all are that come by themselves.
    """
    parts = data.split(_CRLF)
    if parts[0] != _HEADS.get(len(parts)) or parts[-1]:
        return None
    words = parts[2::2]
    if not words[0] or parts[1:-1:2] != [_LENGTHS[len(word)] for word in words]:
        return None
    return words


class RequestReader:
    """Takes what one client sends apart.

    Attributes:
        unfinished: there is a request that is not all there.
    """

    __slots__ = ("_buffer", "_ends", "_missing", "_position", "_reader", "unfinished")

    def __init__(self) -> None:
        self.unfinished = False
        self._reader: Reader | None = None if Reader is None else Reader()
        # Of the request under way: its bytes so far, where it is looked at next, how many words
        # are missing (0: it has not begun), and where each of those that came begins and ends.
        self._buffer = bytearray()
        self._position = 0
        self._missing = 0
        self._ends: list[tuple[int, int]] = []

    def fast(self, data: bytes) -> list[list[bytes]] | None:
        """The requests of a chunk of nothing but whole ones, by way of hiredis, or None.

        None says nothing of the chunk; then it has to be given to `feed`. Otherwise `cut` has the
        bytes of each.
        """
        reader = self._reader
        if reader is None or self.unfinished or _MANY_WORDS(data):
            return None
        reader.feed(data)
        try:
            requests: list[list[bytes]] = [reader.gets()]
            if not reader.has_data():
                words = requests[0]
            else:
                requests += iter(reader.gets, False)
                words = list(chain.from_iterable(requests))
            payload = b"".join(words)
        except (HiredisError, TypeError):  # TypeError: a number, a null or nothing among them
            self._reader = Reader()
            return None
        if (
            reader.has_data()
            or b"\r" in payload
            or (b"=" in data and b"\n=" in data)  # a verbatim string has as many line ends
            or data.count(b"$") != len(words)
            or data.count(b"\r") != len(requests) + 2 * len(words)
            or not all(map(_has_name, requests))
        ):
            self._reader = Reader()
            return None
        return requests

    def feed(self, data: bytes) -> list[Request]:
        """Add a chunk; the requests that are now complete.

        Raises:
            BrokenError: at the first byte that belongs to no request.
        """
        self._buffer += data
        requests: list[Request] = []
        try:
            while (request := self._next()) is not None:
                requests.append(request)
        except _MalformedError:
            raise BrokenError(requests) from None
        self.unfinished = bool(self._buffer)
        return requests

    def _next(self) -> Request | None:
        """One request; None while it is not all there."""
        buffer = self._buffer
        if not self._missing:
            count = self._read_length(0x2A)  # *
            if count is None:
                return None
            if not 0 < count <= WORDS_MAX:
                raise _MalformedError
            self._missing = count
        while self._missing:
            position = self._position
            length = self._read_length(0x24)  # $
            if length is None:
                return None
            if length > BULK_MAX or (length == 0 and not self._ends):
                raise _MalformedError
            begin, end = self._position, self._position + length
            if len(buffer) < end + 2:
                self._position = position
                return None
            if buffer[end : end + 2] != b"\r\n":
                raise _MalformedError
            self._ends.append((begin, end))
            self._position = end + 2
            self._missing -= 1
        with memoryview(buffer) as view:
            raw = bytes(view[: self._position])
            words = [bytes(view[begin:end]) for begin, end in self._ends]
        del buffer[: self._position]
        self._position = 0
        self._ends.clear()
        return words, raw

    def _read_length(self, sign: int) -> int | None:
        """A line with a sign and a length; None while it is not all there."""
        buffer, begin = self._buffer, self._position
        if begin < len(buffer) and buffer[begin] != sign:
            raise _MalformedError
        end = buffer.find(b"\r", begin, begin + _LINE_MAX)
        if end < 0:
            if len(buffer) - begin >= _LINE_MAX:
                raise _MalformedError
            return None
        length = parse_length(bytes(buffer[begin + 1 : end]))
        if length is None or length < 0:
            raise _MalformedError
        if len(buffer) < end + 2:
            return None
        if buffer[end + 1] != 0x0A:
            raise _MalformedError
        self._position = end + 2
        return length


def cut(data: bytes) -> list[bytes]:
    """The requests of a chunk that `RequestReader.fast` has read.

    Each is without its first sign and its last line end.
    """
    return data[1:-2].split(_CUT)


def glued(pieces: list[bytes]) -> bytes:
    """Requests that `cut` has cut apart, in one piece again."""
    return b"*%b\r\n" % _CUT.join(pieces)


def _has_name(words: list[bytes]) -> bool:
    return bool(words and words[0])


class _MalformedError(Exception):
    """A byte that belongs to no request."""
