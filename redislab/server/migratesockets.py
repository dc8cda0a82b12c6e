"""The connections that MIGRATE makes, kept for the next one.

A connection is kept under the host and the port as the command names them, for ten seconds after
its last use, and sixty-four at the most. Follows `migrateGetSocket` and
`migrateCloseTimedoutSockets` in `src/cluster.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

from redislab.wire.rdb.report import leading_integer
from redislab.wire.replies import Reply, ReplyParser

if TYPE_CHECKING:
    from redislab.server.node import Node

_SOCKETS_MAX = 64
_KEPT_S = 10
_LOOK_S = 1.0
_READ_BYTES = 64 * 1024


class BrokenError(Exception):
    """A connection is of no use any more.

    Attributes:
        doing: "writing" or "reading".
        timed_out: the other node was silent for too long; else the connection has ended.
        replies: what it had answered before.
    """

    def __init__(self, doing: str, replies: list[Reply], *, timed_out: bool) -> None:
        super().__init__(doing)
        self.doing = doing
        self.replies = replies
        self.timed_out = timed_out


class MigrateSocket:
    """A connection to a target.

    Attributes:
        database: the one that is selected there; -1 where that is not known.
        used: when it was used last, in seconds since the epoch.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.database = -1
        self.used = 0
        self._reader, self._writer = reader, writer
        self._parser = ReplyParser()

    async def exchange(self, requests: list[bytes], timeout_s: float) -> list[Reply]:
        """Send requests, and read a reply to each.

        Raises:
            BrokenError: not all replies came.
        """
        replies: list[Reply] = []
        doing = "writing"
        try:
            self._writer.write(b"".join(requests))
            await asyncio.wait_for(self._writer.drain(), timeout_s)
            doing = "reading"
            while len(replies) < len(requests):
                data = await asyncio.wait_for(self._reader.read(_READ_BYTES), timeout_s)
                if not data:
                    raise BrokenError(doing, replies, timed_out=False)
                replies += self._parser.feed(data)
        except TimeoutError:
            raise BrokenError(doing, replies, timed_out=True) from None
        except OSError:
            raise BrokenError(doing, replies, timed_out=False) from None
        return replies

    def close(self) -> None:
        """End it."""
        self._writer.close()


def _port(text: bytes) -> int:
    """The number that a text begins with, as far as a port goes, as C reads it.

    Raises:
        OSError: it is below zero, which is no service that the resolver knows.
    """
    number = leading_integer(text)
    if number < 0:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return number & 0xFFFF


class MigrateSockets:
    """The connections of one node to targets."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._sockets: dict[tuple[bytes, bytes], MigrateSocket] = {}

    async def get(self, host: bytes, port: bytes, timeout_s: float) -> MigrateSocket:
        """A connection that is there, or a new one.

        Raises:
            OSError, TimeoutError: none can be made.
        """
        found = self._sockets.get((host, port))
        if found is None:
            if len(self._sockets) >= _SOCKETS_MAX:
                self.drop(*self.node.random.choice(list(self._sockets)))
            source = self.node.config.bind_source_addr
            connecting = asyncio.open_connection(
                host.decode("utf-8", "surrogateescape"),
                _port(port),
                local_addr=(source, 0) if source else None,
            )
            found = MigrateSocket(*await asyncio.wait_for(connecting, timeout_s))
            if not self._sockets:
                self.node.call_later(_LOOK_S, self._close_old)
            self._sockets[host, port] = found
        found.used = self._now()
        return found

    def drop(self, host: bytes, port: bytes) -> None:
        """Close a connection."""
        found = self._sockets.pop((host, port), None)
        if found is not None:
            found.close()

    def close(self) -> None:
        """Close all of them."""
        for name in list(self._sockets):
            self.drop(*name)

    def _close_old(self) -> None:
        for name, each in list(self._sockets.items()):
            if self._now() - each.used > _KEPT_S:
                self.drop(*name)
        if self._sockets:
            self.node.call_later(_LOOK_S, self._close_old)

    def _now(self) -> int:
        return int(self.node.environment.unix_time())
