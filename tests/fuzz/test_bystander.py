"""Whatever a client does to our server, the others are served, and nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redislab.server import Node
from redislab.server.config import Config
from redislab.server.main import environment
from tests.fuzz.raw import request
from tests.servers import HOST, Address, Wire, free_port, our_server

PINGS = 200_000
CONNECTIONS = 10_000
AT_ONCE = 100
LEFT_MB_MAX = 20
SOON_S = 60.0


@pytest.fixture(scope="module")
def ours() -> Iterator[Address]:
    with our_server() as address:
        yield address


def connect(address: Address) -> socket.socket:
    connection = socket.create_connection((address.host, address.port), 30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_exactly(connection: socket.socket, count: int) -> int:
    while count > 0:
        count -= len(connection.recv(min(count, 1 << 20)))
    return count


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def descriptors(address: Address) -> int:
    return len(list(Path(f"/proc/{address.process.pid}/fd").iterdir()))


def resident_mb(address: Address) -> float:
    pages = Path(f"/proc/{address.process.pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextlib.contextmanager
def sending(connection: socket.socket, data: bytes) -> Iterator[None]:
    """Send in the background, for who sends more than fits into buffers has to be read as well."""
    sender = threading.Thread(target=connection.sendall, args=(data,))
    sender.start()
    yield
    sender.join()


@pytest.mark.parametrize(
    ("flood", "answer_bytes"),
    [
        pytest.param(request(b"PING") * PINGS, PINGS * len(b"+PONG\r\n"), id="a long pipeline"),
        pytest.param(b"PING\r\n" * PINGS, PINGS * len(b"+PONG\r\n"), id="inline commands"),
        pytest.param(
            request(b"DEL", *[b"k"] * 1_000_000), len(b":0\r\n"), id="a million arguments"
        ),
    ],
)
def test_a_flood_lets_others_through(flood: bytes, answer_bytes: int, ours: Address) -> None:
    with connect(ours) as busy, Wire(ours) as other, sending(busy, flood):
        served = 0
        busy.settimeout(0.001)
        received = 0
        while received < answer_bytes:
            assert other.call(b"PING").text == b"PONG"
            served += 1
            with contextlib.suppress(TimeoutError):
                received += len(busy.recv(1 << 20))
        assert served > 10, "the others had to wait until it was over"


def test_requests_that_come_byte_by_byte(ours: Address) -> None:
    data = request(b"ECHO", b"x" * 40)
    senders = [connect(ours) for _ in range(AT_ONCE)]
    with Wire(ours) as other:
        for at in range(len(data)):
            for sender in senders:
                sender.sendall(data[at : at + 1])
            assert other.call(b"PING").text == b"PONG"
    for sender in senders:
        assert sender.recv(100) == b"$40\r\n" + b"x" * 40 + b"\r\n"
        sender.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ten_thousand_connections_leave_nothing(ours: Address) -> None:
    with Wire(ours) as other:
        other.call(b"PING")
        files, memory = descriptors(ours), resident_mb(ours)
        for start in range(0, CONNECTIONS, AT_ONCE):
            opened = [connect(ours) for _ in range(AT_ONCE)]
            for number, connection in enumerate(opened, start):
                _spoil(connection, number)
                connection.close()
            assert other.call(b"PING").text == b"PONG"
        wait_for(lambda: len((other.call(b"CLIENT", b"LIST").text or b"").splitlines()) == 1)
        assert descriptors(ours) == files
        assert resident_mb(ours) < memory + LEFT_MB_MAX
        assert other.call(b"PUBSUB", b"NUMPAT").text == b"0"


def _spoil(connection: socket.socket, number: int) -> None:
    """Leave a connection in one of several states before it is closed."""
    match number % 8:
        case 0:
            connection.sendall(request(b"SUBSCRIBE", b"c") + request(b"PSUBSCRIBE", b"*"))
        case 1:
            connection.sendall(request(b"BLPOP", b"nothing", b"0"))
        case 2:
            connection.sendall(request(b"WATCH", b"a") + request(b"MULTI") + request(b"GET", b"a"))
        case 3:
            connection.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n" + b"x" * 5000)
        case 4:  # reset instead of an orderly end
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(request(b"PING"))
        case 5:
            connection.sendall(request(b"HELLO", b"3") + request(b"CLIENT", b"TRACKING", b"ON"))
        case 6:
            connection.sendall(b"*1\r\n$4\r\nPING\r\n!")
        case _:
            pass


def test_who_never_says_the_password_and_never_reads() -> None:
    with our_server("--requirepass", "s") as guarded, Wire(guarded) as other:
        assert other.call(b"AUTH", b"s").text == b"OK"
        with connect(guarded) as silent:
            silent.settimeout(0.2)
            with contextlib.suppress(OSError):
                while True:  # until the server takes no more of it
                    silent.sendall(request(b"AUTH", b"no") * 1000)
            wait_for(lambda: len((other.call(b"CLIENT", b"LIST").text or b"").splitlines()) == 1)
        assert other.call(b"PING").text == b"PONG"


def test_a_node_forgets_whoever_is_gone() -> None:
    asyncio.run(check_that_nothing_is_left())


async def check_that_nothing_is_left() -> None:
    port = free_port()
    config = Config.from_args(["--port", str(port), "--save", ""], stdin=None)
    node = Node(config, environment(lambda _: None, "node"))
    await node.start()
    tasks = asyncio.all_tasks()
    try:
        for number in range(400):
            _, writer = await asyncio.open_connection(HOST, port)
            _spoil_stream(writer, number)
            await writer.drain()
            writer.close()
            await asyncio.sleep(0)
        for _ in range(int(SOON_S * 100)):
            if node.clients:
                await asyncio.sleep(0.01)
        assert not node.clients
        assert not node.blocking.queues
        assert not node.blocking.timers
        assert not node.watches.watchers
        assert not node.engine.databases[0].awaited
        assert node.pubsub.publish(b"c", b"x") == 0
        assert asyncio.all_tasks() <= tasks
    finally:
        await node.stop()


def _spoil_stream(writer: asyncio.StreamWriter, number: int) -> None:
    states = (
        request(b"SUBSCRIBE", b"c"),
        request(b"BLPOP", b"nothing", b"100"),
        request(b"WATCH", b"a") + request(b"MULTI"),
        request(b"GET", b"a")[:-3],
        b"*1\r\n$4\r\nPING\r\n!",
    )
    writer.write(states[number % len(states)])
