"""What a Sentinel does again and again, ten to twenty times a second.

For every master, and then for its replicas and the other Sentinels: connect, send what is due, see
who is down; for a master also the next step of its failover. How long it is to the next time is
drawn anew each time, so that Sentinels that were started together do not stand for election
together. A Sentinel whose timer was late, or whose clock has jumped, does not trust what it sees:
it is in TILT, in which it watches and does not act, for half a minute. Follows `sentinelTimer` and
what it calls, in `src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.sentinel import events, failover, hello, info
from redislab.sentinel.answers import ask_peers, send_ping
from redislab.sentinel.down import check_objectively, check_subjectively
from redislab.sentinel.model import FailoverState, Instance, Peer, Replica
from redislab.sentinel.timing import PENDING_COMMANDS_MAX

if TYPE_CHECKING:
    from redislab.sentinel.watch import Watch

HZ = 10
# The period of INFO to replicas whose master is in trouble, in milliseconds.
_INFO_PERIOD_IN_TROUBLE = 1000


def run(watch: Watch) -> float:
    """Do all of it; returns seconds to the next time."""
    state, now = watch.state, watch.host.now_ms()
    _check_tilt(watch, now)
    switching = None
    for master in list(state.masters.values()):
        _handle(watch, master, now)
        if not state.tilt:
            check_objectively(watch, master, now)
            if failover.start_if_needed(watch, master, now):
                ask_peers(watch, master, now, at_once=True)
            failover.run(watch, master, now)
            ask_peers(watch, master, now)
        for replica in master.replicas.values():
            _handle(watch, replica, now)
        for peer in master.peers.values():
            _handle(watch, peer, now)
        if master.state is FailoverState.UPDATE_CONFIG:
            switching = master
    if switching is not None:
        failover.finish(watch, switching)
    watch.scripts.run(now)
    hz = HZ + watch.host.random.randrange(HZ)
    return (1000 // hz) / 1000


def _check_tilt(watch: Watch, now: int) -> None:
    """Do not trust a clock that jumps, nor oneself after a long sleep."""
    state = watch.state
    if not 0 <= now - state.previous_time <= state.timing.tilt_trigger:
        state.tilt, state.tilt_since = True, now
        events.tell(watch, events.WARNING, "+tilt", "#tilt mode entered")
    state.previous_time = now


def _handle(watch: Watch, instance: Instance, now: int) -> None:
    """What is done for every instance."""
    if instance.link.is_disconnected:
        watch.links.reconnect(instance, now)
    _send_periodically(watch, instance, now)
    state = watch.state
    if state.tilt:
        if now - state.tilt_since < state.timing.tilt_period:
            return
        state.tilt = False
        events.tell(watch, events.WARNING, "-tilt", "#tilt mode exited")
    check_subjectively(watch, instance, now)


def _send_periodically(watch: Watch, instance: Instance, now: int) -> None:
    """Send PING, INFO and hellos when they are due."""
    link, timing = instance.link, watch.state.timing
    if link.is_disconnected or link.pending >= PENDING_COMMANDS_MAX * link.owners:
        return
    if not isinstance(instance, Peer):
        period = timing.info_period
        if isinstance(instance, Replica) and _is_in_trouble(instance):
            period = _INFO_PERIOD_IN_TROUBLE
        if instance.info_time == 0 or now - instance.info_time > period:
            watch.links.send(instance, "INFO", answered=info.take_answer)
    period = min(instance.down_after, timing.ping_period)
    if now - link.ping_answered > period and now - link.ping_sent > period // 2:
        send_ping(watch, instance, now)
    if now - instance.hello_sent > timing.publish_period:
        hello.send(watch, instance)


def _is_in_trouble(replica: Replica) -> bool:
    """Whether a replica has to be watched closely: its master may change, or has gone."""
    return replica.master.o_down or replica.master.in_failover or replica.master_link_down != 0
