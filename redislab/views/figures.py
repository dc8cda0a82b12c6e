"""Charts of results, drawn with plotly in the house's style.

Every figure has a title and, in `layout.meta["alt"]`, words for readers who cannot see it. Nothing
is loaded from elsewhere: a notebook gets the figure as data for JupyterLab's own plotly, and the
website draws the same data with its one copy of plotly.js in the colors of the reader's theme.
Colors and backgrounds are chosen to be legible on light and on dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import plotly.io

from redislab.benchmark.results import Result

COLORS = ("#3b82d6", "#1f9d8a", "#c98a1b", "#8e63d9", "#d9534f", "#7b8794")
INK = "#7b8794"  # readable on white and on near-black
GRID = "rgba(123, 135, 148, 0.25)"
PERCENTILE_TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)

# Only data goes into a notebook, not 4 MB of plotly.js with the first figure.
plotly.io.renderers.default = "plotly_mimetype"


def house_figure(title: str, *, alt: str, x: str, y: str, height: int = 380) -> go.Figure:
    """An empty figure in the house's style; `x` and `y` are the axes' titles."""
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "ticks": ""}
    return go.Figure(
        layout={
            "template": "none",
            "title": {
                "text": title,
                "x": 0,
                "xref": "paper",
                "y": 0.97,
                "yanchor": "top",
                "font": {"size": 16},
            },
            "meta": {"alt": alt},
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
            "colorway": list(COLORS),
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "height": height,
            "margin": {"l": 64, "r": 24, "t": 80, "b": 52},
            "xaxis": {**axis, "title": {"text": x}},
            "yaxis": {**axis, "title": {"text": y}, "rangemode": "tozero"},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "hovermode": "closest",
        }
    )


def throughput(results: Mapping[str, Result], *, title: str = "Throughput over time") -> go.Figure:
    """Requests a second in each window of each run, by label."""
    summary = "; ".join(f"{name}: {one.throughput:,.0f} a second" for name, one in results.items())
    figure = house_figure(
        title,
        alt=f"Line chart of requests a second over time. On the whole: {summary}.",
        x="seconds since the run began",
        y="requests a second",
    )
    for name, result in results.items():
        figure.add_scatter(
            x=[round(one.start_s + one.duration_s, 3) for one in result.windows],
            y=[round(one.throughput, 1) for one in result.windows],
            name=name,
            mode="lines",
            hovertemplate="%{y:,.0f} a second at %{x} s",
        )
    return figure


def latency(results: Mapping[str, Result], *, title: str = "Latency by percentile") -> go.Figure:
    """The latency that each share of the requests did not exceed.

    The axis of percentiles counts nines: 90, 99 and 99.9 % are as far apart, because that is
    where latencies differ.
    """
    summary = "; ".join(
        f"{name}: median {one.p50_ms:.3g} ms, 99th percentile {one.p99_ms:.3g} ms"
        for name, one in results.items()
    )
    figure = house_figure(
        title,
        alt=f"Latency against percentile on an axis that counts nines. {summary}.",
        x="percentile",
        y="latency (ms)",
    )
    for name, result in results.items():
        points = latency_curve(result)
        figure.add_scatter(
            x=[round(_nines(percentile), 4) for percentile, _ in points],
            y=[value for _, value in points],
            name=name,
            mode="lines",
            line={"shape": "hv"},
            customdata=[round(percentile, 4) for percentile, _ in points],
            hovertemplate="%{customdata} % within %{y:.3g} ms",
        )
    figure.update_xaxes(
        tickvals=[_nines(percentile) for percentile in PERCENTILE_TICKS],
        ticktext=[f"{percentile:g}" for percentile in PERCENTILE_TICKS],
    )
    shown = [value for result in results.values() for _, value in latency_curve(result)]
    figure.update_yaxes(rangemode="normal", **_log_axis(shown))
    return figure


def latency_curve(result: Result, points_max: int = 200) -> list[tuple[float, float]]:
    """(percentile, latency in ms) along a run's histogram, ascending, the last one at the maximum.

    The maximum stands at the percentile of the last request but one, since 100 % has infinitely
    many nines.
    """
    histogram = result.histogram
    if not histogram.total:
        return []
    most = 100.0 * (1 - 1 / max(histogram.total, 2))
    steps = [
        100.0 - 100.0 * 10 ** -(at * _nines(most) / points_max) for at in range(points_max + 1)
    ]
    return [(step, histogram.percentile_us(step) / 1000) for step in steps]


def littles_law(
    results: Mapping[str, Result], *, title: str = "Little's law, checked"
) -> go.Figure:
    """Throughput times mean response time against the requests that a run kept under way.

    One point a run; the law says that all lie on the diagonal.  Raises ValueError without a run.
    """
    if not results:
        raise ValueError("no run to check the law on")
    asked = [one.settings.clients * one.settings.pipeline for one in results.values()]
    measured = [one.concurrency for one in results.values()]
    top = max([*asked, *measured, 1.0]) * 1.3
    low = min([*asked, *measured]) / 4
    ratios = ", ".join(f"{b / a:.2f}" for a, b in zip(asked, measured, strict=True))
    figure = house_figure(
        title,
        alt="Throughput times mean response time against clients times pipeline, one point a run. "
        f"The law says they are equal; measured over asked for: {ratios}.",
        x="N: clients times pipeline",
        y="X · R: throughput times mean RT",
    )
    figure.add_scatter(
        x=[low, top],
        y=[low, top],
        mode="lines",
        name="N = X · R",
        line={"dash": "dot", "color": INK},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=asked,
        y=[round(value, 3) for value in measured],
        text=list(results),
        name="runs",
        mode="markers+text",
        textposition="top left",
        marker={"size": 10},
        hovertemplate="%{text}: %{y:.1f} under way",
    )
    figure.update_xaxes(**_log_axis([low, top]))
    figure.update_yaxes(rangemode="normal", **_log_axis([low, top]))
    return figure


def sweep(results: Sequence[Result], by: str, *, title: str = "", log: bool = True) -> go.Figure:
    """Throughput and 99th percentile as one setting changes (`by`: "clients", "pipeline" ...).

    Raises AttributeError if runs have no such setting.
    """
    xs = [getattr(one.settings, by) for one in results]
    summary = "; ".join(
        f"{x}: {one.throughput:,.0f} a second, p99 {one.p99_ms:.3g} ms"
        for x, one in zip(xs, results, strict=True)
    )
    figure = house_figure(
        title or f"Throughput and latency against {by}",
        alt=f"Throughput and 99th percentile of latency by {by}. {summary}.",
        x=by,
        y="requests a second",
    )
    figure.add_scatter(
        x=xs,
        y=[round(one.throughput, 1) for one in results],
        name="requests a second",
        mode="lines+markers",
    )
    figure.add_scatter(
        x=xs,
        y=[one.p99_ms for one in results],
        name="p99 (ms), right axis",
        mode="lines+markers",
        yaxis="y2",
        line={"dash": "dash"},
    )
    figure.update_layout(
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "title": {"text": "p99 (ms)"},
            "rangemode": "tozero",
            "showgrid": False,
            "tickmode": "auto",  # else its marks stand level with the left axis, at odd numbers
            "nticks": 6,
        },
        margin={"r": 64},
    )
    if log:
        figure.update_xaxes(type="log", tickvals=xs, ticktext=[str(x) for x in xs])
    return figure


@dataclass(frozen=True)
class CapacityPlan:
    """How many nodes a service needs, by what each of its demands asks for.

    `needs` counts nodes by reason; `nodes` is what is needed in the end.
    """

    needs: Mapping[str, int]

    @property
    def nodes(self) -> int:
        """The greatest of the needs."""
        return max(self.needs.values())

    @property
    def reason(self) -> str:
        """What that need is."""
        return max(self.needs, key=lambda name: self.needs[name])


def plan_capacity(
    *,
    peak_qps: float,
    node_qps: float,
    data_bytes: float,
    node_bytes: float,
    headroom: float = 0.5,
) -> CapacityPlan:
    """Nodes needed for a peak load and a data set, each node used up to `headroom` of its limits.

    Raises ValueError for figures that are not positive.
    """
    if min(peak_qps, node_qps, data_bytes, node_bytes) <= 0 or not 0 < headroom <= 1:
        raise ValueError("loads and limits are positive, headroom lies above 0 and up to 1")
    return CapacityPlan(
        {
            "requests at the peak": math.ceil(peak_qps / (node_qps * headroom)),
            "data in memory": math.ceil(data_bytes / (node_bytes * headroom)),
        }
    )


def capacity(plans: Mapping[str, CapacityPlan], *, title: str = "Nodes needed") -> go.Figure:
    """Bars of the nodes that each plan needs for each reason, labeled with their numbers."""
    summary = "; ".join(
        f"{name}: {plan.nodes:,} nodes, because of {plan.reason}" for name, plan in plans.items()
    )
    figure = house_figure(title, alt=f"Bar chart of nodes needed. {summary}.", x="nodes", y="")
    reasons = list(dict.fromkeys(reason for plan in plans.values() for reason in plan.needs))
    for reason in reasons:
        counts = [plan.needs.get(reason, 0) for plan in plans.values()]
        figure.add_bar(
            y=list(plans),
            x=counts,
            name=reason,
            orientation="h",
            text=[f"{count:,}" for count in counts],
            textposition="auto",
            hovertemplate="%{x:,} nodes for %{y}",
        )
    figure.update_layout(barmode="group", height=140 + 70 * len(plans))
    figure.update_yaxes(automargin=True, autorange="reversed", rangemode="normal")
    return figure


def waiting(results: Mapping[str, Result], *, title: str = "Requests waiting") -> go.Figure:
    """How many requests of an open loop were due and not yet sent, at the end of each window."""
    summary = "; ".join(
        f"{name}: at most {max((one.waiting for one in result.windows), default=0):,}"
        for name, result in results.items()
    )
    figure = house_figure(
        title,
        alt=f"Line chart of requests that wait for a free connection over time. {summary}.",
        x="seconds since the run began",
        y="requests waiting",
    )
    for name, result in results.items():
        figure.add_scatter(
            x=[round(one.start_s + one.duration_s, 3) for one in result.windows],
            y=[one.waiting for one in result.windows],
            name=name,
            mode="lines",
            hovertemplate="%{y:,} waiting at %{x} s",
        )
    return figure


def _log_axis(values: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis for these values: marks at powers of ten, on a short one also at 2, 5."""
    above = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(above))), math.ceil(math.log10(max(above)))
    factors = (1, 2, 5) if math.log10(max(above) / min(above)) < 1.5 else (1,)
    marks = [factor * 10.0**power for power in range(low, high + 1) for factor in factors]
    return {"type": "log", "tickvals": marks, "ticktext": [f"{mark:g}" for mark in marks]}


def _nines(percentile: float) -> float:
    """How many nines a percentile has: 0 for 0 %, 1 for 90 %, 2 for 99 %."""
    return -math.log10(1 - percentile / 100)
