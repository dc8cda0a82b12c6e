"""One Redis node on plain asyncio.

`Node` owns the keyspace, the clients and the counters, listens, and runs the periodic work that
`serverCron` does in `src/server.c` of Redis 7.0. What its commands do stands in the rooms beside
it: data commands in `redislab.engine`, the others in this package, a file each.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.engine.keyspace import Engine
from redislab.server import gates
from redislab.server.blocking import Blocking
from redislab.server.client import Client
from redislab.server.commands import build_table, load_commands, short_cuts
from redislab.server.environment import Environment
from redislab.server.session import Session
from redislab.wire.resp import error

if TYPE_CHECKING:
    from redislab.server.commands import Entry
    from redislab.server.config import Config

__all__ = ["Environment", "Node"]


class Node:
    """One Redis node.

    Args:
        config: its directives, as read from redis.conf and the command line.
        environment: its clocks, random source and log.

    `start` listens, `stop` closes in an orderly way, `abort` drops everything as a kill would.
    """

    def __init__(self, config: Config, environment: Environment) -> None:
        self.config = config
        self.environment = environment
        self.clock = environment.clock
        self.random = environment.random
        self.run_id = f"{self.random.getrandbits(160):040x}"
        self.engine = Engine(config.databases, self.now_ms, self.random)
        load_commands()
        # Every command by its lower-case name, and the same in the two spellings that clients
        # use for those that need no look at their second word: the short cut of a session.
        self.commands = build_table()
        self.table = short_cuts(self.commands)
        self.clients: dict[int, Client] = {}
        self.blocking = Blocking(self)
        self.monitors: dict[Client, None] = {}
        self.pause_ends = 0.0
        self.slow_seconds = float("inf")
        self.commands_processed = self.connections_received = self.connections_rejected = 0
        self.bytes_in = self.bytes_out = 0
        self.errors: dict[str, int] = {}
        self.password_required = bool(config.requirepass)
        self._next_client_id = 1
        self._servers: list[asyncio.Server] = []
        self.refresh()

    # -- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen on the configured addresses.

        Raises:
            OSError: when an address cannot be had, such as a port in use.
        """
        self.loop = asyncio.get_running_loop()
        self.loop_time = self.loop.time
        self.started = self.loop.time()
        for host in self.config.bind:
            self._servers.append(
                await self.loop.create_server(
                    lambda: Session(self), host, self.config.port, backlog=511
                )
            )

    async def stop(self) -> None:
        """Close the listeners and every connection in an orderly way."""
        for server in self._servers:
            server.close()
        for client in list(self.clients.values()):
            if client.session is not None:
                client.session.transport.close()
        self._servers.clear()

    # -- clients -------------------------------------------------------------------------------

    def refuses(self, transport: asyncio.Transport) -> str | None:
        """Why a new connection is refused, or None."""
        self.connections_received += 1
        if len(self.clients) >= self.config.maxclients:
            self.connections_rejected += 1
            return "ERR max number of clients reached"
        return None

    def admit(self, session: Session) -> Client:
        """A client for a new connection."""
        client = Client(self, self._next_client_id, session)
        self._next_client_id += 1
        self.clients[client.id] = client
        return client

    def forget(self, client: Client) -> None:
        """A connection is gone."""
        self.blocking.forget(client)
        self.clients.pop(client.id, None)

    # -- what commands and sessions ask -----------------------------------------------------------

    def now_ms(self) -> int:
        """Milliseconds since the epoch, on the node's clock."""
        return int(self.environment.unix_time() * 1000)

    def refresh(self) -> None:
        """Work out again whether the node is plain."""
        self.plain = gates.node_is_plain(self)

    def failed(self, entry: Entry, failure: CommandError) -> bytes:
        """The error reply of a command that ran and failed."""
        entry.failed += 1
        self.count_error(failure.message)
        return error(failure.message)

    def crashed(self, args: list[bytes], bug: Exception) -> bytes:
        """The reply of a command that met a bug of ours; the log has the traceback."""
        for line in traceback.format_exception(bug):
            self.environment.log(line.rstrip())
        name = args[0].decode("utf-8", "replace")
        return error(f"ERR internal error in '{name}': {type(bug).__name__}")

    def is_paused(self, entry: Entry) -> bool:
        """Whether CLIENT PAUSE holds this command back now."""
        return self.pause_ends > self.loop_time()

    def count_error(self, message: str) -> None:
        """Count an error reply by its code, for `INFO errorstats`."""
        code = message.split(" ", 1)[0]
        self.errors[code] = self.errors.get(code, 0) + 1
