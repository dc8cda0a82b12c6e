"""redis-py's connections in the real worlds: they take the way that their host has to the node.

What that way is, `routes.py` knows.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio

from redislab.worlds.background import OWNER
from redislab.worlds.routes import Dialing

Dial = Callable[[str, int], Dialing | None]


class RoutedConnection(redis.Connection):
    """redis-py's connection, from its host to wherever the way to the node begins."""

    dial: Dial

    def _connect(self) -> socket.socket:
        way = self.dial(self.host, self.port)
        if way is None:
            return super()._connect()  # type: ignore[no-untyped-call,no-any-return]
        sock = socket.create_connection(way.address, self.socket_connect_timeout, way.local)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(self.socket_timeout)
        way.opened(sock)
        return sock


class RoutedAsyncConnection(redis.asyncio.Connection):
    """redis-py's asyncio connection, the same."""

    dial: Dial
    _way: Dialing | None = None

    def _connection_arguments(self) -> dict[str, Any]:
        self._way = way = self.dial(self.host, self.port)
        if way is None:
            return {**super()._connection_arguments()}
        host, port = way.address
        return {"host": host, "port": port, "local_addr": way.local}

    async def _connect(self) -> None:
        # In the world's own loop it would be taken for a connection of the host "client".
        before = OWNER.set(None)
        try:
            await super()._connect()  # type: ignore[no-untyped-call]
        finally:
            OWNER.reset(before)
        if self._way is not None and self._writer is not None:
            self._way.opened(self._writer.transport)


def routed(base: type[Any], dial: Dial) -> type[Any]:
    """A class of connections that find their way so."""
    return type(f"Lab{base.__name__}", (base,), {"dial": staticmethod(dial)})


def close_client(client: redis.Redis | redis.asyncio.Redis) -> None:
    """Close a client's connections, whichever loop they belong to."""
    if isinstance(client, redis.Redis):
        client.close()
        return
    pool: Any = client.connection_pool
    for connection in [*pool._available_connections, *pool._in_use_connections]:
        writer = connection._writer
        if writer is not None and not writer._loop.is_closed():
            # Its loop may have been closed since we looked.
            with contextlib.suppress(RuntimeError):
                writer._loop.call_soon_threadsafe(connection._close)
