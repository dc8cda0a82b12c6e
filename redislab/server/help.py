"""The answer of every `<COMMAND> HELP`: the forms of a command, a line of explanation under each.

Redis sends the lines as simple strings and ends with HELP itself (`addReplyHelp` in
`src/networking.c` of Redis 7.0). The explanations are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from redislab.engine.errors import CommandError, shown
from redislab.wire.resp import array, simple


def help_reply(name: str, forms: Sequence[tuple[str, str]]) -> bytes:
    """The reply for a command and its forms, each with its explanation; HELP is added."""
    lines = [f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for form, explanation in (*forms, ("HELP", "Print this help.")):
        lines += [form, *(f"    {line}" for line in explanation.split("\n"))]
    return array([simple(line.encode()) for line in lines])


def unknown_form(args: Sequence[bytes]) -> CommandError:
    """The error for a subcommand in a form it does not have."""
    subcommand, name = shown(args[1][:128]), shown(args[0].upper())
    return CommandError(
        f"ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try {name} HELP."
    )
