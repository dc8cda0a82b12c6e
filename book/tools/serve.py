"""Serve the built website on this machine, and say where.

    python -m book.tools.serve [--port 8000] [--folder _build/html]

Only on the loopback interface. If the port is taken, a free one is used instead. Ctrl-C ends it.
"""

import argparse
import errno
import signal
import sys
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "127.0.0.1"


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files, keeps nothing in the browser's cache, and speaks only of what is missing."""

    def end_headers(self) -> None:
        """Have the browser ask again each time: the next build may differ."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of a request that was served."""

    def log_error(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        """Name a request that failed, by its path and what the browser was told."""
        path = getattr(self, "path", "a request that is none")
        print(f"  {path}: {args[0] if args else format}", file=sys.stderr)


def open_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a listening server of the files in `folder`, on `port` or, if taken, on a free one."""
    handler = partial(QuietHandler, directory=str(folder))
    try:
        return ThreadingHTTPServer((HOST, port), handler)
    except OSError as problem:
        if problem.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        print(f"Port {port} is taken; using a free one.", flush=True)
        return ThreadingHTTPServer((HOST, 0), handler)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m book.tools.serve", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--folder", type=Path, default=Path("_build/html"))
    options = parser.parse_args(arguments)
    if not (options.folder / "index.html").exists():
        print(f"There is no website in {options.folder}. Build it: make site", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with open_server(options.folder, options.port) as server:
        print(f"\nThe book is at http://{HOST}:{server.server_port}/", flush=True)
        print("Ctrl-C stops it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nStopped.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
