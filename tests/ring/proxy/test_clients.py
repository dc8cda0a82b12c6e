"""Clients that ask much, read slowly or never, hang up or half hang up: others are not harmed."""

from __future__ import annotations

import asyncio
import tracemalloc
from random import Random

import pytest

from redislab.ring.proxy import requests, session
from tests.ring.proxy.proxies import HOST, Proxy, ask, call, our_proxy, real_proxy, request, stats
from tests.ring.proxy.shards import Visit, says, shard, silent, well

MIB = 1024 * 1024


def _echoes(visit: Visit, words: list[bytes]) -> None:
    """Answer with the key."""
    visit.say(b"$%d\r\n%b\r\n" % (len(words[1]), words[1]))


def test_a_client_that_never_reads_takes_bounded_memory_and_no_turn_of_others() -> None:
    """It asks for 20,000 values of 20 kB, 400 MB in all; some 25 MB of them come at most."""

    async def tell() -> None:
        value = says(b"$20000\r\n" + b"v" * 20000 + b"\r\n")
        async with shard(value) as server, our_proxy([server.port]) as proxy:
            reader, writer = await asyncio.open_connection(HOST, proxy.port, limit=1024)
            tracemalloc.start()
            writer.write(request(b"GET", b"a") * 20_000)
            for _ in range(20):
                await asyncio.sleep(0.02)
                assert len(await call(proxy, b"GET", b"b")) > 10
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert len(server.commands) < 20 + 2 * session.WINDOW
            assert peak < 64 * MIB
            # It reads after all, and gets everything.
            total = 0
            while total < 20_000 * 20_010:
                total += len(await asyncio.wait_for(reader.read(MIB), 5))
            writer.close()

    asyncio.run(tell())


def test_a_client_that_lets_too_much_lie_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "UNREAD_BYTES", MIB)
    lines: list[str] = []

    async def tell() -> None:
        value = says(b"$100000\r\n" + b"v" * 100000 + b"\r\n")
        async with shard(value) as server, our_proxy([server.port], log=lines.append) as proxy:
            assert proxy.node is not None
            (pool,) = proxy.node.pools.values()
            _, writer = await asyncio.open_connection(HOST, proxy.port, limit=1024)
            writer.write(request(b"GET", b"a") * 500)
            async with asyncio.timeout(5):
                while not pool.client_errors:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert not pool.sessions
            assert await call(proxy, b"GET", b"b")
            writer.close()

    asyncio.run(tell())
    assert "unread" in "".join(lines)


def test_a_server_that_takes_nothing_makes_its_clients_wait() -> None:
    """What a client may have under way is bounded, so what waits for a server is, too."""

    async def tell() -> None:
        async with shard(silent) as server, our_proxy([server.port]) as proxy:
            assert proxy.node is not None
            (pool,) = proxy.node.pools.values()
            _, writer = await asyncio.open_connection(HOST, proxy.port)
            writer.write(request(b"SET", b"a", b"v" * 100_000) * 200)
            await asyncio.sleep(0.3)
            (mine,) = pool.shards[0].connections
            assert mine.sent_bytes + sum(map(len, mine.unsent)) < 3 * MIB
            writer.close()

    asyncio.run(tell())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("compiled", [True, False])
def test_pieces_cut_anywhere_are_put_together(
    seed: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also without hiredis; keys look like parts of the protocol."""
    if not compiled:
        monkeypatch.setattr(requests, "Reader", None)
    random = Random(seed)
    alphabet = [b"a", b"\r\n", b"*", b"$", b"*2\r\n", b"$3\r\nGET\r\n", b"\0", b"\xff", b"k" * 50]
    keys = [b"".join(random.choices(alphabet, k=random.randrange(8))) for _ in range(200)]
    sent = b"".join(request(b"GET", key) for key in keys)
    wanted = b"".join(b"$%d\r\n%b\r\n" % (len(key), key) for key in keys)

    async def tell() -> None:
        async with (
            shard(_echoes) as one,
            shard(_echoes) as two,
            our_proxy([one.port, two.port]) as proxy,
        ):
            reader, writer = await asyncio.open_connection(HOST, proxy.port)
            at = 0
            while at < len(sent):
                size = random.choice((1, 3, 20, 200, 2000))
                writer.write(sent[at : at + size])
                at += size
                await asyncio.sleep(0)
            got = await asyncio.wait_for(reader.readexactly(len(wanted)), 5)
            assert got == wanted
            writer.close()

    asyncio.run(tell())


def test_large_requests_and_replies_go_through() -> None:
    value = b"v" * 3_000_000

    async def tell() -> None:
        def manner(visit: Visit, words: list[bytes]) -> None:
            visit.say(b"$%d\r\n%b\r\n" % (len(words[2]), words[2]))

        async with shard(manner) as server, our_proxy([server.port]) as proxy:
            reader, writer = await asyncio.open_connection(HOST, proxy.port)
            writer.write(request(b"SET", b"a", value) + request(b"SET", b"a", b"b"))
            wanted = b"$3000000\r\n%b\r\n$1\r\nb\r\n" % value
            assert await asyncio.wait_for(reader.readexactly(len(wanted)), 10) == wanted
            writer.close()

    asyncio.run(tell())


def test_who_has_said_all_still_hears_the_replies() -> None:
    """A half-closed connection, as `redis-cli --pipe` has; the same with the real one."""

    async def tell(proxy: Proxy) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        writer.write(request(b"SET", b"a", b"b") * 3000)
        writer.write_eof()
        try:
            return await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.close()

    async def compare() -> None:
        async with (
            shard(well) as server,
            real_proxy([server.port]) as real,
            our_proxy([server.port]) as ours,
        ):
            assert await tell(real) == await tell(ours) == b"+OK\r\n" * 3000

    asyncio.run(compare())


def test_replies_to_a_client_that_is_gone_are_nobody_elses() -> None:
    async def tell() -> None:
        async with shard(silent) as server, our_proxy([server.port]) as proxy:
            _, writer = await asyncio.open_connection(HOST, proxy.port)
            writer.write(request(b"GET", b"theirs"))
            await asyncio.sleep(0.05)
            writer.close()
            reader, other = await asyncio.open_connection(HOST, proxy.port)
            other.write(request(b"GET", b"mine"))
            await asyncio.sleep(0.05)
            assert server.commands == [[b"GET", b"theirs"], [b"GET", b"mine"]]
            server.visits[0].say(b"+theirs\r\n+mine\r\n")
            assert await asyncio.wait_for(reader.readline(), 1) == b"+mine\r\n"
            other.close()

    asyncio.run(tell())


def test_as_many_clients_as_the_file_allows() -> None:
    async def tell() -> None:
        async with (
            shard(well) as server,
            our_proxy([server.port], "client_connections: 2") as proxy,
        ):
            first = await asyncio.open_connection(HOST, proxy.port)
            second = await asyncio.open_connection(HOST, proxy.port)
            await asyncio.sleep(0.02)
            assert (await ask(proxy, request(b"PING"))).is_closed
            first[1].close()
            await asyncio.sleep(0.02)
            assert await call(proxy, b"PING") == b"+PONG\r\n"
            second[1].close()

    asyncio.run(tell())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (b"KEYS *", b"'keys' does not go through this proxy: it is about all keys"),
        (b"MULTI", b"'multi' does not go through this proxy: a transaction needs a connection"),
        (b"SELECT 1", b"'select' does not go through this proxy: it changes the connection"),
        (b"BLPOP a 0", b"'blpop' does not go through this proxy: who waits"),
        (b"SUBSCRIBE a", b"'subscribe' does not go through this proxy: who listens"),
        (b"INFO", b"'info' does not go through this proxy: it is about one server"),
        (b"RENAME a b", b"'rename' does not go through this proxy: its keys can be on different"),
        (b"XADD a * b c", b"'xadd' does not go through this proxy: the proxy does not know where"),
        (b"NOSUCH a", b"unknown command 'nosuch'"),
        (b"GET a b", b"wrong number of arguments for 'get': this proxy takes it with 1 argument"),
        (b"PING a", b"wrong number of arguments for 'ping': this proxy takes it with no argument"),
        (b"MSET a 1 b", b"wrong number of arguments for 'mset': this proxy takes it with a value"),
        (b"EVAL x 0 a", b"'eval' goes through this proxy only with a key"),
    ],
)
def test_a_refusal_says_why_where_the_file_asks_for_it(words: bytes, why: bytes) -> None:
    """And the connection goes on."""

    async def tell() -> None:
        async with (
            shard(well) as server,
            our_proxy([server.port], "explain_refusals: true") as proxy,
        ):
            reader, writer = await asyncio.open_connection(HOST, proxy.port)
            writer.write(request(*words.split()) + request(b"PING"))
            heard = await asyncio.wait_for(reader.readline(), 1)
            assert heard.startswith(b"-ERR " + why)
            assert await reader.readline() == b"+PONG\r\n"
            writer.close()

    asyncio.run(tell())


def test_clients_are_counted() -> None:
    async def tell() -> None:
        async with shard(well) as server, our_proxy([server.port]) as proxy:
            assert (await ask(proxy, b"nonsense\r\n")).is_closed
            await call(proxy, b"PING")
            _, writer = await asyncio.open_connection(HOST, proxy.port)
            await asyncio.sleep(0.02)
            pool = (await stats(proxy))["alpha"]
            assert isinstance(pool, dict)
            assert (pool["client_err"], pool["client_eof"], pool["client_connections"]) == (1, 1, 1)
            writer.close()

    asyncio.run(tell())
