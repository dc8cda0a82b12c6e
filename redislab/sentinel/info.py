"""What an instance's INFO tells, and what follows from it.

INFO is how a Sentinel finds a master's replicas, and how it sees that an instance has restarted,
has changed its role, follows another master than it should, or has become what a failover made of
it. `read` takes the text apart into plain data, `take` draws the conclusions. Follows
`sentinelRefreshInstanceInfo` in `src/sentinel.c` of Redis 7.0, but for this: a text without a role
is none, and a replica at no address is logged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redislab.sentinel import events, failover
from redislab.sentinel.addresses import is_same, is_usable
from redislab.sentinel.answers import send_replicaof
from redislab.sentinel.down import was_up_for
from redislab.sentinel.instances import InstanceError, add_replica, find_replica
from redislab.sentinel.model import (
    Address,
    FailoverState,
    Instance,
    Master,
    Reconf,
    Replica,
    Role,
)
from redislab.sentinel.reader import Failure, Reply, Status

if TYPE_CHECKING:
    from redislab.sentinel.watch import Watch

_NUMBER = re.compile(rb"\s*([+-]?[0-9]+)")
_NUMBER_MAX = 2**63 - 1
_PRIORITY_MAX = 2**31 - 1
_RUN_ID_BYTES = 40
_SHOWN_MAX = 100  # characters of an address that is none
# The lines that a Sentinel reads, of some two hundred.
_LINES = re.compile(
    rb"(?:\A|\r\n)(run_id|role|slave[0-9][^:\r]*|master_(?:link_down_since_seconds|host|port"
    rb"|link_status)|slave_priority|slave_repl_offset|replica_announced):([^\r]*)"
).findall
_REPLICA_IP = re.compile(rb"ip=([^,]*)")
_REPLICA_PORT = re.compile(rb"port=([^,]*)")
_REPLICA_OLD = re.compile(rb"([^,]*),([^,]*),")


@dataclass(slots=True)
class Report:
    """What an INFO says, as far as a Sentinel reads it; None for what it does not say.

    Attributes:
        role: what the instance calls itself.
        run_id: of this run of it.
        replicas: where it sees its replicas.
        link_down_ms: how long its link to its master is down.
        master_host, master_port: whom it follows.
        link_is_up: whether that link is up.
        priority, offset, announced: of a replica.
    """

    role: Role | None = None
    run_id: str | None = None
    replicas: list[Address] = field(default_factory=list)
    link_down_ms: int = 0
    master_host: str | None = None
    master_port: int | None = None
    link_is_up: bool | None = None
    priority: int | None = None
    offset: int | None = None
    announced: bool | None = None


def read(text: bytes) -> Report:
    """Take an INFO apart."""
    report = Report()
    for name, value in _LINES(text):
        if name == b"run_id":
            if len(value) >= _RUN_ID_BYTES:
                report.run_id = value[:_RUN_ID_BYTES].decode("latin-1")
        elif name == b"role":
            if value.startswith(b"master"):
                report.role = Role.MASTER
            elif value.startswith(b"slave"):
                report.role = Role.REPLICA
        elif name == b"master_link_down_since_seconds":
            report.link_down_ms = _number(value) * 1000
        elif name.startswith(b"slave") and name[5:6].isdigit():
            address = _replica_address(value)
            if address is not None:
                report.replicas.append(address)
        elif report.role is Role.REPLICA:
            _read_replica(report, name, value)
    return report


def _read_replica(report: Report, name: bytes, value: bytes) -> None:
    """A line that counts only after the one that says that it is a replica."""
    if name == b"master_host":
        report.master_host = value.decode("utf-8", "replace")
    elif name == b"master_port":
        report.master_port = _number(value)
    elif name == b"master_link_status":
        report.link_is_up = value.lower() == b"up"
    elif name == b"slave_priority":
        report.priority = max(-_PRIORITY_MAX, min(_number(value), _PRIORITY_MAX))
    elif name == b"slave_repl_offset":
        report.offset = max(0, _number(value))
    elif name == b"replica_announced":
        report.announced = _number(value) != 0


def _replica_address(value: bytes) -> Address | None:
    """Where a master sees a replica, in the format of today or in that of old."""
    host, port = _REPLICA_IP.search(value), _REPLICA_PORT.search(value)
    if host is None:
        old = _REPLICA_OLD.match(value)
        found = None if old is None else (old[1], old[2])
    else:
        found = None if port is None else (host[1], port[1])
    if found is None:
        return None
    return Address(found[0].decode("utf-8", "replace"), _number(found[1]))


def _number(text: bytes) -> int:
    """The number at the beginning of a text, as `strtoll` reads it: 0 for none."""
    found = _NUMBER.match(text[:32])
    return 0 if found is None else max(-_NUMBER_MAX, min(int(found[1]), _NUMBER_MAX))


# -- what follows ----------------------------------------------------------------------------------


def take_answer(watch: Watch, instance: Instance, reply: Reply) -> None:
    """The answer to INFO."""
    if isinstance(reply, bytes) and not isinstance(reply, Status | Failure):
        take(watch, instance, reply)


def take(watch: Watch, instance: Instance, text: bytes) -> None:
    """An INFO has come."""
    now = watch.host.now_ms()
    report = read(text)
    instance.info, instance.info_time = text, now
    if report.role is None:
        watch.links.complain(instance, "has sent an INFO without a role")
        return
    _note_run(watch, instance, report, now)
    if isinstance(instance, Master):
        for address in report.replicas:
            _note_replica(watch, instance, address)
    if isinstance(instance, Replica):
        instance.master_link_down = report.link_down_ms
        if report.role is Role.REPLICA:
            _update(instance, report, now)
    _note_role(watch, instance, report.role, now)
    # With a clock that is not to be trusted, it is only noted what there is.
    if watch.state.tilt or not isinstance(instance, Replica):
        return
    if report.role is Role.MASTER:
        _meet_master(watch, instance, now)
    else:
        _check_followed(watch, instance, now)
        _note_progress(watch, instance)


def _note_run(watch: Watch, instance: Instance, report: Report, now: int) -> None:
    """Another run id is that of a process that has restarted."""
    if report.run_id is None or report.run_id == instance.run_id:
        return
    if instance.run_id:
        events.about(watch, events.NOTICE, "+reboot", instance)
        if isinstance(instance, Master) and instance.reboot_down_after:
            instance.rebooted, instance.rebooted_since = True, now
    instance.run_id = report.run_id


def _note_replica(watch: Watch, master: Master, address: Address) -> None:
    """A master has a replica, which may be new."""
    state = watch.state
    is_watched = state.masters.get(master.name) is master
    if not is_watched or find_replica(state, master, address) is not None:
        return
    if not is_usable(state, address.host):
        watch.links.complain(master, f"names a replica at {str(address)[:_SHOWN_MAX]!r}")
        return
    if not watch.knows((address.host,), lambda: _note_replica(watch, master, address)):
        return
    try:
        replica = add_replica(state, master, address, watch.host.now_ms())
    except InstanceError:
        watch.links.complain(master, f"names a replica at {address}")
        return
    events.about(watch, events.NOTICE, "+slave", replica)
    watch.host.flush_config()


def _update(replica: Replica, report: Report, now: int) -> None:
    """What a replica says of itself."""
    host, port = report.master_host, report.master_port
    if host is not None and host.lower() != replica.master_host.lower():
        replica.master_host, replica.conf_changed = host, now
    if port is not None and port != replica.master_port:
        replica.master_port, replica.conf_changed = port, now
    if report.link_is_up is not None:
        replica.master_link_up = report.link_is_up
    if report.priority is not None:
        replica.priority = report.priority
    if report.offset is not None:
        replica.offset = report.offset
    if report.announced is not None:
        replica.announced = report.announced


def _note_role(watch: Watch, instance: Instance, role: Role, now: int) -> None:
    if role is instance.role_reported:
        return
    instance.role_reported, instance.role_reported_time = role, now
    if isinstance(instance, Replica) and role is Role.REPLICA:
        instance.conf_changed = now
    # As it should be, or not.
    kind = "+role-change" if role is instance.role else "-role-change"
    events.about(watch, events.VERBOSE, kind, instance, f" new reported role is {role.value}")


def _meet_master(watch: Watch, replica: Replica, now: int) -> None:
    """What should be a replica is a master: the one that we promoted, or one of yesterday."""
    master = replica.master
    if replica.is_promoted:
        if master.state is FailoverState.WAIT_PROMOTION:
            failover.promoted(watch, master, replica)
        return
    # Whoever made it one is given the time to tell us.
    patience = watch.state.timing.publish_period * 4
    if (
        looks_sane(watch, master, now)
        and was_up_for(replica, patience, now)
        and now - replica.role_reported_time > patience
        and send_replicaof(watch, replica, master.address)
    ):
        events.about(watch, events.NOTICE, "+convert-to-slave", replica)


def _check_followed(watch: Watch, replica: Replica, now: int) -> None:
    """A replica that has followed another master for long is told to follow ours."""
    master, patience = replica.master, replica.master.failover_timeout
    if (
        not _follows(watch, replica, master.address)
        and looks_sane(watch, master, now)
        and was_up_for(replica, patience, now)
        and now - replica.conf_changed > patience
        and send_replicaof(watch, replica, master.address)
    ):
        events.about(watch, events.NOTICE, "+fix-slave-config", replica)


def _note_progress(watch: Watch, replica: Replica) -> None:
    """A replica that was sent to the new master is on its way, or has arrived."""
    promoted = replica.master.promoted
    if (
        replica.reconf is Reconf.SENT
        and promoted is not None
        and _follows(watch, replica, promoted.address)
    ):
        replica.reconf = Reconf.IN_PROGRESS
        events.about(watch, events.NOTICE, "+slave-reconf-inprog", replica)
    if replica.reconf is Reconf.IN_PROGRESS and replica.master_link_up:
        replica.reconf = Reconf.DONE
        events.about(watch, events.NOTICE, "+slave-reconf-done", replica)


def _follows(watch: Watch, replica: Replica, address: Address) -> bool:
    """Whether a replica says that it follows who is at this address."""
    return is_same(watch.state, address, Address(replica.master_host, replica.master_port))


def looks_sane(watch: Watch, master: Master, now: int) -> bool:
    """Whether a master is one in its own eyes too, and was heard of lately."""
    return (
        master.role_reported is Role.MASTER
        and not master.s_down
        and not master.o_down
        and now - master.info_time < watch.state.timing.info_period * 2
    )
