"""Freeing the data that a master's data set has replaced.

That takes long where they are many. With `replica-lazy-flush`, and always after a swap, it is done
a little at a time beside everything else, where Redis has a thread for it (`emptyDbAsync` in
`src/lazyfree.c` of Redis 7.0).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.engine.keyspace import Keyspace
    from redislab.server.node import Node

# A slice of the work: how long the loop may be kept, and how many keys at most.
_SLICE_SECONDS = 0.001
_SLICE_KEYS = 1000
_KEYS_PER_LOOK = 50  # at the clock


async def discard(node: Node, databases: Sequence[Keyspace]) -> None:
    """Free what databases hold that no longer are the node's."""
    stats = node.stats
    for database in databases:
        values, keys = database.values, len(database.values)
        stats.lazyfree_pending_objects += keys
        while values:
            ends = node.clock() + _SLICE_SECONDS
            for freed in range(1, min(_SLICE_KEYS, len(values)) + 1):
                values.popitem()
                if freed % _KEYS_PER_LOOK == 0 and node.clock() >= ends:
                    break
            await asyncio.sleep(0)
        stats.lazyfree_pending_objects -= keys
        stats.lazyfreed_objects += keys
