"""Who waits for what: the text of a deadlock, for the person who has to find it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redislab.worlds.sim.loop import SimLoop

TASKS_MAX = 20
_ASYNCIO = str(Path(asyncio.__file__).parent)


def who_waits(loop: SimLoop, reason: str) -> str:
    """Name each task that is not done, its host, where it stands, and what it waits on."""
    waiting = [(task, owner) for task, owner in loop._task_processes.items() if not task.done()]
    lines = [f"deadlock at {loop.now:.6f} s: {reason}, and these wait:"]
    for task, owner in waiting[:TASKS_MAX]:
        where = f" on {owner.host.name!r}" if owner is not None else ""
        state = f" ({owner.state})" if owner is not None and owner.held else ""
        lines.append(f"  {task.get_name()}{where}{state}: {_describe(task)}")
    if len(waiting) > TASKS_MAX:
        lines.append(f"  ... and {len(waiting) - TASKS_MAX} more")
    if not waiting:
        lines.append("  no task at all, only the caller")
    return "\n".join(lines)


def _describe(task: asyncio.Task[Any]) -> str:
    """The chain of coroutines that await each other, the line, and what the last one awaits."""
    names: list[str] = []
    place = ""
    awaited: Any = task.get_coro()
    while isinstance(awaited, Coroutine):
        names.append(getattr(awaited, "__qualname__", type(awaited).__name__))
        frame: FrameType | None = getattr(awaited, "cr_frame", None)
        if frame is not None and not frame.f_code.co_filename.startswith(_ASYNCIO):
            place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        awaited = getattr(awaited, "cr_await", None)
    chain = " > ".join(names)
    last = _what(task, awaited)
    return f"{chain} at {place}, waits on {last}" if place else f"{chain}, waits on {last}"


def _what(task: asyncio.Task[Any], awaited: Any) -> str:
    future = getattr(task, "_fut_waiter", None)
    if isinstance(future, asyncio.Task):
        return f"{future.get_name()}"
    if future is not None:
        return f"a {type(future).__name__} that is {future._state.lower()}"
    return "its turn" if awaited is None else type(awaited).__name__
