"""What INFO tells of persistence, field by field (`genRedisInfoString` in `src/server.c`, 7.0).

Redis tells here what its child process costs: the pages that are copied because they change while
the child has them (copy on write). Here it is the bytes of values that were kept aside for an image
because they were about to change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.server.persistence.appendfile import State

if TYPE_CHECKING:
    from redislab.server.node import Node

Fields = list[tuple[str, object]]


def fields(node: Node) -> Fields:
    """The fields of the section, in Redis's order."""
    persistence = node.persistence
    saving, aof, rewriting = persistence.saving, persistence.aof, persistence.rewriting
    loading, transfers = persistence.loading, node.replication.masterside.transfers
    now = int(node.environment.unix_time())
    image = saving.image or rewriting.image
    total = image.keys_total if image is not None else 0
    done = image.keys_done if image is not None else 0
    found: Fields = [
        ("loading", loading.running or node.replication.replicaside.loading == "sync"),
        ("async_loading", node.replication.replicaside.loading == "async"),
        ("current_cow_peak", image.copied_bytes if image is not None else 0),
        ("current_cow_size", image.copied_bytes if image is not None else 0),
        ("current_cow_size_age", 0),
        ("current_fork_perc", done * 100 / total if total else 0.0),
        ("current_save_keys_processed", done),
        ("current_save_keys_total", total),
        ("rdb_changes_since_last_save", node.engine.dirty),
        ("rdb_bgsave_in_progress", saving.running or transfers.target != ""),
        ("rdb_last_save_time", saving.last_save),
        ("rdb_last_bgsave_status", "ok" if saving.last_ok else "err"),
        ("rdb_last_bgsave_time_sec", saving.last_seconds),
        ("rdb_current_bgsave_time_sec", now - saving.started if saving.running else -1),
        ("rdb_saves", saving.saves),
        ("rdb_last_cow_size", saving.copied_bytes),
        ("rdb_last_load_keys_expired", loading.keys_expired),
        ("rdb_last_load_keys_loaded", loading.keys_loaded),
        ("aof_enabled", aof.state is not State.OFF),
        ("aof_rewrite_in_progress", rewriting.running),
        ("aof_rewrite_scheduled", rewriting.scheduled),
        ("aof_last_rewrite_time_sec", rewriting.last_seconds),
        ("aof_current_rewrite_time_sec", now - rewriting.started if rewriting.running else -1),
        ("aof_last_bgrewrite_status", "ok" if rewriting.last_ok else "err"),
        ("aof_rewrites", rewriting.rewrites),
        ("aof_rewrites_consecutive_failures", rewriting.failures),
        ("aof_last_write_status", "err" if aof.failed else "ok"),
        ("aof_last_cow_size", rewriting.copied_bytes),
        ("module_fork_in_progress", 0),
        ("module_fork_last_cow_size", 0),
    ]
    if node.config.appendonly:
        found += [
            ("aof_current_size", aof.size),
            ("aof_base_size", aof.base_size),
            ("aof_pending_rewrite", rewriting.scheduled),
            ("aof_buffer_length", aof.buffered),
            ("aof_pending_bio_fsync", aof.syncing),
            ("aof_delayed_fsync", aof.delayed),
        ]
    if loading.running:
        found += _progress(node, now)
    return found


def _progress(node: Node, now: int) -> Fields:
    """How far loading is."""
    loading = node.persistence.loading
    total, position, used = loading.total_bytes, loading.position, loading.used_memory
    share, left = 0.0, 1
    if total:
        share, left = position * 100 / total, total - position
    elif used:
        share, left = min(position * 100 / used, 99.99), max(used - position, 1)
    elapsed = now - loading.started
    return [
        ("loading_start_time", loading.started),
        ("loading_total_bytes", total),
        ("loading_rdb_used_mem", used),
        ("loading_loaded_bytes", position),
        ("loading_loaded_perc", share),
        ("loading_eta_seconds", elapsed * left // (position + 1) if elapsed else 1),
    ]
