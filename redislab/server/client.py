"""What the server knows of one client (`struct client` of `src/server.h` in Redis 7.0).

A `Client` is state only. Its connection is a `Session`; a client without one runs the commands of a
script or of the command line inside the node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.table import Block, Caller

if TYPE_CHECKING:
    from redislab.server.commands import Entry
    from redislab.server.node import Node
    from redislab.server.session import Session


class Client(Caller):
    """One client of a node.

    Attributes:
        plain: no special state: authenticated, not in MULTI, not a RESP2 subscriber, replies on.
            While it holds, a session runs the client's commands without further questions; whoever
            changes one of those states calls `refresh`.
    """

    __slots__ = (
        "address",
        "authenticated",
        "blocked",
        "channels",
        "close_after_reply",
        "created",
        "dirty_watch",
        "executing",
        "flags",
        "id",
        "last_command",
        "last_used",
        "local_address",
        "multi",
        "multi_failed",
        "name",
        "node",
        "patterns",
        "plain",
        "reply_mode",
        "session",
        "shard_channels",
        "user",
        "watched",
    )

    def __init__(self, node: Node, client_id: int, session: Session | None) -> None:
        self.node = node
        self.engine = node.engine
        self.id = client_id
        self.session = session
        self.created = self.last_used = node.loop_time()
        self.address = self.local_address = ""
        self.name = b""
        self.flags: dict[str, None] = {}
        self.last_command = ""
        self.executing: Entry | None = None
        self.close_after_reply = False
        self.blocked: Block | None = None
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.shard_channels: dict[bytes, None] = {}
        self.watched: dict[tuple[int, bytes], None] = {}
        self.rewritten = None
        self.deny_blocking = False
        self.reset()

    def reset(self) -> None:
        """Back to the state of a new connection, as RESET does; subscriptions are left to it."""
        self.db = self.engine.databases[0]
        self.resp = 2
        self.user = b"default"
        self.authenticated = not self.node.password_required
        self.multi: list[tuple[Entry, list[bytes]]] | None = None
        self.multi_failed = False
        self.dirty_watch = False
        # "on", "off", "skip" (this reply), "skip-next": CLIENT REPLY.
        self.reply_mode = "on"
        self.refresh()

    def refresh(self) -> None:
        """Work out again whether the client is plain."""
        self.plain = (
            self.authenticated
            and self.multi is None
            and self.reply_mode == "on"
            and not (self.resp == 2 and self.subscribed)
            and not self.close_after_reply
            and self.user == b"default"
        )
        if self.session is not None:
            self.session.parser.restricted = not self.authenticated

    @property
    def subscribed(self) -> int:
        """How many channels and patterns the client listens to."""
        return len(self.channels) + len(self.patterns) + len(self.shard_channels)

    def send(self, data: bytes) -> None:
        """Send bytes out of turn: messages, invalidations, the reply of a blocked command."""
        if self.session is not None:
            self.session.send(data)
