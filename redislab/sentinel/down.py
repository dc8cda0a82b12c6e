"""Who is down: subjectively, in the eyes of one Sentinel, and objectively, in those of enough.

The decisions are functions over the plain state; `check_subjectively` and `check_objectively` make
events of them. A Sentinel takes for down what leaves a PING unanswered for too long, a master that
has called itself a replica for too long, and one that has restarted and does not answer yet.
Follows `sentinelCheckSubjectivelyDown`, `sentinelCheckObjectivelyDown` and
`sentinelIsQuorumReachable` in `src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from redislab.sentinel import events
from redislab.sentinel.model import Instance, Link, Master, Role
from redislab.sentinel.timing import Timing

if TYPE_CHECKING:
    from redislab.sentinel.watch import Watch


class Reach(NamedTuple):
    """Whether a failover could be decided on now.

    Attributes:
        usable: how many Sentinels are not down, this one among them.
        has_quorum: that is enough to take the master to be down.
        has_majority: that is enough to elect a leader.
    """

    usable: int
    has_quorum: bool
    has_majority: bool


def silence(link: Link, now: int) -> int:
    """For how many milliseconds a process owes an answer."""
    if link.asked:
        return now - link.asked
    return now - link.available if link.is_disconnected else 0


def is_subjectively_down(instance: Instance, now: int, timing: Timing) -> bool:
    """Whether this Sentinel alone takes an instance to be down."""
    if silence(instance.link, now) > instance.down_after:
        return True
    if not isinstance(instance, Master):
        return False
    # A master that calls itself a replica is given two INFOs' time to be made a master again.
    patience = instance.down_after + timing.info_period * 2
    if instance.role_reported is Role.REPLICA and now - instance.role_reported_time > patience:
        return True
    return instance.rebooted and now - instance.rebooted_since > instance.reboot_down_after


def count_down(master: Master) -> int:
    """How many Sentinels take a master to be down: this one, and those who have said so."""
    if not master.s_down:
        return 0
    return 1 + sum(peer.master_down for peer in master.peers.values())


def is_objectively_down(master: Master) -> bool:
    """Whether enough Sentinels take a master to be down."""
    return master.s_down and count_down(master) >= master.quorum


def reach(master: Master) -> Reach:
    """Whether a failover of this master could be decided on."""
    usable = 1 + sum(not peer.s_down for peer in master.peers.values())
    voters = 1 + len(master.peers)
    return Reach(usable, usable >= master.quorum, usable >= voters // 2 + 1)


def commands_are_stale(link: Link, down_after: int, now: int, timing: Timing) -> bool:
    """Whether the connection for commands looks dead although nothing says so."""
    half = down_after // 2
    return (
        link.has_commands
        and now - link.commands_since > timing.min_link_reconnect_period
        and link.asked != 0
        and now - link.asked > half
        and now - link.ping_answered > half
    )


def pubsub_is_stale(link: Link, now: int, timing: Timing) -> bool:
    """Whether the one for Pub/Sub does: our own hellos should have come back on it."""
    return (
        link.has_pubsub
        and now - link.pubsub_since > timing.min_link_reconnect_period
        and now - link.pubsub_heard > timing.publish_period * 3
    )


def check_subjectively(watch: Watch, instance: Instance, now: int) -> None:
    """Close what looks dead, and note it when an instance goes down or comes back."""
    link, timing = instance.link, watch.state.timing
    if link.asked and commands_are_stale(link, instance.down_after, now, timing):
        watch.links.close_commands(link)
    if pubsub_is_stale(link, now, timing):
        watch.links.close_pubsub(link)
    is_down = is_subjectively_down(instance, now, timing)
    if is_down and not instance.s_down:
        events.about(watch, events.WARNING, "+sdown", instance)
        instance.s_down, instance.s_down_since = True, now
    elif instance.s_down and not is_down:
        events.about(watch, events.WARNING, "-sdown", instance)
        instance.s_down = instance.kill_sent = False


def check_objectively(watch: Watch, master: Master, now: int) -> None:
    """Note it when a master goes down in the eyes of enough Sentinels, or comes back."""
    is_down = is_objectively_down(master)
    if is_down and not master.o_down:
        words = f" #quorum {count_down(master)}/{master.quorum}"
        events.about(watch, events.WARNING, "+odown", master, words)
        master.o_down, master.o_down_since = True, now
    elif master.o_down and not is_down:
        events.about(watch, events.WARNING, "-odown", master)
        master.o_down = False


def was_up_for(instance: Instance, milliseconds: int, now: int) -> bool:
    """Whether an instance has not gone down for so long (`sentinelRedisInstanceNoDownFor`)."""
    since = instance.s_down_since
    if isinstance(instance, Master):
        since = max(since, instance.o_down_since)
    return since == 0 or now - since > milliseconds
