"""Facts of the commands for streams.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "stream",
        """
xack -4 write fast @stream 1:RW,update
  Mark entries of a consumer group as done.
  since 5.0.0, O(1) per id
  args key#0 group id...

xadd -5 write denyoom fast @stream 1:RW,update
  Append an entry to a stream.
  since 5.0.0, O(1), and O(N) when N entries are trimmed
  args key#0 [NOMKSTREAM@6.2.0] [trim{strategy<MAXLEN | MINID@6.2.0> [operator<'='/equal |
    '~'/approximately>] threshold [LIMIT=count:int@6.2.0]}] id_or_auto<'*'/auto_id | id>
    field_value{field value}...
  tips nondeterministic_output
  note 0 The optional trimming makes it an update.
  6.2.0 `NOMKSTREAM`, `MINID` and `LIMIT`.
  7.0.0 Ids of the form `<ms>-*`.

xautoclaim -6 write fast @stream 1:RW,delete
  Take over a group's entries that have been idle for long.
  since 6.2.0, O(1) with a small COUNT
  args key#0 group consumer min-idle-time start [COUNT=count:int] [JUSTID]
  tips nondeterministic_output
  7.0.0 The reply lists pending entries that no longer exist.

xclaim -6 write fast @stream 1:RW,update
  Take over named entries of a consumer group.
  since 5.0.0, O(log(N)), N = pending entries of the group
  args key#0 group consumer min-idle-time id... [IDLE=ms:int]
    [TIME=unix-time-milliseconds:unix-time] [RETRYCOUNT=count:int] [FORCE] [JUSTID] [LASTID=id]
  tips nondeterministic_output

xdel -3 write fast @stream 1:RW,delete
  Remove entries from a stream.
  since 5.0.0, O(1) per entry, whatever the stream's size
  args key#0 id...

xgroup -2
  The XGROUP family of commands.
  since 5.0.0, That of the subcommand

xgroup|create -5 write denyoom @stream 2:RW,insert
  Create a consumer group that begins at an id.
  since 5.0.0, O(1)
  args key#0 groupname id<id | '$'/new_id> [MKSTREAM] [ENTRIESREAD=entries_read:int]
  7.0.0 `ENTRIESREAD`.

xgroup|createconsumer 5 write denyoom @stream 2:RW,insert
  Create a consumer in a group.
  since 6.2.0, O(1)
  args key#0 groupname consumername

xgroup|delconsumer 5 write @stream 2:RW,delete
  Remove a consumer from a group.
  since 5.0.0, O(1)
  args key#0 groupname consumername

xgroup|destroy 4 write @stream 2:RW,delete
  Remove a consumer group.
  since 5.0.0, O(N), N = pending entries of the group
  args key#0 groupname

xgroup|help 2 loading stale @stream
  List the forms of XGROUP.
  since 5.0.0, O(1)

xgroup|setid -5 write @stream 2:RW,update
  Set the last id that a group has delivered.
  since 5.0.0, O(1)
  args key#0 groupname id<id | '$'/new_id> [ENTRIESREAD=entries_read:int]
  7.0.0 `ENTRIESREAD`.

xinfo -2
  The XINFO family of commands.
  since 5.0.0, That of the subcommand

xinfo|consumers 4 readonly @stream 2:RO,access
  Describe the consumers of a group.
  since 5.0.0, O(1)
  args key#0 groupname
  tips nondeterministic_output

xinfo|groups 3 readonly @stream 2:RO,access
  Describe the consumer groups of a stream.
  since 5.0.0, O(1)
  args key#0
  7.0.0 The fields `entries-read` and `lag`.

xinfo|help 2 loading stale @stream
  List the forms of XINFO.
  since 5.0.0, O(1)

xinfo|stream -3 readonly @stream 2:RO,access
  Describe a stream.
  since 5.0.0, O(1)
  args key#0 [FULL=full{[COUNT=count:int]}]
  6.0.0 `FULL`.
  7.0.0 The fields `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`,
    `entries-read`, `lag`.

xlen 2 readonly fast @stream 1:RO
  Count the entries of a stream.
  since 5.0.0, O(1)
  args key#0

xpending -3 readonly @stream 1:RO,access
  Show entries that were delivered but not yet acknowledged.
  since 5.0.0, O(N), N = entries returned; O(M) with IDLE, M = entries scanned; the summary is
    O(1) with few consumers
  args key#0 group [filters{[IDLE=min-idle-time:int@6.2.0] start end count:int [consumer]}]
  tips nondeterministic_output
  6.2.0 `IDLE` and open ends of ranges.

xrange -4 readonly @stream 1:RO,access
  Return the entries between two ids.
  since 5.0.0, O(N), N = entries returned
  args key#0 start end [COUNT=count:int]
  6.2.0 Open ends of ranges.

xread -4 readonly blocking movablekeys @stream STREAMS@1..-1%2:RO,access
  Read entries past given ids from streams, waiting if asked.
  since 5.0.0, O(N) per stream, N = entries returned; an XADD that wakes M clients pays O(M)
  args [COUNT=count:int] [BLOCK=milliseconds:int] STREAMS=streams{key#0... id...}

xreadgroup -7 write blocking movablekeys @stream STREAMS@4..-1%2:RO,access
  Read entries as a consumer of a group, waiting if asked.
  since 5.0.0, O(M) per stream, M = entries returned; an XADD that wakes N clients pays O(N)
  args GROUP=group_consumer{group consumer} [COUNT=count:int] [BLOCK=milliseconds:int] [NOACK]
    STREAMS=streams{key#0... id...}

xrevrange -4 readonly @stream 1:RO,access
  Return the entries between two ids, the newest first.
  since 5.0.0, O(N), N = entries returned
  args key#0 end start [COUNT=count:int]
  6.2.0 Open ends of ranges.

xsetid -3 write denyoom fast @stream 1:RW,update
  Set a stream's last id and counters, for replication.
  since 5.0.0, O(1)
  args key#0 last-id [ENTRIESADDED=entries_added:int@7.0.0]
    [MAXDELETEDID=max_deleted_entry_id@7.0.0]
  7.0.0 `ENTRIESADDED` and `MAXDELETEDID`.

xtrim -4 write @stream 1:RW,delete
  Cut a stream to a length or to a lowest id.
  since 5.0.0, O(N), N = entries removed, with a small constant: whole nodes are freed at once
  args key#0 trim{strategy<MAXLEN | MINID@6.2.0> [operator<'='/equal | '~'/approximately>]
    threshold [LIMIT=count:int@6.2.0]}
  tips nondeterministic_output
  6.2.0 `MINID` and `LIMIT`.
""",
    ),
)
