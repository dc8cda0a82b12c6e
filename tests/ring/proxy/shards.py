"""Servers that misbehave on purpose, as real ones do when they die, hang or are still loading."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from redislab.wire.requests import RequestParser
from tests.servers import HOST

# What a server does with a command.
Manner = Callable[["Visit", list[bytes]], None]


class Visit(asyncio.Protocol):
    """A connection to such a server.

    Attributes:
        commands: what has come on it.
    """

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.commands: list[list[bytes]] = []
        self._parser = RequestParser()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.shard.visits.append(self)

    def data_received(self, data: bytes) -> None:
        for words in self._parser.feed(data):
            self.commands.append(words)
            self.shard.manner(self, words)

    def say(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def hang_up(self) -> None:
        """Close the connection in an orderly way, once all was said."""
        self.transport.close()

    def reset(self) -> None:
        """Close it with a reset."""
        handle = self.transport.get_extra_info("socket")
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Shard:
    """Such a server.

    Attributes:
        port: of it.
        manner: what it does with a command; may be changed while it runs.
        visits: the connections that were made to it.
    """

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.visits: list[Visit] = []
        self.port = 0

    @property
    def commands(self) -> list[list[bytes]]:
        """What has come on all connections, one connection after the other."""
        return [words for visit in self.visits for words in visit.commands]


@contextlib.asynccontextmanager
async def shard(manner: Manner, port: int = 0, *, path: Path | None = None) -> AsyncIterator[Shard]:
    """Run such a server until the block ends, on a port or on a path."""
    made = Shard(manner)
    loop = asyncio.get_running_loop()
    if path is not None:
        server = await loop.create_unix_server(lambda: Visit(made), path)
    else:
        server = await loop.create_server(lambda: Visit(made), HOST, port)
        made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for visit in made.visits:
            visit.transport.abort()
        await asyncio.sleep(0)  # in which they are closed


# -- manners ---------------------------------------------------------------------------------------


def well(visit: Visit, words: list[bytes]) -> None:
    """Answer all with OK."""
    visit.say(b"+OK\r\n")


def silent(visit: Visit, words: list[bytes]) -> None:
    """Say nothing."""


def says(data: bytes) -> Manner:
    """Answer all with these bytes."""

    def manner(visit: Visit, words: list[bytes]) -> None:
        visit.say(data)

    return manner


def says_and_hangs_up(data: bytes) -> Manner:
    """Say these bytes, and close the connection a moment later.

    Nutcracker may miss an end that comes together with the last bytes, and wait for its timeout.
    """

    def manner(visit: Visit, words: list[bytes]) -> None:
        visit.say(data)
        asyncio.get_running_loop().call_later(0.03, visit.hang_up)

    return manner


def resets(visit: Visit, words: list[bytes]) -> None:
    """Reset the connection."""
    visit.reset()
