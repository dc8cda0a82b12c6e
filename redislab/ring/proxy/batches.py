"""What a client asked in one go, and the replies as they come in.

A `Batch` is the requests of one chunk of a client, with a place for the reply of each. Servers
answer in any order among each other; a place is known to the connection that its request went out
on, so a reply finds it, and a client is written the places from the first on as far as they are
filled. A request that was split is a `Split`: a batch of its own, with a place for each part, that
fills one place of the batch it belongs to.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from redislab.ring.proxy.commands import Command

if TYPE_CHECKING:
    from redislab.ring.proxy.session import Session

_CRLF: Final = b"\r\n"


class Failure(bytes):
    """What a proxy says of a request that no server has answered, without its last line end."""

    __slots__ = ()

    @classmethod
    def of(cls, number: int) -> Failure:
        """A failure of the system, by its number; 0 is one that has none."""
        return cls(b"-ERR " + (os.strerror(number).encode() if number else b"unknown"))


_UNKNOWN: Final = Failure.of(0)
# Where the parts of a request do not fit together.
INVALID: Final = Failure.of(errno.EINVAL)


class Batch:
    """Requests of one client, and their replies.

    Attributes:
        session: whose they are.
        replies: each without its last line end; None where it has not come.
        count, missing: how many there are, and how many have not come.
        written: how many were written to the client.
        size: bytes of the requests.
        since: when they came, on the loop's clock.
    """

    __slots__ = ("count", "missing", "replies", "session", "since", "size", "written")

    def __init__(self, session: Session, count: int, size: int, since: float) -> None:
        self.session = session
        self.replies: list[bytes | None] = [None] * count
        self.count = self.missing = count
        self.written = 0
        self.size = size
        self.since = since

    def answer(self, place: int, reply: bytes) -> None:
        """Fill a place out of turn."""
        self.replies[place] = reply
        self.missing -= 1
        self.touch()

    def touch(self) -> None:
        """Replies have come: write them at the end of the turn."""
        session = self.session
        if not session.touched:
            session.touched = True
            session.pool.turn.sessions.append(session)
            session.pool.turn.wish()


class Split(Batch):
    """A request that goes to several servers.

    Args:
        command: what it is.
        words: it.
        owner: the batch that it belongs to, and `place` in it.
        targets: the number of the server of each of its keys.
    """

    __slots__ = ("command", "owner", "parts", "place", "targets")

    def __init__(
        self, command: Command, words: list[bytes], owner: Batch, place: int, targets: list[int]
    ) -> None:
        # In the order of the servers, as the original sends them.
        servers = sorted(set(targets))
        super().__init__(owner.session, len(servers), 0, owner.since)
        self.command = command
        self.owner = owner
        self.place = place
        numbers = {server: number for number, server in enumerate(servers)}
        self.targets = [numbers[target] for target in targets]
        self.parts = [(server, self._part(words, numbers[server])) for server in servers]

    def _part(self, words: list[bytes], number: int) -> bytes:
        """The request to one server."""
        step = self.command.step
        mine = [self.command.name]
        for at, target in enumerate(self.targets):
            if target == number:
                mine += words[1 + at * step : 1 + (at + 1) * step]
        head = b"*%d\r\n" % len(mine)
        return head + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in mine)

    def touch(self) -> None:
        """Replies have come: with the last one the request is answered."""
        if not self.missing and self.owner.replies[self.place] is None:
            self.owner.answer(self.place, self._joined())

    def _joined(self) -> bytes:
        replies = [reply or b"" for reply in self.replies]
        join = self.command.join
        # A server that refuses its part has not failed; for the whole there is one word only.
        errors = [
            reply if isinstance(reply, Failure) else INVALID
            for reply in replies
            if reply[:1] == b"-"
        ]
        if errors:
            return next((each for each in errors if each != _UNKNOWN), _UNKNOWN)
        if join == "ok":
            return b"+OK" if all(reply == b"+OK" for reply in replies) else INVALID
        if join == "sum":
            if not all(reply[:1] == b":" and reply[1:].isdigit() for reply in replies):
                return INVALID
            return b":%d" % sum(int(reply[1:]) for reply in replies)
        values = [_values(reply) for reply in replies]
        wanted = [0] * len(values)
        for target in self.targets:
            wanted[target] += 1
        if [len(each) for each in values] != wanted:
            return INVALID
        turns = [iter(each) for each in values]
        return _CRLF.join([b"*%d" % len(self.targets), *(next(turns[t]) for t in self.targets)])


def _values(reply: bytes) -> list[bytes]:
    """The strings of an array as they stand there, without their last line ends; [] for others."""
    if reply[:1] != b"*":
        return []
    values = []
    position = reply.find(_CRLF) + 2
    while 1 < position < len(reply):
        end = reply.find(_CRLF, position)
        if reply[position : position + 1] != b"$":
            return []
        if end < 0:  # only a null can be the last thing of a reply without a line end
            values.append(reply[position:])
            break
        length = int(reply[position + 1 : end])
        if length >= 0:
            end += 2 + length
        values.append(reply[position:end])
        position = end + 2
    return values
