"""The real nutcracker as judge of placements, in front of servers that say which of them they are.

A server here is a listener that answers each GET with its own number; whatever a pool answers for a
key is therefore the number of the server that nutcracker has chosen. Everything but nutcracker runs
on one event loop, and keys are asked for in pipelines.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from redislab.ring.servers import UNSAID_PORT, Server
from redislab.wire.requests import RequestParser
from redislab.wire.resp import request
from redislab.worlds.ports import free_port

START_TIMEOUT_S = 30.0
# Of longer ones nutcracker takes much longer for each request.
PIPELINE = 100
ANSWER = b"$2\r\n%02d\r\n"
ANSWER_BYTES = len(ANSWER % 0)


def nutcracker() -> str:
    program = shutil.which("nutcracker")
    if program is None:
        pytest.skip("nutcracker is not installed (Debian package nutcracker)")
    return program


@dataclass(frozen=True)
class Pool:
    """One pool of the configuration."""

    servers: Sequence[Server]
    hash: str
    distribution: str
    hash_tag: str = ""
    more: str = ""  # further lines of the file

    def text(self, name: str, path: Path) -> str:
        lines = [f"listen: {path}", f"hash: {self.hash}", f"distribution: {self.distribution}"]
        lines += [f'hash_tag: "{self.hash_tag}"'] if self.hash_tag else []
        lines += ["redis: true", *self.more.splitlines(), "servers:"]
        lines += [f"- {server}" for server in self.servers]
        return f"{name}:\n" + "".join(f"  {line}\n" for line in lines)


class Backend(asyncio.Protocol):
    """A connection to a server that answers with its number."""

    def __init__(self, number: int, connected: set[asyncio.BaseTransport]) -> None:
        self._answer = ANSWER % number
        self._connected = connected
        self._parser = RequestParser()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connected.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._connected.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer * len(self._parser.feed(data)))


class Backends:
    """Listeners for servers; a server's number is its place in the list that was given."""

    def __init__(self) -> None:
        self._listeners: dict[Server, tuple[asyncio.Server, set[asyncio.BaseTransport]]] = {}

    async def listen(self, servers: Sequence[Server]) -> None:
        loop = asyncio.get_running_loop()
        for number, server in enumerate(servers):
            connected = set()
            make = functools.partial(Backend, number, connected)
            if server.port:
                listener = await loop.create_server(make, server.host, server.port)
            else:
                listener = await loop.create_unix_server(make, server.host)
            self._listeners[server] = listener, connected

    def stop(self, server: Server) -> None:
        """Take a server away: whoever connects is refused, whoever is connected is hung up on."""
        listener, connected = self._listeners.pop(server)
        listener.close()
        for transport in connected:
            transport.abort()

    def close(self) -> None:
        for server in list(self._listeners):
            self.stop(server)


@contextlib.asynccontextmanager
async def running(pools: Sequence[Pool]) -> AsyncIterator[list[Path]]:
    """Run nutcracker with these pools; the sockets that they listen on, in the same order."""
    with tempfile.TemporaryDirectory(prefix="redislab-nc-") as folder:
        paths = [Path(folder) / str(number) for number in range(len(pools))]
        file = Path(folder) / "nutcracker.yml"
        texts = (pool.text(f"p{n}", paths[n]) for n, pool in enumerate(pools))
        file.write_text("\n".join(texts), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            nutcracker(),
            *("-c", str(file), "-s", str(free_port()), "-a", "127.0.0.1"),
            *("-o", f"{folder}/log", "-p", f"{folder}/pid"),
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not all(accepts(path) for path in paths):
                    assert process.returncode is None, log_text(folder)
                    await asyncio.sleep(0.005)
            yield paths
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def accepts(path: Path) -> bool:
    """Whether somebody listens on a socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def log_text(folder: str) -> str:
    return Path(folder, "log").read_text(encoding="utf-8")


async def answers(path: Path, keys: Sequence[bytes]) -> list[int]:
    """The numbers of the servers that a pool sends these keys to."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    data = b""
    try:
        for begin in range(0, len(keys), PIPELINE):
            asked = keys[begin : begin + PIPELINE]
            writer.write(b"".join(request([b"GET", key]) for key in asked))
            data += await reader.readexactly(ANSWER_BYTES * len(asked))
    finally:
        writer.close()
        await writer.wait_closed()
    numbers = [int(word) for word in data.split(b"\r\n")[1::2]]
    assert data == b"".join(ANSWER % number for number in numbers)
    return numbers


def free_servers(count: int, weights: Sequence[int] = (1,)) -> list[Server]:
    """Servers on ports of 127.0.0.1 that are free, with these weights in turn."""
    return [
        Server("127.0.0.1", free_port(), weights[number % len(weights)]) for number in range(count)
    ]


def servers_without_ports(count: int) -> list[Server]:
    """Servers on the port that goes unsaid, each on an address of this machine of its own."""
    first = os.getpid() % 250
    return [Server(f"127.{first}.{number + 1}.11", UNSAID_PORT) for number in range(count)]
