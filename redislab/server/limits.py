"""What clients may not exceed: their number, what they send, what they leave unread, their silence.

Follows `acceptCommonHandler`, `checkClientOutputBufferLimits` and `clientsCronHandleTimeout` of
`src/networking.c` and `src/server.c` in Redis 7.0.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redislab.server.clientmemory import evict_clients
from redislab.server.clients import describe
from redislab.server.log import VERBOSE, WARNING
from redislab.server.monitor import represent

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.node import Node
    from redislab.server.session import Session

_UNREAD_BEFORE_PASSWORD = 1024  # bytes that a client may leave unread before it has said who it is
_CLASSES = {"normal": 0, "master": 0, "replica": 1, "pubsub": 2}
PROTECTED = (
    "DENIED Redis is running in protected mode because protected mode is enabled and no password "
    "is set for the default user. In this mode connections are only accepted from the loopback "
    "interface. If you want to connect from external computers to Redis you may adopt one of the "
    "following solutions: 1) Just disable protected mode sending the command 'CONFIG SET "
    "protected-mode no' from the loopback interface by connecting to Redis from the same host the "
    "server is running, however MAKE SURE Redis is not publicly accessible from internet if you do "
    "so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable "
    "the protected mode by editing the Redis configuration file, and setting the protected mode "
    "option to 'no', and then restarting the server. 3) If you started the server manually just "
    "for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication "
    "password for the default user. NOTE: You only need to do one of the above things in order for "
    "the server to start accepting connections from the outside."
)


class Limits:
    """The limits of one node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._closing: dict[Client, None] = {}

    def evict_clients(self) -> None:
        """Close the largest clients if all of them take more than they may."""
        if self.node.config.maxmemory_clients:
            evict_clients(self.node, self._tell_evicted)

    def _tell_evicted(self, client: Client) -> None:
        self.node.log.notice(f"Evicting client: {describe(client)}")

    def refuses(self, transport: asyncio.Transport) -> str | None:
        """Why a new connection is refused, or None."""
        node = self.node
        if node.stopping:
            return "ERR the server is shutting down"
        if len(node.clients) >= node.config.maxclients:
            node.stats.rejected_connections += 1
            return "ERR max number of clients reached"
        default = node.acl.default
        if node.config.protected_mode and default.no_password and not _is_local(transport):
            node.stats.rejected_connections += 1
            return PROTECTED
        return None

    def check_query(self, session: Session) -> None:
        """Close a client that sends more than it may before anything can be run."""
        client = session.client
        held = session.parser.buffered + session.pending_bytes
        self.evict_clients()
        if client is None or held <= self.node.config.client_query_buffer_limit:
            return
        self.node.log.warning(
            f"Closing client that reached max query buffer length: {describe(client)} "
            '(qbuf initial bytes: "")'
        )
        self.node.stats.limit_disconnections += 1
        self.node.close(client)

    def check_output(self, session: Session) -> None:
        """Close a client that leaves too much unread, or somewhat too much for too long."""
        if self.node.config.maxmemory_clients:
            self.node.loop.call_soon(self.evict_clients)
        client = session.client
        if client is None or client in self._closing:
            return
        limit = self.node.config.client_output_buffer_limit[_CLASSES[client.kind]]
        waiting = session.transport.get_write_buffer_size()
        most = limit.hard_bytes
        if client.replica is not None and client.is_replica:
            # It may always be as far behind as the backlog reaches.
            waiting = client.replica.unread_bytes
            most = max(most, self.node.config.repl_backlog_size) if most else 0
        unknown = client.must_authenticate and waiting > _UNREAD_BEFORE_PASSWORD
        if unknown or (most and waiting >= most):
            self._close_slow_reader(client)
            return
        if not limit.soft_bytes or waiting < limit.soft_bytes:
            client.soft_limit_since = None
            return
        now = self.node.loop_time()
        if client.soft_limit_since is None:
            client.soft_limit_since = now
        elif now - client.soft_limit_since > limit.soft_seconds:
            self._close_slow_reader(client)

    def check_silence(self) -> None:
        """Close idle clients, and those over a soft limit for too long; the cron calls this."""
        node = self.node
        now = node.loop_time()
        timeout = node.config.timeout
        for client in list(node.clients.values()):
            session = client.session
            if session is None:
                continue
            if session.slow_reader:
                self.check_output(session)
            exempt = client.blocked is not None or client.monitoring or client.kind != "normal"
            if timeout and not exempt and now - client.last_used > timeout:
                node.log(VERBOSE, "Closing idle client")
                node.close(client)

    def log_protocol_error(self, client: Client, message: str) -> None:
        """Tell the log of a client that broke the protocol."""
        if self.node.log.level <= VERBOSE:
            reason = message.removeprefix("Protocol error: ")
            self.node.log(
                VERBOSE,
                f"Protocol error ({reason}) from client: {describe(client)}. "
                f"Query buffer during protocol error: {represent(b'')}",
            )

    def _close_slow_reader(self, client: Client) -> None:
        self.node.log(
            WARNING,
            f"Client {describe(client)} scheduled to be closed ASAP for overcoming of output "
            "buffer limits.",
        )
        self.node.stats.limit_disconnections += 1
        # Whoever sends to many must not lose one of them on the way.
        self._closing[client] = None
        self.node.loop.call_soon(self._close, client)

    def _close(self, client: Client) -> None:
        self._closing.pop(client, None)
        self.node.close(client)


def _is_local(transport: asyncio.Transport) -> bool:
    """Whether a connection comes from this machine, as far as Redis asks: loopback or a socket."""
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return True
    return str(peer[0]).removeprefix("::ffff:").startswith("127.") or peer[0] == "::1"
