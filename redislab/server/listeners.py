"""Where a node listens: TCP addresses and a Unix socket (`listenToPort` of `src/server.c`, 7.0)."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.node import Node
    from redislab.server.session import Session

# Not available on this machine: passed over for any address, as Redis does.
_UNSUPPORTED = {errno.ENOPROTOOPT, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EPFNOSUPPORT}


_BAD_PORT = "port", "Unable to listen on this port. Check server logs."
_BAD_ADDRESS = "bind", "Failed to bind to specified addresses."


class Listeners:
    """The listening sockets of one node.

    Attributes:
        moving: the change of port or addresses that goes on; its result is that of `_move`.
    """

    def __init__(self, node: Node, session: Callable[[], Session]) -> None:
        self.node = node
        self.session = session
        self.servers: list[asyncio.AbstractServer] = []
        self._where = (node.config.port, node.config.bind)
        self.moving: asyncio.Task[tuple[str, str] | None] | None = None
        for name in ("port", "bind"):
            node.config.on_change(name, self._follow)

    def _follow(self) -> None:
        """CONFIG SET port or bind: listen there instead. Connections stay."""
        if self.moving is None and not self.node.stopping:
            self.moving = self.node.loop.create_task(self._move())

    async def _move(self) -> tuple[str, str] | None:
        """Listen where the configuration says now; where that fails, where it was before.

        Returns:
            The directive at fault and what Redis says of it, or None.
        """
        config = self.node.config
        wrong = None
        try:
            while self._where != (config.port, config.bind) and not self.node.stopping:
                before = self._where
                self.close()
                if not config.port or not config.bind:
                    self._where = (config.port, config.bind)
                    continue
                try:
                    await self.open()
                except OSError:
                    wrong = _BAD_PORT if config.port != before[0] else _BAD_ADDRESS
                    config.port, config.bind = before
                    await self.open()
        finally:
            self.moving = None
        return wrong

    async def open(self) -> None:
        """Listen on the configured addresses.

        Raises:
            OSError: an address cannot be had; the message is what Redis logs last.
        """
        config, loop = self.node.config, self.node.loop
        where = (config.port, config.bind)
        if config.port:
            for host, required in config.listen_addresses:
                try:
                    server = await loop.create_server(
                        self.session, host, config.port, backlog=config.tcp_backlog
                    )
                except OSError as failure:
                    self._refused(host, required, failure)
                else:
                    self.servers.append(server)
            if not self.servers and config.bind:
                self._give_up(None)
        if config.unixsocket:
            await self._open_unix(config.unixsocket)
        if not self.servers:
            self._end("Configured to not listen anywhere, exiting.", None)
        self._where = where

    async def _open_unix(self, path: str) -> None:
        if os.path.exists(path):  # noqa: ASYNC240, PTH110 - once, before anybody is served
            os.unlink(path)  # noqa: PTH108
        try:
            server = await self.node.loop.create_unix_server(self.session, path)
        except OSError as failure:
            reason = os.strerror(failure.errno or 0)
            self._end(f"Failed opening Unix socket: bind: {reason}", failure)
        else:
            self.servers.append(server)
            if self.node.config.unixsocketperm:
                os.chmod(path, self.node.config.unixsocketperm)  # noqa: PTH101

    def _refused(self, host: str, required: bool, failure: OSError) -> None:
        """Pass over an address that may be missing, give up for one that may not."""
        shown = {"0.0.0.0": "*", "::": "::*"}.get(host, host)
        code = failure.errno or 0
        if code < 0:  # of looking the name up
            reason = failure.strerror or str(failure)
        else:
            reason = f"{'socket' if code in _UNSUPPORTED else 'bind'}: {os.strerror(code)}"
        self.node.log.warning(
            "Warning: Could not create server TCP listening socket "
            f"{shown}:{self.node.config.port}: {reason}"
        )
        if code in _UNSUPPORTED or (code == errno.EADDRNOTAVAIL and not required):
            return
        self._give_up(failure)

    def _give_up(self, failure: OSError | None) -> None:
        self._end(f"Failed listening on port {self.node.config.port} (TCP), aborting.", failure)

    def _end(self, message: str, failure: OSError | None) -> NoReturn:
        self.close()
        self.node.log.warning(message)
        number = errno.EADDRNOTAVAIL if failure is None else failure.errno
        raise OSError(number, message) from failure

    def close(self) -> None:
        """Listen no more; connections stay."""
        for server in self.servers:
            server.close()
        self.servers.clear()

    def describe(self, client: Client, transport: asyncio.Transport) -> None:
        """Note where a client comes from and where it came to."""
        peer = transport.get_extra_info("peername")
        here = transport.get_extra_info("sockname")
        if isinstance(peer, tuple):
            client.address = _address(peer)
            client.local_address = _address(here) if isinstance(here, tuple) else ""
        else:
            client.unix_socket = True
            client.address = client.local_address = f"{self.node.config.unixsocket}:0"


def _address(pair: tuple[object, ...]) -> str:
    host, port = str(pair[0]), pair[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
