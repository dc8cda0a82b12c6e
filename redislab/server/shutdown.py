"""SHUTDOWN and the signals that ask for it (`src/db.c` and `src/server.c` of Redis 7.0).

There is nothing to save and no replica to wait for yet, so a shutdown is immediate; parts built on
top of the node add to `before_shutdown`. `finishShutdown`'s log lines are Redis's.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Reply, command

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.node import Node


@command("shutdown")
def shutdown(c: Client, args: list[bytes]) -> Reply:
    """SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]: no reply, but for an error."""
    words = [word.lower() for word in args[1:]]
    if not set(words) <= {b"nosave", b"save", b"now", b"force", b"abort"}:
        raise syntax_error()
    if b"nosave" in words and b"save" in words:
        raise syntax_error()
    if b"abort" in words:
        if len(set(words)) > 1:
            raise syntax_error()
        raise CommandError("ERR No shutdown in progress.")
    if c.deny_blocking:
        raise CommandError(
            "ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client"
        )
    slow = c.node.scripts.slow
    if slow.client is not None and b"nosave" not in words:
        raise CommandError(slow.busy_message())
    c.node.log.warning("User requested shutdown...")
    leave(c.node)
    return b""


def leave(node: Node) -> None:
    """Stop the node, from inside one of its commands or a signal handler."""
    node.shutting_down = node.loop.create_task(_leave(node))


async def _leave(node: Node) -> None:
    await node.stop()


class Signals:
    """SIGTERM and SIGINT end a node that is a program of its own; the second one at once."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self.node = node
        self.loop = loop
        self._asked = False

    def listen(self) -> None:
        """Take the signals from here on."""
        for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")):
            self.loop.add_signal_handler(number, self._received, name)

    def _received(self, name: str) -> None:
        if self._asked:
            self.node.log.warning("You insist... exiting now.")
            self.node.abort()
            return
        self._asked = True
        self.node.log.warning(f"Received {name} scheduling shutdown...")
        self.node.log.warning("User requested shutdown...")
        leave(self.node)
