"""A lab's events as a table that a cell shows well."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from redislab.worlds.base import Event


class EventTable(list[Event]):
    """A list of events; its last expression in a cell is a table."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        super().__init__(events)

    def __repr__(self) -> str:
        if not self:
            return "no events yet"
        rows = [(f"{e.time:.3f}", e.node, e.kind, e.detail) for e in self]
        widths = [max(len(row[at]) for row in rows) for at in range(3)]
        return "\n".join(
            f"{time:>{widths[0]}} s  {node:{widths[1]}}  {kind:{widths[2]}}  {detail}".rstrip()
            for time, node, kind, detail in rows
        )

    def _repr_html_(self) -> str:
        head = "<tr><th>time (s)</th><th>node</th><th>event</th><th>detail</th></tr>"
        rows = "".join(
            f"<tr><td style='text-align:right'>{event.time:.3f}</td><td>{escape(event.node)}</td>"
            f"<td>{escape(event.kind)}</td><td>{escape(event.detail)}</td></tr>"
            for event in self
        )
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
