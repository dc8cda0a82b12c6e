"""When is a batch of requests answered? Looking at as few bytes as can be.

A benchmark asks the same thing again and again, so the answers are mostly the same too. The bytes
of the last complete batch are remembered: where the next ones are equal, comparing them is all the
parsing there is. Integers differ from reply to reply (`INCR`), but not once their digits are taken
out. Everything else, and everything that comes in pieces, goes through a real parser: hiredis where
it is installed, otherwise that of `redislab.wire`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from redislab.benchmark.settings import BenchmarkError
from redislab.wire.replies import PUSH, ReplyParser

hiredis: Any
try:
    import hiredis
except ImportError:
    hiredis = None

# What is taken out of integer replies before they are compared.
DIGITS = b"-0123456789"

# One reply: the text of the error it is, or None.
Parse = Callable[[bytes], Iterator[str | None]]


def new_parser() -> Parse:
    """A function that takes bytes, cut anywhere, and gives what replies are complete.

    Push messages are no replies and are left out. The iterator raises BenchmarkError where the
    bytes are no RESP.
    """
    return _pure_parser() if hiredis is None else _hiredis_parser()


def _hiredis_parser() -> Parse:
    reader = hiredis.Reader(notEnoughData=Ellipsis)

    def parse(data: bytes) -> Iterator[str | None]:
        reader.feed(data)
        while True:
            try:
                reply = reader.gets()
            except hiredis.ProtocolError as error:
                raise BenchmarkError(f"Error: {error}") from None
            if reply is Ellipsis:
                return
            if not isinstance(reply, hiredis.PushNotification):
                yield str(reply) if isinstance(reply, hiredis.ReplyError) else None

    return parse


def _pure_parser() -> Parse:
    parser = ReplyParser()

    def parse(data: bytes) -> Iterator[str | None]:
        try:
            replies = parser.feed(data)
        except ValueError as error:
            raise BenchmarkError(f"Error: Protocol error, {error}") from None
        for reply in replies:
            if reply.kind != PUSH:
                yield (reply.text or b"").decode("utf-8", "replace") if reply.is_error else None

    return parse


@dataclass(slots=True)
class _Partial:
    """What has come of a batch that is not complete."""

    replies: int = 0
    parse: Parse | None = None
    data: bytearray = field(default_factory=bytearray)
    errors: list[str] = field(default_factory=list)


class ReplyMatcher:
    """Follows batches of `size` replies on any number of connections.

    The two public attributes are for the hot loop, which compares with them before it calls
    `feed`; a connection in `partial` has to go through `feed`.

    Attributes:
        expected: the bytes of the last complete batch without errors.
        skeleton: these bytes without digits where all replies were integers, otherwise empty.
        partial: what has come so far, by connection.
        on_error: called with the text of each error reply.
    """

    def __init__(self, size: int, on_error: Callable[[str], None]) -> None:
        self.size = size
        self.expected = b""
        self.skeleton = b""
        self.partial: dict[int, _Partial] = {}
        self.on_error = on_error

    def feed(self, connection: int, data: bytes) -> bool:
        """Take what a connection received; whether its batch is complete now.

        Raises:
            BenchmarkError: the bytes are no RESP, or more replies came than were asked for.
        """
        state = self.partial.get(connection)
        if state is None:
            state = self.partial[connection] = _Partial()
        state.data += data
        if state.parse is None:
            # As long as it is how the last batch began, it need not be parsed.
            if self.expected.startswith(state.data):
                if len(state.data) < len(self.expected):
                    return False
                del self.partial[connection]
                return True
            state.parse = new_parser()
            data = bytes(state.data)
        for error in state.parse(data):
            state.replies += 1
            if error is not None:
                state.errors.append(error)
        if state.replies < self.size:
            return False
        del self.partial[connection]
        if state.replies > self.size:
            raise BenchmarkError("Error: the server sent more replies than it was asked for")
        for error in state.errors:
            self.on_error(error)
        if not state.errors:
            self._learn(bytes(state.data))
        return True

    def forget(self, connection: int) -> None:
        """Drop what has come on a connection that is gone."""
        self.partial.pop(connection, None)

    def _learn(self, data: bytes) -> None:
        self.expected = data
        bare = data.translate(None, DIGITS)
        self.skeleton = bare if bare == b":\r\n" * self.size else b""
