"""What a Sentinel tells of itself and of whom it watches: INFO, and SENTINEL MASTER and its kin.

Follows `sentinelInfoCommand` and `addReplySentinelRedisInstance` in `src/sentinel.c` of Redis 7.0,
field for field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from redislab.sentinel.addresses import shown
from redislab.sentinel.model import (
    Instance,
    Master,
    Peer,
    Reconf,
    Replica,
    Role,
    SentinelState,
)
from redislab.server.info import SECTIONS, Fields, Sections
from redislab.wire.resp import array, bulk, map_

if TYPE_CHECKING:
    from redislab.sentinel.node import SentinelNode
    from redislab.server.node import Node

_CRASH_AFTER_ELECTION, _CRASH_AFTER_PROMOTION = 1, 2


# -- INFO ----------------------------------------------------------------------------------------


def _sentinel(node: Node) -> Fields:
    own = cast("SentinelNode", node)
    state, scripts = own.state, own.watch.scripts
    tilt_s = (own.now_ms() - state.tilt_since) // 1000 if state.tilt else -1
    return [
        ("sentinel_masters", len(state.masters)),
        ("sentinel_tilt", state.tilt),
        ("sentinel_tilt_since_seconds", tilt_s),
        ("sentinel_running_scripts", scripts.running),
        ("sentinel_scripts_queue_length", len(scripts.queue)),
        ("sentinel_simulate_failure_flags", _crash_flags(state)),
        *((f"master{at}", _line(state, each)) for at, each in enumerate(state.masters.values())),
    ]


def _crash_flags(state: SentinelState) -> int:
    return (_CRASH_AFTER_ELECTION if state.crash_after_election else 0) | (
        _CRASH_AFTER_PROMOTION if state.crash_after_promotion else 0
    )


def _line(state: SentinelState, master: Master) -> str:
    status = "odown" if master.o_down else "sdown" if master.s_down else "ok"
    address = master.address
    return (
        f"name={master.name},status={status},address={shown(state, address)}:{address.port},"
        f"slaves={len(master.replicas)},sentinels={len(master.peers) + 1}"
    )


# In the order of the report.
INFO_SECTIONS: Sections = {
    **{name: SECTIONS[name] for name in ("server", "clients", "stats", "cpu")},
    "sentinel": ("Sentinel", _sentinel),
}


# -- instances -----------------------------------------------------------------------------------


def instances(state: SentinelState, found: Iterable[Instance], now: int, resp: int) -> bytes:
    """Instances described; replicas that do not want to be announced are left out."""
    return array(
        [
            instance(state, each, now, resp)
            for each in found
            if not (isinstance(each, Replica) and not each.announced)
        ]
    )


def instance(state: SentinelState, found: Instance, now: int, resp: int) -> bytes:
    """One instance described.

    Args:
        state: of the Sentinel.
        found: the instance.
        now: the time, in milliseconds since the epoch.
        resp: the protocol of the reply, 2 or 3.
    """
    return map_([bulk(part) for field in _fields(state, found, now) for part in _pair(field)], resp)


def _pair(field: tuple[str, object]) -> tuple[bytes, bytes]:
    name, value = field
    return name.encode(), str(value).encode("utf-8", "surrogateescape")


def _fields(state: SentinelState, found: Instance, now: int) -> Iterator[tuple[str, object]]:
    link = found.link
    yield "name", found.name
    yield "ip", shown(state, found.address)
    yield "port", found.address.port
    yield "runid", found.run_id
    yield "flags", ",".join(_flags(found))
    yield "link-pending-commands", link.pending
    yield "link-refcount", link.owners
    if isinstance(found, Master) and found.in_failover:
        yield "failover-state", found.state.value
    yield "last-ping-sent", now - link.asked if link.asked else 0
    yield "last-ok-ping-reply", now - link.available
    yield "last-ping-reply", now - link.ping_answered
    if found.s_down:
        yield "s-down-time", now - found.s_down_since
    if isinstance(found, Master) and found.o_down:
        yield "o-down-time", now - found.o_down_since
    yield "down-after-milliseconds", found.down_after
    if isinstance(found, Peer):
        yield "last-hello-message", now - found.hello_heard
        yield "voted-leader", found.leader or "?"
        yield "voted-leader-epoch", found.leader_epoch
        return
    yield "info-refresh", now - found.info_time if found.info_time else 0
    yield "role-reported", "master" if found.role_reported is Role.MASTER else "slave"
    yield "role-reported-time", now - found.role_reported_time
    if isinstance(found, Master):
        yield from _master_fields(found)
    elif isinstance(found, Replica):
        yield from _replica_fields(found)


def _flags(found: Instance) -> Iterator[str]:
    """In the order of Redis."""
    master = found if isinstance(found, Master) else None
    replica = found if isinstance(found, Replica) else None
    if found.s_down:
        yield "s_down"
    if master and master.o_down:
        yield "o_down"
    yield found.role.value
    if found.link.is_disconnected:
        yield "disconnected"
    if isinstance(found, Peer) and found.master_down:
        yield "master_down"
    if master and master.in_failover:
        yield "failover_in_progress"
    if replica and replica.is_promoted:
        yield "promoted"
    if replica and replica.reconf.value:
        yield replica.reconf.value
    if replica and replica.is_given_up and replica.reconf is not Reconf.DONE:
        yield Reconf.DONE.value
    if master and master.is_forced:
        yield "force_failover"
    if found.kill_sent:
        yield "script_kill_sent"


def _master_fields(master: Master) -> Iterator[tuple[str, object]]:
    yield "config-epoch", master.config_epoch
    yield "num-slaves", len(master.replicas)
    yield "num-other-sentinels", len(master.peers)
    yield "quorum", master.quorum
    yield "failover-timeout", master.failover_timeout
    yield "parallel-syncs", master.parallel_syncs
    if master.notification_script:
        yield "notification-script", master.notification_script
    if master.client_reconfig_script:
        yield "client-reconfig-script", master.client_reconfig_script


def _replica_fields(replica: Replica) -> Iterator[tuple[str, object]]:
    yield "master-link-down-time", replica.master_link_down
    yield "master-link-status", "ok" if replica.master_link_up else "err"
    yield "master-host", replica.master_host or "?"
    yield "master-port", replica.master_port
    yield "slave-priority", replica.priority
    yield "slave-repl-offset", replica.offset
    yield "replica-announced", int(replica.announced)
