"""What a node answers, held back until the append-only file has what the answers are about.

Redis writes the append-only file just before it goes to sleep in its event loop, and its replies
just after that (`beforeSleep` in `src/server.c` of Redis 7.0): a client never learns of a change
that is not in the file. Here, from the first change on that a turn of the loop makes, sessions hand
what they would write to the outbox, also those that only read: they may have seen the change. In
the next turn the file is written, once for all of them, and they speak. Under `appendfsync always`
they wait until the file is on the medium, while the next changes gather behind them.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.server.node import Node
    from redislab.server.session import Session

# What a session says, or None for the end of its connection.
_Message = tuple["Session", bytes | None]


class Outbox:
    """The outbox of one node.

    Attributes:
        holding: sessions are to hand over what they would write.
        flush: writes the append-only file. It returns what the replies have to wait for then, or
            None if they may leave.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.holding = False
        self.flush: Callable[[], Future[None] | None] = lambda: None
        self._held: list[_Message] = []
        self._blocks = 0

    def begin(self) -> None:
        """Something has changed: hold everything until the file is written."""
        if not self.holding:
            self.holding = True
            self.node.loop.call_soon(self._turn)

    def hold(self, session: Session, payload: bytes) -> None:
        """Keep what a session says."""
        self._held.append((session, payload))

    def hold_end(self, session: Session) -> None:
        """Close a session's connection once it has said what is kept."""
        self._held.append((session, None))

    def block(self) -> None:
        """Let nothing out until `unblock` is called; blocks add up."""
        self._blocks += 1
        self.holding = True

    def unblock(self) -> None:
        """End a block."""
        self._blocks -= 1
        self._turn()

    def wait_for(self, barrier: Future[None]) -> None:
        """Let nothing out until something is done."""
        self.block()
        barrier.add_done_callback(lambda _: self.unblock())

    def release(self) -> None:
        """Let everything out that is kept, whatever it waits for."""
        held, self._held = self._held, []
        self._deliver(held)
        self.holding = False

    def drop(self) -> None:
        """Forget everything that is kept: the node is dead."""
        self._held.clear()

    def _turn(self) -> None:
        if self._blocks or not self.holding or self._is_over():
            return
        barrier = self.flush()
        if self._is_over():
            return  # the node has died of what it could not write
        if barrier is None:
            self.release()
            return
        held, self._held = self._held, []
        self._blocks += 1

        def done(_: Future[None]) -> None:
            if not self._is_over():
                self._deliver(held)
            self.unblock()

        barrier.add_done_callback(done)

    def _is_over(self) -> bool:
        return self.node.stopping

    def _deliver(self, held: list[_Message]) -> None:
        for session, payload in held:
            if payload is None:
                session.transport.close()
            elif session.client is not None:
                session.transport.write(payload)
                if session.slow_reader:
                    self.node.check_output(session)
