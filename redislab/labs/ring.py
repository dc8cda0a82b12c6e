"""Shards, and proxies before them that put each key on one, in any world."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff

from redislab.labs.base import ASK_SECONDS, Named
from redislab.labs.events import EventTable
from redislab.labs.load import KINDS, Kind, Load
from redislab.labs.network import NetworkLab
from redislab.labs.ringstate import (
    Ejections,
    ProxyState,
    RingSnapshot,
    ShardState,
    proxy_state,
)
from redislab.labs.talk import read_all
from redislab.ring.placement import Explanation, Placement
from redislab.ring.servers import Server
from redislab.worlds.base import CLIENT, OBSERVER, Event, NodeHandle, NodeSpec
from redislab.worlds.proxies import CLIENT_OPTIONS, stats_port

if TYPE_CHECKING:
    from redislab.views.proxy import ProxyView, ProxyWatch

Which = bool | Collection[int] | None
# A client that waits longer than this for a proxy has been forgotten by it.
CLIENT_TIMEOUT_SECONDS = 1.0
# How often a lab looks at statistics while it lets time pass: they tell the last ejection only.
_LOOK_SECONDS = 0.25
# What was told so lately need not be asked for again.
_FRESH_SECONDS = 0.05


class RingLab(NetworkLab):
    """Shards and proxies, in any world.

    The shards are `redis-1`, `redis-2` ..., the proxies `proxy-1` ... A shard has its name in the
    proxies' files too, and it is what is hashed: so a key has the same shard in every world.

    Args:
        shards: how many.
        proxies: how many; each is told the same.
        distribution: "ketama", "modula" or "random".
        hash: of the keys, by nutcracker's name for it.
        hash_tag: two characters; of a key that has them, what stands between them is hashed.
        weights: of the shards, in order; 1 each if there are none.
        auto_eject: whether a shard that fails is left out for a while, and others get its keys.
        server_failure_limit: how many failures in a row make it so.
        server_retry_timeout_ms: for how long.
        timeout_ms: how long a shard may take to answer; None is for ever.
        password: what the shards and the proxies ask for; the lab's clients know it.
        config: further directives of redis.conf for every shard.
        proxy_config: further lines of the pool, and what is in `worlds.proxies.OPTIONS`.
        named: whether the shards have their names in the proxies' files; without, their addresses
            are hashed, as is usual, and where a key goes depends on them.
        world: "sim" (virtual time), "live" (real ports) or "redis" (real programs).
        seed: of everything that is left to chance.
        real_servers: which shards are real redis-servers: all, none, those at these places; None
            is as the world has it.
        real_proxies: which proxies are real nutcrackers, likewise.
        options: further options of the world.

    Raises:
        ValueError: there is no such world, or a number or a name that cannot be.
        WorldError: nutcracker would not take what `proxy_config` says; the message has its words.
        ProgramMissingError: when a real program is missing; it names the package.
    """

    def __init__(
        self,
        *,
        shards: int = 3,
        proxies: int = 1,
        distribution: str = "ketama",
        hash: str = "fnv1a_64",  # noqa: A002 - as nutcracker's file calls it
        hash_tag: str = "",
        weights: Sequence[int] = (),
        auto_eject: bool = True,
        server_failure_limit: int = 1,
        server_retry_timeout_ms: int = 2000,
        timeout_ms: int | None = 400,
        password: str | None = None,
        config: Mapping[str, Any] | None = None,
        proxy_config: Mapping[str, Any] | None = None,
        named: bool = True,
        world: str = "sim",
        seed: int = 0,
        real_servers: Which = None,
        real_proxies: Which = None,
        **options: Any,
    ) -> None:
        if shards < 1 or proxies < 1:
            wrong = f"not {shards} and {proxies}"
            raise ValueError(f"there are 1 shard or more and 1 proxy or more, {wrong}")
        weighed = list(weights) or [1] * shards
        if len(weighed) != shards:
            raise ValueError(f"{shards} shards have {shards} weights, not {len(weighed)}")
        if min(weighed) < 1:
            raise ValueError(f"a weight is a whole number from 1 on, not {min(weighed)}")
        super().__init__(world, seed, password=password, **options)
        self._loads: list[Load] = []
        self._watch: Any = None
        self._retry_s = server_retry_timeout_ms / 1000
        self._ejections = Ejections(self._retry_s)
        self._looked_at = -_FRESH_SECONDS
        directives = {name: str(value) for name, value in (config or {}).items()}
        if password is not None:
            directives["requirepass"] = password
        servers = []
        for place, weight in enumerate(weighed):
            spec = NodeSpec(f"redis-{place + 1}", directives, real=_is_real(real_servers, place))
            node = self._start(spec)
            servers.append(Server(node.host, node.port, weight, node.name if named else ""))
        self._weights = {f"redis-{place + 1}": weight for place, weight in enumerate(weighed)}
        self._names = {(each.host, each.port): self._name_at(each) for each in servers}
        self._labels = {each.label.decode(): self._name_at(each) for each in servers}
        chance = Random(f"owner/{seed}") if distribution == "random" else None
        try:
            self.placement = Placement(
                servers, hash=hash, distribution=distribution, hash_tag=hash_tag, random=chance
            )
        except BaseException:
            self.close()
            raise
        pool: dict[str, Any] = {
            "hash": hash,
            "distribution": distribution,
            "hash_tag": hash_tag,
            "redis": "true",
            "redis_auth": password or "",
            "timeout": "" if timeout_ms is None else str(timeout_ms),
            "auto_eject_hosts": "true" if auto_eject else "false",
            "server_failure_limit": str(server_failure_limit),
            "server_retry_timeout": str(server_retry_timeout_ms),
            "servers": tuple(str(each) for each in servers),
            **(proxy_config or {}),
        }
        pool = {name: value for name, value in pool.items() if value != ""}
        for place in range(proxies):
            real = _is_real(real_proxies, place)
            self._start(NodeSpec(f"proxy-{place + 1}", pool, program="proxy", real=real))

    # -- who is who ------------------------------------------------------------------------------

    @property
    def shards(self) -> list[NodeHandle]:
        """The nodes that hold data."""
        return [handle for name, handle in self.nodes.items() if not _is_proxy(name)]

    @property
    def proxies(self) -> list[NodeHandle]:
        """The proxies."""
        return [handle for name, handle in self.nodes.items() if _is_proxy(name)]

    def owner(self, key: str | bytes) -> NodeHandle:
        """The shard that has a key while none is ejected."""
        server = self.placement.owner(_bytes(key))
        return self.nodes[self._names[server.host, server.port]]

    def explain(self, key: str | bytes) -> Explanation:
        """Why it is this one: what is hashed of the key, the hash, and the point on the circle."""
        return self.placement.explain(_bytes(key))

    # -- clients ---------------------------------------------------------------------------------

    def client(self, node: Named | None = None, *, at: str = CLIENT, **options: Any) -> redis.Redis:
        """A stock redis-py client of a proxy, or of a node that is named.

        Args:
            node: which proxy, the first one for None; or a shard, past all proxies.
            at: the host that it lives on.
            options: redis-py's. A proxy hangs up on HELLO and on CLIENT SETINFO, with which
                redis-py begins otherwise, so that a client of a proxy is told not to. It waits a
                second for a reply unless told otherwise.
        """
        name = self._reached(node, options)
        return self._world.client(name, at, **options)

    def async_client(
        self, node: Named | None = None, *, at: str = CLIENT, **options: Any
    ) -> redis.asyncio.Redis:
        """The same as `client` for asyncio."""
        name = self._reached(node, options)
        return self._world.async_client(name, at, **options)

    def shard_client(self, shard: Named, *, at: str = CLIENT, **options: Any) -> redis.Redis:
        """A stock redis-py client of a shard, past all proxies."""
        return self.client(shard, at=at, **options)

    def load(
        self,
        kind: Kind = "set",
        *,
        rate: float = 50.0,
        keys: Sequence[str] | int | None = None,
        zipf: float = 0.0,
        clients: int = 1,
        proxy: Named | None = None,
        at: str = CLIENT,
        **options: Any,
    ) -> Load:
        """A client that asks through a proxy from now on, and knows what became of each request.

        Args:
            kind: "set" writes, "get" reads, "cache" reads and writes what it does not find.
            rate: requests a second.
            keys: which, or how many of them; None is a new one for each request.
            zipf: how uneven they are asked for: the n-th of them 1/n**zipf as often as the first.
            clients: how many connections, with one request at a time on each.
            proxy: which proxy; the first one for None.
            at: the host that it lives on.
            options: redis-py's.

        Raises:
            ValueError: there is no such kind, or a number that cannot be.
        """
        if kind not in KINDS:
            raise ValueError(f"a client does one of {', '.join(KINDS)}, not {kind!r}")
        if not rate > 0 or clients < 1:
            raise ValueError(
                "rate is a number of requests a second, above zero, and there is 1 client or more,"
                f" not {rate} and {clients}"
            )
        listed = [f"key:{n}" for n in range(keys)] if isinstance(keys, int) else keys
        load = Load(
            self,
            f"{kind}-{len(self._loads) + 1}",
            kind=kind,
            rate=rate,
            keys=listed,
            zipf=zipf,
            clients=clients,
            proxy=str(proxy or self.proxies[0]),
            at=at,
            **options,
        )
        self._loads.append(load)
        return load

    def writer(self, *, rate: float = 50.0, at: str = CLIENT, **options: Any) -> Load:
        """A client that writes numbered keys, each a new one; `options` are those of `load`."""
        return self.load("set", rate=rate, at=at, **options)

    @property
    def loads(self) -> list[Load]:
        """The clients that were started so."""
        return list(self._loads)

    def no_retry(self) -> AsyncRetry:
        """What makes a client of redis-py try nothing again."""
        return AsyncRetry(NoBackoff(), 0)

    # -- what can be seen ------------------------------------------------------------------------

    def stats(self, proxy: Named | None = None) -> dict[str, Any]:
        """A proxy's statistics, as it tells them; those of the first one for None.

        Raises:
            OSError: it does not tell them.
        """
        handle = self.proxies[0] if proxy is None else self.find(proxy)
        told: dict[str, Any] = json.loads(
            read_all(self._world, OBSERVER, (handle.host, stats_port(handle.port)), ASK_SECONDS)
        )
        return told

    def snapshot(self) -> RingSnapshot:
        """What shards and proxies say now; one that does not answer is not `up`."""
        proxies = self.look()
        return RingSnapshot(
            self.now,
            tuple(self._shard_state(handle, proxies) for handle in self.shards),
            proxies,
            self.cuts,
            self.delays,
        )

    def look(self) -> tuple[ProxyState, ...]:
        """What the proxies say now, without the shards."""
        proxies = tuple(self._proxy_state(handle) for handle in self.proxies)
        self._ejections.take(proxies)
        self._looked_at = self.now
        return proxies

    @property
    def events(self) -> EventTable:
        """What was done to the lab, and which shard was ejected when, in order."""
        if self.now - self._looked_at > _FRESH_SECONDS:
            self.look()
        found = [*self._world.journal.events, *self.told()]
        return EventTable(sorted(found, key=lambda event: event.time))

    def told(self) -> list[Event]:
        """The ejections that the statistics have told of so far."""
        return self._ejections.events(self.now)

    def run_for(self, seconds: float) -> None:
        """Let that much time pass, with a look at the statistics now and then."""
        ends = self.now + seconds
        while seconds > _LOOK_SECONDS:
            super().run_for(_LOOK_SECONDS)
            self.look()
            seconds = ends - self.now
        super().run_for(max(0.0, seconds))

    def view(self) -> ProxyView:
        """The lab as a picture: live in a notebook, a recording on a page."""
        from redislab.views.proxy import ProxyView

        return ProxyView(self.watch)

    @property
    def watch(self) -> ProxyWatch:
        """What takes the pictures for its views."""
        from redislab.views.proxy import ProxyWatch

        if self._watch is None:
            self._watch = ProxyWatch(self)
        watch: ProxyWatch = self._watch
        return watch

    # -- inside ----------------------------------------------------------------------------------

    def _reached(self, node: Named | None, options: dict[str, Any]) -> str:
        """The name of the node that a client is for; puts in options."""
        name = str(self.proxies[0] if node is None else self.find(node))
        options.setdefault("password", self._password)
        options.setdefault("socket_timeout", CLIENT_TIMEOUT_SECONDS)
        options.setdefault("socket_connect_timeout", CLIENT_TIMEOUT_SECONDS)
        if _is_proxy(name):
            for option, value in CLIENT_OPTIONS.items():
                options.setdefault(option, value)
        return name

    def _name_at(self, server: Server) -> str:
        found = (
            each for each in self.shards if (each.host, each.port) == (server.host, server.port)
        )
        return next(found).name

    def _proxy_state(self, handle: NodeHandle) -> ProxyState:
        state = self._world.state(handle.name)
        silent = ProxyState(handle.name, handle.host, handle.port, up=False, state=state)
        if state != "running":
            return silent
        try:
            stats = self.stats(handle)
        except (OSError, ValueError):
            return silent
        return proxy_state(
            silent,
            stats,
            lambda label: self._labels.get(label, label),
            began_at=self._world.began_at,
            now=self.now,
            retry_s=self._retry_s,
        )

    def _shard_state(self, handle: NodeHandle, proxies: Sequence[ProxyState]) -> ShardState:
        node = self._snapshot_of(handle)
        told = [(proxy.name, proxy.server(handle)) for proxy in proxies if proxy.servers]
        return ShardState(
            node.name,
            node.host,
            node.port,
            up=node.up,
            state=node.state,
            weight=self._weights[node.name],
            keys=node.keys,
            ejected=tuple(proxy for proxy, server in told if server.ejected),
            requests=sum(server.requests for _, server in told),
            responses=sum(server.responses for _, server in told),
            failures=sum(server.failures for _, server in told),
        )


def _is_proxy(name: str) -> bool:
    return name.startswith("proxy-")


def _bytes(key: str | bytes) -> bytes:
    return key if isinstance(key, bytes) else key.encode()


def _is_real(which: Which, place: int) -> bool | None:
    """Whether the node at a place is a real one; None is as the world has it."""
    if which is None or isinstance(which, bool):
        return which
    return place in which
