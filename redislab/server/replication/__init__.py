"""Replication: one master, any number of replicas, chained as deep as one likes.

Follows `src/replication.c` of Redis 7.0. What a node knows of its own history (`history.py`) and of
the last part of its stream (`backlog.py`) is plain state. `masterside.py` serves the replicas of a
node, `transfer.py` sends them whole data sets; `handshake.py` is the table of states by which a
replica meets its master, `link.py` the connection on which that happens, and `replicaside.py` what
the replica does with what comes. `failover.py` hands the role over in an orderly way.
"""
