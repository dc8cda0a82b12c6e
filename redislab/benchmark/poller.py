"""Waiting for sockets: epoll on Linux, poll elsewhere, both to the microsecond.

Python rounds epoll's timeout up to whole milliseconds. That is too coarse for a request that falls
due in 80 µs, and an epoll descriptor is itself something that can be waited for: `wait` does so
with select, whose timeouts are microseconds, and leaves epoll only to say which sockets are ready.
"""

from __future__ import annotations

import select
import sys

IN, OUT = 1, 4  # EPOLLIN and POLLIN, EPOLLOUT and POLLOUT: the same numbers


class Poller:
    """Which of the registered descriptors are ready. Level-triggered."""

    def __init__(self) -> None:
        if sys.platform == "linux":
            self._epoll = select.epoll()
            self.register, self.modify = self._epoll.register, self._epoll.modify
            self.unregister = self._epoll.unregister
        else:
            self._poll = select.poll()
            self.register, self.modify = self._poll.register, self._poll.modify
            self.unregister = self._poll.unregister

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """(descriptor, events) of those that are ready, after at most so many seconds."""
        if sys.platform != "linux":
            return self._poll.poll(max(0.0, seconds * 1000.0))
        if seconds > 0:
            select.select([self._epoll], (), (), seconds)
        return self._epoll.poll(0)

    def poll(self, seconds: float) -> list[tuple[int, int]]:
        """The same in one system call, the timeout rounded up to whole milliseconds."""
        if sys.platform != "linux":
            return self._poll.poll(max(0.0, seconds * 1000.0))
        return self._epoll.poll(max(0.0, seconds))

    def close(self) -> None:
        """Give the descriptor back."""
        if sys.platform == "linux":
            self._epoll.close()
