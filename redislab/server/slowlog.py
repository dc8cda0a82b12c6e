"""SLOWLOG: commands that took long (`src/slowlog.c` of Redis 7.0).

The session measures; it calls here only for a command that took at least
`slowlog-log-slower-than` microseconds. Long requests are kept short: 32 words of 128 bytes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redislab.engine.arguments import parse_ranged
from redislab.engine.table import Reply, command
from redislab.engine.values import INT64_MAX
from redislab.server.help import help_reply, unknown_form
from redislab.server.monitor import shown
from redislab.wire.resp import OK, array, bulk, bulks, integer

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.commands import Entry
    from redislab.server.node import Node

_WORDS_MAX = 32
_WORD_BYTES_MAX = 128
_HELP = (
    (
        "GET [<count>]",
        (
            "Return the newest entries (10 of them, -1 for all). An entry is made of:\n"
            "id, time, duration in microseconds, request, address and name of the client"
        ),
    ),
    ("LEN", "Return how many entries there are."),
    ("RESET", "Forget all entries."),
)


@dataclass(frozen=True, slots=True)
class SlowCommand:
    """One entry: `started` in seconds since the epoch, the duration in microseconds."""

    id: int
    started: int
    microseconds: int
    words: tuple[bytes, ...]
    address: str
    name: bytes


class SlowLog:
    """The slow commands of one node, newest first."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.entries: deque[SlowCommand] = deque()
        self._next_id = 0

    def add(self, client: Client, entry: Entry, args: list[bytes], seconds: float) -> None:
        """Note a command, if the configuration asks for one that took so long."""
        threshold = self.node.config.slowlog_log_slower_than
        microseconds = int(seconds * 1e6)
        if threshold < 0 or microseconds < threshold or "skip_slowlog" in entry.flags:
            return
        note = SlowCommand(
            self._next_id,
            int(self.node.environment.unix_time()),
            microseconds,
            _shorten(shown(entry, args)),
            client.address,
            client.name,
        )
        self._next_id += 1
        self.entries.appendleft(note)
        self.trim()

    def trim(self) -> None:
        """Keep to `slowlog-max-len`."""
        while len(self.entries) > self.node.config.slowlog_max_len:
            self.entries.pop()


def _shorten(args: list[bytes]) -> tuple[bytes, ...]:
    words = [
        word
        if len(word) <= _WORD_BYTES_MAX
        else b"%b... (%d more bytes)" % (word[:_WORD_BYTES_MAX], len(word) - _WORD_BYTES_MAX)
        for word in args[:_WORDS_MAX]
    ]
    if len(args) > _WORDS_MAX:
        words[-1] = b"... (%d more arguments)" % (len(args) - _WORDS_MAX + 1)
    return tuple(words)


@command("slowlog|get")
def slowlog_get(c: Client, args: list[bytes]) -> Reply:
    """SLOWLOG GET [count]."""
    if len(args) > 3:
        raise unknown_form(args)
    entries = c.node.slowlog.entries
    count = 10
    if len(args) == 3:
        count = parse_ranged(
            args[2], -1, INT64_MAX, "ERR count should be greater than or equal to -1"
        )
        if count == -1:
            count = len(entries)
    replies = []
    for _, entry in zip(range(count), entries, strict=False):
        fields = (
            integer(entry.id),
            integer(entry.started),
            integer(entry.microseconds),
            bulks(entry.words),
            bulk(entry.address.encode()),
            bulk(entry.name),
        )
        replies.append(array(fields))
    return array(replies)


@command("slowlog|len")
def slowlog_len(c: Client, args: list[bytes]) -> Reply:
    """SLOWLOG LEN."""
    return integer(len(c.node.slowlog.entries))


@command("slowlog|reset")
def slowlog_reset(c: Client, args: list[bytes]) -> Reply:
    """SLOWLOG RESET."""
    c.node.slowlog.entries.clear()
    return OK


@command("slowlog|help")
def slowlog_help(c: Client, args: list[bytes]) -> Reply:
    """SLOWLOG HELP."""
    return help_reply("SLOWLOG", _HELP)
