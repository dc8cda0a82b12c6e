"""A real world's temporary directory, and the watchdog that takes it away if we cannot.

Both are made when they are first needed, for the configuration file of the first node. The
directory's name is known before, since a node's `dir` is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from secrets import token_hex
from threading import Lock

from redislab.worlds import watchdog

END_SECONDS_MAX = 5.0


class Workspace:
    """A directory for one world's nodes; each has its own in it, by its name.

    Attributes:
        path: where it is, or will be.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.gettempdir()).resolve() / f"redislab-{token_hex(8)}"
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self._is_closed = False

    def make(self, name: str) -> Path:
        """The directory of a node, made if it is not there."""
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the lab is closed")
            if self._watchdog is None:
                self.path.mkdir(mode=0o700)
                self._watchdog = _start_watchdog(self.path)
        directory = self.path / name
        directory.mkdir(exist_ok=True)
        return directory

    def began(self, process: int) -> None:
        """A process runs that must not outlive us."""
        self._tell(f"+ {process}")

    def ended(self, process: int) -> None:
        """It is gone."""
        self._tell(f"- {process}")

    def close(self) -> None:
        """Take everything away. May be called again."""
        with self._lock:
            self._is_closed = True
            dog, self._watchdog = self._watchdog, None
        if dog is None:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        assert dog.stdin is not None, "it is told over a pipe"
        dog.stdin.close()
        dog.wait(END_SECONDS_MAX)

    def _tell(self, line: str) -> None:
        dog = self._watchdog
        if dog is not None and dog.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                dog.stdin.write(f"{line}\n".encode())
                dog.stdin.flush()


def _start_watchdog(directory: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None, "it is told over a pipe"
    process.stdin.write(f"d {directory}\n".encode())
    process.stdin.flush()
    return process
