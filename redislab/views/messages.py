"""The space-time diagram: hosts as lines, messages as arrows between them, time downward.

It draws the journal of a simulation (`worlds/sim/journal.py`), whatever the messages are about.
What stands on an arrow is said by a describing function: `describe` reads RESP in both directions
and knows a data set by its first bytes; a lab with another protocol brings its own.

One frame is one message or one event, in the order in which they were sent or happened. In the real
worlds messages belong to the kernel, and a journal has events only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from redislab.views.display import View
from redislab.views.fallback import cell_text, fallback_for, table_html
from redislab.views.recording import Frame, Json, Recorder, Recording
from redislab.views.wire import printable
from redislab.wire.replies import ReplyParser
from redislab.wire.requests import ProtocolError, RequestParser
from redislab.worlds.base import OBSERVER, Event
from redislab.worlds.sim.journal import Message

Tone = Literal["request", "reply", "data", "error", "quiet"]

ENTRIES_MAX = 400  # more would neither fit a page nor a reader's patience
WORDS_MAX = 60  # characters of one command on an arrow
COMMANDS_MAX = 3  # of one message
TOGETHER_SECONDS = 0.001  # pieces of data so close to each other are one arrow
_ID = re.compile(r"\b([0-9a-f]{6})[0-9a-f]{34}\b")
# What a client library says of itself before its first request.
_GREETINGS = frozenset({b"HELLO", b"CLIENT"})
_SIGNS = {
    "open": "connects",
    "fin": "closes",
    "rst": "resets the connection",
}


@dataclass(frozen=True)
class Label:
    """What stands on an arrow, and in which color: a request, a reply, data, an error, or quiet.

    Pieces of data that leave together are one arrow, and its size is written beside the text.
    """

    text: str
    tone: Tone = "request"


Describe = Callable[[Message], Label | None]
"""Says what a message is; None leaves it out."""


def describe(message: Message) -> Label:
    """Read a message as RESP: the words of its commands, or the reply."""
    if message.kind != "data":
        return Label(_SIGNS[message.kind], "error" if message.kind == "rst" else "quiet")
    data = message.data
    if data.startswith((b"$EOF:", b"REDIS00")) or b"\r\nREDIS00" in data[:64]:
        return Label("data set", "data")
    if data.startswith(b"*"):
        return _commands(data) or Label("data", "data")
    if data.startswith(b"+CONTINUE"):
        line, _, stream = data.partition(b"\r\n")
        rest = f" · {len(stream):,} bytes of the stream" if stream else ""
        return Label(_short(line) + rest, "reply")
    if data[:1] in {b"+", b"-", b":", b"$", b"%", b"_", b"~", b">"}:
        return _reply(data) or Label("data", "data")
    if not data.strip(b"\n"):
        return Label("a bare newline: be patient", "quiet")
    return Label("data", "data")


def _commands(data: bytes) -> Label | None:
    try:
        commands = RequestParser().feed(data)
    except ProtocolError:
        return None
    shown = [_short(b" ".join(words)) for words in commands[:COMMANDS_MAX]]
    if not shown:
        return None
    more = len(commands) - len(shown)
    quiet = all(words[0].upper() in {b"PING", b"REPLCONF"} for words in commands)
    text = " · ".join(shown) + (f" · {more:,} more" if more else "")
    return Label(text, "quiet" if quiet else "request")


def _short(data: bytes) -> str:
    """Bytes as text that fits beside an arrow; of an ID of 40 digits the first six will do."""
    text = _ID.sub(r"\1…", printable(data[: 4 * WORDS_MAX]))
    return text if len(text) <= WORDS_MAX else f"{text[: WORDS_MAX - 2]} …"


def _reply(data: bytes) -> Label | None:
    try:
        replies = ReplyParser().feed(data)
    except ValueError:
        return None
    if not replies:
        return None
    first = replies[0]
    if first.items is not None:
        text = f"{len(first.items)} values"
    elif first.text is None:
        text = "null"
    else:
        text = ("" if first.kind == "$" else first.kind) + _short(first.text)
    more = f" · {len(replies) - 1:,} more" if len(replies) > 1 else ""
    return Label(text + more, "error" if first.is_error else "reply")


@dataclass(frozen=True)
class Entry:
    """One message or event of the diagram.

    Attributes:
        kind: "message" or "event".
        source: the sender; for an event the host, "" for the network.
        target: the receiver; "" for an event.
        sent: when, in seconds.
        delivered: when it arrived; None for a message that has not, or never will.
        text: what it says.
        tone: what it is.
        size: bytes.
        lost: how often TCP had to send it again.
        connection: the number of its connection.
    """

    kind: Literal["message", "event"]
    source: str
    target: str
    sent: float
    delivered: float | None
    text: str
    tone: str
    size: int = 0
    lost: int = 0
    connection: int = 0


def entries(
    journal: Iterable[Message | Event],
    *,
    hosts: Collection[str] = (),
    since: float = 0.0,
    until: float = float("inf"),
    describe: Describe = describe,
    greetings: bool = False,
    events: bool = True,
) -> Iterator[Entry]:
    """The messages and events of a journal that a diagram shows, in order.

    Args:
        journal: of a simulation.
        hosts: those to show; none means all but the lab's own observer.
        since: leave out what was before, in seconds.
        until: and what was after.
        describe: says what a message is.
        greetings: whether to show what client libraries say of themselves before they ask.
        events: whether to show events.
    """
    strangers: dict[int, str] = {}  # who has said nothing but greetings on a connection so far
    for one in journal:
        if isinstance(one, Event):
            shown = not hosts or one.node in hosts or not one.node
            if events and shown and since <= one.time <= until:
                text = f"{one.kind} {one.detail}".strip()
                yield Entry("event", one.node, "", one.time, one.time, text, "quiet")
            continue
        if not greetings and _is_greeting(one, strangers):
            continue
        ends = {one.source, one.target}
        if OBSERVER in ends or (hosts and not ends <= set(hosts)):
            continue
        label = describe(one) if since <= one.sent <= until else None
        if label is not None:
            yield Entry(
                "message",
                one.source,
                one.target,
                one.sent,
                one.delivered,
                label.text,
                label.tone,
                len(one.data),
                one.lost,
                one.connection,
            )


def together(shown: Iterable[Entry]) -> Iterator[Entry]:
    """The same entries, with pieces of data that left one after the other at once as one of them.

    It is named by the first, has the size of all, and has arrived when the last has.
    """
    held: Entry | None = None
    pieces = 0
    for one in shown:
        if held is not None and _continues(held, one):
            late = None if None in {held.delivered, one.delivered} else one.delivered
            held = replace(held, delivered=late, size=held.size + one.size)
            pieces += 1
            continue
        if held is not None:
            yield _with_size(held, pieces)
        held, pieces = one, 1
    if held is not None:
        yield _with_size(held, pieces)


def _continues(first: Entry, second: Entry) -> bool:
    return (
        first.tone == second.tone == "data"
        and (first.source, first.connection) == (second.source, second.connection)
        and second.sent - first.sent < TOGETHER_SECONDS
    )


def _with_size(one: Entry, pieces: int) -> Entry:
    if one.tone != "data":
        return one
    many = f" in {pieces} messages" if pieces > 1 else ""
    return replace(one, text=f"{one.text}: {one.size:,} bytes{many}")


def _is_greeting(message: Message, strangers: dict[int, str]) -> bool:
    """Whether a client introduces itself, or is answered; `strangers` are those who still do."""
    if message.kind != "data":
        return False
    first = message.data.split(b"\r\n", 3)[2:3]
    if first and message.data.startswith(b"*") and first[0].upper() in _GREETINGS:
        strangers[message.connection] = message.source
    elif strangers.get(message.connection) == message.source:
        del strangers[message.connection]
    return message.connection in strangers


class SpaceTimeView(View):
    """Messages as arrows between hosts.

    Args:
        shown: what to draw, in order.
        hosts: the lines, from left to right; none means in the order in which they appear.
        title: the title, also for a screen reader.

    Raises:
        ValueError: there is nothing to draw, or more than `ENTRIES_MAX`.
    """

    def __init__(
        self,
        shown: Iterable[Entry],
        *,
        hosts: Sequence[str] = (),
        title: str = "Messages between hosts",
    ) -> None:
        drawn = list(together(shown))
        if not drawn:
            raise ValueError("there are no messages and no events here to draw")
        if len(drawn) > ENTRIES_MAX:
            raise ValueError(
                f"{len(drawn):,} messages and events are more than a diagram can show"
                f" ({ENTRIES_MAX}): choose a shorter time, or fewer hosts"
            )
        seen = [host for one in drawn for host in (one.source, one.target) if host]
        lines: list[Json] = list(hosts or dict.fromkeys(seen))
        recorder = Recorder(
            "spacetime",
            title,
            now=lambda: 0.0,
            sample=dict,
            meta={"hosts": lines, "pace": "steps"},
            frames_max=ENTRIES_MAX,
        )
        for one in drawn:
            recorder.add(Frame(one.sent, asdict(one)))
        super().__init__(recorder)

    def controls(self) -> list[Any]:
        """None: the drawing has all."""
        return []


def spacetime(
    lab: Any,
    *,
    hosts: Sequence[Any] = (),
    title: str = "Messages between hosts",
    **choice: Any,
) -> SpaceTimeView:
    """The messages of a lab in `sim` as a space-time diagram.

    Args:
        lab: any lab.
        hosts: nodes by handle or name, and "client"; the lines from left to right.
        title: the title, also for a screen reader.
        choice: what to show of the journal; see `entries`.

    Raises:
        ValueError: there is nothing to draw, or too much of it.
    """
    names = [str(host) for host in hosts]
    return SpaceTimeView(entries(lab.journal, hosts=names, **choice), hosts=names, title=title)


@fallback_for("spacetime")
def _spacetime_fallback(recording: Recording) -> str:
    rows = []
    for frame in recording.frames:
        one = frame.state
        way = str(one["source"]) + (f" → {one['target']}" if one["target"] else "")
        arrived = one["delivered"]
        after = (
            f"{(float(arrived) - frame.time) * 1000:.2f} ms"
            if isinstance(arrived, int | float) and one["target"]
            else ""
        )
        size = cell_text(one["size"]) if one["target"] else ""
        rows.append((f"{frame.time:.4f}", way, str(one["text"]), size, after))
    head = ("time (s)", "from → to", "what", "bytes", "on the way")
    return table_html(head, rows, numbers=(0, 3, 4))
