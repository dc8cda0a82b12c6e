"""Ends what a lab has started when the lab's own process can no longer do it.

A program of its own, which `redis.py` starts: it reads lines from its standard input, and when that
ends, or its parent is gone, it kills the processes and removes the directories it was told of. So a
kernel that is killed with SIGKILL leaves no redis-server and no temporary directory behind. The
pipe alone would not do: a child that the kernel has forked may hold its other end open.

    + 1234        a process to kill
    - 1234        it is gone
    d /tmp/x      a directory to remove
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys

LOOK_SECONDS = 0.5


def main() -> None:
    """Read until the end, then clean up."""
    parent = int(sys.argv[1])
    pids: dict[int, None] = {}
    directories: dict[str, None] = {}
    pending = b""
    while True:
        # What was written is read first: the parent may be gone before this has begun.
        if not select.select([0], [], [], LOOK_SECONDS)[0]:
            if os.getppid() != parent:
                break
            continue
        data = os.read(0, 4096)
        if not data:
            break
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            sign, _, value = line.decode().partition(" ")
            if sign == "+":
                pids[int(value)] = None
            elif sign == "-":
                pids.pop(int(value), None)
            elif sign == "d":
                directories[value] = None
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
