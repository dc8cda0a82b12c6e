"""Facts of the commands for keys of any type.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "generic",
        """
copy -3 write denyoom @keyspace 1:RO,access 2:OW,update
  Copy a value to another key.
  since 6.2.0, O(1) for a string, else O(N), N = elements
  args source#0 destination#1 [DB=destination-db:int] [REPLACE]

del -2 write @keyspace 1..-1:RM,delete
  Remove keys.
  since 1.0.0, O(N), N = keys removed; O(M) more for a key of M elements
  args key#0...
  tips request_policy:multi_shard response_policy:agg_sum

dump 2 readonly @keyspace 1:RO,access
  Serialize the value of a key.
  since 2.6.0, O(1) for the key and O(N*M) for the value, N = its parts, M = their mean size
  args key#0
  tips nondeterministic_output

exists -2 readonly fast @keyspace 1..-1:RO
  Count how many of the keys exist.
  since 1.0.0, O(N), N = keys asked about
  args key#0...
  tips request_policy:multi_shard response_policy:agg_sum
  3.0.3 Several keys.

expire -3 write fast @keyspace 1:RW,update
  Let a key expire after some seconds.
  since 1.0.0, O(1)
  args key#0 seconds:int [condition@7.0.0<NX | XX | GT | LT>]
  7.0.0 `NX`, `XX`, `GT` and `LT`.

expireat -3 write fast @keyspace 1:RW,update
  Let a key expire at a UNIX time in seconds.
  since 1.2.0, O(1)
  args key#0 unix-time-seconds:unix-time [condition@7.0.0<NX | XX | GT | LT>]
  7.0.0 `NX`, `XX`, `GT` and `LT`.

expiretime 2 readonly fast @keyspace 1:RO,access
  Return when a key expires, as a UNIX time in seconds.
  since 7.0.0, O(1)
  args key#0

keys 2 readonly @keyspace @dangerous
  List the keys that match a pattern.
  since 1.0.0, O(N), N = keys of the database
  args pattern:pattern
  tips request_policy:all_shards nondeterministic_output_order

migrate -6 write movablekeys @keyspace @dangerous 3:RW,access,delete
    KEYS@-2..-1:RW,access,delete,incomplete
  Move keys to another server atomically.
  since 2.6.0, Those of DUMP and DEL here and RESTORE there, and O(N) for the transfer
  args host port:int key_or_empty_string<key#0 | ''/empty_string> destination-db:int timeout:int
    [COPY@3.0.0] [REPLACE@3.0.0] [authentication<[AUTH=password@4.0.7] |
    [AUTH2=username_password@6.0.0{username password}]>] [KEYS=key#1@3.0.6]...
  tips nondeterministic_output
  3.0.0 `COPY` and `REPLACE`.
  3.0.6 `KEYS`.
  4.0.7 `AUTH`.
  6.0.0 `AUTH2`.

move 3 write fast @keyspace 1:RW,access,update
  Move a key to the database with a number.
  since 1.0.0, O(1)
  args key#0 db:int

object -2
  The OBJECT family of commands.
  since 2.2.3, That of the subcommand

object|encoding 3 readonly @keyspace 2:RO
  Return how a value is stored inside.
  since 2.2.3, O(1)
  args key#0
  tips nondeterministic_output

object|freq 3 readonly @keyspace 2:RO
  Return a key's access counter under an LFU policy.
  since 4.0.0, O(1)
  args key#0
  tips nondeterministic_output

object|help 2 loading stale @keyspace
  List the forms of OBJECT.
  since 6.2.0, O(1)

object|idletime 3 readonly @keyspace 2:RO
  Return the seconds since a key was last used.
  since 2.2.3, O(1)
  args key#0
  tips nondeterministic_output

object|refcount 3 readonly @keyspace 2:RO
  Return a value's reference count.
  since 2.2.3, O(1)
  args key#0
  tips nondeterministic_output

persist 2 write fast @keyspace 1:RW,update
  Let a key stay for good.
  since 2.2.0, O(1)
  args key#0

pexpire -3 write fast @keyspace 1:RW,update
  Let a key expire after some milliseconds.
  since 2.6.0, O(1)
  args key#0 milliseconds:int [condition@7.0.0<NX | XX | GT | LT>]
  7.0.0 `NX`, `XX`, `GT` and `LT`.

pexpireat -3 write fast @keyspace 1:RW,update
  Let a key expire at a UNIX time in milliseconds.
  since 2.6.0, O(1)
  args key#0 unix-time-milliseconds:unix-time [condition@7.0.0<NX | XX | GT | LT>]
  7.0.0 `NX`, `XX`, `GT` and `LT`.

pexpiretime 2 readonly fast @keyspace 1:RO,access
  Return when a key expires, as a UNIX time in milliseconds.
  since 7.0.0, O(1)
  args key#0

pttl 2 readonly fast @keyspace 1:RO,access
  Return how many milliseconds a key has left.
  since 2.6.0, O(1)
  args key#0
  tips nondeterministic_output
  2.8.0 -2 for a key that does not exist.

randomkey 1 readonly @keyspace
  Return any key of the database.
  since 1.0.0, O(1)
  tips request_policy:all_shards nondeterministic_output

rename 3 write @keyspace 1:RW,access,delete 2:OW,update
  Give a key another name, replacing what was there.
  since 1.0.0, O(1)
  args key#0 newkey#1

renamenx 3 write fast @keyspace 1:RW,access,delete 2:OW,insert
  Give a key another name unless that name is taken.
  since 1.0.0, O(1)
  args key#0 newkey#1
  3.2.0 No error for a key renamed to itself.

restore -4 write denyoom @keyspace @dangerous 1:OW,update
  Make a key from what DUMP returned.
  since 2.6.0, O(1) for the key and O(N*M) for the value, N = its parts, M = their mean size;
    O(N*M*log(N)) for sorted sets
  args key#0 ttl:int serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME=seconds:int@5.0.0]
    [FREQ=frequency:int@5.0.0]
  3.0.0 `REPLACE`.
  5.0.0 `ABSTTL`.
  5.0.0 `IDLETIME` and `FREQ`.

scan -2 readonly @keyspace
  Walk over the keys, a few at a time.
  since 2.8.0, O(1) per call, O(N) for a full walk, N = keys
  args cursor:int [MATCH=pattern:pattern] [COUNT=count:int] [TYPE=type@6.0.0]
  tips nondeterministic_output request_policy:special
  6.0.0 `TYPE`.

sort -2 write denyoom movablekeys @set @sortedset @list @dangerous 1:RO,access ?:RO,access
    ?:OW,update
  Sort a list, set or sorted set, or store it sorted.
  since 1.0.0, O(N+M*log(M)), N = elements, M = elements returned; O(N) unsorted
  args key#0 [BY=pattern:pattern#1] [LIMIT=offset_count{offset:int count:int}]
    [GET=pattern:pattern#1]...+ [order<ASC | DESC>] [ALPHA/sorting] [STORE=destination#2]
  note 1 The keys of BY and GET come out of the sorted elements.
  note 2 STORE can stand anywhere.

sort_ro -2 readonly movablekeys @set @sortedset @list @dangerous 1:RO,access ?:RO,access
  Sort a list, set or sorted set without storing.
  since 7.0.0, O(N+M*log(M)), N = elements, M = elements returned; O(N) unsorted
  args key#0 [BY=pattern:pattern#1] [LIMIT=offset_count{offset:int count:int}]
    [GET=pattern:pattern#1]...+ [order<ASC | DESC>] [ALPHA/sorting]
  note 1 The keys of BY and GET come out of the sorted elements.

touch -2 readonly fast @keyspace 1..-1:RO
  Mark keys as just used and count those that exist.
  since 3.2.1, O(N), N = keys touched
  args key#0...
  tips request_policy:multi_shard response_policy:agg_sum

ttl 2 readonly fast @keyspace 1:RO,access
  Return how many seconds a key has left.
  since 1.0.0, O(1)
  args key#0
  tips nondeterministic_output
  2.8.0 -2 for a key that does not exist.

type 2 readonly fast @keyspace 1:RO
  Return the type of the value at a key.
  since 1.0.0, O(1)
  args key#0

unlink -2 write fast @keyspace 1..-1:RM,delete
  Remove keys and free their memory in the background.
  since 4.0.0, O(1) per key here, and O(N) in another thread, N = allocations of the values
  args key#0...
  tips request_policy:multi_shard response_policy:agg_sum

wait 3 noscript @connection
  Wait until replicas have this connection's writes.
  since 3.0.0, O(1)
  args numreplicas:int timeout:int
  tips request_policy:all_shards response_policy:agg_min
""",
    ),
)
