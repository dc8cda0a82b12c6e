"""The command table of a node: handler, facts and counters of each command.

The handlers register themselves (`redislab.engine.table`), the facts stand in
`redislab.server.facts`, and a node joins the two here, for counters are its own.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from redislab.engine import load_commands as load_data_commands
from redislab.engine.table import HANDLERS, Handler
from redislab.server.facts import COMMANDS, Catalog

if TYPE_CHECKING:
    from redislab.server.facts import CommandFact

# Durations are counted in steps of a sixteenth of an octave, up from a nanosecond.
STEPS = tuple(int(2 ** (step / 16)) for step in range(31 * 16))
_BOUNDS = tuple(nanoseconds / 1e9 for nanoseconds in STEPS)


class Entry:
    """One command of one node.

    Attributes:
        least, most: how many words a request may have, the command's name among them.
        times: durations of calls, in seconds, that were not yet counted into the figures below.
            A session only appends to it: that is quicker than counting.
        rejected, failed: what `INFO commandstats` reports.
    """

    __slots__ = (
        "_calls",
        "_seconds",
        "_steps",
        "fact",
        "failed",
        "flags",
        "handler",
        "least",
        "most",
        "name",
        "rejected",
        "subcommands",
        "times",
        "writes",
    )

    def __init__(self, fact: CommandFact, handler: Handler | None) -> None:
        self.fact = fact
        self.name = fact.name.decode()
        # Returns a `Reply`, and nothing but bytes where the command is a quick one.
        self.handler: Callable[..., Any] = handler or _container
        self.least = abs(fact.arity)
        self.most = fact.arity if fact.arity > 0 else sys.maxsize
        self.flags = frozenset(fact.flags)
        self.writes = "write" in fact.flags
        self.subcommands: dict[bytes, Entry] = {}
        self.times: list[float] = []
        self.reset()

    def reset(self) -> None:
        """Forget the counters, as CONFIG RESETSTAT does."""
        self.times.clear()
        self._calls = 0
        self._seconds = 0.0
        self._steps: dict[int, int] = {}
        self.rejected = 0
        self.failed = 0

    def fold(self) -> None:
        """Count the calls since the last time into the figures."""
        times = self.times
        if not times:
            return
        times.sort()
        self._calls += len(times)
        self._seconds += sum(times)
        at = 0
        while at < len(times):
            step = bisect_right(_BOUNDS, times[at])
            after = bisect_right(times, _BOUNDS[step] if step < len(_BOUNDS) else float("inf"), at)
            after = max(after, at + 1)
            self._steps[step] = self._steps.get(step, 0) + after - at
            at = after
        times.clear()

    def forget_durations(self) -> None:
        """Keep the sums, forget how the calls were spread."""
        self.fold()
        self._steps.clear()

    def count(self, calls: int, seconds: float) -> None:
        """Count calls that came one right after the other, each with the mean duration."""
        if calls == 1:
            self.times.append(seconds)
            return
        self._calls += calls
        self._seconds += seconds
        step = bisect_right(_BOUNDS, seconds / calls)
        self._steps[step] = self._steps.get(step, 0) + calls

    @property
    def calls(self) -> int:
        """How often it was called."""
        return self._calls + len(self.times)

    @property
    def seconds(self) -> float:
        """How long all calls took together."""
        return self._seconds + sum(self.times)

    def durations(self) -> list[tuple[int, int]]:
        """Counts of calls by duration: (nanoseconds at most, calls), in ascending order."""
        self.fold()
        last = len(STEPS) - 1
        return [(STEPS[min(step, last)], calls) for step, calls in sorted(self._steps.items())]

    def __repr__(self) -> str:
        return f"<Entry {self.name}: {self.calls} calls>"


def _container(c: object, args: list[bytes]) -> bytes:
    """Stands for a command that has only subcommands; dispatch never calls it."""
    message = f"{args[0]!r} has no handler of its own"
    raise AssertionError(message)


# The files whose import registers commands; data commands are listed in redislab.engine.
FAMILIES = (
    "connection",
    "commandinfo",
    "clients",
    "pubsub",
    "transactions",
    "configcommands",
    "acl",
    "monitor",
    "slowlog",
    "latency",
    "shutdown",
    "persistence.commands",
    "info",
    "administration",
    "debug",
    "scripting",
    "functions",
    "replication.commands",
    "migrate",
    "streamhelp",
)


def load_commands() -> None:
    """Register the handlers of all commands."""
    load_data_commands()
    for family in FAMILIES:
        import_module(f"redislab.server.{family}")


def build_table(
    renamed: Mapping[bytes, bytes] | None = None,
    handlers: Mapping[bytes, Handler] = HANDLERS,
    catalog: Catalog = COMMANDS,
) -> dict[bytes, Entry]:
    """A table with every command that has a handler, by lower-case name.

    Args:
        renamed: new names of commands (`rename-command`); an empty one takes the command away.
        handlers: by full name.
        catalog: the facts about them.
    """
    table: dict[bytes, Entry] = {}
    for name, handler in handlers.items():
        container, bar, subcommand = name.partition(b"|")
        if not bar:
            table.setdefault(name, Entry(catalog[name], handler)).handler = handler
            continue
        if container not in table:
            table[container] = Entry(catalog[container], handlers.get(container))
        table[container].subcommands[subcommand] = Entry(catalog[name], handler)
    moved = {new.lower(): table.pop(old, None) for old, new in (renamed or {}).items()}
    return table | {name: entry for name, entry in moved.items() if name and entry}


def all_entries(commands: dict[bytes, Entry]) -> list[Entry]:
    """Every command, each container before its subcommands."""
    return [each for entry in commands.values() for each in (entry, *entry.subcommands.values())]


# Groups whose commands work on data alone: none changes the state of a client or of the node, and
# but for those that are marked so, or listed below, none ever waits.
_DATA_GROUPS = frozenset(
    {
        "string",
        "list",
        "hash",
        "set",
        "sorted-set",
        "bitmap",
        "hyperloglog",
        "geo",
        "stream",
        "generic",
    }
)
_MAY_WAIT = frozenset({"wait", "migrate"})
_SIMPLE = frozenset({"ping", "echo"})


def quick_commands(commands: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """The commands a session may run by itself, spelled in lower and upper case.

    Not those with subcommands, for their second word must be looked at.
    """
    quick = {
        name: entry
        for name, entry in commands.items()
        if entry.name in _SIMPLE
        or (
            entry.fact.group in _DATA_GROUPS
            and not entry.subcommands
            and entry.flags.isdisjoint({"blocking", "admin", "no_multi"})
            and entry.name not in _MAY_WAIT
        )
    }
    return quick | {name.upper(): entry for name, entry in quick.items()}
