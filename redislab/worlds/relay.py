"""A TCP relay on the loopback, for cuts and delays between a client and a real port.

The simulated network can be cut because it is ours. Between real sockets a relay stands in: the
client connects to the relay, the relay to the node, and what the relay does not pass on is cut off.
As with a cut cable, nobody is told: bytes stay where they are, connections stay open, and after
`heal` everything goes on. Two things cannot be told from outside the kernel, and differ from a real
cut: a new connection to the relay stands at once (its bytes then wait), and a node that refuses
shows as a connection that breaks.
"""

from __future__ import annotations

import asyncio
from random import Random

Address = tuple[str, int]

READ_BYTES_MAX = 64 * 1024
# Pieces that a direction holds at most on their way; beyond that the sender has to wait.
UNDER_WAY_MAX = 16


class Way:
    """One direction through a relay.

    Attributes:
        opened: cleared is a cut.
        delay_seconds: how long everything is held.
        jitter_seconds: up to this much longer, drawn evenly.
    """

    def __init__(self, random: Random) -> None:
        self.opened = asyncio.Event()
        self.opened.set()
        self.delay_seconds = 0.0
        self.jitter_seconds = 0.0
        self._random = random

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes until their end; raises OSError if either side breaks."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY_MAX)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._take(reader, under_way))
            both.create_task(self._give(under_way, writer))

    async def _take(
        self, reader: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        loop = asyncio.get_running_loop()
        due = 0.0
        data = b"-"
        while data:
            try:
                data = await reader.read(READ_BYTES_MAX)
            except OSError:
                # Nobody hears of a broken connection through a cut.
                await self.opened.wait()
                raise
            # Jitter does not reorder.
            late = self.delay_seconds + self.jitter_seconds * self._random.random()
            due = max(due, loop.time() + late)
            await under_way.put((due, data))

    async def _give(
        self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        data = b"-"
        while data:
            due, data = await under_way.get()
            await asyncio.sleep(due - loop.time())
            await self.opened.wait()
            if data:
                writer.write(data)
                await writer.drain()
        writer.write_eof()


class Relay:
    """Listens on a free port of 127.0.0.1 and passes connections on to a target.

    Attributes:
        there: from those who connect to the target.
        back: from the target to them.
        address: where it listens, once started.
    """

    def __init__(self, target: Address, random: Random) -> None:
        self.target = target
        self.there = Way(random)
        self.back = Way(random)
        self.address: Address = ("", 0)
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], None] = {}

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = (host, port)

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(
        self, near_reader: asyncio.StreamReader, near_writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = None
        try:
            await self._connect(near_reader, near_writer)
        except asyncio.CancelledError:
            # `stop` ends it, and nobody is above this; asyncio 3.12.1 would log a cancelled one.
            pass
        finally:
            self._connections.pop(task, None)
            near_writer.transport.abort()

    async def _connect(
        self, near_reader: asyncio.StreamReader, near_writer: asyncio.StreamWriter
    ) -> None:
        # The SYN does not get past a cut, nor does its answer.
        await self.there.opened.wait()
        await self.back.opened.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self.there.carry(near_reader, far_writer))
                both.create_task(self.back.carry(far_reader, near_writer))
        except* OSError:
            # One side broke; the other learns it from the abort.
            pass
        finally:
            far_writer.transport.abort()
