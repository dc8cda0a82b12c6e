"""A client that asks through a proxy at a steady rate, and knows what became of each request.

It is a stock redis-py client. What it asks is one of three things: it writes keys, it reads them,
or it uses the shards as a cache: it reads a key, and where nothing is there it gets the value from
elsewhere and writes it. Nothing is tried again behind its back, so that whatever a proxy answers is
seen here, with its words.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Any, Literal

import redis

from redislab.worlds.base import CLIENT
from redislab.worlds.tasks import end_task

if TYPE_CHECKING:
    from redislab.labs.ring import RingLab

Kind = Literal["set", "get", "cache"]
KINDS: tuple[Kind, ...] = ("set", "get", "cache")
VALUE = "x" * 100


@dataclass(slots=True)
class Request:
    """One request.

    Attributes:
        key: its key.
        shard: the shard that has the key while none is ejected.
        sent: when it was sent, in seconds of the lab's clock.
        ended: when the reply came, or the client gave up; None while it waits.
        ok: whether the reply was none of errors.
        hit: whether there was a value; None for a write, and if no reply came.
        error: what the client got to see instead.
    """

    key: str
    shard: str
    sent: float
    ended: float | None = None
    ok: bool = False
    hit: bool | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """What a client saw in a stretch of time, by when its requests ended.

    Attributes:
        since: seconds of the lab's clock.
        until: likewise.
        answered: requests with a reply that was no error.
        hits: replies with a value.
        misses: replies that there is none.
        errors: how often it saw which error.
    """

    since: float
    until: float
    answered: int
    hits: int
    misses: int
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Requests that ended in an error."""
        return sum(self.errors.values())

    @property
    def hit_rate(self) -> float | None:
        """The share of hits; None if nothing was read."""
        read = self.hits + self.misses
        return self.hits / read if read else None


class Load:
    """A client that asks, until it is stopped.

    Args:
        lab: whose proxy it asks.
        name: of the client.
        kind: "set", "get" or "cache".
        rate: requests a second, of all connections; after a silence it does not make up for what
            it could not ask.
        keys: the keys to ask for; None is a new one for each request, which begins with its name.
        zipf: how uneven they are asked for: the n-th of them 1/n**zipf as often as the first.
        clients: how many connections it asks on, one request at a time on each.
        proxy: which proxy it asks.
        at: the host that it lives on.
        options: redis-py's.

    Attributes:
        requests: all it asked, in order.
    """

    def __init__(
        self,
        lab: RingLab,
        name: str,
        *,
        kind: Kind,
        rate: float,
        keys: Sequence[str] | None,
        zipf: float,
        clients: int,
        proxy: str,
        at: str = CLIENT,
        **options: Any,
    ) -> None:
        self.name = name
        self.kind = kind
        self.requests: list[Request] = []
        self._lab = lab
        self._rate = rate
        self._draw = _drawer(Random(f"{name}/{lab.seed}"), keys, zipf)
        self._clients: list[Any] = [
            lab.async_client(proxy, at=at, retry=lab.no_retry(), **options) for _ in range(clients)
        ]
        self._tasks: list[asyncio.Task[None]] = []
        lab.run(self._start())

    def __repr__(self) -> str:
        state = f"{self._rate:g} requests a second" if self._tasks else "stopped"
        return (
            f"<{type(self).__name__} {self.name}, {state}: {len(self.requests)} requests,"
            f" {len(self.failed)} failed>"
        )

    @property
    def answered(self) -> list[Request]:
        """Those with a reply that was no error."""
        return [request for request in self.requests if request.ok]

    @property
    def failed(self) -> list[Request]:
        """Those that ended in an error."""
        return [each for each in self.requests if each.ended is not None and not each.ok]

    @property
    def errors(self) -> dict[str, int]:
        """How often the client got to see which error, the most frequent first."""
        return dict(Counter(request.error for request in self.failed).most_common())

    def over_time(self, every: float = 1.0, since: float | None = None) -> list[Interval]:
        """What the client saw, in stretches of one length.

        Args:
            every: that length, in seconds.
            since: when the first begins; None is with the first request.

        Raises:
            ValueError: the length is none.
        """
        if not every > 0:
            raise ValueError(f"every is a number of seconds above zero, not {every}")
        ended = [each for each in self.requests if each.ended is not None]
        if not ended:
            return []
        begin = self.requests[0].sent if since is None else since
        groups: dict[int, list[Request]] = {}
        for request in ended:
            assert request.ended is not None, "those that wait are left out"
            groups.setdefault(int((request.ended - begin) // every), []).append(request)
        return [
            _interval(begin + place * every, every, groups.get(place, []))
            for place in range(max(0, min(groups)), max(groups) + 1)
        ]

    def stop(self) -> None:
        """Ask no more. May be called again."""
        if self._tasks:
            self._lab.run(self._stop())

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        pause = len(self._clients) / self._rate
        self._tasks = [
            loop.create_task(
                self._run(client, pause, pause * place / len(self._clients)), name=self.name
            )
            for place, client in enumerate(self._clients)
        ]

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await end_task(task)
        for client in self._clients:
            await client.aclose()

    async def _run(self, client: Any, pause: float, first: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(first)
        due = loop.time()
        while True:
            await self._ask(client)
            due = max(due + pause, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _ask(self, client: Any) -> None:
        key = self._draw() or f"{self.name}:{len(self.requests)}"
        request = Request(key, self._lab.owner(key).name, self._lab.now)
        self.requests.append(request)
        try:
            if self.kind == "set":
                await client.set(key, VALUE)
            else:
                request.hit = await client.get(key) is not None
                if self.kind == "cache" and not request.hit:
                    await client.set(key, VALUE)
        except (redis.RedisError, OSError) as failure:
            request.error = _words(failure)
        else:
            request.ok = True
        request.ended = self._lab.now


def _drawer(random: Random, keys: Sequence[str] | None, zipf: float) -> Callable[[], str]:
    """What gives the next key; an empty one where each is new."""
    if keys is None:
        return str
    weights = list(accumulate(1 / (place**zipf) for place in range(1, len(keys) + 1)))
    return lambda: random.choices(keys, cum_weights=weights)[0]


def _words(failure: BaseException) -> str:
    """What a client gets to see: a proxy's own words, or what happened to the connection."""
    if isinstance(failure, redis.ResponseError):
        return str(failure)
    return f"{type(failure).__name__}: {failure}"


def _interval(since: float, every: float, ended: Sequence[Request]) -> Interval:
    return Interval(
        since,
        since + every,
        answered=sum(each.ok for each in ended),
        hits=sum(each.hit is True for each in ended),
        misses=sum(each.hit is False for each in ended),
        errors=dict(Counter(each.error for each in ended if not each.ok).most_common()),
    )
