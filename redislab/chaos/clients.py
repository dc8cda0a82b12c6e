"""A client that reads back what others have written, throughout a schedule.

What it reads from the master may be missing, for acknowledged writes can be lost; it is never
anything else than what was written.
"""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import Any

import redis

from redislab.labs.sentinel import SentinelLab
from redislab.labs.writer import Writer
from redislab.worlds.tasks import end_task


class Reader:
    """Reads at random what a writer was acknowledged, until it is stopped.

    Args:
        lab: whose Sentinels it asks.
        writer: whose writes it reads.
        rate: reads a second.
        at: the host that it lives on.

    Attributes:
        reads: how many were answered.
        missing: how many of them found nothing.
        wrong: what was found that nobody has written: key and value.
    """

    def __init__(self, lab: SentinelLab, writer: Writer, *, rate: float, at: str) -> None:
        self.reads = self.missing = 0
        self.wrong: list[tuple[str, str]] = []
        self._lab = lab
        self._writer = writer
        self._rate = rate
        self._random = Random(f"reader/{at}/{lab.seed}")
        self._client: Any = lab.async_client(at=at, decode_responses=True)
        self._task: asyncio.Task[None] | None = None
        lab.run(self._start())

    def stop(self) -> None:
        """Read no more."""
        self._lab.run(self._stop())

    async def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="reader")

    async def _stop(self) -> None:
        assert self._task is not None, "it was started"
        await end_task(self._task)
        await self._client.aclose()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(self._rate))
            writes = self._writer.writes
            if not writes:
                continue
            write = self._random.choice(writes)
            if not write.acknowledged:
                continue
            with contextlib.suppress(redis.RedisError, OSError):
                value = await self._client.get(write.key)
                self.reads += 1
                if value is None:
                    self.missing += 1
                elif value != str(write.number):
                    self.wrong.append((write.key, value))
