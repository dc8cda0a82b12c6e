"""What a node sends on: the seam for replicas and the append-only file.

A command that changed data is passed on as it came, or as it rewrote itself (`Caller.rewrite`), to
every sink: `sink(database index, commands)`. Commands that belong together, those of a transaction
or of one command that rewrote itself into several, arrive in one call and are meant to be wrapped
in MULTI and EXEC (`propagatePendingCommands` in `src/server.c` of Redis 7.0).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.engine.keyspace import Keyspace
    from redislab.server.client import Client
    from redislab.server.node import Node

# Whom a command is sent to: the append-only file, the replicas, or both (`redis.set_repl`).
FILE, REPLICAS = 1, 2
EVERYBODY = FILE | REPLICAS

# One or more commands that are to be applied together, each with the number of its database.
Sink = Callable[[list[tuple[int, list[bytes]]]], None]


class Propagation:
    """What one node sends on, and to whom.

    Attributes:
        depth: how many units of commands that belong together are open.
        forced: send the command at hand on although it changed no data.
        targets: whom commands are sent to now; a script can change it for those it calls.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.sinks: dict[Sink, int] = {}
        self.targets = EVERYBODY
        self.depth = 0
        self.forced = False
        self._dirty = 0
        self._pending: list[tuple[int, int, list[bytes]]] = []  # targets, database, command

    def add(self, sink: Sink, target: int = EVERYBODY) -> None:
        """Send what changes from now on to a sink, which is one of the file or of a replica."""
        self.sinks[sink] = target
        engine = self.node.engine
        engine.propagating = True
        engine.on_expired = self.deleted
        self._dirty = engine.dirty
        self.forced = False

    def remove(self, sink: Sink) -> None:
        """Send a sink nothing any more."""
        del self.sinks[sink]
        if not self.sinks:
            self.node.engine.propagating = False
            self.node.engine.on_expired = None

    def recount(self) -> None:
        """Changes were counted, or taken off the count, that are not to be sent on."""
        self._dirty = self.node.engine.dirty

    def command(self, client: Client, args: list[bytes]) -> None:
        """A command has run."""
        engine = self.node.engine
        changed = engine.dirty != self._dirty
        self._dirty = engine.dirty
        rewritten, client.rewritten = client.rewritten, None
        # What a command asks for by itself is sent even if nothing changed: FLUSHALL on no data.
        if (changed or self.forced or rewritten) and args[0].lower() != b"exec":
            commands = [args] if rewritten is None else rewritten
            self._pending += [(self.targets, client.db.index, words) for words in commands]
        self.forced = False
        if not self.depth:
            self.flush()

    def deleted(self, db: Keyspace, key: bytes) -> None:
        """A key was removed by the node itself: it expired or was evicted."""
        self._pending.append((EVERYBODY, db.index, [b"DEL", key]))

    def flush(self) -> None:
        """Hand over what is pending, if no unit is open."""
        if self._pending and not self.depth:
            pending, self._pending = self._pending, []
            for sink, target in list(self.sinks.items()):
                commands = [(index, words) for to, index, words in pending if to & target]
                if commands:
                    sink(commands)
