"""Facts of the commands for sorted sets.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "sorted-set",
        """
bzmpop -5 write blocking movablekeys @sortedset 2#:RW,access,delete
  Take members from the first sorted set that has any, waiting if need be.
  since 7.0.0, O(K) + O(M*log(N)), K = keys, N = members, M = members taken
  args timeout:double numkeys:int key#0... where<MIN | MAX> [COUNT=count:int]

bzpopmax -3 write noscript blocking fast @sortedset 1..-2:RW,access,delete
  Take the member with the highest score, waiting for one if need be.
  since 5.0.0, O(log(N)), N = members of the sorted set
  args key#0... timeout:double
  6.0.0 A timeout may have a fraction.

bzpopmin -3 write noscript blocking fast @sortedset 1..-2:RW,access,delete
  Take the member with the lowest score, waiting for one if need be.
  since 5.0.0, O(log(N)), N = members of the sorted set
  args key#0... timeout:double
  6.0.0 A timeout may have a fraction.

zadd -4 write denyoom fast @sortedset 1:RW,update
  Add members with scores, or change their scores.
  since 1.2.0, O(log(N)) per member, N = members of the sorted set
  args key#0 [condition@3.0.2<NX | XX>] [comparison@6.2.0<GT | LT>] [CH/change@3.0.2]
    [INCR/increment@3.0.2] score_member{score:double member}...
  2.4.0 Several members.
  3.0.2 `XX`, `NX`, `CH` and `INCR`.
  6.2.0 `GT` and `LT`.

zcard 2 readonly fast @sortedset 1:RO
  Count the members of a sorted set.
  since 1.2.0, O(1)
  args key#0

zcount 4 readonly fast @sortedset 1:RO,access
  Count the members in a range of scores.
  since 2.0.0, O(log(N)), N = members of the sorted set
  args key#0 min:double max:double

zdiff -3 readonly movablekeys @sortedset 1#:RO,access
  Return the first sorted set without the members of the others.
  since 6.2.0, O(L + (N-K)log(N)) at worst, L = elements of all sets, N = size of the first, K =
    size of the result
  args numkeys:int key#0... [WITHSCORES]

zdiffstore -4 write denyoom movablekeys @sortedset 1:OW,update 2#:RO,access
  Store the first sorted set without the members of the others.
  since 6.2.0, O(L + (N-K)log(N)) at worst, L = elements of all sets, N = size of the first, K =
    size of the result
  args destination#0 numkeys:int key#1...

zincrby 4 write denyoom fast @sortedset 1:RW,access,update
  Add to a member's score.
  since 1.2.0, O(log(N)), N = members of the sorted set
  args key#0 increment:int member

zinter -3 readonly movablekeys @sortedset 1#:RO,access
  Return what all sorted sets have in common.
  since 6.2.0, O(N*K)+O(M*log(M)) at worst, N = size of the smallest sorted set, K = sorted sets,
    M = members of the result
  args numkeys:int key#0... [WEIGHTS=weight:int]... [AGGREGATE=aggregate<SUM | MIN | MAX>]
    [WITHSCORES]

zintercard -3 readonly movablekeys @sortedset 1#:RO,access
  Count what all sorted sets have in common, up to a limit.
  since 7.0.0, O(N*K) at worst, N = size of the smallest sorted set, K = sorted sets
  args numkeys:int key#0... [LIMIT=limit:int]

zinterstore -4 write denyoom movablekeys @sortedset 1:OW,update 2#:RO,access
  Store what all sorted sets have in common.
  since 2.0.0, O(N*K)+O(M*log(M)) at worst, N = size of the smallest sorted set, K = sorted sets,
    M = members of the result
  args destination#0 numkeys:int key#1... [WEIGHTS=weight:int]... [AGGREGATE=aggregate<SUM | MIN |
    MAX>]

zlexcount 4 readonly fast @sortedset 1:RO,access
  Count the members in a range of names.
  since 2.8.9, O(log(N)), N = members of the sorted set
  args key#0 min max

zmpop -4 write movablekeys @sortedset 1#:RW,access,delete
  Take members from the first sorted set that has any.
  since 7.0.0, O(K) + O(M*log(N)), K = keys, N = members, M = members taken
  args numkeys:int key#0... where<MIN | MAX> [COUNT=count:int]

zmscore -3 readonly fast @sortedset 1:RO,access
  Return the scores of several members.
  since 6.2.0, O(N), N = members asked about
  args key#0 member...

zpopmax -2 write fast @sortedset 1:RW,access,delete
  Take the members with the highest scores.
  since 5.0.0, O(log(N)*M), N = members, M = members taken
  args key#0 [count:int]

zpopmin -2 write fast @sortedset 1:RW,access,delete
  Take the members with the lowest scores.
  since 5.0.0, O(log(N)*M), N = members, M = members taken
  args key#0 [count:int]

zrandmember -2 readonly @sortedset 1:RO,access
  Return members picked at random.
  since 6.2.0, O(N), N = elements returned
  args key#0 [options{count:int [WITHSCORES]}]
  tips nondeterministic_output

zrange -4 readonly @sortedset 1:RO,access
  Return members in a range of ranks, scores or names.
  since 1.2.0, O(log(N)+M), N = members, M = members returned
  args key#0 start stop [sortby@6.2.0<BYSCORE | BYLEX>] [REV@6.2.0]
    [LIMIT=offset_count@6.2.0{offset:int count:int}] [WITHSCORES]
  6.2.0 `REV`, `BYSCORE`, `BYLEX` and `LIMIT`.

zrangebylex -4 readonly @sortedset 1:RO,access
  Return members in a range of names.
  since 2.8.9, O(log(N)+M), N = members, M = members returned
  args key#0 min max [LIMIT=offset_count{offset:int count:int}]
  gone 6.2.0 `ZRANGE`, `BYLEX`

zrangebyscore -4 readonly @sortedset 1:RO,access
  Return members in a range of scores.
  since 1.0.5, O(log(N)+M), N = members, M = members returned
  args key#0 min:double max:double [WITHSCORES@2.0.0] [LIMIT=offset_count{offset:int count:int}]
  gone 6.2.0 `ZRANGE`, `BYSCORE`
  2.0.0 `WITHSCORES`.

zrangestore -5 write denyoom @sortedset 1:OW,update 2:RO,access
  Store members in a range of ranks, scores or names.
  since 6.2.0, O(log(N)+M), N = members, M = members stored
  args dst#0 src#1 min max [sortby<BYSCORE | BYLEX>] [REV] [LIMIT=offset_count{offset:int
    count:int}]

zrank 3 readonly fast @sortedset 1:RO,access
  Return a member's rank, the lowest score first.
  since 2.0.0, O(log(N))
  args key#0 member

zrem -3 write fast @sortedset 1:RW,delete
  Remove members of a sorted set.
  since 1.2.0, O(M*log(N)), N = members, M = members to remove
  args key#0 member...
  2.4.0 Several members.

zremrangebylex 4 write @sortedset 1:RW,delete
  Remove the members in a range of names.
  since 2.8.9, O(log(N)+M), N = members, M = members removed
  args key#0 min max

zremrangebyrank 4 write @sortedset 1:RW,delete
  Remove the members in a range of ranks.
  since 2.0.0, O(log(N)+M), N = members, M = members removed
  args key#0 start:int stop:int

zremrangebyscore 4 write @sortedset 1:RW,delete
  Remove the members in a range of scores.
  since 1.2.0, O(log(N)+M), N = members, M = members removed
  args key#0 min:double max:double

zrevrange -4 readonly @sortedset 1:RO,access
  Return members in a range of ranks, the highest score first.
  since 1.2.0, O(log(N)+M), N = members, M = members returned
  args key#0 start:int stop:int [WITHSCORES]
  gone 6.2.0 `ZRANGE`, `REV`

zrevrangebylex -4 readonly @sortedset 1:RO,access
  Return members in a range of names, the last name first.
  since 2.8.9, O(log(N)+M), N = members, M = members returned
  args key#0 max min [LIMIT=offset_count{offset:int count:int}]
  gone 6.2.0 `ZRANGE`, `REV` and `BYLEX`

zrevrangebyscore -4 readonly @sortedset 1:RO,access
  Return members in a range of scores, the highest first.
  since 2.2.0, O(log(N)+M), N = members, M = members returned
  args key#0 max:double min:double [WITHSCORES] [LIMIT=offset_count{offset:int count:int}]
  gone 6.2.0 `ZRANGE`, `REV` and `BYSCORE`
  2.1.6 Open ends of ranges.

zrevrank 3 readonly fast @sortedset 1:RO,access
  Return a member's rank, the highest score first.
  since 2.0.0, O(log(N))
  args key#0 member

zscan -3 readonly @sortedset 1:RO,access
  Walk over a sorted set, a few members at a time.
  since 2.8.0, O(1) per call, O(N) for a full walk, N = elements
  args key#0 cursor:int [MATCH=pattern:pattern] [COUNT=count:int]
  tips nondeterministic_output

zscore 3 readonly fast @sortedset 1:RO,access
  Return the score of a member.
  since 1.2.0, O(1)
  args key#0 member

zunion -3 readonly movablekeys @sortedset 1#:RO,access
  Return the members of all sorted sets together.
  since 6.2.0, O(N)+O(M*log(M)), N = members of all sorted sets, M = members of the result
  args numkeys:int key#0... [WEIGHTS=weight:int]... [AGGREGATE=aggregate<SUM | MIN | MAX>]
    [WITHSCORES]

zunionstore -4 write denyoom movablekeys @sortedset 1:OW,update 2#:RO,access
  Store the members of all sorted sets together.
  since 2.0.0, O(N)+O(M*log(M)), N = members of all sorted sets, M = members of the result
  args destination#0 numkeys:int key#1... [WEIGHTS=weight:int]... [AGGREGATE=aggregate<SUM | MIN |
    MAX>]
""",
    ),
)
