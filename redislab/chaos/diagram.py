"""The moment of a run that matters, as a space-time diagram: who told whom what, and what then.

Sentinels talk much and say little: what they ask all the time (PING, INFO) and what they tell each
other every two seconds is left out, so that the questions, the votes and the orders stand out.
Between the messages stands what the Sentinels logged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from redislab.labs.sentinel import SentinelLab
from redislab.worlds.base import Event

if TYPE_CHECKING:
    from redislab.views.messages import Label, SpaceTimeView
    from redislab.worlds.sim.journal import Message

BEFORE_SECONDS = 8.0
AFTER_SECONDS = 2.0
_TRIES = 12
# What is asked or told all the time, and what begins a connection.
_NOISE = (
    b"PING",
    b"INFO",
    b"REPLCONF",
    b"PUBLISH",
    b"SUBSCRIBE",
    b"CLIENT",
    b"HELLO",
    b"AUTH",
    b"MASTERS",
)


def diagram(lab: SentinelLab, moment: float, title: str) -> SpaceTimeView:
    """What happened around a moment, in seconds of the lab's clock.

    Raises:
        ValueError: nothing did.
    """
    from redislab.views.messages import ENTRIES_MAX, SpaceTimeView, entries, together

    hosts = [*lab.nodes, *dict.fromkeys(_clients(lab))]
    journal: Any = lab.journal
    told = sorted([*journal, *lab.told()], key=_when)
    before, after = BEFORE_SECONDS, AFTER_SECONDS
    for _ in range(_TRIES):
        shown = list(
            together(
                entries(
                    told,
                    hosts=hosts,
                    since=moment - before,
                    until=moment + after,
                    describe=_describe,
                )
            )
        )
        if len(shown) <= ENTRIES_MAX:
            break
        before, after = before * 0.7, after * 0.7
    return SpaceTimeView(shown[:ENTRIES_MAX], hosts=hosts, title=title)


def moment_of(lab: SentinelLab) -> float:
    """The moment of a run in which nothing failed: the first change of the master."""
    for event in lab.events:
        if event.kind == "+switch-master":
            return event.time
    return min(lab.now, BEFORE_SECONDS)


def _describe(message: Message) -> Label | None:
    """What stands on an arrow; None for what everybody says all the time."""
    from redislab.views.messages import describe

    if message.kind != "data":
        return None
    data = message.data
    if data.startswith(b"*") and any(b"\r\n%b\r\n" % word in data[:40].upper() for word in _NOISE):
        return None
    if data.startswith((b"+PONG", b"$")) or (data[:1] in b"*:" and len(data) < 5):
        return None
    if b"__sentinel__:hello" in data[:80]:
        return None
    label = describe(message)
    return None if label.tone == "data" else label


def _clients(lab: SentinelLab) -> Iterator[str]:
    world: Any = lab.place
    for name in world.network.hosts:
        if name.startswith("client-"):
            yield name


def _when(entry: Message | Event) -> float:
    return entry.time if isinstance(entry, Event) else entry.sent
