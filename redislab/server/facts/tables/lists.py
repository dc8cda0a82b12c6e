"""Facts of the commands for lists.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "list",
        """
blmove 6 write denyoom noscript blocking @list 1:RW,access,delete 2:RW,insert
  Move an element between lists, waiting for one if need be.
  since 6.2.0, O(1)
  args source#0 destination#1 wherefrom<LEFT | RIGHT> whereto<LEFT | RIGHT> timeout:double

blmpop -5 write blocking movablekeys @list 2#:RW,access,delete
  Take elements from the first list that has any, waiting if need be.
  since 7.0.0, O(N+M), N = keys, M = elements taken
  args timeout:double numkeys:int key#0... where<LEFT | RIGHT> [COUNT=count:int]

blpop -3 write noscript blocking @list 1..-2:RW,access,delete
  Take the first element of a list, waiting for one if need be.
  since 2.0.0, O(N), N = keys given
  args key#0... timeout:double
  6.0.0 A timeout may have a fraction.

brpop -3 write noscript blocking @list 1..-2:RW,access,delete
  Take the last element of a list, waiting for one if need be.
  since 2.0.0, O(N), N = keys given
  args key#0... timeout:double
  6.0.0 A timeout may have a fraction.

brpoplpush 4 write denyoom noscript blocking @list 1:RW,access,delete 2:RW,insert
  Move a last element to another list's head, waiting if need be.
  since 2.2.0, O(1)
  args source#0 destination#1 timeout:double
  gone 6.2.0 `BLMOVE` from `RIGHT` to `LEFT`
  6.0.0 A timeout may have a fraction.

lindex 3 readonly @list 1:RO,access
  Return the element at an index.
  since 1.0.0, O(N), N = elements passed on the way; O(1) for both ends
  args key#0 index:int

linsert 5 write denyoom @list 1:RW,insert
  Insert an element before or after another one.
  since 2.2.0, O(N), N = elements before the pivot; O(1) near the head
  args key#0 where<BEFORE | AFTER> pivot element

llen 2 readonly fast @list 1:RO
  Return the length of a list.
  since 1.0.0, O(1)
  args key#0

lmove 5 write denyoom @list 1:RW,access,delete 2:RW,insert
  Move an element from one end of a list to an end of another.
  since 6.2.0, O(1)
  args source#0 destination#1 wherefrom<LEFT | RIGHT> whereto<LEFT | RIGHT>

lmpop -4 write movablekeys @list 1#:RW,access,delete
  Take elements from the first list that has any.
  since 7.0.0, O(N+M), N = keys, M = elements taken
  args numkeys:int key#0... where<LEFT | RIGHT> [COUNT=count:int]

lpop -2 write fast @list 1:RW,access,delete
  Take elements from the head of a list.
  since 1.0.0, O(N), N = elements returned
  args key#0 [count:int@6.2.0]
  6.2.0 A count.

lpos -3 readonly @list 1:RO,access
  Find where an element stands in a list.
  since 6.0.6, O(N), N = elements on average; less near an end or with MAXLEN
  args key#0 element [RANK=rank:int] [COUNT=num-matches:int] [MAXLEN=len:int]

lpush -3 write denyoom fast @list 1:RW,insert
  Put elements at the head of a list.
  since 1.0.0, O(1) per element
  args key#0 element...
  2.4.0 Several elements.

lpushx -3 write denyoom fast @list 1:RW,insert
  Put elements at the head of a list that exists.
  since 2.2.0, O(1) per element
  args key#0 element...
  4.0.0 Several elements.

lrange 4 readonly @list 1:RO,access
  Return the elements between two indexes.
  since 1.0.0, O(S+N), S = distance of the start from an end, N = elements returned
  args key#0 start:int stop:int

lrem 4 write @list 1:RW,delete
  Remove elements that equal a value.
  since 1.0.0, O(N+M), N = length of the list, M = elements removed
  args key#0 count:int element

lset 4 write denyoom @list 1:RW,update
  Replace the element at an index.
  since 1.0.0, O(N), N = length of the list; O(1) for both ends
  args key#0 index:int element

ltrim 4 write @list 1:RW,delete
  Keep only the elements between two indexes.
  since 1.0.0, O(N), N = elements removed
  args key#0 start:int stop:int

rpop -2 write fast @list 1:RW,access,delete
  Take elements from the tail of a list.
  since 1.0.0, O(N), N = elements returned
  args key#0 [count:int@6.2.0]
  6.2.0 A count.

rpoplpush 3 write denyoom @list 1:RW,access,delete 2:RW,insert
  Move a list's last element to another list's head.
  since 1.2.0, O(1)
  args source#0 destination#1
  gone 6.2.0 `LMOVE` from `RIGHT` to `LEFT`

rpush -3 write denyoom fast @list 1:RW,insert
  Put elements at the tail of a list.
  since 1.0.0, O(1) per element
  args key#0 element...
  2.4.0 Several elements.

rpushx -3 write denyoom fast @list 1:RW,insert
  Put elements at the tail of a list that exists.
  since 2.2.0, O(1) per element
  args key#0 element...
  4.0.0 Several elements.
""",
    ),
)
