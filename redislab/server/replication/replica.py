"""What a master knows of one replica (`SLAVE_STATE_...` in `src/server.h` of Redis 7.0)."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.session import Session


class State(Enum):
    """How far a master is with a replica; the values are those of INFO."""

    NONE = ""  # it has said REPLCONF, but not PSYNC
    WAIT_START = "wait_bgsave"  # a snapshot has to be begun for it
    SENDING = "send_bulk"  # it is being sent the data set
    ONLINE = "online"


class Replica:
    """One replica of a node.

    Attributes:
        announced_host, port: where it listens, as it says itself; "" and 0 as long as it has not.
        takes_eof: it can read a payload whose length is not known beforehand (capa eof).
        knows_psync2: it understands `+CONTINUE` with a new replication ID (capa psync2).
        psync: it asked with PSYNC, and so will acknowledge; not with the SYNC of old.
        wants_functions_only: of the data set it wants the functions (`redis-cli --functions-rdb`).
        only_rdb: it wants the data set and nothing else (`redis-cli --rdb`).
        streaming: it gets the stream as it comes; before that, the stream is held for it.
        acked: the offset it has acknowledged.
        acked_at: when it did so last, on the loop's clock.
        moved_at: when it last took in a part of the data set.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.state = State.NONE
        self.announced_host = ""
        self.port = 0
        self.takes_eof = self.knows_psync2 = False
        self.psync = True
        self.only_rdb = self.wants_functions_only = False
        self.streaming = False
        self.acked = 0
        self.acked_at = self.moved_at = client.node.loop_time()
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
        """Host and port, as the log names it."""
        if self.port:
            host = f"[{self.host}]" if ":" in self.host else self.host
            return f"{host}:{self.port}"
        return f"client id #{self.client.id}"

    @property
    def shown_state(self) -> str:
        """Its state as INFO shows it: Redis calls it waiting while a child feeds its socket."""
        is_fed = self.client.node.replication.masterside.transfers.streams_to(self)
        return State.WAIT_START.value if is_fed else self.state.value

    def hold(self, data: bytes) -> None:
        """Keep a part of the stream for it."""
        self._held.append(data)
        self.held_bytes += len(data)

    def take_held(self) -> bytes:
        """What was kept, to be sent now."""
        held, self._held = b"".join(self._held), []
        self.held_bytes = 0
        return held

    def lag(self, now: float) -> int:
        """Whole seconds since it acknowledged; 0 while it is not online."""
        return int(now - self.acked_at) if self.state is State.ONLINE else 0

    def __repr__(self) -> str:
        return f"<Replica {self.address} {self.state.value or 'none'} at {self.acked}>"
