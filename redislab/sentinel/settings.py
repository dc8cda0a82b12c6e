"""SENTINEL SET, CONFIG and DEBUG: what of a Sentinel can be changed while it runs.

Follows `sentinelSetCommand`, `sentinelConfigSetCommand` and `sentinelSetDebugConfigParameters` in
`src/sentinel.c` of Redis 7.0. As there, what stands before a wrong word has been changed already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, cast

from redislab.engine.errors import CommandError, shown
from redislab.engine.glob import matches
from redislab.engine.table import Reply
from redislab.sentinel import events
from redislab.sentinel.configfile import (
    NOTIFICATION_SCRIPT,
    RECONFIG_SCRIPT,
    can_run,
    rename_command,
    to_bool,
)
from redislab.sentinel.instances import spread_down_after
from redislab.sentinel.model import Master, SentinelState
from redislab.sentinel.timing import Timing
from redislab.server.arguments import integer_argument
from redislab.server.directive_kinds import to_bytes, to_text
from redislab.wire.resp import OK, bulk, map_

if TYPE_CHECKING:
    from redislab.sentinel.node import SentinelNode
    from redislab.server.client import Client

__all__ = ["config", "debug", "find_master", "flush_and_reply", "saved", "set_", "to_text"]

_DENIED = (
    "ERR Reconfiguration of scripts path is denied for security reasons. Check the "
    "deny-scripts-reconfig configuration directive in your Sentinel configuration"
)
_CONFIG_FORMS = "ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported."


class BadValueError(Exception):
    """A value is none; the argument is the word at fault."""


def find_master(c: Client, name: bytes) -> Master:
    """The master of a name.

    Raises:
        CommandError: there is none.
    """
    found = cast("SentinelNode", c.node).state.masters.get(to_text(name))
    if found is None:
        raise CommandError("ERR No such master with that name")
    return found


def flush_and_reply(node: SentinelNode) -> bytes:
    """Write the configuration file, and answer OK.

    Raises:
        CommandError: that did not go well.
    """
    return saved(node.flush_config())


def saved(went_well: bool) -> bytes:
    """What is answered once the configuration file was written; raises CommandError if not."""
    if not went_well:
        raise CommandError("ERR Failed to save config file. Check server logs.")
    return OK


# -- SENTINEL SET --------------------------------------------------------------------------------


def set_(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL SET name option value [option value ...]."""
    node = cast("SentinelNode", c.node)
    master = find_master(c, args[2])
    rest = args[3:]
    try:
        while rest:
            rest = _set_one(node, master, rest)
    except CommandError:
        if len(rest) < len(args) - 3:
            node.flush_config()  # something has been changed
        raise
    return flush_and_reply(node)


def _set_one(node: SentinelNode, master: Master, words: list[bytes]) -> list[bytes]:
    """Change the first of some options, and return the words after it.

    Raises:
        CommandError: it cannot be changed so.
    """
    option = to_text(words[0])
    known = _OPTIONS.get(option.lower())
    if known is None or len(words) - 1 < known[1]:
        message = f"ERR Unknown option or number of arguments for SENTINEL SET '{shown(words[0])}'"
        raise CommandError(message)
    change, count = known
    values = words[1 : 1 + count]
    try:
        change(node, master, values)
    except BadValueError as wrong:
        message = f"ERR Invalid argument '{wrong}' for SENTINEL SET '{shown(words[0])}'"
        raise CommandError(message) from None
    told = "******" if option.lower() == "auth-pass" else " ".join(map(to_text, values))
    events.about(node.watch, events.WARNING, "+set", master, f" {option} {told}")
    return words[1 + count :]


def _at_least(word: bytes, least: int) -> int:
    try:
        number = integer_argument(word)
    except CommandError:
        raise BadValueError(shown(word)) from None
    if number < least:
        raise BadValueError(shown(word))
    return number


def _set_down_after(node: SentinelNode, master: Master, values: list[bytes]) -> None:
    master.down_after = _at_least(values[0], 1)
    spread_down_after(master)


def _set_failover_timeout(node: SentinelNode, master: Master, values: list[bytes]) -> None:
    master.failover_timeout = _at_least(values[0], 1)


def _set_parallel_syncs(node: SentinelNode, master: Master, values: list[bytes]) -> None:
    master.parallel_syncs = _at_least(values[0], 1)


def _set_quorum(node: SentinelNode, master: Master, values: list[bytes]) -> None:
    master.quorum = _at_least(values[0], 1)


def _set_reboot_down_after(node: SentinelNode, master: Master, values: list[bytes]) -> None:
    master.reboot_down_after = _at_least(values[0], 0)


def _set_notification_script(node: SentinelNode, master: Master, values: list[bytes]) -> None:
    master.notification_script = _script(node, values[0], NOTIFICATION_SCRIPT)


def _set_reconfig_script(node: SentinelNode, master: Master, values: list[bytes]) -> None:
    master.client_reconfig_script = _script(node, values[0], RECONFIG_SCRIPT)


def _script(node: SentinelNode, word: bytes, refusal: str) -> str:
    if node.state.deny_scripts_reconfig:
        raise CommandError(_DENIED)
    path = to_text(word)
    if path and not can_run(node.config, path):
        raise CommandError(f"ERR {refusal}")
    return path


def _set_auth_pass(node: SentinelNode, master: Master, values: list[bytes]) -> None:
    master.auth_pass = to_text(values[0])
    _hang_up(node, master)


def _set_auth_user(node: SentinelNode, master: Master, values: list[bytes]) -> None:
    master.auth_user = to_text(values[0])
    _hang_up(node, master)


def _hang_up(node: SentinelNode, master: Master) -> None:
    """Call a master and its replicas again, with what was changed."""
    for each in (master, *master.replicas.values()):
        node.watch.links.close_commands(each.link)
        node.watch.links.close_pubsub(each.link)


def _set_rename_command(node: SentinelNode, master: Master, values: list[bytes]) -> None:
    old, new = (to_text(word) for word in values)
    if not old or not new:
        raise BadValueError("")
    master.renamed_commands.pop(old.lower(), None)
    master.spelled.pop(old.lower(), None)
    if old.lower() != new.lower():
        rename_command(master, old, new)


_Change = Callable[["SentinelNode", Master, list[bytes]], None]
# What makes a change, and how many values it takes.
_OPTIONS: dict[str, tuple[_Change, int]] = {
    "down-after-milliseconds": (_set_down_after, 1),
    "failover-timeout": (_set_failover_timeout, 1),
    "parallel-syncs": (_set_parallel_syncs, 1),
    "notification-script": (_set_notification_script, 1),
    "client-reconfig-script": (_set_reconfig_script, 1),
    "auth-pass": (_set_auth_pass, 1),
    "auth-user": (_set_auth_user, 1),
    "quorum": (_set_quorum, 1),
    "rename-command": (_set_rename_command, 2),
    "master-reboot-down-after-period": (_set_reboot_down_after, 1),
}


# -- SENTINEL CONFIG -----------------------------------------------------------------------------


def config(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL CONFIG GET pattern, SENTINEL CONFIG SET name value."""
    node = cast("SentinelNode", c.node)
    form = args[2].lower(), len(args)
    if form == (b"get", 4):
        shown_settings = _settings(node.state)
        return map_(
            [
                bulk(to_bytes(part))
                for name, value in shown_settings.items()
                if matches(args[3].lower(), name.encode())
                for part in (name, value)
            ],
            c.resp,
        )
    if form == (b"set", 5):
        return _config_set(node, args[3], args[4])
    raise CommandError(_CONFIG_FORMS)


def _settings(state: SentinelState) -> dict[str, str]:
    """All settings as CONFIG GET shows them."""
    return {
        "resolve-hostnames": ("no", "yes")[state.resolve_hostnames],
        "announce-hostnames": ("no", "yes")[state.announce_hostnames],
        "announce-ip": state.announce_ip,
        "announce-port": str(state.announce_port),
        "sentinel-user": state.auth_user,
        "sentinel-pass": state.auth_pass,
    }


def _config_set(node: SentinelNode, name: bytes, value: bytes) -> bytes:
    state, text = node.state, to_text(value)
    try:
        match name.lower():
            case b"resolve-hostnames":
                state.resolve_hostnames = _switch(value)
            case b"announce-hostnames":
                state.announce_hostnames = _switch(value)
            case b"announce-ip":
                state.announce_ip = text
            case b"announce-port":
                state.announce_port = _port(value)
            case b"sentinel-user":
                state.auth_user = text
            case b"sentinel-pass":
                state.auth_pass = text
            case _:
                message = f"ERR Invalid argument '{shown(name)}' to SENTINEL CONFIG SET"
                raise CommandError(message)
    except BadValueError as wrong:
        message = f"ERR Invalid value '{wrong}' to SENTINEL CONFIG SET '{shown(name)}'"
        raise CommandError(message) from None
    try:
        return flush_and_reply(node)
    finally:
        if name.lower() in {b"sentinel-user", b"sentinel-pass"}:
            for master in state.masters.values():
                for peer in master.peers.values():
                    node.watch.links.close_commands(peer.link)


def _switch(word: bytes) -> bool:
    value = to_bool(to_text(word))
    if value is None:
        raise BadValueError(shown(word))
    return value


def _port(word: bytes) -> int:
    port = _at_least(word, 0)
    if port > 65535:
        raise BadValueError(shown(word))
    return port


# -- SENTINEL DEBUG ------------------------------------------------------------------------------

_TIMING = tuple(field.name.replace("_", "-") for field in fields(Timing))


def debug(c: Client, args: list[bytes]) -> Reply:
    """SENTINEL DEBUG [name milliseconds ...]."""
    timing = cast("SentinelNode", c.node).state.timing
    if len(args) == 2:
        values = {name: getattr(timing, name.replace("-", "_")) for name in _TIMING}
        return map_(
            [
                bulk(part)
                for name, value in values.items()
                for part in (name.upper().encode(), b"%d" % value)
            ],
            c.resp,
        )
    for at in range(2, len(args), 2):
        name = to_text(args[at])
        if name.lower() not in _TIMING or at + 1 == len(args):
            message = (
                f"ERR Unknown option or number of arguments for SENTINEL DEBUG '{shown(args[at])}'"
            )
            raise CommandError(message)
        try:
            milliseconds = _at_least(args[at + 1], 1)
        except BadValueError as wrong:
            message = f"ERR Invalid argument '{wrong}' for SENTINEL DEBUG '{shown(args[at])}'"
            raise CommandError(message) from None
        setattr(timing, name.lower().replace("-", "_"), milliseconds)
    return OK
