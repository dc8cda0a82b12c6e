"""LATENCY: spikes over time, and durations by command (`src/latency.c` of Redis 7.0).

A spike is an event that took at least `latency-monitor-threshold` milliseconds; for each kind of
event the worst of each second is kept, 160 of them. Histograms come from what sessions measure at
every command.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.engine.table import Reply, command
from redislab.server.help import help_reply, unknown_form
from redislab.wire.resp import array, bulk, integer, map_, verbatim

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.commands import Entry
    from redislab.server.node import Node

_KEPT = 160
_HELP = (
    ("DOCTOR", "Report in plain words what was slow."),
    ("GRAPH <event>", "Draw the spikes of an event with characters."),
    ("HISTORY <event>", "Return times and durations of the spikes of an event."),
    ("LATEST", "Return the latest and the worst spike of every event."),
    ("RESET [<event> ...]", "Forget the spikes of these events, or of all."),
    ("HISTOGRAM [COMMAND ...]", "Return cumulative counts of calls by duration."),
)
_DISABLED = (
    "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You "
    'may use "CONFIG SET latency-monitor-threshold <milliseconds>." in order to enable it.\n'
)


class LatencyMonitor:
    """The spikes of one node: by event, (second since the epoch, milliseconds)."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.events: dict[str, deque[tuple[int, int]]] = {}
        self.worst: dict[str, int] = {}

    def add(self, event: str, seconds: float) -> None:
        """Note an event, if it took long enough to be a spike."""
        threshold = self.node.config.latency_monitor_threshold
        milliseconds = int(seconds * 1000)
        if not threshold or milliseconds < threshold:
            return
        spikes = self.events.setdefault(event, deque(maxlen=_KEPT))
        now = int(self.node.environment.unix_time())
        if spikes and spikes[-1][0] == now:
            spikes[-1] = now, max(spikes[-1][1], milliseconds)
        else:
            spikes.append((now, milliseconds))
        self.worst[event] = max(self.worst.get(event, 0), milliseconds)

    def reset(self, event: str) -> bool:
        """Forget an event; tell whether it was known."""
        self.worst.pop(event, None)
        return self.events.pop(event, None) is not None


@command("latency|latest")
def latency_latest(c: Client, args: list[bytes]) -> Reply:
    """LATENCY LATEST."""
    monitor = c.node.latency
    replies = []
    for event, spikes in monitor.events.items():
        at, milliseconds = spikes[-1]
        fields = (
            bulk(event.encode()),
            integer(at),
            integer(milliseconds),
            integer(monitor.worst[event]),
        )
        replies.append(array(fields))
    return array(replies)


@command("latency|history")
def latency_history(c: Client, args: list[bytes]) -> Reply:
    """LATENCY HISTORY event."""
    spikes = c.node.latency.events.get(_text(args[2]), ())
    return array([array((integer(at), integer(took))) for at, took in spikes])


@command("latency|reset")
def latency_reset(c: Client, args: list[bytes]) -> Reply:
    """LATENCY RESET [event ...]."""
    monitor = c.node.latency
    events = [_text(word) for word in args[2:]] or list(monitor.events)
    return integer(sum(monitor.reset(event) for event in events))


@command("latency|graph")
def latency_graph(c: Client, args: list[bytes]) -> Reply:
    """LATENCY GRAPH event: a bar of characters for each spike, the oldest first."""
    event = _text(args[2])
    spikes = c.node.latency.events.get(event)
    if spikes is None:
        message = f"ERR No samples available for event '{event}'"
        raise CommandError(message)
    worst = c.node.latency.worst[event]
    now = int(c.node.environment.unix_time())
    least = min(took for _, took in spikes)
    lines = [
        f"{event} - high {worst} ms, low {least} ms (all time high {worst} ms)",
        "-" * 80,
    ]
    for at, took in spikes:
        lines.append(f"{'#' * max(1, took * 60 // worst)} {took} ms, {now - at}s ago")
    return verbatim(("\n".join(lines) + "\n").encode(), c.resp)


@command("latency|doctor")
def latency_doctor(c: Client, args: list[bytes]) -> Reply:
    """LATENCY DOCTOR: a sentence on each event."""
    monitor = c.node.latency
    if not c.node.config.latency_monitor_threshold and not monitor.events:
        return verbatim(_DISABLED.encode(), c.resp)
    if not monitor.events:
        text = "Dave, no latency spike was observed during the lifetime of this Redis instance\n"
        return verbatim(text.encode(), c.resp)
    lines = []
    for event, spikes in monitor.events.items():
        mean = sum(took for _, took in spikes) / len(spikes)
        lines.append(
            f"{event}: {len(spikes)} latency spikes (average {mean:.0f}ms). "
            f"Worst all time event {monitor.worst[event]}ms."
        )
    return verbatim(("\n".join(lines) + "\n").encode(), c.resp)


@command("latency|histogram")
def latency_histogram(c: Client, args: list[bytes]) -> Reply:
    """LATENCY HISTOGRAM [command ...]: counts up to each power of two microseconds."""
    if len(args) == 2:
        chosen = c.node.entries
    else:
        chosen = []
        for word in args[2:]:
            entry = _find(c.node, word.lower())
            if entry is not None:
                chosen.append(entry)
                if entry.name.encode() == word.lower():
                    chosen += entry.subcommands.values()
    parts: list[bytes] = []
    for entry in chosen:
        durations = entry.durations()
        if not durations:
            continue
        buckets = _cumulate(durations)
        steps = [integer(number) for pair in buckets for number in pair]
        fields = (
            bulk(b"calls"),
            integer(sum(calls for _, calls in durations)),
            bulk(b"histogram_usec"),
            map_(steps, c.resp),
        )
        parts += [bulk(entry.name.encode()), map_(fields, c.resp)]
    return map_(parts, c.resp)


def _cumulate(durations: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs of a power of two in microseconds and the calls that took no longer."""
    total = sum(calls for _, calls in durations)
    pairs: list[tuple[int, int]] = []
    bound, seen, at = 1, 0, 0
    while seen < total:
        before = seen
        while at < len(durations) and durations[at][0] <= bound * 1024:
            seen += durations[at][1]
            at += 1
        if seen > before:
            pairs.append((bound, seen))
        bound *= 2
    return pairs


def _find(node: Node, name: bytes) -> Entry | None:
    container, bar, part = name.partition(b"|")
    entry = node.commands.get(container)
    return entry if entry is None or not bar else entry.subcommands.get(part)


@command("latency|help")
def latency_help(c: Client, args: list[bytes]) -> Reply:
    """LATENCY HELP."""
    if len(args) != 2:
        raise unknown_form(args)
    return help_reply("LATENCY", _HELP)


def _text(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")
