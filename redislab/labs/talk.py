"""Speaking RESP to a node without a client library: what `lab.cli` and `lab.exchange` do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from redislab.wire.replies import Reply, ReplyParser
from redislab.wire.resp import bulks
from redislab.worlds.base import NodeHandle

REPLY_TIMEOUT_S = 10.0
SILENCE_S = 0.05  # a node that says nothing for so long has said all it will
CHUNK_BYTES = 65536


class Talk:
    """A connection to a node that is kept, as one redis-cli keeps it."""

    def __init__(self, node: NodeHandle, password: str | None = None) -> None:
        self.node = node
        self.password = password
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._parser = ReplyParser()

    async def ask(self, words: Sequence[bytes]) -> Reply:
        """Send a request and return its reply; connects again if the connection is gone.

        Raises:
            ConnectionError: nobody listens, or the node hung up before it answered.
            TimeoutError: no answer came in time.
        """
        if self._streams is None or self._streams[0].at_eof() or self._streams[1].is_closing():
            await self._connect()
        try:
            return await self._request(words)
        except BaseException:
            self._drop()
            raise

    async def _connect(self) -> None:
        self._parser = ReplyParser()
        opening = asyncio.open_connection(self.node.host, self.node.port)
        self._streams = await asyncio.wait_for(opening, REPLY_TIMEOUT_S)
        if self.password is not None:
            await self._request([b"AUTH", self.password.encode()])

    async def _request(self, words: Sequence[bytes]) -> Reply:
        assert self._streams is not None, "connected before"
        reader, writer = self._streams
        writer.write(bulks(words))
        async with asyncio.timeout(REPLY_TIMEOUT_S):
            while True:
                data = await reader.read(CHUNK_BYTES)
                if not data:
                    raise ConnectionError(f"{self.node} closed the connection")
                if replies := self._parser.feed(data):
                    return replies[-1]

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def exchange(node: NodeHandle, data: bytes, wait_s: float) -> bytes:
    """Send bytes on a new connection; return what comes until silence or the end."""
    reader, writer = await asyncio.open_connection(node.host, node.port)
    try:
        writer.write(data)
        received = b""
        patience = wait_s
        with contextlib.suppress(TimeoutError, ConnectionError):
            while chunk := await asyncio.wait_for(reader.read(CHUNK_BYTES), patience):
                received += chunk
                patience = SILENCE_S
        return received
    finally:
        writer.close()
