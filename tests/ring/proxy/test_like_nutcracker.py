"""What clients get through ours and through the real nutcracker, before the same real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from redislab.server.facts import COMMANDS as FACTS
from tests.ring.proxy.proxies import REPLY_TIMEOUT_S, Proxy, ask, both, request
from tests.servers import HOST, real_server

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def servers() -> Iterator[list[int]]:
    with ExitStack() as stack:
        yield [stack.enter_context(real_server()).port for _ in range(3)]


CALLS = [
    [b"SET", b"a", b"b"],
    [b"get", b"a"],
    [b"GET", b"not-there"],
    [b"GET", b""],
    [b"PING"],
    [b"MSET", b"a", b"1", b"b", b"2", b"c", b"3"],
    [b"MGET", b"a", b"b", b"c", b"not-there", b"a"],
    [b"mget", b"a"],
    [b"TOUCH", b"a", b"b", b"a"],
    [b"DEL", b"a", b"b", b"a", b"not-there"],
    [b"UNLINK", b"a", b"b", b"c"],
    [b"RPUSH", b"l", b"1", b"2", b"3"],
    [b"LRANGE", b"l", b"0", b"-1"],
    [b"MGET", b"l", b"a"],
    [b"INCR", b"l"],
    [b"EVAL", b"return {1, {KEYS[1], false}, 'x'}", b"1", b"k"],
    [b"EVAL", b"return {}", b"1", b"k"],
    [b"SSCAN", b"s", b"0"],
    [b"EXISTS", b"a", b"b"],
    [b"SET", b"a"],
    [b"AUTH", b"secret"],
    [b"DEL", b"l"],
]


def test_requests_are_answered_in_order(servers: list[int]) -> None:
    """All calls in one pipeline, and then each on a connection of its own."""

    async def compare() -> None:
        async with both(servers) as proxies:
            heard = []
            for proxy in proxies:
                together = await ask(proxy, b"".join(request(*words) for words in CALLS))
                alone = [await ask(proxy, request(*words), silence=0.05) for words in CALLS]
                heard.append((together, alone))
            assert heard[0] == heard[1]
            assert b"+OK\r\n$1\r\nb\r\n$-1\r\n" in heard[0][0].data

    asyncio.run(compare())


def test_the_same_commands_go_through(servers: list[int]) -> None:
    """All commands of Redis 7.0 with up to seven arguments: a reply, or a closed connection."""
    names = sorted(name for name in FACTS if b"|" not in name)

    async def outcome(proxy: Proxy, name: bytes, count: int) -> str:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        writer.write(request(name, *[b"1"] * count))
        try:
            got = await asyncio.wait_for(reader.read(16), REPLY_TIMEOUT_S)
        except ConnectionError:
            got = b""
        writer.close()
        return "goes" if got else "closed"

    async def compare() -> None:
        async with both(servers) as (real, ours):
            for name in names:
                theirs, mine = [
                    await asyncio.gather(*(outcome(proxy, name, count) for count in range(8)))
                    for proxy in (real, ours)
                ]
                # With or without a word to say: QUIT ends the connection.
                assert theirs == mine, name

    asyncio.run(compare())


GARBAGE = {
    "a line": b"PING\r\n",
    "an empty line": b"\r\n",
    "no words": b"*0\r\n",
    "a negative count": b"*-1\r\n",
    "a count in words": b"*one\r\n",
    "a word too long": b"*2\r\n$3\r\nGET\r\n$1\r\nqq\r\n",
    "a null for a word": b"*2\r\n$3\r\nGET\r\n$-1\r\n",
    "a status for a word": b"*2\r\n$3\r\nGET\r\n+q\r\n",
    "no name": b"*1\r\n$0\r\n\r\n",
    "a line after a request": request(b"PING") + b"PING\r\n",
    "a refused one among good ones": request(b"PING") + request(b"KEYS", b"*") + request(b"PING"),
    "EVAL without keys": request(b"EVAL", b"return 1", b"0"),
    "EVAL with keys in words": request(b"EVAL", b"return 1", b"one", b"k"),
    "MSET with a key too many": request(b"MSET", b"a", b"1", b"b"),
    "a key too long": request(b"GET", b"k" * 16336),
    "a key too long among others": request(b"DEL", b"a", b"k" * 20000),
    "not all of a request": request(b"GET", b"a")[:-1],
    "the longest key": request(b"GET", b"k" * 16335),
    "QUIT": request(b"GET", b"not-there") + request(b"QUIT") + request(b"GET", b"not-there"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_closes_the_connection_and_no_other(
    name: str, proxies: tuple[Proxy, Proxy], runner: asyncio.Runner
) -> None:
    async def compare() -> None:
        heard = []
        for proxy in proxies:
            reader, writer = await asyncio.open_connection(HOST, proxy.port)
            writer.write(request(b"PING"))
            await reader.readexactly(7)
            heard.append(await ask(proxy, GARBAGE[name]))
            writer.write(request(b"GET", b"not-there"))
            assert await reader.readexactly(5) == b"$-1\r\n"
            writer.close()
        assert heard[0] == heard[1]

    runner.run(compare())


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def proxies(servers: list[int], runner: asyncio.Runner) -> Iterator[tuple[Proxy, Proxy]]:
    made = both(servers)
    yield runner.run(made.__aenter__())
    runner.run(made.__aexit__(None, None, None))
