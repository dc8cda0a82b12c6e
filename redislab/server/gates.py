"""The gates of a node: may this client run this command now?

Each gate is one question of `processCommand` (`src/server.c` of Redis 7.0), in its order. `check`
raises the error of the first gate that is closed. `node_is_plain` says that none of the questions
which depend on the node alone needs asking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.commands import Entry
    from redislab.server.node import Node

NOAUTH = "NOAUTH Authentication required."
_ALLOWED_IN_SUBSCRIPTION = frozenset(
    {
        "ping",
        "subscribe",
        "ssubscribe",
        "unsubscribe",
        "sunsubscribe",
        "psubscribe",
        "punsubscribe",
        "quit",
        "reset",
    }
)


def check(client: Client, entry: Entry, args: list[bytes]) -> None:
    """Raise the error of the first gate that is closed to this command.

    Raises:
        CommandError: why the command may not run.
    """
    if not client.authenticated and "no_auth" not in entry.fact.flags:
        raise CommandError(NOAUTH)
    if client.resp == 2 and client.subscribed and entry.name not in _ALLOWED_IN_SUBSCRIPTION:
        message = (
            f"ERR Can't execute '{entry.name}': only (P|S)SUBSCRIBE / "
            "(P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        )
        raise CommandError(message)


def is_postponed(client: Client, entry: Entry) -> bool:
    """Whether CLIENT PAUSE holds this command back."""
    return client.node.is_paused(entry)


def node_is_plain(node: Node) -> bool:
    """Whether no gate that depends on the node alone can be closed."""
    return not node.monitors and not node.pause_ends
