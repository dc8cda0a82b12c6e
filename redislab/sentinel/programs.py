"""The programs that a Sentinel runs at events: started without waiting, looked after by a timer.

A program that cannot be executed ends with exit code 2, as in the child process that Redis makes
for it. Follows `sentinelRunPendingScripts` and `sentinelCollectTerminatedScripts` in
`src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.sentinel.node import SentinelNode
    from redislab.server.environment import Program

_LOOK_S = 0.1
_CANNOT_EXECUTE = 2
_NO_PROCESS = frozenset({errno.EAGAIN, errno.ENOMEM})

# Called with process id, exit code and signal.
Ended = Callable[[int, int, int], None]


class Programs:
    """The programs of one Sentinel that run."""

    def __init__(self, node: SentinelNode) -> None:
        self.node = node
        self._running: dict[int, tuple[Program, Ended]] = {}

    def run(self, arguments: Sequence[str], ended: Ended) -> int | None:
        """Start a program.

        Returns:
            Its process id, 0 if it cannot be executed; None if there are no programs here.

        Raises:
            OSError: no process could be made.
        """
        node = self.node
        start = node.environment.start_program
        if start is None:
            node.log.warning(f"There are no programs here: {arguments[0]} is not run.")
            return None
        try:
            program = start(node.config.absolute(arguments[0]), arguments, node.config.dir)
        except OSError as failure:
            if failure.errno in _NO_PROCESS:
                raise
            node.call_later(0, lambda: ended(0, _CANNOT_EXECUTE, 0))
            return 0
        if not self._running:
            node.call_later(_LOOK_S, self._look)
        self._running[program.pid] = (program, ended)
        return program.pid

    def kill(self, process_id: int) -> None:
        """Kill a program; it is still told of its end."""
        found = self._running.get(process_id)
        if found is not None:
            found[0].kill()

    def _look(self) -> None:
        """Tell of those that have ended."""
        for process_id, (program, ended) in list(self._running.items()):
            code = program.poll()
            if code is not None:
                del self._running[process_id]
                ended(process_id, max(code, 0), max(-code, 0))
        if self._running:
            self.node.call_later(_LOOK_S, self._look)
