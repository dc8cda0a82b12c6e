"""What a proxy counts: JSON for whoever connects to the stats port, and what each field means.

The fields are nutcracker's, in its order and layout. It shows figures that are up to `-i`
milliseconds old; here they are those of the moment. Follows `src/nc_stats.c` of twemproxy 0.5.0.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from redislab.ring.proxy.node import ProxyNode
    from redislab.ring.proxy.pool import Pool
    from redislab.ring.proxy.servers import Shard

VERSION: Final = "0.5.0"  # of the nutcracker that this stands in for

POOL_FIELDS: Final = {
    "client_eof": "# eof on client connections",
    "client_err": "# errors on client connections",
    "client_connections": "# active client connections",
    "server_ejects": "# times backend server was ejected",
    "forward_error": "# times we encountered a forwarding error",
    "fragments": "# fragments created from a multi-vector request",
}
SERVER_FIELDS: Final = {
    "server_eof": "# eof on server connections",
    "server_err": "# errors on server connections",
    "server_timedout": "# timeouts on server connections",
    "server_connections": "# active server connections",
    "server_ejected_at": "timestamp when server was ejected in usec since epoch",
    "requests": "# requests",
    "request_bytes": "total request bytes",
    "responses": "# responses",
    "response_bytes": "total response bytes",
    "in_queue": "# requests in incoming queue",
    "in_queue_bytes": "current request bytes in incoming queue",
    "out_queue": "# requests in outgoing queue",
    "out_queue_bytes": "current request bytes in outgoing queue",
}


def describe() -> str:
    """What each field means, as `nutcracker -D` prints it."""
    lines = ["pool stats:"]
    lines += [f'  {name:<20}"{text}"' for name, text in POOL_FIELDS.items()]
    lines += ["", "server stats:"]
    lines += [f'  {name:<20}"{text}"' for name, text in SERVER_FIELDS.items()]
    return "\n".join(lines) + "\n"


def snapshot(node: ProxyNode) -> dict[str, object]:
    """Everything that is counted, as the stats port shows it."""
    now = node.environment.unix_time()
    pools = node.pools.values()
    servers = sum(_open(shard) for pool in pools for shard in pool.shards)
    clients = sum(len(pool.sessions) for pool in pools)
    made = sum(pool.total_clients for pool in pools) + sum(
        shard.connected for pool in pools for shard in pool.shards
    )
    facts: dict[str, object] = {
        "service": "nutcracker",
        "source": node.environment.name,
        "version": VERSION,
        "uptime": int(now) - int(node.since),
        "timestamp": int(now),
        # Those that listen are counted as well.
        "total_connections": made + len(node.pools),
        "curr_connections": servers + clients + len(node.pools),
    }
    for pool in pools:
        facts[pool.config.name] = _pool(pool)
    return facts


def _pool(pool: Pool) -> dict[str, object]:
    facts: dict[str, object] = {
        "client_eof": pool.client_eof,
        "client_err": pool.client_errors,
        "client_connections": len(pool.sessions),
        "server_ejects": pool.ejects,
        "forward_error": pool.forward_errors,
        "fragments": pool.fragments,
    }
    for shard in pool.shards:
        facts[shard.server.label.decode("utf-8", "replace")] = _server(shard)
    return facts


def _server(shard: Shard) -> dict[str, int]:
    unsent = sum(connection.unsent_requests for connection in shard.connections)
    sent = sum(len(connection.waiting) for connection in shard.connections) - unsent
    unsent_bytes = sum(sum(map(len, connection.unsent)) for connection in shard.connections)
    return {
        "server_eof": shard.eof,
        "server_err": shard.errors,
        "server_timedout": shard.timeouts,
        "server_connections": _open(shard),
        "server_ejected_at": shard.ejected_at,
        "requests": shard.requests + unsent,
        "request_bytes": shard.request_bytes + unsent_bytes,
        "responses": shard.responses,
        "response_bytes": shard.response_bytes,
        "in_queue": unsent,
        "in_queue_bytes": unsent_bytes,
        "out_queue": sent,
        "out_queue_bytes": sum(connection.sent_bytes for connection in shard.connections),
    }


def _open(shard: Shard) -> int:
    return sum(connection.is_open for connection in shard.connections)


class StatsSession(asyncio.Protocol):
    """Whoever connects is shown the stats, and the connection ends."""

    def __init__(self, show: Callable[[], dict[str, object]]) -> None:
        self._show = show

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say all."""
        stream = cast("asyncio.Transport", transport)
        stream.write(json.dumps(self._show()).encode() + b"\n")
        stream.close()
