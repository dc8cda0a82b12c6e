"""Facts of the commands for Redis Cluster.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "cluster",
        """
asking 1 fast @connection
  Allow the next command on a slot that is being imported.
  since 3.0.0, O(1)

cluster -2
  The CLUSTER family of commands.
  since 3.0.0, That of the subcommand

cluster|addslots -3 admin stale no_async_loading
  Take over single hash slots that nobody owns.
  since 3.0.0, O(N), N = slots given
  args slot:int...

cluster|addslotsrange -4 admin stale no_async_loading
  Take over ranges of hash slots that nobody owns.
  since 7.0.0, O(N), N = slots in the ranges
  args start-slot_end-slot{start-slot:int end-slot:int}...

cluster|bumpepoch 2 admin stale no_async_loading
  Raise this node's configuration epoch.
  since 3.0.0, O(1)
  tips nondeterministic_output

cluster|count-failure-reports 3 admin stale
  Count the nodes that report a node as failing.
  since 3.0.0, O(N), N = failure reports
  args node-id
  tips nondeterministic_output

cluster|countkeysinslot 3 stale
  Count this node's keys in a hash slot.
  since 3.0.0, O(1)
  args slot:int

cluster|delslots -3 admin stale no_async_loading
  Forget who owns single hash slots.
  since 3.0.0, O(N), N = slots given
  args slot:int...

cluster|delslotsrange -4 admin stale no_async_loading
  Forget who owns ranges of hash slots.
  since 7.0.0, O(N), N = slots in the ranges
  args start-slot_end-slot{start-slot:int end-slot:int}...

cluster|failover -2 admin stale no_async_loading
  Promote this replica in place of its master.
  since 3.0.0, O(1)
  args [options<FORCE | TAKEOVER>]

cluster|flushslots 2 admin stale no_async_loading
  Forget every slot of this node.
  since 3.0.0, O(1)

cluster|forget 3 admin stale no_async_loading
  Drop a node from the table of known nodes.
  since 3.0.0, O(1)
  args node-id

cluster|getkeysinslot 4 stale
  Name some of this node's keys in a hash slot.
  since 3.0.0, O(log(N)), N = keys asked for
  args slot:int count:int
  tips nondeterministic_output

cluster|help 2 loading stale
  List the forms of CLUSTER.
  since 5.0.0, O(1)

cluster|info 2 stale
  Show the state of the cluster as this node sees it.
  since 3.0.0, O(1)
  tips nondeterministic_output

cluster|keyslot 3 stale
  Compute the hash slot of a key.
  since 3.0.0, O(N), N = bytes of the key
  args key

cluster|links 2 stale
  List the bus connections to and from the other nodes.
  since 7.0.0, O(N), N = nodes
  tips nondeterministic_output

cluster|meet -4 admin stale no_async_loading
  Introduce another node to the cluster.
  since 3.0.0, O(1)
  args ip port:int [cluster_bus_port:int@4.0.0]
  4.0.0 The bus port.

cluster|myid 2 stale
  Return this node's id.
  since 3.0.0, O(1)

cluster|nodes 2 stale
  List all known nodes in the form of nodes.conf.
  since 3.0.0, O(N), N = nodes
  tips nondeterministic_output

cluster|replicas 3 admin stale
  List the replicas of a master.
  since 5.0.0, O(1)
  args node-id
  tips nondeterministic_output

cluster|replicate 3 admin stale no_async_loading
  Become a replica of a master.
  since 3.0.0, O(1)
  args node-id

cluster|reset -2 admin noscript stale
  Leave the cluster and start anew, softly or for good.
  since 3.0.0, O(N), N = known nodes; it may run FLUSHALL
  args [hard_soft<HARD | SOFT>]

cluster|saveconfig 2 admin stale no_async_loading
  Write nodes.conf now.
  since 3.0.0, O(1)

cluster|set-config-epoch 3 admin stale no_async_loading
  Give a new node its first configuration epoch.
  since 3.0.0, O(1)
  args config-epoch:int

cluster|setslot -4 admin stale no_async_loading
  Change a slot's owner or its migration state.
  since 3.0.0, O(1)
  args slot:int subcommand<IMPORTING=node-id | MIGRATING=node-id | NODE=node-id | STABLE>

cluster|shards 2 stale
  List the shards with their slots and nodes.
  since 7.0.0, O(N), N = nodes of the cluster
  tips nondeterministic_output

cluster|slaves 3 admin stale
  List the replicas of a master (the older name).
  since 3.0.0, O(1)
  args node-id
  tips nondeterministic_output
  gone 5.0.0 `CLUSTER REPLICAS`

cluster|slots 2 stale
  List slot ranges with the nodes that serve them.
  since 3.0.0, O(N), N = nodes
  tips nondeterministic_output
  gone 7.0.0 `CLUSTER SHARDS`
  4.0.0 Node ids.
  7.0.0 Further addresses of a node.

readonly 1 loading stale fast @connection
  Let this connection read from a cluster replica.
  since 3.0.0, O(1)

readwrite 1 loading stale fast @connection
  Undo READONLY for this connection.
  since 3.0.0, O(1)
""",
    ),
)
