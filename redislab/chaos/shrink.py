"""A schedule that fails, made shorter: whatever can be left out and it still fails.

It is Zeller's delta debugging (https://www.debuggingbook.org/html/DeltaDebugger.html): leave out
halves, then quarters, and so on down to single actions. What is left is short, though not always
the shortest: a fault that is not undone any more lasts to the end of the schedule, which is part
of the game.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from redislab.chaos.schedule import Schedule

RUNS_MAX = 200


def shrink(
    schedule: Schedule, fails: Callable[[Schedule], bool], runs_max: int = RUNS_MAX
) -> Schedule:
    """A part of a schedule that fails as well.

    Args:
        schedule: that fails.
        fails: carries a schedule out, and tells whether it fails.
        runs_max: how often that may be asked.
    """
    kept = list(range(len(schedule.actions)))
    parts = 2
    runs = 0
    while len(kept) > 1 and runs < runs_max:
        size = -(-len(kept) // parts)
        pieces = [kept[begin : begin + size] for begin in range(0, len(kept), size)]
        for piece in pieces:
            rest = [place for place in kept if place not in piece]
            runs += 1
            if fails(schedule.keep(rest)):
                kept, parts = rest, max(2, parts - 1)
                break
            if runs >= runs_max:
                break
        else:
            if size == 1:
                break
            parts = min(len(kept), 2 * parts)
    return _without_the_rest(schedule.keep(kept), fails)


def _without_the_rest(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """The same without the time after its last action, if it fails then as well."""
    last = max((action.at for action in schedule.actions), default=0.0)
    shorter = replace(schedule, seconds=min(schedule.seconds, last + 1.0))
    return shorter if fails(shorter) else schedule
