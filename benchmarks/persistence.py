"""What persistence costs: writing the append-only file, and the longest stall of a save.

A stall is seen from outside. A client in a process of its own sends PING after PING and notes how
long each took; what it waits for is whatever else the server's loop does in one go.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import Self

import redis

from benchmarks import servers
from benchmarks.rows import Plan, Row, in_turn, redis_benchmark

KEYS = 500_000
EVERYSEC = ("--appendonly", "yes", "--appendfsync", "everysec")
NO_REWRITE = ("--auto-aof-rewrite-percentage", "0")
STALL_MS = 20.0
# Sends PING after PING until its standard input is closed; prints the longest, in milliseconds.
PROBE_CODE = """
import select, socket, sys, time
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
longest = 0.0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.0003)[0]:
    began = time.perf_counter()
    connection.sendall(b"PING\\r\\n")
    connection.recv(64)
    longest = max(longest, time.perf_counter() - began)
print(longest * 1000)
"""


def persistence_rows(plan: Plan) -> Iterator[Row]:
    """SET with `appendfsync everysec` against none, and the stalls of BGSAVE and BGREWRITEAOF."""
    yield everysec_row(plan)
    yield from stall_rows(plan)


def everysec_row(plan: Plan) -> Row:
    requests = 2 * plan.requests
    with ExitStack() as stack:
        folders = [stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(2)]
        plain, _ = stack.enter_context(servers.ours())
        logged, _ = stack.enter_context(servers.ours("--dir", folders[0], *EVERYSEC, *NO_REWRITE))
        real_plain, _ = stack.enter_context(servers.real())
        real_logged, _ = stack.enter_context(
            servers.real("--dir", folders[1], *EVERYSEC, *NO_REWRITE)
        )
        mine = in_turn(
            plan,
            lambda: redis_benchmark(logged, "set", requests),
            lambda: redis_benchmark(plain, "set", requests),
        )
        theirs = in_turn(
            plan,
            lambda: redis_benchmark(real_logged, "set", requests),
            lambda: redis_benchmark(real_plain, "set", requests),
        )
    detail = f"{mine[0]:.0f} / {mine[1]:.0f}; of real Redis {theirs[0] / theirs[1]:.2f}"
    return Row("set, AOF everysec / none", mine[0] / mine[1], 0.85, "at least", detail=detail)


def stall_rows(plan: Plan) -> Iterator[Row]:
    keys = KEYS // 5 if plan.quick else KEYS
    rounds = 1 if plan.quick else plan.rounds
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        port, _ = stack.enter_context(servers.ours("--dir", folder, *EVERYSEC, *NO_REWRITE))
        client = stack.enter_context(redis.Redis(port=port, socket_timeout=120))
        fill(client, keys)
        time.sleep(2)
        with Probe(port) as probe:
            time.sleep(2)
        idle = probe.longest_ms
        for command, field in (
            ("BGSAVE", "rdb_bgsave_in_progress"),
            ("BGREWRITEAOF", "aof_rewrite_in_progress"),
        ):
            measured = [stall(client, port, command, field) for _ in range(rounds)]
            stalls = [longest for longest, _ in measured]
            took = median(seconds for _, seconds in measured)
            yield Row(
                f"longest PING during {command}, {keys} keys",
                median(stalls),
                STALL_MS,
                "at most",
                "ms",
                f"{', '.join(f'{each:.1f}' for each in stalls)}; idle {idle:.1f}; {took:.1f} s",
            )


def fill(client: redis.Redis, keys: int) -> None:
    """Keys of every kind, most of them small."""
    pipe = client.pipeline(transaction=False)
    for number in range(keys):
        key = f"key:{number}"
        match number % 10:
            case 0:
                pipe.rpush(key, "one", "two", "three")
            case 1:
                pipe.hset(key, mapping={"field": "value", "number": number})
            case 2:
                pipe.sadd(key, "one", "two", number)
            case 3:
                pipe.zadd(key, {"one": 1, "two": 2})
            case _:
                pipe.set(key, f"value:{number}")
        if number % 5000 == 4999:
            pipe.execute()
    pipe.execute()


def stall(client: redis.Redis, port: int, command: str, field: str) -> tuple[float, float]:
    """The longest PING in milliseconds while a save goes on, and its duration in seconds."""
    with Probe(port) as probe:
        began = time.perf_counter()
        client.execute_command(command)
        while client.info("persistence")[field]:
            time.sleep(0.05)
        took = time.perf_counter() - began
    return probe.longest_ms, took


class Probe:
    """Sends PING after PING, in a process of its own, while the block lasts."""

    def __init__(self, port: int) -> None:
        self.longest_ms = 0.0
        self._argv = [sys.executable, "-c", PROBE_CODE, str(port)]

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._argv, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        self.longest_ms = float(self._process.communicate("done")[0])
