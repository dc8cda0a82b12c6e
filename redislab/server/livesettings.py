"""What CONFIG SET changes in a running node: each directive that a part of it remembers.

Most parts read `node.config` whenever they need a value. The ones below keep a copy, because they
are asked for at every command, or have something to do when a value changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.server.log import LEVELS

if TYPE_CHECKING:
    from redislab.server.node import Node


def apply_all(node: Node) -> None:
    """Set a new node up as its configuration says, and follow the configuration from then on."""
    for words in node.config.users:
        user = node.acl.new_user(words[0])
        for rule in words[1:]:
            user.apply(rule)
        node.acl.put(user)
    if node.config.requirepass:
        _password(node)
    for apply, names in _WIRING.items():
        if apply is not _password:
            apply(node)
        for name in names:
            node.config.on_change(name, lambda apply=apply: apply(node))  # type: ignore[misc]


def _password(node: Node) -> None:
    node.acl.set_password(node.config.requirepass)


def _events(node: Node) -> None:
    node.events.configure(node.config.notify_keyspace_events)


def _slow(node: Node) -> None:
    """The least duration that the slow log or the latency monitor wants to hear of."""
    config = node.config
    wanted = []
    if config.slowlog_log_slower_than >= 0:
        wanted.append(config.slowlog_log_slower_than / 1e6)
    if config.latency_monitor_threshold > 0:
        wanted.append(config.latency_monitor_threshold / 1e3)
    node.slow_seconds = min(wanted, default=float("inf"))


def _slowlog_length(node: Node) -> None:
    node.slowlog.trim()


def _log_level(node: Node) -> None:
    node.log.level = LEVELS[node.config.loglevel]


def _limits(node: Node) -> None:
    """What decides about encodings."""
    for name in _ENCODING:
        attribute = name.replace("-", "_")
        if hasattr(node.engine.limits, attribute):
            setattr(node.engine.limits, attribute, getattr(node.config, attribute))


def _engine(node: Node) -> None:
    for name in _ENGINE:
        attribute = name.replace("-", "_")
        if hasattr(node.engine, attribute):
            setattr(node.engine, attribute, getattr(node.config, attribute))
    for client in node.clients.values():
        if client.session is not None:
            client.session.parser.bulk_max = node.config.proto_max_bulk_len


def _compression(node: Node) -> None:
    node.engine.compress = node.environment.compress if node.config.rdbcompression else None


def _memory(node: Node) -> None:
    node.eviction.configure()
    node.refresh()
    used = node.stats.used_memory()
    if node.config.maxmemory and used > node.config.maxmemory and node.clients:
        node.log.warning(
            f"WARNING: the new maxmemory value set via CONFIG SET ({node.config.maxmemory}) is "
            f"smaller than the current memory usage ({used}). This will result in key eviction "
            "and/or the inability to accept new write commands depending on the maxmemory-policy."
        )
        node.eviction.make_room()


def _frequencies(node: Node) -> None:
    node.eviction.configure()


def _clients(node: Node) -> None:
    node.limits.evict_clients()


def _tracking(node: Node) -> None:
    """`latency-tracking no` forgets what was measured, as in Redis."""
    if not node.config.latency_tracking:
        for entry in node.entries:
            entry.forget_durations()


def _tracking_table(node: Node) -> None:
    node.tracking.limit()


_ENCODING = (
    "hash-max-listpack-entries",
    "hash-max-listpack-value",
    "set-max-intset-entries",
    "zset-max-listpack-entries",
    "zset-max-listpack-value",
    "list-max-listpack-size",
    "list-compress-depth",
    "hll-sparse-max-bytes",
    "stream-node-max-bytes",
    "stream-node-max-entries",
)
_ENGINE = (
    "proto-max-bulk-len",
    "maxmemory",
    "maxmemory-policy",
    "hll-sparse-max-bytes",
    "stream-node-max-bytes",
    "stream-node-max-entries",
)
_WIRING = {
    _password: ("requirepass",),
    _events: ("notify-keyspace-events",),
    _slow: ("slowlog-log-slower-than", "latency-monitor-threshold"),
    _slowlog_length: ("slowlog-max-len",),
    _log_level: ("loglevel",),
    _limits: _ENCODING,
    _engine: _ENGINE,
    _compression: ("rdbcompression",),
    _memory: ("maxmemory", "maxmemory-policy", "maxmemory-samples"),
    _frequencies: ("lfu-log-factor", "lfu-decay-time"),
    _clients: ("maxmemory-clients",),
    _tracking: ("latency-tracking",),
    _tracking_table: ("tracking-table-max-keys",),
}
