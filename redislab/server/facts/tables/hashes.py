"""Facts of the commands for hashes.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "hash",
        """
hdel -3 write fast @hash 1:RW,delete
  Remove fields of a hash.
  since 2.0.0, O(N), N = fields to remove
  args key#0 field...
  2.4.0 Several fields.

hexists 3 readonly fast @hash 1:RO
  Tell whether a hash has a field.
  since 2.0.0, O(1)
  args key#0 field

hget 3 readonly fast @hash 1:RO,access
  Return one field's value.
  since 2.0.0, O(1)
  args key#0 field

hgetall 2 readonly @hash 1:RO,access
  Return all fields with their values.
  since 2.0.0, O(N), N = fields of the hash
  args key#0
  tips nondeterministic_output_order

hincrby 4 write denyoom fast @hash 1:RW,access,update
  Add an integer to a field.
  since 2.0.0, O(1)
  args key#0 field increment:int

hincrbyfloat 4 write denyoom fast @hash 1:RW,access,update
  Add a floating-point number to a field.
  since 2.6.0, O(1)
  args key#0 field increment:double

hkeys 2 readonly @hash 1:RO,access
  Return the names of all fields.
  since 2.0.0, O(N), N = fields of the hash
  args key#0
  tips nondeterministic_output_order

hlen 2 readonly fast @hash 1:RO
  Count the fields of a hash.
  since 2.0.0, O(1)
  args key#0

hmget -3 readonly fast @hash 1:RO,access
  Return the values of several fields.
  since 2.0.0, O(N), N = fields asked about
  args key#0 field...

hmset -4 write denyoom fast @hash 1:RW,update
  Set several fields (the older form).
  since 2.0.0, O(N), N = fields set
  args key#0 field_value{field value}...
  gone 4.0.0 `HSET` and several fields

hrandfield -2 readonly @hash 1:RO,access
  Return fields picked at random.
  since 6.2.0, O(N), N = fields returned
  args key#0 [options{count:int [WITHVALUES]}]
  tips nondeterministic_output

hscan -3 readonly @hash 1:RO,access
  Walk over a hash, a few fields at a time.
  since 2.8.0, O(1) per call, O(N) for a full walk, N = elements
  args key#0 cursor:int [MATCH=pattern:pattern] [COUNT=count:int]
  tips nondeterministic_output

hset -4 write denyoom fast @hash 1:RW,update
  Set fields of a hash.
  since 2.0.0, O(1) per field
  args key#0 field_value{field value}...
  4.0.0 Several fields.

hsetnx 4 write denyoom fast @hash 1:RW,insert
  Set a field unless it is there already.
  since 2.0.0, O(1)
  args key#0 field value

hstrlen 3 readonly fast @hash 1:RO
  Return the length of a field's value.
  since 3.2.0, O(1)
  args key#0 field

hvals 2 readonly @hash 1:RO,access
  Return all values of a hash.
  since 2.0.0, O(N), N = fields of the hash
  args key#0
  tips nondeterministic_output_order
""",
    ),
)
