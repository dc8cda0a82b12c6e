"""What a view looks like where no script runs: a table, and a line chart for what changes in time.

GitHub and nbconvert strip scripts and most styles, so this is plain HTML.  Each kind may register
a function of its own; a kind without one shows the scalars of its last frame.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module

from redislab.views.recording import Json, Recording

Fallback = Callable[[Recording], str]

_KINDS: dict[str, Fallback] = {}
_HOMES = {
    "server": "redislab.views.server",
    "replication": "redislab.views.replication",
    "backlog": "redislab.views.replication",
    "byhand": "redislab.views.byhand",
    "sentinel": "redislab.views.sentinel",
    "spacetime": "redislab.views.messages",
    "partition": "redislab.views.partition",
    "states": "redislab.views.states",
    "stale": "redislab.views.staleness",
    "durability": "redislab.views.durability",
    "wire": "redislab.views.wire",
    "benchmark": "redislab.views.benchmark",
    "proxy": "redislab.views.proxy",
    "ring": "redislab.views.ring",
    "predict": "redislab.views.predictions",
    "check": "redislab.views.predictions",
}

_CHART_WIDTH, _CHART_HEIGHT, _CHART_MARGIN = 640, 180, 8


def fallback_for(kind: str) -> Callable[[Fallback], Fallback]:
    """Make the decorated function draw recordings of this kind."""

    def register(function: Fallback) -> Fallback:
        _KINDS[kind] = function
        return function

    return register


def fallback_html(recording: Recording) -> str:
    """The static form of a recording: its title, what its kind draws, and its last events."""
    home = _HOMES.get(recording.kind)
    if home is not None:  # a recording may come from a file before its view was ever imported
        import_module(home)
    draw = _KINDS.get(recording.kind, last_frame_table)
    title = f'<p class="rl-title">{html.escape(recording.title)}</p>'
    return title + draw(recording) + _events(recording)


def last_frame_table(recording: Recording) -> str:
    """The scalars of the last frame, one row each."""
    if not recording.frames:
        return "<p>Nothing was recorded.</p>"
    last = recording.frames[-1]
    rows = [
        (name.replace("_", " "), cell_text(value))
        for name, value in last.state.items()
        if value is None or isinstance(value, bool | int | float | str)
    ]
    return table_html(("at", f"{last.time:g} s"), rows)


def cell_text(value: Json) -> str:
    """One scalar as a reader wants it: thousands apart, few decimals, yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "" if value is None else str(value)


def table_html(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()
) -> str:
    """An HTML table of texts; the columns in `numbers` are aligned to the right."""
    right = set(numbers)

    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=rl-number style=text-align:right' if at in right else ''}>"
            f"{html.escape(text)}</{tag}>"
            for at, text in enumerate(texts)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="rl-scroll"><table><thead><tr>{cells("th", head)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def line_chart_svg(points: Sequence[tuple[float, float]], *, alt: str, low: str, high: str) -> str:
    """Draw a small line chart from zero up.

    `alt` says in words what it shows; `low` and `high` label the time axis and the value axis.
    """
    if len(points) < 2:
        return ""
    start, end = points[0][0], points[-1][0]
    top = max(value for _, value in points) or 1.0
    span = (end - start) or 1.0
    room_x, room_y = _CHART_WIDTH - 2 * _CHART_MARGIN, _CHART_HEIGHT - 4 * _CHART_MARGIN
    line = " ".join(
        f"{_CHART_MARGIN + (x - start) / span * room_x:.1f},"
        f"{2 * _CHART_MARGIN + (1 - y / top) * room_y:.1f}"
        for x, y in points
    )
    base = 2 * _CHART_MARGIN + room_y
    return (
        f'<svg role="img" aria-label="{html.escape(alt)}" width="{_CHART_WIDTH}" '
        f'height="{_CHART_HEIGHT}" viewBox="0 0 {_CHART_WIDTH} {_CHART_HEIGHT}" '
        'style="max-width:100%;height:auto" font-family="sans-serif" font-size="12">'
        f"<title>{html.escape(alt)}</title>"
        f'<path d="M{_CHART_MARGIN},{base}h{room_x}" stroke="#8a949e" fill="none"/>'
        f'<polyline points="{line}" fill="none" stroke="#3b82d6" stroke-width="2"/>'
        f'<text x="{_CHART_MARGIN}" y="12" fill="#78838e">{html.escape(high)}</text>'
        f'<text x="{_CHART_MARGIN}" y="{base + 14}" fill="#78838e">{html.escape(low)}</text></svg>'
    )


def _events(recording: Recording) -> str:
    if not recording.events:
        return ""
    rows = [
        (f"{event.time:.3f}", event.node, event.kind, event.detail)
        for event in recording.events[-20:]
    ]
    return table_html(("time (s)", "node", "event", "detail"), rows, numbers=(0,))
