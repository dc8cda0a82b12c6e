"""Random bytes get the answer of real Redis, byte for byte, and nobody else notices."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from tests.fuzz.raw import answer_to, chunks, damaged, request
from tests.servers import Address, Wire, our_server, real_server

SEEDS = 600
PARTS = 6


@pytest.fixture(scope="module")
def real() -> Iterator[Address]:
    with real_server() as address:
        yield address


@pytest.fixture(scope="module")
def ours() -> Iterator[Address]:
    with our_server() as address:
        yield address


@pytest.mark.redis
@pytest.mark.parametrize("part", range(PARTS))
def test_random_bytes(part: int, real: Address, ours: Address) -> None:
    with Wire(ours) as witness:
        for seed in range(part, SEEDS, PARTS):
            random = Random(seed)
            data = damaged(random)
            sent = chunks(random, data)
            for address in (real, ours):
                answer_to(address, [request(b"FLUSHALL")])
            assert answer_to(ours, sent) == answer_to(real, sent), f"seed {seed}: {data!r}"
            assert witness.call(b"ECHO", b"%d" % seed).text == b"%d" % seed


@pytest.mark.redis
def test_who_has_said_all_while_a_server_stands_still_is_answered_after_it() -> None:
    endings = (
        [request(b"PING")],
        [request(b"SET", b"k", b"v"), request(b"GET", b"k")],
        [request(b"BLPOP", b"none", b"0"), request(b"PING")],
        [request(b"PING") + b"*1\r\n$4\r\nPI"],
        [request(b"PING"), request(b"QUIT"), request(b"PING")],
        [request(b"PING") + b"*x\r\n"],
    )
    told = []
    for server in (real_server, our_server):
        with (
            server("--save", "", "--rdb-key-save-delay", "20000") as address,
            Wire(address) as wire,
        ):
            wire.call(b"EVAL", b"for i = 1, 40 do redis.call('set', i, i) end", b"0")
            wire.send(b"SAVE")
            time.sleep(0.2)
            with ThreadPoolExecutor(len(endings)) as pool:
                told.append(list(pool.map(answer_to, [address] * len(endings), endings)))
            assert wire.read().text == b"OK"
            assert len((wire.call(b"CLIENT", b"LIST").text or b"").splitlines()) == 1
    assert told[1] == told[0]
    assert told[0][0] == b"+PONG\r\n"


LINE_MAX = 64 * 1024


@pytest.mark.redis
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b""], ids=["crlf", "lf", "open"])
@pytest.mark.parametrize(
    "length", [LINE_MAX - 2, LINE_MAX - 1, LINE_MAX, LINE_MAX + 1, LINE_MAX + 2]
)
@pytest.mark.parametrize("start", [b"", b"*", b"*1\r\n$"], ids=["inline", "count", "bulk"])
def test_lines_at_the_limit(
    start: bytes, length: int, end: bytes, real: Address, ours: Address
) -> None:
    data = start + b"1" * length + end
    pieces = [data[:100], data[100:LINE_MAX], data[LINE_MAX:]]
    assert answer_to(ours, pieces) == answer_to(real, pieces)
    assert answer_to(ours, [data]) == answer_to(real, [data])


@pytest.mark.redis
@pytest.mark.parametrize(
    "data",
    [
        request(b"GET", b"a"),
        request(b"AUTH", b"wrong") + request(b"AUTH", b"s") + request(b"GET", b"a"),
        request(*[b"PING"] * 10),
        request(*[b"PING"] * 11),
        request(b"AUTH", b"x" * 16384),
        request(b"AUTH", b"x" * 16385),
        request(b"AUTH", b"s") + request(*[b"ECHO"] * 11),
        request(b"AUTH", b"s") + request(b"ECHO", b"x" * 20000),
        request(b"HELLO", b"3", b"AUTH", b"default", b"s") + request(*[b"MGET"] * 11),
        request(b"HELLO", b"3", b"AUTH", b"default", b"no") + request(*[b"MGET"] * 11),
        request(b"AUTH", b"no") * 100 + request(b"AUTH", b"s") + request(b"PING"),
        b"PING\r\nAUTH s\r\nPING\r\n",
        request(b"QUIT") + request(b"AUTH", b"s"),
        request(b"RESET") + request(b"PING"),
    ],
    ids=lambda data: repr(data[:40]),
)
def test_before_the_password(data: bytes) -> None:
    with real_server("--requirepass", "s") as real, our_server("--requirepass", "s") as ours:
        random = Random(1)
        for sent in ([data], [data[:-3], data[-3:]], chunks(random, data[:2000])):
            assert answer_to(ours, sent) == answer_to(real, sent)
