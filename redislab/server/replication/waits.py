"""WAIT: clients that want to know their writes on a number of replicas.

Follows `waitCommand` and `processClientsWaitingReplicas` in `src/replication.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.engine.table import Block, Reply
from redislab.server.arguments import integer_argument, timeout_seconds
from redislab.wire.resp import integer

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.replication.replication import Replication

_ON_REPLICA = (
    "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a "
    "replica is configured to be writable (which is not the default) writes to replicas are just "
    "local and are not propagated."
)


@dataclass(slots=True)
class Waiting:
    """One client in WAIT."""

    offset: int
    replicas: int
    timer: asyncio.TimerHandle | None


class Waits:
    """The clients of one node that wait for replicas."""

    def __init__(self, replication: Replication) -> None:
        self.replication = replication
        self.node = replication.node
        self.waiting: dict[Client, Waiting] = {}
        self._asked = False

    def wait(self, client: Client, replicas_text: bytes, timeout_text: bytes) -> Reply:
        """WAIT: how many replicas have the client's writes, once they are enough or time is up.

        Args:
            client: who asks.
            replicas_text: how many are enough.
            timeout_text: when time is up, in milliseconds; 0 for never.

        Raises:
            CommandError: the node is a replica, or these are no numbers.
        """
        if self.replication.is_replica:
            raise CommandError(_ON_REPLICA)
        replicas, timeout_s = integer_argument(replicas_text), timeout_seconds(timeout_text)
        count = self.replication.masterside.acknowledged_by(client.write_offset)
        if count >= replicas or client.deny_blocking:
            return integer(count)
        timer = None
        if timeout_s > 0:
            timer = self.node.loop.call_later(timeout_s, self.time_out, client)
        self.waiting[client] = Waiting(client.write_offset, replicas, timer)
        if not self._asked:
            self._asked = True
            self.node.loop.call_soon(self._ask)
        return Block((), 0, lambda _c, _key: None, integer(count))

    def check(self) -> None:
        """A replica has acknowledged: answer those who have waited for it."""
        for client, waiting in list(self.waiting.items()):
            count = self.replication.masterside.acknowledged_by(waiting.offset)
            if count >= waiting.replicas:
                self._answer(client, count)

    def forget(self, client: Client) -> None:
        """A client waits no more, by whatever cause."""
        waiting = self.waiting.pop(client, None)
        if waiting is not None and waiting.timer is not None:
            waiting.timer.cancel()

    def forget_all(self) -> None:
        """The node becomes a replica: nobody can wait here any more."""
        for client in list(self.waiting):
            self.forget(client)

    def resume(self) -> None:
        """A pause is over, during which nothing was to be added to the stream."""
        if self._asked:
            self._ask()

    def _ask(self) -> None:
        if not self.node.pause_mode():
            self._asked = False
            self.replication.masterside.ask_for_acknowledgments()

    def time_out(self, client: Client) -> None:
        """A client has waited for long enough: tell it how many there are."""
        waiting = self.waiting.get(client)
        if waiting is not None:
            count = self.replication.masterside.acknowledged_by(waiting.offset)
            self._answer(client, count)

    def _answer(self, client: Client, count: int) -> None:
        self.forget(client)
        self.node.blocking.release(client, integer(count))
