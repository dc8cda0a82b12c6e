"""What a Sentinel knows, as plain data: itself, its masters, their replicas and Sentinels.

Nothing here acts, waits or decides. Times are whole milliseconds since the epoch on the
Sentinel's clock, and 0 stands for "never", as in `sentinelRedisInstance` and `instanceLink` of
`src/sentinel.c` of Redis 7.0. Dictionaries keep the order in which instances were found, so that
a simulation does not depend on a hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from redislab.sentinel.timing import (
    DEFAULT_DOWN_AFTER,
    DEFAULT_FAILOVER_TIMEOUT,
    DEFAULT_PARALLEL_SYNCS,
    DEFAULT_REPLICA_PRIORITY,
    Timing,
)


class Address(NamedTuple):
    """Where an instance is: an IP address or a host's name, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Role(Enum):
    """What an instance is, by the word that event lines use."""

    MASTER = "master"
    REPLICA = "slave"
    SENTINEL = "sentinel"


class FailoverState(Enum):
    """How far a failover is, by the word that SENTINEL MASTER answers."""

    NONE = "none"
    WAIT_START = "wait_start"
    SELECT_REPLICA = "select_slave"
    SEND_REPLICAOF_NOONE = "send_slaveof_noone"
    WAIT_PROMOTION = "wait_promotion"
    RECONF_REPLICAS = "reconf_slaves"
    UPDATE_CONFIG = "update_config"


class Reconf(Enum):
    """How far a replica is on its way to a new master."""

    NONE = ""
    SENT = "reconf_sent"
    IN_PROGRESS = "reconf_inprog"
    DONE = "reconf_done"


@dataclass(slots=True, eq=False)
class Link:
    """What is known of the connections to one process.

    Those who watch several masters meet one and the same other Sentinel for each of them, and share
    one `Link` to it. A connection is there from the moment at which it is begun: what is said on it
    before TCP has connected is kept, and counts as pending.

    Attributes:
        is_disconnected: one of the connections that it should have is not there.
        has_commands: the connection for commands is there.
        has_pubsub: the one for Pub/Sub is; Sentinels have none.
        pending: commands sent and not answered yet.
        commands_since: when the connection for commands was begun.
        pubsub_since: when the one for Pub/Sub was begun.
        pubsub_heard: when something came on it last.
        available: when it answered PING with an answer that counts as alive last.
        asked: when the oldest PING that is not answered yet was sent; 0 when all are answered.
        ping_sent: when the last PING was sent.
        ping_answered: when any answer to a PING came last.
        tried: when connecting was last tried.
        owners: how many instances share it.
    """

    is_disconnected: bool = True
    has_commands: bool = False
    has_pubsub: bool = False
    pending: int = 0
    commands_since: int = 0
    pubsub_since: int = 0
    pubsub_heard: int = 0
    available: int = 0
    asked: int = 0
    ping_sent: int = 0
    ping_answered: int = 0
    tried: int = 0
    owners: int = 1

    @classmethod
    def made_at(cls, now: int) -> Link:
        """The link to an instance that was just heard of: it is given the benefit of the doubt."""
        return cls(available=now, asked=now, ping_answered=now)


@dataclass(slots=True, eq=False)
class Instance:
    """What master, replica and Sentinel have in common.

    Attributes:
        name: a master's is what its Sentinels call it, a replica's is its address, a Sentinel's its
            id once that is known.
        run_id: as it tells itself; empty while unknown.
        down_after: milliseconds of silence after which it is subjectively down.
        s_down, s_down_since: whether, and since when, it is subjectively down.
        info_time: when its INFO came last.
        info: that text, for SENTINEL INFO-CACHE.
        role_reported, role_reported_time: what its INFO says it is, and since when it says so.
        hello_sent: when we last told it our hello.
        kill_sent: SCRIPT KILL was sent because it answered -BUSY.
    """

    role: Role
    name: str
    address: Address
    link: Link
    run_id: str = ""
    down_after: int = DEFAULT_DOWN_AFTER
    s_down: bool = False
    s_down_since: int = 0
    info_time: int = 0
    info: bytes = b""
    role_reported: Role = Role.MASTER
    role_reported_time: int = 0
    hello_sent: int = 0
    kill_sent: bool = False


@dataclass(slots=True, eq=False)
class Replica(Instance):
    """A replica of a master.

    Attributes:
        master: whose it is in our eyes.
        master_link_down: milliseconds that its link to its master is down, as its INFO says.
        priority: its `replica-priority`; 0 is never promoted.
        announced: its `replica-announced`.
        master_host, master_port: its master, as its INFO says.
        master_link_up: whether that link is up, as its INFO says.
        offset: how far it has read its master's stream.
        conf_changed: when the master that it says it has changed last.
        is_promoted: it was chosen to be the next master.
        reconf, reconf_sent: how far it is on its way to a new master, and when it was sent there.
        is_given_up: it did not go there in time, and counts as one that has arrived.
    """

    master: Master = field(kw_only=True)
    master_link_down: int = 0
    priority: int = DEFAULT_REPLICA_PRIORITY
    announced: bool = True
    master_host: str = ""
    master_port: int = 0
    master_link_up: bool = False
    offset: int = 0
    conf_changed: int = 0
    is_promoted: bool = False
    reconf: Reconf = Reconf.NONE
    reconf_sent: int = 0
    is_given_up: bool = False


@dataclass(slots=True, eq=False)
class Peer(Instance):
    """Another Sentinel that watches the same master.

    Attributes:
        master: which one.
        hello_heard: when a hello of it came last.
        master_down_heard: when it last answered whether it takes the master to be down.
        master_down: what it answered.
        leader, leader_epoch: who it voted for, and in which epoch.
    """

    master: Master = field(kw_only=True)
    hello_heard: int = 0
    master_down_heard: int = 0
    master_down: bool = False
    leader: str = ""
    leader_epoch: int = 0


@dataclass(slots=True, eq=False)
class Master(Instance):
    """A master that is watched.

    Attributes:
        config_epoch: the epoch of the failover that made it master.
        quorum: how many Sentinels have to take it to be down.
        o_down, o_down_since: whether, and since when, that many do.
        parallel_syncs: how many replicas are sent to a new master at the same time.
        failover_timeout: milliseconds; what it bounds is told in `failover.py`.
        auth_user, auth_pass: how to log in to it and its replicas; empty for no password.
        renamed_commands: lower-case name to the name that its servers know it by.
        spelled: lower-case name to how it was written, for the configuration file.
        notification_script, client_reconfig_script: programs to run at events; empty for none.
        reboot_down_after: `master-reboot-down-after-period`, milliseconds.
        rebooted, rebooted_since: whether it was seen to have restarted and not yet answered.
        leader, leader_epoch: who we voted for as its failover's leader, and in which epoch.
        state, state_since: of its failover.
        failover_epoch: the epoch of the failover that we have begun.
        failover_start: when the last one began here, or when we voted for another's: we do not
            try before `failover_timeout` twice after it.
        delay_logged: for which `failover_start` the log has been told when the next try may be.
        is_forced: SENTINEL FAILOVER asked for it.
        promoted: the replica chosen.
    """

    config_epoch: int = 0
    quorum: int = 1
    o_down: bool = False
    o_down_since: int = 0
    parallel_syncs: int = DEFAULT_PARALLEL_SYNCS
    failover_timeout: int = DEFAULT_FAILOVER_TIMEOUT
    auth_user: str = ""
    auth_pass: str = ""
    renamed_commands: dict[str, str] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    notification_script: str = ""
    client_reconfig_script: str = ""
    reboot_down_after: int = 0
    rebooted: bool = False
    rebooted_since: int = 0
    leader: str = ""
    leader_epoch: int = 0
    state: FailoverState = FailoverState.NONE
    state_since: int = 0
    failover_epoch: int = 0
    failover_start: int = 0
    delay_logged: int = 0
    is_forced: bool = False
    promoted: Replica | None = None
    replicas: dict[str, Replica] = field(default_factory=dict)
    peers: dict[str, Peer] = field(default_factory=dict)

    @property
    def in_failover(self) -> bool:
        """Whether a failover is under way here."""
        return self.state is not FailoverState.NONE


@dataclass(slots=True)
class SentinelState:
    """A Sentinel as a whole (`struct sentinelState`).

    Attributes:
        my_id: 40 hexadecimal digits, kept in the configuration file.
        current_epoch: the greatest epoch it has heard of.
        masters: by name.
        tilt, tilt_since: whether, and since when, it does not trust its own clock.
        previous_time: when the timer ran last.
        announce_ip, announce_port: what it tells others of its address; empty, 0 for what is.
        deny_scripts_reconfig: SENTINEL SET may not change scripts.
        auth_user, auth_pass: how to log in to other Sentinels.
        resolve_hostnames, announce_hostnames: names of hosts in the place of addresses.
        resolved: the IP address of a host's name, as it was last looked up.
        crash_after_election, crash_after_promotion: what SENTINEL SIMULATE-FAILURE asked for.
    """

    my_id: str = ""
    current_epoch: int = 0
    masters: dict[str, Master] = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)
    tilt: bool = False
    tilt_since: int = 0
    previous_time: int = 0
    announce_ip: str = ""
    announce_port: int = 0
    deny_scripts_reconfig: bool = True
    auth_user: str = ""
    auth_pass: str = ""
    resolve_hostnames: bool = False
    announce_hostnames: bool = False
    resolved: dict[str, str] = field(default_factory=dict)
    crash_after_election: bool = False
    crash_after_promotion: bool = False


def master_of(instance: Instance) -> Master:
    """Whose an instance is; a master is its own."""
    if isinstance(instance, Replica | Peer):
        return instance.master
    assert isinstance(instance, Master)
    return instance
