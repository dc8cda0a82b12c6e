"""Facts of the commands for looking after a server: users, settings, measurements, modules.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "server",
        """
acl -2
  The ACL family of commands.
  since 6.0.0, That of the subcommand

acl|cat -2 noscript loading stale
  List the categories, or the commands of one.
  since 6.0.0, O(1), as commands and categories are fixed
  args [categoryname]

acl|deluser -3 admin noscript loading stale
  Remove users and close their connections.
  since 6.0.0, O(1) amortized for a typical user
  args username...

acl|dryrun -4 admin noscript loading stale
  Tell whether a user may run a command, without running it.
  since 7.0.0, O(1)
  args username command [arg]...

acl|genpass -2 noscript loading stale
  Make a random password.
  since 6.0.0, O(1)
  args [bits:int]

acl|getuser 3 admin noscript loading stale
  Show the rules of a user.
  since 6.0.0, O(N), N = rules of the user
  args username
  6.2.0 Patterns of channels.
  7.0.0 Selectors; patterns as rules instead of lists.

acl|help 2 loading stale
  List the forms of ACL.
  since 6.0.0, O(1)

acl|list 2 admin noscript loading stale
  List all users in the form of an ACL file.
  since 6.0.0, O(N), N = users

acl|load 2 admin noscript loading stale
  Read the ACL file again.
  since 6.0.0, O(N), N = users

acl|log -2 admin noscript loading stale
  Show, or clear, the recent refusals.
  since 6.0.0, O(N), N = entries shown
  args [operation<count:int | RESET>]

acl|save 2 admin noscript loading stale
  Write the users to the ACL file.
  since 6.0.0, O(N), N = users

acl|setuser -3 admin noscript loading stale
  Create a user or change one.
  since 6.0.0, O(N), N = rules given
  args username [rule]...
  6.2.0 Patterns of channels.
  7.0.0 Selectors and key permissions.

acl|users 2 admin noscript loading stale
  List the names of the users.
  since 6.0.0, O(N), N = users

acl|whoami 2 noscript loading stale
  Return the user of this connection.
  since 6.0.0, O(1)

command -1 loading stale @connection
  The COMMAND family of commands.
  since 2.8.13, O(N), N = commands known
  tips nondeterministic_output_order

command|count 2 loading stale @connection
  Count the commands.
  since 2.8.13, O(1)

command|docs -2 loading stale @connection
  Document commands: arguments, history, cost.
  since 7.0.0, O(N), N = commands asked about
  args [command-name]...
  tips nondeterministic_output_order

command|getkeys -4 loading stale @connection
  Pick the keys out of a command.
  since 2.8.13, O(N), N = arguments of the command

command|getkeysandflags -4 loading stale @connection
  Pick the keys out of a command, and how each is used.
  since 7.0.0, O(N), N = arguments of the command

command|help 2 loading stale @connection
  List the forms of COMMAND.
  since 5.0.0, O(1)

command|info -2 loading stale @connection
  Describe commands: arity, flags, keys.
  since 2.8.13, O(N), N = commands asked about
  args [command-name]...
  tips nondeterministic_output_order
  7.0.0 Without arguments, all commands.

command|list -2 loading stale @connection
  List the names of the commands.
  since 7.0.0, O(N), N = commands known
  args [FILTERBY=filterby<MODULE=module-name | ACLCAT=category | PATTERN=pattern:pattern>]
  tips nondeterministic_output_order

config -2
  The CONFIG family of commands.
  since 2.0.0, That of the subcommand

config|get -3 admin noscript loading stale
  Read settings.
  since 2.0.0, O(N), N = parameters given
  args parameter{parameter}...
  7.0.0 Several patterns.

config|help 2 loading stale
  List the forms of CONFIG.
  since 5.0.0, O(1)

config|resetstat 2 admin noscript loading stale
  Set the counters of INFO to zero.
  since 2.0.0, O(1)

config|rewrite 2 admin noscript loading stale
  Write the current settings to the configuration file.
  since 2.8.0, O(1)

config|set -4 admin noscript loading stale
  Change settings while the server runs.
  since 2.0.0, O(N), N = parameters given
  args parameter_value{parameter value}...
  tips request_policy:all_nodes response_policy:all_succeeded
  7.0.0 Several parameters.

debug -2 admin noscript loading stale
  Tools for those who test the server.
  since 1.0.0, That of the subcommand
  system

latency -2
  The LATENCY family of commands.
  since 2.8.13, That of the subcommand

latency|doctor 2 admin noscript loading stale
  Explain the measured latencies in prose.
  since 2.8.13, O(1)
  tips nondeterministic_output request_policy:all_nodes response_policy:special

latency|graph 3 admin noscript loading stale
  Draw the latencies of an event.
  since 2.8.13, O(1)
  args event
  tips nondeterministic_output request_policy:all_nodes response_policy:special

latency|help 2 loading stale
  List the forms of LATENCY.
  since 2.8.13, O(1)

latency|histogram -2 admin noscript loading stale
  Return the latency distribution of commands.
  since 7.0.0, O(N), N = commands reported
  args [command]...
  tips nondeterministic_output request_policy:all_nodes response_policy:special

latency|history 3 admin noscript loading stale
  Return the latency samples of an event.
  since 2.8.13, O(1)
  args event
  tips nondeterministic_output request_policy:all_nodes response_policy:special

latency|latest 2 admin noscript loading stale
  Return the newest latency sample of each event.
  since 2.8.13, O(1)
  tips nondeterministic_output request_policy:all_nodes response_policy:special

latency|reset -2 admin noscript loading stale
  Forget the latency samples of events.
  since 2.8.13, O(1)
  args [event]...
  tips request_policy:all_nodes response_policy:all_succeeded

memory -2
  The MEMORY family of commands.
  since 4.0.0, That of the subcommand

memory|doctor 2
  Explain the memory usage in prose.
  since 4.0.0, O(1)
  tips nondeterministic_output request_policy:all_shards response_policy:special

memory|help 2 loading stale
  List the forms of MEMORY.
  since 4.0.0, O(1)

memory|malloc-stats 2
  Show the allocator's own statistics.
  since 4.0.0, Grows with the memory in use and can be slow
  tips nondeterministic_output request_policy:all_shards response_policy:special

memory|purge 2
  Ask the allocator to give memory back.
  since 4.0.0, Grows with the memory in use and can be slow
  tips request_policy:all_shards response_policy:all_succeeded

memory|stats 2
  Show where memory is used.
  since 4.0.0, O(1)
  tips nondeterministic_output request_policy:all_shards response_policy:special

memory|usage -3 readonly 2:RO
  Estimate the bytes that a key takes.
  since 4.0.0, O(N), N = samples
  args key#0 [SAMPLES=count:int]

module -2
  The MODULE family of commands.
  since 4.0.0, That of the subcommand

module|help 2 loading stale
  List the forms of MODULE.
  since 5.0.0, O(1)

module|list 2 admin noscript
  List the loaded modules.
  since 4.0.0, O(N), N = loaded modules
  tips nondeterministic_output_order

module|load -3 admin noscript no_async_loading
  Load a module from a shared library.
  since 4.0.0, O(1)
  args path [arg]...

module|loadex -3 admin noscript no_async_loading
  Load a module with settings and arguments.
  since 7.0.0, O(1)
  args path [CONFIG=configs{name value}]...+ [ARGS=args{arg}]...

module|unload 3 admin noscript no_async_loading
  Unload a module by its name.
  since 4.0.0, O(1)
  args name

slowlog -2
  The SLOWLOG family of commands.
  since 2.2.12, That of the subcommand

slowlog|get -2 admin loading stale
  Return the newest entries of the slow log.
  since 2.2.12, O(N), N = entries returned
  args [count:int]
  tips request_policy:all_nodes nondeterministic_output
  4.0.0 The client's address and name.

slowlog|help 2 loading stale
  List the forms of SLOWLOG.
  since 6.2.0, O(1)

slowlog|len 2 admin loading stale
  Count the entries of the slow log.
  since 2.2.12, O(1)
  tips request_policy:all_nodes response_policy:agg_sum nondeterministic_output

slowlog|reset 2 admin loading stale
  Empty the slow log.
  since 2.2.12, O(N), N = entries of the slow log
  tips request_policy:all_nodes response_policy:all_succeeded
""",
    ),
)
