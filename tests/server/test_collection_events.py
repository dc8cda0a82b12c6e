"""The keyspace events of collections: the same names in the same order as real Redis sends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import Address, Wire, our_server, real_server

pytestmark = pytest.mark.redis

END = b"__keyevent@0__:set"

CALLS: dict[str, list[str]] = {
    "lists": [
        "RPUSH l a b c d e f g",
        "LPUSH l z y",
        "LPUSHX l x",
        "LPUSHX none x",
        "RPUSHX l w",
        "LPOP l",
        "RPOP l 2",
        "LPOP l 0",
        "LSET l 0 q",
        "LINSERT l BEFORE q p",
        "LINSERT l BEFORE nosuch p",
        "LREM l 0 nosuch",
        "LREM l 0 p",
        "LTRIM l 0 100",
        "LTRIM l 0 2",
        "LMOVE l m LEFT RIGHT",
        "RPOPLPUSH l m",
        "LMOVE m m LEFT RIGHT",
        "BLPOP m 0",
        "BLMOVE m l LEFT LEFT 0",
        "LMPOP 1 l LEFT COUNT 10",
        "RPUSH l a a",
        "LREM l 0 a",
        "RPUSH l a",
        "LTRIM l 5 6",
    ],
    "hashes": [
        "HSET h a 1 b 2",
        "HMSET h c 3",
        "HSETNX h a 1",
        "HSETNX h d 1",
        "HINCRBY h n 5",
        "HINCRBYFLOAT h n 0.5",
        "HDEL h nosuch",
        "HDEL h a b",
        "HDEL h c d n",
    ],
    "sets": [
        "SADD s a b c d e",
        "SADD s a",
        "SREM s nosuch",
        "SREM s a",
        "SMOVE s t b",
        "SMOVE s t nosuch",
        "SMOVE t t b",
        "SPOP t",
        "SPOP s 0",
        "SINTERSTORE d s s",
        "SINTERSTORE d s none",
        "SUNIONSTORE d s none",
        "SDIFFSTORE d s none",
        "SDIFFSTORE d s s",
        "SDIFFSTORE d s s",
        "SPOP s 100",
        "SADD s a",
        "SREM s a",
    ],
    "sorted sets": [
        "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f",
        "ZADD z 1 a",
        "ZADD z XX 1 nosuch",
        "ZADD z INCR 1 a",
        "ZINCRBY z 0 a",
        "ZINCRBY z 1 a",
        "ZREM z nosuch",
        "ZREM z a",
        "ZPOPMIN z",
        "ZPOPMAX z 0",
        "ZPOPMAX z 1",
        "ZMPOP 1 z MIN",
        "BZPOPMIN z 0",
        "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f",
        "ZREMRANGEBYRANK z 0 0",
        "ZREMRANGEBYSCORE z 100 200",
        "ZREMRANGEBYSCORE z 2 2",
        "ZRANGESTORE d z 0 1",
        "ZRANGESTORE d z 100 101",
        "ZUNIONSTORE d 1 z",
        "ZINTERSTORE d 1 z",
        "ZDIFFSTORE d 2 z none",
        "ZDIFFSTORE d 2 z z",
        "ZDIFFSTORE d 2 z z",
        "ZREMRANGEBYRANK z 0 -1",
    ],
    "places": [
        "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
        "GEOADD g 13.361389 38.115556 Palermo",
        "GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km",
        "GEORADIUS g 15 37 200 km STORE d",
        "GEORADIUS g 15 37 1 m STORE d",
    ],
}


@pytest.fixture(scope="module")
def real() -> Iterator[Address]:
    with real_server() as address:
        yield address


@pytest.fixture(scope="module")
def ours() -> Iterator[Address]:
    with our_server() as address:
        yield address


def told(address: Address, lines: list[str]) -> list[str]:
    """What a subscriber of all events is told while these commands run, a line an event."""
    with Wire(address) as actor, Wire(address) as listener:
        actor.call(b"FLUSHALL")
        actor.call(b"CONFIG", b"SET", b"notify-keyspace-events", b"EA")
        listener.call(b"PSUBSCRIBE", b"__key*__:*")
        found = []
        for line in lines:
            actor.call(*line.encode().split())
            # A SET ends the events of a command, so that each is told apart from the next one's.
            actor.call(b"SET", b"end", line.encode())
            found.append(f"> {line}")
            while True:
                message = listener.read()
                assert message.items is not None
                channel, key = message.items[2].text, message.items[3].text
                if channel == END:
                    break
                found.append(f"{channel!r} {key!r}")
        return found


@pytest.mark.parametrize("family", CALLS)
def test_same_events(family: str, real: Address, ours: Address) -> None:
    assert told(ours, CALLS[family]) == told(real, CALLS[family])
