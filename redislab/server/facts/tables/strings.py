"""Facts of the commands for strings, bitmaps and HyperLogLogs.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "string",
        """
append 3 write denyoom fast @string 1:RW,insert
  Add to the end of a string.
  since 2.0.0, O(1) amortized, as the free space doubles when a string grows
  args key#0 value

decr 2 write denyoom fast @string 1:RW,access,update
  Subtract one.
  since 1.0.0, O(1)
  args key#0

decrby 3 write denyoom fast @string 1:RW,access,update
  Subtract an integer.
  since 1.0.0, O(1)
  args key#0 decrement:int

get 2 readonly fast @string 1:RO,access
  Return the string at a key.
  since 1.0.0, O(1)
  args key#0

getdel 2 write fast @string 1:RW,access,delete
  Return the string at a key and remove the key.
  since 6.2.0, O(1)
  args key#0

getex -2 write fast @string 1:RW,access,update
  Return the string at a key and change its expiry.
  since 6.2.0, O(1)
  args key#0 [expiration<EX=seconds:int | PX=milliseconds:int | EXAT=unix-time-seconds:unix-time |
    PXAT=unix-time-milliseconds:unix-time | PERSIST>]
  note 0 The expiry changes, hence RW, update.

getrange 4 readonly @string 1:RO,access
  Return part of a string.
  since 2.4.0, O(N), N = length of the reply; near O(1) when it is short
  args key#0 start:int end:int

getset 3 write denyoom fast @string 1:RW,access,update
  Set a string and return the one before it.
  since 1.0.0, O(1)
  args key#0 value
  gone 6.2.0 `SET` and its `GET`

incr 2 write denyoom fast @string 1:RW,access,update
  Add one.
  since 1.0.0, O(1)
  args key#0

incrby 3 write denyoom fast @string 1:RW,access,update
  Add an integer.
  since 1.0.0, O(1)
  args key#0 increment:int

incrbyfloat 3 write denyoom fast @string 1:RW,access,update
  Add a floating-point number.
  since 2.6.0, O(1)
  args key#0 increment:double

lcs -3 readonly @string 1..1:RO,access
  Find the longest common subsequence of two strings.
  since 7.0.0, O(N*M), N and M = the two lengths
  args key1#0 key2#0 [LEN] [IDX] [MINMATCHLEN=len:int] [WITHMATCHLEN]

mget -2 readonly fast @string 1..-1:RO,access
  Return the strings at several keys.
  since 1.0.0, O(N), N = keys read
  args key#0...
  tips request_policy:multi_shard

mset -3 write denyoom @string 1..-1/2:OW,update
  Set several keys at once.
  since 1.0.1, O(N), N = keys to set
  args key_value{key#0 value}...
  tips request_policy:multi_shard response_policy:all_succeeded

msetnx -3 write denyoom @string 1..-1/2:OW,insert
  Set several keys at once if none of them exists.
  since 1.0.1, O(N), N = keys to set
  args key_value{key#0 value}...
  tips request_policy:multi_shard response_policy:agg_min

psetex 4 write denyoom @string 1:OW,update
  Set a string that expires after some milliseconds.
  since 2.6.0, O(1)
  args key#0 milliseconds:int value

set -3 write denyoom @string 1:RW,access,update,variable_flags
  Set a string, whatever the key held before.
  since 1.0.0, O(1)
  args key#0 value [condition@2.6.12<NX | XX>] [GET@6.2.0] [expiration<EX=seconds:int@2.6.12 |
    PX=milliseconds:int@2.6.12 | EXAT=unix-time-seconds:unix-time@6.2.0 |
    PXAT=unix-time-milliseconds:unix-time@6.2.0 | KEEPTTL@6.0.0>]
  note 0 RW, access, as GET may be given.
  2.6.12 `EX`, `PX`, `NX` and `XX`.
  6.0.0 `KEEPTTL`.
  6.2.0 `GET`, `EXAT` and `PXAT`.
  7.0.0 `NX` together with `GET`.

setex 4 write denyoom @string 1:OW,update
  Set a string that expires after some seconds.
  since 2.0.0, O(1)
  args key#0 seconds:int value

setnx 3 write denyoom fast @string 1:OW,insert
  Set a string unless the key exists.
  since 1.0.0, O(1)
  args key#0 value

setrange 4 write denyoom @string 1:RW,update
  Overwrite part of a string.
  since 2.2.0, O(1) for short values, else O(M), M = length of the value
  args key#0 offset:int value

strlen 2 readonly fast @string 1:RO
  Return the length of a string.
  since 2.2.0, O(1)
  args key#0

substr 4 readonly @string 1:RO,access
  Return part of a string (the older name).
  since 1.0.0, O(N), N = length of the reply; near O(1) when it is short
  args key#0 start:int end:int
  gone 2.0.0 `GETRANGE`
""",
    ),
    (
        "bitmap",
        """
bitcount -2 readonly @bitmap 1:RO,access
  Count the one bits of a string, or of a range of it.
  since 2.6.0, O(N)
  args key#0 [index{start:int end:int [index_unit@7.0.0<BYTE | BIT>]}]
  7.0.0 `BYTE` and `BIT`.

bitfield -2 write denyoom @bitmap 1:RW,access,update,variable_flags
  Read and write integers of any width at any bit offset.
  since 3.2.0, O(1) per operation
  args key#0 [operation<GET=encoding_offset{encoding offset:int} |
    write{[OVERFLOW=wrap_sat_fail<WRAP | SAT | FAIL>]
    write_operation<SET=encoding_offset_value{encoding offset:int value:int} |
    INCRBY=encoding_offset_increment{encoding offset:int increment:int}>}>]...
  note 0 Reads as well as writes.

bitfield_ro -2 readonly fast @bitmap 1:RO,access
  Read integers of any width at any bit offset.
  since 6.0.0, O(1) per operation
  args key#0 [GET=encoding_offset{encoding offset:int}]...+

bitop -4 write denyoom @bitmap 2:OW,update 3..-1:RO,access
  Combine strings bit by bit and store the result.
  since 2.6.0, O(N)
  args operation destkey#0 key#1...

bitpos -3 readonly @bitmap 1:RO,access
  Find the first bit with a given value.
  since 2.8.7, O(N)
  args key#0 bit:int [index{start:int [end_index{end:int [index_unit@7.0.0<BYTE | BIT>]}]}]
  7.0.0 `BYTE` and `BIT`.

getbit 3 readonly fast @bitmap 1:RO,access
  Read one bit.
  since 2.2.0, O(1)
  args key#0 offset:int

setbit 4 write denyoom @bitmap 1:RW,access,update
  Write one bit and return what it was.
  since 2.2.0, O(1)
  args key#0 offset:int value:int
""",
    ),
    (
        "hyperloglog",
        """
pfadd -2 write denyoom fast @hyperloglog 1:RW,insert
  Count elements in a HyperLogLog.
  since 2.8.9, O(1) per element
  args key#0 [element]...

pfcount -2 readonly @hyperloglog 1..-1:RW,access
  Estimate how many distinct elements were added.
  since 2.8.9, O(1) for one key, O(N) with a high constant for N keys
  args key#0...
  note 0 RW, as the cached estimate may be stored.

pfdebug 3 write denyoom admin @hyperloglog 2:RW,access
  Look inside a HyperLogLog.
  since 2.8.9, N/A
  args subcommand key#0
  system

pfmerge -2 write denyoom @hyperloglog 1:RW,access,insert 2..-1:RO,access
  Unite HyperLogLogs into one.
  since 2.8.9, O(N), N = HyperLogLogs, with a high constant
  args destkey#0 sourcekey#1...

pfselftest 1 admin @hyperloglog
  Test the HyperLogLog code itself.
  since 2.8.9, N/A
  system
""",
    ),
)
