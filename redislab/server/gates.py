"""The gates of a node: may this client run this command now?

Each gate is one question of `processCommand` (`src/server.c` of Redis 7.0), in its order. `check`
raises the error of the first gate that is closed. `node_is_plain` says that none of the questions
which depend on the node alone needs asking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.server import scriptflags
from redislab.server.users import ALLOWED, DENIED_CHANNEL, DENIED_COMMAND, sort_refusal

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.commands import Entry
    from redislab.server.node import Node

NOAUTH = "NOAUTH Authentication required."
OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'."
_PROTECTED = (
    'ERR {0} command not allowed. If the enable-{1}-command option is set to "local", you can run '
    "it from a local connection, otherwise you need to set this option in the configuration file, "
    "and then restart the server."
)
_ALLOWED_IN_SUBSCRIPTION = frozenset(
    {
        "ping",
        "subscribe",
        "ssubscribe",
        "unsubscribe",
        "sunsubscribe",
        "psubscribe",
        "punsubscribe",
        "quit",
        "reset",
    }
)
# They write nothing themselves, but what they do may have to be told to replicas; a pause of writes
# holds them back.
MAY_REPLICATE = frozenset({"eval", "evalsha", "fcall", "pfcount", "publish", "spublish"})
_PROTECTED_COMMANDS = frozenset({"debug", "module|load", "module|loadex", "module|unload"})
_ALLOWING = frozenset({"loading", "stale"})
ALLOWED_WITHOUT_MEMORY = frozenset({"exec", "discard", "quit", "reset"})


def check(client: Client, entry: Entry, args: list[bytes]) -> None:
    """Raise the error of the first gate that is closed to this command.

    Raises:
        CommandError: why the command may not run.
    """
    node = client.node
    if entry.name in _PROTECTED_COMMANDS:
        _check_protected(client, entry)
    if "no_auth" not in entry.flags and client.must_authenticate:
        raise CommandError(NOAUTH)
    if client.multi is not None and "no_multi" in entry.flags:
        raise CommandError("ERR Command not allowed inside a transaction")
    if not client.user.plain:
        check_permissions(client, entry, args)
    slow = node.scripts.slow.client is not None  # then nothing is evicted
    if node.config.maxmemory and not slow and not node.eviction.make_room():
        refused = effective_flags(client, entry, args) & {"denyoom"}
        if refused or (client.multi is not None and entry.name not in ALLOWED_WITHOUT_MEMORY):
            raise CommandError(OUT_OF_MEMORY)
    if not node.persistence.is_plain:
        node.persistence.check_write(client, entry, args)
    if node.replication.refuses_writes:
        node.replication.check_writes(client, effective_flags(client, entry, args))
    if client.resp == 2 and client.subscribed and entry.name not in _ALLOWED_IN_SUBSCRIPTION:
        message = (
            f"ERR Can't execute '{entry.name}': only (P|S)SUBSCRIBE / "
            "(P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        )
        raise CommandError(message)
    if node.replication.is_stale or node.replication.replicaside.loading:
        node.replication.check_stale(effective_flags(client, entry, args))
    node.persistence.check_loading(entry)
    for gate in node.more_gates:
        gate(client, entry, args)
    if client.is_replica and not entry.flags.isdisjoint({"write", "readonly"}):
        raise CommandError("ERR Replica can't interact with the keyspace")


def check_permissions(client: Client, entry: Entry, args: list[bytes]) -> None:
    """Raise NOPERM, and note it in the ACL log, where the client's user may not do this."""
    reason, position = client.user.check(entry.fact, args)
    if reason == ALLOWED:
        refusal = sort_refusal(client.user, entry.fact, args)
        if refusal is not None:
            raise CommandError(refusal)
        return
    name = args[position] if position else entry.fact.name
    client.node.acl.note_denied(client, reason, name)
    if reason == DENIED_COMMAND:
        what = f"run the '{entry.name}' command"
    else:
        kind = "channels" if reason == DENIED_CHANNEL else "keys"
        what = f"access one of the {kind} used as arguments"
    message = f"NOPERM this user has no permissions to {what}"
    raise CommandError(message)


def effective_flags(client: Client, entry: Entry, args: list[bytes]) -> frozenset[str]:
    """A request's flags, with "may_replicate" among them.

    Those of EXEC are the ones of what was queued as well, of those that allow something only the
    ones that all have. Those of EVAL and FCALL are the ones that the script or function has
    declared.
    """
    if entry.name == "exec" and client.multi is not None:
        queued = [effective_flags(client, each, words) for each, words in client.multi]
        lacking = _ALLOWING.difference(entry.flags.intersection(*queued))
        return entry.flags.union(*queued) - lacking
    declared = client.node.scripts.declared(entry, args)
    if declared is not None:
        return scriptflags.command_flags(entry.flags, declared)
    return entry.flags | {"may_replicate"} if entry.name in MAY_REPLICATE else entry.flags


def is_postponed(client: Client, entry: Entry, args: list[bytes]) -> bool:
    """Whether CLIENT PAUSE holds this command back."""
    if client.is_replica:
        return False
    mode = client.node.pause_mode()
    if mode != "write":
        return mode == "all"
    return not effective_flags(client, entry, args).isdisjoint({"write", "may_replicate"})


def write_gates_are_open(node: Node) -> bool:
    """Whether nothing in the state of the node keeps its clients from writing."""
    return not node.replication.refuses_writes


def node_is_plain(node: Node) -> bool:
    """Whether no gate that depends on the node alone can be closed."""
    return not (
        node.monitors
        or node.pauses
        or node.asleep
        or node.config.maxmemory
        or not node.persistence.is_plain
        or node.more_gates
        or node.replication.is_stale
        or node.replication.replicaside.loading
    )


def _check_protected(client: Client, entry: Entry) -> None:
    container = entry.name.partition("|")[0]
    allowed = getattr(client.node.config, f"enable_{container}_command", "no")
    if allowed == "yes" or (allowed == "local" and client.local):
        return
    raise CommandError(_PROTECTED.format(container.upper(), container))
