"""What clients get through ours and through the real nutcracker, before the same real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.ring.proxy.proxies import ask, both, request
from tests.servers import real_server

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
