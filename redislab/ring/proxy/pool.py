"""A pool: an address that clients come to, servers behind it, and which of them has a key.

`Turn` is what is to be written at the end of a turn of the loop, for all pools of a proxy: many
clients' requests become one write to a server, many replies one write to a client.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from redislab.ring.placement import Placement
from redislab.ring.proxy.batches import Failure
from redislab.ring.proxy.log import Log, shown
from redislab.ring.proxy.servers import Connection, Shard
from redislab.ring.proxy.session import Session

if TYPE_CHECKING:
    from redislab.ring.proxy.batches import Batch
    from redislab.ring.proxy.settings import PoolConfig
    from redislab.ring.servers import Server
    from redislab.server.environment import Environment

_NOBODY: Final = Failure.of(errno.ECONNREFUSED)


class Turn:
    """Who has something to be written at the end of this turn of the loop."""

    __slots__ = ("_is_wished", "_loop", "connections", "sessions")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_wished = False
        self.connections: list[Connection] = []
        self.sessions: list[Session] = []

    def wish(self) -> None:
        """See to it that the turn ends with `end`."""
        if not self._is_wished:
            self._is_wished = True
            self._loop.call_soon(self._end)

    def _end(self) -> None:
        self._is_wished = False
        connections, self.connections = self.connections, []
        sessions, self.sessions = self.sessions, []
        for connection in connections:
            connection.flush()
        for session in sessions:
            try:
                session.flush()
            except Exception:
                # A bug of ours must not keep the others waiting.
                session.pool.log.problem(traceback.format_exc())
                session.close()


class Pool:
    """One pool of a proxy.

    Args:
        config: what the file says of it.
        environment: the surroundings of the proxy.
        loop: its loop.
        turn: what is written at the end of a turn.
        log: its log.
        key_max: bytes of the longest key.

    Attributes:
        placement: which server has a key; `index_of` is its function.
        shards: the servers, in its order.
        only: the one connection to each, where `server_connections` is 1.
        timeout: seconds that a reply may take; None for any time.
        sessions: its clients.
        client_eof, client_errors, ejects, forward_errors, fragments: what the stats show.
    """

    def __init__(
        self,
        config: PoolConfig,
        environment: Environment,
        loop: asyncio.AbstractEventLoop,
        turn: Turn,
        log: Log,
        key_max: int,
    ) -> None:
        self.environment = environment
        self.loop = loop
        self.turn = turn
        self.log = log
        self.key_max = key_max
        self.sessions: dict[Session, None] = {}
        self.total_clients = 0
        self.client_eof = self.client_errors = self.ejects = self.forward_errors = 0
        self.fragments = 0
        self._listener: asyncio.AbstractServer | None = None
        self.config = config
        self.shards: list[Shard] = []
        self._use(config)

    def _use(self, config: PoolConfig) -> None:
        self.config = config
        self.timeout = config.timeout / 1000 if config.timeout > 0 else None
        self.placement = Placement(
            config.servers,
            hash=config.hash,
            distribution=config.distribution,
            hash_tag=config.hash_tag,
            random=self.environment.random,
        )
        self.index_of = self.placement.index_of
        old = self.shards
        self.shards = [
            _taken(old, server, index, config) or Shard(self, server, index)
            for index, server in enumerate(self.placement.servers)
        ]
        self.only = [shard.only for shard in self.shards]
        for shard in old:
            shard.retire()

    def change(self, config: PoolConfig, listener: asyncio.AbstractServer | None) -> None:
        """Go by another configuration from now on; clients stay, and what is under way goes on.

        Args:
            config: the new one.
            listener: where clients come to now; None where that has not changed.
        """
        if listener is not None:
            self.listen_on(listener)
        if not config.redis_auth:
            for session in self.sessions:
                session.authenticated = True
        self._use(config)
        self.begin()

    # -- life ----------------------------------------------------------------------------------

    def listen_on(self, listener: asyncio.AbstractServer) -> None:
        """Take clients from there, and from nowhere else."""
        if self._listener is not None:
            self._listener.close()
        self._listener = listener

    def begin(self) -> None:
        """Connect to the servers before anybody asks, if that is wished."""
        if self.config.preconnect:
            for shard in self.shards:
                shard.connections[0].connect()

    def close(self) -> None:
        """End everything at once."""
        if self._listener is not None:
            self._listener.close()
        for session in list(self.sessions):
            session.close()
        for shard in self.shards:
            shard.close()

    # -- clients -------------------------------------------------------------------------------

    def came(self, session: Session, transport: asyncio.Transport) -> None:
        """A client has connected; hang up if there are too many."""
        limit = self.config.client_connections
        if limit and len(self.sessions) >= limit:
            self.log.warning(f"client connections {len(self.sessions)} exceed limit {limit}")
            transport.abort()
            return
        self.total_clients += 1
        self.sessions[session] = None
        if self.config.tcpkeepalive:
            handle = transport.get_extra_info("socket")
            if handle is not None:
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def left(self, session: Session, *, failed: bool) -> None:
        """A client is gone."""
        if self.sessions.pop(session, self) is None:
            if failed:
                self.client_errors += 1
            else:
                self.client_eof += 1

    def nobody(self, batch: Batch, place: int) -> None:
        """A request comes while no server is live."""
        self.forward_errors += 1
        batch.answer(place, _NOBODY)

    def refused(self, words: list[bytes]) -> None:
        """A client has sent what the proxy does not take."""
        self.log.problem(f"parsed unsupported command '{shown(words[0])}'")

    # -- servers -------------------------------------------------------------------------------

    def ejected(self, shard: Shard) -> None:
        """A server gets no keys for a while."""
        self.ejects += 1
        seconds = self.config.server_retry_timeout // 1000
        self.log.info(
            f"update pool '{self.config.name}' to delete server '{shard.server}' for next "
            f"{seconds} secs"
        )
        self._rebuild()

    def returned(self, shard: Shard) -> None:
        """It gets its keys again."""
        self.log.info(f"update pool '{self.config.name}' to add server '{shard.server}'")
        self._rebuild()

    def _rebuild(self) -> None:
        self.placement.rebuild([shard.index for shard in self.shards if shard.is_live])


def _taken(shards: list[Shard], server: Server, index: int, config: PoolConfig) -> Shard | None:
    """Take the shard out of a list whose connections can be those to a server, if there is one."""
    for shard in shards:
        if shard.fits(server, config):
            shards.remove(shard)
            shard.adopt(server, index, config)
            return shard
    return None


async def listen(
    loop: asyncio.AbstractEventLoop, config: PoolConfig, session: Callable[[], Session]
) -> asyncio.AbstractServer:
    """Listen for the clients of a pool; raises OSError when the address cannot be had."""
    at = config.listen
    if at.port:
        return await loop.create_server(session, at.host, at.port, backlog=config.backlog)
    server = await loop.create_unix_server(session, at.host, backlog=config.backlog)
    if at.permissions:
        os.chmod(at.host, at.permissions)  # noqa: PTH101
    return server
