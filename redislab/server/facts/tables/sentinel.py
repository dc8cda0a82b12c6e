"""Facts of the commands that only a Sentinel has, and the names of those it shares with servers.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

# With all of their subcommands.
SHARED = (
    "acl",
    "auth",
    "client",
    "command",
    "hello",
    "info",
    "ping",
    "psubscribe",
    "publish",
    "punsubscribe",
    "role",
    "shutdown",
    "subscribe",
    "unsubscribe",
)

TABLES = (
    (
        "sentinel",
        """
sentinel -2 admin
  The SENTINEL family of commands.
  since 2.8.4, That of the subcommand

sentinel|ckquorum 3 admin
  Tell whether enough Sentinels are there for a failover.
  since 2.8.4
  args master-name

sentinel|config -3 admin
  Read or change the settings of the Sentinel as a whole.
  since 6.2.0, O(1)
  args set_or_get<SET=set_param_value{parameter value}... | GET=parameter...>

sentinel|debug -2 admin
  Read or change the constants of its timing.
  since 7.0.0, O(N), N = parameters
  args parameter_value{parameter value}...

sentinel|failover 3 admin
  Begin a failover without asking anybody.
  since 2.8.4
  args master-name

sentinel|flushconfig 2 admin
  Write the configuration file.
  since 2.8.4, O(1)

sentinel|get-master-addr-by-name 3 admin
  Return the address of a master.
  since 2.8.4, O(1)
  args master-name

sentinel|help 2 loading stale
  List the forms of SENTINEL.
  since 6.2.0, O(1)

sentinel|info-cache -3 admin
  Return the last INFO of masters and their replicas.
  since 3.2.0, O(N), N = instances
  args nodename...

sentinel|is-master-down-by-addr 6 admin
  Say whether a master seems to be down, and vote.
  since 2.8.4, O(1)
  args ip port:int current-epoch:int runid

sentinel|master 3 admin
  Describe a master.
  since 2.8.4, O(1)
  args master-name

sentinel|masters 2 admin
  Describe all masters that are watched.
  since 2.8.4, O(N), N = masters

sentinel|monitor 6 admin
  Watch a master from now on.
  since 2.8.4, O(1)
  args name ip port:int quorum:int

sentinel|myid 2 admin
  Return the id of the Sentinel.
  since 6.2.0, O(1)

sentinel|pending-scripts 2 admin
  List the scripts that run or wait to be run.
  since 2.8.4

sentinel|remove 3 admin
  Watch a master no longer.
  since 2.8.4, O(1)
  args master-name

sentinel|replicas 3 admin
  Describe the replicas of a master.
  since 5.0.0, O(N), N = replicas
  args master-name

sentinel|reset 3 admin
  Forget what was found out about masters.
  since 2.8.4, O(N), N = masters
  args pattern:pattern

sentinel|sentinels 3 admin
  Describe the other Sentinels of a master.
  since 2.8.4, O(N), N = Sentinels
  args master-name

sentinel|set -5 admin
  Change the settings of a master.
  since 2.8.4, O(1)
  args master-name option_value{option value}...

sentinel|simulate-failure -3 admin
  End in the middle of the next failover.
  since 3.2.0
  args [mode<crash-after-election:pure-token | crash-after-promotion:pure-token
    | help:pure-token>]...

sentinel|slaves 3 admin
  Describe the replicas of a master (the older name).
  since 2.8.0, O(N), N = replicas
  args master-name
  gone 5.0.0 `SENTINEL REPLICAS`
""",
    ),
)
