"""Facts of the commands for connections.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "connection",
        """
auth -2 noscript loading stale fast no_auth allow_busy @connection
  Log in with a password, or with a user name and a password.
  since 1.0.0, O(N), N = passwords of the user
  args [username@6.0.0] password
  6.0.0 User names.

client -2
  The CLIENT family of commands.
  since 2.4.0, That of the subcommand

client|caching 3 noscript loading stale @connection
  Track the next command's keys, or leave them out.
  since 6.0.0, O(1)
  args mode<YES | NO>

client|getname 2 noscript loading stale @connection
  Return the name of this connection.
  since 2.6.9, O(1)

client|getredir 2 noscript loading stale @connection
  Return which client gets this one's invalidation messages.
  since 6.0.0, O(1)

client|help 2 loading stale @connection
  List the forms of CLIENT.
  since 5.0.0, O(1)

client|id 2 noscript loading stale @connection
  Return the id of this connection.
  since 5.0.0, O(1)

client|info 2 noscript loading stale @connection
  Describe this connection in one line.
  since 6.2.0, O(1)
  tips nondeterministic_output

client|kill -3 admin noscript loading stale @connection
  Close connections by address or by filter.
  since 2.4.0, O(N), N = connections
  args filter<"ip:port"!2.8.12 | new-format<[ID=client-id:int@2.8.12] |
    [TYPE=normal_master_slave_pubsub@2.8.12<NORMAL | MASTER@3.2.0 | SLAVE | REPLICA@5.0.0 |
    PUBSUB>] | [USER=username] | [ADDR="ip:port"] | [LADDR="ip:port"@6.2.0] |
    [SKIPME="yes/no"]>...>
  2.8.12 Filters.
  2.8.12 `ID`.
  3.2.0 `TYPE master`.
  5.0.0 `TYPE replica`, with `slave` still understood.
  6.2.0 `LADDR`.

client|list -2 admin noscript loading stale @connection
  Describe the open connections, one line each.
  since 2.4.0, O(N), N = connections
  args [TYPE=normal_master_replica_pubsub@5.0.0<NORMAL | MASTER | REPLICA | PUBSUB>]
    [ID=id@6.2.0{client-id:int...}]
  tips nondeterministic_output
  2.8.12 The field `id`.
  5.0.0 `TYPE`.
  6.0.0 The field `user`.
  6.2.0 `ID`; the fields `argv-mem`, `tot-mem`, `laddr`, `redir`.
  7.0.0 The fields `resp`, `multi-mem`, `rbs`, `rbp`.
  7.0.3 The field `ssub`.

client|no-evict 3 admin noscript loading stale @connection
  Exempt this connection from client eviction.
  since 7.0.0, O(1)
  args enabled<ON | OFF>

client|pause -3 admin noscript loading stale @connection
  Make clients wait for a while.
  since 2.9.50, O(1)
  args timeout:int [mode@6.2.0<WRITE | ALL>]
  6.2.0 Modes `WRITE` and `ALL`.

client|reply 3 noscript loading stale @connection
  Turn replies to this connection on or off.
  since 3.2.0, O(1)
  args on_off_skip<ON | OFF | SKIP>

client|setname 3 noscript loading stale @connection
  Name this connection.
  since 2.6.9, O(1)
  args connection-name

client|tracking -3 noscript loading stale @connection
  Turn invalidation messages for client side caching on or off.
  since 6.0.0, O(1); some options cost more
  args status<ON | OFF> [REDIRECT=client-id:int] [PREFIX=prefix]...+ [BCAST] [OPTIN] [OPTOUT]
    [NOLOOP]

client|trackinginfo 2 noscript loading stale @connection
  Show how this connection is being tracked.
  since 6.2.0, O(1)

client|unblock -3 admin noscript loading stale @connection
  Wake another client out of a blocking command.
  since 5.0.0, O(log(N)), N = connections
  args client-id:int [timeout_error<TIMEOUT | ERROR>]

client|unpause 2 admin noscript loading stale @connection
  End a pause of the clients.
  since 6.2.0, O(N), N = paused clients

echo 2 loading stale fast @connection
  Send a string back.
  since 1.0.0, O(1)
  args message

hello -1 noscript loading stale fast no_auth allow_busy @connection
  Choose the protocol version, log in and set a name.
  since 6.0.0, O(1)
  args [arguments{protover:int [AUTH=username_password{username password}] [SETNAME=clientname]}]
  6.2.0 Without a version, only the report.

ping -1 fast @connection
  Answer PONG, or the string that was sent.
  since 1.0.0, O(1)
  args [message]
  tips request_policy:all_shards response_policy:all_succeeded

quit -1 noscript loading stale fast no_auth allow_busy @connection
  Say OK and close the connection.
  since 1.0.0, O(1)

reset 1 noscript loading stale fast no_auth allow_busy @connection
  Put the connection back to its first state.
  since 6.2.0, O(1)

select 2 loading stale fast @connection
  Switch this connection to another database.
  since 1.0.0, O(1)
  args index:int
""",
    ),
)
