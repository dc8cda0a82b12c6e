"""What the server knows of one client (`struct client` of `src/server.h` in Redis 7.0).

A `Client` is state only. Its connection is a `Session`; a client without one runs the commands of a
script or of the command line inside the node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.table import Block, Caller
from redislab.server.replication.replica import State

if TYPE_CHECKING:
    from redislab.server.commands import Entry
    from redislab.server.node import Node
    from redislab.server.replication.replica import Replica
    from redislab.server.session import Session
    from redislab.server.tracking import Tracker
    from redislab.server.users import User


class Client(Caller):
    """One client of a node.

    Attributes:
        plain: no special state: authenticated, not in MULTI, not a RESP2 subscriber, replies on,
            no tracking, allowed everything. While it holds, a session runs the client's commands
            without further questions; whoever changes one of those states calls `refresh`.
        watched: the keys under WATCH, each with whether it was expired already at that time.
        reply_mode: "on", "off", "skip" (the next reply) or "skip-next": CLIENT REPLY.
        postponed: held back by CLIENT PAUSE or a sleeping node, not by a blocking command.
        replica: what is known of it as a replica, once it has behaved like one.
        is_master: it stands for this node's master, whose stream is applied through it.
        waits_itself: it has no connection, and who runs its commands waits for its slow scripts.
        write_offset: where the stream was after its last write; WAIT waits for that.
        soft_limit_since: when its output went over the soft limit, on the loop's clock.
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
        "id",
        "in_exec",
        "is_master",
        "last_used",
        "local_address",
        "monitoring",
        "multi",
        "multi_failed",
        "name",
        "no_evict",
        "node",
        "patterns",
        "plain",
        "postponed",
        "replica",
        "reply_mode",
        "session",
        "shard_channels",
        "soft_limit_since",
        "tracker",
        "unix_socket",
        "user",
        "waits_itself",
        "watched",
        "write_offset",
    )

    def __init__(self, node: Node, client_id: int, session: Session | None) -> None:
        self.node = node
        self.engine = node.engine
        self.id = client_id
        self.session = session
        self.created = self.last_used = node.loop_time()
        self.address = self.local_address = ""
        self.unix_socket = False
        self.name = b""
        self.executing: Entry | None = None
        self.close_after_reply = False
        self.blocked: Block | None = None
        self.postponed = False
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.shard_channels: dict[bytes, None] = {}
        self.watched: dict[tuple[int, bytes], bool] = {}
        self.rewritten = None
        self.deny_blocking = self.in_script = False
        self.in_exec = False
        self.replica: Replica | None = None
        self.is_master = False
        self.waits_itself = False
        self.write_offset = 0
        self.soft_limit_since: float | None = None
        self.reset()

    def reset(self) -> None:
        """Back to the state of a new connection, as RESET does; subscriptions are left to it."""
        self.db = self.engine.databases[0]
        self.resp = 2
        self.user: User = self.node.acl.default
        self.authenticated = self.user.no_password and self.user.enabled
        self.multi: list[tuple[Entry, list[bytes]]] | None = None
        self.multi_failed = False
        self.dirty_watch = False
        self.tracker: Tracker | None = None
        self.monitoring = False
        self.no_evict = False
        self.reply_mode = "on"
        self.refresh()

    def refresh(self) -> None:
        """Work out again whether the client is plain."""
        locked_out = self.must_authenticate
        self.plain = (
            not locked_out
            and self.multi is None
            and self.reply_mode == "on"
            and not (self.resp == 2 and self.subscribed)
            and self.tracker is None
            and not self.close_after_reply
            and not self.is_replica
            and self.user.plain
        )
        if self.session is not None:
            self.session.parser.restricted = locked_out

    @property
    def must_authenticate(self) -> bool:
        """Whether a password is asked for and the client has not given one."""
        default = self.node.acl.default
        return not self.authenticated and not (default.no_password and default.enabled)

    @property
    def subscribed(self) -> int:
        """How many channels and patterns the client listens to."""
        return len(self.channels) + len(self.patterns) + len(self.shard_channels)

    @property
    def kind(self) -> str:
        """The class that limits and CLIENT LIST TYPE go by: normal, pubsub, replica, master."""
        if self.is_replica:
            return "replica"
        if self.is_master:
            return "master"
        return "pubsub" if self.subscribed else "normal"

    @property
    def is_replica(self) -> bool:
        """Whether it follows this node's stream, or is about to."""
        return self.replica is not None and self.replica.state is not State.NONE

    @property
    def local(self) -> bool:
        """Whether it connected from this machine."""
        return self.unix_socket or self.address.startswith(("127.", "[::1]"))

    def send(self, data: bytes) -> None:
        """Send bytes out of turn: messages, invalidations, the reply of a blocked command.

        CLIENT REPLY has no say in these.
        """
        if self.session is not None:
            self.session.send(data)

    def close_soon(self) -> None:
        """End the connection once what was answered is written."""
        self.close_after_reply = True
        self.refresh()
