"""Recordings as HTML that stands on its own: on the website, in an executed notebook, in a file.

A fragment has three layers, and a page uses the best that it can:

1. What Python draws (`fallback`): a table and, where it says more, an SVG picture.  GitHub,
   nbconvert without scripts, print and a reader whose browser runs no script see this.
2. The recording as JSON, replayed by the JavaScript module of the site.  The page's own address
   tells where that is: Sphinx writes the way to the site's root into `<html data-content_root>`,
   and the files of `redislab/views/static/` are served below it at `STATIC_PATH`.
3. The same module packed into the fragment, for pages without such files (a notebook opened in
   JupyterLab, an HTML export).  `fragment(..., inline=False)` or `for_site` leaves it out.

No fragment has an id, so the same view may stand on a page twice; the short script at the end of
each mounts all those that are not mounted yet.
"""

from __future__ import annotations

import html
from collections.abc import MutableMapping
from typing import Any

from redislab.views.assets import packed_assets
from redislab.views.fallback import fallback_html
from redislab.views.recording import Recording

STATIC_PATH = "_static/redislab/"

_PACKED_OPEN = '<script type="text/plain" data-redislab-assets>'
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

# The site's module where there is a site; else the packed one of the fragments on the page. All
# fragments queue on one promise, so that ten of them load one module, and none draws before the
# files that its neighbor brought are unpacked.
_BOOT = """\
const root = document.documentElement.dataset.content_root;
const packed = [...document.querySelectorAll("script[data-redislab-assets]:not([data-used])")];
packed.forEach((one) => { one.dataset.used = ""; });
async function load(view) {
  if (root !== undefined) {
    return view ?? import(new URL(root + "%(path)sredislab-view.js", location.href).href);
  }
  const files = {};
  for (const one of packed) {
    const bytes = Uint8Array.from(atob(one.textContent), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    Object.assign(files, await new Response(plain).json());
  }
  if (!view && !files["redislab-view.js"]) return null;
  view ??= await import(URL.createObjectURL(
    new Blob([files["redislab-view.js"]], { type: "text/javascript" })));
  view.use(files);
  return view;
}
window.redislabReady = (window.redislabReady ?? Promise.resolve(null)).then(load);
(await window.redislabReady)?.mountAll();
"""


def recording_html(recording: Recording, *, inline: bool = True) -> str:
    """An HTML fragment that replays the recording.

    With `inline` the fragment carries the JavaScript (about 12 kB packed) and works on any page;
    without, it works on a site that serves the static files at `STATIC_PATH`, and elsewhere shows
    what Python drew.
    """
    data = recording.to_json().replace("<", "\\u003c")  # no "</script>" inside the script
    packed = f"{_PACKED_OPEN}{packed_assets(recording.kind)}</script>" if inline else ""
    label = html.escape(_words_for(recording))
    return (
        f'<div class="redislab-view" role="group" aria-label="{label}">'
        f"{fallback_html(recording)}"
        f'<script type="application/json">{data}</script></div>'
        f'{packed}<script type="module">{_BOOT % {"path": STATIC_PATH}}</script>'
    )


def page_html(recording: Recording) -> str:
    """A whole HTML page with one replay on it; one file, nothing else needed."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(recording.title)}</title>"
        "<style>:root{color-scheme:light dark}body{max-width:60rem;margin:1rem auto;padding:0 1rem;"
        "font-family:system-ui,sans-serif}</style></head><body>"
        f"<main>{recording_html(recording)}</main></body></html>\n"
    )


def for_site(notebook: MutableMapping[str, Any]) -> None:
    """Make an executed notebook (nbformat 4, as parsed JSON) ready for the website, in place.

    Widgets of a kernel that is gone would be dead on the page: where an output has HTML beside
    its widget, the HTML stays.  The state of the widgets goes, and so do the scripts that
    fragments carry for pages without static files.
    """
    notebook.get("metadata", {}).pop("widgets", None)
    for cell in notebook.get("cells", []):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            page = data.get("text/html")
            if page is None:
                continue
            data.pop(_WIDGET_VIEW, None)
            text = "".join(page) if isinstance(page, list) else page
            data["text/html"] = _without_packed(text)


def _without_packed(text: str) -> str:
    """Cut the packed assets out of a page's fragments."""
    kept, *rest = text.split(_PACKED_OPEN)
    return kept + "".join(part.partition("</script>")[2] for part in rest)


def _words_for(recording: Recording) -> str:
    """What a screen reader says of a view: its title, and the question it asks if it asks one."""
    question = recording.meta.get("question")
    return f"{recording.title}: {question}" if isinstance(question, str) else recording.title
