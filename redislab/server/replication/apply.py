"""What a replica does with its master's stream: run it, pass it on unchanged, count it.

Commands of a master are obeyed: no gate is asked, a key whose time has come is there until the
master says otherwise, and nothing is answered. The offset counts whole commands, and a transaction
counts once its EXEC is there: a replica that loses its link in between asks for all of it again.
Follows `processInputBuffer`, `commandProcessed` and `mustObeyClient` of Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.server.client import Client
from redislab.server.dispatch import execute, find
from redislab.server.replication.stream import encoded_size
from redislab.wire.requests import ProtocolError, RequestParser

if TYPE_CHECKING:
    from redislab.server.commands import Entry
    from redislab.server.node import Node
    from redislab.server.replication.masterside import MasterSide

_CRITICAL = (
    "== CRITICAL == This replica is sending an error to its master: '{}' after processing the "
    "command '{}'"
)


class Applier:
    """Applies one stream.

    Args:
        node: the replica.
        side: its replicas of its own, who get the same bytes.
        database: the database that the stream begins in.
    """

    def __init__(self, node: Node, side: MasterSide, database: int) -> None:
        self.node = node
        self.side = side
        self.client = Client(node, node.next_client_id(), None)
        self.client.is_master = True
        self.client.db = node.engine.databases[database]
        self.parser = RequestParser()
        # What came and is not passed on yet: it ends inside a command or a transaction.
        self._raw = bytearray()
        self._transaction: list[tuple[Entry, list[bytes]]] | None = None
        self._transaction_bytes = 0

    def take(self, data: bytes, acknowledge: Callable[[int], None]) -> str:
        """Apply the commands that a piece of the stream completes.

        Args:
            data: the piece.
            acknowledge: called with an offset when the master asks for it.

        Returns:
            What was wrong with the protocol; empty if nothing was.
        """
        wrong = ""
        try:
            commands = self.parser.feed(data)
        except ProtocolError as broken:
            wrong, commands = broken.args
        self._raw += data
        asked_at = -1
        engine = self.node.engine
        engine.obeys_master = True
        try:
            for position, args in enumerate(commands):
                if len(args) == 3 and args[0].lower() == b"replconf":
                    # The bytes of the question itself are not in the answer.
                    asked_at = sum(map(encoded_size, commands[position:]))
                else:
                    self._run(args)
        finally:
            engine.obeys_master = False
        self._pass_on()
        if asked_at >= 0:
            acknowledge(self.side.history.offset - asked_at)
        return wrong

    @property
    def unapplied(self) -> int:
        """How many bytes have come that are not applied."""
        return len(self._raw)

    def abandon(self) -> None:
        """The link is gone: what was not applied is forgotten."""
        self._transaction = None
        self.node.watches.forget(self.client)

    def _pass_on(self) -> None:
        """Hand on what was applied, to the byte."""
        applied = len(self._raw) - self.parser.unfinished - self._transaction_bytes
        if applied > 0:
            self.side.feed_bytes(bytes(memoryview(self._raw)[:applied]))
            del self._raw[:applied]

    def _run(self, args: list[bytes]) -> None:
        client, node = self.client, self.node
        try:
            entry = find(client, args)
        except CommandError as refused:
            self._tell(refused.message, args)
            return
        if entry.name == "multi":
            self._transaction = []
            self._transaction_bytes = encoded_size(args)
            return
        if self._transaction is not None:
            if entry.name != "exec":
                self._transaction.append((entry, args))
                self._transaction_bytes += encoded_size(args)
                return
            together, self._transaction = self._transaction, None
            self._transaction_bytes = 0
            client.deny_blocking = client.in_exec = True
            node.begin_transaction()
            for each, words in together:
                self._execute(each, words)
            client.deny_blocking = client.in_exec = False
            node.end_transaction()
        else:
            self._execute(entry, args)
        if node.engine.ready:
            node.blocking.serve_ready()

    def _execute(self, entry: Entry, args: list[bytes]) -> None:
        client = self.client
        client.executing = entry
        reply = execute(client, entry, args)
        if isinstance(reply, bytes) and reply.startswith(b"-"):
            self._tell(reply[1:].rstrip().decode("utf-8", "replace"), args)

    def _tell(self, error: str, args: list[bytes]) -> None:
        name = args[0].decode("utf-8", "replace").lower()
        self.node.log.warning(_CRITICAL.format(error, name))
