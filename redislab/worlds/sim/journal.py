"""The journal of a simulation: every message and every event, with virtual time stamps.

It is the record that a space-time diagram is drawn from, and the history that two runs of one seed
must share byte for byte. A message is one segment of a connection: what one `write()` sent, cut up
where the receiver's window or `SEGMENT_BYTES_MAX` (see `transport.py`) says so.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from redislab.worlds.base import Event

Kind = Literal["open", "data", "fin", "rst"]

MESSAGES_MAX = 100_000
BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """One message on the network.

    Attributes:
        sent: when its sender handed it to the network, in seconds.
        delivered: when it reached the receiver's host; None if it is under way or was lost.
        source: the name of the sending host.
        target: the name of the receiving host.
        connection: the connection's number.
        kind: "open" (the connection stands), "data", "fin" (no more from this side), "rst".
        data: its bytes.
        lost: how many times it was lost on its way and sent again.
    """

    sent: float
    delivered: float | None
    source: str
    target: str
    connection: int
    kind: Kind
    data: bytes
    lost: int


class Segment:
    """A message under way: what the network carries, and what becomes a `Message`."""

    __slots__ = (
        "connection",
        "cuts",
        "data",
        "delivered",
        "kind",
        "lost",
        "number",
        "sent",
        "source",
        "target",
    )

    def __init__(self, source: str, target: str, connection: int, kind: Kind, data: bytes) -> None:
        self.source = source
        self.target = target
        self.connection = connection
        self.kind = kind
        self.data = data
        self.sent = 0.0
        self.delivered: float | None = None
        self.lost = 0
        # How often its link had been cut when it left: a cut on its way takes it down.
        self.cuts = 0
        self.number = 0  # its place among all that its direction of the connection has sent

    def message(self) -> Message:
        """What it looks like from outside."""
        return Message(
            self.sent,
            self.delivered,
            self.source,
            self.target,
            self.connection,
            self.kind,
            self.data,
            self.lost,
        )


class Journal:
    """Messages and events in the order in which they happened.

    Args:
        clock: the virtual time.
        messages_max: keep at most so many, the latest; None keeps all.
        bytes_max: and of those so many bytes at most; None keeps all.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        messages_max: int | None = MESSAGES_MAX,
        bytes_max: int | None = BYTES_MAX,
    ) -> None:
        self._clock = clock
        self._messages_max = messages_max if messages_max is not None else float("inf")
        self._bytes_max = bytes_max if bytes_max is not None else float("inf")
        self._entries: deque[Segment | Event] = deque()
        self._messages_held = 0
        self._bytes_held = 0
        self.messages_forgotten = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Message | Event]:
        for entry in self._entries:
            yield entry.message() if isinstance(entry, Segment) else entry

    def __repr__(self) -> str:
        forgotten = f", {self.messages_forgotten} forgotten" if self.messages_forgotten else ""
        events = len(self._entries) - self._messages_held
        return f"<Journal of {self._messages_held} messages{forgotten} and {events} events>"

    @property
    def messages(self) -> list[Message]:
        """The messages, in the order in which they were sent."""
        return [entry.message() for entry in self._entries if isinstance(entry, Segment)]

    @property
    def events(self) -> list[Event]:
        """The events, in the order in which they happened."""
        return [entry for entry in self._entries if isinstance(entry, Event)]

    def event(self, node: str, kind: str, detail: str = "") -> None:
        """Write down that something happened just now."""
        self._entries.append(Event(self._clock(), node, kind, detail))

    def segment(self, segment: Segment) -> None:
        """Write down that a message was sent; its fate is read from it later."""
        self._entries.append(segment)
        self._messages_held += 1
        self._bytes_held += len(segment.data)
        if self._messages_held > self._messages_max or self._bytes_held > self._bytes_max:
            self._forget()

    def to_json(self) -> str:
        """The whole journal, one entry a line; bytes as Latin-1, which loses none of them."""
        lines = []
        for entry in self:
            fields = asdict(entry)
            if isinstance(entry, Message):
                fields["data"] = entry.data.decode("latin-1")
            lines.append(json.dumps(fields, separators=(",", ":")))
        return "[" + ",\n".join(lines) + "]"

    def _forget(self) -> None:
        """Let the oldest tenth of the messages go; events stay, there are few of them."""
        events: list[Event] = []
        messages, size = 0.9 * self._messages_max, 0.9 * self._bytes_max
        while self._messages_held > max(1, messages) or (
            self._bytes_held > size and self._messages_held > 1
        ):
            entry = self._entries.popleft()
            if isinstance(entry, Event):
                events.append(entry)
                continue
            self._messages_held -= 1
            self._bytes_held -= len(entry.data)
            self.messages_forgotten += 1
        self._entries.extendleft(reversed(events))
