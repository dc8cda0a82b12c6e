"""The commands of an append-only file as bytes: written one after the other, and read back.

A file is a sequence of requests as a client would send them, with comments in between
(`#TS:<seconds>`). Redis reads it in a way of its own (`loadSingleAppendOnlyFile` in `src/aof.c` of
Redis 7.0), laxer than it reads a client, and what it says of a damaged file depends on the details:
whether the file just ends too early, which is what a crash leaves, or holds what nobody wrote.
"""

from __future__ import annotations

from redislab.wire.resp import bulks

LINE_MAX = 1023  # a comment or a length is not longer, its line end included
_STAR, _DOLLAR = b"*$"
_INTEGER_MAX = 2**31 - 1  # more words than this in a command are no number to Redis
# More bytes than this in a word Redis could not get memory for.
_WORD_MAX = 2**40


class EndedEarlyError(Exception):
    """The file ends in the middle of a command."""


class MalformedError(Exception):
    """The file holds what is no command."""


class UnreadableError(Exception):
    """Redis takes this for an error of reading, though the file is read well: a `*` and a null."""


def timestamp(unix_seconds: int) -> bytes:
    """The comment that tells when what follows was written."""
    return b"#TS:%d\r\n" % unix_seconds


def select(database: int) -> bytes:
    """The command that says which database what follows is in."""
    return bulks((b"SELECT", b"%d" % database))


class Records:
    """The commands of a file that comes in pieces.

    Attributes:
        offset: of the byte after the last command that was read, from where the first piece began.
    """

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self._buffer = b""
        self._at = 0
        self._ended = False

    @property
    def wanted(self) -> int:
        """How many bytes the next piece had better have."""
        return max(1 << 16, len(self._buffer) - self._at)

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the file; an empty one is its end."""
        if piece:
            self._buffer = self._buffer[self._at :] + piece if self._buffer else piece
            self._at = 0
        else:
            self._ended = True

    def next(self) -> list[bytes] | None:
        """The next command.

        Returns:
            Its words, or None if more of the file is needed, or if it has come to its end.

        Raises:
            EndedEarlyError: the file has ended in the middle of the command.
            MalformedError: there is no command.
            UnreadableError: as it says.
        """
        words = self._usual()
        if words is not None:
            return words
        began = self._at
        try:
            words = self._command()
        except _NeedMoreError:
            self._at = began
            if self._ended:
                raise EndedEarlyError from None
            return None
        if words is not None:
            self.offset += self._at - self._command_began + self._skipped
        return words

    def _usual(self) -> list[bytes] | None:
        """The next command if all of it is here and nothing about it is strange: the quick way."""
        buffer, began = self._buffer, self._at
        find = buffer.find
        end = find(b"\n", began)
        if end < 0 or buffer[began] != _STAR:
            return None
        words: list[bytes] = []
        try:
            for _ in range(int(buffer[began + 1 : end])):
                begin = find(b"\n", end + 1) + 1
                if not begin or buffer[end + 1] != _DOLLAR:
                    return None
                length = int(buffer[end + 2 : begin])
                if length < 0:
                    return None
                end = begin + length + 1
                words.append(buffer[begin : end - 1])
        except (ValueError, IndexError):
            return None
        end += 1
        if not words or end > len(buffer):
            return None
        self._at = end
        self.offset += end - began
        return words

    def _command(self) -> list[bytes] | None:
        self._skipped = 0
        while True:
            if self._at == len(self._buffer) and self._ended:
                return None
            began = self._at
            line = self._line()
            if not line.startswith(b"#"):
                break
            self._skipped += self._at - began
        self._command_began = began
        if not line.startswith(b"*"):
            raise MalformedError
        if line[1:2] == b"\0":
            raise UnreadableError
        if len(line) == 1:
            raise _NeedMoreError  # a `*` is the last byte of the file
        count = _number(line)
        if not 1 <= count <= _INTEGER_MAX:
            raise MalformedError
        return [self._word() for _ in range(count)]

    def _word(self) -> bytes:
        line = self._line()
        if not line.startswith(b"$"):
            raise MalformedError
        length = _number(line)
        if not 0 <= length <= _WORD_MAX:
            raise MalformedError
        begin = self._at
        end = begin + length
        if end + 2 > len(self._buffer):
            raise _NeedMoreError
        self._at = end + 2  # whatever the two bytes are
        return self._buffer[begin:end]

    def _line(self) -> bytes:
        """The next line as `fgets` reads it: with its end, and no longer than its buffer."""
        begin = self._at
        end = self._buffer.find(b"\n", begin, begin + LINE_MAX) + 1
        if not end:
            end = begin + LINE_MAX
            if end > len(self._buffer):
                end = len(self._buffer)
                if not self._ended or begin == end:
                    raise _NeedMoreError
        self._at = end
        return self._buffer[begin:end]


class _NeedMoreError(Exception):
    """What has come so far ends too early."""


def _number(line: bytes) -> int:
    """The number after the first byte of a line, as far as it is one (`atoi`)."""
    try:
        return int(line[1:])
    except ValueError:
        digits = line[1:].lstrip()
        sign = digits[:1] if digits[:1] in {b"-", b"+"} else b""
        number = digits[len(sign) :]
        end = len(number) - len(number.lstrip(b"0123456789"))
        return int(sign + number[:end]) if end else 0
