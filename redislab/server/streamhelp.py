"""XGROUP HELP and XINFO HELP (`src/t_stream.c` of Redis 7.0).

The commands themselves are the engine's; how a help is laid out is known to the server only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.table import Reply, command
from redislab.server.help import help_reply

if TYPE_CHECKING:
    from redislab.server.client import Client

_XGROUP = (
    (
        "CREATE <key> <groupname> <id|$> [option]",
        (
            "Make a group that begins after an entry. Options are:\n"
            "* MKSTREAM\n"
            "  Make the stream too if there is none.\n"
            "* ENTRIESREAD entries_read\n"
            "  Say how many entries the group has read (for replication)."
        ),
    ),
    ("CREATECONSUMER <key> <groupname> <consumer>", "Add a consumer to a group."),
    ("DELCONSUMER <key> <groupname> <consumer>", "Take a consumer away from a group."),
    ("DESTROY <key> <groupname>", "Delete a group."),
    (
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "Let a group go on after another entry.",
    ),
)
_XINFO = (
    ("CONSUMERS <key> <groupname>", "List the consumers of a group."),
    ("GROUPS <key>", "List the groups of a stream."),
    ("STREAM <key> [FULL [COUNT <count>]]", "Describe a stream, with FULL in every detail."),
)


@command("xgroup|help")
def xgroup_help(c: Client, args: list[bytes]) -> Reply:
    """XGROUP HELP."""
    return help_reply("XGROUP", _XGROUP)


@command("xinfo|help")
def xinfo_help(c: Client, args: list[bytes]) -> Reply:
    """XINFO HELP."""
    return help_reply("XINFO", _XINFO)
