"""What a replica does with its master's stream: run it, pass it on unchanged, count it.

Commands of a master are obeyed: no gate is asked, a key whose time has come is there until the
master says otherwise, and nothing is answered. Only those that administer a node, such as
SHUTDOWN, which no master sends, are not obeyed, where Redis would. The offset counts whole
commands, and a transaction counts once its EXEC is there: a replica that loses its link in between
asks for all of it again. Two gates are closed to a master too: that of memory, on a replica that is
to mind it (`replica-ignore-maxmemory no`), and that of a disk that takes nothing, before which a
replica ends rather than answer for what it does not have. Follows `processInputBuffer`,
`commandProcessed`, `mustObeyClient` and `afterErrorReply` of Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.server.client import Client
from redislab.server.dispatch import execute, find
from redislab.server.exits import ExitError
from redislab.server.gates import ALLOWED_WITHOUT_MEMORY, OUT_OF_MEMORY, effective_flags
from redislab.server.monitor import represent
from redislab.server.panic import panic
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
_ABORTED = "EXECABORT Transaction discarded because of previous errors."
_NOT_ON_DISK = "Replica is applying a command even though it is unable to write to disk."
_NOT_ON_DISK_EVERY_S = 10
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
        self._minds_memory = self._disk_fails = False
        self._told_of_disk_at = float("-inf")
        self._start_reading()

    def _start_reading(self) -> None:
        self.parser = StreamParser()
        # What came and is not passed on yet: it ends inside a command or a transaction.
        self._raw = bytearray()
        self._transaction: list[tuple[Entry, list[bytes]]] | None = None
        self._transaction_bytes = 0
        self._transaction_failed = False

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
        self._minds_memory = self.node.config.maxmemory > 0
        self._disk_fails = self.node.persistence.write_refusal() is not None
        try:
            for position, args in enumerate(commands):
                if args[0].lower() == b"replconf":
                    # The bytes of the question itself are not in the answer.
                    asked.append(sum(map(encoded_size, commands[position:])))
                else:
                    self._run(args)
        except ExitError as end:
            self.node.die(end.code)
            return ""
        finally:
            engine.obeys_master = False
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
            self._refuse(refused.message)
            self._fail_transaction(args)
            return
        if (self._minds_memory or self._disk_fails) and not self._may_run(entry, args):
            self._refuse(OUT_OF_MEMORY)
            if entry.name == "exec":
                self._end_transaction()
            self._fail_transaction(args)
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
            has_failed = self._transaction_failed
            together = self._end_transaction()
            if has_failed:
                self._refuse(_ABORTED)
                return
            client.deny_blocking = client.in_exec = True
            node.begin_transaction()
            try:
                for each, words in together:
                    self._execute(each, words, of="exec")
            finally:
                client.deny_blocking = client.in_exec = False
                node.end_transaction()
            self._show(entry, args)
        else:
            self._execute(entry, args)
        if node.engine.ready:
            node.blocking.serve_ready()

    def _end_transaction(self) -> list[tuple[Entry, list[bytes]]]:
        """No transaction is open any more; what was in it."""
        together, self._transaction = self._transaction or [], None
        self._transaction_bytes = 0
        self._transaction_failed = False
        return together

    def _fail_transaction(self, args: list[bytes]) -> None:
        """A command was not taken: if it was one of a transaction, nothing of that will be done."""
        if self._transaction is not None:
            self._transaction_bytes += encoded_size(args)
            self._transaction_failed = True

    def _may_run(self, entry: Entry, args: list[bytes]) -> bool:
        """Whether there is room for what a command may add.

        Raises:
            ExitError: it writes, which the disk does not take.
        """
        flags = effective_flags(self.client, entry, args)
        if entry.name == "exec":
            queued = (effective_flags(self.client, *each) for each in self._transaction or ())
            flags = flags.union(*queued)
        if self._minds_memory and not self.node.eviction.make_room():
            is_queued = self._transaction is not None and entry.name not in ALLOWED_WITHOUT_MEMORY
            if is_queued or "denyoom" in flags:
                return False
        if self._disk_fails and (entry.name == "ping" or "write" in flags):
            self._mind_disk(entry)
        return True

    def _mind_disk(self, entry: Entry) -> None:
        node = self.node
        if not node.config.replica_ignore_disk_write_errors and entry.name != "ping":
            raise panic(node, "Replica was unable to write command to disk.")
        now = node.loop_time()
        if now > self._told_of_disk_at + _NOT_ON_DISK_EVERY_S:
            self._told_of_disk_at = now
            node.log.warning(_NOT_ON_DISK)

    def _show(self, entry: Entry, args: list[bytes]) -> None:
        """Show what frames a transaction to those who monitor."""
        if self.node.monitors:
            self.node.show_monitors(self.client, entry, args)

    def _refuse(self, error: str) -> None:
        """Count and tell an error of a command that is not run."""
        self.node.count_error(error)
        self._tell(error)

    def _execute(self, entry: Entry, args: list[bytes], *, of: str = "") -> None:
        """Run a command, of a transaction or by itself."""
        client = self.client
        client.executing = entry
        reply = execute(client, entry, args)
        if not isinstance(reply, bytes):
            # Nobody waits here: no master sends what could.
            self._tell("ERR a command that waits is not applied", of)
        elif reply.startswith(b"-"):
            self._tell(reply[1:-2].decode("utf-8", "replace"), of)

    def _tell(self, error: str, of: str = "") -> None:
        """The master has sent a command that fails here, though it did not fail there.

        Raises:
            ExitError: that is not to be lived with (`propagation-error-behavior`).
        """
        self.node.replication.replicaside.errors += 1
        executing = self.client.executing
        name = of or ("<unknown>" if executing is None else executing.name)
        log = self.node.log
        log.warning(_CRITICAL.format(told(error), name))
        backlog = self.side.backlog
        if backlog is not None and len(backlog):
            latest = represent(backlog.latest(_SHOWN_BYTES))
            log.warning(f"Latest backlog is: '{latest}'")
        config = self.node.config
        if config.propagation_error_behavior != "ignore" and config.replica_read_only:
            what = f"sending an error to its master after processing the command '{name}'"
            raise panic(self.node, f"This replica panicked {what}")


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
