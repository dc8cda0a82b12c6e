"""Eviction: keys go when memory is over `maxmemory` (`src/evict.c` of Redis 7.0).

Memory is the estimate of `stats.py`. As in Redis the choice is an approximation: the best of
`maxmemory-samples` keys. What the lru and lfu policies go by is in `redislab.engine.uses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.engine.keyspace import Keyspace
    from redislab.server.node import Node


class Eviction:
    """Makes room in one node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        # Keys to sample from, by database: a copy of its keys, used up before it is made anew.
        self._pools: dict[int, list[bytes]] = {}

    def configure(self) -> None:
        """Follow a change of the policy and of what goes with it."""
        self._pools.clear()
        uses, policy = self.node.engine.uses, self.node.config.maxmemory_policy
        uses.log_factor = self.node.config.lfu_log_factor
        uses.decay_minutes = self.node.config.lfu_decay_time
        if policy.endswith(("lru", "lfu")):
            uses.start(counting=policy.endswith("lfu"))
        elif uses.counting:
            uses.stop()
        self.node.stats.forget_dataset()

    def may_evict(self) -> bool:
        """Whether the data are this node's to choose from.

        Those of a replica are its master's, and those of a paused node stay as they are.
        """
        node = self.node
        follows = node.role == "replica" and node.config.replica_ignore_maxmemory
        return not follows and not node.pauses

    def make_room(self) -> bool:
        """Evict keys until memory fits; tell whether it does, or need not."""
        node = self.node
        if not self.may_evict():
            return True
        limit = node.config.maxmemory
        stats = node.stats
        if stats.used_memory() <= limit:
            return True
        policy = node.config.maxmemory_policy
        if policy == "noeviction":
            return False
        while stats.used_memory() > limit:
            if not self._evict_one(policy):
                stats.forget_dataset()
                return stats.used_memory() <= limit
        node.propagation.flush(together=False)
        return True

    def _evict_one(self, policy: str) -> bool:
        volatile = policy.startswith("volatile")
        best: tuple[float, Keyspace, bytes] | None = None
        for db in self.node.engine.databases:
            for key in self._sample(db, volatile=volatile):
                rank = self._rank(db, key, policy)
                if best is None or rank < best[0]:
                    best = rank, db, key
        if best is None:
            return False
        _, db, key = best
        db.remove(key)
        self.node.stats.evicted_keys += 1
        db.changed(key, b"evicted", 0)
        if db.engine.on_expired is not None:
            db.engine.on_expired(db, key)
        return True

    def _sample(self, db: Keyspace, *, volatile: bool) -> list[bytes]:
        """Some keys of a database that may go, in the end all of them in turn."""
        keys = db.expires if volatile else db.values
        found: list[bytes] = []
        pool = self._pools.setdefault(db.index, [])
        renewed = False
        while keys and len(found) < self.node.config.maxmemory_samples:
            if not pool:
                if renewed:
                    break
                pool += keys
                renewed = True
            at = int(self.node.random.random() * len(pool))
            pool[at], pool[-1] = pool[-1], pool[at]
            key = pool.pop()
            if key in keys:
                found.append(key)
        return found

    def _rank(self, db: Keyspace, key: bytes, policy: str) -> float:
        """The lower, the sooner a key goes."""
        if policy.endswith("random"):
            return self.node.random.random()
        if policy.endswith("ttl"):
            return float(db.expires[key])
        uses = self.node.engine.uses
        if policy.endswith("lfu"):
            return float(uses.frequency(db, key))
        return float(-uses.idle_ms(db, key))
