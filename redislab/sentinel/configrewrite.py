"""The state of a Sentinel, written into its configuration file whenever it changes.

What is said of the server part of it is written as CONFIG REWRITE does
(`redislab.server.configrewrite`): comments and the order of lines stay, a line is replaced where
there is one, and what is new comes at the end. Follows `rewriteConfigSentinelOption` in
`src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from redislab.sentinel.addresses import is_same, shown
from redislab.sentinel.instances import current_address
from redislab.sentinel.model import Master, SentinelState
from redislab.sentinel.timing import DEFAULT_PARALLEL_SYNCS
from redislab.server.configrewrite import Draft, put_settings
from redislab.server.directive_kinds import to_bytes
from redislab.wire.clitext import quote

if TYPE_CHECKING:
    from redislab.server.config import Config

# A name of a line, what follows it, and whether it is written where there is no such line yet.
Line = tuple[str, str, bool]

# In the order in which the lines of a master are written.
_OF_MASTERS = (
    "monitor",
    "down-after-milliseconds",
    "failover-timeout",
    "parallel-syncs",
    "notification-script",
    "client-reconfig-script",
    "auth-pass",
    "auth-user",
    "master-reboot-down-after-period",
    "config-epoch",
    "leader-epoch",
    "known-replica",
    "known-sentinel",
    "rename-command",
)


def rewritten(config: Config, users: Iterable[bytes], state: SentinelState, old: bytes) -> bytes:
    """The new content of a configuration file, given the old one.

    Args:
        config: the settings of the server part.
        users: what follows `user` on the line of each user.
        state: of the Sentinel.
        old: the file as it is.
    """
    draft = Draft(old, of_sentinel=True)
    put_settings(draft, config, users, without={"save"})
    for name, value, needed in lines(state):
        draft.put(f"sentinel {name}", [(to_bytes(value), needed)])
    for name in (*_OF_MASTERS, *_OPTIONAL):
        draft.put(f"sentinel {name}", [])
    return draft.content()


def lines(state: SentinelState) -> Iterator[Line]:
    """The lines of a state, what follows `sentinel` on each."""
    yield "myid", state.my_id, True
    deny = state.deny_scripts_reconfig
    yield "deny-scripts-reconfig", _yes(deny), not deny
    yield "resolve-hostnames", _yes(state.resolve_hostnames), state.resolve_hostnames
    yield "announce-hostnames", _yes(state.announce_hostnames), state.announce_hostnames
    for master in state.masters.values():
        for name, value in _master(state, master):
            yield name, f"{master.name} {value}", True
    yield "current-epoch", str(state.current_epoch), True
    for name, value in _optional(state):
        if value:
            yield name, value, True


def _yes(value: bool) -> str:
    return "yes" if value else "no"


_OPTIONAL = ("announce-ip", "announce-port", "sentinel-user", "sentinel-pass")


def _optional(state: SentinelState) -> Iterator[tuple[str, str]]:
    """What is only written if it is set."""
    if state.announce_ip:
        yield "announce-ip", quote(to_bytes(state.announce_ip))
    if state.announce_port:
        yield "announce-port", str(state.announce_port)
    yield "sentinel-user", state.auth_user
    yield "sentinel-pass", state.auth_pass


def _master(state: SentinelState, master: Master) -> Iterator[tuple[str, str]]:
    """The lines of one master: their names, and what follows the master's name."""
    timing = state.timing
    address = current_address(master)
    yield "monitor", f"{shown(state, address)} {address.port} {master.quorum}"
    if master.down_after != timing.default_down_after:
        yield "down-after-milliseconds", str(master.down_after)
    if master.failover_timeout != timing.default_failover_timeout:
        yield "failover-timeout", str(master.failover_timeout)
    if master.parallel_syncs != DEFAULT_PARALLEL_SYNCS:
        yield "parallel-syncs", str(master.parallel_syncs)
    for name, value in (
        ("notification-script", master.notification_script),
        ("client-reconfig-script", master.client_reconfig_script),
        ("auth-pass", master.auth_pass),
        ("auth-user", master.auth_user),
    ):
        if value:
            yield name, value
    if master.reboot_down_after:
        yield "master-reboot-down-after-period", str(master.reboot_down_after)
    yield "config-epoch", str(master.config_epoch)
    yield "leader-epoch", str(master.leader_epoch)
    for replica in master.replicas.values():
        # Of a replica that was promoted already the old master has taken the place.
        is_promoted = is_same(state, replica.address, address)
        place = master.address if is_promoted else replica.address
        yield "known-replica", f"{shown(state, place)} {place.port}"
    for peer in master.peers.values():
        if peer.run_id:
            where = f"{shown(state, peer.address)} {peer.address.port}"
            yield "known-sentinel", f"{where} {peer.run_id}"
    for old, new in master.renamed_commands.items():
        yield "rename-command", f"{master.spelled.get(old, old)} {new}"
