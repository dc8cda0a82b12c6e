"""Make the outputs of an executed notebook work on a page that has no kernel and no network.

A widget is shown through the HTML that it brings along beside its live form (a recording of the
run, played by our own script); a chart's data stay in the page and are drawn by the site's one
copy of plotly.js. What would be dead on the page, or would load something from elsewhere, is an
error here and not a surprise for the reader.

A page shows everything at once, so a reader could see how a prediction turns out before making it.
The cells between a question and its check are therefore tagged, and book.js keeps what they put out
covered until the question is answered.
"""

import html
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from redislab.views.static import for_site

WIDGET = "application/vnd.jupyter.widget-view+json"
PLOTLY = "application/vnd.plotly.v1+json"
CHART_HEIGHT = 420

_LOADS_FROM_ELSEWHERE = re.compile(
    r"""(?:src|href)\s*=\s*["']?(?:https?:)?//[^"'\s>]+["']?[^>]*>|import\s*\(?["']https?://""",
    re.IGNORECASE,
)
_LINK = re.compile(r"<a\s[^>]*>", re.IGNORECASE)
_RECORDING = re.compile(r'<script type="application/json">(\{"events":.*?)</script>', re.DOTALL)


class OutputError(Exception):
    """An output cannot be shown on a static page; the message names the notebook and the cell."""


def make_static(notebook: Any, name: str) -> None:
    """Rewrite the outputs of `notebook` in place. Raises OutputError for one that cannot be."""
    for_site(notebook)
    notebook.metadata.pop("papermill", None)
    for number, cell in enumerate(notebook.cells, start=1):
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        where = f"{name}.ipynb, cell {number}"
        kept = []
        for output in cell.outputs:
            if output.output_type in {"display_data", "execute_result"}:
                output.data = _static_data(output.data, where)
                output.metadata = {}
            elif output.output_type == "error":
                raise OutputError(f"{where}: {output.ename}: {output.evalue}")
            kept.append(output)
        cell.outputs = kept
    tag_predictions([cell for cell in notebook.cells if cell.cell_type == "code"])


def tag_predictions(cells: Sequence[Any]) -> None:
    """Tag, in place, the cells that ask (`asks`) and those whose outputs must wait (`waits`).

    `cells` are code cells in order. What waits stands between a question and the check of that
    question; a question that is never checked keeps nothing waiting.
    """
    told = [list(_recordings(cell)) for cell in cells]
    for at, recordings in enumerate(told):
        for kind, question in recordings:
            checked = ("check", question)
            last = next((i for i in range(at + 1, len(cells)) if checked in told[i]), None)
            if kind != "predict" or last is None:
                continue
            _tag(cells[at], "asks")
            for between in cells[at + 1 : last]:
                if between.outputs:
                    _tag(between, "waits")


def _recordings(cell: Any) -> Iterator[tuple[str, str]]:
    """Yield the kind of each recording that a cell shows, and the question that it asks if any."""
    for output in cell.outputs:
        page = "".join(output.get("data", {}).get("text/html", ""))
        for found in _RECORDING.findall(page):
            plain = json.loads(found)
            yield plain["kind"], str(plain["meta"].get("question", ""))


def _tag(cell: Any, tag: str) -> None:
    tags = cell.metadata.setdefault("tags", [])
    if tag not in tags:
        tags.append(tag)


def chart_html(figure: dict[str, Any], where: str = "chart") -> str:
    """Return the HTML that carries one plotly figure; book.js draws it.

    The chart's words for those who cannot see it come from `layout.meta.alt`, else its title.
    """
    layout = figure.get("layout", {})
    alt = _alt_text(layout)
    if not alt:
        raise OutputError(f"{where}: a chart needs a title, or words in layout.meta['alt']")
    height = int(layout.get("height") or CHART_HEIGHT)
    data = {"data": figure.get("data", []), "layout": layout}
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    label = html.escape(alt, quote=True)
    return (
        f'<div class="lab-chart" role="img" aria-label="{label}" style="height: {height}px">'
        f'<script type="application/json">{text}</script>'
        f"<noscript><p>{label}</p></noscript></div>"
    )


def _static_data(data: dict[str, Any], where: str) -> dict[str, Any]:
    if PLOTLY in data:
        return {"text/html": chart_html(data[PLOTLY], where)}
    if WIDGET in data:
        shown = str(data.get("text/plain", "a widget"))[:80]
        raise OutputError(f"{where}: {shown} has no HTML to show on a page without a kernel")
    page = data.get("text/html")
    if page is not None:
        found = _LOADS_FROM_ELSEWHERE.search(_LINK.sub("", "".join(page)))
        if found:
            raise OutputError(f"{where}: its HTML loads {found.group(0)[:80]}")
    return dict(data)


def _alt_text(layout: dict[str, Any]) -> str:
    meta = layout.get("meta")
    if isinstance(meta, dict) and meta.get("alt"):
        return str(meta["alt"])
    title = layout.get("title", "")
    text = title.get("text", "") if isinstance(title, dict) else str(title)
    return re.sub(r"<[^>]+>", " ", text).strip()
