"""What a master sends: the commands that change its data, as a client would send them.

The stream has one database at a time (SELECT where it changes), and commands that belong together
stand between MULTI and EXEC. The append-only file has the same form. Follows
`replicationFeedSlaves` in `src/replication.c` and `propagatePendingCommands` in `src/server.c` of
Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Sequence

from redislab.wire.resp import request

# Commands with the numbers of their databases, to be applied together.
Unit = Sequence[tuple[int, Sequence[bytes]]]

MULTI = request((b"MULTI",))
EXEC = request((b"EXEC",))
PING = request((b"PING",))
GETACK = request((b"REPLCONF", b"GETACK", b"*"))


class Encoder:
    """Encodes units of commands, and remembers which database is selected.

    Attributes:
        database: the database that the stream is in; -1 before the first SELECT.
    """

    __slots__ = ("database",)

    def __init__(self, database: int = -1) -> None:
        self.database = database

    def encode(self, unit: Unit) -> bytes:
        """The bytes for commands that belong together."""
        if len(unit) == 1 and unit[0][0] == self.database:
            return request(unit[0][1])
        parts: list[bytes] = []
        for position, (database, words) in enumerate(unit):
            if database != self.database:
                parts.append(self.select(database))
            if position == 0 and len(unit) > 1:
                parts.append(MULTI)
            parts.append(request(words))
        if len(unit) > 1:
            parts.append(EXEC)
        return b"".join(parts)

    def select(self, database: int) -> bytes:
        """Change to a database."""
        self.database = database
        return request((b"SELECT", b"%d" % database))


def encoded_size(words: Sequence[bytes]) -> int:
    """How many bytes a command takes in the stream."""
    size = 3 + len(str(len(words)))
    for word in words:
        size += 5 + len(str(len(word))) + len(word)
    return size
