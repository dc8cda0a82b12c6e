"""Ports of this machine that nobody else takes between the moment they are drawn and the server.

To ask the kernel for a port (bind to port 0, look, close) is to get one that any connection may
leave from a moment later: Linux takes the ports of outgoing connections from 32768 to 60999 unless
told otherwise, macOS from 49152 on. Then the server that the port was meant for cannot bind, and
one that is stopped for a while finds its port taken when it comes back. The ports here are below
all of that, and so are those of Cluster's bus, which are 10000 above them.

Other processes draw here, too: several notebooks, or tests side by side. So the ports are divided
into blocks, and a process draws from blocks of its own. It claims one by having a socket bound to
its first port, which the kernel gives back when the process ends, in whichever way.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from threading import Lock

LOCALHOST = "127.0.0.1"
# A node's port in Cluster's bus is this much above its port for clients.
BUS_PORT_OFFSET = 10_000
# 99 blocks, from 10100 to 19999, and their buses up to 29999. What is left out at the beginning
# leaves 20000 and 30000 to Redis's own tests of Sentinel.
FIRST_PORT = 10_100
BLOCK_PORTS = 100
BLOCKS = 99
# So many blocks of servers' ports before the first one is gone through again: a server that is
# stopped should find its port free a good while later. Sources live as long as a connection.
SERVER_BLOCKS = 6
SOURCE_BLOCKS = 1


class Blocks:
    """Who has which block of ports, as far as the kernel tells.

    Args:
        first: the first port of the first block.
        size: how many ports a block has.
        count: how many blocks there are.
    """

    def __init__(
        self, first: int = FIRST_PORT, size: int = BLOCK_PORTS, count: int = BLOCKS
    ) -> None:
        self._first = first
        self._size = size
        self._count = count

    def claim(self) -> tuple[range, int] | None:
        """A block that nobody has: its ports, and the descriptor that is to be kept open.

        The first port of a block is what claims it, and is not among them. None if all are taken.
        """
        # Processes begin in different places, and in others than those that ran before them, whose
        # connections may not be quite over.
        begin = os.getpid()
        for number in range(begin, begin + self._count):
            port = self._first + number % self._count * self._size
            guard = socket.socket()
            try:
                guard.bind((LOCALHOST, port))
            except OSError:
                guard.close()
            else:
                return range(port + 1, port + self._size), guard.detach()
        return None


class Walk:
    """One port after the other, out of blocks that are claimed when they are needed.

    Args:
        blocks: where they come from.
        usual: so many blocks are claimed before the first one is gone through again; more only
            if all of their ports are in use.
    """

    def __init__(self, blocks: Blocks, usual: int) -> None:
        self._blocks = blocks
        self._usual = usual
        self._lock = Lock()
        self._guards: list[int] = []
        self._ports: list[int] = []
        self._at = 0

    def forget(self) -> None:
        """Begin anew, with other blocks; a child process does, for those here are its parent's."""
        self._lock = Lock()
        for guard in self._guards:
            os.close(guard)
        self._guards, self._ports, self._at = [], [], 0

    def draw(self, *, with_bus: bool = False) -> int:
        """The next port that is free; raises OSError if there is none.

        Args:
            with_bus: whether the one of Cluster's bus has to be free as well.
        """
        with self._lock:
            tried = 0
            while True:
                if self._at == len(self._ports):
                    self._go_on(is_exhausted=tried >= len(self._ports))
                port = self._ports[self._at]
                self._at += 1
                tried += 1
                if can_bind(port) and not (with_bus and not can_bind(port + BUS_PORT_OFFSET)):
                    return port

    def _go_on(self, *, is_exhausted: bool) -> None:
        if len(self._guards) < self._usual or is_exhausted:
            found = self._blocks.claim()
            if found is not None:
                ports, guard = found
                self._ports += ports
                self._guards.append(guard)
                return
        if is_exhausted:
            raise OSError(errno.EADDRINUSE, "all ports for servers are in use, or others have them")
        self._at = 0


_blocks = Blocks()
_servers = Walk(_blocks, SERVER_BLOCKS)
_sources = Walk(_blocks, SOURCE_BLOCKS)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_servers.forget)
    os.register_at_fork(after_in_child=_sources.forget)


def free_port(*, with_bus: bool = False) -> int:
    """A port of 127.0.0.1 for a server: nobody has it, and nobody else who asks here gets it.

    Raises:
        OSError: there is none left.
    """
    return _servers.draw(with_bus=with_bus)


def source_port() -> int:
    """A port of 127.0.0.1 to connect from, likewise."""
    return _sources.draw()


@contextlib.contextmanager
def port_block() -> Iterator[range]:
    """A whole block, 99 ports in a row, for a program that chooses among them itself.

    Raises:
        OSError: there is none left.
    """
    found = _blocks.claim()
    if found is None:
        raise OSError(errno.EADDRINUSE, "others have all blocks of ports")
    ports, guard = found
    try:
        yield ports
    finally:
        os.close(guard)


def can_bind(port: int) -> bool:
    """Whether a port of 127.0.0.1 is free, also of connections that are not quite over."""
    with socket.socket() as probe:
        try:
            probe.bind((LOCALHOST, port))
        except OSError:
            return False
        return True
