"""Clients that wait: BLPOP and its kin.

A command that finds nothing returns a `Block`. The client then stands in a queue at each of its
keys, and is served in order of arrival when a command has put something there, before the next
command runs (`src/blocked.c` of Redis 7.0).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.server.dispatch import answer

if TYPE_CHECKING:
    from redislab.engine.table import Block
    from redislab.server.client import Client
    from redislab.server.node import Node


class Blocking:
    """The waiting clients of one node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.queues: dict[tuple[int, bytes], dict[Client, None]] = {}
        self.timers: dict[Client, asyncio.TimerHandle] = {}
        self.requests: dict[Client, list[bytes]] = {}
        self.told_of_ends = 0  # how many are waked by the end of their key as well

    def __len__(self) -> int:
        return len(self.requests)

    def block(self, client: Client, block: Block, args: list[bytes]) -> None:
        """Let a client wait."""
        client.blocked = block
        self.told_of_ends += block.unblocked_by_deletion
        self.requests[client] = args
        for key in block.keys:
            queue = self.queues.setdefault((client.db.index, key), {})
            if client not in queue:
                queue[client] = None
                client.db.awaited[key] = client.db.awaited.get(key, 0) + 1
        if block.timeout_s > 0:
            self.timers[client] = self.node.loop.call_later(block.timeout_s, self.time_out, client)
        if client.session is not None:
            client.session.waiting = True

    def forget(self, client: Client) -> None:
        """A client waits no more: it was served, or it is gone."""
        block, client.blocked = client.blocked, None
        if block is None:
            return
        self.told_of_ends -= block.unblocked_by_deletion
        self.requests.pop(client, None)
        timer = self.timers.pop(client, None)
        if timer is not None:
            timer.cancel()
        database = client.db
        for key in block.keys:
            queue = self.queues.get((database.index, key), {})
            if client not in queue:
                continue
            del queue[client]
            database.awaited[key] -= 1
            if not database.awaited[key]:
                del database.awaited[key]
                del self.queues[database.index, key]
        if client.session is not None:
            client.session.waiting = False

    def time_out(self, client: Client) -> None:
        """A client has waited long enough; a sleeping node notices when it wakes."""
        block = client.blocked
        if block is None:
            return
        if self.node.asleep and block.keys:
            remaining = self.node.sleep_remaining()
            self.timers[client] = self.node.loop.call_later(remaining, self.time_out, client)
            return
        self.release(client, block.on_timeout)

    def release(self, client: Client, reply: bytes) -> None:
        """Answer a waiting client and let it go on with its pipeline."""
        self.forget(client)
        answered = answer(client, reply)
        if isinstance(answered, bytes):
            client.send(answered)
        if client.session is not None:
            self.node.loop.call_soon(client.session.resume)

    def serve_ready(self) -> None:
        """Serve the clients whose keys have received data, in the order the keys became ready.

        While a slow script runs they wait for its end.
        """
        if self.node.scripts.slow.client is not None:
            return
        ready = self.node.engine.ready
        while ready:
            index, key = next(iter(ready))
            del ready[index, key]
            values = self.node.engine.databases[index].values
            for client in list(self.queues.get((index, key), ())):
                if key not in values and not self.told_of_ends:
                    break  # those before have taken it all
                self._serve(client, key)

    def _serve(self, client: Client, key: bytes) -> None:
        block = client.blocked
        if block is None:
            return
        try:
            reply = block.serve(client, key)
        except CommandError as failed:
            reply = self.node.failed(client.executing, failed)
        if reply is None:
            return
        if self.node.engine.propagating and client.executing is not None:
            self.node.propagate(client, client.executing, self.requests[client])
        self.release(client, reply)
