"""Files that a real redis-server writes and reads, and what reads and writes them here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from redislab.engine.keyspace import Engine
from redislab.engine.rdbload import RdbLoader
from tests.servers import Address, Wire, real_server

NOW_MS = 1_700_000_000_000
LIBRARY = (
    b"#!lua name=%b\nredis.register_function('%b_f', function(keys, args) return args[1] end)\n"
)
# Configurations under which the same data get every encoding there is.
CONFIGURATIONS: dict[str, tuple[str, ...]] = {
    "default": (),
    "uncompressed": ("--rdbcompression", "no"),
    "without checksum": ("--rdbchecksum", "no"),
    "nothing packed": (
        *("--hash-max-listpack-entries", "0", "--zset-max-listpack-entries", "0"),
        *("--set-max-intset-entries", "0", "--list-max-listpack-size", "1"),
        *("--stream-node-max-entries", "2", "--rdbcompression", "no"),
    ),
    "all packed": (
        *("--hash-max-listpack-entries", "100000", "--hash-max-listpack-value", "100000"),
        *("--zset-max-listpack-entries", "100000", "--zset-max-listpack-value", "100000"),
        *("--set-max-intset-entries", "100000", "--list-max-listpack-size", "-5"),
        *("--stream-node-max-bytes", "0", "--stream-node-max-entries", "0"),
    ),
    "lru": ("--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"),
    "lfu": ("--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lfu"),
}


class Talk(Wire):
    """A connection that takes words of any kind."""

    def __call__(self, *words: object) -> object:
        """The text of a reply, or its items as texts; errors fail the test."""
        reply = self.call(
            *(word if isinstance(word, bytes) else str(word).encode() for word in words)
        )
        if reply.is_error:
            pytest.fail(f"{words[:3]}: {reply.text!r}")
        return reply.text if reply.items is None else reply


def fill(talk: Talk) -> None:
    """Data of every type and size, in two databases, with functions."""
    random = Random(1)
    talk("FLUSHALL")
    for name in (b"one", b"two"):
        talk("FUNCTION", "LOAD", "REPLACE", LIBRARY % (name, name))
    _fill_strings(talk, random)
    _fill_collections(talk, random)
    _fill_streams(talk)
    talk("SELECT", 5)
    talk("SET", "in another database", "x", "PXAT", 4_000_000_000_000)
    talk("SELECT", 0)


def _fill_strings(talk: Talk, random: Random) -> None:
    for number in (0, 1, -1, 127, 128, -129, 40000, 1 << 31, -(1 << 31), 1 << 40, (1 << 63) - 1):
        talk("SET", f"int:{number}", number)
    for size in (0, 1, 20, 21, 63, 64, 300, 16383, 16384, 70000):
        talk("SET", f"even:{size}", b"e" * size)
        talk("SET", f"noise:{size}", random.randbytes(size), "PX", 10_000_000_000 + size)
    talk("SET", b"key \0 with \xff bytes", b"\r\n\0")
    talk("SET", 12345, "a key that is a number")
    talk("SET", "k" * 200, "a long key")
    talk("PFADD", "hll", *range(2000))
    talk("PFADD", "sparse hll", "a", "b")


def _fill_collections(talk: Talk, random: Random) -> None:
    texts = [random.randbytes(random.randrange(1, 90)) for _ in range(700)]
    numbers = [0, 12, 13, -1, 127, 4095, -4096, 40000, 1 << 20, 1 << 30, -(1 << 40), 1 << 62]
    talk("RPUSH", "list", *numbers, *texts[:20], b"l" * 5000)
    talk("RPUSH", "long list", *texts, *range(500))
    talk("SADD", "small ints", 1, -2, 3000)
    talk("SADD", "middle ints", 1, -2, 70000)
    talk("SADD", "large ints", *numbers)
    talk("SADD", "many ints", *range(1000))
    talk("SADD", "set", *texts[:30], *range(10))
    talk("SADD", "long set", *texts)
    talk("HSET", "hash", *texts[:60], *numbers)
    talk("HSET", "long hash", *texts)
    talk("HSET", "large hash", "f", b"v" * 3000, b"g" * 70, "w")
    scores = [0, -0.0, 1, -5, 0.1, 1e300, -2.5e-10, "inf", "-inf", 1 << 53, 3.0000001]
    talk(
        "ZADD",
        "zset",
        *[word for score, text in zip(scores, texts, strict=False) for word in (score, text)],
    )
    talk(
        "ZADD",
        "long zset",
        *[word for place, text in enumerate(texts) for word in (place / 7, text)],
    )
    talk("ZADD", "zset of numbers", 1, 1, 2, 2, 2.5, 70000)


def _fill_streams(talk: Talk) -> None:
    for number in range(1, 350):
        words = ("g", "h") if number % 5 == 0 else ()
        talk("XADD", "stream", f"{number * 3}-{number % 3}", f"f{number % 4}", f"v{number}", *words)
    talk("XDEL", "stream", "9-0", "30-1", "1047-1")
    talk("XTRIM", "stream", "MAXLEN", 301)
    talk("XGROUP", "CREATE", "stream", "fresh", "$")
    talk("XGROUP", "CREATE", "stream", "busy", 0)
    talk("XREADGROUP", "GROUP", "busy", "alice", "COUNT", 10, "STREAMS", "stream", ">")
    talk("XREADGROUP", "GROUP", "busy", "bob", "COUNT", 130, "STREAMS", "stream", ">")
    talk("XCLAIM", "stream", "busy", "bob", 0, "186-2", "RETRYCOUNT", 300)
    talk("XGROUP", "CREATECONSUMER", "stream", "busy", "idle")
    talk("XADD", "emptied", "5-5", "f", "v")
    talk("XDEL", "emptied", "5-5")
    talk("XGROUP", "CREATE", "groups only", "g", "$", "MKSTREAM")
    talk("XADD", "large entries", "1-1", "f", b"v" * 6000, "g", 1)
    talk("XADD", "large entries", f"{(1 << 64) - 1}-{(1 << 64) - 1}", "f", "v")


def saved_by_real(folder: Path, *options: str) -> tuple[bytes, bytes]:
    """A file that a real server writes of the data of `fill`, and the digest of its data."""
    place = ("--dir", str(folder), "--dbfilename", "real.rdb")
    with real_server(*place, *options) as address, Talk(address) as talk:
        fill(talk)
        talk("SAVE")
        digest = talk("DEBUG", "DIGEST")
    assert isinstance(digest, bytes)
    return (folder / "real.rdb").read_bytes(), digest


@contextmanager
def real_with(folder: Path, data: bytes, *options: str) -> Iterator[Address]:
    """A real server that has loaded a file."""
    (folder / "ours.rdb").write_bytes(data)
    with real_server("--dir", str(folder), "--dbfilename", "ours.rdb", *options) as address:
        yield address


def load(data: bytes, piece: int = 1 << 16) -> tuple[Engine, RdbLoader]:
    """An engine with the data of a file."""
    engine = Engine(16, lambda: NOW_MS, Random(0))
    loader = RdbLoader(engine, keep_expired=True)
    for start in range(0, len(data), piece):
        loader.feed(data[start : start + piece])
    loader.finish()
    return engine, loader


def checked(folder: Path, data: bytes) -> tuple[int, list[str]]:
    """The exit code of `redis-check-rdb` and the lines that it prints of a file."""
    program = shutil.which("redis-check-rdb")
    if program is None:
        pytest.skip("redis-check-rdb is not installed (Debian package redis-tools)")
    (folder / "checked.rdb").write_bytes(data)
    done = subprocess.run(
        [program, "checked.rdb"], cwd=folder, capture_output=True, timeout=20, check=False
    )
    lines = done.stdout.decode("utf-8", "surrogateescape").splitlines()
    return done.returncode, [line for line in lines if not line[:1].isdigit()]
