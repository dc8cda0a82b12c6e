"""How to end tasks for sure.

A task may miss that it was canceled: `asyncio.wait_for` of Python 3.11 returns a result that came
at the same moment, and lets the cancellation go. redis-py waits so for each of its writes, so now
and then a client's loop went on as if nothing had been said, and whoever waited for its end waited
for good.
"""

from __future__ import annotations

import asyncio
from typing import Any

# After so long a task is told again.
AGAIN_SECONDS = 0.05


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it is over; raises what it ended of, if that is anything else."""
    await _cancel({task})
    if not task.cancelled():
        task.result()


async def end_tasks(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel tasks until each is over, whatever they end of."""
    await _cancel(tasks)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    left = tasks
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
