"""The facts of all commands of Redis 7.0: names, arity, flags, keys, categories, documentation.

`COMMANDS` maps full names in lower case, `b"get"` or `b"config|get"`, to facts. It knows every
command of Redis 7.0 whether or not a node has it; what a node has is in the registry of
`redislab.engine.table`. `SENTINEL_COMMANDS` is the same for a Sentinel, whose commands are few.
"""

from __future__ import annotations

from redislab.server.facts.arguments import arguments
from redislab.server.facts.loader import details, load
from redislab.server.facts.model import (
    CATEGORIES,
    Argument,
    Catalog,
    CommandFact,
    Details,
    KeySpec,
)
from redislab.server.facts.tables import (
    admin,
    cluster,
    connection,
    generic,
    geo,
    hashes,
    lists,
    pubsub,
    sentinel,
    server,
    sets,
    sorted_sets,
    streams,
    strings,
)

__all__ = [
    "CATEGORIES",
    "COMMANDS",
    "SENTINEL_COMMANDS",
    "Argument",
    "Catalog",
    "CommandFact",
    "Details",
    "KeySpec",
    "arguments",
    "details",
]

_FAMILIES = (
    strings,
    lists,
    sets,
    hashes,
    sorted_sets,
    streams,
    geo,
    generic,
    pubsub,
    connection,
    server,
    admin,
    cluster,
)

COMMANDS = Catalog(load(table for family in _FAMILIES for table in family.TABLES))

SENTINEL_COMMANDS = Catalog(
    {
        name: fact
        for name, fact in COMMANDS.items()
        if name.partition(b"|")[0].decode() in sentinel.SHARED
    }
    | load(sentinel.TABLES)
)
