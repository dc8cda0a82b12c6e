"""RDB files: how fast ours are read into an engine, beside rdbtools, and what a snapshot costs.

rdbtools is a reader in pure Python; its fork `rdbtools-tikon93` (extra `bench`) reads what Redis
7.0 writes. It is measured twice. Once in its own way of bringing a file into a server, which is
`rdb --command protocol`, with the commands thrown away; and once as a bare parser whose callbacks
put what they are told into dictionaries, lists and sets, the least that is needed to have the data.
Neither verifies the checksum, and ours does.

Much of the time goes into LZF. Ours is measured with the extra `fast`, which decompresses it in C,
and rdbtools as it comes, which is in Python. It would use the same C if it finds it; two more rows
tell how both compare with it, and how without. Files are read as a node's disk reads them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median

from benchmarks import servers
from benchmarks.rows import Plan, Row, in_turn

FILE_BYTES = 100_000_000
BYTES_A_KEY = 210  # of the mix below, in the file
SNAPSHOT_KEYS = 500_000
WORDS = (
    b"lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut "
    b"labore et dolore magna aliqua"
).split()

# What makes sure that a reader decompresses in C, and what keeps it from that.
WITH_C = "import lzf\n"
WITHOUT_C = "import sys; sys.modules['lzf'] = None"

OURS = """
import sys, time
from random import Random
from redislab.engine.keyspace import Engine
from redislab.engine.rdbload import RdbLoader
engine = Engine(16, lambda: 0, Random(1))
loader = RdbLoader(engine, keep_expired=True)
begin, size = time.perf_counter(), 0
with open(sys.argv[1], "rb", buffering=0) as file:
    while data := file.read(1 << 16):
        size += len(data)
        loader.feed(data)
loader.finish()
print(size / 1e6 / (time.perf_counter() - begin))
"""

PROTOCOL = """
import os, sys, time
from rdbtools import ProtocolCallback, RdbParser
with open(os.devnull, "wb") as sink:
    begin = time.perf_counter()
    RdbParser(ProtocolCallback(sink)).parse(sys.argv[1])
    print(os.path.getsize(sys.argv[1]) / 1e6 / (time.perf_counter() - begin))
"""

PARSER = """
import os, sys, time
from rdbtools import RdbCallback, RdbParser

class Keep(RdbCallback):
    def __init__(self):
        super().__init__(string_escape=None)
        self.data, self.expires = {}, {}
    def set(self, key, value, expiry, info): self._add(key, value, expiry)
    def start_hash(self, key, length, expiry, info): self._add(key, {}, expiry)
    def hset(self, key, field, value): self.value[field] = value
    def start_set(self, key, length, expiry, info): self._add(key, set(), expiry)
    def sadd(self, key, member): self.value.add(member)
    def start_list(self, key, expiry, info): self._add(key, [], expiry)
    def rpush(self, key, value): self.value.append(value)
    def start_sorted_set(self, key, length, expiry, info): self._add(key, {}, expiry)
    def zadd(self, key, score, member): self.value[member] = score
    def _add(self, key, value, expiry):
        self.data[key] = self.value = value
        if expiry:
            self.expires[key] = expiry

begin = time.perf_counter()
RdbParser(Keep()).parse(sys.argv[1])
print(os.path.getsize(sys.argv[1]) / 1e6 / (time.perf_counter() - begin))
"""

SNAPSHOT = """
import sys, time
from random import Random
from redislab.engine.keyspace import Engine
from redislab.engine.rdbsave import RdbImage
from redislab.engine.values import HashValue
random = Random(1)
engine = Engine(16, lambda: 0, Random(1))
database = engine.databases[0]
for number in range(int(sys.argv[1])):
    key = b"key:%d" % random.randrange(10**9)
    value = HashValue({b"f": b"v"}) if number % 10 == 0 else random.randbytes(20)
    database.values[key] = value
    if number % int(sys.argv[3]) == 0:
        database.expires[key] = number
begin = time.perf_counter()
image = RdbImage(engine, {})
longest = time.perf_counter() - begin
if sys.argv[2] == "chunks":
    longest, chunks = 0.0, iter(image)
    while True:
        begin = time.perf_counter()
        if not next(chunks, b""):
            break
        longest = max(longest, time.perf_counter() - begin)
print(1000 * longest)
"""


def rdb_rows(plan: Plan) -> Iterator[Row]:
    """Loading a file of 100 MB that a real server wrote, and the stops of writing one."""
    with tempfile.TemporaryDirectory(prefix="redislab-bench-") as folder:
        path = Path(folder) / "mixed.rdb"
        make_file(path, FILE_BYTES // 10 if plan.quick else FILE_BYTES)
        size_mb = path.stat().st_size / 1e6
        for what, ours, theirs, least in (
            ("protocol", WITH_C + OURS, WITHOUT_C + PROTOCOL, 3.0),
            ("parser into dicts", WITH_C + OURS, WITHOUT_C + PARSER, 3.0),
            ("parser into dicts, both without C", WITHOUT_C + OURS, WITHOUT_C + PARSER, 1.5),
            ("parser into dicts, both with LZF in C", WITH_C + OURS, WITH_C + PARSER, 1.5),
        ):
            mine, other = in_turn(plan, _rate(ours, path), _rate(theirs, path))
            detail = f"{mine:.1f} / {other:.1f} MB/s"
            title = f"loading {size_mb:.0f} MB RDB, rdbtools' {what}"
            yield Row(title, mine / other, least, "at least", detail=detail)
    keys = SNAPSHOT_KEYS // 10 if plan.quick else SNAPSHOT_KEYS
    for what, which, every in (
        ("begin of a snapshot", "begin", 5),
        ("begin of a snapshot, all keys expire", "begin", 1),
        ("longest chunk of a snapshot", "chunks", 5),
    ):
        ms = median(_printed(SNAPSHOT, str(keys), which, str(every)) for _ in range(plan.rounds))
        yield Row(f"{what}, {keys} keys", ms, 20.0, "at most", "ms")


def make_file(path: Path, size: int) -> None:
    """A file that a real server writes by its defaults, of about this size and with all types."""
    import redis

    random = Random(1)
    with servers.real() as (port, _), redis.Redis(port=port) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(size // BYTES_A_KEY):
            _add_key(pipe, b"key:%08d" % number, number, random)
            if number % 1000 == 0:
                pipe.execute()
        pipe.execute()
        client.save()
        folder = client.config_get("dir")["dir"]
        path.write_bytes((Path(folder) / "dump.rdb").read_bytes())


def _add_key(pipe: object, key: bytes, number: int, random: Random) -> None:
    """A key of a type, its values now compressible and now not: four of ten are plain strings."""
    call: Callable[..., object] = pipe.execute_command  # type: ignore[attr-defined]
    size = random.randrange(1, 30)
    match number % 10:
        case 0 | 1:
            call("SET", key, random.randbytes(random.randrange(20, 300)))
        case 2 | 3:
            call("SET", key, random.randbytes(random.randrange(20, 300)), "PX", 10**10)
        case 4:
            call("SET", key, number)
        case 5:
            call("SET", key, b" ".join(random.choices(WORDS, k=random.randrange(5, 40))))
        case 6:
            words = [
                word for n in range(size) for word in (b"field%d" % n, random.randbytes(12).hex())
            ]
            call("HSET", key, *words)
        case 7:
            call("RPUSH", key, *[b" ".join(random.choices(WORDS, k=3)) for _ in range(size)])
        case 8 if number % 20 == 8:
            call("SADD", key, *[random.randrange(10**6) for _ in range(size)])
        case 8:
            call("SADD", key, *[random.randbytes(10).hex() for _ in range(size)])
        case _:
            words = [word for n in range(size) for word in (random.randrange(1000) / 4, f"m{n}")]
            call("ZADD", key, *words)


def _rate(code: str, path: Path) -> Callable[[], float]:
    return lambda: _printed(code, str(path))


def _printed(code: str, *arguments: str) -> float:
    argv = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    if "No module named 'rdbtools'" in done.stderr:
        raise servers.MissingError("rdbtools-tikon93 is not installed (extra bench)")
    if "No module named 'lzf'" in done.stderr:
        raise servers.MissingError("python-neo-lzf is not installed (extra fast)")
    done.check_returncode()
    return float(done.stdout.split()[-1])
