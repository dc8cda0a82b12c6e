"""What INFO says of replication (`genRedisInfoString` in `src/server.c` of Redis 7.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.server.replication.handshake import Step

if TYPE_CHECKING:
    from redislab.server.node import Node
    from redislab.server.replication.replicaside import ReplicaSide

Fields = list[tuple[str, object]]


def fields(node: Node) -> Fields:
    """The fields of the section, in the order of Redis."""
    replication = node.replication
    history, side = replication.history, replication.masterside
    found: Fields = [("role", "slave" if replication.is_replica else "master")]
    if replication.is_replica:
        found += _of_master(replication.replicaside)
    found.append(("connected_slaves", len(side.replicas)))
    config = node.config
    if config.min_replicas_to_write and config.min_replicas_max_lag:
        found.append(("min_slaves_good_slaves", side.good_replicas))
    now = node.loop_time()
    shown = [each for each in side.replicas.values() if each.shown_state]
    for number, replica in enumerate(shown):
        where = f"ip={replica.host},port={replica.port},state={replica.shown_state}"
        offset = f"offset={replica.acked},lag={replica.lag(now)}"
        found.append((f"slave{number}", f"{where},{offset}"))
    backlog = side.backlog
    found += [
        ("master_failover_state", replication.failover.state),
        ("master_replid", history.id),
        ("master_replid2", history.second_id),
        ("master_repl_offset", history.offset),
        ("second_repl_offset", history.second_offset),
        ("repl_backlog_active", int(backlog is not None)),
        ("repl_backlog_size", config.repl_backlog_size),
        ("repl_backlog_first_byte_offset", 0 if backlog is None else backlog.first),
        ("repl_backlog_histlen", 0 if backlog is None else len(backlog)),
    ]
    return found


def _of_master(side: ReplicaSide) -> Fields:
    """What a replica says of its master."""
    assert side.master is not None
    host, port = side.master
    node, link = side.node, side.link
    now = node.loop_time()
    offset = 1 if side.applier is None else side.history.offset
    is_transfer = side.step is Step.TRANSFER
    last_io = now if link is None else link.last_io
    found: Fields = [
        ("master_host", host),
        ("master_port", port),
        ("master_link_status", "up" if side.connected else "down"),
        ("master_last_io_seconds_ago", int(now - last_io) if side.connected else -1),
        ("master_sync_in_progress", int(is_transfer)),
        ("slave_read_repl_offset", offset + side.unapplied_bytes),
        ("slave_repl_offset", offset),
    ]
    if is_transfer:
        payload = None if link is None else link.payload
        total = -1 if payload is None else payload.length
        received = 0 if payload is None else payload.received
        found += [
            ("master_sync_total_bytes", total),
            ("master_sync_read_bytes", received),
            ("master_sync_left_bytes", total - received),
            ("master_sync_perc", f"{received / total * 100 if total else 0.0:.2f}"),
            ("master_sync_last_io_seconds_ago", int(now - last_io)),
        ]
    if not side.connected:
        down = -1 if side.down_since is None else int(now - side.down_since)
        found.append(("master_link_down_since_seconds", down))
    config = node.config
    found += [
        ("slave_priority", config.replica_priority),
        ("slave_read_only", int(config.replica_read_only)),
        ("replica_announced", int(config.replica_announced)),
    ]
    return found
