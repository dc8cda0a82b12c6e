"""The keyspace and the data commands.

`load_commands` imports every family of commands, so that their handlers are registered.
"""

from __future__ import annotations

from importlib import import_module

FAMILIES = (
    "strings",
    "lcs",
    "bitmaps",
    "bitfields",
    "hyperloglog",
    "keys",
    "expiry",
    "scan",
    "sort",
    "memory",
    "dump",
    "lists",
    "blocking_lists",
    "hashes",
    "sets",
    "sorted_sets",
    "sorted_set_ranges",
    "sorted_set_algebra",
    "geo",
    "streams",
    "stream_reads",
    "stream_groups",
    "stream_info",
)


def load_commands() -> None:
    """Register the handlers of all data commands."""
    for family in FAMILIES:
        import_module(f"redislab.engine.{family}")
