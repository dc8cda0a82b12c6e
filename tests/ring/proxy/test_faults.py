"""Servers that are gone, hang, die in the middle of a reply or send nonsense, as clients see it.

Ours and the real nutcracker are before the same servers, and say the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from redislab.worlds.ports import free_port
from tests.ring.proxy.proxies import HOST, Proxy, ask, both, call, our_proxy, request, stats
from tests.ring.proxy.shards import (
    Manner,
    Visit,
    resets,
    says,
    says_and_hangs_up,
    shard,
    silent,
    well,
)

TIMEOUT = "timeout: 100"
AT_ONCE = 6
GET = request(b"GET", b"a")
MANNERS: dict[str, Manner] = {
    "says nothing": silent,
    "hangs up": says_and_hangs_up(b""),
    "dies in a reply": says_and_hangs_up(b"$5\r\nab"),
    "dies after a reply, in the next": says_and_hangs_up(b"+OK\r\n$5\r\nab"),
    "resets": resets,
    "says what is no reply": says(b"hello\r\n"),
    "speaks RESP3": says(b"_\r\n"),
    "says more than it announced": says(b"$2\r\nabc\r\n"),
    "says what nobody asked for": says(b"+OK\r\n+OK\r\n"),
    "is loading": says(b"-LOADING Redis is loading the dataset in memory\r\n"),
    "is out of memory": says(b"-OOM command not allowed\r\n"),
    "is busy": says(b"-BUSY Redis is busy\r\n"),
    "has the key already": says(b"-BUSYKEY Target key name already exists.\r\n"),
    "says arrays in arrays": says(b"*2\r\n*1\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n"),
    "says no array": says(b"*-1\r\n"),
    "is well": well,
}
COUNTED = ("server_eof", "server_err", "server_timedout", "requests", "request_bytes")


@pytest.fixture(autouse=True)
def judge() -> Iterator[None]:
    """All of this is about the real one as well."""
    from tests.ring.nutcracker import nutcracker

    nutcracker()
    return


async def _counted(proxy: Proxy) -> list[object]:
    """What a proxy with one server has counted."""
    await asyncio.sleep(0.12)  # the real one shows what was some time ago
    pool = (await stats(proxy))["alpha"]
    assert isinstance(pool, dict)
    (server,) = (value for value in pool.values() if isinstance(value, dict))
    return [pool["forward_error"], *(server[name] for name in COUNTED)]


def test_clients_are_told_the_same() -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def compare(name: str) -> None:
        is_silent = name == "says nothing"
        async with (
            gate,
            shard(MANNERS[name]) as server,
            both([server.port], TIMEOUT if is_silent else "timeout: 5000") as proxies,
        ):
            silence = 0.6 if is_silent else 0.25
            heard = [await ask(proxy, GET + GET, silence=silence) for proxy in proxies]
            assert heard[0] == heard[1], name
            assert heard[0].data.count(b"\r\n") >= 2, name
            assert not heard[0].is_closed, name
            assert await _counted(proxies[0]) == await _counted(proxies[1]), name

    async def compare_all() -> None:
        await asyncio.gather(*map(compare, MANNERS))

    asyncio.run(compare_all())


def test_nobody_listens() -> None:
    """At once, and without a hang: also for the parts of a split request."""

    async def compare() -> None:
        async with both([free_port(), free_port()], "timeout: 5000") as proxies:
            for proxy in proxies:
                for words in ([b"GET", b"a"], [b"DEL", b"a", b"b", b"c", b"d"]):
                    heard = await asyncio.wait_for(call(proxy, *words), 1)
                    assert heard == b"-ERR Connection refused\r\n"

    asyncio.run(compare())


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 80, "..."])
def test_a_host_that_is_none_is_told_at_once(host: str) -> None:
    async def compare() -> None:
        async with both([f"{host}:7601"]) as proxies:
            for proxy in proxies:
                heard = await asyncio.wait_for(call(proxy, b"GET", b"a"), 5)
                assert heard == b"-ERR Host is down\r\n"

    asyncio.run(compare())


def test_a_server_that_is_back_is_used_at_once() -> None:
    async def compare() -> None:
        port = free_port()
        async with both([port]) as proxies:
            for proxy in proxies:
                assert await call(proxy, b"GET", b"a") == b"-ERR Connection refused\r\n"
            async with shard(well, port):
                for proxy in proxies:
                    assert await call(proxy, b"GET", b"a") == b"+OK\r\n"

    asyncio.run(compare())


def _joins(visit: Visit, words: list[bytes]) -> None:
    """Answer the parts of split requests."""
    name, keys = words[0].lower(), words[1:]
    if name == b"mget":
        visit.say(b"*%d\r\n" % len(keys) + b"".join(b"$%d\r\n%b\r\n" % (len(k), k) for k in keys))
    else:
        visit.say(b"+OK\r\n" if name == b"mset" else b":%d\r\n" % len(keys))


# With fnv1a_64 keys are near each other that differ only at their end.
KEYS = [b"%d-key" % number for number in range(8)]
SPLIT = [
    [b"MGET", *KEYS, KEYS[0]],
    [b"DEL", *KEYS],
    [b"UNLINK", *KEYS],
    [b"TOUCH", *KEYS],
    [b"MSET", *(word for key in KEYS for word in (key, b"v"))],
]


@pytest.mark.parametrize("name", ["is well", "hangs up", "says nothing", "refuses"])
def test_split_requests_are_joined(name: str) -> None:
    """And where a part is refused, so is the whole; the servers are asked the same things."""
    manner = {**MANNERS, "is well": _joins, "refuses": says(b"-WRONGTYPE no\r\n")}[name]

    async def compare() -> None:
        async with (
            shard(_joins) as good,
            shard(manner) as other,
            both([good.port, other.port], TIMEOUT) as proxies,
        ):
            outcomes = []
            for proxy in proxies:
                good.visits.clear()
                other.visits.clear()
                heard = [await call(proxy, *words) for words in SPLIT]
                outcomes.append((heard, good.commands, other.commands))
            assert outcomes[0] == outcomes[1]
            names = [words[0].lower() for words in SPLIT]
            assert [[words[0] for words in commands] for commands in outcomes[0][1:]] == [names] * 2

    asyncio.run(compare())


AUTH = "redis_auth: secret"


def test_a_password_is_asked_for_and_given() -> None:
    async def compare() -> None:
        async with shard(well) as server, both([server.port], AUTH) as proxies:
            outcomes = []
            for proxy in proxies:
                server.visits.clear()
                calls = ["GET a", "PING", "AUTH no", "MGET a b", "AUTH secret", "PING", "SET b x"]
                calls += ["AUTH bad", "PING", "GET a"]
                asked = b"".join(request(*words.encode().split()) for words in calls)
                outcomes.append((await ask(proxy, asked), server.commands))
            assert outcomes[0] == outcomes[1]
            assert outcomes[0][1] == [[b"AUTH", b"secret"], [b"SET", b"b", b"x"]]

    asyncio.run(compare())


def test_a_database_is_chosen_on_each_connection() -> None:
    async def compare() -> None:
        async with shard(well) as server, both([server.port], "redis_db: 3") as proxies:
            for proxy in proxies:
                server.visits.clear()
                assert await call(proxy, b"GET", b"a") == b"+OK\r\n"
                assert server.commands == [[b"SELECT", b"3"], [b"GET", b"a"]]

    asyncio.run(compare())


def test_logging_in_comes_before_choosing_the_database() -> None:
    """The original has it the other way round, and so reads and writes database 0."""

    async def tell() -> None:
        async with shard(well) as server, our_proxy([server.port], f"{AUTH}\nredis_db: 3") as proxy:
            await ask(proxy, request(b"AUTH", b"secret") + GET)
            assert [words[0] for words in server.commands] == [b"AUTH", b"SELECT", b"GET"]

    asyncio.run(tell())


@pytest.mark.parametrize("more", ["preconnect: true", "server_connections: 3", ""])
def test_as_many_connections_are_made(more: str) -> None:
    """Before anybody asks, and when four clients have asked."""

    async def compare() -> None:
        counts = []
        for start in (0, 1):
            async with shard(well) as server, both([server.port], more) as proxies:
                proxy = proxies[start]
                await asyncio.sleep(0.05)
                counts.append([len(server.visits)])
                server.visits.clear()
                for _ in range(4):
                    assert await call(proxy, b"GET", b"a") == b"+OK\r\n"
                counts[-1].append(len(server.visits))
        assert counts[0] == counts[1]

    asyncio.run(compare())


EJECT = "auto_eject_hosts: true\nserver_failure_limit: 2\nserver_retry_timeout: 400"


def test_a_server_is_ejected_and_comes_back() -> None:
    """Its keys go to the other one meanwhile; the errors that clients see are the same."""

    async def compare() -> None:
        async with shard(says(b"+one\r\n")) as stays:
            port = free_port()
            async with both([stays.port, port], EJECT) as proxies:
                key = KEYS[0]
                async with shard(says(b"+two\r\n"), port):
                    for key in KEYS:
                        if await call(proxies[0], b"GET", key) == b"+two\r\n":
                            break
                    for proxy in proxies:
                        assert await call(proxy, b"GET", key) == b"+two\r\n"
                # Killed: what it said last was the end of its connections, a failure already.
                for proxy in proxies:
                    heard = [await call(proxy, b"GET", key) for _ in range(3)]
                    assert heard == [b"-ERR Connection refused\r\n", b"+one\r\n", b"+one\r\n"]
                async with shard(says(b"+two\r\n"), port):
                    for proxy in proxies:
                        assert await call(proxy, b"GET", key) == b"+one\r\n"
                    await asyncio.sleep(0.45)
                    for proxy in proxies:
                        assert await call(proxy, b"GET", key) == b"+two\r\n"
                await asyncio.sleep(0.12)
                for proxy in proxies:
                    pool = (await stats(proxy))["alpha"]
                    assert isinstance(pool, dict)
                    assert pool["server_ejects"] == 1
                    assert pool["shard-1"]["server_ejected_at"] > 1e15

    asyncio.run(compare())


def test_with_all_ejected_there_is_an_error_and_no_hang() -> None:
    async def compare() -> None:
        more = "auto_eject_hosts: true\nserver_failure_limit: 1\nserver_retry_timeout: 30000"
        async with both([free_port(), free_port()], more) as proxies:
            for proxy in proxies:
                for key in KEYS:
                    heard = await asyncio.wait_for(call(proxy, b"GET", key), 1)
                    assert heard == b"-ERR Connection refused\r\n"

    asyncio.run(compare())


def test_a_slow_server_keeps_nobody_else_waiting() -> None:
    """One client waits for it, and gets what came before; others get all of theirs."""

    async def compare() -> None:
        async with (
            shard(well) as quick,
            shard(silent) as slow,
            both([quick.port, slow.port], "timeout: 400") as proxies,
        ):
            for proxy in proxies:
                placed: dict[bool, bytes] = {}
                for key in KEYS:
                    heard = await ask(proxy, request(b"GET", key), silence=0.05)
                    placed[heard.data == b"+OK\r\n"] = key
                on_quick, on_slow = request(b"GET", placed[True]), request(b"GET", placed[False])
                await asyncio.sleep(0.45)
                reader, writer = await asyncio.open_connection(HOST, proxy.port)
                writer.write(on_quick + on_slow + on_quick)
                assert await asyncio.wait_for(reader.readexactly(5), 0.2) == b"+OK\r\n"
                for _ in range(3):
                    assert await asyncio.wait_for(call(proxy, b"GET", placed[True]), 0.2)
                rest = await asyncio.wait_for(reader.readline(), 2), await reader.readline()
                assert rest == (b"-ERR Connection timed out\r\n", b"+OK\r\n")
                writer.close()

    asyncio.run(compare())
