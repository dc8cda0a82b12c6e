"""The generator's process: settings in on stdin, windows and the result out on stdout.

One line of JSON each way: first the settings come in; then `{"window": ...}` goes out for every
window, at the end `{"result": ...}` or `{"error": [kind, message]}`. Anything more on stdin asks
the run to stop; so does its end, which is how a worker notices that its parent is gone and why none
outlives it.

Run as `python -m redislab.benchmark.worker`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import Any

from redislab.benchmark.clients import Refresh
from redislab.benchmark.cluster import masters
from redislab.benchmark.generator import generate
from redislab.benchmark.results import Window
from redislab.benchmark.settings import BenchmarkError, Node, Settings

STDIN, STDOUT = 0, 1


def main() -> int:
    """Read settings, run, write; returns the exit code."""
    # An interrupt at the keyboard is for the parent, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        settings = Settings.from_dict(json.loads(_read_line()))
        refresh = _refresher(settings) if settings.nodes else None
        result = generate(settings, _send_window, refresh=refresh, control=STDIN)
        _send({"result": result.to_dict() | {"windows": []}})
    except BenchmarkError as error:
        _send({"error": [type(error).__name__, str(error)]})
        return 1
    except BrokenPipeError:
        return 1
    return 0


def _refresher(settings: Settings) -> Refresh:
    """Asks the nodes of a cluster, one after the other, for the masters of now."""

    def refresh(error: str) -> tuple[Node, ...]:
        sys.stderr.write(
            f"WARNING: Cluster slots configuration changed ({error}), fetching new one...\n"
        )
        for node in settings.nodes:
            with contextlib.suppress(BenchmarkError):
                return masters(settings, node)
        return ()

    return refresh


def _send_window(window: Window) -> None:
    _send({"window": window.to_dict()})


def _send(message: dict[str, Any]) -> None:
    data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
    while data:
        data = data[os.write(STDOUT, data) :]


def _read_line() -> bytes:
    """One line from stdin and not a byte more, so that what follows still wakes the poller."""
    line = bytearray()
    while not line.endswith(b"\n"):
        data = os.read(STDIN, 1)
        if not data:
            raise BrokenPipeError
        line += data
    return bytes(line)


if __name__ == "__main__":
    raise SystemExit(main())
