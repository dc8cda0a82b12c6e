"""Where nutcracker places keys and where we do: sets of servers and keys to try, and what differs.

Sets of servers are chosen for what can go wrong: weights whose shares no float has, labels of all
kinds, servers too light for a point, one server, many. Keys are of all lengths up to some 200
bytes: words, binary ones, and such with all sorts of hash tags.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from redislab.ring.hashes import HASHES
from redislab.ring.placement import Placement
from redislab.ring.servers import Server
from tests.ring.nutcracker import (
    Backends,
    Pool,
    answers,
    free_servers,
    running,
    servers_without_ports,
)

KEY_COUNT = 2000
UNEVEN = (4, 6, 10, 4, 11, 17, 14, 17, 7, 10)
SETS = (
    *("three", "uneven weights", "names", "port 11211", "one", "forty", "sockets"),
    *("light and heavy", "names that are cut", "equals that have fewer points"),
)
TAGS = {"three": "{}", "uneven weights": "$$", "forty": "{}", "sockets": "}{"}


class Difference(NamedTuple):
    """A key that one puts elsewhere than the other."""

    key: bytes
    hash: str
    distribution: str
    ours: Server
    theirs: Server


def set_of_servers(name: str, folder: Path) -> list[Server]:
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


def named(*names: str) -> list[Server]:
    servers = free_servers(len(names), weights=(1, 2, 3))
    return [
        Server(server.host, server.port, server.weight, name)
        for server, name in zip(servers, names, strict=True)
    ]


def keys(seed: str) -> list[bytes]:
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


def differences(name: str, folder: Path) -> tuple[int, list[Difference]]:
    """Ask nutcracker and ourselves for the keys of a set, with all hashes.

    Returns:
        How many keys were asked for, and which of them differ; `Placement.owner` and
        `Placement.indexes_of` are both held against it.
    """
    servers = set_of_servers(name, folder)
    pools = [
        Pool(servers, hash_name, distribution, TAGS.get(name, ""))
        for hash_name in HASHES
        for distribution in ("ketama", "modula")
    ]
    asked = keys(name)
    found = []
    for pool, numbers in zip(pools, asyncio.run(_ask(servers, pools, asked)), strict=True):
        placement = Placement(
            servers, hash=pool.hash, distribution=pool.distribution, hash_tag=pool.hash_tag
        )
        in_bulk = placement.indexes_of(asked)
        for key, number, index in zip(asked, numbers, in_bulk, strict=True):
            for ours in {placement.owner(key), placement.servers[index]}:
                if ours != servers[number]:
                    difference = Difference(
                        key, pool.hash, pool.distribution, ours, servers[number]
                    )
                    found.append(difference)
    return len(pools) * len(asked), found


async def _ask(
    servers: Sequence[Server], pools: Sequence[Pool], asked: Sequence[bytes]
) -> list[list[int]]:
    backends = Backends()
    await backends.listen(servers)
    try:
        async with running(pools) as sockets:
            return await asyncio.gather(*(answers(socket, asked) for socket in sockets))
    finally:
        backends.close()
