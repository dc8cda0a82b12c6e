"""Another configuration while clients are at work: all of it or nothing, and nobody is dropped."""

from __future__ import annotations

import asyncio
from pathlib import Path

from redislab.ring.proxy.conf import read_conf
from redislab.worlds.ports import free_port
from tests.ring.proxy.proxies import HOST, Proxy, ask, call, configuration, our_proxy, request
from tests.ring.proxy.shards import says, shard, silent

ONE, TWO = says(b"+one\r\n"), says(b"+two\r\n")


async def _reload(proxy: Proxy, text: str) -> bool:
    assert proxy.node is not None
    return await proxy.node.reload(read_conf(text.encode(), "nutcracker.yml"))


class Client:
    """A client that stays."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def of(cls, proxy: Proxy) -> Client:
        return cls(*await asyncio.open_connection(HOST, proxy.port))

    def send(self, key: bytes = b"a") -> None:
        self._writer.write(request(b"GET", key))

    async def line(self) -> bytes:
        return await asyncio.wait_for(self._reader.readline(), 2)

    async def get(self) -> bytes:
        self.send()
        return await self.line()

    def close(self) -> None:
        self._writer.close()


def test_what_is_under_way_goes_on_and_what_comes_goes_to_the_new_servers() -> None:
    async def tell() -> None:
        async with (
            shard(ONE) as one,
            shard(TWO) as two,
            our_proxy([one.port]) as proxy,
        ):
            client = await Client.of(proxy)
            assert await client.get() == b"+one\r\n"
            one.manner = silent
            client.send()
            await asyncio.sleep(0.03)
            assert await _reload(proxy, configuration(proxy.port, [two.port]))
            client.send()
            await asyncio.sleep(0.03)
            (visit,) = one.visits
            assert not visit.transport.is_closing()
            visit.say(b"+late\r\n")
            assert [await client.line(), await client.line()] == [b"+late\r\n", b"+two\r\n"]
            # Nobody waits for the old one any more.
            await asyncio.sleep(0.03)
            assert visit.transport.is_closing()
            client.close()

    asyncio.run(tell())


def test_a_server_that_stays_keeps_its_connection() -> None:
    async def tell() -> None:
        async with shard(ONE) as one, shard(ONE) as two, our_proxy([one.port]) as proxy:
            client = await Client.of(proxy)
            assert await client.get() == b"+one\r\n"
            more = "hash: md5\ndistribution: modula\nauto_eject_hosts: true"
            assert await _reload(proxy, configuration(proxy.port, [two.port, one.port], more))
            for number in range(8):
                client.send(b"%d-key" % number)
                assert await client.line() == b"+one\r\n"
            assert (len(one.visits), len(two.visits)) == (1, 1)
            # Another database is another connection.
            assert await _reload(proxy, configuration(proxy.port, [one.port], "redis_db: 1"))
            assert await client.get() == b"+one\r\n"
            assert len(one.visits) == 2
            client.close()

    asyncio.run(tell())


def test_an_address_that_cannot_be_had_changes_nothing() -> None:
    """Also not the pools before it in the file."""

    async def tell() -> None:
        lines: list[str] = []
        async with (
            shard(ONE) as one,
            shard(TWO) as two,
            our_proxy([one.port], log=lines.append) as proxy,
        ):
            client = await Client.of(proxy)
            new = free_port()
            text = configuration(new, [two.port])
            text += configuration(two.port, [two.port]).replace("alpha", "omega")
            assert not await _reload(proxy, text)
            assert await client.get() == await call(proxy, b"GET", b"a") == b"+one\r\n"
            assert (await asyncio.gather(_connects(new)))[0] is False
            assert "the present configuration is kept" in lines[-1]
            client.close()

    asyncio.run(tell())


async def _connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


def test_clients_stay_when_a_pool_moves_or_is_named_anew() -> None:
    async def tell() -> None:
        async with shard(ONE) as one, our_proxy([one.port]) as proxy:
            client = await Client.of(proxy)
            new = free_port()
            assert await _reload(proxy, configuration(new, [one.port]))
            assert await client.get() == b"+one\r\n"
            assert await _connects(new)
            assert not await _connects(proxy.port)
            assert await _reload(proxy, configuration(new, [one.port]).replace("alpha", "beta"))
            assert await client.get() == b"+one\r\n"
            # With another name at another address it is another pool, and this one is gone.
            text = configuration(free_port(), [one.port]).replace("alpha", "gamma")
            assert await _reload(proxy, text)
            assert await client.line() == b""
            client.close()

    asyncio.run(tell())


def test_who_is_ejected_comes_back_with_a_new_configuration() -> None:
    async def tell() -> None:
        eject = "auto_eject_hosts: true\nserver_failure_limit: 1\nserver_retry_timeout: 60000"
        port = free_port()
        async with our_proxy([port], eject) as proxy:
            for _ in range(2):
                assert await call(proxy, b"GET", b"a") == b"-ERR Connection refused\r\n"
            async with shard(ONE, port):
                assert await call(proxy, b"GET", b"a") == b"-ERR Connection refused\r\n"
                assert await _reload(proxy, configuration(proxy.port, [port], eject))
                assert await call(proxy, b"GET", b"a") == b"+one\r\n"

    asyncio.run(tell())


def test_paths_of_sockets_do_for_both_sides(tmp_path: Path) -> None:
    """A pool that listens on a path with its permissions, before a server on another."""

    async def tell() -> None:
        front, back = tmp_path / "front", tmp_path / "back"
        async with shard(says(b"+path\r\n"), path=back), our_proxy([free_port()]) as proxy:
            text = f"alpha:\n  listen: {front} 600\n  redis: true\n  servers:\n   - {back}:1\n"
            assert await _reload(proxy, text)
            assert front.stat().st_mode & 0o777 == 0o600
            reader, writer = await asyncio.open_unix_connection(front)
            writer.write(request(b"GET", b"a"))
            assert await asyncio.wait_for(reader.readline(), 2) == b"+path\r\n"
            writer.close()

    asyncio.run(tell())


def test_without_a_password_all_may_ask() -> None:
    """Who has not logged in may as soon as nobody has to; a new one is asked of new clients."""

    async def tell() -> None:
        async with shard(ONE) as one, our_proxy([one.port], "redis_auth: a") as proxy:
            client = await Client.of(proxy)
            assert await client.get() == b"-NOAUTH Authentication required\r\n"
            assert await _reload(proxy, configuration(proxy.port, [one.port]))
            assert await client.get() == b"+one\r\n"
            assert await _reload(proxy, configuration(proxy.port, [one.port], "redis_auth: b"))
            heard = await ask(proxy, request(b"GET", b"a"))
            assert heard.data == b"-NOAUTH Authentication required\r\n"
            client.close()

    asyncio.run(tell())
