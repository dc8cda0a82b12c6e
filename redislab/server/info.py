"""INFO: what a node tells about itself, in the sections and fields of Redis 7.0 (`src/server.c`).

Every field of Redis is there, in its order. What is counted or measured is so; fields about parts
a node does not have (a fork, jemalloc, modules) say what Redis says when nothing of the kind
happened. Memory is the estimate of `stats.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from redislab.engine.table import Reply, command
from redislab.server.directive_kinds import format_percent
from redislab.server.names import VERSION
from redislab.server.persistence import report as persistence_report
from redislab.server.replication import report as replication_report
from redislab.wire.resp import verbatim

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.node import Node

Fields = list[tuple[str, object]]
# A title, and what makes the fields, by the name that is asked for.
Sections = dict[str, tuple[str, Callable[["Node"], Fields]]]

DEFAULT = (
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "module_list",
    "errorstats",
    "cluster",
    "keyspace",
)


@command("info")
def info(c: Client, args: list[bytes]) -> Reply:
    """INFO [section ...]."""
    wanted = [word.decode("utf-8", "surrogateescape").lower() for word in args[1:]]
    return verbatim(report(c.node, wanted).encode("utf-8", "surrogateescape"), c.resp)


def report(node: Node, wanted: Sequence[str] = (), sections: Sections | None = None) -> str:
    """The text of INFO.

    Args:
        node: the node to tell of.
        wanted: names of sections, `default`, `all` or `everything`; unknown ones are passed over.
        sections: all that there are, by name, and all are told by default; None stands for those
            of a server.
    """
    names = list(wanted) or ["default"]
    everything = "all" in names or "everything" in names
    if "default" in names:
        names += DEFAULT if sections is None else sections
    if "modules" in names:
        names.append("module_list")
    parts = []
    for name, (title, fields) in (SECTIONS if sections is None else sections).items():
        if everything or name in names:
            lines = [f"{key}:{_show(value)}\r\n" for key, value in fields(node)]
            parts.append(f"# {title}\r\n{''.join(lines)}")
    return "\r\n".join(parts)


def _show(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def human(size: float) -> str:
    """A number of bytes with a unit, as Redis writes it: 1.04M."""
    if size < 1024:
        return f"{int(size)}B"
    unit = ""
    for letter in "KMGTP":
        unit = letter
        size /= 1024
        if size < 1024:
            break
    return f"{size:.2f}{unit}"


# -- sections ----------------------------------------------------------------------------------


def _server(node: Node) -> Fields:
    now = node.environment.unix_time()
    uptime = int(node.loop_time() - node.started)
    system, _ = node.environment.machine
    return [
        ("redis_version", VERSION),
        ("redis_git_sha1", "00000000"),
        ("redis_git_dirty", 0),
        ("redis_build_id", "0" * 16),
        ("redis_mode", node.mode),
        ("os", system),
        ("arch_bits", 64),
        ("monotonic_clock", "POSIX clock_gettime"),
        ("multiplexing_api", type(node.loop).__module__.partition(".")[0]),
        ("atomicvar_api", "none"),
        ("gcc_version", "0.0.0"),
        ("process_id", node.environment.process_id),
        ("process_supervised", "no"),
        ("run_id", node.run_id),
        ("tcp_port", node.config.port),
        ("server_time_usec", int(now * 1e6)),
        ("uptime_in_seconds", uptime),
        ("uptime_in_days", uptime // 86400),
        ("hz", node.config.hz),
        ("configured_hz", node.config.hz),
        ("lru_clock", int(now) & 0xFFFFFF),
        ("executable", "redislab"),
        ("config_file", node.config.file),
        ("io_threads_active", 0),
        *_leaving(node),
    ]


def _leaving(node: Node) -> Fields:
    """How long the node still waits for its replicas before it ends, if it does."""
    left = node.leaving.milliseconds_left
    return [] if left is None else [("shutdown_in_milliseconds", left)]


def _clients(node: Node) -> Fields:
    sessions = [each.session for each in node.clients.values() if each.session is not None]
    received = [each.parser.buffered + each.pending_bytes for each in sessions]
    unread = [each.transport.get_write_buffer_size() for each in sessions]
    return [
        ("connected_clients", len(node.clients) - len(node.replication.masterside.replicas)),
        ("cluster_connections", 0),
        ("maxclients", node.config.maxclients),
        ("client_recent_max_input_buffer", max(received, default=0)),
        ("client_recent_max_output_buffer", max(unread, default=0)),
        ("blocked_clients", len(node.blocking) - (node.scripts.slow.client is not None)),
        ("tracking_clients", len(node.tracking.clients)),
        ("clients_in_timeout_table", len(node.blocking.timers)),
    ]


def _memory(node: Node) -> Fields:
    stats = node.stats
    used = stats.used_memory()
    stats.peak_bytes = peak = max(stats.peak_bytes, used)
    overhead, startup = stats.overhead(), stats.startup_bytes
    dataset = max(used - overhead, 0)
    net = max(used - startup, 1)
    rss = node.environment.rss()
    _, total = node.environment.machine
    limit = node.config.maxmemory
    scripts = node.scripts
    stream, backlog = node.replication.masterside.buffer_bytes, node.config.repl_backlog_size
    eval_bytes, functions_bytes = scripts.memory(is_eval=True), scripts.memory(is_eval=False)
    machines = eval_bytes + functions_bytes
    return [
        ("used_memory", used),
        ("used_memory_human", human(used)),
        ("used_memory_rss", rss),
        ("used_memory_rss_human", human(rss)),
        ("used_memory_peak", peak),
        ("used_memory_peak_human", human(peak)),
        ("used_memory_peak_perc", f"{used * 100 / peak:.2f}%"),
        ("used_memory_overhead", overhead),
        ("used_memory_startup", startup),
        ("used_memory_dataset", dataset),
        ("used_memory_dataset_perc", f"{dataset * 100 / net:.2f}%"),
        ("allocator_allocated", used),
        ("allocator_active", used),
        ("allocator_resident", rss),
        ("total_system_memory", total),
        ("total_system_memory_human", human(total)),
        ("used_memory_lua", eval_bytes),
        ("used_memory_vm_eval", eval_bytes),
        ("used_memory_lua_human", human(eval_bytes)),
        ("used_memory_scripts_eval", 0),
        ("number_of_cached_scripts", len(scripts.cache)),
        ("number_of_functions", len(scripts.libraries.functions)),
        ("number_of_libraries", len(scripts.libraries.libraries)),
        ("used_memory_vm_functions", functions_bytes),
        ("used_memory_vm_total", machines),
        ("used_memory_vm_total_human", human(machines)),
        ("used_memory_functions", 200),
        ("used_memory_scripts", 200),
        ("used_memory_scripts_human", human(200)),
        ("maxmemory", limit),
        ("maxmemory_human", human(limit)),
        ("maxmemory_policy", node.config.maxmemory_policy),
        ("allocator_frag_ratio", 1.0),
        ("allocator_frag_bytes", 0),
        ("allocator_rss_ratio", rss / used),
        ("allocator_rss_bytes", rss - used),
        ("rss_overhead_ratio", 1.0),
        ("rss_overhead_bytes", 0),
        ("mem_fragmentation_ratio", rss / used),
        ("mem_fragmentation_bytes", rss - used),
        ("mem_not_counted_for_evict", max(stream - backlog, 0)),
        ("mem_replication_backlog", min(stream, backlog)),
        ("mem_total_replication_buffers", stream),
        ("mem_clients_slaves", max(stream - backlog, 0)),
        ("mem_clients_normal", stats.client_bytes()),
        ("mem_cluster_links", 0),
        ("mem_aof_buffer", node.persistence.aof.buffered),
        ("mem_allocator", "python"),
        ("active_defrag_running", 0),
        ("lazyfree_pending_objects", stats.lazyfree_pending_objects),
        ("lazyfreed_objects", stats.lazyfreed_objects),
    ]


def _persistence(node: Node) -> Fields:
    return persistence_report.fields(node)


def _stats(node: Node) -> Fields:
    stats, engine, tracking, pubsub = node.stats, node.engine, node.tracking, node.pubsub
    masterside = node.replication.masterside
    exceeded = int(stats.eviction_exceeded_s * 1000)
    return [
        ("total_connections_received", stats.connections),
        ("total_commands_processed", stats.commands),
        ("instantaneous_ops_per_sec", int(stats.operations.per_second)),
        ("total_net_input_bytes", node.bytes_in + node.replication.replicaside.bytes_in),
        ("total_net_output_bytes", node.bytes_out),
        ("total_net_repl_input_bytes", node.replication.replicaside.bytes_in),
        ("total_net_repl_output_bytes", masterside.bytes_out),
        ("instantaneous_input_kbps", stats.input.per_second / 1024),
        ("instantaneous_output_kbps", stats.output.per_second / 1024),
        ("instantaneous_input_repl_kbps", stats.stream_input.per_second / 1024),
        ("instantaneous_output_repl_kbps", stats.stream_output.per_second / 1024),
        ("rejected_connections", stats.rejected_connections),
        ("sync_full", masterside.full_syncs),
        ("sync_partial_ok", masterside.partial_syncs),
        ("sync_partial_err", masterside.refused_partial_syncs),
        ("expired_keys", engine.expired_keys),
        ("expired_stale_perc", engine.expired_stale_fraction * 100),
        ("expired_time_cap_reached_count", engine.expired_time_cap_reached),
        ("expire_cycle_cpu_milliseconds", int(stats.expire_cycle_s * 1000)),
        ("evicted_keys", stats.evicted_keys),
        ("evicted_clients", stats.evicted_clients),
        ("total_eviction_exceeded_time", exceeded),
        ("current_eviction_exceeded_time", 0),
        ("keyspace_hits", engine.hits),
        ("keyspace_misses", engine.misses),
        ("pubsub_channels", len(pubsub.channels)),
        ("pubsub_patterns", len(pubsub.patterns)),
        ("pubsubshard_channels", len(pubsub.shard_channels)),
        ("latest_fork_usec", 0),
        ("total_forks", 0),
        ("migrate_cached_sockets", 0),
        ("slave_expires_tracked_keys", len(engine.own_expiring)),
        ("active_defrag_hits", 0),
        ("active_defrag_misses", 0),
        ("active_defrag_key_hits", 0),
        ("active_defrag_key_misses", 0),
        ("total_active_defrag_time", 0),
        ("current_active_defrag_time", 0),
        ("tracking_total_keys", len(tracking.readers)),
        ("tracking_total_items", tracking.items),
        ("tracking_total_prefixes", tracking.prefixes),
        ("unexpected_error_replies", node.replication.replicaside.errors),
        ("total_error_replies", stats.error_replies),
        ("dump_payload_sanitizations", 0),
        ("total_reads_processed", node.reads),
        ("total_writes_processed", node.writes),
        ("io_threaded_reads_processed", 0),
        ("io_threaded_writes_processed", 0),
        ("reply_buffer_shrinks", 0),
        ("reply_buffer_expands", 0),
    ]


def _replication(node: Node) -> Fields:
    return replication_report.fields(node)


def _cpu(node: Node) -> Fields:
    system, user = node.environment.cpu_time()
    return [
        ("used_cpu_sys", f"{system:.6f}"),
        ("used_cpu_user", f"{user:.6f}"),
        ("used_cpu_sys_children", f"{0:.6f}"),
        ("used_cpu_user_children", f"{0:.6f}"),
        ("used_cpu_sys_main_thread", f"{system:.6f}"),
        ("used_cpu_user_main_thread", f"{user:.6f}"),
    ]


def _modules(node: Node) -> Fields:
    return []


def _commandstats(node: Node) -> Fields:
    found: Fields = []
    for entry in node.entries:
        calls = entry.calls
        if calls or entry.failed or entry.rejected:
            microseconds = int(entry.seconds * 1e6)
            found.append(
                (
                    f"cmdstat_{entry.name}",
                    (
                        f"calls={calls},usec={microseconds},"
                        f"usec_per_call={microseconds / calls if calls else 0:.2f},"
                        f"rejected_calls={entry.rejected},failed_calls={entry.failed}"
                    ),
                )
            )
    return found


def _errorstats(node: Node) -> Fields:
    return [
        (f"errorstat_{code}", f"count={count}") for code, count in sorted(node.stats.errors.items())
    ]


def _latencystats(node: Node) -> Fields:
    if not node.config.latency_tracking:
        return []
    found: Fields = []
    for entry in node.entries:
        durations = entry.durations()
        if durations:
            values = [
                f"p{format_percent(percent)}={percentile(durations, percent) / 1000:.3f}"
                for percent in node.config.latency_tracking_info_percentiles
            ]
            found.append((f"latency_percentiles_usec_{entry.name}", ",".join(values)))
    return found


def percentile(durations: Sequence[tuple[int, int]], percent: float) -> int:
    """The duration, of pairs of duration and count, that so many percent did not exceed."""
    wanted = sum(count for _, count in durations) * percent / 100
    seen = 0
    for duration, count in durations:
        seen += count
        if seen >= wanted:
            return duration
    return durations[-1][0]


def _cluster(node: Node) -> Fields:
    return [("cluster_enabled", node.mode == "cluster")]


def _keyspace(node: Node) -> Fields:
    return [
        (
            f"db{db.index}",
            f"keys={len(db)},expires={len(db.expires)},avg_ttl={db.average_ttl_ms}",
        )
        for db in node.engine.databases
        if len(db)
    ]


SECTIONS: Sections = {
    "server": ("Server", _server),
    "clients": ("Clients", _clients),
    "memory": ("Memory", _memory),
    "persistence": ("Persistence", _persistence),
    "stats": ("Stats", _stats),
    "replication": ("Replication", _replication),
    "cpu": ("CPU", _cpu),
    "module_list": ("Modules", _modules),
    "commandstats": ("Commandstats", _commandstats),
    "errorstats": ("Errorstats", _errorstats),
    "latencystats": ("Latencystats", _latencystats),
    "cluster": ("Cluster", _cluster),
    "keyspace": ("Keyspace", _keyspace),
}
