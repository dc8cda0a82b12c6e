"""What a node does that finds itself in a state in which it must not go on.

Redis writes a report of everything it knows of itself into its log and calls `abort`. Here the log
gets the lines that say why, and the node ends with the exit code that a shell tells of such a
process, or with 1 under `use-exit-on-panic`. Follows `_serverPanic` in `src/debug.c` of Redis 7.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.server.exits import ExitError

if TYPE_CHECKING:
    from redislab.server.node import Node

_ABORTED = 128 + 6  # what a shell says of a process that SIGABRT has ended


def panic(node: Node, reason: str) -> ExitError:
    """Let the log tell why the node cannot go on; what ends it is returned, to be raised."""
    node.log.warning("-" * 48)
    node.log.warning("!!! Software Failure. Press left mouse button to continue")
    node.log.warning(f"Guru Meditation: {reason}")
    return ExitError(1 if node.config.use_exit_on_panic else _ABORTED)
