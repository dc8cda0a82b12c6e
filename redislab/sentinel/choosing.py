"""Which replica takes a master's place: who is fit for it, and who of those is the best.

Functions over the plain state. Follows `sentinelSelectSlave` and `compareSlavesForPromotion` in
`src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

from redislab.sentinel.model import Master, Replica
from redislab.sentinel.timing import Timing


def best(master: Master, now: int, timing: Timing) -> Replica | None:
    """The replica to promote; None if none is fit."""
    fit = [each for each in master.replicas.values() if not unfit(each, now, timing)]
    return min(fit, key=rank, default=None)


def rank(replica: Replica) -> tuple[int, int, bool, str]:
    """What replicas are sorted by, the best first.

    The smaller priority, then who has read more of the stream, then the smaller run id; one that
    did not tell its run id comes after those that did.
    """
    return replica.priority, -replica.offset, not replica.run_id, replica.run_id.lower()


def unfit(replica: Replica, now: int, timing: Timing) -> str:
    """Why a replica cannot be promoted; empty if it can.

    Its master is allowed to have been away from it for as long as it is down in our eyes, and ten
    times `down-after-milliseconds` more.
    """
    master = replica.master
    away_max = master.down_after * 10
    # The replicas of a master that is down are asked for INFO every second.
    told_max = timing.info_period * 3
    if master.s_down:
        away_max += now - master.s_down_since
        told_max = timing.ping_period * 5
    if replica.s_down:
        return "it is down"
    if replica.link.is_disconnected:
        return "there is no connection to it"
    if now - replica.link.available > timing.ping_period * 5:
        return "it has not answered for too long"
    if replica.priority == 0:
        return "its priority is 0"
    if now - replica.info_time > told_max:
        return "what is known of it is too old"
    if replica.master_link_down > away_max:
        return "its link to its master was down for too long"
    return ""
