"""One direction of a simulated TCP connection: from a write to the far kernel.

This is where TCP's promise is kept: bytes arrive in order and once, or the connection breaks. What
TCP does not promise happens here as well: a peer that is cut off looks like one that is slow, for
as long as nobody gives up.

- At most `WINDOW_BYTES` that the receiving *program* has not read are under way or in its kernel.
- A segment that meets a cut, or a host without power, is lost. It and all behind it are sent again
  after 0.2 s, 0.4 s ... 120 s (RFC 6298, as Linux does it), until it gets through or some 15
  minutes have passed, when the connection ends with ETIMEDOUT.
- Acknowledgments are not messages of their own, but a cut of the way back stops them, and with them
  a sender whose window is full.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from redislab.worlds.sim.faults import (
    RETRANSMISSION_GIVES_UP_SECONDS,
    RETRANSMISSION_SECONDS_MAX,
    RETRANSMISSION_SECONDS_MIN,
)
from redislab.worlds.sim.journal import Kind, Segment

if TYPE_CHECKING:
    from redislab.worlds.sim.transport import SimTransport

# What the two kernels hold of one direction, sent and not read.
WINDOW_BYTES = 256 * 1024
# The longest segment: a long write arrives in pieces, as it does in life.
SEGMENT_BYTES_MAX = 64 * 1024


class Flow:
    """One direction of a connection: from a write to the far kernel."""

    __slots__ = (
        "attempts",
        "last_arrival",
        "link",
        "lost",
        "network",
        "number",
        "probes",
        "receiver",
        "sender",
        "sent",
        "silent_since",
        "unread",
        "untold",
    )

    def __init__(self, number: int, sender: SimTransport, receiver: SimTransport) -> None:
        self.network = sender.network
        self.number = number
        self.sender = sender
        self.receiver = receiver
        self.link = self.network.link(sender.host, receiver.host)
        # Bytes sent that the receiving program has not read, as far as the sender was told.
        self.unread = 0
        self.last_arrival = 0.0
        self.sent = 0  # segments so far
        # Lost segments in order, to be sent again, and what was written behind them.
        self.lost: deque[Segment] = deque()
        self.attempts = 0
        self.silent_since = 0.0
        # Bytes that were read while the way back was cut, and how often the sender has asked.
        self.untold = 0
        self.probes = 0

    def send(self, kind: Kind, data: bytes) -> None:
        """Send a segment."""
        link = self.link
        segment = Segment(link.source.name, link.target.name, self.number, kind, data)
        segment.sent = self.network.loop._now
        segment.number = self.sent
        self.sent += 1
        self.unread += len(data)
        self.network.journal.segment(segment)
        if self.lost:
            self.lost.append(segment)
        else:
            self._transmit(segment)

    def reset(self) -> None:
        """Send RST, which nobody sends again if it is lost; what is still to be sent is not."""
        link, loop = self.link, self.network.loop
        self.lost.clear()
        segment = Segment(link.source.name, link.target.name, self.number, "rst", b"")
        segment.sent = loop._now
        self.network.journal.segment(segment)
        if link.is_cut or not link.source.up:
            segment.lost = 1
            return
        segment.cuts = link.cuts
        self._schedule(segment, self._reset_arrives)

    def opened(self, size: int) -> None:
        """The receiving program has read `size` bytes; the sender's window opens by as much.

        A sender that waits for it hears of it when the acknowledgment gets there; one that does
        not wait need not be told, which saves an event for each message.
        """
        back, loop = self.receiver.flow.link, self.network.loop
        if back.is_cut:
            self.untold += size
            if not self.probes:
                self._probe_later(loop._now)
        elif self.sender.wants_window:
            arrival = loop._now + back.travel_seconds(loop._now, 0)
            loop.schedule(arrival, self._window_update, size)
        else:
            self.unread -= size

    def _probe_later(self, since: float) -> None:
        """Acknowledgments do not get back: the sender asks again and again, as for lost data."""
        loop = self.network.loop
        loop.schedule(loop._now + _timeout(self.probes), self._probe, since)
        self.probes += 1

    def _probe(self, since: float) -> None:
        if self.sender.is_gone_for_good:
            return
        if not self.receiver.flow.link.is_cut:
            size, self.untold, self.probes = self.untold, 0, 0
            self.opened(size)
        elif self.network.loop._now - since >= RETRANSMISSION_GIVES_UP_SECONDS:
            self.sender.fail(errno.ETIMEDOUT)
        else:
            self._probe_later(since)

    def _window_update(self, size: int) -> None:
        self.unread -= size
        self.sender.window_opened()

    def _transmit(self, segment: Segment) -> None:
        link = self.link
        if link.is_cut:
            self._lose(segment)
            return
        if link.breaks():
            segment.lost += 1
            self.network.journal.event(
                link.source.name, "reset", f"connection {self.number} to {link.target.name} broke"
            )
            loop = self.network.loop
            loop.schedule(loop._now, self.sender.hear_reset, None)
            loop.schedule(loop._now, self.receiver.hear_reset, None)
            return
        segment.cuts = link.cuts
        self._schedule(segment, self._arrive)

    def _schedule(self, segment: Segment, arrive: Callable[[Segment], None]) -> None:
        loop = self.network.loop
        now = loop._now
        arrival = now + self.link.travel_seconds(now, len(segment.data))
        # Jitter does not reorder: a byte that overtook another waits for it in the kernel.
        self.last_arrival = arrival = max(arrival, self.last_arrival)
        loop.schedule(arrival, arrive, segment)

    def _arrive(self, segment: Segment) -> None:
        link = self.link
        if link.is_cut or segment.cuts != link.cuts or not link.target.up or self.lost:
            self._lose(segment)
            return
        self.attempts = 0
        segment.delivered = self.network.loop._now
        self.receiver.arrived(segment)

    def _reset_arrives(self, segment: Segment) -> None:
        link = self.link
        if link.is_cut or segment.cuts != link.cuts or not link.target.up:
            segment.lost += 1
            return
        segment.delivered = self.network.loop._now
        self.receiver.hear_reset(None)

    def _lose(self, segment: Segment) -> None:
        """Keep a segment that did not get through, and plan to send it again."""
        segment.lost += 1
        if self.sender.is_gone_for_good:
            return
        if not self.lost:
            if not self.attempts:
                self.silent_since = self.network.loop._now
            self._plan()
        # One that was under way at the cut stands before those that never left.
        place = len(self.lost)
        while place and self.lost[place - 1].number > segment.number:
            place -= 1
        self.lost.insert(place, segment)

    def _plan(self) -> None:
        loop = self.network.loop
        loop.schedule(loop._now + _timeout(self.attempts), self._send_again, None)
        self.attempts += 1

    def _send_again(self, _: object) -> None:
        if not self.lost or self.sender.is_gone_for_good:
            self.lost.clear()
            return
        silent = self.network.loop._now - self.silent_since
        if silent >= RETRANSMISSION_GIVES_UP_SECONDS:
            self.lost.clear()
            self.sender.fail(errno.ETIMEDOUT)
        elif self.link.is_cut or not self.link.target.up:
            self._plan()
        else:
            again, self.lost = self.lost, deque()
            for segment in again:
                self._transmit(segment)


def _timeout(attempts: int) -> float:
    """How long TCP waits before it sends something for the next time."""
    return min(RETRANSMISSION_SECONDS_MIN * 2.0 ** min(attempts, 20), RETRANSMISSION_SECONDS_MAX)
