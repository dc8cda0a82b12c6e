"""A failover, as a table: everything that decides what comes next is here.

`TABLE` says of every state what is waited for in it, what is done, and where it may lead; of every
way from one to another, the lines that tell of it, in their order. What is done at each run of the
timer is in the functions below, which come to an outcome, and `move` looks up what that means. The
book draws its picture of a failover from this table.

`failover-timeout` bounds it in four ways: nobody tries again before twice that time after the last
try; an election takes at most that long (and ten seconds); so does each attempt to promote the
replica that was chosen; and so does the sending of the others to their new master. Once the chosen
replica says that it is a master there is no way back.

Follows `sentinelFailoverStateMachine` and what it calls, in `src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Literal

from redislab.sentinel import choosing, events, hello, votes
from redislab.sentinel.answers import send_replicaof
from redislab.sentinel.events import NOTICE, WARNING
from redislab.sentinel.instances import switch_master
from redislab.sentinel.model import FailoverState, Master, Reconf, Replica
from redislab.sentinel.timing import DESYNC_MAX

if TYPE_CHECKING:
    from redislab.sentinel.watch import Watch


class Outcome(Enum):
    """What leads from one state of a failover to another."""

    STARTED = "objectively down, or SENTINEL FAILOVER"
    ELECTED = "elected"
    NOT_ELECTED = "not elected in time"
    SELECTED = "a fit replica found"
    NONE_FIT = "no replica is fit"
    SENT = "REPLICAOF NO ONE sent"
    PROMOTED = "it says that it is a master"
    TIMEOUT = "no success in time"
    ALL_RECONFIGURED = "all reachable replicas follow it"
    SWITCHED = "configuration changed"
    OVERTAKEN = "a newer configuration heard of, or SENTINEL RESET"


@dataclass(frozen=True)
class Line:
    """A line that tells of a transition.

    Attributes:
        kind: the event.
        about: what its message is: who the master or the chosen replica is, the new epoch, or the
            name of the master with its address before and after.
        level: of the log.
        crash: after it SENTINEL SIMULATE-FAILURE ends a Sentinel that was told so.
    """

    kind: str
    about: Literal["master", "replica", "epoch", "switch"] = "master"
    level: int = WARNING
    crash: Literal["", "election", "promotion"] = ""


@dataclass(frozen=True)
class Way:
    """A transition: where it leads, and the lines that tell of it."""

    target: FailoverState
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Stage:
    """A state.

    Attributes:
        waits_for: what for.
        does: what is done in it.
        ways: where it may lead.
    """

    waits_for: str
    does: str
    ways: dict[Outcome, Way]


NONE = FailoverState.NONE
# `instances.reset_master` goes this way, whatever the state.
_OVERTAKEN = Way(NONE)

TABLE: dict[FailoverState, Stage] = {
    NONE: Stage(
        waits_for="the master to be objectively down, twice failover-timeout after the last try",
        does="nothing",
        ways={
            Outcome.STARTED: Way(
                FailoverState.WAIT_START, (Line("+new-epoch", "epoch"), Line("+try-failover"))
            ),
        },
    ),
    FailoverState.WAIT_START: Stage(
        waits_for="the votes of most Sentinels, and of as many as the quorum",
        does="asks the other Sentinels for their votes",
        ways={
            Outcome.ELECTED: Way(
                FailoverState.SELECT_REPLICA,
                (Line("+elected-leader", crash="election"), Line("+failover-state-select-slave")),
            ),
            Outcome.NOT_ELECTED: Way(NONE, (Line("-failover-abort-not-elected"),)),
            Outcome.OVERTAKEN: _OVERTAKEN,
        },
    ),
    FailoverState.SELECT_REPLICA: Stage(
        waits_for="nothing",
        does="chooses the best of the replicas that are fit",
        ways={
            Outcome.SELECTED: Way(
                FailoverState.SEND_REPLICAOF_NOONE,
                (
                    Line("+selected-slave", "replica"),
                    Line("+failover-state-send-slaveof-noone", "replica", NOTICE),
                ),
            ),
            Outcome.NONE_FIT: Way(NONE, (Line("-failover-abort-no-good-slave"),)),
            Outcome.OVERTAKEN: _OVERTAKEN,
        },
    ),
    FailoverState.SEND_REPLICAOF_NOONE: Stage(
        waits_for="a connection to the chosen replica",
        does="tells it to follow nobody",
        ways={
            Outcome.SENT: Way(
                FailoverState.WAIT_PROMOTION,
                (Line("+failover-state-wait-promotion", "replica", NOTICE),),
            ),
            Outcome.TIMEOUT: Way(NONE, (Line("-failover-abort-slave-timeout"),)),
            Outcome.OVERTAKEN: _OVERTAKEN,
        },
    ),
    FailoverState.WAIT_PROMOTION: Stage(
        waits_for="its INFO to say that it is a master",
        does="asks it for INFO every second",
        ways={
            Outcome.PROMOTED: Way(
                FailoverState.RECONF_REPLICAS,
                (
                    Line("+promoted-slave", "replica", crash="promotion"),
                    Line("+failover-state-reconf-slaves"),
                ),
            ),
            Outcome.TIMEOUT: Way(NONE, (Line("-failover-abort-slave-timeout"),)),
            Outcome.OVERTAKEN: _OVERTAKEN,
        },
    ),
    FailoverState.RECONF_REPLICAS: Stage(
        waits_for="the other replicas to follow it",
        does="sends them there, parallel-syncs at a time",
        ways={
            Outcome.ALL_RECONFIGURED: Way(FailoverState.UPDATE_CONFIG, (Line("+failover-end"),)),
            Outcome.TIMEOUT: Way(
                FailoverState.UPDATE_CONFIG,
                (Line("+failover-end-for-timeout"), Line("+failover-end")),
            ),
            Outcome.OVERTAKEN: _OVERTAKEN,
        },
    ),
    FailoverState.UPDATE_CONFIG: Stage(
        waits_for="nothing",
        does="watches the new master under the old one's name, and the old one as its replica",
        ways={
            # A +slave for each of the replicas comes after it.
            Outcome.SWITCHED: Way(NONE, (Line("+switch-master", "switch"),)),
            Outcome.OVERTAKEN: _OVERTAKEN,
        },
    ),
}


def move(watch: Watch, master: Master, outcome: Outcome) -> None:
    """Go where an outcome leads, and tell of it."""
    way = TABLE[master.state].ways[outcome]
    master.state, master.state_since = way.target, watch.host.now_ms()
    if outcome is Outcome.PROMOTED:
        # From here on the file names the promoted replica: a leader that ends now finds it there.
        watch.host.flush_config()
    for line in way.lines:
        if line.about == "epoch":
            events.tell(watch, line.level, line.kind, str(master.failover_epoch), master)
        elif line.about == "master":
            events.about(watch, line.level, line.kind, master)
        else:
            assert master.promoted is not None
            if line.about == "switch":
                hello.tell_switch(watch, master, master.promoted.address)
            else:
                events.about(watch, line.level, line.kind, master.promoted)
        if line.crash and watch.crashes_after(line.crash):
            watch.crash()
    if way.target is NONE:
        master.is_forced = False
        if master.promoted is not None:
            master.promoted.is_promoted = False
            master.promoted = None


# -- beginning -------------------------------------------------------------------------------------


def start_if_needed(watch: Watch, master: Master, now: int) -> bool:
    """Begin a failover if it is time for one; returns whether it was begun."""
    if not master.o_down or master.in_failover:
        return False
    not_before = master.failover_start + master.failover_timeout * 2
    if now < not_before:
        if master.delay_logged != master.failover_start:
            master.delay_logged = master.failover_start
            zone = timedelta(seconds=watch.host.log.environment.utc_offset)
            at = (datetime.fromtimestamp(not_before // 1000, UTC) + zone).ctime()
            watch.host.log.warning(f"Next failover delay: I will not start a failover before {at}")
        return False
    _start(watch, master, now)
    return True


def force(watch: Watch, master: Master) -> None:
    """Begin a failover because SENTINEL FAILOVER says so: no votes are needed."""
    watch.host.log.warning(f"Executing user requested FAILOVER of '{master.name}'")
    _start(watch, master, watch.host.now_ms())
    master.is_forced = True


def _start(watch: Watch, master: Master, now: int) -> None:
    watch.state.current_epoch += 1
    master.failover_epoch = watch.state.current_epoch
    move(watch, master, Outcome.STARTED)
    master.failover_start = now + watch.host.random.randrange(DESYNC_MAX)


# -- going on --------------------------------------------------------------------------------------


def run(watch: Watch, master: Master, now: int) -> None:
    """Do what is to be done now; once for each run of the timer."""
    act = _ACTS.get(master.state)
    if act is not None:
        outcome = act(watch, master, now)
        if outcome is not None:
            move(watch, master, outcome)
        if outcome is Outcome.TIMEOUT and master.state is FailoverState.UPDATE_CONFIG:
            _send_the_rest(watch, master, now)


def _wait_start(watch: Watch, master: Master, now: int) -> Outcome | None:
    state = watch.state
    leader = votes.find_leader(watch, master, master.failover_epoch)
    if (leader and leader.lower() == state.my_id.lower()) or master.is_forced:
        return Outcome.ELECTED
    patience = min(state.timing.election_timeout, master.failover_timeout)
    return Outcome.NOT_ELECTED if now - master.failover_start > patience else None


def _select_replica(watch: Watch, master: Master, now: int) -> Outcome | None:
    chosen = choosing.best(master, now, watch.state.timing)
    if chosen is None:
        return Outcome.NONE_FIT
    chosen.is_promoted = True
    master.promoted = chosen
    return Outcome.SELECTED


def _send_replicaof_noone(watch: Watch, master: Master, now: int) -> Outcome | None:
    chosen = master.promoted
    assert chosen is not None
    if chosen.link.is_disconnected:
        return _timeout(master, now)
    return Outcome.SENT if send_replicaof(watch, chosen, None) else None


def _wait_promotion(watch: Watch, master: Master, now: int) -> Outcome | None:
    """It goes on when its INFO comes: see `promoted`."""
    return _timeout(master, now)


def _timeout(master: Master, now: int) -> Outcome | None:
    return Outcome.TIMEOUT if now - master.state_since > master.failover_timeout else None


def promoted(watch: Watch, master: Master, replica: Replica) -> None:
    """The chosen replica says that it is a master: from here on this is the configuration.

    Its epoch is the one that the election was won in, so every Sentinel that hears of it takes it
    over.
    """
    master.config_epoch = master.failover_epoch
    move(watch, master, Outcome.PROMOTED)
    watch.scripts.reconfigure_clients(master, "leader", master.address, replica.address)
    hello.hurry(watch, master)


def _reconf_replicas(watch: Watch, master: Master, now: int) -> Outcome | None:
    """Send the next replicas to the new master, and see whether all have arrived."""
    chosen = master.promoted
    assert chosen is not None
    under_way = sum(each.reconf in _UNDER_WAY for each in master.replicas.values())
    for replica in master.replicas.values():
        if under_way >= master.parallel_syncs:
            break
        if not _needs_reconf(replica):
            continue
        if replica.reconf is Reconf.SENT:
            if now - replica.reconf_sent <= watch.state.timing.slave_reconf_timeout:
                continue
            # It is told once more and not waited for; its configuration is seen to later.
            events.about(watch, NOTICE, "-slave-reconf-sent-timeout", replica)
            replica.reconf, replica.is_given_up = Reconf.NONE, True
        if replica.reconf is Reconf.NONE and not replica.link.is_disconnected:
            under_way += _send_to(watch, replica, chosen, "+slave-reconf-sent", now)
    return _find_end(master, chosen, now)


def _needs_reconf(replica: Replica) -> bool:
    """Whether a replica is still to be brought to the new master."""
    return not (replica.is_promoted or replica.reconf is Reconf.DONE or replica.is_given_up)


def _send_to(watch: Watch, replica: Replica, chosen: Replica, kind: str, now: int) -> bool:
    """Tell a replica to follow the new master; returns whether it could be told."""
    if not send_replicaof(watch, replica, chosen.address):
        return False
    replica.reconf, replica.reconf_sent = Reconf.SENT, now
    events.about(watch, NOTICE, kind, replica)
    return True


def _find_end(master: Master, chosen: Replica, now: int) -> Outcome | None:
    """Whether all that can be done for the replicas was done."""
    if chosen.s_down:
        return None
    if now - master.state_since > master.failover_timeout:
        return Outcome.TIMEOUT
    if any(_needs_reconf(each) and not each.s_down for each in master.replicas.values()):
        return None
    return Outcome.ALL_RECONFIGURED


def _send_the_rest(watch: Watch, master: Master, now: int) -> None:
    """Time is over: tell the replicas that were not told yet, and leave it at that."""
    chosen = master.promoted
    assert chosen is not None
    for replica in master.replicas.values():
        was_told = replica.reconf is Reconf.SENT or not _needs_reconf(replica)
        if not was_told and not replica.link.is_disconnected:
            _send_to(watch, replica, chosen, "+slave-reconf-sent-be", now)


def finish(watch: Watch, master: Master) -> None:
    """The new master takes the place of the old one."""
    assert master.promoted is not None
    address = master.promoted.address
    move(watch, master, Outcome.SWITCHED)
    switch_master(watch, master, address)


_UNDER_WAY = frozenset({Reconf.SENT, Reconf.IN_PROGRESS})
_ACTS: dict[FailoverState, Callable[[Watch, Master, int], Outcome | None]] = {
    FailoverState.WAIT_START: _wait_start,
    FailoverState.SELECT_REPLICA: _select_replica,
    FailoverState.SEND_REPLICAOF_NOONE: _send_replicaof_noone,
    FailoverState.WAIT_PROMOTION: _wait_promotion,
    FailoverState.RECONF_REPLICAS: _reconf_replicas,
}
