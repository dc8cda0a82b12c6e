"""Instances come and go: masters, their replicas and the other Sentinels.

What is new is made over the plain state, as a configuration file does it too; what goes away takes
its links along, and so needs a `Watch`. Follows `createSentinelRedisInstance`,
`sentinelResetMaster` and their neighbors in `src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.sentinel import events
from redislab.sentinel.addresses import PORT_MAX, is_same, is_usable, shown
from redislab.sentinel.model import (
    Address,
    FailoverState,
    Link,
    Master,
    Peer,
    Replica,
    Role,
    SentinelState,
)

if TYPE_CHECKING:
    from redislab.sentinel.watch import Watch


class InstanceError(Exception):
    """An instance cannot be made; the message is Redis' own."""


def add_master(state: SentinelState, name: str, address: Address, quorum: int, now: int) -> Master:
    """Watch a master from now on.

    Raises:
        InstanceError: there is one of that name, or the address is none.
    """
    _check(state, address)
    if name in state.masters:
        raise InstanceError("Duplicate master name.")
    master = Master(
        role=Role.MASTER,
        name=name,
        address=address,
        link=Link.made_at(now),
        down_after=state.timing.default_down_after,
        role_reported_time=now,
        hello_sent=now,
        quorum=quorum,
        failover_timeout=state.timing.default_failover_timeout,
    )
    state.masters[name] = master
    return master


def add_replica(state: SentinelState, master: Master, address: Address, now: int) -> Replica:
    """A master has this replica.

    Raises:
        InstanceError: it is known, or the address is none.
    """
    _check(state, address)
    name = replica_name(state, address)
    if name in master.replicas:
        raise InstanceError("Duplicate hostname and port for replica.")
    replica = Replica(
        role=Role.REPLICA,
        name=name,
        address=address,
        link=Link.made_at(now),
        down_after=master.down_after,
        role_reported=Role.REPLICA,
        role_reported_time=now,
        hello_sent=now,
        master=master,
        conf_changed=now,
    )
    master.replicas[name] = replica
    return replica


def add_peer(state: SentinelState, master: Master, address: Address, run_id: str, now: int) -> Peer:
    """Another Sentinel watches this master.

    Raises:
        InstanceError: it is known, or the address is none.
    """
    _check(state, address)
    if run_id in master.peers:
        raise InstanceError("Duplicate runid for sentinel.")
    peer = Peer(
        role=Role.SENTINEL,
        name=run_id,
        address=address,
        link=Link.made_at(now),
        run_id=run_id,
        down_after=master.down_after,
        role_reported_time=now,
        hello_sent=now,
        master=master,
        hello_heard=now,
        master_down_heard=now,
    )
    master.peers[run_id] = peer
    return peer


def _check(state: SentinelState, address: Address) -> None:
    if not 0 <= address.port <= PORT_MAX:
        raise InstanceError("Invalid port number.")
    if not is_usable(state, address.host):
        raise InstanceError("Can't resolve instance hostname.")


def replica_name(state: SentinelState, address: Address) -> str:
    """What a replica is called: its address."""
    return str(Address(shown(state, address), address.port))


def find_master(state: SentinelState, address: Address) -> Master | None:
    """The master that is watched at an address."""
    for master in state.masters.values():
        if is_same(state, master.address, address):
            return master
    return None


def spread_down_after(master: Master) -> None:
    """What holds for a master holds for its replicas and Sentinels."""
    for instance in (*master.replicas.values(), *master.peers.values()):
        instance.down_after = master.down_after


def find_replica(state: SentinelState, master: Master, address: Address) -> Replica | None:
    """The replica of a master at an address."""
    found = master.replicas.get(replica_name(state, address))
    if found is None and state.resolve_hostnames:
        # Its name is from a time at which its host was not known, or had another address.
        same = (each for each in master.replicas.values() if is_same(state, each.address, address))
        found = next(same, None)
    return found


def find_peer(
    state: SentinelState, master: Master, address: Address | None, run_id: str
) -> Peer | None:
    """The Sentinel of this id (empty for any) at this address (None for any)."""
    for peer in master.peers.values():
        if run_id and peer.run_id != run_id:
            continue
        if address is None or is_same(state, peer.address, address):
            return peer
    return None


def forget_peer(watch: Watch, master: Master, run_id: str) -> bool:
    """Forget the Sentinel of this id; returns whether it was known."""
    peer = master.peers.pop(run_id, None)
    if peer is None:
        return False
    watch.links.release(peer)
    return True


def remove_master(watch: Watch, master: Master) -> bool:
    """Watch a master no longer (SENTINEL REMOVE); tell whether the configuration was saved."""
    events.about(watch, events.WARNING, "-monitor", master)
    _forget_all(watch, master, keep_peers=False)
    watch.links.release(master)
    del watch.state.masters[master.name]
    return watch.host.flush_config()


def reset_master(watch: Watch, master: Master, *, keep_peers: bool = False) -> None:
    """Forget what was found out about a master; a failover under way is given up.

    The command RESET also tells of it with a `+reset-master`.
    """
    now = watch.host.now_ms()
    _forget_all(watch, master, keep_peers=keep_peers)
    link = master.link
    watch.links.close_commands(link)
    watch.links.close_pubsub(link)
    master.s_down = master.o_down = master.rebooted = False
    master.kill_sent = master.is_forced = False
    master.leader = ""
    master.state, master.state_since = FailoverState.NONE, 0
    master.failover_start = 0
    master.promoted = None
    master.run_id = ""
    link.asked = link.available = link.ping_answered = now
    link.ping_sent = 0
    master.role_reported, master.role_reported_time = Role.MASTER, now


def switch_master(watch: Watch, master: Master, address: Address) -> None:
    """The master is another one from now on; the one of before is watched as its replica."""
    state, before = watch.state, master.address
    replicas = [
        replica.address
        for replica in master.replicas.values()
        if not is_same(state, replica.address, address)
    ]
    if not is_same(state, before, address):
        replicas.append(before)
    reset_master(watch, master, keep_peers=True)
    master.address = address
    master.o_down_since = master.s_down_since = 0
    for each in replicas:
        replica = add_replica(state, master, each, watch.host.now_ms())
        events.about(watch, events.NOTICE, "+slave", replica)
    watch.host.flush_config()


def current_address(master: Master) -> Address:
    """Where a master is, or will be: a promoted replica counts once it has said that it is one."""
    if master.promoted is not None and master.state in _PROMOTED:
        return master.promoted.address
    return master.address


_PROMOTED = frozenset({FailoverState.RECONF_REPLICAS, FailoverState.UPDATE_CONFIG})


def _forget_all(watch: Watch, master: Master, *, keep_peers: bool) -> None:
    for replica in master.replicas.values():
        watch.links.release(replica)
    master.replicas.clear()
    if not keep_peers:
        for peer in master.peers.values():
            watch.links.release(peer)
        master.peers.clear()
