"""A whole proxy: the pools of a file, and the stats.

It is a node as worlds run them: plain asyncio, without a clock, chance, log or disk of its own, so
that the same code runs in virtual time and in real time. Does what `src/nc_core.c` does in
twemproxy 0.5.0, and what is not there: it changes to another configuration while it runs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redislab.ring.proxy.log import DEFAULT, Log, reason
from redislab.ring.proxy.pool import Pool, Turn, listen
from redislab.ring.proxy.session import Session
from redislab.ring.proxy.settings import KEY_ROOM
from redislab.ring.proxy.stats import StatsSession, snapshot

if TYPE_CHECKING:
    from redislab.ring.proxy.settings import PoolConfig, ProxyConfig
    from redislab.server.environment import Environment


class ProxyNode:
    """One proxy.

    Args:
        config: its pools and where its stats are shown.
        environment: its clocks, random source and log.
        level: of the log.

    Attributes:
        pools: by name, in the order of the configuration.
        since: when it was started, in seconds since the epoch.
        stopped: set once it has ended. Made by `start`.
    """

    def __init__(self, config: ProxyConfig, environment: Environment, level: int = DEFAULT) -> None:
        self.config = config
        self.environment = environment
        self.log = Log(environment, level)
        self.pools: dict[str, Pool] = {}
        self.since = 0.0
        self.stopped: asyncio.Event
        self._stats: asyncio.AbstractServer | None = None
        self._loop: asyncio.AbstractEventLoop
        self._turn: Turn

    # -- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen for all pools, and for those who want to see the stats.

        Raises:
            OSError: an address cannot be had; then nothing listens.
        """
        self._loop = asyncio.get_running_loop()
        self._turn = Turn(self._loop)
        self.stopped = asyncio.Event()
        self.since = self.environment.unix_time()
        config = self.config
        try:
            for pool_config in config.pools:
                pool = self._new_pool(pool_config)
                pool.listen_on(await self._listen(pool_config, pool))
                self.pools[pool_config.name] = pool
            if config.stats_port:
                await self._show_stats(config.stats_host, config.stats_port)
        except OSError:
            self.abort()
            raise
        for pool in self.pools.values():
            pool.begin()

    async def _show_stats(self, host: str, port: int) -> None:
        try:
            self._stats = await self._loop.create_server(
                lambda: StatsSession(lambda: snapshot(self)), host, port
            )
        except OSError as failure:
            self.log.problem(f"stats: bind to '{host}:{port}' failed: {reason(failure)}")
            raise

    def _new_pool(self, config: PoolConfig) -> Pool:
        key_max = self.config.mbuf_size - KEY_ROOM - 1
        return Pool(config, self.environment, self._loop, self._turn, self.log, key_max)

    async def _listen(self, config: PoolConfig, pool: Pool) -> asyncio.AbstractServer:
        text = config.listen.text
        try:
            listener = await listen(self._loop, config, lambda: Session(pool))
        except OSError as failure:
            self.log.problem(f"bind to addr '{text}' failed: {reason(failure)}")
            raise
        self.log.notice(
            f"listening on '{text}' in redis pool '{config.name}' with {len(config.servers)} "
            "servers"
        )
        return listener

    async def stop(self) -> None:
        """End; what is under way is lost, as with the original."""
        self.abort()

    def abort(self) -> None:
        """Drop everything at once."""
        if self._stats is not None:
            self._stats.close()
        for pool in self.pools.values():
            pool.close()
        self.stopped.set()

    # -- another configuration -------------------------------------------------------------------

    async def reload(self, config: ProxyConfig) -> bool:
        """Change to another configuration, all of it or nothing.

        A pool goes on under another name as long as it listens on the same address, and at another
        address as long as it has the same name; its clients stay, and connections to servers that
        it still has. Only the clients of a pool that is gone are hung up on. The options of the
        command line stay what they are.

        Returns:
            Whether it was done: not if an address cannot be had.
        """
        matched = self._matched(config)
        opened: list[tuple[Pool, PoolConfig, asyncio.AbstractServer | None]] = []
        try:
            for pool_config, old in matched:
                pool = old if old is not None else self._new_pool(pool_config)
                listener = None
                if old is None or old.config.listen != pool_config.listen:
                    listener = await self._listen(pool_config, pool)
                opened.append((pool, pool_config, listener))
        except OSError:
            for _, _, listener in opened:
                if listener is not None:
                    listener.close()
            self.log.problem("the present configuration is kept")
            return False
        gone = [
            pool for pool in self.pools.values() if all(pool is not new for new, _, _ in opened)
        ]
        for pool, pool_config, listener in opened:
            pool.change(pool_config, listener)
        self.pools = {pool_config.name: pool for pool, pool_config, _ in opened}
        for pool in gone:
            self.log.notice(f"pool '{pool.config.name}' is gone, with {len(pool.sessions)} clients")
            pool.close()
        self.config = config
        self.log.notice(f"configuration file '{config.file}' is in force")
        return True

    def _matched(self, config: ProxyConfig) -> list[tuple[PoolConfig, Pool | None]]:
        """For each pool of a configuration the present one that becomes it."""
        by_address = {pool.config.listen.text: pool for pool in self.pools.values()}
        taken = [by_address.get(new.listen.text) for new in config.pools]
        matched: list[tuple[PoolConfig, Pool | None]] = []
        for new, old in zip(config.pools, taken, strict=True):
            same_name = self.pools.get(new.name)
            if old is None and all(same_name is not other for other in taken):
                matched.append((new, same_name))
            else:
                matched.append((new, old))
        return matched
