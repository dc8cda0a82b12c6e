"""What a configuration file says, as plain data. `conf.py` reads it."""

from __future__ import annotations

from dataclasses import dataclass

from redislab.ring.distributions import DEFAULT_DISTRIBUTION
from redislab.ring.hashes import DEFAULT_HASH
from redislab.ring.servers import Server

# Of a chunk of memory of the original so many bytes are its own; a key has to fit into the rest.
KEY_ROOM = 48
MBUF_SIZE = 16384


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a pool's clients come to.

    Attributes:
        text: as it stands in the file.
        host: a host, or the path of a socket.
        port: the port; 0 for a path.
        permissions: of the socket's file; 0 for what the system gives it.
    """

    text: str
    host: str
    port: int
    permissions: int = 0


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """One pool; the names and defaults are those of the file.

    Attributes:
        name: what stands above it.
        listen: where its clients come to.
        servers: in nutcracker's order.
        timeout: milliseconds that a reply may take; -1 for any time.
        backlog: clients that may wait to be accepted.
        client_connections: how many clients there may be; 0 for any number.
        redis_auth: the password that clients need, and with which servers are addressed; b"" for
            none.
        redis_db: the database on the servers.
        server_retry_timeout: milliseconds that a server stays ejected.
        explain_refusals: answer what the proxy refuses with an error that says why, where the
            original closes the connection. This directive is our own.
    """

    name: str
    listen: Listen
    servers: tuple[Server, ...]
    hash: str = DEFAULT_HASH
    hash_tag: str = ""
    distribution: str = DEFAULT_DISTRIBUTION
    timeout: int = -1
    backlog: int = 512
    client_connections: int = 0
    redis: bool = False
    tcpkeepalive: bool = False
    redis_auth: bytes = b""
    redis_db: int = 0
    preconnect: bool = False
    auto_eject_hosts: bool = False
    server_connections: int = 1
    server_retry_timeout: int = 30_000
    server_failure_limit: int = 2
    explain_refusals: bool = False


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """A whole file.

    Attributes:
        file: its name.
        pools: in nutcracker's order: by name, shorter ones first.
        mbuf_size: the option -m, which bounds the length of a key.
        stats_host, stats_port: where the stats are shown; port 0 for nowhere.
    """

    file: str
    pools: tuple[PoolConfig, ...]
    mbuf_size: int = MBUF_SIZE
    stats_host: str = "127.0.0.1"
    stats_port: int = 0
