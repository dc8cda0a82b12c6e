"""Small commands about the server as a whole: TIME LASTSAVE MEMORY LOLWUT.

Follows `src/server.c`, `src/object.c` (MEMORY) and `src/lolwut.c`
of Redis 7.0. MEMORY USAGE is with the keyspace, in `redislab.engine.memory`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.table import Reply, command
from redislab.server.help import help_reply
from redislab.server.names import VERSION
from redislab.wire.resp import (
    OK,
    ZERO,
    bulk,
    bulks,
    double,
    integer,
    map_,
    verbatim,
)

if TYPE_CHECKING:
    from redislab.server.client import Client

_SMALL_BYTES = 5 * 1024 * 1024
_EMPTY = (
    "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be "
    "used in these conditions. Please, leave for your mission on Earth and fill it with some data. "
    "The new Sam and I will be back to our programming as soon as I finished rebooting.\n"
)
_HEALTHY = (
    "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on "
    "this base.\n"
)
_HELP = (
    ("DOCTOR", "Report on memory in plain words."),
    ("MALLOC-STATS", "Return what the allocator tells about itself."),
    ("PURGE", "Ask the allocator to return memory it does not need."),
    ("STATS", "Return figures about the use of memory."),
    (
        "USAGE <key> [SAMPLES <count>]",
        (
            "Return the bytes that a key and its value take, from a sample of nested values\n"
            "(5 of them; 0 for all)."
        ),
    ),
)


@command("time")
def time(c: Client, args: list[bytes]) -> Reply:
    """TIME: seconds since the epoch, and microseconds of that second."""
    now = int(c.node.environment.unix_time() * 1e6)
    return bulks([b"%d" % (now // 1_000_000), b"%d" % (now % 1_000_000)])


@command("memory|doctor")
def memory_doctor(c: Client, args: list[bytes]) -> Reply:
    """MEMORY DOCTOR."""
    text = _EMPTY if c.node.stats.used_memory() < _SMALL_BYTES else _HEALTHY
    return verbatim(text.encode(), c.resp)


@command("memory|malloc-stats")
def memory_malloc_stats(c: Client, args: list[bytes]) -> Reply:
    """MEMORY MALLOC-STATS: ours is no jemalloc."""
    return verbatim(b"Stats not supported for the current allocator", c.resp)


@command("memory|purge")
def memory_purge(c: Client, args: list[bytes]) -> Reply:
    """MEMORY PURGE: nothing to do."""
    return OK


@command("memory|stats")
def memory_stats(c: Client, args: list[bytes]) -> Reply:
    """MEMORY STATS: the figures of `INFO memory`, with those of each database."""
    node, stats = c.node, c.node.stats
    used = stats.used_memory()
    stats.peak_bytes = max(stats.peak_bytes, used)
    keys = sum(len(db) for db in node.engine.databases)
    rss = node.environment.rss()
    overhead = stats.overhead()
    net = max(used - stats.startup_bytes, 1)
    databases: list[tuple[str, bytes]] = []
    for db in node.engine.databases:
        if len(db):
            tables = (
                bulk(b"overhead.hashtable.main"),
                integer(56 + 24 * len(db)),
                bulk(b"overhead.hashtable.expires"),
                integer(32 * len(db.expires)),
                bulk(b"overhead.hashtable.slot-to-keys"),
                ZERO,
            )
            databases.append((f"db.{db.index}", map_(tables, c.resp)))
    figures: list[tuple[str, int | float | bytes]] = [
        ("peak.allocated", stats.peak_bytes),
        ("total.allocated", used),
        ("startup.allocated", stats.startup_bytes),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", stats.client_bytes()),
        ("cluster.links", 0),
        ("aof.buffer", node.persistence.aof.buffered),
        ("lua.caches", 0),
        ("functions.caches", 200),
        *databases,
        ("overhead.total", overhead),
        ("keys.count", keys),
        ("keys.bytes-per-key", net // keys if keys else 0),
        ("dataset.bytes", max(used - overhead, 0)),
        ("dataset.percentage", max(used - overhead, 0) * 100.0 / net),
        ("peak.percentage", used * 100.0 / stats.peak_bytes),
        ("allocator.allocated", used),
        ("allocator.active", used),
        ("allocator.resident", rss),
        ("allocator-fragmentation.ratio", 1.0),
        ("allocator-fragmentation.bytes", 0),
        ("allocator-rss.ratio", rss / used),
        ("allocator-rss.bytes", rss - used),
        ("rss-overhead.ratio", 1.0),
        ("rss-overhead.bytes", 0),
        ("fragmentation", rss / used),
        ("fragmentation.bytes", rss - used),
    ]
    parts = []
    for name, value in figures:
        parts.append(bulk(name.encode()))
        if isinstance(value, bytes):
            parts.append(value)
        elif isinstance(value, float):
            parts.append(double(value, c.resp))
        else:
            parts.append(integer(value))
    return map_(parts, c.resp)


@command("memory|help")
def memory_help(c: Client, args: list[bytes]) -> Reply:
    """MEMORY HELP."""
    return help_reply("MEMORY", _HELP)


@command("lolwut")
def lolwut(c: Client, args: list[bytes]) -> Reply:
    """LOLWUT [VERSION n] [...]: a piece of generative art, a sky of as many stars as asked for."""
    numbers = [int(word) for word in args[1:] if word.isdigit()][:2]
    width, height = (*numbers, 66, 8)[:2] if len(numbers) == 2 else (66, 8)
    width, height = min(max(width, 1), 200), min(max(height, 1), 60)
    random = c.node.random
    rows = [
        "".join(random.choice("          .  .  *  +") for _ in range(width)) for _ in range(height)
    ]
    text = "\n".join(rows) + f"\n\nRedis ver. {VERSION}\n"
    return verbatim(text.encode(), c.resp)
