"""A data set with everything in it, made by commands; and what can be asked of it."""

from __future__ import annotations

import re

from tests.servers import Wire

LIBRARY = (
    "#!lua name=mylib\nredis.register_function('answer', function(keys, args) return 42 end)\n"
)


def fill(wire: Wire) -> None:
    """Every type in every encoding, several databases, expiry, scripts, transactions."""

    def call(*words: object) -> None:
        encoded = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        reply = wire.call(*encoded)
        assert reply.kind not in "-!", (words[:3], reply.text)

    call("SET", "text", "hello")
    call("SET", "number", "12345")
    call("SET", "negative", "-7000000000")
    call("SET", "long", "compressible " * 50)
    call("SET", "binary", bytes(range(256)))
    call("SET", "empty", "")
    call("APPEND", "appended", "ab")
    call("APPEND", "appended", "cd")
    call("SETRANGE", "ranged", 5, "x")
    call("INCRBYFLOAT", "float", "3.25")
    call("SETBIT", "bits", 1000, 1)
    call("PFADD", "hll", *range(100))
    call("RPUSH", "list", *range(20), "word", "x" * 100)
    call("RPUSH", "longlist", *(f"element {n}" for n in range(700)))
    call("LPOP", "longlist", 3)
    call("SADD", "intset", 1, 2, 300, 70000, 5000000000)
    call("SADD", "set", *(f"member {n}" for n in range(600)))
    call("HSET", "hash", "field", "value", "number", 17, "empty", "")
    call("HSET", "longhash", *(w for n in range(600) for w in (f"f{n}", f"v{n}")))
    call("HINCRBYFLOAT", "hash", "float", "1.5")
    call("ZADD", "zset", 1, "one", 2.5, "two", "-inf", "low", "inf", "high", 3, "")
    call("ZADD", "longzset", *(w for n in range(300) for w in (n / 7, f"m{n}")))
    call("ZINCRBY", "zset", 0.1, "one")
    call("GEOADD", "geo", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")
    for n in range(1, 251):
        call("XADD", "stream", f"{n}-1", "field", f"value {n}", *(("more", n) if n % 3 else ()))
    call("XDEL", "stream", "7-1", "250-1")
    call("XGROUP", "CREATE", "stream", "group", "0")
    call("XREADGROUP", "GROUP", "group", "alice", "COUNT", 10, "STREAMS", "stream", ">")
    call("XREADGROUP", "GROUP", "group", "bob", "COUNT", 5, "STREAMS", "stream", ">")
    call("XACK", "stream", "group", "1-1", "2-1")
    call("XGROUP", "CREATECONSUMER", "stream", "group", "idle")
    call("XGROUP", "CREATE", "stream", "second", "$")
    call("XCLAIM", "stream", "group", "carol", 0, "12-1", "13-1", "TIME", 1000, "RETRYCOUNT", 3)
    call("XADD", "emptystream", "5-5", "a", "b")
    call("XDEL", "emptystream", "5-5")
    call("SELECT", 3)
    call("SET", "other", "database")
    call("SELECT", 0)
    call("SET", "expiring", "value", "PX", 100_000_000)
    call("SET", "expiring at", "value", "EXAT", 4_000_000_000)
    call("RPUSH", "expiring list", "a")
    call("EXPIRE", "expiring list", 100_000)
    call("EVAL", "redis.call('SET', KEYS[1], 'by script'); redis.call('INCR', 'n')", 1, "script")
    call("MULTI")
    call("SET", "in", "transaction")
    call("SELECT", 5)
    call("SET", "in", "transaction")
    call("SELECT", 0)
    call("SADD", "popped", "a")
    call("SPOP", "popped")
    call("EXEC")
    call("FUNCTION", "LOAD", LIBRARY)
    call("RENAME", "text", "renamed")
    call("COPY", "hash", "copied")
    call("MOVE", "number", 9)
    call("SORT", "intset", "STORE", "sorted")


_IDLE = re.compile(r"b'carol', items=None\), Reply\(kind=':', text=b'\d+'")
_RADIX = re.compile(r"b'radix-tree-(?:keys|nodes)', items=None\), Reply\(kind=':', text=b'\d+'")


def looks(wire: Wire) -> list[str]:
    """What digests do not tell: encodings, expiry, groups, functions.

    Without what differs from one moment, or one implementation, to the next.
    """

    def call(*words: object) -> str:
        encoded = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        return _RADIX.sub("", _IDLE.sub("", repr(wire.call(*encoded))))

    keys = ("number", "list", "intset", "set", "hash", "longhash", "zset", "longzset", "stream")
    return [
        *(call("OBJECT", "ENCODING", key) for key in keys),
        *(call("PEXPIRETIME", key) for key in ("expiring at", "list")),
        call("XINFO", "STREAM", "stream"),
        call("XINFO", "GROUPS", "stream"),
        call("XPENDING", "stream", "group"),
        *(call("XPENDING", "stream", "group", "-", "+", 20, who) for who in ("carol", "idle")),
        call("FUNCTION", "LIST"),
        call("FCALL", "answer", 0),
        call("DBSIZE"),
    ]
