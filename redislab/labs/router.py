"""Read-write splitting: a client that writes to the master and reads from its replicas.

What is a read is decided by the server: `COMMAND INFO` names the commands that are `readonly`.
Everything else goes to the master, and so does a read when no replica answers.

`mixed_load` is many such clients at once, to find out how much such a division of work can do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import redis

from redislab.wire.replies import ReplyParser
from redislab.wire.resp import bulks
from redislab.worlds.base import NodeHandle

if TYPE_CHECKING:
    from redislab.labs.replication import ReplicationLab


class Router(redis.Redis):
    """A redis-py client over several connections; commands are methods as in `redis.Redis`.

    A pipeline and a subscription go to the master.

    Args:
        master: the client that takes the writes.
        replicas: the clients that take the reads, in turn.

    Attributes:
        sent: how many commands each node was sent: "master", "replica 1" ...
    """

    def __init__(self, master: redis.Redis, replicas: Sequence[redis.Redis]) -> None:
        super().__init__(connection_pool=master.connection_pool)
        self.master: Any = master
        self.replicas: list[Any] = list(replicas)
        self.sent: dict[str, int] = {"master": 0}
        self.sent |= {f"replica {number}": 0 for number in range(1, len(replicas) + 1)}
        self._reads = _read_commands(self.master)
        self._turn = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command where it belongs."""
        if str(args[0]).split()[0].lower() in self._reads:
            for _ in self.replicas:
                number = self._turn % len(self.replicas)
                self._turn += 1
                try:
                    reply = self.replicas[number].execute_command(*args, **options)
                except (redis.ConnectionError, redis.TimeoutError):
                    continue
                self.sent[f"replica {number + 1}"] += 1
                return reply
        self.sent["master"] += 1
        return self.master.execute_command(*args, **options)

    def close(self) -> None:
        """Close the connections to all nodes."""
        for client in (self.master, *self.replicas):
            client.close()

    def __repr__(self) -> str:
        shares = ", ".join(f"{name}: {count}" for name, count in self.sent.items())
        return f"<Router {shares}>"


def _read_commands(client: Any) -> frozenset[str]:
    """The names of the commands that only read, as the server tells."""
    rows = client.execute_command("COMMAND")
    found = rows.values() if isinstance(rows, dict) else rows
    return frozenset(_name(row) for row in found if "readonly" in _flags(row))


def _name(row: Any) -> str:
    name = row["name"] if isinstance(row, dict) else row[0]
    return name.decode() if isinstance(name, bytes) else str(name)


def _flags(row: Any) -> set[str]:
    flags = row["flags"] if isinstance(row, dict) else row[2]
    return {flag.decode() if isinstance(flag, bytes) else str(flag) for flag in flags}


@dataclass(frozen=True, slots=True)
class MixedLoad:
    """What clients got done that write to the master and read from the replicas.

    Attributes:
        seconds: how long they were at it, on the lab's clock.
        sent: requests that were answered, by node.
    """

    seconds: float
    sent: Mapping[str, int]

    @property
    def throughput(self) -> float:
        """Requests a second, of all nodes together."""
        return sum(self.sent.values()) / self.seconds


def mixed_load(
    lab: ReplicationLab,
    writes: float,
    *,
    clients: int = 100,
    seconds: float = 0.05,
    warm_up: float = 0.01,
) -> MixedLoad:
    """Let clients send one request after the other: a share to the master, the rest to replicas.

    It is for the simulated world, where clients cost nothing. Elsewhere it measures this program.

    Args:
        lab: a master and its replicas.
        writes: the share of SET among the requests, 0 to 1; the others are GET.
        clients: how many there are, each with a connection to every node.
        seconds: how long to count, on the lab's clock.
        warm_up: how long to wait before that, until clients stand in line where the line is.
    """
    replicas = [handle.name for handle in lab.replicas]
    times = (seconds, warm_up)
    return lab.run(_mixed_load(lab, lab.master.name, replicas, writes, clients, *times))


async def _mixed_load(
    lab: ReplicationLab,
    master: str,
    replicas: Sequence[str],
    writes: float,
    clients: int,
    seconds: float,
    warm_up: float,
) -> MixedLoad:
    loop = asyncio.get_running_loop()
    sent = dict.fromkeys([master, *replicas], 0)
    lines = [{name: await _Line.open(lab.find(name)) for name in sent} for _ in range(clients)]
    begins = loop.time() + warm_up
    ends = begins + seconds

    async def client(number: int) -> None:
        random = Random(f"mixed load/{lab.seed}/{number}")
        while loop.time() < ends:
            is_write = random.random() < writes
            name = master if is_write else replicas[random.randrange(len(replicas))]
            words = (b"SET", b"mixed", b"xxx") if is_write else (b"GET", b"mixed")
            await lines[number][name].ask(words)
            if begins <= loop.time() <= ends:
                sent[name] += 1

    await asyncio.gather(*(client(number) for number in range(clients)))
    for line in lines:
        for each in line.values():
            each.close()
    return MixedLoad(seconds, sent)


class _Line:
    """A bare connection on which one request waits for one reply."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = ReplyParser()

    @classmethod
    async def open(cls, node: NodeHandle) -> _Line:
        return cls(*await asyncio.open_connection(node.host, node.port))

    async def ask(self, words: Sequence[bytes]) -> None:
        self._writer.write(bulks(words))
        while not self._parser.feed(await self._reader.read(65536)):
            continue

    def close(self) -> None:
        self._writer.close()
