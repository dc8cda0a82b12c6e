"""Both ends of replication by hand, on bare sockets, so that a test sees and says every byte.

`RawReplica` is a replica that keeps what its master sends: the data set as bytes, the stream as
commands. `RawMaster` listens, and plays the master that a test wants: an honest one or a liar.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from redislab.wire.requests import RequestParser
from redislab.wire.resp import bulks
from tests.servers import HOST, Address

TIMEOUT_S = 15.0
_ACKNOWLEDGE_S = 0.2
REPLICATION_ID = "a" * 40
# An RDB file without keys, checksum and all, as redis-server 7.0 writes it.
EMPTY_RDB = b"REDIS0010\xff" + bytes(8)

Command = list[bytes]


class RawReplica:
    """A replica of a server.

    Args:
        address: the master.
        start: synchronize at once.

    Attributes:
        answer: the master's answer to PSYNC, without its line end.
        payload: the data set; None after a partial resynchronization.
        offset: of the stream, how much of it has come as whole commands.
    """

    def __init__(self, address: Address, *, start: bool = True) -> None:
        self.socket = socket.create_connection((address.host, address.port), TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.payload: bytes | None = None
        self.offset = 0
        self._data = b""
        self._parser = RequestParser()
        self._commands: list[Command] = []
        self._streams = False
        if start:
            self.introduce()
            self.synchronize()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    # -- the handshake ---------------------------------------------------------------------------

    def introduce(self, *options: bytes) -> None:
        """PING and REPLCONF, with the capabilities of 7.0 and further options."""
        assert self.ask(b"PING") == b"+PONG"
        assert self.ask(b"REPLCONF", b"listening-port", b"1") == b"+OK"
        assert self.ask(b"REPLCONF", b"capa", b"eof", b"capa", b"psync2", *options) == b"+OK"

    def synchronize(self, replication_id: str = "?", offset: int = -1) -> None:
        """PSYNC, and the data set if one comes."""
        self.say(b"PSYNC", replication_id.encode(), b"%d" % offset)
        self.answer = self.line()
        if self.answer.startswith(b"+FULLRESYNC"):
            self.offset = int(self.answer.split()[2])
            self.payload = self.read_payload()
            self._streams = True
            self.acknowledge()
        elif self.answer.startswith(b"+CONTINUE"):
            self.offset = offset - 1

    def read_payload(self) -> bytes:
        """The data set, in either form."""
        line = self.line()
        if line.startswith(b"$EOF:"):
            mark = line[5:45]
            while not self._data.endswith(mark):
                self._read()
            data, self._data = self._data[: -len(mark)], b""
            return data
        assert line.startswith(b"$"), line
        size = int(line[1:])
        while len(self._data) < size:
            self._read()
        data, self._data = self._data[:size], self._data[size:]
        return data

    def line(self) -> bytes:
        """The next line that is not empty."""
        while True:
            while b"\n" not in self._data:
                self._read()
            line, _, self._data = self._data.partition(b"\n")
            if line.rstrip(b"\r"):
                return line.rstrip(b"\r")

    # -- the stream ------------------------------------------------------------------------------

    def say(self, *words: bytes) -> None:
        """Send a command."""
        self.socket.sendall(bulks(words))

    def ask(self, *words: bytes) -> bytes:
        """Send a command; the line that answers it."""
        self.say(*words)
        return self.line()

    def acknowledge(self, offset: int | None = None) -> None:
        """REPLCONF ACK."""
        self.say(b"REPLCONF", b"ACK", b"%d" % (self.offset if offset is None else offset))

    def next(self) -> Command:
        """The next command of the stream."""
        while not self._commands:
            if not self._data:
                self._read()
            data, self._data = self._data, b""
            self._commands = self._parser.feed(data)
        command = self._commands.pop(0)
        self.offset += len(bulks(command))
        return command

    def until(self, last: Command) -> list[Command]:
        """The commands up to this one, PING and REPLCONF left out. Acknowledges them."""
        commands: list[Command] = []
        while (command := self.next()) != last:
            if command[0].upper() not in {b"PING", b"REPLCONF"}:
                commands.append(command)
        self.acknowledge()
        return commands

    def _read(self) -> None:
        """More bytes; meanwhile the master hears of us, as it does of any replica."""
        deadline = time.monotonic() + TIMEOUT_S
        while not select.select([self.socket], [], [], _ACKNOWLEDGE_S)[0]:
            if time.monotonic() > deadline:
                raise TimeoutError("nothing came from the master")
            if self._streams:
                self.acknowledge()
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the master has closed the connection")
        self._data += data


@dataclass
class Session:
    """One connection of a replica to a `RawMaster`.

    Attributes:
        socket: the connection.
        requests: what the replica has said, as commands.
    """

    socket: socket.socket
    requests: list[Command] = field(default_factory=list)
    _parser: RequestParser = field(default_factory=RequestParser)

    def hear(self, name: bytes) -> Command:
        """The replica's next command of this name; others before it are answered with +OK."""
        while True:
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the replica has closed the connection")
            for command in self._parser.feed(data):
                self.requests.append(command)
                if command[0].upper() == name:
                    return command
                self.say(b"+PONG\r\n" if command[0] == b"PING" else b"+OK\r\n")

    def hears_nothing_more(self) -> None:
        """Wait until the replica closes the connection."""
        while data := self.socket.recv(1 << 16):
            self.requests += self._parser.feed(data)

    def say(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def full(self, offset: int, payload: bytes, replication_id: str = REPLICATION_ID) -> None:
        """Answer PSYNC with a data set of known length."""
        self.say(b"+FULLRESYNC %b %d\r\n" % (replication_id.encode(), offset))
        self.say(b"$%d\r\n%b" % (len(payload), payload))


Script = Callable[[Session], None]


class RawMaster:
    """A master that plays one script after the other, one a connection; the last one again.

    Attributes:
        address: where it listens.
        sessions: the connections so far.
        times: when they came, on the monotonic clock.
        problems: what went wrong in scripts.
    """

    def __init__(self, scripts: Sequence[Script]) -> None:
        self._scripts = scripts
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self.sessions: list[Session] = []
        self.times: list[float] = []
        self.problems: list[BaseException] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(TIMEOUT_S)
            session = Session(connection)
            script = self._scripts[min(len(self.sessions), len(self._scripts) - 1)]
            self.sessions.append(session)
            self.times.append(time.monotonic())
            with connection:
                try:
                    script(session)
                except OSError:
                    continue  # the replica has hung up, as it should on a liar
                except BaseException as problem:
                    self.problems.append(problem)

    def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in self.sessions:
            with contextlib.suppress(OSError):
                session.socket.shutdown(socket.SHUT_RDWR)
            session.socket.close()
        self._thread.join(TIMEOUT_S)


@contextlib.contextmanager
def raw_master(*scripts: Script) -> Iterator[RawMaster]:
    """A master that plays these scripts, until the block ends."""
    master = RawMaster(scripts)
    try:
        yield master
    finally:
        master.close()
    assert not master.problems, master.problems
