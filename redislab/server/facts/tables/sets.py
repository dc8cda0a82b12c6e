"""Facts of the commands for sets.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "set",
        """
sadd -3 write denyoom fast @set 1:RW,insert
  Add members to a set.
  since 1.0.0, O(1) per element
  args key#0 member...
  2.4.0 Several members.

scard 2 readonly fast @set 1:RO
  Count the members of a set.
  since 1.0.0, O(1)
  args key#0

sdiff -2 readonly @set 1..-1:RO,access
  Return the first set without the members of the others.
  since 1.0.0, O(N), N = elements of all sets together
  args key#0...
  tips nondeterministic_output_order

sdiffstore -3 write denyoom @set 1:OW,update 2..-1:RO,access
  Store the first set without the members of the others.
  since 1.0.0, O(N), N = elements of all sets together
  args destination#0 key#1...

sinter -2 readonly @set 1..-1:RO,access
  Return what all sets have in common.
  since 1.0.0, O(N*M) at worst, N = size of the smallest set, M = sets
  args key#0...
  tips nondeterministic_output_order

sintercard -3 readonly movablekeys @set 1#:RO,access
  Count what all sets have in common, up to a limit.
  since 7.0.0, O(N*M) at worst, N = size of the smallest set, M = sets
  args numkeys:int key#0... [LIMIT=limit:int]

sinterstore -3 write denyoom @set 1:RW,update 2..-1:RO,access
  Store what all sets have in common.
  since 1.0.0, O(N*M) at worst, N = size of the smallest set, M = sets
  args destination#0 key#1...

sismember 3 readonly fast @set 1:RO
  Tell whether a set has a member.
  since 1.0.0, O(1)
  args key#0 member

smembers 2 readonly @set 1:RO,access
  Return all members of a set.
  since 1.0.0, O(N), N = members of the set
  args key#0
  tips nondeterministic_output_order

smismember -3 readonly fast @set 1:RO,access
  Tell which of the members a set has.
  since 6.2.0, O(N), N = members asked about
  args key#0 member...

smove 4 write fast @set 1:RW,access,delete 2:RW,insert
  Move a member to another set.
  since 1.0.0, O(1)
  args source#0 destination#1 member

spop -2 write fast @set 1:RW,access,delete
  Take members at random.
  since 1.0.0, O(1) without count, else O(N), N = count
  args key#0 [count:int@3.2.0]
  tips nondeterministic_output
  3.2.0 A count.

srandmember -2 readonly @set 1:RO,access
  Return members picked at random.
  since 1.0.0, O(1) without count, else O(N), N = its absolute value
  args key#0 [count:int@2.6.0]
  tips nondeterministic_output
  2.6.0 A count.

srem -3 write fast @set 1:RW,delete
  Remove members of a set.
  since 1.0.0, O(N), N = members to remove
  args key#0 member...
  2.4.0 Several members.

sscan -3 readonly @set 1:RO,access
  Walk over a set, a few members at a time.
  since 2.8.0, O(1) per call, O(N) for a full walk, N = elements
  args key#0 cursor:int [MATCH=pattern:pattern] [COUNT=count:int]
  tips nondeterministic_output

sunion -2 readonly @set 1..-1:RO,access
  Return the members of all sets together.
  since 1.0.0, O(N), N = elements of all sets together
  args key#0...
  tips nondeterministic_output_order

sunionstore -3 write denyoom @set 1:OW,update 2..-1:RO,access
  Store the members of all sets together.
  since 1.0.0, O(N), N = elements of all sets together
  args destination#0 key#1...
""",
    ),
)
