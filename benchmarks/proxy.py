"""The proxy: ours against nutcracker, in front of the same three real servers.

Requests a second are what the real redis-benchmark counts with 50 clients. Latency is that of one
client that waits for each reply: what a proxy adds is what its 99th percentile is above that of a
server without one.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.rows import Plan, Row, redis_benchmark
from benchmarks.servers import HOST, MissingError, program, real
from redislab.worlds.ports import free_port

SERVERS = 3
KEYSPACE = 100_000
PIPELINE = 16
START_TIMEOUT_S = 20.0
PINGS = 20_000
UNCOUNTED = 1000
CONFIG = """\
alpha:
  listen: {host}:{port}
  hash: fnv1a_64
  distribution: ketama
  redis: true
  timeout: 5000
  servers:
"""


@dataclass(frozen=True)
class Street:
    """What is measured side by side.

    Attributes:
        ours, theirs: the ports of the proxies.
        server: the port of one of the servers.
    """

    ours: int
    theirs: int
    server: int


def proxy_rows(plan: Plan) -> Iterator[Row]:
    """Requests a second without and with a pipeline, and the latency that is added."""
    with _street() as street:
        for pipeline, floor in ((1, 0.8), (PIPELINE, 0.4)):
            for test in ("set", "get"):
                yield throughput_row(plan, street, test, pipeline, floor)
        yield latency_row(plan, street)


def throughput_row(plan: Plan, street: Street, test: str, pipeline: int, floor: float) -> Row:
    count = plan.requests * (4 if pipeline > 1 else 1)

    def measure(port: int) -> float:
        return redis_benchmark(port, test, count, pipeline, ("-c", "50", "-r", str(KEYSPACE)))

    pairs = [(measure(street.ours), measure(street.theirs)) for _ in range(plan.rounds)]
    mine, theirs = (median(side) for side in zip(*pairs, strict=True))
    what = f"proxy, {test}" + (f", -P {pipeline}" if pipeline > 1 else "")
    return Row(what, mine / theirs, floor, "at least", detail=f"{mine:.0f} / {theirs:.0f}")


def latency_row(plan: Plan, street: Street) -> Row:
    """What is added at the 99th percentile: in turn, because the machine changes."""
    rounds = [
        [_p99_us(port) for port in (street.server, street.ours, street.theirs)]
        for _ in range(2 * plan.rounds)
    ]
    direct, mine, theirs = (median(side) for side in zip(*rounds, strict=True))
    detail = f"p99 {mine:.0f} / {theirs:.0f} us, without a proxy {direct:.0f}"
    added = (mine - direct) / max(theirs - direct, 1.0)
    return Row("proxy, latency added at p99, one client", added, 1.5, "at most", detail=detail)


def _p99_us(port: int) -> float:
    requests = [b"*2\r\n$3\r\nGET\r\n$8\r\nkey:%04d\r\n" % (n % 1000) for n in range(PINGS)]
    taken = []
    with socket.create_connection((HOST, port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            began = time.perf_counter_ns()
            client.sendall(request)
            client.recv(4096)
            taken.append(time.perf_counter_ns() - began)
    counted = sorted(taken[UNCOUNTED:])
    return counted[len(counted) * 99 // 100] / 1000


@contextlib.contextmanager
def _street() -> Iterator[Street]:
    """Three real servers, and both proxies in front of them."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(real())[0] for _ in range(SERVERS)]
        ours = (sys.executable, "-m", "redislab", "proxy")
        ports = [
            stack.enter_context(_proxy(argv, servers)) for argv in (ours, (program("nutcracker"),))
        ]
        yield Street(*ports, servers[0])


@contextlib.contextmanager
def _proxy(argv: tuple[str, ...], servers: list[int]) -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="redislab-bench-") as folder:
        port = free_port()
        lines = "".join(f"   - {HOST}:{server}:1\n" for server in servers)
        file = Path(folder) / "nutcracker.yml"
        file.write_text(CONFIG.format(host=HOST, port=port) + lines)
        words = ["-c", str(file), "-o", f"{folder}/log", "-p", f"{folder}/pid", "-a", HOST]
        process = subprocess.Popen([*argv, *words, "-s", str(free_port())])
        try:
            _await_port(process, port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 0.2):
            return
        time.sleep(0.02)
    raise MissingError(f"{process.args!r} did not start")
