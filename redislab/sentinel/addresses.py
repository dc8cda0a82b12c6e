"""Addresses: IP addresses, and names of hosts where a Sentinel is told to take them.

A name is looked up when a connection is begun, and what was found is kept in the state, so that
nothing here waits. Follows `createSentinelAddr`, `sentinelAddrOrHostnameEqual` and
`announceSentinelAddr` in `src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
import re
import socket
from functools import lru_cache

from redislab.sentinel.model import Address, SentinelState

PORT_MAX = 65535
_NUMBERS = re.compile(r"[0-9a-fA-FxX.]+")
# Labels of 63 characters at most, and what looks up names takes no more than 253 in all.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?")


@lru_cache(maxsize=4096)
def numeric(host: str) -> str:
    """An IP address in the one form that it is told in; empty for what is none.

    C reads many: 0:0:0:0:0:0:0:1 is ::1 there, and 127.1 is 127.0.0.1.
    """
    try:
        if ":" in host:
            return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host))
        return socket.inet_ntoa(socket.inet_aton(host)) if _NUMBERS.fullmatch(host) else ""
    except (OSError, ValueError):
        return ""


def is_ip(host: str) -> bool:
    """Whether a host is given by its IP address."""
    return bool(numeric(host))


def is_usable(state: SentinelState, host: str) -> bool:
    """Whether a host can be told from this: an IP address, or a name where names are taken."""
    return is_ip(host) or (state.resolve_hostnames and _HOST_NAME.fullmatch(host) is not None)


def is_known(state: SentinelState, host: str) -> bool:
    """Whether a host is given by its IP address, or was looked up."""
    return is_ip(host) or host in state.resolved


def ip_of(state: SentinelState, host: str) -> str:
    """A host's IP address; empty while it is not known."""
    return numeric(host) or state.resolved.get(host, "")


def shown(state: SentinelState, address: Address) -> str:
    """The host of an address, as others are told of it."""
    if state.announce_hostnames:
        return address.host
    return ip_of(state, address.host) or address.host


def is_host(state: SentinelState, address: Address, host: str) -> bool:
    """Whether an address is one of this host."""
    if address.host.lower() == host.lower():
        return True
    ip = ip_of(state, host)
    return bool(ip) and ip == ip_of(state, address.host)


def is_same(state: SentinelState, one: Address, other: Address) -> bool:
    """Whether two addresses lead to the same process."""
    return one.port == other.port and is_host(state, one, other.host)


async def look_up(loop: asyncio.AbstractEventLoop, state: SentinelState, host: str) -> None:
    """Find out a host's IP address; it stays what it was if that fails.

    Raises:
        OSError: there is no such host.
    """
    if is_ip(host):
        return
    state.resolved.setdefault(host, "")
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    state.resolved[host] = str(found[0][4][0])
