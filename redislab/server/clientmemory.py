"""What clients take of memory, and which of them go when that is too much (`maxmemory-clients`).

Follows `getClientMemoryUsage` and `evictClients` in `src/networking.c` and `src/server.c` of Redis
7.0. The sizes of what a client has sent, queued and not read yet are ours; what a client and what
it watches or listens to takes beside that are the sizes that Redis has for them. Redis looks at the
sum before every sleep of its loop. Here it is looked at when much comes in or stays unread, and at
every run of the cron.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.node import Node

REPLY_BUFFER_BYTES = 1024
_CLIENT_BYTES = 776
_LIMIT_LEAST = 128 * 1024
_WATCHED_KEY_BYTES, _QUEUED_COMMAND_BYTES, _SUBSCRIPTION_BYTES = 64, 40, 64
_PREFIX_BYTES = 64


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that one client takes.

    Attributes:
        query: of what it has sent and what has not run yet.
        arguments: of the command that runs.
        queued: of the commands of its transaction.
        output: of replies that its socket does not take.
        rest: of everything else.
    """

    query: int
    arguments: int
    queued: int
    output: int
    rest: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.query + self.arguments + self.queued + self.output + self.rest


def held_by(client: Client, args: Sequence[bytes] = ()) -> Held:
    """What a client takes.

    Args:
        client: the client.
        args: the command that runs for it, which is still in its buffer.
    """
    session = client.session
    query = output = queued = 0
    if session is not None:
        query = session.parser.buffered + session.pending_bytes + _request_bytes(args)
        output = session.transport.get_write_buffer_size()
    elif client.is_master:
        query = client.node.replication.replicaside.unapplied_bytes
    rest = _CLIENT_BYTES + REPLY_BUFFER_BYTES + _WATCHED_KEY_BYTES * len(client.watched)
    rest += _SUBSCRIPTION_BYTES * client.subscribed
    if client.tracker is not None:
        rest += _PREFIX_BYTES * len(client.tracker.prefixes)
    if client.multi is not None:
        queued = sum(len(word) for _, words in client.multi for word in words)
        rest += _QUEUED_COMMAND_BYTES * len(client.multi)
    return Held(query, sum(map(len, args)), queued, output, rest)


def _request_bytes(args: Sequence[bytes]) -> int:
    """How long a request was, in the form that client libraries send."""
    if not args:
        return 0
    return len(b"*%d\r\n" % len(args)) + sum(len(b"$%d\r\n\r\n" % len(a)) + len(a) for a in args)


def limit(node: Node) -> int:
    """How much all clients may take together; 0 for any amount."""
    config = node.config
    wanted = config.maxmemory_clients
    if wanted < 0:
        wanted = -wanted * config.maxmemory // 100
    return max(wanted, _LIMIT_LEAST) if wanted else 0


def evict_clients(node: Node, tell: Callable[[Client], None]) -> None:
    """Close the largest clients until the rest take no more than they may.

    Args:
        node: the node.
        tell: called with each client before it is closed.
    """
    most = limit(node)
    if not most:
        return
    sizes = {
        client: held_by(client).total
        for client in node.clients.values()
        if client.session is not None and client.kind in {"normal", "pubsub"}
    }
    total = sum(sizes.values())
    # As in Redis the order within a power of two is that of arrival.
    ordered = sorted(sizes, key=lambda client: -sizes[client].bit_length())
    for client in ordered:
        if total <= most:
            return
        if client.no_evict:
            continue
        total -= sizes[client]
        node.stats.evicted_clients += 1
        tell(client)
        node.close(client)
