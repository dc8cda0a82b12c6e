"""What a node sends on: the seam for replicas and the append-only file.

A command that changed data is passed on as it came, or as it rewrote itself (`Caller.rewrite`), to
every sink: `sink(database index, commands)`. Commands that belong together, those of a transaction
or of one command that rewrote itself into several, arrive in one call and are meant to be wrapped
in MULTI and EXEC (`propagatePendingCommands` in `src/server.c` of Redis 7.0).

Most writes are requests that stand alone and are sent on as they came. A sink that wants bytes can
have those of the request then: nothing is encoded, and a replica costs its master next to nothing.
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

# They look at keys that nobody named, and so may find that several have expired.
_AT_RANDOM = frozenset({b"randomkey", b"scan"})

# One or more commands that are to be applied together, each with the number of its database.
Sink = Callable[[list[tuple[int, list[bytes]]]], None]
# One command by itself, encoded: the number of its database, and its bytes; the offset after it.
ByteSink = Callable[[int, bytes], int]


class Propagation:
    """What one node sends on, and to whom.

    Attributes:
        depth: how many units of commands that belong together are open.
        forced: send the command at hand on although it changed no data.
        targets: whom commands are sent to now; a script can change it for those it calls.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._engine = node.engine
        self.sinks: dict[Sink, int] = {}
        self._sinks: list[Sink] = []  # the same, for going through them quickly
        self._byte_sinks: dict[Sink, ByteSink] = {}
        # What takes the bytes of a request, where there is one sink and it does.
        self._byte_sink: ByteSink | None = None
        self.targets = EVERYBODY
        self.depth = 0
        self.forced = False
        self._dirty = 0
        self._pending: list[tuple[int, int, list[bytes]]] = []  # targets, database, command

    def add(self, sink: Sink, target: int = EVERYBODY, byte_sink: ByteSink | None = None) -> None:
        """Send what changes from now on to a sink.

        Args:
            sink: what takes commands.
            target: whose it is, the file's or the replicas'.
            byte_sink: takes, in its stead, a command whose bytes are at hand.
        """
        self.sinks[sink] = target
        if byte_sink is not None:
            self._byte_sinks[sink] = byte_sink
        self._list_sinks()
        engine = self.node.engine
        engine.propagating = True
        engine.on_expired = self.deleted
        self._dirty = engine.dirty
        self.forced = False

    def remove(self, sink: Sink) -> None:
        """Send a sink nothing any more."""
        del self.sinks[sink]
        self._byte_sinks.pop(sink, None)
        self._list_sinks()
        if not self.sinks:
            self.node.engine.propagating = False
            self.node.engine.on_expired = None

    def _list_sinks(self) -> None:
        self._sinks = list(self.sinks)
        alone = self._sinks[0] if len(self._sinks) == 1 else None
        self._byte_sink = None if alone is None else self._byte_sinks.get(alone)

    def recount(self) -> None:
        """Changes were counted, or taken off the count, that are not to be sent on."""
        self._dirty = self.node.engine.dirty

    def pass_on(self, client: Client, data: bytes) -> bool:
        """A command on data has run, a request in the canonical form; send it on as it came.

        Args:
            client: whose request it was.
            data: its bytes.

        Returns:
            Whether that was all there was to do. If not, nothing was done, and `command` has to.
        """
        take = self._byte_sink
        rewritten = client.rewritten is not None
        if take is None or rewritten or self._pending or self.depth or self.forced:
            return False  # while the targets are others, a unit is open
        dirty = self._engine.dirty
        if dirty == self._dirty:
            client.write_offset = self.node.replication.history.offset
        else:
            self._dirty = dirty
            client.write_offset = take(client.db.index, data)
        return True

    def command(self, client: Client, args: list[bytes]) -> None:
        """A command has run."""
        dirty = self.node.engine.dirty
        changed = dirty != self._dirty
        rewritten = client.rewritten
        if rewritten is None and not (self._pending or self.depth or self.forced):
            # The common cases: it has changed nothing, or is to be sent on by itself, as it is.
            if not changed:
                return
            if self.targets == EVERYBODY and len(args) > 1:
                self._dirty = dirty
                unit = [(client.db.index, args)]
                for sink in self._sinks:
                    sink(unit)
                return
        self._dirty = dirty
        client.rewritten = None
        # What a command asks for by itself is sent even if nothing changed: FLUSHALL on no data.
        if (changed or self.forced or rewritten) and args[0].lower() != b"exec":
            commands = [args] if rewritten is None else rewritten
            self._pending += [(self.targets, client.db.index, words) for words in commands]
        self.forced = False
        if not self.depth:
            self.flush(together=args[0].lower() not in _AT_RANDOM)

    def deleted(self, db: Keyspace, key: bytes) -> None:
        """A key was removed by the node itself: it expired or was evicted."""
        self._pending.append((EVERYBODY, db.index, [b"DEL", key]))

    def flush(self, *, together: bool = True) -> None:
        """Hand over what is pending, if no unit is open.

        Args:
            together: it belongs together. What expired or was evicted does not.
        """
        if not self._pending or self.depth:
            return
        pending, self._pending = self._pending, []
        for part in [pending] if together else [[each] for each in pending]:
            for sink, target in list(self.sinks.items()):
                commands = [(index, words) for to, index, words in part if to & target]
                if commands:
                    sink(commands)
