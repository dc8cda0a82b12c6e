"""Connection commands: PING, ECHO, QUIT, SELECT (`src/server.c`, `src/networking.c`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.errors import wrong_arity
from redislab.engine.table import Reply, command
from redislab.wire.resp import OK, PONG, bulk, bulks

if TYPE_CHECKING:
    from redislab.server.client import Client


@command("ping")
def ping(c: Client, args: list[bytes]) -> Reply:
    """PING [message]: a RESP2 subscriber gets an array, for it can take nothing else."""
    if len(args) > 2:
        raise wrong_arity("ping")
    message = args[1] if len(args) == 2 else b""
    if c.resp == 2 and c.subscribed:
        return bulks([b"pong", message])
    return PONG if len(args) == 1 else bulk(message)


@command("quit")
def quit_(c: Client, args: list[bytes]) -> Reply:
    """QUIT: the reply, then the end of the connection."""
    c.close_after_reply = True
    return OK
