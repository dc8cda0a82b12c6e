"""The relay between real sockets: TCP's promises kept, and what a cut or a delay makes of them."""

import asyncio
import contextlib
import socket
import struct
import time
from random import Random

import pytest

from redislab.worlds import relay as relays
from redislab.worlds.background import OwnedLoop
from redislab.worlds.relay import Relay, Way

LOCALHOST = "127.0.0.1"
LOOPS = {
    "asyncio": asyncio.SelectorEventLoop,
    "ours": OwnedLoop,
}  # ours is uvloop's, if it is there


@pytest.fixture(params=LOOPS)
def on_stage(request):
    """Runs a play on a new stage, on each kind of loop that relays run on."""

    def perform(play, timeout=20):
        async def run():
            stage = await Stage().open()
            try:
                async with asyncio.timeout(timeout):
                    return await play(stage)
            finally:
                await stage.close()

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(run())

    return perform


class Stage:
    """A server, a relay before it, and what the relay was told."""

    def __init__(self):
        self.there = Way(Random(1))
        self.back = Way(Random(2))
        self.peers = []
        self.refusals = 0
        self.accepted = asyncio.Queue()
        self.writers = []

    async def open(self):
        self.server = await asyncio.start_server(self.serve, LOCALHOST, 0)
        target = self.server.sockets[0].getsockname()
        self.relay = Relay(target, self.ways, refused=self.refused)
        await self.relay.listen()
        return self

    async def close(self):
        self.relay.stop()
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)

    def ways(self, peer):
        self.peers.append(peer)
        return self.there, self.back

    def refused(self):
        self.refusals += 1

    async def serve(self, reader, writer):
        self.writers.append(writer)
        await self.accepted.put((reader, writer))

    async def connect(self):
        reader, writer = await asyncio.open_connection(*self.relay.address)
        self.writers.append(writer)
        return reader, writer


async def silent(reader, seconds=0.1):
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await reader.read(1) == "never"
    return True


def reset(writer):
    """Break a connection as a kernel does that has lost it."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_bytes_pass_both_ways_in_order(on_stage):
    async def play(stage):
        near_reader, near = await stage.connect()
        far_reader, far = await stage.accepted.get()
        sent = bytes(range(256)) * 8000

        async def pour(writer):
            writer.write(sent)
            await writer.drain()

        await asyncio.gather(pour(near), pour(far))
        return [
            sent == await far_reader.readexactly(len(sent)),
            sent == await near_reader.readexactly(len(sent)),
            stage.peers == [near.get_extra_info("sockname")],
        ]

    assert on_stage(play) == [True, True, True]


def test_half_close_leaves_the_other_direction_open(on_stage):
    async def play(stage):
        near_reader, near = await stage.connect()
        far_reader, far = await stage.accepted.get()
        near.write(b"question")
        near.write_eof()
        question = await far_reader.read()
        far.write(question.upper())
        far.close()
        answer = await near_reader.read()
        await asyncio.sleep(0.05)
        return answer, len(stage.relay.connections)

    assert on_stage(play) == (b"QUESTION", 0)


@pytest.mark.parametrize("who", ["near", "far"])
def test_a_break_on_one_side_is_a_break_on_the_other(on_stage, who):
    async def play(stage):
        near_reader, near = await stage.connect()
        far_reader, far = await stage.accepted.get()
        near.write(b"x")
        await far_reader.readexactly(1)
        breaks, hears = (near, far_reader) if who == "near" else (far, near_reader)
        reset(breaks)
        with pytest.raises(ConnectionResetError):
            await hears.read(1)
        await asyncio.sleep(0.05)
        return len(stage.relay.connections)

    assert on_stage(play) == 0


def test_a_cut_is_silence_and_after_it_everything_comes_in_order(on_stage):
    async def play(stage):
        near_reader, near = await stage.connect()
        far_reader, far = await stage.accepted.get()
        stage.there.cut()
        stage.back.cut()
        near.write(b"one")
        far.write(b"two")
        quiet = [await silent(far_reader), await silent(near_reader)]
        near.write(b" more")
        near.write_eof()
        stage.there.heal()
        stage.back.heal()
        return quiet, await far_reader.read(), await near_reader.readexactly(3)

    assert on_stage(play) == ([True, True], b"one more", b"two")


def test_a_one_way_cut_lets_the_other_way_through(on_stage):
    async def play(stage):
        near_reader, near = await stage.connect()
        far_reader, far = await stage.accepted.get()
        stage.back.cut()
        near.write(b"question")
        question = await far_reader.readexactly(8)
        far.write(b"answer")
        quiet = await silent(near_reader)
        stage.back.heal()
        return question, quiet, await near_reader.readexactly(6)

    assert on_stage(play) == (b"question", True, b"answer")


def test_nobody_hears_of_a_broken_connection_through_a_cut(on_stage):
    async def play(stage):
        near_reader, _ = await stage.connect()
        _, far = await stage.accepted.get()
        stage.back.cut()
        reset(far)
        quiet = await silent(near_reader, 0.2)
        stage.back.heal()
        with pytest.raises(ConnectionResetError):
            await near_reader.read(1)
        return quiet

    assert on_stage(play)


@pytest.mark.parametrize("way", ["there", "back"])
def test_a_connection_opened_through_a_cut_reaches_the_node_when_it_heals(on_stage, way):
    async def play(stage):
        getattr(stage, way).cut()
        _, near = await stage.connect()
        near.write(b"early")
        await asyncio.sleep(0.1)
        before = stage.accepted.qsize()
        getattr(stage, way).heal()
        far_reader, _ = await stage.accepted.get()
        return before, await far_reader.readexactly(5)

    assert on_stage(play) == (0, b"early")


def test_a_delay_holds_each_byte_and_jitter_does_not_reorder(on_stage):
    async def play(stage):
        _, near = await stage.connect()
        far_reader, _ = await stage.accepted.get()
        stage.there.delay_seconds, stage.there.jitter_seconds = 0.05, 0.05
        began = time.monotonic()
        for number in range(50):
            near.write(b"%02d" % number)
            await asyncio.sleep(0.001)
        near.write_eof()
        first = await far_reader.readexactly(2)
        took = time.monotonic() - began
        return first + await far_reader.read(), took

    received, took = on_stage(play)
    assert received == b"".join(b"%02d" % number for number in range(50))
    assert took >= 0.05


def test_a_delay_that_ends_lets_the_rest_pass_at_once(on_stage):
    async def play(stage):
        _, near = await stage.connect()
        far_reader, _ = await stage.accepted.get()
        stage.there.delay_seconds = 0.2
        near.write(b"slow")
        await asyncio.sleep(0.05)
        stage.there.heal()
        near.write(b"fast")
        began = time.monotonic()
        received = await far_reader.readexactly(8)
        return received, time.monotonic() - began

    received, took = on_stage(play)
    assert received == b"slowfast"
    assert took >= 0.1  # what was under way is, and what follows waits for it


@pytest.mark.parametrize("is_cut", [True, False])
def test_who_does_not_read_makes_the_writer_wait(on_stage, is_cut, monkeypatch):
    """A cut or a reader that stands still holds no more than a bounded number of bytes."""
    monkeypatch.setattr(relays, "HELD_BYTES_MAX", 64 * 1024)

    async def play(stage):
        _, near = await stage.connect()
        far_reader, far = await stage.accepted.get()
        if is_cut:
            stage.there.cut()
        else:
            far.transport.pause_reading()
        size = 64 * 1024 * 1024
        near.write(b"x" * size)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await near.drain()
        (connection,) = stage.relay.connections
        held = connection.near.out._held
        if is_cut:
            stage.there.heal()
        else:
            far.transport.resume_reading()
        received = 0
        while received < size:
            received += len(await far_reader.read(1 << 20))
        await near.drain()
        return held, received == size

    held, is_all = on_stage(play, timeout=60)
    assert is_all
    assert held < 1024 * 1024


def test_a_node_that_refuses_breaks_the_connection_and_is_told_of(on_stage):
    async def play(stage):
        stage.server.close()
        await stage.server.wait_closed()
        near_reader, _ = await stage.connect()
        with pytest.raises(ConnectionResetError):
            await near_reader.read(1)
        return stage.refusals, len(stage.relay.connections)

    assert on_stage(play) == (1, 0)


def test_a_relay_that_refuses_keeps_its_port_and_its_connections(on_stage):
    async def play(stage):
        _, near = await stage.connect()
        far_reader, _ = await stage.accepted.get()
        before = stage.relay.address
        stage.relay.refuse()
        with pytest.raises(ConnectionRefusedError):
            await stage.connect()
        near.write(b"still here")
        still = await far_reader.readexactly(10)
        await stage.relay.listen()
        await stage.connect()
        return still, stage.relay.address == before

    assert on_stage(play) == (b"still here", True)


def test_a_port_in_use_is_said(on_stage):
    async def play(stage):
        taken = Relay(("127.0.0.1", 1), stage.ways, address=stage.relay.address)
        with pytest.raises(OSError, match="in use"):
            await taken.listen()
        taken.stop()
        return True

    assert on_stage(play)


def test_a_stopped_relay_has_no_port_and_no_connection(on_stage):
    async def play(stage):
        near_reader, _ = await stage.connect()
        far_reader, _ = await stage.accepted.get()
        stage.there.cut()
        await stage.connect()
        stage.relay.stop()
        with contextlib.suppress(ConnectionResetError):
            assert await near_reader.read(1) == b""
        with contextlib.suppress(ConnectionResetError):
            assert await far_reader.read(1) == b""
        with pytest.raises(ConnectionRefusedError):
            await stage.connect()
        return len(stage.relay.connections)

    assert on_stage(play) == 0
