"""Instances come and go: masters, their replicas and the other Sentinels.

What is new is made over the plain state, as a configuration file does it too; what goes away takes
its links along, and so needs a `Watch`. Follows `createSentinelRedisInstance`,
`sentinelResetMaster` and their neighbors in `src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

from redislab.sentinel.addresses import PORT_MAX, is_same, is_usable, shown
from redislab.sentinel.model import (
    Address,
    Instance,
    Link,
    Master,
    Peer,
    Replica,
    Role,
    SentinelState,
)


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


def master_of(instance: Instance) -> Master:
    """Whose an instance is; a master is its own."""
    if isinstance(instance, Replica | Peer):
        return instance.master
    assert isinstance(instance, Master)
    return instance


def spread_down_after(master: Master) -> None:
    """What holds for a master holds for its replicas and Sentinels."""
    for instance in (*master.replicas.values(), *master.peers.values()):
        instance.down_after = master.down_after
