"""The command table of a node: handler, facts and counters of each command.

The handlers register themselves (`redislab.engine.table`), the facts stand in
`redislab.server.facts`, and a node joins the two here, for counters are its own.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from redislab.engine import load_commands as load_data_commands
from redislab.engine.table import HANDLERS, Handler
from redislab.server.facts import COMMANDS

if TYPE_CHECKING:
    from redislab.server.facts import CommandFact


class Entry:
    """One command of one node.

    Attributes:
        least, most: how many words a request may have, the command's name among them.
        calls, seconds, rejected, failed: what `INFO commandstats` reports.
        buckets: calls by duration; bucket i counts those of 2**(i-1) to 2**i microseconds.
    """

    __slots__ = (
        "buckets",
        "calls",
        "fact",
        "failed",
        "handler",
        "least",
        "most",
        "name",
        "rejected",
        "seconds",
        "subcommands",
        "writes",
    )

    def __init__(self, fact: CommandFact, handler: Handler | None) -> None:
        self.fact = fact
        self.name = fact.name
        self.handler = handler
        self.least = abs(fact.arity)
        self.most = fact.arity if fact.arity > 0 else sys.maxsize
        self.writes = "write" in fact.flags
        self.subcommands: dict[bytes, Entry] = {}
        self.reset()

    def reset(self) -> None:
        """Forget the counters, as CONFIG RESETSTAT does."""
        self.calls = 0
        self.seconds = 0.0
        self.rejected = 0
        self.failed = 0
        self.buckets = [0] * 32

    def __repr__(self) -> str:
        return f"<Entry {self.name}: {self.calls} calls>"


# The files whose import registers commands; data commands are listed in redislab.engine.
FAMILIES = ("connection",)


def load_commands() -> None:
    """Register the handlers of all commands."""
    load_data_commands()
    for family in FAMILIES:
        import_module(f"redislab.server.{family}")


def build_table() -> dict[bytes, Entry]:
    """A table with every command that has a handler, by lower-case name."""
    table: dict[bytes, Entry] = {}
    for name, handler in HANDLERS.items():
        container, bar, subcommand = name.partition(b"|")
        if not bar:
            table.setdefault(name, Entry(COMMANDS[name], handler)).handler = handler
            continue
        if container not in table:
            table[container] = Entry(COMMANDS[container], HANDLERS.get(container))
        table[container].subcommands[subcommand] = Entry(COMMANDS[name], handler)
    return table


def short_cuts(commands: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """The commands that need no look at their second word, spelled in lower and upper case."""
    simple = {name: entry for name, entry in commands.items() if not entry.subcommands}
    return simple | {name.upper(): entry for name, entry in simple.items()}
