"""Two proxies with the same configuration before the same servers: the real nutcracker, and ours.

Ours runs on the test's own loop. What a client sends and gets are bytes, so that nothing stands
between a test and the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from redislab.ring.proxy import ProxyNode
from redislab.ring.proxy.conf import read_conf
from redislab.server.main import environment
from redislab.worlds.ports import free_port
from tests.ring.nutcracker import nutcracker
from tests.servers import HOST

START_TIMEOUT_S = 30.0
REPLY_TIMEOUT_S = 10.0
# After so long without a byte nothing more is coming.
SILENCE_S = 0.15


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs.

    Attributes:
        name: "nutcracker" or "ours".
        port: of its one pool.
        stats_port: of its stats.
        node: ours; None for the real one.
    """

    name: str
    port: int
    stats_port: int
    node: ProxyNode | None = None


def request(*words: bytes) -> bytes:
    """A request as clients send it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def configuration(port: int, servers: Sequence[int | str], more: str = "") -> str:
    """A file with one pool; `more` are directives, one a line.

    The servers, on ports of this host or at an address, have names, so that a key's does not depend
    on ports.
    """
    lines = [f"listen: {HOST}:{port}", "redis: true", *more.splitlines(), "servers:"]
    for at, server in enumerate(servers):
        address = server if isinstance(server, str) else f"{HOST}:{server}"
        lines.append(f"- {address}:1 shard-{at}")
    return "alpha:\n" + "".join(f"  {line}\n" for line in lines)


@contextlib.asynccontextmanager
async def real_proxy(servers: Sequence[int | str], more: str = "") -> AsyncIterator[Proxy]:
    """The real nutcracker."""
    program = nutcracker()
    port, stats_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="redislab-proxy-") as folder:
        file = Path(folder) / "nutcracker.yml"
        file.write_text(configuration(port, servers, more), encoding="utf-8")
        argv = ["-c", str(file), "-o", f"{folder}/log", "-p", f"{folder}/pid"]
        argv += ["-s", str(stats_port), "-a", HOST, "-i", "50"]
        process = await asyncio.create_subprocess_exec(program, *argv)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not await _listens(port):
                    assert process.returncode is None, (Path(folder) / "log").read_text()
                    await asyncio.sleep(0.01)
            yield Proxy("nutcracker", port, stats_port)
        finally:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def our_proxy(
    servers: Sequence[int | str], more: str = "", log: Callable[[str], None] = lambda _line: None
) -> AsyncIterator[Proxy]:
    """Ours, in this process."""
    port, stats_port = free_port(), free_port()
    config = read_conf(configuration(port, servers, more).encode(), "nutcracker.yml")
    node = ProxyNode(replace(config, stats_port=stats_port), environment(log, "proxy"))
    await node.start()
    try:
        yield Proxy("ours", port, stats_port, node)
    finally:
        await node.stop()


@contextlib.asynccontextmanager
async def both(servers: Sequence[int | str], more: str = "") -> AsyncIterator[tuple[Proxy, Proxy]]:
    """The real one and ours."""
    async with real_proxy(servers, more) as real, our_proxy(servers, more) as ours:
        yield real, ours


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


@dataclass(frozen=True)
class Heard:
    """What a client got, and whether it was hung up on."""

    data: bytes
    is_closed: bool


async def ask(proxy: Proxy, data: bytes, *, silence: float = SILENCE_S) -> Heard:
    """Send bytes on a new connection; all that comes until there is silence."""
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    writer.write(data)
    heard = b""
    is_closed = False
    try:
        while not is_closed:
            piece = await asyncio.wait_for(reader.read(65536), silence)
            heard += piece
            is_closed = not piece
    except TimeoutError:
        pass
    except ConnectionError:
        is_closed = True
    finally:
        writer.close()
    return Heard(heard, is_closed)


async def call(proxy: Proxy, *words: bytes) -> bytes:
    """Send one request; the first piece of the reply."""
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    writer.write(request(*words))
    try:
        return await asyncio.wait_for(reader.read(65536), REPLY_TIMEOUT_S)
    finally:
        writer.close()


async def stats(proxy: Proxy) -> dict[str, object]:
    """What the stats port shows."""
    reader, writer = await asyncio.open_connection(HOST, proxy.stats_port)
    try:
        shown = json.loads(await asyncio.wait_for(reader.read(), REPLY_TIMEOUT_S))
    finally:
        writer.close()
    assert isinstance(shown, dict)
    return shown
