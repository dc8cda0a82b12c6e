"""FUNCTION and FCALL on a node without functions (`src/functions.c` of Redis 7.0).

Libraries of functions are not built: there is never one, so that lists are empty, a flush succeeds
and a call finds nothing. Loading is refused with an error that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.engine.table import Reply, command
from redislab.server.help import help_reply, unknown_form
from redislab.wire.resp import EMPTY_ARRAY, NULL, OK, bulk, integer, map_

if TYPE_CHECKING:
    from redislab.server.client import Client

_HELP = (
    ("FLUSH [ASYNC|SYNC]", "Delete all libraries."),
    ("LIST [LIBRARYNAME PATTERN] [WITHCODE]", "List the libraries: there are none."),
    ("STATS", "Tell which function runs, and which engines there are."),
)


@command("function|flush")
def function_flush(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION FLUSH [ASYNC|SYNC]."""
    if len(args) > 3:
        raise unknown_form(args)
    if len(args) == 3 and args[2].lower() not in {b"async", b"sync"}:
        raise CommandError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    return OK


@command("function|list")
def function_list(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION LIST."""
    return EMPTY_ARRAY


@command("function|stats")
def function_stats(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION STATS."""
    counts = (bulk(b"libraries_count"), integer(0), bulk(b"functions_count"), integer(0))
    engines = map_((bulk(b"LUA"), map_(counts, c.resp)), c.resp)
    return map_((bulk(b"running_script"), NULL[c.resp], bulk(b"engines"), engines), c.resp)


@command("function|delete")
def function_delete(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION DELETE library."""
    raise CommandError("ERR Library not found")


@command("function|load")
def function_load(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION LOAD: refused."""
    raise CommandError("ERR libraries of functions are not built in redislab; use EVAL")


@command("function|help")
def function_help(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION HELP."""
    return help_reply("FUNCTION", _HELP)


@command("fcall", "fcall_ro")
def fcall(c: Client, args: list[bytes]) -> Reply:
    """FCALL function numkeys key ... arg ..."""
    raise CommandError("ERR Function not found")
