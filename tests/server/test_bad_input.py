"""What is no request gets Redis's answer, byte for byte, and other clients never notice."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.servers import Address, Wire, our_server, real_server

GARBAGE = {
    "an array length that is no number": b"*abc\r\n",
    "an array that is too long": b"*2147483648\r\n",
    "a negative array": b"*-5\r\nPING\r\n",
    "an empty array": b"*0\r\nPING\r\n",
    "no dollar": b"*1\r\n:3\r\nfoo\r\n",
    "a bulk length that is no number": b"*1\r\n$x\r\n",
    "a negative bulk": b"*1\r\n$-1\r\n",
    "a bulk beyond the limit": b"*1\r\n$999999999999\r\n",
    "quotes that do not balance": b'SET a "b\r\n',
    "a line without end": b"x" * 70_000,
    "a count without end": b"*" + b"1" * 70_000,
    "a command, then garbage": b"PING\r\n*1\r\n!\r\n",
    "inline commands": b"PING\r\nECHO 'it''s'\r\nECHO \"a\\x41\"\r\n\r\nPING\n",
    "an unknown command with bytes": b"*2\r\n$3\r\n\xff\x00\x01\r\n$2\r\n\r\n\r\n",
    "a browser": b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.fixture(scope="module")
def real() -> Iterator[Address]:
    with real_server() as address:
        yield address


@pytest.fixture(scope="module")
def ours() -> Iterator[Address]:
    with our_server() as address:
        yield address


def answer_to(address: Address, data: bytes) -> bytes:
    """Everything a server sends for some bytes after which we send no more."""
    with socket.create_connection((address.host, address.port), 10) as connection:
        connection.settimeout(10)
        received = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                received += chunk
        except (ConnectionResetError, BrokenPipeError, OSError):
            return received  # closed with our bytes unread
        return received


def read_all(wire: Wire, count: int) -> None:
    """Read so many replies."""
    for _ in range(count):
        wire.read()


@pytest.mark.redis
@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_gets_the_answer_of_redis(data: bytes, real: Address, ours: Address) -> None:
    assert answer_to(ours, data) == answer_to(real, data)


def test_others_never_notice(ours: Address) -> None:
    with Wire(ours) as witness:
        for data in GARBAGE.values():
            answer_to(ours, data)
            assert witness.call(b"PING").text == b"PONG"


def test_half_a_command_waits_for_the_rest(ours: Address) -> None:
    with Wire(ours) as half, Wire(ours) as other:
        half.send_raw(b"*2\r\n$4\r\nECHO\r\n$5\r\nhe")
        assert other.call(b"PING").text == b"PONG"
        half.send_raw(b"llo\r\n")
        assert half.read().text == b"hello"


def test_a_million_arguments(ours: Address) -> None:
    with Wire(ours, timeout_s=60) as wire:
        wire.send(b"RPUSH", b"long", *[b"x"] * 1_000_000)
        assert wire.read().text == b"1000000"
        assert wire.call(b"LLEN", b"long").text == b"1000000"
        wire.call(b"DEL", b"long")


def await_clients(wire: Wire, count: int) -> None:
    deadline = time.monotonic() + 20
    while len((wire.call(b"CLIENT", b"LIST").text or b"").splitlines()) > count:
        assert time.monotonic() < deadline, "the slow reader was never closed"
        time.sleep(0.02)


def test_a_slow_reader_is_closed_and_nobody_else(ours: Address) -> None:
    with Wire(ours) as slow, Wire(ours) as other:
        other.call(b"CONFIG", b"SET", b"client-output-buffer-limit", b"normal 1000000 0 0")
        other.call(b"SET", b"big", b"x" * 500_000)
        for _ in range(60):
            slow.send(b"GET", b"big")
        # It reads nothing until the server has given it up: one that reads in between is not slow.
        await_clients(other, 1)
        with pytest.raises(OSError):  # noqa: PT011 - reset or closed, as the kernel likes
            read_all(slow, 60)
        assert other.call(b"PING").text == b"PONG"
        other.call(b"CONFIG", b"SET", b"client-output-buffer-limit", b"normal 0 0 0")
