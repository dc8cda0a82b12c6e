"""Clients that take too much, and servers that move: on our server, and on the real one."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.servers import HOST, Address, Wire, free_port, our_server, real_server

Start = Callable[..., AbstractContextManager[Address]]


@pytest.fixture(params=["ours", pytest.param("real", marks=pytest.mark.redis)])
def start(request: pytest.FixtureRequest) -> Start:
    return our_server if request.param == "ours" else real_server


@pytest.fixture
def server(start: Start) -> Iterator[Address]:
    with start() as address:
        yield address


def names(wire: Wire) -> list[bytes]:
    lines = (wire.call(b"CLIENT", b"LIST").text or b"").splitlines()
    return [line.split(b" name=")[1].split(b" ")[0] for line in lines]


def wait_until_gone(wire: Wire, name: bytes) -> None:
    deadline = time.monotonic() + 5
    while name in names(wire):
        assert time.monotonic() < deadline, f"{name!r} is still there"
        time.sleep(0.02)


def evicted(wire: Wire) -> int:
    stats = wire.call(b"INFO", b"stats").text or b""
    return int(stats.split(b"evicted_clients:")[1].split(b"\r\n")[0])


def test_a_client_that_sends_too_much_is_evicted(server: Address) -> None:
    with Wire(server) as wire, Wire(server) as large, Wire(server) as small:
        wire.call(b"CONFIG", b"SET", b"maxmemory-clients", b"1mb")
        large.call(b"CLIENT", b"SETNAME", b"large")
        small.call(b"CLIENT", b"SETNAME", b"small")
        small.send_raw(b"*1\r\n$100000\r\n" + b"x" * 50_000)
        with contextlib.suppress(ConnectionError):
            large.send_raw(b"*1\r\n$3000000\r\n" + b"x" * 2_000_000)
        wait_until_gone(wire, b"large")
        assert b"small" in names(wire)
        assert evicted(wire) == 1


def test_a_long_transaction_is_evicted_and_who_is_spared_is_not(server: Address) -> None:
    with Wire(server) as wire, Wire(server) as one, Wire(server) as two:
        for client, name in ((one, b"one"), (two, b"two")):
            client.call(b"CLIENT", b"SETNAME", name)
            client.call(b"MULTI")
            for _ in range(5):
                assert client.call(b"SET", b"k", b"x" * 200_000).text == b"QUEUED"
        with Wire(server) as spared:
            spared.call(b"CLIENT", b"SETNAME", b"spared")
            spared.call(b"CLIENT", b"NO-EVICT", b"ON")
            spared.call(b"MULTI")
            for _ in range(8):
                spared.call(b"SET", b"k", b"x" * 200_000)
            wire.call(b"CONFIG", b"SET", b"maxmemory-clients", b"2mb")
            wait_until_gone(wire, b"one")
            wait_until_gone(wire, b"two")
            assert b"spared" in names(wire)
            assert spared.call(b"EXEC").items is not None


def test_listeners_that_do_not_read_are_closed_and_the_others_get_their_messages(
    server: Address,
) -> None:
    with Wire(server) as wire, Wire(server) as reader:
        wire.call(b"CONFIG", b"SET", b"client-output-buffer-limit", b"pubsub 200kb 0 0")
        deaf = [Wire(server) for _ in range(3)]
        for number, listener in enumerate([*deaf, reader]):
            listener.call(b"CLIENT", b"SETNAME", b"listener-%d" % number)
            listener.call(b"SUBSCRIBE", b"news")
        sent = 0
        deadline = time.monotonic() + 20
        while any(name in names(wire) for name in (b"listener-0", b"listener-1", b"listener-2")):
            assert time.monotonic() < deadline
            reply = wire.call(b"PUBLISH", b"news", b"x" * 10_000)
            assert not reply.is_error, reply
            sent += 1
            assert reader.read().items is not None
        assert wire.call(b"PUBLISH", b"news", b"last").text == b"1"
        for listener in deaf:
            listener.close()


def test_a_port_is_changed_or_kept(server: Address) -> None:
    fresh = free_port()
    with Wire(server) as wire, socket.create_server((HOST, 0)) as taken:
        busy = taken.getsockname()[1]
        refused = wire.call(b"CONFIG", b"SET", b"maxclients", b"99", b"port", b"%d" % busy)
        assert refused.text == (
            b"ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on "
            b"this port. Check server logs."
        )
        assert [item.text for item in wire.call(b"CONFIG", b"GET", b"port").items or ()] == [
            b"port",
            b"%d" % server.port,
        ]
        assert (wire.call(b"CONFIG", b"GET", b"maxclients").items or ())[1].text == b"10000"
        Wire(server).close()
        assert wire.call(b"CONFIG", b"SET", b"port", b"%d" % fresh).text == b"OK"
        with Wire(Address(fresh, server.process)) as there:
            assert there.call(b"PING").text == b"PONG"
        with pytest.raises(OSError, match="refused"):
            Wire(server)
        assert wire.call(b"PING").text == b"PONG"
        wrong = wire.call(b"CONFIG", b"SET", b"bind", b"999.999.999.999")
        assert wrong.text == (
            b"ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to "
            b"specified addresses."
        )


def test_debug_is_refused_unless_it_is_enabled(start: Start) -> None:
    with start("--enable-debug-command", "no") as server, Wire(server) as wire:
        for words in ((b"DEBUG", b"SLEEP", b"0"), (b"DEBUG", b"HELP"), (b"DEBUG", b"nosuch")):
            assert wire.call(*words).text == (
                b"ERR DEBUG command not allowed. If the enable-debug-command option is set to "
                b'"local", you can run it from a local connection, otherwise you need to set this '
                b"option in the configuration file, and then restart the server."
            )
    with start("--enable-debug-command", "local") as server, Wire(server) as wire:
        assert wire.call(b"DEBUG", b"SLEEP", b"0").text == b"OK"


def test_the_client_that_asks_sees_its_own_request(server: Address) -> None:
    with Wire(server) as wire:
        for words in ((b"CLIENT", b"LIST"), (b"CLIENT", b"INFO")):
            line = wire.call(*words).text or b""
            assert b" qbuf=26 " in line
            assert b" argv-mem=10 " in line


def test_a_command_of_exec_is_noted_and_exec_is_not(server: Address) -> None:
    with Wire(server) as wire:
        wire.call(b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0")
        for words in ((b"MULTI",), (b"SET", b"a", b"1"), (b"GET", b"a"), (b"EXEC",)):
            wire.call(*words)
        noted = [entry.items or () for entry in wire.call(b"SLOWLOG", b"GET").items or ()]
        shown = [tuple(word.text for word in entry[3].items or ()) for entry in noted]
        assert shown[:3] == [(b"GET", b"a"), (b"SET", b"a", b"1"), (b"MULTI",)]
