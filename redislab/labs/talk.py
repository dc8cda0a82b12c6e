"""Speaking RESP to a node without a client library: `lab.cli`, `lab.exchange` and `%redis`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from redislab.wire.clitext import format_reply
from redislab.wire.replies import Reply, ReplyParser
from redislab.wire.requests import split_words
from redislab.wire.resp import bulks
from redislab.worlds.base import Address, NodeHandle, World

REPLY_TIMEOUT_S = 10.0
SILENCE_S = 0.05  # a node that says nothing for so long has said all it will
CHUNK_BYTES = 65536


class Talk:
    """A connection to a node that is kept, as one redis-cli keeps it.

    Args:
        node: whom to talk to.
        password: what redis-cli's -a takes.
        timeout_s: how long a reply may take; None is forever.
    """

    def __init__(
        self,
        node: NodeHandle,
        password: str | None = None,
        *,
        timeout_s: float | None = REPLY_TIMEOUT_S,
    ) -> None:
        self.node = node
        self.password = password
        self.timeout_s = timeout_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._parser = ReplyParser()

    async def ask(self, words: Sequence[bytes]) -> Reply:
        """Send a request and return its reply; connects again if the connection is gone.

        Raises:
            ConnectionError: nobody listens, or the node hung up before it answered.
            TimeoutError: no answer came in time.
        """
        try:
            async with asyncio.timeout(self.timeout_s):
                if self._streams is None or self._streams[0].at_eof():
                    await self._connect()
                return await self._request(words)
        except BaseException:
            await self.close()
            raise

    async def answer(self, command: str) -> str:
        """What redis-cli prints for a command line."""
        words = split_words(command.strip().encode())
        if words is None:
            return "Invalid argument(s)"
        if not words:
            return ""
        try:
            return format_reply(await self.ask(words), words)
        except ConnectionRefusedError:
            where = f"{self.node.host}:{self.node.port}"
            return f"Could not connect to Redis at {where}: Connection refused"
        except (OSError, TimeoutError) as failure:
            return f"Error: {str(failure) or 'no answer'}"

    async def close(self) -> None:
        """Hang up; the next request connects again."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _connect(self) -> None:
        self._parser = ReplyParser()
        self._streams = await asyncio.open_connection(self.node.host, self.node.port)
        if self.password is not None:
            # If it is the wrong one, the reply to the next command says so, as in redis-cli.
            await self._request([b"AUTH", self.password.encode()])

    async def _request(self, words: Sequence[bytes]) -> Reply:
        assert self._streams is not None, "connected before"
        reader, writer = self._streams
        writer.write(bulks(words))
        while True:
            data = await reader.read(CHUNK_BYTES)
            if not data:
                raise ConnectionError("Server closed the connection")
            if replies := self._parser.feed(data):
                return replies[0]


async def answer_once(node: NodeHandle, password: str | None, command: str) -> str:
    """What redis-cli prints for one command line, on a connection of its own.

    It waits for the reply as long as that takes, as redis-cli does.
    """
    talk = Talk(node, password, timeout_s=None)
    try:
        return await talk.answer(command)
    finally:
        await talk.close()


async def exchange(
    node: NodeHandle, data: bytes, wait_s: float, silence_s: float = SILENCE_S
) -> bytes:
    """Send bytes on a new connection; return what comes until silence or the end."""
    reader, writer = await asyncio.open_connection(node.host, node.port)
    try:
        writer.write(data)
        received = b""
        patience = wait_s
        with contextlib.suppress(TimeoutError, ConnectionError):
            while chunk := await asyncio.wait_for(reader.read(CHUNK_BYTES), patience):
                received += chunk
                patience = silence_s
        return received
    finally:
        writer.close()


def read_all(world: World, at: str, address: Address, timeout_s: float) -> bytes:
    """Everything that a node says to who connects, until it hangs up.

    Args:
        world: whose node it is.
        at: the host to connect from.
        address: what to connect to.
        timeout_s: how long it may be silent.

    Raises:
        OSError: nobody listens, or it fell silent.
    """
    options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    kind: Any = world.connections(at, options)
    host, port = address
    sock = kind(host=host, port=port, **options)._connect()
    try:
        received = b""
        while chunk := sock.recv(CHUNK_BYTES):
            received += chunk
        return received
    finally:
        sock.close()
