"""CONFIG GET, SET, REWRITE, RESETSTAT and HELP (`src/config.c` of Redis 7.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Reply, command
from redislab.server.config import StillLoadingError, no_effect
from redislab.server.configrewrite import rewrite_file
from redislab.server.directive_kinds import RefusedError, to_text
from redislab.server.directives import DIRECTIVES
from redislab.server.help import help_reply
from redislab.server.persistence.exclusive import reply_after
from redislab.server.persistence.persistence import LOADING
from redislab.wire.resp import OK, bulk, map_

if TYPE_CHECKING:
    from redislab.server.client import Client

_FORMS = (
    ("GET <pattern> [<pattern> ...]", "Read the settings whose names match."),
    ("SET <directive> <value> [<directive> <value> ...]", "Change settings: all of them or none."),
    ("RESETSTAT", "Set the counters of INFO to zero."),
    ("REWRITE", "Write the settings to the configuration file."),
)


@command("config|get")
def config_get(c: Client, args: list[bytes]) -> bytes:
    """CONFIG GET pattern [pattern ...]."""
    found = c.node.config.matching(args[2:])
    return map_([bulk(part) for pair in found.items() for part in pair], c.resp)


@command("config|set")
def config_set(c: Client, args: list[bytes]) -> Reply:
    """CONFIG SET directive value [directive value ...].

    Of a port or an address it is known a moment later whether one can listen there; a transaction
    does not wait for that.
    """
    if len(args) % 2:
        raise syntax_error()
    node = c.node
    pairs = [(to_text(args[at]), args[at + 1]) for at in range(2, len(args), 2)]
    loading = node.persistence.loading.running or bool(node.replication.replicaside.loading)
    before = node.config.values([name for name, _ in pairs])
    try:
        changed = node.config.change(pairs, local=is_local(c), loading=loading)
    except StillLoadingError:
        raise CommandError(LOADING) from None
    except RefusedError as refused:
        raise CommandError(f"ERR {refused}") from None
    for name in changed:
        if DIRECTIVES[name].unbuilt:
            node.log.warning(no_effect(name))
    moving = node.listeners.moving
    if moving is None or c.deny_blocking or c.session is None:
        return OK

    async def work(_: bool) -> bytes:
        wrong = await moving
        if wrong is not None:
            raise CommandError(f"ERR {node.config.put_back(before, *wrong)}")
        return OK

    return reply_after(c, work)


@command("config|rewrite")
def config_rewrite(c: Client, args: list[bytes]) -> bytes:
    """CONFIG REWRITE."""
    node = c.node
    if not node.config.file:
        raise CommandError("ERR The server is running without a config file")
    try:
        rewrite_file(node.config, node.user_lines(), node.environment.disk)
    except OSError as failure:
        line = f"CONFIG REWRITE failed: {failure.strerror}"
        node.log.warning(line)
        raise CommandError(f"ERR Rewriting config file: {failure.strerror}") from None
    node.log.warning("CONFIG REWRITE executed with success.")
    return OK


@command("config|resetstat")
def config_resetstat(c: Client, args: list[bytes]) -> bytes:
    """CONFIG RESETSTAT."""
    c.node.reset_statistics()
    return OK


@command("config|help")
def config_help(c: Client, args: list[bytes]) -> bytes:
    """CONFIG HELP."""
    return help_reply("CONFIG", _FORMS)


def is_local(c: Client) -> bool:
    """Whether a client is on this machine: what `local` means in the protection directives."""
    return c.session is None or c.address.startswith(("127.", "[::1]", "::1", "/"))
