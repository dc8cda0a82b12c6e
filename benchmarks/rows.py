"""What is measured: each row is two measurements in turn, the median of each, and their ratio.

In turn, because the machine changes under a long run: A B A B ... meets both with the same weather.
"""

from __future__ import annotations

import csv
import io
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from benchmarks import servers

SUITE = (
    *("ping_inline", "ping_mbulk", "set", "get", "incr", "lpush", "rpush", "lpop", "rpop"),
    *("sadd", "hset", "spop", "zadd", "zpopmin"),
    *("lrange_100", "lrange_300", "lrange_500", "lrange_600", "mset"),
)
QUICK = {"ping_mbulk", "set", "get", "incr", "lpush", "lrange_100"}
CORE = {"ping_inline", "ping_mbulk", "set", "get", "incr"}
PIPELINE_CORE = {"set", "get", "incr"}
MEMORY_KEYS = 1_000_000
START_CODE = """
import time
from redislab import SingleLab
with SingleLab(world={world!r}) as lab:  # what is imported once is not what is measured
    lab.client().ping()
begin = time.perf_counter()
with SingleLab(world={world!r}) as lab:
    lab.client().ping()
    print(time.perf_counter() - begin)
"""
SIM_CODE = """
import time
from redislab import SingleLab
async def load(client, count):
    await client.ping()
    begin = time.perf_counter()
    for i in range(count):
        await client.set("key", "value")
    return count / (time.perf_counter() - begin)
with SingleLab(world="sim") as lab:
    print(lab.run(load(lab.async_client(), {count})))
"""


@dataclass(frozen=True)
class Row:
    """A line of the table: a figure, or a ratio of two, against its floor or ceiling."""

    what: str
    measured: float | None
    bound: float
    sense: Literal["at least", "at most"]
    unit: str = "x"
    detail: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether it is; None where it could not be measured."""
        if self.measured is None:
            return None
        if self.sense == "at least":
            return self.measured >= self.bound
        return self.measured <= self.bound


@dataclass(frozen=True)
class Plan:
    """How much is measured: rounds a row, requests a round, and whether only the main tests."""

    rounds: int = 5
    requests: int = 100_000
    quick: bool = False

    @property
    def tests(self) -> list[str]:
        """The default tests that are run."""
        return [test for test in SUITE if not self.quick or test in QUICK]


def in_turn(
    plan: Plan, first: Callable[[], float], second: Callable[[], float]
) -> tuple[float, float]:
    """The medians of two measurements taken A B A B."""
    pairs = [(first(), second()) for _ in range(plan.rounds)]
    return median(a for a, _ in pairs), median(b for _, b in pairs)


def redis_benchmark(
    port: int, test: str, requests: int, pipeline: int = 1, options: tuple[str, ...] = ()
) -> float:
    """Requests a second that the real redis-benchmark counts, with further options."""
    argv = [servers.program("redis-benchmark"), "-p", str(port), "-t", test, "--csv", *options]
    return _rps([*argv, "-n", str(requests), "-P", str(pipeline)])


def our_benchmark(port: int, test: str, requests: int, pipeline: int = 1) -> float:
    """Requests a second that our generator counts."""
    argv = [sys.executable, "-m", "redislab", "benchmark", "-p", str(port), "-t", test, "--csv"]
    return _rps([*argv, "-n", str(requests), "-P", str(pipeline)])


def _rps(argv: list[str]) -> float:
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300)
    return float(list(csv.DictReader(io.StringIO(done.stdout)))[-1]["rps"])


def server_rows(plan: Plan, pipeline: int) -> Iterator[Row]:
    """Our server against the real one, under the real redis-benchmark."""
    requests = plan.requests * (4 if pipeline > 1 else 1)
    core, high, low = (PIPELINE_CORE, 0.5, 0.3) if pipeline > 1 else (CORE, 0.9, 0.7)
    with servers.ours() as (our_port, _), servers.real() as (real_port, _):
        for test in plan.tests:
            count = requests // 5 if test.startswith(("lrange", "mset")) else requests

            def ours(test: str = test, count: int = count) -> float:
                return redis_benchmark(our_port, test, count, pipeline)

            def real(test: str = test, count: int = count) -> float:
                return redis_benchmark(real_port, test, count, pipeline)

            mine, theirs = in_turn(plan, ours, real)
            what = f"server, {test}" + (f", -P {pipeline}" if pipeline > 1 else "")
            floor = high if test in core else low
            yield Row(what, mine / theirs, floor, "at least", detail=f"{mine:.0f} / {theirs:.0f}")


def pipelined_rows(plan: Plan) -> Iterator[Row]:
    """The same with -P 16."""
    return server_rows(plan, 16)


def plain_rows(plan: Plan) -> Iterator[Row]:
    """The same without a pipeline."""
    return server_rows(plan, 1)


def fakeredis_rows(plan: Plan) -> Iterator[Row]:
    """Our server against fakeredis' own, which gets fewer requests because it needs longer."""
    with servers.ours() as (our_port, _), servers.fake() as (fake_port, _):
        for test in ("set", "get"):

            def ours(test: str = test) -> float:
                return redis_benchmark(our_port, test, plan.requests)

            def fake(test: str = test) -> float:
                return redis_benchmark(fake_port, test, max(1000, plan.requests // 10))

            mine, theirs = in_turn(plan, ours, fake)
            detail = f"{mine:.0f} / {theirs:.0f}"
            yield Row(f"against fakeredis, {test}", mine / theirs, 6.0, "at least", detail=detail)


def generator_rows(plan: Plan) -> Iterator[Row]:
    """Our generator against redis-benchmark, on one real server."""
    with servers.real() as (port, _):
        for pipeline in (1, 16):
            for test in ("set", "get", "incr"):
                count = plan.requests * (10 if pipeline > 1 else 2)

                def ours(test: str = test, count: int = count, size: int = pipeline) -> float:
                    return our_benchmark(port, test, count, size)

                def real(test: str = test, count: int = count, size: int = pipeline) -> float:
                    return redis_benchmark(port, test, count, size)

                mine, theirs = in_turn(plan, ours, real)
                detail = f"{mine:.0f} / {theirs:.0f}"
                what = f"generator, {test}, -P {pipeline}"
                yield Row(what, mine / theirs, 0.9, "at least", detail=detail)


def sim_rows(plan: Plan) -> Iterator[Row]:
    """Commands a second of redis-py's asyncio client in simulated time."""
    code = SIM_CODE.format(count=max(2000, plan.requests // 5))
    rate = median(_printed(code) for _ in range(plan.rounds))
    yield Row("redis-py asyncio in sim", rate, 10_000.0, "at least", "commands/s")


def start_rows(plan: Plan) -> Iterator[Row]:
    """From the call of a lab to its first reply, in a process that has had one before."""
    for world, limit in (("live", 50.0), ("sim", 5.0)):
        code = START_CODE.format(world=world)
        ms = median(_printed(code) * 1000 for _ in range(plan.rounds))
        yield Row(f"start of a {world} node", ms, limit, "at most", "ms")


def memory_rows(plan: Plan) -> Iterator[Row]:
    """Resident memory that a million 10-byte keys add."""
    keys = MEMORY_KEYS // 10 if plan.quick else MEMORY_KEYS
    grown = []
    for make in (servers.ours, servers.real):
        with make() as (port, pid):
            before = _resident(pid)
            _fill(port, keys)
            grown.append(_resident(pid) - before)
    detail = f"{grown[0] / keys:.0f} / {grown[1] / keys:.0f} bytes a key"
    what = f"memory of {keys} 10-byte string keys"
    yield Row(what, grown[0] / grown[1], 3.0, "at most", detail=detail)


def _printed(code: str) -> float:
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120)
    return float(done.stdout.split()[-1])


def _resident(pid: int) -> int:
    """Resident memory of a process, in bytes, once it has settled."""
    time.sleep(0.5)
    statm = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
    return int(statm.split()[1]) * resource.getpagesize()


def _fill(port: int, keys: int) -> None:
    import redis

    with redis.Redis(port=port) as client:
        for begin in range(0, keys, 1000):
            pipe = client.pipeline(transaction=False)
            for number in range(begin, begin + 1000):
                pipe.set(f"k{number:09d}", f"v{number:09d}")
            pipe.execute()


ROWS: dict[str, Callable[[Plan], Iterator[Row]]] = {
    "server": plain_rows,
    "pipeline": pipelined_rows,
    "fakeredis": fakeredis_rows,
    "generator": generator_rows,
    "sim": sim_rows,
    "start": start_rows,
    "memory": memory_rows,
}
