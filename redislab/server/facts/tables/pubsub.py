"""Facts of the commands for publishing and subscribing, transactions and scripts.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "pubsub",
        """
psubscribe -2 pubsub noscript loading stale
  Receive what is published to channels that match patterns.
  since 2.0.0, O(N), N = this client's patterns
  args pattern{pattern:pattern}...

publish 3 pubsub loading stale fast
  Send a message to a channel.
  since 2.0.0, O(N+M), N = subscribers of the channel, M = patterns of everybody
  args channel message

pubsub -2
  The PUBSUB family of commands.
  since 2.8.0, That of the subcommand

pubsub|channels -2 pubsub loading stale
  List channels that have subscribers.
  since 2.8.0, O(N), N = active channels
  args [pattern:pattern]

pubsub|help 2 loading stale
  List the forms of PUBSUB.
  since 6.2.0, O(1)

pubsub|numpat 2 pubsub loading stale
  Count the distinct patterns subscribed to.
  since 2.8.0, O(1)

pubsub|numsub -2 pubsub loading stale
  Count the subscribers of channels.
  since 2.8.0, O(N), N = channels asked about
  args [channel]...

pubsub|shardchannels -2 pubsub loading stale
  List shard channels that have subscribers.
  since 7.0.0, O(N), N = active shard channels
  args [pattern:pattern]

pubsub|shardnumsub -2 pubsub loading stale
  Count the subscribers of shard channels.
  since 7.0.0, O(N), N = shard channels asked about
  args [shardchannel]...

punsubscribe -1 pubsub noscript loading stale
  Leave patterns, or all of them.
  since 2.0.0, O(N+M), N = this client's patterns, M = everybody's patterns
  args [pattern:pattern]...

spublish 3 pubsub loading stale fast 1:not_key
  Send a message to a shard channel.
  since 7.0.0, O(N), N = subscribers of the shard channel
  args shardchannel message

ssubscribe -2 pubsub noscript loading stale 1..-1:not_key
  Receive what is published to shard channels.
  since 7.0.0, O(N), N = shard channels named
  args shardchannel...

subscribe -2 pubsub noscript loading stale
  Receive what is published to channels.
  since 2.0.0, O(N), N = channels named
  args channel...

sunsubscribe -1 pubsub noscript loading stale 1..-1:not_key
  Leave shard channels, or all of them.
  since 7.0.0, O(N), N = clients of the shard channel
  args [shardchannel]...

unsubscribe -1 pubsub noscript loading stale
  Leave channels, or all of them.
  since 2.0.0, O(N), N = clients of the channel
  args [channel]...
""",
    ),
    (
        "transactions",
        """
discard 1 noscript loading stale fast allow_busy @transaction
  Drop the queued commands of a transaction.
  since 2.0.0, O(N), N = queued commands

exec 1 noscript loading stale skip_slowlog @transaction
  Run the queued commands of a transaction.
  since 1.2.0, That of the queued commands

multi 1 noscript loading stale fast allow_busy @transaction
  Begin a transaction: queue commands until EXEC.
  since 1.2.0, O(1)

unwatch 1 noscript loading stale fast allow_busy @transaction
  Stop watching all keys.
  since 2.2.0, O(1)

watch -2 noscript loading stale fast allow_busy @transaction 1..-1:RO
  Let EXEC fail if one of the keys changes before it.
  since 2.2.0, O(1) per key
  args key#0...
""",
    ),
    (
        "scripting",
        """
eval -3 noscript stale skip_monitor no_mandatory_keys movablekeys @scripting 2#:RW,access,update
  Run a Lua script.
  since 2.6.0, That of the script
  args script numkeys:int [key#0]... [arg]...
  note 0 What a script does with its keys is unknown: taken as RW, update.

eval_ro -3 readonly noscript stale skip_monitor no_mandatory_keys movablekeys @scripting
    2#:RO,access
  Run a Lua script that only reads.
  since 7.0.0, That of the script
  args script numkeys:int [key#0]... [arg]...
  note 0 What a script does with its keys is unknown: taken as RO, access.

evalsha -3 noscript stale skip_monitor no_mandatory_keys movablekeys @scripting
    2#:RW,access,update
  Run a cached Lua script, named by its SHA1.
  since 2.6.0, That of the script
  args sha1 numkeys:int [key#0]... [arg]...

evalsha_ro -3 readonly noscript stale skip_monitor no_mandatory_keys movablekeys @scripting
    2#:RO,access
  Run a cached Lua script that only reads.
  since 7.0.0, That of the script
  args sha1 numkeys:int [key#0]... [arg]...

fcall -3 noscript stale skip_monitor no_mandatory_keys movablekeys @scripting 2#:RW,access,update
  Call a function of a loaded library.
  since 7.0.0, That of the function
  args function numkeys:int [key#0]... [arg]...
  note 0 What a function does with its keys is unknown: taken as RW, update.

fcall_ro -3 readonly noscript stale skip_monitor no_mandatory_keys movablekeys @scripting
    2#:RO,access
  Call a function that only reads.
  since 7.0.0, That of the function
  args function numkeys:int [key#0]... [arg]...
  note 0 What a function does with its keys is unknown: taken as RO, access.

function -2
  The FUNCTION family of commands.
  since 7.0.0, That of the subcommand

function|delete 3 write noscript @scripting
  Remove a library with its functions.
  since 7.0.0, O(1)
  args library-name
  tips request_policy:all_shards response_policy:all_succeeded

function|dump 2 noscript @scripting
  Serialize all libraries.
  since 7.0.0, O(N), N = functions

function|flush -2 write noscript @scripting
  Remove all libraries.
  since 7.0.0, O(N), N = functions removed
  args [async<ASYNC | SYNC>]
  tips request_policy:all_shards response_policy:all_succeeded

function|help 2 loading stale @scripting
  List the forms of FUNCTION.
  since 7.0.0, O(1)

function|kill 2 noscript allow_busy @scripting
  Stop the function that is running.
  since 7.0.0, O(1)
  tips request_policy:all_shards response_policy:one_succeeded

function|list -2 noscript @scripting
  Describe the loaded libraries.
  since 7.0.0, O(N), N = functions
  args [LIBRARYNAME=library-name-pattern] [WITHCODE]
  tips nondeterministic_output_order

function|load -3 write denyoom noscript @scripting
  Load a library from its source.
  since 7.0.0, O(1), compiling aside
  args [REPLACE] function-code
  tips request_policy:all_shards response_policy:all_succeeded

function|restore -3 write denyoom noscript @scripting
  Load libraries from a serialized payload.
  since 7.0.0, O(N), N = functions in the payload
  args serialized-value [policy<FLUSH | APPEND | REPLACE>]
  tips request_policy:all_shards response_policy:all_succeeded

function|stats 2 noscript allow_busy @scripting
  Describe the running function and the engines.
  since 7.0.0, O(1)
  tips nondeterministic_output request_policy:all_shards response_policy:special

script -2
  The SCRIPT family of commands.
  since 2.6.0, That of the subcommand

script|debug 3 noscript @scripting
  Choose how the next script is debugged.
  since 3.2.0, O(1)
  args mode<YES | SYNC | NO>

script|exists -3 noscript @scripting
  Tell which scripts are cached.
  since 2.6.0, O(N), N = scripts asked about
  args sha1...
  tips request_policy:all_shards response_policy:agg_logical_and

script|flush -2 noscript @scripting
  Empty the script cache.
  since 2.6.0, O(N), N = cached scripts
  args [async@6.2.0<ASYNC | SYNC>]
  tips request_policy:all_nodes response_policy:all_succeeded
  6.2.0 `ASYNC` and `SYNC`.

script|help 2 loading stale @scripting
  List the forms of SCRIPT.
  since 5.0.0, O(1)

script|kill 2 noscript allow_busy @scripting
  Stop the script that is running.
  since 2.6.0, O(1)
  tips request_policy:all_shards response_policy:one_succeeded

script|load 3 noscript stale @scripting
  Cache a script and return its SHA1.
  since 2.6.0, O(N), N = bytes of the script
  args script
  tips request_policy:all_nodes response_policy:all_succeeded
""",
    ),
)
