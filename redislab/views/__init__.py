"""What readers see: live widgets in a notebook, replays of recorded runs on a page.

Every view draws a `Recording` (`recording.py`) with one small JavaScript module (`static/`), live
through anywidget (`widget.py`) and on a page through an HTML fragment (`static.py`).  Its logic is
plain Python; ipywidgets, anywidget and plotly are imported when something is shown.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redislab.views.benchmark import BenchmarkDashboard
    from redislab.views.predictions import Prediction, check, predict
    from redislab.views.recording import Frame, Recorder, Recording
    from redislab.views.server import ServerView, ServerWatch
    from redislab.views.static import page_html, recording_html
    from redislab.views.tables import Table
    from redislab.views.wire import WireView, explain

__all__ = [
    "BenchmarkDashboard",
    "Frame",
    "Prediction",
    "Recorder",
    "Recording",
    "ServerView",
    "ServerWatch",
    "Table",
    "WireView",
    "check",
    "explain",
    "page_html",
    "predict",
    "recording_html",
]

_HOMES = {
    "BenchmarkDashboard": "benchmark",
    "Frame": "recording",
    "Prediction": "predictions",
    "Recorder": "recording",
    "Recording": "recording",
    "ServerView": "server",
    "ServerWatch": "server",
    "Table": "tables",
    "WireView": "wire",
    "check": "predictions",
    "explain": "wire",
    "page_html": "static",
    "predict": "predictions",
    "recording_html": "static",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use; AttributeError for any other name."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"redislab.views.{home}"), name)
