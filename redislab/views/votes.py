"""A vote of Sentinels as a space-time diagram: who asks whom in which epoch, and what is answered.

It shows of a simulation what Sentinels say to each other about a master that may be down, `SENTINEL
IS-MASTER-DOWN-BY-ADDR` and its replies, with names in the place of IDs, and what each logs of it.
What they say all the time (PING, their hellos) is left out, and so is what a Sentinel asks
another, or answers it, in the same words as before: they ask again every second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from redislab.labs.sentinel import SentinelLab
from redislab.views.messages import Entry, Label, SpaceTimeView, entries
from redislab.wire.replies import INTEGER, Reply, ReplyParser
from redislab.wire.requests import ProtocolError, RequestParser
from redislab.worlds.base import Event

if TYPE_CHECKING:
    from redislab.worlds.sim.journal import Message

# What a vote's story needs, of all that Sentinels log.
TOLD = (
    "+sdown",
    "+odown",
    "+new-epoch",
    "+try-failover",
    "+vote-for-leader",
    "+elected-leader",
    "-failover-abort-not-elected",
    "+switch-master",
)
NOBODY = "*"
_ID = re.compile(r"\b[0-9a-f]{40}\b")
_QUESTION = b"is-master-down-by-addr"


def votes(
    lab: SentinelLab,
    *,
    since: float = 0.0,
    until: float = float("inf"),
    told: Sequence[str] = TOLD,
    title: str = "How the Sentinels vote",
) -> SpaceTimeView:
    """What Sentinels asked and answered about a master, and what they logged.

    Args:
        lab: in `sim`.
        since: leave out what was before, in seconds of the lab's clock.
        until: and what was after.
        told: the kinds of events to show.
        title: the title, also for a screen reader.

    Raises:
        ValueError: nothing was said then, or more than a diagram can show.
    """
    names = {each.id: each.name for each in lab.snapshot().sentinels if each.id}
    servers = {f"{each.host} {each.port}": each.name for each in lab.servers}
    hosts = [each.name for each in lab.sentinels]
    journal: Any = lab.journal
    messages = [one for one in journal if not isinstance(one, Event)]
    logged = [
        Event(event.time, event.node, event.kind, _detail(event, names, servers))
        for event in lab.told()
        if event.kind in told and (event.kind != "+sdown" or event.detail.startswith("master "))
    ]
    story = sorted([*messages, *logged], key=_order)
    shown = entries(
        story,
        hosts=hosts,
        since=since,
        until=until,
        describe=lambda message: describe_vote(message, names),
    )
    return SpaceTimeView(without_repeats(shown), hosts=hosts, title=title)


def without_repeats(shown: Iterable[Entry]) -> Iterator[Entry]:
    """The same entries, but for questions and answers that were the same the time before."""
    before: dict[tuple[str, str, int], str] = {}
    for one in shown:
        # Between two Sentinels there are two connections, each with questions one way.
        said = (one.source, one.target, one.connection)
        if one.kind == "event" or before.get(said) != one.text:
            yield one
        before[said] = one.text


def describe_vote(message: Message, names: Mapping[str, str]) -> Label | None:
    """What a message says about a master that may be down; None for anything else.

    Args:
        message: between Sentinels.
        names: of the Sentinels by their IDs.
    """
    if message.kind != "data":
        return None
    if message.data.startswith(b"*6\r\n") and _QUESTION in message.data[:60].lower():
        return _question(message.data, names)
    return _answer(message.data, names)


def _question(data: bytes, names: Mapping[str, str]) -> Label | None:
    try:
        (first, *_) = RequestParser().feed(data)
    except (ProtocolError, ValueError):
        return None
    epoch, candidate = first[4].decode(), first[5].decode()
    if candidate == NOBODY:
        return Label(f"is it down? (epoch {epoch}, *)", "quiet")
    return Label(f"is it down? Vote for {names.get(candidate, candidate)} in epoch {epoch}")


def _answer(data: bytes, names: Mapping[str, str]) -> Label | None:
    try:
        replies = ReplyParser().feed(data)
    except ValueError:
        return None
    for reply in replies:
        if is_answer(reply):
            assert reply.items is not None, "it is an array"
            down, leader, epoch = (item.text or b"" for item in reply.items)
            said = "down" if down == b"1" else "not down"
            if leader == NOBODY.encode():
                return Label(said, "reply" if down == b"1" else "quiet")
            name = names.get(leader.decode(), leader.decode())
            return Label(f"{said}; my vote of epoch {epoch.decode()}: {name}", "reply")
    return None


def is_answer(reply: Reply) -> bool:
    """Whether a reply is one to IS-MASTER-DOWN-BY-ADDR: down or not, a vote, and its epoch."""
    items = reply.items
    return items is not None and [item.kind for item in items] == [INTEGER, "$", INTEGER]


def _detail(event: Event, names: Mapping[str, str], servers: Mapping[str, str]) -> str:
    """The rest of an event's line, without the address of the master, which all are about."""
    if event.kind in {"+sdown", "+try-failover", "+elected-leader", "-failover-abort-not-elected"}:
        return ""
    if event.kind == "+odown":
        return event.detail.partition("#")[2]
    if event.kind == "+switch-master":
        address = " ".join(event.detail.split(" ")[-2:])
        return f"to {servers.get(address, address)}"
    return _ID.sub(lambda found: names.get(found[0], found[0]), event.detail)


def _order(entry: Message | Event) -> tuple[float, int]:
    """What happens at one moment: what is logged, what is sent, and one's own vote comes last."""
    if not isinstance(entry, Event):
        return entry.sent, 1
    is_own = entry.kind == "+vote-for-leader" and entry.detail.split(" ")[0] == entry.node
    return entry.time, 2 if is_own else 0
