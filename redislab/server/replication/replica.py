"""What a master knows of one replica (`SLAVE_STATE_...` in `src/server.h` of Redis 7.0)."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.session import Session


class State(Enum):
    """How far a master is with a replica."""

    NONE = "none"  # it has said REPLCONF, but not PSYNC
    WAIT_START = "wait for an image to be begun"
    WAIT_END = "wait for the image to be made"  # or sent, where it goes straight to the socket
    SENDING = "is sent the image from the disk"
    TRANSMITTED = "has the image and wants no more"
    ONLINE = "online"


# What INFO calls these states (`replstateToString`).
_SHOWN = {
    State.WAIT_START: "wait_bgsave",
    State.WAIT_END: "wait_bgsave",
    State.SENDING: "send_bulk",
    State.ONLINE: "online",
}


class Replica:
    """One replica of a node.

    Attributes:
        announced_host, port: where it listens, as it says itself; "" and 0 as long as it has not.
        takes_eof: it can read a payload whose length is not known beforehand (capa eof).
        knows_psync2: it understands `+CONTINUE` with a new replication ID (capa psync2).
        psync: it asked with PSYNC, and so will acknowledge; not with the SYNC of old.
        only_rdb: it wants the data set and nothing else (`redis-cli --rdb`).
        without: what it does not want of the data set: "data", "functions".
        streaming: it gets the stream as it comes; before that, the stream is held for it.
        first_offset: where the data set stands in the stream that it is sent.
        acked: the offset it has acknowledged.
        acked_at: when it did so last, on the loop's clock.
        asked_at: when it asked for synchronization.
        stuck_since: since when it has not taken what it was sent of the data set; None if it has.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.state = State.NONE
        self.announced_host = ""
        self.port = 0
        self.takes_eof = self.knows_psync2 = False
        self.psync = True
        self.only_rdb = False
        self.without: frozenset[str] = frozenset()
        self.streaming = False
        self.first_offset = 0
        self.acked = 0
        self.acked_at = self.asked_at = client.node.loop_time()
        self.stuck_since: float | None = None
        self._held: list[bytes] = []
        self.held_bytes = 0

    @property
    def session(self) -> Session:
        """Its connection."""
        session = self.client.session
        assert session is not None, "a replica has a connection"
        return session

    @property
    def host(self) -> str:
        """Where it is: what it announces, or where it comes from."""
        return self.announced_host or self.client.address.rpartition(":")[0].strip("[]")

    @property
    def address(self) -> str:
        """Host and port, as the log names it (`replicationGetSlaveName`)."""
        if not self.port:
            return f"{self.host}:<unknown-replica-port>"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def shown_state(self) -> str:
        """Its state as INFO shows it; empty for one that INFO leaves out."""
        return _SHOWN.get(self.state, "")

    @property
    def heard_at(self) -> float:
        """When a word of it came last, on the loop's clock; while it loads it sends empty lines."""
        return max(self.acked_at, self.client.last_used)

    def is_at(self, host: str, port: int) -> bool:
        """Whether it listens there."""
        return self.host.lower() == host.lower() and self.port == port

    def hold(self, data: bytes) -> None:
        """Keep a part of the stream for it."""
        self._held.append(data)
        self.held_bytes += len(data)

    def hold_as(self, other: Replica) -> None:
        """Keep the same part of the stream as for another one."""
        self._held = list(other._held)
        self.held_bytes = other.held_bytes

    def take_held(self) -> bytes:
        """What was kept, to be sent now."""
        held, self._held = b"".join(self._held), []
        self.held_bytes = 0
        return held

    @property
    def unread_bytes(self) -> int:
        """How much of the stream it has yet to take."""
        return self.held_bytes + self.session.transport.get_write_buffer_size()

    def lag(self, now: float) -> int:
        """Whole seconds since it was heard of; 0 while it is not online."""
        return int(now - self.heard_at) if self.state is State.ONLINE else 0

    def __repr__(self) -> str:
        return f"<Replica {self.address} {self.state.value} at {self.acked}>"
