"""Every directive of Redis 7.0: type, default, bounds, and what may be done to it.

The table below is the one place that knows them (`static_configs` in `src/config.c`). A line is

    name/older-name  type  default  flags

with two spaces or more between the parts and `-` for an empty default. Types: `bool`; `text`, or
`text?` where empty means "not set"; `a|b|c` for a choice, `any:a|b` for several of them;
`int`, `memory` (5mb), `percent` (memory or 5%) and `octal` with bounds, with a `u` in front for
numbers that Redis keeps unsigned; the rest are kinds of their own in `directive_kinds.py`.

Flags: `immutable` (CONFIG SET refuses), `protected` (refused unless enable-protected-configs allows
it), `settled` (refused while data are loaded), `hidden` (CONFIG GET shows it by its exact name
only), `sensitive` (a secret: kept out of MONITOR and the slow log), `unbuilt` (accepted, but the
part of Redis it steers is not built here).

One default is ours: `bind` is the loopback interface, where Redis without a file listens to all
the world and counts on its protected mode.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from redislab.server.directive_kinds import (
    Addresses,
    Bool,
    Buffers,
    Choice,
    Choices,
    Directory,
    Events,
    Kind,
    Number,
    Percentiles,
    ReplicaOf,
    Save,
    Scores,
    Text,
    parse_memory,
)


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive.

    Attributes:
        name: its name; `alias` an older one, or empty.
        kind: its type.
        default: the value without any configuration.
    """

    name: str
    alias: str
    kind: Kind
    default: object
    immutable: bool
    protected: bool
    settled: bool
    hidden: bool
    sensitive: bool
    unbuilt: bool

    @property
    def attribute(self) -> str:
        """Its name as an attribute of `Config`."""
        return self.name.replace("-", "_")


# Lines that older files may have, accepted and ignored, with one word after the name.
FORGOTTEN: Final = frozenset(
    {"list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"}
)

_TABLE = """
# Listening and connections
bind  addresses  127.0.0.1 -::1
bind-source-addr  text?  -
client-output-buffer-limit  buffers  normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60
client-query-buffer-limit  umemory 1mb..LONG  1gb
maxclients  uint 1..UINT  10000
maxmemory-clients  percent -100..LONG  0
port  int 0..65535  6379
protected-mode  bool  yes
proto-max-bulk-len  memory 1mb..LONG  512mb
socket-mark-id  uint 0..UINT  0  immutable unbuilt
tcp-backlog  int 0..INT  511  immutable
tcp-keepalive  int 0..INT  300
timeout  int 0..INT  0
unixsocket  text?  -  immutable
unixsocketperm  octal 0..777  0  immutable

# Process and log
always-show-logo  bool  no  immutable
aof_rewrite_cpulist  text?  -  immutable unbuilt
bgsave_cpulist  text?  -  immutable unbuilt
bio_cpulist  text?  -  immutable unbuilt
crash-log-enabled  bool  yes  unbuilt
crash-memcheck-enabled  bool  yes  unbuilt
daemonize  bool  no  immutable
databases  int 1..INT  16  immutable
dir  directory  .  protected settled
disable-thp  bool  yes  immutable unbuilt
dynamic-hz  bool  yes
hz  int 0..INT  10
ignore-warnings  text  -  unbuilt
io-threads  int 1..128  1  immutable unbuilt
io-threads-do-reads  bool  no  immutable unbuilt
logfile  text  -  immutable
loglevel  debug|verbose|notice|warning  notice
oom-score-adj  no|yes|relative|absolute  no  unbuilt
oom-score-adj-values  scores  0 200 800  unbuilt
pidfile  text?  -  immutable
proc-title-template  title  {title} {listen-addr} {server-mode}  unbuilt
server_cpulist  text?  -  immutable unbuilt
set-proc-title  bool  yes  immutable unbuilt
shutdown-on-sigint  any:default|save|nosave|now|force  default
shutdown-on-sigterm  any:default|save|nosave|now|force  default
shutdown-timeout  int 0..INT  10
supervised  upstart|systemd|auto|no  no  immutable unbuilt
syslog-enabled  bool  no  immutable unbuilt
syslog-facility  facility  local0  immutable unbuilt
syslog-ident  text  redis  immutable unbuilt
use-exit-on-panic  bool  no  hidden
watchdog-period  int 0..INT  0  hidden unbuilt

# Security
acl-pubsub-default  allchannels|resetchannels  resetchannels
aclfile  text  -  immutable
acllog-max-len  int 0..LONG  128
enable-debug-command  no|yes|local  no  immutable
enable-module-command  no|yes|local  no  immutable unbuilt
enable-protected-configs  no|yes|local  no  immutable
requirepass  text?  -  sensitive

# Memory and expiry
active-defrag-cycle-max  int 1..99  25  unbuilt
active-defrag-cycle-min  int 1..99  1  unbuilt
active-defrag-ignore-bytes  umemory 1..LONG  100mb  unbuilt
active-defrag-max-scan-fields  int 1..LONG  1000  unbuilt
active-defrag-threshold-lower  int 0..1000  10  unbuilt
active-defrag-threshold-upper  int 0..1000  100  unbuilt
active-expire-effort  int 1..10  1
activedefrag  defrag  no  unbuilt
activerehashing  bool  yes
jemalloc-bg-thread  bool  yes  unbuilt
lazyfree-lazy-eviction  bool  no
lazyfree-lazy-expire  bool  no
lazyfree-lazy-server-del  bool  no
lazyfree-lazy-user-del  bool  no
lazyfree-lazy-user-flush  bool  no
lfu-decay-time  int 0..INT  1
lfu-log-factor  int 0..INT  10
maxmemory  umemory 0..ULONG  0
maxmemory-eviction-tenacity  int 0..100  10
maxmemory-policy  policy  noeviction
maxmemory-samples  int 1..INT  5
tracking-table-max-keys  uint 0..LONG  1000000

# Encodings and scripts
busy-reply-threshold/lua-time-limit  int 0..LONG  5000
hash-max-listpack-entries/hash-max-ziplist-entries  uint 0..LONG  512
hash-max-listpack-value/hash-max-ziplist-value  umemory 0..LONG  64
hll-sparse-max-bytes  umemory 0..LONG  3000
list-compress-depth  int 0..INT  0
list-max-listpack-size/list-max-ziplist-size  int -INT..INT  -2
lua-enable-deprecated-api  bool  no  immutable hidden unbuilt
sanitize-dump-payload  no|yes|clients  no
set-max-intset-entries  uint 0..LONG  512
stream-node-max-bytes  umemory 0..LONG  4kb
stream-node-max-entries  int 0..LONG  100
zset-max-listpack-entries/zset-max-ziplist-entries  uint 0..LONG  128
zset-max-listpack-value/zset-max-ziplist-value  umemory 0..LONG  64

# What is measured and notified
latency-monitor-threshold  int 0..LONG  0
latency-tracking  bool  yes
latency-tracking-info-percentiles  percentiles  50 99 99.9
notify-keyspace-events  events  -
slowlog-log-slower-than  int -1..LONG  10000
slowlog-max-len  int 0..LONG  128

# Persistence
aof-disable-auto-gc  bool  no
aof-load-truncated  bool  yes
aof-rewrite-incremental-fsync  bool  yes
aof-timestamp-enabled  bool  no
aof-use-rdb-preamble  bool  yes
appenddirname  appenddirname:dirname!  appendonlydir  immutable
appendfilename  appendfilename:filename!  appendonly.aof  immutable
appendfsync  everysec|always|no  everysec
appendonly  bool  no  settled
auto-aof-rewrite-min-size  memory 0..LONG  64mb
auto-aof-rewrite-percentage  int 0..INT  100
dbfilename  dbfilename:filename  dump.rdb  protected
key-load-delay  int -INT..INT  0  hidden
loading-process-events-interval-bytes  int 1024..INT  2097152  hidden
no-appendfsync-on-rewrite  bool  no
rdb-del-sync-files  bool  no
rdb-key-save-delay  int -INT..INT  0  hidden
rdb-save-incremental-fsync  bool  yes
rdbchecksum  bool  yes  immutable
rdbcompression  bool  yes
save  save  3600 1 300 100 60 10000
stop-writes-on-bgsave-error  bool  yes

# Replication
masterauth  text?  -  sensitive
masteruser  text?  -  sensitive
min-replicas-max-lag/min-slaves-max-lag  int 0..INT  10
min-replicas-to-write/min-slaves-to-write  int 0..INT  0
propagation-error-behavior  ignore|panic|panic-on-replicas  ignore
repl-backlog-size  memory 1..LONG  1mb
repl-backlog-ttl  int 0..LONG  3600
repl-disable-tcp-nodelay  bool  no
repl-diskless-load  disabled|on-empty-db|swapdb  disabled  settled
repl-diskless-sync  bool  yes
repl-diskless-sync-delay  int 0..INT  5
repl-diskless-sync-max-replicas  int 0..INT  0
repl-ping-replica-period/repl-ping-slave-period  int 1..INT  10
repl-timeout  int 1..INT  60
replica-announce-ip/slave-announce-ip  text?  -
replica-announce-port/slave-announce-port  int 0..65535  0
replica-announced  bool  yes
replica-ignore-disk-write-errors  bool  no
replica-ignore-maxmemory/slave-ignore-maxmemory  bool  yes
replica-lazy-flush/slave-lazy-flush  bool  no
replica-priority/slave-priority  int 0..INT  100
replica-read-only/slave-read-only  bool  yes
replica-serve-stale-data/slave-serve-stale-data  bool  yes
replicaof/slaveof  replicaof  no one  immutable

# Cluster
cluster-allow-pubsubshard-when-down  bool  yes  unbuilt
cluster-allow-reads-when-down  bool  no  unbuilt
cluster-allow-replica-migration  bool  yes  unbuilt
cluster-announce-bus-port  int 0..65535  0  unbuilt
cluster-announce-hostname  hostname  -  unbuilt
cluster-announce-ip  text?  -  unbuilt
cluster-announce-port  int 0..65535  0  unbuilt
cluster-announce-tls-port  int 0..65535  0  unbuilt
cluster-config-file  text  nodes.conf  immutable unbuilt
cluster-enabled  bool  no  immutable unbuilt
cluster-link-sendbuf-limit  umemory 0..ULONG  0  unbuilt
cluster-migration-barrier  int 0..INT  1  unbuilt
cluster-node-timeout  int 0..LONG  15000  unbuilt
cluster-port  int 0..65535  0  immutable unbuilt
cluster-preferred-endpoint-type  ip|hostname|unknown-endpoint  ip  unbuilt
cluster-replica-no-failover/cluster-slave-no-failover  bool  no  unbuilt
cluster-replica-validity-factor/cluster-slave-validity-factor  int 0..INT  10  unbuilt
cluster-require-full-coverage  bool  yes  unbuilt

# TLS
tls-auth-clients  no|yes|optional  yes  unbuilt
tls-ca-cert-dir  text?  -  unbuilt
tls-ca-cert-file  text?  -  unbuilt
tls-cert-file  text?  -  unbuilt
tls-ciphers  text?  -  unbuilt
tls-ciphersuites  text?  -  unbuilt
tls-client-cert-file  text?  -  unbuilt
tls-client-key-file  text?  -  unbuilt
tls-client-key-file-pass  text?  -  unbuilt
tls-cluster  bool  no  unbuilt
tls-dh-params-file  text?  -  unbuilt
tls-key-file  text?  -  unbuilt
tls-key-file-pass  text?  -  unbuilt
tls-port  int 0..65535  0  unbuilt
tls-prefer-server-ciphers  bool  no  unbuilt
tls-protocols  text?  -  unbuilt
tls-replication  bool  no  unbuilt
tls-session-cache-size  int 0..INT  20480  unbuilt
tls-session-cache-timeout  int 0..INT  300  unbuilt
tls-session-caching  bool  yes  unbuilt
"""

_BOUNDS = {"INT": 2**31 - 1, "UINT": 2**32 - 1, "LONG": 2**63 - 1, "ULONG": 2**64 - 1}
_CHOICES = {
    "policy": "volatile-lru|volatile-lfu|volatile-random|volatile-ttl|"
    "allkeys-lru|allkeys-lfu|allkeys-random|noeviction",
    "facility": "user|local0|local1|local2|local3|local4|local5|local6|local7",
}
_SYNONYMS = {"relative": "yes"}  # of oom-score-adj: one value with two names
_NUMBER = re.compile(r"(u?)(int|memory|percent|octal) (\S+)\.\.(\S+)")
_PLAIN: dict[str, Kind] = {
    "bool": Bool(),
    "defrag": Bool(
        "Active defragmentation cannot be enabled: it requires a Redis server compiled with a "
        "modified Jemalloc like the one shipped by default with the Redis source distribution"
    ),
    "text": Text(),
    "text?": Text(empty_is_unset=True),
    "hostname": Text("hostname", empty_is_unset=True),
    "title": Text("title"),
    "save": Save(),
    "buffers": Buffers(),
    "scores": Scores(),
    "events": Events(),
    "addresses": Addresses(),
    "replicaof": ReplicaOf(),
    "percentiles": Percentiles(),
    "directory": Directory(),
}


def _kind(text: str) -> Kind:
    """The kind that a type of the table means."""
    if text in _PLAIN:
        return _PLAIN[text]
    number = _NUMBER.fullmatch(text)
    if number:
        unsigned, form, low, high = number.groups()
        bounds = [_bound(word, octal=form == "octal") for word in (low, high)]
        return Number(form, *bounds, unsigned=bool(unsigned))
    if text.startswith("any:"):
        return Choices(text.removeprefix("any:").split("|"))
    text = _CHOICES.get(text, text)
    if "|" in text:
        return Choice(text.split("|"), _SYNONYMS)
    return Text(text)


def _bound(word: str, *, octal: bool) -> int:
    if word.lstrip("-") in _BOUNDS:
        limit = _BOUNDS[word.lstrip("-")]
        return -limit - 1 if word.startswith("-") else limit
    if octal or word.startswith("-"):
        return int(word, 8 if octal else 10)
    return parse_memory(word.encode()) or 0


def _directive(line: str) -> Directive:
    names, kind_name, default, *flags = re.split(r"\s{2,}", line)
    name, _, alias = names.partition("/")
    kind = _kind(kind_name)
    written = b"" if default == "-" else default.encode()
    given = flags[0].split() if flags else []
    if isinstance(kind, Directory):
        value: object = default  # resolved when a Config is made
    else:
        words = written.split() if kind.multi else [written]
        value = kind.parse(words, None, first=True)
    return Directive(
        name,
        alias,
        kind,
        value,
        immutable="immutable" in given,
        protected="protected" in given,
        settled="settled" in given,
        hidden="hidden" in given,
        sensitive="sensitive" in given,
        unbuilt="unbuilt" in given,
    )


# All directives, in the order of the table.
ALL: Final = tuple(
    _directive(line) for line in _TABLE.split("\n") if line and not line.startswith("#")
)
# By name and by older name.
DIRECTIVES: Final[Mapping[str, Directive]] = MappingProxyType(
    {name: d for d in ALL for name in (d.name, d.alias) if name}
)
