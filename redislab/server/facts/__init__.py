"""The facts of all commands of Redis 7.0: names, arity, flags, keys, categories, documentation.

`COMMANDS` maps full names in lower case, `b"get"` or `b"config|get"`, to facts. It knows every
command of Redis 7.0 whether or not a node has it; what a node has is in the registry of
`redislab.engine.table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from redislab.server.facts.arguments import arguments
from redislab.server.facts.loader import details, load
from redislab.server.facts.model import CATEGORIES, Argument, CommandFact, Details, KeySpec
from redislab.server.facts.tables import (
    admin,
    cluster,
    connection,
    generic,
    geo,
    hashes,
    lists,
    pubsub,
    server,
    sets,
    sorted_sets,
    streams,
    strings,
)

__all__ = [
    "CATEGORIES",
    "COMMANDS",
    "Argument",
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

COMMANDS: Mapping[bytes, CommandFact] = MappingProxyType(
    load(table for family in _FAMILIES for table in family.TABLES)
)
