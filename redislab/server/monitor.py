"""MONITOR: every command as it runs (`replicationFeedMonitors`, `src/replication.c`, Redis 7.0).

    +1700000000.123456 [0 127.0.0.1:50000] "SET" "a" "1"

Passwords are replaced here, for MONITOR and for the slow log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.engine.table import Reply, command
from redislab.server.directives import DIRECTIVES
from redislab.wire.resp import OK

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.commands import Entry
    from redislab.server.node import Node

REDACTED = b"(redacted)"
_ESCAPES = {0x5C: "\\\\", 0x22: '\\"', 10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b"}


@command("monitor")
def monitor(c: Client, args: list[bytes]) -> Reply:
    """MONITOR: from now on this connection is shown every command."""
    if c.deny_blocking:
        raise CommandError("ERR MONITOR isn't allowed for DENY BLOCKING client")
    if c.monitoring:
        return b""
    c.monitoring = True
    c.node.monitors[c] = None
    c.node.refresh()
    return OK


def feed(node: Node, client: Client, args: Sequence[bytes]) -> None:
    """Show a command to all who monitor."""
    seconds = node.environment.unix_time()
    if client.in_script:
        source = "lua"
    elif client.unix_socket:
        source = f"unix:{node.config.unixsocket}"
    else:
        source = client.address
    words = " ".join(represent(word) for word in args)
    line = f"+{int(seconds)}.{int(seconds % 1 * 1e6):06} [{client.db.index} {source}] {words}\r\n"
    data = line.encode("ascii")
    for watcher in list(node.monitors):
        watcher.send(data)


def represent(word: bytes) -> str:
    """A word in double quotes, with every byte that is not printable escaped (`sdscatrepr`)."""
    return '"' + "".join(_character(byte) for byte in word) + '"'


def _character(byte: int) -> str:
    return _ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}")


def shown(entry: Entry, args: list[bytes]) -> list[bytes]:
    """A request as others may see it: without passwords."""
    name = entry.name
    if name == "auth":
        return [args[0], *[REDACTED] * min(len(args) - 1, 2), *args[3:]]
    if name == "acl|setuser":
        return [*args[:2], *[REDACTED] * (len(args) - 2)]
    if name in {"hello", "migrate"}:
        return _after_option(args)
    if name == "config|set":
        hidden = list(args)
        for at in range(2, len(args) - 1, 2):
            directive = DIRECTIVES.get(args[at].decode("latin-1").lower())
            if directive is not None and directive.sensitive:
                hidden[at + 1] = REDACTED
        return hidden
    return args


def _after_option(args: list[bytes]) -> list[bytes]:
    """Hide what follows AUTH (two words for HELLO) and AUTH2."""
    hidden = list(args)
    widths = {b"auth": 2 if args[0].lower() == b"hello" else 1, b"auth2": 2}
    at = 2
    while at < len(args):
        width = widths.get(args[at].lower(), 0)
        for place in range(at + 1, min(at + 1 + width, len(args))):
            hidden[place] = REDACTED
        at += width + 1
    return hidden
