"""The values of all directives as attributes, with their types: `config.proto_max_bulk_len`.

Sizes are in bytes; times are in the unit that redis.conf gives them in. A percentage (of
`maxmemory_clients`) is a negative number. The types of the lists are told in `directive_kinds.py`;
a test holds these names and types against the table of `directives.py`.
"""

from __future__ import annotations

from redislab.server.directive_kinds import BufferLimit


class Settings:
    """One attribute a directive, the hyphens of its name as underscores."""

    # Listening and connections
    bind: tuple[str, ...]
    bind_source_addr: str
    client_output_buffer_limit: tuple[BufferLimit, BufferLimit, BufferLimit]
    client_query_buffer_limit: int
    maxclients: int
    maxmemory_clients: int
    port: int
    protected_mode: bool
    proto_max_bulk_len: int
    socket_mark_id: int
    tcp_backlog: int
    tcp_keepalive: int
    timeout: int
    unixsocket: str
    unixsocketperm: int

    # Process and log
    always_show_logo: bool
    aof_rewrite_cpulist: str
    bgsave_cpulist: str
    bio_cpulist: str
    crash_log_enabled: bool
    crash_memcheck_enabled: bool
    daemonize: bool
    databases: int
    dir: str
    disable_thp: bool
    dynamic_hz: bool
    hz: int
    ignore_warnings: str
    io_threads: int
    io_threads_do_reads: bool
    logfile: str
    loglevel: str
    oom_score_adj: str
    oom_score_adj_values: tuple[int, int, int]
    pidfile: str
    proc_title_template: str
    server_cpulist: str
    set_proc_title: bool
    shutdown_on_sigint: str
    shutdown_on_sigterm: str
    shutdown_timeout: int
    supervised: str
    syslog_enabled: bool
    syslog_facility: str
    syslog_ident: str
    use_exit_on_panic: bool
    watchdog_period: int

    # Security
    acl_pubsub_default: str
    aclfile: str
    acllog_max_len: int
    enable_debug_command: str
    enable_module_command: str
    enable_protected_configs: str
    requirepass: str

    # Memory and expiry
    active_defrag_cycle_max: int
    active_defrag_cycle_min: int
    active_defrag_ignore_bytes: int
    active_defrag_max_scan_fields: int
    active_defrag_threshold_lower: int
    active_defrag_threshold_upper: int
    active_expire_effort: int
    activedefrag: bool
    activerehashing: bool
    jemalloc_bg_thread: bool
    lazyfree_lazy_eviction: bool
    lazyfree_lazy_expire: bool
    lazyfree_lazy_server_del: bool
    lazyfree_lazy_user_del: bool
    lazyfree_lazy_user_flush: bool
    lfu_decay_time: int
    lfu_log_factor: int
    maxmemory: int
    maxmemory_eviction_tenacity: int
    maxmemory_policy: str
    maxmemory_samples: int
    tracking_table_max_keys: int

    # Encodings and scripts
    busy_reply_threshold: int
    hash_max_listpack_entries: int
    hash_max_listpack_value: int
    hll_sparse_max_bytes: int
    list_compress_depth: int
    list_max_listpack_size: int
    lua_enable_deprecated_api: bool
    sanitize_dump_payload: str
    set_max_intset_entries: int
    stream_node_max_bytes: int
    stream_node_max_entries: int
    zset_max_listpack_entries: int
    zset_max_listpack_value: int

    # What is measured and notified
    latency_monitor_threshold: int
    latency_tracking: bool
    latency_tracking_info_percentiles: tuple[float, ...]
    notify_keyspace_events: str
    slowlog_log_slower_than: int
    slowlog_max_len: int

    # Persistence
    aof_disable_auto_gc: bool
    aof_load_truncated: bool
    aof_rewrite_incremental_fsync: bool
    aof_timestamp_enabled: bool
    aof_use_rdb_preamble: bool
    appenddirname: str
    appendfilename: str
    appendfsync: str
    appendonly: bool
    auto_aof_rewrite_min_size: int
    auto_aof_rewrite_percentage: int
    dbfilename: str
    key_load_delay: int
    loading_process_events_interval_bytes: int
    no_appendfsync_on_rewrite: bool
    rdb_del_sync_files: bool
    rdb_key_save_delay: int
    rdb_save_incremental_fsync: bool
    rdbchecksum: bool
    rdbcompression: bool
    save: tuple[tuple[int, int], ...]
    stop_writes_on_bgsave_error: bool

    # Replication
    masterauth: str
    masteruser: str
    min_replicas_max_lag: int
    min_replicas_to_write: int
    propagation_error_behavior: str
    repl_backlog_size: int
    repl_backlog_ttl: int
    repl_disable_tcp_nodelay: bool
    repl_diskless_load: str
    repl_diskless_sync: bool
    repl_diskless_sync_delay: int
    repl_diskless_sync_max_replicas: int
    repl_ping_replica_period: int
    repl_timeout: int
    replica_announce_ip: str
    replica_announce_port: int
    replica_announced: bool
    replica_ignore_disk_write_errors: bool
    replica_ignore_maxmemory: bool
    replica_lazy_flush: bool
    replica_priority: int
    replica_read_only: bool
    replica_serve_stale_data: bool
    replicaof: tuple[str, int] | None

    # Cluster
    cluster_allow_pubsubshard_when_down: bool
    cluster_allow_reads_when_down: bool
    cluster_allow_replica_migration: bool
    cluster_announce_bus_port: int
    cluster_announce_hostname: str
    cluster_announce_ip: str
    cluster_announce_port: int
    cluster_announce_tls_port: int
    cluster_config_file: str
    cluster_enabled: bool
    cluster_link_sendbuf_limit: int
    cluster_migration_barrier: int
    cluster_node_timeout: int
    cluster_port: int
    cluster_preferred_endpoint_type: str
    cluster_replica_no_failover: bool
    cluster_replica_validity_factor: int
    cluster_require_full_coverage: bool

    # TLS
    tls_auth_clients: str
    tls_ca_cert_dir: str
    tls_ca_cert_file: str
    tls_cert_file: str
    tls_ciphers: str
    tls_ciphersuites: str
    tls_client_cert_file: str
    tls_client_key_file: str
    tls_client_key_file_pass: str
    tls_cluster: bool
    tls_dh_params_file: str
    tls_key_file: str
    tls_key_file_pass: str
    tls_port: int
    tls_prefer_server_ciphers: bool
    tls_protocols: str
    tls_replication: bool
    tls_session_cache_size: int
    tls_session_cache_timeout: int
    tls_session_caching: bool
