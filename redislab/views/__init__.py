"""What readers see: live widgets in a notebook, replays of recorded runs on a page.

Every view draws a `Recording` (`recording.py`) with one small JavaScript module (`static/`), live
through anywidget (`widget.py`) and on a page through an HTML fragment (`static.py`).  Its logic is
plain Python; ipywidgets, anywidget and plotly are imported when something is shown.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redislab.views.benchmark import BenchmarkDashboard
    from redislab.views.byhand import HandView, HandWatch
    from redislab.views.durability import DurabilityView
    from redislab.views.messages import SpaceTimeView, spacetime
    from redislab.views.predictions import Prediction, check, predict
    from redislab.views.proxy import ProxyView, ProxyWatch
    from redislab.views.recording import Frame, Recorder, Recording
    from redislab.views.replication import BacklogView, ReplicationWatch, TopologyView
    from redislab.views.ring import RingView
    from redislab.views.sentinel import SentinelView, SentinelWatch
    from redislab.views.server import ServerView, ServerWatch
    from redislab.views.staleness import StaleReadMeter
    from redislab.views.states import StatesView, failover, handshake
    from redislab.views.static import page_html, recording_html
    from redislab.views.tables import Table
    from redislab.views.wire import WireView, explain

__all__ = [
    "BacklogView",
    "BenchmarkDashboard",
    "DurabilityView",
    "Frame",
    "HandView",
    "HandWatch",
    "Prediction",
    "ProxyView",
    "ProxyWatch",
    "Recorder",
    "Recording",
    "ReplicationWatch",
    "RingView",
    "SentinelView",
    "SentinelWatch",
    "ServerView",
    "ServerWatch",
    "SpaceTimeView",
    "StaleReadMeter",
    "StatesView",
    "Table",
    "TopologyView",
    "WireView",
    "check",
    "explain",
    "failover",
    "handshake",
    "page_html",
    "predict",
    "recording_html",
    "spacetime",
]

_HOMES = {
    "BacklogView": "replication",
    "BenchmarkDashboard": "benchmark",
    "DurabilityView": "durability",
    "Frame": "recording",
    "HandView": "byhand",
    "HandWatch": "byhand",
    "Prediction": "predictions",
    "ProxyView": "proxy",
    "ProxyWatch": "proxy",
    "Recorder": "recording",
    "Recording": "recording",
    "ReplicationWatch": "replication",
    "RingView": "ring",
    "SentinelView": "sentinel",
    "SentinelWatch": "sentinel",
    "ServerView": "server",
    "ServerWatch": "server",
    "SpaceTimeView": "messages",
    "StaleReadMeter": "staleness",
    "StatesView": "states",
    "Table": "tables",
    "TopologyView": "replication",
    "WireView": "wire",
    "check": "predictions",
    "explain": "wire",
    "failover": "states",
    "handshake": "states",
    "page_html": "static",
    "predict": "predictions",
    "recording_html": "static",
    "spacetime": "messages",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use; AttributeError for any other name."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"redislab.views.{home}"), name)
