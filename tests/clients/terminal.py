"""redis-cli in a terminal of its own, as a person sees it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import termios
import time
from typing import Self

import pytest

from tests.servers import Address

ROWS, COLUMNS = 40, 120
PATIENCE_S = 10.0
CONTROL_C, CONTROL_D, ENTER = b"\x03", b"\x04", b"\r"


def program() -> str:
    found = shutil.which("redis-cli")
    if found is None:
        pytest.skip("redis-cli is not installed (Debian package redis-tools)")
    return found


class Terminal:
    """A program that runs in a terminal until the block ends.

    Args:
        server: the server it is to talk to.
        options: what stands on its command line after the port.
    """

    def __init__(self, server: Address, *options: str) -> None:
        argv = [program(), "-p", str(server.port), *options]
        self._port = server.port
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", HOME="/nonexistent", LC_ALL="C")
            os.execv(argv[0], argv)
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, size)
        self._shown = b""
        self._looked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self._fd)

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._fd, keys)

    def wait_for(self, pattern: bytes) -> None:
        """Wait until something was shown, after what was waited for before.

        Args:
            pattern: a regular expression.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = re.search(pattern, self._shown[self._looked :])
            if found is not None:
                self._looked += found.end()
                return
            if time.monotonic() > deadline:
                pytest.fail(f"not shown: {pattern!r}; but: {self._shown[self._looked :]!r}")
            self._read(0.1)

    def wait_for_end(self) -> None:
        """Wait until the program has ended by itself."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self._read(0.02)
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                while self._read(0):
                    pass
                return
        pytest.fail(f"it goes on; shown: {self._shown!r}")

    def enter(self, line: bytes) -> None:
        """Type a line, and wait for the next prompt."""
        self.press(line + ENTER)
        # The prompt is drawn again with every key; the one after the reply is drawn once.
        self.wait_for(re.escape(line) + rb"\r\x1b\[\d+C\r\n")
        self.wait_for(rb"(?:^|\n)[^\r\n]*> $")

    @property
    def shown(self) -> bytes:
        """All that was shown, with a word in the place of the port."""
        return self._shown.replace(b"%d" % self._port, b"<port>")

    def _read(self, wait_s: float) -> bool:
        if not select.select([self._fd], [], [], wait_s)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError as gone:
            if gone.errno != errno.EIO:  # the other side is closed
                raise
            return False
        self._shown += data
        return bool(data)
