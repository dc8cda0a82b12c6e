"""The view of a conversation in RESP: every byte of a request and its reply, explained.

`explain` takes bytes apart without judging what they mean, as far as they have arrived; it follows
the protocol specification of RESP2 and RESP3 and the inline form that Redis accepts beside it.
`Conversation` holds the talk with one node and needs only a function that sends bytes and
returns bytes, so it works on a socket of any world; `WireView` shows it and lets the reader type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redislab.views.display import View
from redislab.views.fallback import fallback_for, table_html
from redislab.views.recording import Frame, Json, Recorder, Recording
from redislab.wire.replies import ReplyParser
from redislab.wire.requests import RequestParser, split_words
from redislab.wire.resp import bulks

Role = Literal["type", "length", "value", "error", "crlf", "rest"]

CRLF = b"\r\n"
SHOWN_MAX = 64  # bytes of one segment that a page shows; the length tells the rest
TALK_TIMEOUT = 5.0  # seconds to wait for a reply, on the lab's clock

# What the first byte of a value says, for those whose value stands on the same line.
_LINE_TYPES: dict[bytes, tuple[str, str]] = {
    b"+": ("a simple string follows, up to the end of the line", "the text"),
    b"-": ("an error follows, up to the end of the line", "the error: a code, then words"),
    b":": ("an integer follows, in decimal digits", "the integer"),
    b"_": ("null (RESP3): there is no value", "nothing"),
    b",": ("a floating-point number follows (RESP3)", "the number"),
    b"#": ("a boolean follows (RESP3): t or f", "true or false"),
    b"(": ("a big number follows (RESP3)", "the number"),
}
# Those that begin with a length in bytes.
_BULK_TYPES: dict[bytes, tuple[str, str]] = {
    b"$": ("a bulk string follows: first its length, then its bytes", "bytes of the string"),
    b"!": ("a bulk error follows (RESP3): first its length", "bytes of the error"),
    b"=": ("a verbatim string follows (RESP3): first its length", "bytes: format, colon, text"),
}
# Those that begin with a number of members, and how many values one member is.
_AGGREGATE_TYPES: dict[bytes, tuple[str, str, int]] = {
    b"*": ("an array follows: first how many elements it has", "element", 1),
    b"~": ("a set follows (RESP3): first how many members it has", "member", 1),
    b">": ("a push message follows (RESP3), sent without a request", "element", 1),
    b"%": ("a map follows (RESP3): first how many pairs it has", "pair", 2),
    b"|": ("attributes of the value after them follow (RESP3)", "pair", 2),
}


@dataclass(frozen=True)
class Segment:
    """A run of bytes that means one thing.

    `start` is the offset of the first byte in the stream; `role` is what the bytes are for; `text`
    says it in words; `depth` counts the arrays around them.
    """

    start: int
    data: bytes
    role: Role
    text: str
    depth: int = 0


def explain(data: bytes, *, request: bool = False) -> list[Segment]:
    """Take RESP bytes apart; the segments put together are `data` again, whatever it is.

    `request` says that a client sent them: then the first element of an array is the command's
    name, and a line that does not begin with `*` is an inline command.  What has not arrived
    completely, or is no RESP, comes as a last segment of role "rest".
    """
    return _Scanner(data, request=request).run()


class _Scanner:
    """Walks over the bytes once; open aggregates wait on a stack, so nesting needs no recursion."""

    def __init__(self, data: bytes, *, request: bool) -> None:
        self.data = data
        self.request = request
        self.at = 0
        self.segments: list[Segment] = []
        self.open: list[tuple[str, int, int]] = []  # (what a member is called, how many, how far)

    def run(self) -> list[Segment]:
        while self.at < len(self.data):
            before = self.at
            if not self._value():
                self.segments = [one for one in self.segments if one.start < before]
                self.at = before
                rest = self.data[before:]
                self.segments += self._partial(rest)
                break
            self._close_members()
        return self.segments

    def _value(self) -> bool:
        """Take one value or the head of an aggregate; False if it is not all there."""
        kind = self.data[self.at : self.at + 1]
        if self.request and not self.open and kind != b"*":
            return self._inline()
        if kind in _LINE_TYPES:
            about, name = _LINE_TYPES[kind]
            return self._line(kind, about, "error" if kind == b"-" else "value", name)
        if kind in _BULK_TYPES:
            return self._bulk(kind)
        if kind in _AGGREGATE_TYPES:
            return self._aggregate(kind)
        return False

    def _line(self, kind: bytes, about: str, role: Role, name: str) -> bool:
        end = self.data.find(CRLF, self.at)
        if end < 0:
            return False
        self._take(kind, "type", f"{kind.decode()}  {about}{self._place()}")
        if end > self.at:
            self._take(self.data[self.at : end], role, name)
        self._crlf("ends the line")
        return True

    def _length(self, kind: bytes, about: str, unit: str) -> int | None:
        """Take the type, the number and the CRLF behind it; None if there is no number."""
        end = self.data.find(CRLF, self.at)
        digits = self.data[self.at + 1 : end] if end > 0 else b""
        if not digits.removeprefix(b"-").isdigit():
            return None
        number = int(digits)
        self._take(kind, "type", f"{kind.decode()}  {about}{self._place()}")
        null = "-1: there is no value here (null, as RESP2 writes it)"
        self._take(digits, "length", null if number < 0 else f"{number:,} {unit}")
        self._crlf("ends the line with the length")
        return number

    def _bulk(self, kind: bytes) -> bool:
        about, name = _BULK_TYPES[kind]
        number = self._length(kind, about, "bytes follow after the CRLF")
        if number is None:
            return False
        if number < 0:
            return True
        value = self.data[self.at : self.at + number]
        if len(value) < number or self.data[self.at + number : self.at + number + 2] != CRLF:
            return False
        if value:
            what = self._member() or name
            role: Role = "error" if kind == b"!" else "value"
            self._take(value, role, f"{what}: {number:,} byte{'' if number == 1 else 's'}")
        self._crlf("ends the value; it is not counted in the length")
        return True

    def _aggregate(self, kind: bytes) -> bool:
        about, member, values = _AGGREGATE_TYPES[kind]
        number = self._length(kind, about, f"{member}s follow, each a value of its own")
        if number is None:
            return False
        if number > 0:
            # The aggregate is itself a member of the one around it: it is counted when it closes.
            self.open.append((member, number * values, 0))
        return True

    def _inline(self) -> bool:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            return False
        line = self.data[self.at : end].removesuffix(b"\r")
        if line:
            about = "an inline command, as a person would type it: words apart by spaces"
            self._take(line, "value", about)
        self._take(self.data[self.at : end + 1], "crlf", "the end of the line ends the command")
        return True

    def _take(self, data: bytes, role: Role, text: str) -> None:
        self.segments.append(Segment(self.at, data, role, text, len(self.open)))
        self.at += len(data)

    def _crlf(self, text: str) -> None:
        self._take(self.data[self.at : self.at + 2], "crlf", f"CR LF (0d 0a): {text}")

    def _member(self) -> str:
        """What the value is to the aggregate around it, in words."""
        if not self.open:
            return ""
        member, total, done = self.open[-1]
        if self.request and len(self.open) == 1:
            return "the command's name" if done == 0 else f"argument {done} of {total - 1}"
        if member == "pair":
            return f"{'value' if done % 2 else 'key'} of pair {done // 2 + 1} of {total // 2}"
        return f"{member} {done + 1} of {total}"

    def _place(self) -> str:
        member = self._member()
        return f" ({member})" if member else ""

    def _close_members(self) -> None:
        """Count the value just taken, and close every aggregate that is complete with it."""
        if self.open and self.segments[-1].depth < len(self.open):
            return  # the value was the head of an aggregate, which has just been opened
        while self.open:
            member, total, done = self.open.pop()
            if done + 1 < total:
                self.open.append((member, total, done + 1))
                return

    def _partial(self, rest: bytes) -> list[Segment]:
        known = rest[:1] in {**_LINE_TYPES, **_BULK_TYPES, **_AGGREGATE_TYPES} or self.request
        text = "the rest has not arrived yet" if known else "no RESP type begins with this byte"
        return [Segment(self.at, rest, "rest", text, len(self.open))]


def printable(data: bytes) -> str:
    """Bytes as text: what is printable ASCII as it is, the rest as escapes."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte != 92 else _ESCAPES.get(byte, f"\\x{byte:02x}")
        for byte in data
    )


_ESCAPES = {13: "\\r", 10: "\\n", 9: "\\t", 92: "\\\\"}


def segment_to_plain(segment: Segment) -> dict[str, Json]:
    """A segment as a frame carries it; long data is cut, its size is not."""
    shown = segment.data[:SHOWN_MAX]
    plain: dict[str, Json] = {
        "text": printable(shown),
        "hex": shown.hex(" "),
        "size": len(segment.data),
        "start": segment.start,
        "role": segment.role,
        "about": segment.text,
        "depth": segment.depth,
    }
    return plain


Talk = Callable[[bytes], bytes]


class Conversation:
    """A talk with one node: what was sent, what came back, byte for byte.

    `talk` sends bytes and returns the reply's; `now` gives the lab's time in seconds.
    """

    def __init__(self, talk: Talk, *, now: Callable[[], float], node: str = "redis") -> None:
        self._talk = talk
        self._now = now
        self.recorder = Recorder(
            "wire",
            f"A conversation with {node}, byte for byte",
            now=now,
            sample=dict,
            meta={"node": node, "pace": "steps"},
        )

    def say(self, command: str | Sequence[str | bytes]) -> bytes:
        """Send a command as an array of bulk strings; returns the bytes of the reply.

        A string is split as redis-cli splits a line.  Raises ValueError for unbalanced quotes
        and for an empty command.
        """
        words: list[bytes] | None
        if isinstance(command, str):
            words = split_words(command.encode())
            label = command.strip()
        else:
            words = [one.encode() if isinstance(one, str) else one for one in command]
            label = " ".join(printable(word) for word in words)
        if words is None:
            raise ValueError("Invalid argument(s)")
        if not words:
            raise ValueError("an empty command")
        return self.say_bytes(bulks(words), label)

    def say_bytes(self, data: bytes, label: str = "") -> bytes:
        """Send bytes as they are (an inline command, a pipeline); returns the reply's bytes."""
        self._add("request", data, label or printable(data[:SHOWN_MAX]))
        reply = self._talk(data)
        self._add("reply", reply, "")
        return reply

    def _add(self, side: str, data: bytes, label: str) -> None:
        segments = explain(data, request=side == "request")
        state: dict[str, Json] = {
            "side": side,
            "label": label,
            "size": len(data),
            "segments": [segment_to_plain(one) for one in segments],
        }
        self.recorder.add(Frame(round(self._now(), 6), state))


def client_talk(client: Any) -> Talk:
    """Speak raw bytes over a connection of a redis-py client, in any world.

    Make the client with `protocol=2` and `driver_info=None`, so that the connection says nothing
    by itself.  The talk raises what the connection raises; a reply that does not come within
    `TALK_TIMEOUT` gives what has arrived.
    """
    pool = client.connection_pool
    connection = pool.get_connection()

    def talk(data: bytes) -> bytes:
        connection.connect()
        peer = connection._sock
        peer.settimeout(TALK_TIMEOUT)
        peer.sendall(data)
        wanted = max(len(RequestParser().feed(data)), 1)
        parser, reply, complete = ReplyParser(), b"", 0
        while complete < wanted:
            try:
                part = peer.recv(65536)
            except TimeoutError:
                return reply
            if not part:
                connection.disconnect()
                return reply
            reply += part
            complete += len(parser.feed(part))
        return reply

    return talk


class WireView(View):
    """The conversation in a notebook; the reader types a command and sees the bytes.

    `lab` is any lab with one node.
    """

    def __init__(self, lab: Any) -> None:
        client = lab.client(protocol=2, driver_info=None)
        self.conversation = Conversation(
            client_talk(client), now=lambda: lab.now, node=str(lab.node)
        )
        super().__init__(self.conversation.recorder)

    def say(self, command: str | Sequence[str | bytes]) -> bytes:
        """Send a command and show it; returns the bytes of the reply."""
        return self.conversation.say(command)

    def say_bytes(self, data: bytes) -> bytes:
        """Send bytes as they are and show them; returns the bytes of the reply."""
        return self.conversation.say_bytes(data)

    def controls(self) -> list[Any]:
        """None: the drawing itself has the field to type into."""
        return []

    def receive(self, message: dict[str, Any]) -> None:
        """Do what the reader typed; what goes wrong is shown under the field."""
        try:
            self.say(str(message.get("command", "")))
        except Exception as error:
            self.tell(f"{type(error).__name__}: {error}")
        else:
            self.tell("")


@fallback_for("wire")
def _wire_fallback(recording: Recording) -> str:
    rows = []
    for frame in recording.frames:
        segments = frame.state.get("segments")
        parts = segments if isinstance(segments, list | tuple) else ()
        text = "".join(_shown(one) for one in parts if isinstance(one, dict))
        rows.append((str(frame.state["side"]), text, f"{frame.state['size']}"))
    return table_html(("who", "bytes", "how many"), rows, numbers=(2,))


def _shown(segment: dict[str, Json]) -> str:
    size = segment.get("size")
    cut = " ... " if isinstance(size, int) and size > SHOWN_MAX else ""
    return f"{segment.get('text')}{cut}"
