"""Facts of the commands for the server as a whole.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "server",
        """
bgrewriteaof 1 admin noscript no_async_loading
  Compact the append-only file in the background.
  since 1.0.0, O(1)

bgsave -1 admin noscript no_async_loading
  Save the data set in the background.
  since 1.0.0, O(1)
  args [SCHEDULE@3.2.2]
  3.2.2 `SCHEDULE`.

dbsize 1 readonly fast @keyspace
  Count the keys of the database.
  since 1.0.0, O(1)
  tips request_policy:all_shards response_policy:agg_sum

failover -1 admin noscript stale
  Hand the role of master to a replica without losing writes.
  since 6.2.0, O(1)
  args [TO=target{host port:int [FORCE]}] [ABORT] [TIMEOUT=milliseconds:int]

flushall -1 write @keyspace @dangerous
  Empty every database.
  since 1.0.0, O(N), N = keys of all databases
  args [async<ASYNC@4.0.0 | SYNC@6.2.0>]
  tips request_policy:all_shards response_policy:all_succeeded
  4.0.0 `ASYNC`.
  6.2.0 `SYNC`.

flushdb -1 write @keyspace @dangerous
  Empty this database.
  since 1.0.0, O(N), N = keys of the database
  args [async<ASYNC@4.0.0 | SYNC@6.2.0>]
  tips request_policy:all_shards response_policy:all_succeeded
  4.0.0 `ASYNC`.
  6.2.0 `SYNC`.

info -1 loading stale @dangerous
  Report the state of the server, section by section.
  since 1.0.0, O(1)
  args [section]...
  tips nondeterministic_output request_policy:all_shards response_policy:special
  7.0.0 Several sections.

lastsave 1 loading stale fast @admin @dangerous
  Return when the data set was last saved.
  since 1.0.0, O(1)
  tips nondeterministic_output

lolwut -1 readonly fast
  Draw a picture and show the version.
  since 5.0.0
  args [VERSION=version:int]

monitor 1 admin noscript loading stale
  Stream every command that the server handles.
  since 1.0.0

psync -3 admin noscript no_async_loading no_multi
  Ask a master for its stream from an offset on.
  since 2.8.0
  args replicationid offset:int

replconf -1 admin noscript loading stale allow_busy
  Let a replica and its master settle their link.
  since 3.0.0, O(1)
  system

replicaof 3 admin noscript stale no_async_loading
  Follow a master, or stop following one.
  since 5.0.0, O(1)
  args args<host-port{host port:int} | no-one{NO ONE}>

restore-asking -4 write denyoom asking @keyspace @dangerous 1:OW,update
  RESTORE on a slot that is being imported.
  since 3.0.0, O(1) for the key and O(N*M) for the value, N = its parts, M = their mean size;
    O(N*M*log(N)) for sorted sets
  args key#0 ttl:int serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME=seconds:int@5.0.0]
    [FREQ=frequency:int@5.0.0]
  system
  3.0.0 `REPLACE`.
  5.0.0 `ABSTTL`.
  5.0.0 `IDLETIME` and `FREQ`.

role 1 noscript loading stale fast @admin @dangerous
  Return the role in replication, with offsets and peers.
  since 2.8.12, O(1)

save 1 admin noscript no_async_loading no_multi
  Save the data set while everybody waits.
  since 1.0.0, O(N), N = keys of all databases

shutdown -1 admin noscript loading stale no_multi allow_busy
  Stop the server, saving first if need be.
  since 1.0.0, O(N) with saving, N = keys of all databases; else O(1)
  args [nosave_save<NOSAVE | SAVE>] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]
  7.0.0 `NOW`, `FORCE` and `ABORT`.

slaveof 3 admin noscript stale no_async_loading
  Follow a master, or stop following one (the older name).
  since 1.0.0, O(1)
  args args<host-port{host port:int} | no-one{NO ONE}>
  gone 5.0.0 `REPLICAOF`

swapdb 3 write fast @keyspace @dangerous
  Exchange two databases.
  since 4.0.0, O(N), N = clients that watch or wait on keys of the two
  args index1:int index2:int

sync 1 admin noscript no_async_loading no_multi
  Ask a master for everything (the older way).
  since 1.0.0

time 1 loading stale fast
  Return the server's clock.
  since 2.6.0, O(1)
  tips nondeterministic_output
""",
    ),
)
