"""Which stream of writes a node's data comes from, and how far it has read.

A replication ID names a history: the sequence of bytes that one master has sent to its replicas. An
offset counts these bytes. A replica that is promoted begins a history of its own, but remembers the
one it had before, up to where it left it: its siblings, who know that one only, can go on with it
without a full resynchronization (PSYNC2). Follows `replicationCron`, `shiftReplicationId` and
`masterTryPartialResynchronization` in `src/replication.c` of Redis 7.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

NO_ID = "0" * 40
# No stream is longer: what is sent in a thousand years at a gigabyte a second.
OFFSET_MAX = 2**62


def new_id(random: Random) -> str:
    """A replication ID nobody else has: 40 hexadecimal digits."""
    return f"{random.getrandbits(160):040x}"


@dataclass(slots=True)
class History:
    """A node's place in a history.

    Attributes:
        id: the replication ID of the data.
        offset: how many bytes of that history it has taken in.
        second_id: the history it had before it was promoted; zeros for none.
        second_offset: the first offset of that history that it does not know; -1 for none.
    """

    id: str
    offset: int = 0
    second_id: str = NO_ID
    second_offset: int = -1

    def begin_new(self, random: Random) -> None:
        """Begin a new history and forget the old ones: the data has nothing to do with them."""
        self.id = new_id(random)
        self.forget_second()

    def branch_off(self, random: Random) -> None:
        """Begin a new history, as a replica does that becomes a master; remember the old one.

        The first byte that is new is the one after those known, hence the one more.
        """
        self.second_id, self.second_offset = self.id, self.offset + 1
        self.id = new_id(random)

    def adopt(self, replication_id: str, offset: int) -> None:
        """Take over a master's history with its data."""
        self.id, self.offset = replication_id, offset
        self.forget_second()

    def rename(self, replication_id: str) -> None:
        """The master was promoted meanwhile: its history goes on under another name."""
        self.second_id, self.second_offset = self.id, self.offset + 1
        self.id = replication_id

    def forget_second(self) -> None:
        """Remember no history but the present one."""
        self.second_id, self.second_offset = NO_ID, -1

    def refusal(self, asked_id: str, asked: int, replica: str) -> str | None:
        """Why a replica cannot go on from an offset of a history, as the log says it; or None.

        Args:
            asked_id: the history that the replica knows; "?" for none.
            asked: the offset of the next byte it wants.
            replica: its address, for the log.
        """
        asked_id = asked_id.lower() if len(asked_id) == len(NO_ID) else asked_id
        if asked_id == self.id or (asked_id == self.second_id and asked <= self.second_offset):
            return None
        if asked_id.startswith("?"):
            return f"Full resync requested by replica {replica}"
        if asked_id == self.second_id:
            reason = (
                f"Requested offset for second ID was {asked}, but I can reply "
                f"up to {self.second_offset}"
            )
        else:
            reason = (
                f"Replication ID mismatch (Replica asked for '{asked_id}', my replication IDs are "
                f"'{self.id}' and '{self.second_id}')"
            )
        return f"Partial resynchronization not accepted: {reason}"
