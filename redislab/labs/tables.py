"""The events of a lab, as a table that a notebook shows."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from redislab.worlds.base import Event

ROWS_SHOWN_MAX = 200


class EventTable(list[Event]):
    """Events in the order in which they happened; a list with a face."""

    def __init__(self, events: Iterable[Event]) -> None:
        super().__init__(events)

    def of(self, kind: str) -> EventTable:
        """Those of one kind."""
        return EventTable(event for event in self if event.kind == kind)

    def __repr__(self) -> str:
        if not self:
            return "no events"
        rows = [f"{e.time:10.3f} s  {e.node:<14} {e.kind:<10} {e.detail}" for e in self]
        return "\n".join(row.rstrip() for row in rows)

    def _repr_html_(self) -> str:
        if not self:
            return "<p>no events</p>"
        rows = "".join(
            f"<tr><td>{event.time:.3f}</td><td>{escape(event.node)}</td>"
            f"<td>{escape(event.kind)}</td><td>{escape(event.detail)}</td></tr>"
            for event in self[-ROWS_SHOWN_MAX:]
        )
        head = "<tr><th>time, s</th><th>node</th><th>event</th><th>detail</th></tr>"
        return f"<table>{head}{rows}</table>"
