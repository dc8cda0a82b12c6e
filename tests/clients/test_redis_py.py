"""redis-py, unchanged, against our server: blocking and asyncio, RESP2 and RESP3."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio

from tests.servers import Address, our_server

PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3])


@pytest.fixture(scope="module")
def ours() -> Iterator[Address]:
    with our_server() as address:
        yield address


@PROTOCOLS
def test_blocking_client(ours: Address, protocol: int) -> None:
    with redis.Redis(port=ours.port, protocol=protocol, client_name="tester") as client:
        client.flushall()
        assert client.set("greeting", "hello")
        assert client.get("greeting") == b"hello"
        client.hset("h", mapping={"a": "1", "b": "2"})
        assert client.hgetall("h") == {b"a": b"1", b"b": b"2"}
        assert client.client_getname() in {"tester", b"tester"}
        assert client.info("server")["redis_version"] == "7.0.15"
        assert client.config_get("maxclients") == {"maxclients": "10000"}
        assert client.acl_whoami() in {"default", b"default"}
        assert client.command_count() > 150
        assert client.client_list()[0]["name"] == "tester"


@PROTOCOLS
def test_pipelines_and_transactions(ours: Address, protocol: int) -> None:
    with redis.Redis(port=ours.port, protocol=protocol) as client:
        client.set("n", 1)
        with client.pipeline() as pipe:
            pipe.watch("n")
            value = int(pipe.get("n"))
            client.set("n", 10)
            pipe.multi()
            pipe.set("n", value + 1)
            with pytest.raises(redis.WatchError):
                pipe.execute()
        assert client.pipeline().incr("n").incr("n").execute() == [11, 12]


@PROTOCOLS
def test_messages(ours: Address, protocol: int) -> None:
    with redis.Redis(port=ours.port, protocol=protocol) as client, client.pubsub() as listener:
        listener.psubscribe("news.*")
        assert listener.get_message(timeout=5)["type"] == "psubscribe"
        assert client.publish("news.tech", "hi") == 1
        message = listener.get_message(timeout=5)
        assert (message["channel"], message["data"]) == (b"news.tech", b"hi")


@PROTOCOLS
def test_asyncio_client(ours: Address, protocol: int) -> None:
    async def talk() -> list[object]:
        async with redis.asyncio.Redis(port=ours.port, protocol=protocol) as client:
            await client.delete("queue")
            waiting = asyncio.create_task(client.blpop(["queue"], timeout=5))
            await asyncio.sleep(0.05)
            await client.rpush("queue", "job")
            return [await waiting, await client.echo("x")]

    popped, echoed = asyncio.run(talk())
    assert list(popped) == [b"queue", b"job"]
    assert echoed == b"x"


def test_errors_are_those_of_redis(ours: Address) -> None:
    with redis.Redis(port=ours.port) as client:
        client.set("s", "text")
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            client.lpush("s", "x")
        client.config_set("requirepass", "secret")
        try:
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=ours.port).ping()
            with redis.Redis(port=ours.port, password="secret") as friend:
                assert friend.ping()
        finally:
            client.config_set("requirepass", "")
