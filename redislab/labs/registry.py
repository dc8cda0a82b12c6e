"""Which labs and views a notebook's cells have made: running a cell again closes its earlier ones.

A reader runs a cell twice, and the first lab is still there, held by a variable or by IPython's
output history. A lab that is made by another run of the same cell takes its place: the earlier one
is closed. So it is with a view that a cell shows. Several labs of one run of a cell live side by
side, and outside notebooks nothing is replaced.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_APART: ContextVar[bool] = ContextVar("redislab_apart", default=False)
_labs: dict[str, list[tuple[int, weakref.ref[Any]]]] = {}


def register(lab: Any) -> None:
    """A cell makes a lab: close those that earlier runs of the cell have made."""
    place = None if _APART.get() else _cell()
    if place is None:
        return
    cell, run = place
    kept = []
    for its_run, reference in _labs.get(cell, []):
        earlier = reference()
        if earlier is None:
            continue
        if its_run == run:
            kept.append((its_run, reference))
        else:
            earlier.close()
    _labs[cell] = [*kept, (run, weakref.ref(lab))]


@contextmanager
def apart() -> Iterator[None]:
    """What is made in here is of no cell: it takes nobody's place, and another one ends it."""
    token = _APART.set(True)
    try:
        yield
    finally:
        _APART.reset(token)


def _cell() -> tuple[str, int] | None:
    """The cell that runs, by the front end's id or its own text, and the number of its run."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return None
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell = (parent.get("metadata") or {}).get("cellId")
    if cell is None:
        frame: Any = sys._getframe()
        while frame is not None and frame.f_globals.get("__name__") != "__main__":
            frame = frame.f_back
        cell = frame.f_code.co_filename if frame is not None else "?"
    return str(cell), int(shell.execution_count)
