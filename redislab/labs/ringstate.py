"""What a lab knows of its proxies and shards at one moment: plain data, read off what they tell.

A proxy tells its statistics as JSON on a port of its own. They say how much went to which server
and when it was ejected last, but not whether it is so now: that follows from how long ago it was
and `server_retry_timeout`, as it does for the proxy itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from redislab.worlds.base import Event
from redislab.worlds.proxies import POOL

_SECOND_US = 1e6


@dataclass(frozen=True, slots=True)
class ServerStats:
    """What a proxy says of one of its servers since it was started.

    Attributes:
        name: the shard's name in the lab.
        requests: how many were sent to it.
        responses: how many it answered.
        errors: how many connections to it ended by an error.
        timeouts: how many because an answer took longer than `timeout`.
        ends: how many because the server hung up.
        connections: how many there are now.
        waiting: requests that are not sent to it yet.
        under_way: requests that were sent and not answered yet.
        ejected_at: when it was ejected last, in seconds of the lab's clock; None if it never was.
        ejected: whether it is so now, as far as follows from that.
    """

    name: str
    requests: int
    responses: int
    errors: int
    timeouts: int
    ends: int
    connections: int
    waiting: int
    under_way: int
    ejected_at: float | None
    ejected: bool

    @property
    def failures(self) -> int:
        """How many connections ended, whatever ended them."""
        return self.errors + self.timeouts + self.ends


@dataclass(frozen=True, slots=True)
class ProxyState:
    """One proxy at one moment.

    Attributes:
        name: its name in the lab.
        host: its address.
        port: its port.
        up: whether it told its statistics.
        state: what the lab did to it: "running", "paused", "killed" ...
        clients: connections of clients that it has.
        ejections: how often it has ejected a server since it was started.
        forward_errors: requests that it could not pass on, and answered with an error itself.
        fragments: requests that came of splitting others.
        servers: what it says of its servers.
    """

    name: str
    host: str
    port: int
    up: bool
    state: str
    clients: int = 0
    ejections: int = 0
    forward_errors: int = 0
    fragments: int = 0
    servers: tuple[ServerStats, ...] = ()

    def server(self, name: object) -> ServerStats:
        """What it says of a shard; raises KeyError for one that it does not know."""
        return _named(self.servers, name)


@dataclass(frozen=True, slots=True)
class ShardState:
    """One shard at one moment; the numbers of requests are those of all proxies together.

    Attributes:
        name: its name in the lab.
        host: its address.
        port: its port.
        up: whether it answered the lab.
        state: what the lab did to it.
        weight: its weight.
        keys: how many it has; 0 if it does not answer.
        ejected: the proxies that leave it out now.
        requests: how many were sent to it.
        responses: how many it answered.
        failures: how many connections to it ended, whatever ended them.
    """

    name: str
    host: str
    port: int
    up: bool
    state: str
    weight: int
    keys: int
    ejected: tuple[str, ...]
    requests: int
    responses: int
    failures: int


@dataclass(frozen=True, slots=True)
class RingSnapshot:
    """A lab with proxies at one moment.

    Attributes:
        time: seconds since the lab began.
        shards: all of them, in the order in which they were started.
        proxies: likewise.
        cuts: (from, to) of every cut that the lab has made and not healed.
        delays: (a, b, seconds one way) of every delay likewise.
    """

    time: float
    shards: tuple[ShardState, ...]
    proxies: tuple[ProxyState, ...]
    cuts: tuple[tuple[str, str], ...] = ()
    delays: tuple[tuple[str, str, float], ...] = ()

    @property
    def ejected(self) -> tuple[str, ...]:
        """The shards that a proxy leaves out now."""
        return tuple(shard.name for shard in self.shards if shard.ejected)

    @property
    def keys(self) -> int:
        """How many keys there are on all shards that answer."""
        return sum(shard.keys for shard in self.shards)

    def shard(self, name: object) -> ShardState:
        """A shard by its name or handle; raises KeyError."""
        return _named(self.shards, name)

    def proxy(self, name: object) -> ProxyState:
        """A proxy by its name or handle; raises KeyError."""
        return _named(self.proxies, name)

    def to_dict(self) -> dict[str, Any]:
        """As plain data that turns into JSON."""
        return asdict(self)


_Named = TypeVar("_Named", ServerStats, ProxyState, ShardState)


def _named(found: Sequence[_Named], name: object) -> _Named:
    for each in found:
        if each.name == str(name):
            return each
    raise KeyError(str(name))


def proxy_state(
    known: ProxyState,
    stats: Mapping[str, Any],
    names: Callable[[str], str],
    *,
    began_at: float,
    now: float,
    retry_s: float,
) -> ProxyState:
    """A proxy's state from its statistics.

    Args:
        known: the lab's own knowledge of it.
        stats: the statistics, as read from JSON.
        names: the name of a shard in the lab, from what the proxy calls it.
        began_at: when the lab began, in seconds since the epoch.
        now: seconds of the lab's clock.
        retry_s: `server_retry_timeout` in seconds.
    """
    pool = stats[POOL]
    servers = []
    for label, one in pool.items():
        if not isinstance(one, Mapping):
            continue
        told = int(one["server_ejected_at"])
        ejected_at = told / _SECOND_US - began_at if told else None
        servers.append(
            ServerStats(
                name=names(label),
                requests=int(one["requests"]),
                responses=int(one["responses"]),
                errors=int(one["server_err"]),
                timeouts=int(one["server_timedout"]),
                ends=int(one["server_eof"]),
                connections=int(one["server_connections"]),
                waiting=int(one["in_queue"]),
                under_way=int(one["out_queue"]),
                ejected_at=ejected_at,
                ejected=ejected_at is not None and now < ejected_at + retry_s,
            )
        )
    return ProxyState(
        known.name,
        known.host,
        known.port,
        up=True,
        state=known.state,
        clients=int(pool["client_connections"]),
        ejections=int(pool["server_ejects"]),
        forward_errors=int(pool["forward_error"]),
        fragments=int(pool["fragments"]),
        servers=tuple(sorted(servers, key=lambda each: each.name)),
    )


class Ejections:
    """Which shard was ejected when, and when it got its keys back, as the statistics have told.

    A proxy tells the last ejection of each server only, so that somebody has to look often enough.

    Args:
        retry_s: `server_retry_timeout` in seconds.
    """

    def __init__(self, retry_s: float) -> None:
        self._retry_s = retry_s
        self._times: dict[tuple[str, str], list[float]] = {}

    def take(self, proxies: Sequence[ProxyState]) -> None:
        """Take in what proxies tell now."""
        for proxy in proxies:
            for server in proxy.servers:
                if server.ejected_at is None:
                    continue
                times = self._times.setdefault((proxy.name, server.name), [])
                # The same moment may be told as one that differs in the last digit.
                if not times or server.ejected_at > times[-1] + 1e-4:
                    times.append(server.ejected_at)

    def events(self, now: float) -> list[Event]:
        """What happened so far, each ejection with the end of its time if that is over."""
        found = []
        for (proxy, server), times in self._times.items():
            for at in times:
                ends = at + self._retry_s
                found.append(Event(at, proxy, "eject", f"{server} for {self._retry_s:g} s"))
                if ends <= now:
                    found.append(Event(ends, proxy, "return", f"{server} gets its keys again"))
        return sorted(found, key=lambda event: event.time)
