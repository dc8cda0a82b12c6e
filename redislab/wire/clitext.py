"""Replies as redis-cli shows them to a person (`cliFormatReplyTTY` in `src/redis-cli.c`, 7.0)."""

from __future__ import annotations

from collections.abc import Sequence

from redislab.wire import replies
from redislab.wire.replies import Reply

_ESCAPES = {0x5C: "\\\\", 0x22: '\\"', 10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b"}
_EMPTY = {"*": "(empty array)", "%": "(empty hash)", "~": "(empty set)", ">": "(empty push)"}
_SEPARATORS = {"~": "~", "%": "#"}

# Commands whose text is printed as it is: it is a report, made to be read.
_RAW_COMMANDS = frozenset(
    {
        "info",
        "lolwut",
        "debug htstats",
        "debug htstats-key",
        "debug client-eviction",
        "memory malloc-stats",
        "memory doctor",
        "cluster nodes",
        "cluster info",
        "client list",
        "client info",
        "latency graph",
        "latency doctor",
    }
)


def format_reply(reply: Reply, argv: Sequence[bytes] = ()) -> str:
    """What redis-cli prints for a reply, without the last line end.

    Args:
        reply: the reply.
        argv: the request, which decides whether a text is quoted or printed as it is.
    """
    words = [word.decode("utf-8", "replace").lower() for word in argv[:2]]
    raw = " ".join(words[:1]) in _RAW_COMMANDS or " ".join(words) in _RAW_COMMANDS
    if raw and reply.text is not None and reply.kind != replies.ERROR:
        return _strip_format(reply).decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")
    return _format(reply, "").rstrip("\n")


def quote(data: bytes) -> str:
    r"""Bytes in double quotes with `\xHH` for what cannot be printed."""
    return '"' + "".join(_escape(byte) for byte in data) + '"'


def _escape(byte: int) -> str:
    if byte in _ESCAPES:
        return _ESCAPES[byte]
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"


def _strip_format(reply: Reply) -> bytes:
    """The text of a reply; that of a verbatim string without its `txt:`."""
    text = reply.text or b""
    return text[4:] if reply.kind == replies.VERBATIM else text


def _format(reply: Reply, prefix: str) -> str:
    if reply.items is not None:
        return _format_items(reply, reply.items, prefix)
    if reply.text is None:
        return "(nil)\n"
    text = _strip_format(reply)
    shown = text.decode("utf-8", "replace")
    match reply.kind:
        case replies.BULK:
            return quote(text) + "\n"
        case replies.ERROR | replies.BULK_ERROR:
            return f"(error) {shown}\n"
        case replies.INTEGER:
            return f"(integer) {shown}\n"
        case replies.DOUBLE:
            return f"(double) {shown}\n"
        case replies.BOOLEAN:
            return "(true)\n" if text == b"t" else "(false)\n"
        case _:
            return shown + "\n"


def _takes_lines(reply: Reply) -> bool:
    """Whether a reply takes more than one line, so that it begins on a line of its own."""
    if not reply.items:
        return False
    single = 2 if reply.kind == replies.MAP else 1
    return len(reply.items) > single or _takes_lines(reply.items[-1])


def _format_items(reply: Reply, items: tuple[Reply, ...], prefix: str) -> str:
    if not items:
        return _EMPTY[reply.kind] + "\n"
    is_map = reply.kind == replies.MAP
    count = len(items) // 2 if is_map else len(items)
    width = len(str(count))
    inner = prefix + " " * (width + 2)
    separator = _SEPARATORS.get(reply.kind, ")")
    lines = []
    step = 2 if is_map else 1
    for number, start in enumerate(range(0, len(items), step), 1):
        lead = "" if start == 0 else prefix
        entry = f"{lead}{number:>{width}}{separator} " + _format(items[start], inner)
        if is_map:
            value = items[start + 1]
            entry = entry[:-1] + " => "
            if _takes_lines(value):
                entry += "\n" + inner
            entry += _format(value, inner)
        lines.append(entry)
    return "".join(lines)
