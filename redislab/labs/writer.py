"""A client that writes numbered keys through failovers, and knows what became of each write.

It is a stock redis-py client that asks the Sentinels who the master is. Every write is a key of its
own with its number as the value, so the data of the master at the end say which acknowledged writes
are left. What was lost, was lost in one of the ways that the documentation of Sentinel and of
replication admits, or something is wrong; which way it was, follows from who acknowledged the
write, and from when which server became the master, as the servers' logs tell.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import redis

from redislab.worlds.base import CLIENT, OBSERVER, LogLine
from redislab.worlds.tasks import end_task

if TYPE_CHECKING:
    from redislab.labs.sentinel import SentinelLab

Reason = Literal["split brain", "asynchronous replication", "power failure", "unexplained"]

_PROMOTED = re.compile(r"\d+:[A-Z] [^*#]*[*#] MASTER MODE enabled")
_DEMOTED = re.compile(r"\d+:[A-Z] [^*#]*[*#] REPLICAOF (\S+) enabled")
_BATCH = 500  # keys that are read at once


@dataclass(slots=True)
class Write:
    """One write.

    Attributes:
        key: its key; the value is the number.
        number: counted from 0.
        sent: when it was sent first, in seconds of the lab's clock.
        ended: when the reply came, or the client gave up; None while it waits.
        acknowledged: whether the reply was OK.
        node: the name of the server that acknowledged it.
        error: what went wrong.
    """

    key: str
    number: int
    sent: float
    ended: float | None = None
    acknowledged: bool = False
    node: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Reign:
    """A server is the master.

    Attributes:
        since: since when, in seconds of the lab's clock.
        node: which one.
        until: when it was told to follow another one; infinity if it never was.
        then: which one; empty if it never was.
    """

    since: float
    node: str
    until: float = float("inf")
    then: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """An acknowledged write that is gone.

    Attributes:
        key: its key.
        acknowledged: when, in seconds of the lab's clock.
        node: by which server.
        reason: which of the known ways it was lost in.
        successor: the server that took the place of that one; empty for none.
        since: since when.
    """

    key: str
    acknowledged: float
    node: str
    reason: Reason
    successor: str = ""
    since: float = 0.0

    def __str__(self) -> str:
        what = f"{self.key}, acknowledged by {self.node} at {self.acknowledged:.3f} s"
        if self.reason == "split brain":
            return f"{what}: split brain, {self.successor} was the master since {self.since:.3f} s"
        if self.reason == "asynchronous replication":
            return (
                f"{what}: asynchronous replication, it was not yet at {self.successor}, promoted"
                f" at {self.since:.3f} s"
            )
        return f"{what}: {self.reason}"


class Writer:
    """A client that writes, until it is stopped.

    Args:
        lab: whose Sentinels it asks.
        name: of the writer: its keys begin with it.
        rate: writes a second; after a silence it does not make up for what it could not write.
        at: the host that it lives on.
        options: of the client; see `SentinelLab.async_client`.

    Attributes:
        writes: all it wrote, in order.
    """

    def __init__(
        self, lab: SentinelLab, name: str, *, rate: float, at: str = CLIENT, **options: Any
    ) -> None:
        self.name = name
        self.writes: list[Write] = []
        self._lab = lab
        self._rate = rate
        self._names = {(node.host, node.port): node.name for node in lab.nodes.values()}
        self._client: Any = lab.async_client(at=at, **options)
        self._task: asyncio.Task[None] | None = None
        lab.run(self._start())

    def __repr__(self) -> str:
        state = "stopped" if self._task is None else f"{self._rate:g} writes a second"
        return (
            f"<{type(self).__name__} {self.name}, {state}:"
            f" {len(self.acknowledged)} of {len(self.writes)} acknowledged>"
        )

    @property
    def acknowledged(self) -> list[Write]:
        """Those that were acknowledged."""
        return [write for write in self.writes if write.acknowledged]

    @property
    def failed(self) -> list[Write]:
        """Those that were not: they may have been written all the same."""
        return [
            write for write in self.writes if write.ended is not None and not write.acknowledged
        ]

    def stop(self) -> None:
        """Write no more. May be called again."""
        if self._task is not None:
            with self._lab.doing("stop", self.name):
                self._lab.run(self._stop())

    def missing(self) -> list[Write]:
        """The acknowledged writes that the master of this moment does not have.

        Raises:
            redis.RedisError: the master does not answer.
        """
        wanted = self.acknowledged
        with self._lab.doing("find_lost", self.name):
            client = self._lab.client(at=OBSERVER, decode_responses=True)
            found = values_of(client, [write.key for write in wanted])
        return [
            write for write, value in zip(wanted, found, strict=True) if value != str(write.number)
        ]

    def lost(self) -> list[Lost]:
        """The acknowledged writes that are gone, each with the way in which it was lost."""
        reigns = self._lab.reigns()
        return [explain(write, reigns) for write in self.missing()]

    async def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self.name)

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            await end_task(task)
            await self._client.aclose()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._write()
            due = max(due + 1 / self._rate, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _write(self) -> None:
        number = len(self.writes)
        write = Write(f"{self.name}:{number}", number, self._lab.now)
        self.writes.append(write)
        try:
            await self._client.set(write.key, number)
        except (redis.RedisError, OSError) as failure:
            write.error = f"{type(failure).__name__}: {failure}"
        else:
            write.acknowledged = True
            address = self._client.connection_pool.master_address
            write.node = self._names.get(address, "?")
        write.ended = self._lab.now


def values_of(client: redis.Redis, keys: Sequence[str]) -> list[Any]:
    """The values of very many keys, some at a time, so that nobody waits long for the answer."""
    reader: Any = client
    return [
        value
        for begin in range(0, len(keys), _BATCH)
        for value in reader.mget(keys[begin : begin + _BATCH])
    ]


def reigns_of(
    first: str,
    logs: Mapping[str, Sequence[LogLine]],
    promotions: Iterable[tuple[float, str]],
    names: Mapping[str, str],
) -> list[Reign]:
    """Who became the master when.

    A server logs that it is a master from now on, but not if it was one already: an old master
    that has come back can be promoted before anybody has told it that it is none any more.

    Args:
        first: the master at the beginning.
        logs: the lines of each server's log.
        promotions: when a Sentinel has seen its promotion done, and of which server.
        names: of the servers by their addresses.
    """
    told = [Reign(0.0, first)]
    for name, lines in logs.items():
        told += [Reign(line.time, name) for line in lines if _PROMOTED.match(line.text)]
    found: list[Reign] = []
    seen = [Reign(time, name) for time, name in promotions]
    for reign in sorted([*told, *seen], key=lambda each: each.since):
        if not found or found[-1].node != reign.node:
            found.append(reign)
    return [_with_end(reign, logs[reign.node], names) for reign in found]


def _with_end(reign: Reign, lines: Sequence[LogLine], names: Mapping[str, str]) -> Reign:
    for line in lines:
        demoted = _DEMOTED.match(line.text) if line.time > reign.since else None
        if demoted is not None:
            return replace(reign, until=line.time, then=names.get(demoted[1], demoted[1]))
    return reign


def explain(write: Write, reigns: Sequence[Reign]) -> Lost:
    """In which of the known ways an acknowledged write was lost.

    The server that acknowledged it was told later to follow another one. If that one was the master
    already at the time of the write, it is a split brain; if not, the write was not there when it
    became the master. A server that was never told so has died, and another one took its place.
    """
    assert write.ended is not None, "it was acknowledged"
    lost = Lost(write.key, write.ended, write.node, "unexplained")
    mine = [at for at, each in enumerate(reigns) if each.node == write.node]
    mine = [at for at in mine if reigns[at].since <= write.ended]
    if not mine:
        return lost
    reign = reigns[mine[-1]]
    followed = [each for each in reigns if each.node == reign.then and each.since <= reign.until]
    later = [each for each in reigns[mine[-1] + 1 :] if each.node != write.node]
    if not (followed or later):
        return lost
    successor = followed[-1] if followed else later[0]
    known = replace(lost, successor=successor.node, since=successor.since)
    if successor.since <= write.ended:
        return replace(known, reason="split brain")
    return replace(known, reason="asynchronous replication")
