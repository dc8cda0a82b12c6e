"""What a replica does with its master's stream: run it, pass it on unchanged, count it.

Commands of a master are obeyed: no gate is asked, a key whose time has come is there until the
master says otherwise, and nothing is answered. Only those that administer a node, such as
SHUTDOWN, which no master sends, are not obeyed, where Redis would. The offset counts whole
commands, and a transaction counts once its EXEC is there: a replica that loses its link in between
asks for all of it again. Follows `processInputBuffer`, `commandProcessed` and `mustObeyClient` of
Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.server.client import Client
from redislab.server.dispatch import execute, find
from redislab.server.monitor import represent
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
_INLINE = (
    "WARNING: Receiving inline protocol from master, master stream corruption? Closing the master "
    "connection and discarding the cached master."
)
_DESYNC = "Master using the inline protocol. Desync?"
_ERROR_MAX = 4096  # characters of an error in the log
_SHOWN_BYTES = 256


class StreamParser(RequestParser):
    """Reads a master's stream, in which there are no commands in one line, only empty lines."""

    def feed(self, data: bytes) -> list[list[bytes]]:
        """See `RequestParser.feed`."""
        if data[:1] != b"*" and not self.unfinished:
            return self._feed_slowly(data)
        return super().feed(data)

    def _next_inline(self) -> list[bytes] | None:
        words = super()._next_inline()
        if words:
            raise ProtocolError(_DESYNC)
        return words


class Applier:
    """A master as a client, whose commands are applied.

    It outlives its link: who goes on with the stream is in the database that he was in.

    Args:
        node: the replica.
        side: its replicas of its own, who get the same bytes.
        database: the database that the stream begins in.
    """

    def __init__(self, node: Node, side: MasterSide, database: int) -> None:
        self.node = node
        self.side = side
        self.client = Client(node, node.next_client_id(), None)
        self.client.is_master = self.client.authenticated = True
        self.client.db = node.engine.databases[database]
        self._start_reading()

    def _start_reading(self) -> None:
        self.parser = StreamParser()
        # What came and is not passed on yet: it ends inside a command or a transaction.
        self._raw = bytearray()
        self._transaction: list[tuple[Entry, list[bytes]]] | None = None
        self._transaction_bytes = 0

    def connect(self) -> None:
        """There is a link: the client is one of the node's."""
        self._start_reading()
        self.client.last_used = self.node.loop_time()
        self.node.clients[self.client.id] = self.client

    def disconnect(self) -> None:
        """The link is gone: what was not applied is forgotten."""
        self._start_reading()
        self.node.watches.forget(self.client)
        self.node.clients.pop(self.client.id, None)

    def take(self, data: bytes, acknowledge: Callable[[int], None]) -> str:
        """Apply the commands that a piece of the stream completes.

        Args:
            data: the piece.
            acknowledge: called with an offset whenever the master asks for it.

        Returns:
            What was wrong with the protocol; empty if nothing was.
        """
        wrong = ""
        try:
            commands = self.parser.feed(data)
        except ProtocolError as broken:
            wrong, commands = broken.args
        self._raw += data
        before = self._transaction_bytes
        self.client.last_used = self.node.loop_time()
        asked: list[int] = []
        engine = self.node.engine
        engine.obeys_master = True
        try:
            for position, args in enumerate(commands):
                if args[0].lower() == b"replconf":
                    # The bytes of the question itself are not in the answer.
                    asked.append(sum(map(encoded_size, commands[position:])))
                else:
                    self._run(args)
        finally:
            engine.obeys_master = False
        if self.node.config.maxmemory:
            self.node.eviction.make_room()  # which a replica does only where it is told to
        if wrong:
            self._pass_on(before + sum(map(encoded_size, commands)))
        else:
            self._pass_on(len(self._raw) - self.parser.unfinished)
        for size in asked:
            acknowledge(self.side.history.offset + self._transaction_bytes - size)
        if wrong == _DESYNC:
            self.node.log.warning(_INLINE)
        return wrong

    @property
    def unapplied(self) -> int:
        """How many bytes have come that are not applied."""
        return len(self._raw)

    def _pass_on(self, whole: int) -> None:
        """Hand on what was applied, to the byte, of what has come in whole commands."""
        applied = whole - self._transaction_bytes
        if applied > 0:
            self.side.feed_bytes(bytes(memoryview(self._raw)[:applied]))
            del self._raw[:applied]

    def _run(self, args: list[bytes]) -> None:
        client, node = self.client, self.node
        client.executing = None
        try:
            entry = _find(client, args)
        except CommandError as refused:
            self._tell(refused.message)
            if self._transaction is not None:
                self._transaction_bytes += encoded_size(args)
            return
        if entry.name == "multi" and self._transaction is None:
            self._show(entry, args)
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
            try:
                for each, words in together:
                    self._execute(each, words)
            finally:
                client.deny_blocking = client.in_exec = False
                node.end_transaction()
            self._show(entry, args)
        else:
            self._execute(entry, args)
        if node.engine.ready:
            node.blocking.serve_ready()

    def _show(self, entry: Entry, args: list[bytes]) -> None:
        """Show what frames a transaction to those who monitor."""
        if self.node.monitors:
            self.node.show_monitors(self.client, entry, args)

    def _execute(self, entry: Entry, args: list[bytes]) -> None:
        client = self.client
        client.executing = entry
        reply = execute(client, entry, args)
        if not isinstance(reply, bytes):
            # Nobody waits here: no master sends what could.
            self._tell("ERR a command that waits is not applied")
        elif reply.startswith(b"-"):
            self._tell(reply[1:-2].decode("utf-8", "replace"))

    def _tell(self, error: str) -> None:
        """The master has sent a command that fails here, though it did not fail there."""
        self.node.replication.replicaside.errors += 1
        executing = self.client.executing
        name = "<unknown>" if executing is None else executing.name
        log = self.node.log
        log.warning(_CRITICAL.format(told(error), name))
        backlog = self.side.backlog
        if backlog is not None and len(backlog):
            latest = represent(backlog.latest(_SHOWN_BYTES))
            log.warning(f"Latest backlog is: '{latest}'")


def told(error: str) -> str:
    """An error as the log tells it: Redis leaves the code ERR out."""
    return (error.removeprefix("ERR ") if error.startswith("ERR ") else f"-{error}")[:_ERROR_MAX]


def _find(client: Client, args: list[bytes]) -> Entry:
    """The command that a master means.

    Raises:
        CommandError: there is none, or it is none that a master can mean.
    """
    entry = find(client, args)
    if "admin" in entry.flags and not entry.writes:
        raise CommandError(f"ERR '{entry.name}' is not obeyed, whoever sends it")
    return entry
