"""A failover by hand: a client that knows one address only, and what a person does to its servers.

The client writes numbered keys to the address that it was given, as a program does whose
configuration names one server. When that server dies its writes fail until a person points it at
another one. Every write is a key of its own with its number as the value, so the data of the server
that takes the writes in the end say which acknowledged ones are left: the others are lost.

What the person did, and when, is a list of `Step`; how it went is a `Run`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from redislab.labs.base import Named
from redislab.labs.replication import ReplicationLab
from redislab.labs.writer import Write, values_of
from redislab.worlds.base import OBSERVER
from redislab.worlds.tasks import end_task

TIMEOUT_SECONDS = 0.5  # how long the client waits for an answer or a connection
SETTLE_SECONDS = 30.0  # how long the servers may take to be in step


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done by hand.

    Attributes:
        time: when, in seconds of the lab's clock.
        what: "kill", "look", "promote", "follow", "point" ...
        node: to which server; "" for all.
        detail: the other server of it; "" for none.
    """

    time: float
    what: str
    node: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """How a failover by hand went, as the client saw it.

    Attributes:
        began: when it began, in seconds of the lab's clock.
        master: the server that failed.
        heir: the server that takes the client's writes in the end.
        downtime: the longest time between two acknowledged writes, in seconds.
        acknowledged: how many writes were.
        failures: how many failed, by what went wrong.
        lost: the keys of acknowledged writes that are gone, in order.
        steps: what was done.
    """

    began: float
    master: str
    heir: str
    downtime: float
    acknowledged: int
    failures: Mapping[str, int]
    lost: tuple[str, ...]
    steps: tuple[Step, ...] = ()

    @property
    def failed(self) -> int:
        """How many writes failed."""
        return sum(self.failures.values())

    def seconds_to(self, what: str) -> float:
        """How long after its beginning a step was first taken.

        Raises:
            LookupError: it never was.
        """
        for step in self.steps:
            if step.what == what:
                return step.time - self.began
        raise LookupError(f"nobody did {what!r} in this run")


class FixedWriter:
    """A client that writes to one address until it is given another one, or is stopped.

    It waits `TIMEOUT_SECONDS` for an answer, and does not try a write again that has failed.

    Args:
        lab: whose servers it writes to.
        node: the server at its address.
        name: its keys begin with it.
        rate: writes a second; after a silence it does not make up for what it could not write.

    Attributes:
        writes: all it wrote, in order; `error` of each is one of the words of `what_failed`.
        address: the name of the server at its address.
    """

    def __init__(
        self, lab: ReplicationLab, node: Named, *, name: str = "order", rate: float = 25.0
    ) -> None:
        self.name = name
        self.writes: list[Write] = []
        self.address = lab.find(node).name
        self._lab = lab
        self._rate = rate
        self._client: Any = self._client_of(self.address)
        self._task: asyncio.Task[None] | None = None
        lab.run(self._start())

    @property
    def acknowledged(self) -> list[Write]:
        """Those that were acknowledged."""
        return [write for write in self.writes if write.acknowledged]

    @property
    def failures(self) -> Counter[str]:
        """How many writes failed, by what went wrong: they may have been written all the same."""
        return failures_of(self.writes)

    def point_at(self, node: Named) -> None:
        """Give it another address."""
        self._lab.run(self._point_at(self._lab.find(node).name))

    def stop(self) -> None:
        """Write no more. May be called again."""
        if self._task is not None:
            self._lab.run(self._stop())

    def missing(self, node: Named | None = None, *, since: float = 0.0) -> list[Write]:
        """The acknowledged writes that a server does not have.

        Args:
            node: which one; None is the one at the client's address.
            since: only those sent from then on, in seconds of the lab's clock.

        Raises:
            redis.RedisError: the server does not answer.
        """
        where = self.address if node is None else node
        wanted = [write for write in self.acknowledged if write.sent >= since]
        with self._lab.client(where, at=OBSERVER, decode_responses=True) as client:
            found = values_of(client, [write.key for write in wanted])
        return [
            write for write, value in zip(wanted, found, strict=True) if value != str(write.number)
        ]

    def _client_of(self, node: str) -> redis.asyncio.Redis:
        return self._lab.async_client(
            node,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    async def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self.name)

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            await end_task(task)
            await self._client.aclose()

    async def _point_at(self, node: str) -> None:
        before, self._client = self._client, self._client_of(node)
        self.address = node
        await before.aclose()

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
        address, client = self.address, self._client
        try:
            await client.set(write.key, number)
        except (redis.RedisError, OSError) as failure:
            write.error = what_failed(failure)
        else:
            write.acknowledged = True
            write.node = address
        write.ended = self._lab.now


def settle(lab: ReplicationLab, master: Named) -> None:
    """Write a key to the master, and wait until every other server has it.

    A link that has just come up carries nothing yet: a master starts to send a replica what is
    written when that one first confirms what it has, which it does once a second.

    Raises:
        TimeoutError: some server did not get it in time.
    """
    with lab.client(master, at=OBSERVER) as client:
        client.set("settled", f"{lab.now:.3f}")
    lab.wait_until(
        lambda now: now.in_sync and all(each.master == str(master) for each in now.followers),
        timeout=SETTLE_SECONDS,
    )


def what_failed(failure: BaseException) -> str:
    """Why a write failed, in a word or two that do not depend on addresses."""
    text = str(failure)
    if isinstance(failure, redis.ReadOnlyError):
        return "READONLY"
    if isinstance(failure, redis.TimeoutError | TimeoutError):
        return "timeout"
    if "refused" in text or "Connect call failed" in text:
        return "connection refused"
    if isinstance(failure, redis.ResponseError):
        return text.split(" ", 1)[0]
    return "connection broken"


def failures_of(writes: Sequence[Write]) -> Counter[str]:
    """How many of these writes failed, by what went wrong."""
    return Counter(
        write.error for write in writes if write.ended is not None and not write.acknowledged
    )


def longest_silence(writes: Sequence[Write], now: float) -> tuple[float, float]:
    """When the longest time without an acknowledged write began and ended, in seconds.

    A silence that goes on ends now; it counts only if a write has failed in it.

    Args:
        writes: in order, the first of them acknowledged.
        now: the lab's clock.
    """
    ended = [write.ended for write in writes if write.acknowledged and write.ended is not None]
    if not ended:
        return (now, now)
    if writes[-1].ended is not None and not writes[-1].acknowledged:
        ended.append(now)
    pairs = list(pairwise(ended))
    return max(pairs, key=lambda pair: pair[1] - pair[0], default=(ended[0], ended[0]))


def silent_since(writes: Sequence[Write]) -> float | None:
    """When the last write was acknowledged, if the latest one that ended has failed; else None."""
    done = [write for write in writes if write.ended is not None]
    if not done or done[-1].acknowledged:
        return None
    return next((write.ended for write in reversed(done) if write.acknowledged), done[0].sent)


def run_of(
    writer: FixedWriter,
    master: Named,
    *,
    began: float,
    since: float = 0.0,
    steps: Sequence[Step] = (),
) -> Run:
    """How it went for a client, by the data of the server at its address now.

    Args:
        writer: which client.
        master: the server that failed.
        began: when it did, in seconds of the lab's clock.
        since: which of the client's writes count: those sent from then on.
        steps: what was done.

    Raises:
        redis.RedisError: the server at the client's address does not answer.
    """
    mine = [write for write in writer.writes if write.sent >= since and write.ended is not None]
    begin, end = longest_silence(mine, mine[-1].ended or 0.0) if mine else (began, began)
    return Run(
        began=began,
        master=str(master),
        heir=writer.address,
        downtime=end - begin,
        acknowledged=sum(write.acknowledged for write in mine),
        failures=dict(failures_of(mine)),
        lost=tuple(write.key for write in writer.missing(since=since)),
        steps=tuple(steps),
    )
