"""Each key's server is the one that real nutcracker sends it to, for all hashes and distributions.

Sets of servers are chosen for what can go wrong: weights whose shares no float has, labels of all
kinds, servers too light for a point, one server, many. Keys are of all lengths up to some 200
bytes, words, binary ones, and such with all sorts of hash tags.
"""

import asyncio
from random import Random

import pytest

from redislab.ring.hashes import HASHES
from redislab.ring.placement import Placement
from redislab.ring.servers import Server
from tests.ring.nutcracker import (
    Backends,
    Pool,
    answers,
    free_servers,
    nutcracker,
    running,
    servers_without_ports,
)

pytestmark = pytest.mark.nutcracker
KEY_COUNT = 2000
UNEVEN = (4, 6, 10, 4, 11, 17, 14, 17, 7, 10)


@pytest.fixture(scope="module", autouse=True)
def _there():
    nutcracker()


def keys(seed):
    random = Random(seed)
    found = [b"", b"{}", b"{", b"}{", b"a{}b{c}", b"{{}}", b"$$", b"$", b"a$b$c$d$", b"{x}{y}"]
    found += [b"key:%d" % number for number in range(600)]
    found += [b"\xff" * length for length in range(1, 17)]
    found += ["ключ-ß-鍵-%d".encode() % number for number in range(300)]
    found += [b"user{%d}:%d" % (number % 50, number) for number in range(200)]
    found += [b"a$%d$%d" % (number % 50, number) for number in range(100)]
    found += [b"\xe9{\x80%d\x00}\r\n" % number for number in range(100)]
    while len(found) < KEY_COUNT:
        found.append(random.randbytes(random.choice((1, 2, 3, 5, 8, 13, 40, 200))))
    return found


def named(*names):
    servers = free_servers(len(names), weights=(1, 2, 3))
    return [
        Server(server.host, server.port, server.weight, name)
        for server, name in zip(servers, names, strict=True)
    ]


TAGS = {"three": "{}", "uneven weights": "$$", "forty": "{}", "sockets": "}{"}


def set_of_servers(name, folder):
    match name:
        case "three":
            return free_servers(3)
        case "uneven weights":
            return free_servers(10, weights=UNEVEN)
        case "names":
            return named("m", "größer", "zz", "aa", "鍵", "server-with-a-long-name", "b", "a-0")
        case "port 11211":
            return servers_without_ports(5)
        case "one":
            return free_servers(1)
        case "forty":
            return free_servers(40, weights=(1, 1, 2, 5))
        case "sockets":
            return [Server(f"{folder}/{number}", 0, number) for number in range(1, 5)]
        case "light and heavy":
            return free_servers(5, weights=(1, 70, 9000, 3, 211))
        case "names that are cut":
            return named("x" * 269, "x" * 270, "y" * 271, "z" * 400)
        case "equals that have fewer points":
            return free_servers(25)
    raise AssertionError(name)


SETS = (
    *("three", "uneven weights", "names", "port 11211", "one", "forty", "sockets"),
    *("light and heavy", "names that are cut", "equals that have fewer points"),
)


@pytest.mark.parametrize("name", SETS)
def test_keys_are_where_nutcracker_puts_them(name, tmp_path):
    servers = set_of_servers(name, tmp_path)
    tag = TAGS.get(name, "")
    pools = [
        Pool(servers, hash_name, distribution, tag)
        for hash_name in HASHES
        for distribution in ("ketama", "modula")
    ]
    asked = keys(name)
    told = asyncio.run(ask(servers, pools, asked))
    for pool, numbers in zip(pools, told, strict=True):
        placement = Placement(servers, hash=pool.hash, distribution=pool.distribution, hash_tag=tag)
        elsewhere = [
            key
            for key, number in zip(asked, numbers, strict=True)
            if placement.owner(key) != servers[number]
        ]
        assert elsewhere == [], f"{len(elsewhere)} keys with {pool.hash}, {pool.distribution}"


async def ask(servers, pools, asked):
    backends = Backends()
    await backends.listen(servers)
    try:
        async with running(pools) as sockets:
            return await asyncio.gather(*(answers(socket, asked) for socket in sockets))
    finally:
        backends.close()
