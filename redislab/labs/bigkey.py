"""Moving one key between two servers, and who waits meanwhile.

MIGRATE packs a key, sends it, waits until the other server has it, and deletes it. Neither server
runs another command in its part of that, so whoever asks one of them waits (`migrateCommand` in
`src/cluster.c` of Redis 7.0). Here two clients ask all the time, one at either end, and tell how
long their worst answer took.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

import redis

from redislab.labs.single import SingleLab

Kind = Literal["list", "sorted set"]

KEY = "big"
ELEMENT_BYTES = 20
_BATCH = 10_000
_TIMEOUT_SECONDS = 60
_PAUSE_SECONDS = 0.001
_SETTLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Stall:
    """One key on its way; times in seconds.

    Attributes:
        world: of the servers.
        kind: of value.
        elements: how many it has, each with a name of 20 bytes.
        payload: its size in bytes as it is sent.
        took: the command.
        source: the longest wait of a client of the server that it left.
        target: likewise where it went.
    """

    world: str
    kind: Kind
    elements: int
    payload: int
    took: float
    source: float
    target: float


def move(kind: Kind, elements: int, *, world: str = "redis", **options: Any) -> Stall:
    """Fill a key, move it to another server, and measure who waits.

    Args:
        kind: of value.
        elements: how many it has, one at least.
        world: "live" or "redis". On the clock of `sim` no command takes any time.
        options: those of `SingleLab`, such as `own_process=True`.

    Raises:
        ValueError: the world has a clock on which nobody waits.
    """
    if world == "sim":
        raise ValueError("in 'sim' no command takes time: measure in 'live' or 'redis'")
    with SingleLab(world, **options) as here, SingleLab(world, **options) as there:
        client: Any = here.client(socket_timeout=_TIMEOUT_SECONDS)
        for words in _filling(kind, elements):
            client.execute_command(*words)
        payload = len(client.dump(KEY))
        with _Asker(here) as source, _Asker(there) as target:
            time.sleep(_SETTLE_SECONDS)
            source.worst = target.worst = 0.0
            began = time.perf_counter()
            client.migrate(there.node.host, there.node.port, KEY, 0, _TIMEOUT_SECONDS * 1000)
            took = time.perf_counter() - began
            time.sleep(_SETTLE_SECONDS)
    return Stall(world, kind, elements, payload, took, source.worst, target.worst)


def _filling(kind: Kind, elements: int) -> Iterator[list[Any]]:
    """The commands that make the key."""
    for begin in range(0, elements, _BATCH):
        numbers = range(begin, min(elements, begin + _BATCH))
        names = [f"{number:0{ELEMENT_BYTES}d}" for number in numbers]
        if kind == "list":
            yield ["RPUSH", KEY, *names]
        else:
            scored = [word for pair in zip(numbers, names, strict=True) for word in pair]
            yield ["ZADD", KEY, *scored]


class _Asker:
    """A client that asks PING about a thousand times a second, in a thread of its own.

    Attributes:
        worst: its longest wait so far, in seconds.
    """

    def __init__(self, lab: SingleLab) -> None:
        self.worst = 0.0
        self._client = redis.Redis(lab.node.host, lab.node.port, socket_timeout=_TIMEOUT_SECONDS)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._thread.join(_TIMEOUT_SECONDS)
        self._client.close()

    def _ask(self) -> None:
        while not self._stopped.wait(_PAUSE_SECONDS):
            began = time.perf_counter()
            self._client.ping()
            self.worst = max(self.worst, time.perf_counter() - began)
