"""The JavaScript and CSS of the views, as texts.

`static/` holds one core module (`redislab-view.js`: player, theme, helpers), one module for each
kind of view (`kind-server.js` ...) and one style sheet.  A website serves them as files.  A
notebook has no files to serve, so there they travel as text: the widget sends them with its state,
and an HTML fragment carries them packed (deflate, base64) in a script element.
"""

from __future__ import annotations

import base64
import json
import zlib
from functools import cache
from importlib.resources import files

CORE = "redislab-view.js"
STYLE = "redislab-view.css"


def kind_file(kind: str) -> str:
    """The file of the module that draws recordings of this kind."""
    return f"kind-{kind}.js"


@cache
def asset(name: str) -> str:
    """The text of one static file.  Raises FileNotFoundError for a name that is none."""
    return files("redislab.views").joinpath("static", name).read_text(encoding="utf-8")


@cache
def packed_assets(kind: str) -> str:
    """Everything that one kind of view needs, for a page that has no static files.

    Base64 of deflated JSON {file name: text}; the same texts give the same string.
    """
    names = (CORE, STYLE, kind_file(kind))
    plain = json.dumps({name: asset(name) for name in names}, sort_keys=True)
    return base64.b64encode(zlib.compress(plain.encode(), 9)).decode()
