"""What the settings of a Sentinel do, found by trying them out in many labs.

Two questions pull in opposite directions. How long is it from the death of a master until clients
write again (`take_over`)? And how often is a master replaced that was alive (`false_alarms`)? The
sweeps ask them for several values of `down-after-milliseconds`, of the quorum and of the number of
Sentinels, each in a simulation of its own; `take_over` works in every world.

Trouble comes in three kinds, which differ in who sees it. The master stands still for a moment, as
it does while its machine swaps or a slow command runs: all Sentinels see it. The link between the
master and one Sentinel lets nothing through for as long: that one sees it. Every such link does so
now and then: each Sentinel sees it, at moments of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from random import Random
from typing import Any, Literal, TypeVar

import redis

from redislab.labs.sentinel import SentinelLab
from redislab.worlds.base import OBSERVER, Event
from redislab.worlds.sim import Faults

T = TypeVar("T")
Trouble = Literal["none", "stalls", "one link", "all links"]

CALM = Faults()
# Every message takes up to 0.1 s longer, as it does where a network is full.
JITTER = Faults(jitter_seconds=0.1)
STALL_SECONDS = 1.5
# A master that was replaced and comes back is a replica some ten seconds later.
GAP_SECONDS = 12.0
WRITES_PER_SECOND = 20.0
_LOOK_SECONDS = 0.05
_MASTER = "the master"
# Housekeeping of servers that nobody loads, and a journal that nobody reads, cost time only.
_LEAN: dict[str, Any] = {
    "config": {"hz": "1"},
    "sentinel_config": {"hz": "1"},
    "messages_max": 0,
}


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A master that went away and was replaced; all times in seconds since it went.

    Attributes:
        down_after_ms: the setting that it was tried with.
        noticed: the first Sentinel took it to be down, `+sdown`.
        agreed: the first one knew that enough of them do, `+odown`.
        elected: the one that carried it through was elected, `+elected-leader`.
        promoted: that one saw that the replica is a master now, `+promoted-slave`.
        switched: the first Sentinel names the new master to clients, `+switch-master`.
        served: a client that kept trying had its first write acknowledged by the new master.
    """

    down_after_ms: int
    noticed: float
    agreed: float
    elected: float
    promoted: float
    switched: float
    served: float


@dataclass(frozen=True, slots=True)
class Alarms:
    """What Sentinels made of trouble while every server was alive.

    Attributes:
        trouble: of which kind.
        down_after_ms: a setting, as the next two.
        quorum: how many had to agree.
        sentinels: how many there were.
        seconds: how long it went on, on the lab's clock.
        s_downs: lines `+sdown` about a master, of all Sentinels together.
        o_downs: lines `+odown`, likewise.
        switches: how often another server became the master.
    """

    trouble: Trouble
    down_after_ms: int
    quorum: int
    sentinels: int
    seconds: float
    s_downs: int
    o_downs: int
    switches: int

    def per_hour(self, count: int) -> float:
        """How often in an hour, of something that was counted here."""
        return count * 3600 / self.seconds


@dataclass(frozen=True, slots=True)
class Moving:
    """Replicas on their way to a new master.

    Attributes:
        parallel_syncs: the setting.
        seconds: from the beginning of the failover to `+failover-end`.
        times: of the looks, in seconds since the beginning.
        away: how many replicas answered no read, at each look.
    """

    parallel_syncs: int
    seconds: float
    times: tuple[float, ...]
    away: tuple[int, ...]


def take_over(
    lab: SentinelLab, *, hangs: bool = False, harm: Callable[[str], object] | None = None
) -> TakeOver:
    """Let the master go away, and wait until another server takes writes.

    The client begins to write when a leader is elected: before, it could only fail.

    Args:
        lab: in any world; all is well in it.
        hangs: the master stands still instead of being killed.
        harm: is called with the name of the first leader as soon as it is elected; after that
            another one has to be.

    Raises:
        TimeoutError: nobody took over in three times `failover-timeout` and `down-after`.
    """
    asked: Any = lab.sentinel_client(decode_responses=True)
    settings = asked.sentinel_master(lab.service)
    down_after_ms = int(settings["down-after-milliseconds"])
    timeout_ms = int(settings["failover-timeout"])
    old, gone = lab.master.name, lab.now
    ends = gone + 3 * (down_after_ms + timeout_ms) / 1000 + 30
    if hangs:
        lab.pause(old)
    else:
        lab.kill(old)

    def told(kind: str, but: str = "") -> list[Event]:
        found = [each for each in lab.told() if each.kind == kind and each.time >= gone]
        return sorted((each for each in found if each.node != but), key=lambda each: each.time)

    # A PING may have been unanswered for a second at most.
    lab.run_for(max(0.0, down_after_ms / 1000 - 1))
    leader = _wait(lab, lambda: told("+elected-leader"), ends)[0].node
    if harm is not None:
        harm(leader)
        harmed = leader
        leader = _wait(lab, lambda: told("+elected-leader", harmed), ends, every=0.2)[0].node
    writer = lab.writer(rate=WRITES_PER_SECOND)

    def served() -> list[float]:
        written = (each for each in writer.writes if each.acknowledged and each.node != old)
        return [each.ended for each in written if each.ended is not None]

    first_write = _wait(lab, served, ends)[0]
    switched = _wait(lab, lambda: told("+switch-master"), ends)[0]
    promoted = _wait(lab, lambda: told("+promoted-slave"), ends)[0]
    writer.stop()
    leads = [each for each in told("+elected-leader") if each.node == promoted.node]
    elected = [each for each in leads if each.time <= promoted.time][-1]
    moments = [told("+sdown")[0], told("+odown")[0], elected, promoted, switched]
    times = [*(each.time for each in moments), first_write]
    return TakeOver(down_after_ms, *(round(time - gone, 3) for time in times))


def take_overs(
    down_after_ms: Iterable[int],
    seeds: Iterable[int],
    *,
    hangs: bool = False,
    faults: Faults = CALM,
    **setup: Any,
) -> list[TakeOver]:
    """One in a simulation of its own for each setting and each seed.

    The master goes away at a random moment: how long ago it last answered a PING is half of the
    chance that there is in it.

    Args:
        down_after_ms: the settings to try.
        seeds: of the simulations.
        hangs: the master stands still instead of being killed.
        faults: of the network.
        setup: further options of `SentinelLab`.
    """
    seeds = tuple(seeds)
    found = []
    for setting in down_after_ms:
        for seed in seeds:
            with _lab(seed, faults, down_after_ms=setting, **setup) as lab:
                lab.run_for(Random(f"take over/{seed}").uniform(0.0, 2.0))
                found.append(take_over(lab, hangs=hangs))
    return found


def false_alarms(
    trouble: Trouble,
    *,
    down_after_ms: int = 1000,
    quorum: int = 2,
    sentinels: int = 3,
    stalls: int = 10,
    stall_seconds: float = STALL_SECONDS,
    seed: int = 0,
    **setup: Any,
) -> Alarms:
    """Make trouble for a while, kill nobody, and count what the Sentinels made of it.

    Args:
        trouble: of which kind; with "none" there is none, for as long.
        down_after_ms: the setting, as the next two.
        quorum: how many have to agree.
        sentinels: how many there are.
        stalls: how often the master stands still, or a link lets nothing through: once in
            `GAP_SECONDS`.
        stall_seconds: for how long on average. Lengths are exponential: those longer than twice
            the average are 14 %, those longer than four times as much 2 %.
        seed: of everything. The same seed makes the same trouble, whatever the settings are.
        setup: further options of `SentinelLab`.
    """
    settings = {"down_after_ms": down_after_ms, "quorum": quorum, "sentinels": sentinels}
    moments: list[tuple[float, str, bool]] = []
    with _lab(seed, CALM, **settings, **setup) as lab:
        began = lab.now
        for where in _places(lab, trouble):
            for at, length in stalls_of(f"{where}/{seed}", stalls, stall_seconds):
                moments += [(at, where, True), (at + length, where, False)]
        hit: dict[str, str] = {}  # the master that each trouble under way was made for
        for at, where, begins in sorted(moments):
            lab.run_for(began + at - lab.now)
            if begins:
                hit[where] = lab.master.name
            _trouble(lab, where, hit[where], begins=begins)
        lab.run_for(began + stalls * GAP_SECONDS - lab.now)
        return _counted(lab, trouble, began, **settings)


def stalls_of(seed: str, count: int, mean: float) -> Iterator[tuple[float, float]]:
    """When each stall begins, one in each `GAP_SECONDS`, and how long it is, in seconds.

    The lengths are those that divide an exponential distribution evenly, in random order: so few
    of them are as good as many that are drawn. None is so long that it meets the next one.
    """
    random = Random(f"stalls/{seed}")
    lengths = [-mean * log(1 - (at + 0.5) / count) for at in range(count)]
    random.shuffle(lengths)
    longest = GAP_SECONDS / 2
    for at, length in enumerate(lengths):
        yield at * GAP_SECONDS + random.uniform(0.0, longest), min(length, longest)


def noticed_share(down_after_ms: int, mean: float = STALL_SECONDS) -> float:
    """The share of exponential stalls of the master that a Sentinel is to be expected to notice.

    A stall is noticed if the first PING in it, which comes up to a second after it began, stays
    unanswered for longer than down-after: if it lasts longer than that and the wait for the PING.
    """
    longer = exp(-down_after_ms / 1000 / mean)
    period = min(1.0, down_after_ms / 1000)
    return longer * mean / period * (1 - exp(-period / mean))


def lost_leaders(failover_timeout_ms: Iterable[int], *, seed: int = 0) -> list[TakeOver]:
    """A take-over for each setting whose first leader is killed as soon as it is elected."""
    found = []
    for setting in failover_timeout_ms:
        with _lab(seed, CALM, down_after_ms=1000, failover_timeout_ms=setting) as lab:
            found.append(take_over(lab, harm=lab.kill))
    return found


def move_replicas(
    parallel_syncs: int,
    *,
    replicas: int = 4,
    copy_seconds: float = 1.0,
    watch_seconds: float = 10.0,
    seed: int = 0,
) -> Moving:
    """Put a replica in the place of a master that is alive, and count who answers meanwhile.

    A client writes to the old master all the time, so the others have bytes that the promoted one
    has not: each needs a full copy of its data. They are told not to answer with old data.

    Args:
        parallel_syncs: how many are sent to the new master at the same time.
        replicas: how many there are beside the one that is promoted.
        copy_seconds: how long the network takes for one copy.
        watch_seconds: how long to look on.
        seed: of everything.
    """
    values, size = 200, 1000
    config = {**_LEAN["config"], "replica-serve-stale-data": "no"}
    setup = {"replicas": replicas + 1, "parallel_syncs": parallel_syncs, "config": config}
    slow = Faults(bandwidth_bytes_per_second=values * size / copy_seconds)
    with _lab(seed, slow, failover_timeout_ms=60_000, **setup) as lab:
        old = lab.master
        lab.client(old).mset({f"key:{at}": "x" * size for at in range(values)})
        writer = lab.writer(rate=WRITES_PER_SECOND)
        lab.run_for(2 * copy_seconds)
        readers = [lab.client(each, at=OBSERVER) for each in lab.servers if each != old]
        began, times, away = lab.now, [], []
        lab.failover()
        while lab.now < began + watch_seconds:
            times.append(round(lab.now - began, 3))
            away.append(sum(not _answers(each) for each in readers))
            lab.run_for(_LOOK_SECONDS)
        writer.stop()
        done = [each.time - began for each in lab.told() if each.kind == "+failover-end"]
    return Moving(parallel_syncs, round(done[0], 3), tuple(times), tuple(away))


# -- inside ----------------------------------------------------------------------------------------


def _lab(seed: int, faults: Faults, **setup: Any) -> SentinelLab:
    """A simulation that is cheap to run, and soon tries again what came to nothing."""
    options: dict[str, Any] = {"replicas": 1, "failover_timeout_ms": 5000, **_LEAN, **setup}
    return SentinelLab(world="sim", seed=seed, faults=faults, **options)


def _answers(client: redis.Redis) -> bool:
    """Whether a replica answers a read."""
    try:
        client.get("key:0")
    except redis.RedisError:
        return False
    return True


def _places(lab: SentinelLab, trouble: Trouble) -> list[str]:
    """Where trouble is made: at "the master", or between it and the Sentinels that are named."""
    links = [each.name for each in lab.sentinels]
    return {"none": [], "stalls": [_MASTER], "one link": links[:1], "all links": links}[trouble]


def _trouble(lab: SentinelLab, where: str, master: str, *, begins: bool) -> None:
    """Let it begin or end."""
    if where == _MASTER:
        (lab.pause if begins else lab.resume)(master)
    elif begins:
        lab.cut(where, master)
    else:
        lab.heal(where, master)


def _counted(lab: SentinelLab, trouble: Trouble, began: float, **settings: int) -> Alarms:
    told = [each for each in lab.told() if each.time >= began]

    def count(kind: str, about: str) -> int:
        return sum(each.kind == kind and each.detail.startswith(about) for each in told)

    return Alarms(
        trouble,
        **settings,
        seconds=lab.now - began,
        s_downs=count("+sdown", "master "),
        o_downs=count("+odown", "master "),
        switches=count("+promoted-slave", ""),
    )


def _wait(
    lab: SentinelLab,
    find: Callable[[], Sequence[T]],
    ends: float,
    *,
    every: float = _LOOK_SECONDS,
) -> Sequence[T]:
    """Let time pass until there is something; raises TimeoutError when it is over."""
    while not (found := find()):
        if lab.now >= ends:
            raise TimeoutError(f"nobody has taken over by {lab.now:.1f} s: {lab.snapshot()}")
        lab.run_for(every)
    return found
