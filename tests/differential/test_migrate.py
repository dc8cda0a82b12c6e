"""MIGRATE between ours and real ones, in every order: the same answers, and the same keys after."""

from __future__ import annotations

import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import Address, Wire, free_port, our_server, real_server

KINDS = {"ours": our_server, "real": real_server}
KEYS = {
    b"string": (b"SET", b"string", b"\x00binary\r\n"),
    b"number": (b"SET", b"number", b"12345"),
    b"list": (b"RPUSH", b"list", b"1", b"two", b"x" * 5000),
    b"set": (b"SADD", b"set", b"1", b"2", b"300"),
    b"words": (b"SADD", b"words", b"a", b"b"),
    b"hash": (b"HSET", b"hash", b"f", b"v", b"g", b"w" * 100),
    b"zset": (b"ZADD", b"zset", b"1.5", b"a", b"-inf", b"b"),
    b"stream": (b"XADD", b"stream", b"5-1", b"f", b"v"),
}
SCRIPT = b"""
redis.call('SET', 'z', 1)
local said = redis.call('MIGRATE', '127.0.0.1', ARGV[1], 'l', 0, 1000)
local refused = redis.pcall('MIGRATE', '127.0.0.1', ARGV[1], 'z', 99, 1000)
return {said, redis.call('EXISTS', 'l'), refused}
"""


@pytest.fixture(scope="module")
def servers():
    """Three servers of each kind: a source, a target, and a target with a password."""
    with ExitStack() as stack:
        yield {
            (kind, role): stack.enter_context(start(*options))
            for kind, start in KINDS.items()
            for role, options in (
                ("source", ()),
                ("target", ()),
                ("locked", ("--requirepass", "pw")),
            )
        }


@pytest.fixture(scope="module")
def expected(servers):
    return migrated(*(servers["real", role] for role in ("source", "target", "locked")))


def migrated(source: Address, target: Address, other: Address) -> list[object]:
    """What a script of migrations answers, and what is where after it."""
    said: list[object] = []

    def call(wire: Wire, *words: bytes) -> None:
        reply = wire.call(*words)
        said.append((words[0], reply))

    def move(*words: bytes, to: Address = target) -> None:
        call(at, b"MIGRATE", b"127.0.0.1", b"%d" % to.port, *words)

    with Wire(source) as at, Wire(target) as there, Wire(other) as locked:
        locked.call(b"AUTH", b"pw")
        for wire in (at, there, locked):
            wire.call(b"FLUSHALL")
        for words in KEYS.values():
            at.call(*words)
        at.call(b"PEXPIRE", b"number", b"1000000")
        at.call(b"XGROUP", b"CREATE", b"stream", b"g", b"0")
        at.call(b"XREADGROUP", b"GROUP", b"g", b"c", b"STREAMS", b"stream", b">")
        move(b"absent", b"0", b"1000")
        move(b"string", b"3", b"1000")
        move(b"", b"0", b"1000", b"COPY", b"KEYS", b"list", b"absent", b"set")
        move(b"list", b"0", b"1000")
        move(b"list", b"0", b"1000", b"REPLACE")
        move(b"", b"0", b"1000", b"KEYS", b"set", b"hash")
        move(b"", b"0", b"1000", b"REPLACE", b"KEYS", *KEYS)
        move(b"words", b"99", b"1000")
        there.call(b"SELECT", b"0")
        for key in KEYS:
            call(there, b"TYPE", key)
            call(at, b"EXISTS", key)
            call(there, b"OBJECT", b"ENCODING", key)
        call(there, b"DEBUG", b"DIGEST")
        call(there, b"XPENDING", b"stream", b"g")
        said.append(0 < int(there.call(b"PTTL", b"number").text) <= 1000000)
        at.call(b"SET", b"k", b"v")
        move(b"k", b"0", b"1000", to=other)
        move(b"k", b"0", b"1000", b"AUTH", b"wrong", to=other)
        move(b"k", b"0", b"1000", b"AUTH", b"pw", to=other)
        call(locked, b"GET", b"k")
        at.call(b"SET", b"k", b"w")
        move(b"k", b"0", b"1000", b"REPLACE", b"AUTH2", b"default", b"pw", to=other)
        call(locked, b"GET", b"k")
        call(at, b"MIGRATE", b"127.0.0.1", b"%d" % free_port(), b"words", b"0", b"500")
        at.call(b"SET", b"k", b"w")
        call(at, b"MIGRATE", b"127.0.0.1", b"%d" % free_port(), b"k", b"0", b"500")
        call(at, b"GET", b"k")
        for wrong in (
            (b"k", b"0", b"1000", b"NONSENSE"),
            (b"k", b"0", b"1000", b"KEYS", b"k"),
            (b"k", b"x", b"1000"),
            (b"k", b"0", b"x"),
            (b"k", b"0", b"1000", b"AUTH"),
            (b"k", b"0"),
        ):
            move(*wrong)
    return said


@pytest.mark.redis
@pytest.mark.parametrize("order", ["ours-real", "real-ours", "ours-ours"])
def test_same_as_between_real_ones(servers, expected, order):
    source, target = order.split("-")
    said = migrated(servers[source, "source"], servers[target, "target"], servers[target, "locked"])
    assert said == expected


def test_nobody_is_served_while_keys_move(servers):
    """As in Redis, a node that waits for the target runs nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = b"%d" % silent.getsockname()[1]
        for kind in KINDS:
            with Wire(servers[kind, "source"]) as moving, Wire(servers[kind, "source"]) as other:
                moving.call(b"SET", b"k", b"v")
                moving.send(b"MIGRATE", b"127.0.0.1", port, b"k", b"0", b"400")
                time.sleep(0.1)
                began = time.monotonic()
                assert other.call(b"PING").text == b"PONG"
                assert time.monotonic() - began > 0.1, kind
                reply = moving.read()
                assert reply.text == b"IOERR error or timeout reading to target instance", kind
                assert other.call(b"GET", b"k").text == b"v"


def with_one_connection(source: Address, target: Address) -> list[object]:
    """What is said, and how many connections the target has had: most migrations share one."""
    said: list[object] = []
    port = b"%d" % target.port
    with Wire(source) as at, Wire(target) as there:

        def move(key: bytes, database: bytes, *more: bytes, to: bytes = port) -> None:
            at.call(b"SET", key, b"v")
            said.append(at.call(b"MIGRATE", b"127.0.0.1", to, key, database, b"1000", *more))

        def connections() -> None:
            stats = (there.call(b"INFO", b"stats").text or b"").split()
            said.append(next(line for line in stats if line.startswith(b"total_connections")))

        connections()
        for database in (b"0", b"0", b"1", b"1", b"0"):
            move(b"k", database, b"REPLACE")
        connections()
        there.call(b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes")
        move(b"k", b"0", b"REPLACE")  # finds the connection broken, and makes another one
        connections()
        move(b"k", b"99", b"REPLACE")
        move(b"k", b"0", b"REPLACE", b"AUTH", b"x")
        move(b"k", b"0", b"REPLACE")
        for wrong in (b"abc", b"0", b"-1"):
            move(b"k", b"0", to=wrong)
        connections()
        at.call(b"SET", b"l", b"w")
        words = (b"MIGRATE", b"127.0.0.1", port)
        for call in (
            (b"MULTI",),
            (b"INCR", b"n"),
            (*words, b"k", b"0", b"1000", b"REPLACE"),
            (*words, b"absent", b"0", b"1000"),
            (b"EXISTS", b"k"),
            (b"EXEC",),
            (
                b"EVAL",
                SCRIPT,
                b"0",
                port,
            ),
            (b"MGET", b"k", b"l", b"z", b"n"),
        ):
            reply = at.call(*call)
            said.append(reply)
        said.append(there.call(b"MGET", b"k", b"l", b"z"))
        connections()
    return said


@pytest.mark.redis
def test_connections_are_kept_and_transactions_wait():
    """Also: the append-only file has the deletions, among the other writes of a transaction."""
    found, files = {}, {}
    for kind, start in KINDS.items():
        with (
            tempfile.TemporaryDirectory(prefix="redislab-test-") as folder,
            real_server() as target,
        ):
            with start("--dir", folder, "--appendonly", "yes") as source:
                found[kind] = with_one_connection(source, target)
            (file,) = Path(folder).glob("appendonlydir/*.incr.aof")
            files[kind] = file.read_bytes()
    assert found["ours"] == found["real"]
    assert files["ours"] == files["real"]
