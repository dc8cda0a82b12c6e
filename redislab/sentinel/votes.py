"""Who leads a failover: a vote by epochs, as in Raft.

Whoever wants to lead asks the others for an epoch that nobody has used. A Sentinel votes once in an
epoch, for whoever asks first. It leads who has the votes of most Sentinels ever seen, and of as
many as the quorum. A candidate counts its own vote last, and gives it to whoever has most by then.
Follows `sentinelVoteLeader` and `sentinelGetLeader` in `src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from redislab.sentinel import events
from redislab.sentinel.instances import find_master
from redislab.sentinel.model import Address, Master
from redislab.sentinel.timing import DESYNC_MAX

if TYPE_CHECKING:
    from redislab.sentinel.watch import Watch

# What another Sentinel can read as an epoch, and count on from.
EPOCH_MAX = 2**63 - 2
NOBODY = "*"
_CANDIDATE = re.compile(r"[!-~]{1,40}")


class Answer(NamedTuple):
    """The answer to SENTINEL IS-MASTER-DOWN-BY-ADDR.

    Attributes:
        is_down: whether we take the master to be down.
        leader: who has our vote, "*" if that was not asked for.
        epoch: in which epoch.
    """

    is_down: bool
    leader: str
    epoch: int


def may_vote(master: Master, current_epoch: int, asked_epoch: int) -> bool:
    """Whether a vote in an epoch is still to be had; greater epochs are never gone back from."""
    return master.leader_epoch < asked_epoch and current_epoch <= asked_epoch


def count(master: Master, current_epoch: int) -> dict[str, int]:
    """The votes of the other Sentinels in the present epoch."""
    counted: dict[str, int] = {}
    for peer in master.peers.values():
        if peer.leader and peer.leader_epoch == current_epoch:
            counted[peer.leader] = counted.get(peer.leader, 0) + 1
    return counted


def favorite(counted: dict[str, int]) -> str:
    """Who has most votes, of those with equally many the one counted first; empty for nobody."""
    return max(counted, key=counted.__getitem__, default="")


def winner(counted: dict[str, int], voters: int, quorum: int) -> str:
    """Who has won with these votes; empty for nobody."""
    first = favorite(counted)
    if not first or counted[first] < max(voters // 2 + 1, quorum):
        return ""
    return first


def makes_sense(candidate: str, epoch: int) -> bool:
    """Whether a candidate and an epoch can be such."""
    return 0 <= epoch <= EPOCH_MAX and _CANDIDATE.fullmatch(candidate) is not None


def vote(watch: Watch, master: Master, epoch: int, candidate: str) -> tuple[str, int]:
    """Give our vote in an epoch to a candidate, if it was not given yet.

    Returns:
        Who has our vote (empty for nobody), and in which epoch.
    """
    state = watch.state
    if epoch > state.current_epoch:
        raise_epoch(watch, master, epoch)
    if may_vote(master, state.current_epoch, epoch):
        master.leader, master.leader_epoch = candidate, state.current_epoch
        watch.host.flush_config()
        events.tell(
            watch, events.WARNING, "+vote-for-leader", f"{candidate} {master.leader_epoch}", master
        )
        if candidate.lower() != state.my_id.lower():
            # Leave the other one the time to do it.
            desync = watch.host.random.randrange(DESYNC_MAX)
            master.failover_start = watch.host.now_ms() + desync
    return master.leader, master.leader_epoch


def raise_epoch(watch: Watch, master: Master, epoch: int) -> None:
    """A greater epoch was heard of."""
    watch.state.current_epoch = epoch
    watch.host.flush_config()
    events.tell(watch, events.WARNING, "+new-epoch", str(epoch), master)


def find_leader(watch: Watch, master: Master, epoch: int) -> str:
    """Who has been elected in an epoch, empty for nobody yet; casts our own vote."""
    counted = count(master, watch.state.current_epoch)
    chosen, chosen_epoch = vote(watch, master, epoch, favorite(counted) or watch.state.my_id)
    if chosen and chosen_epoch == epoch:
        counted[chosen] = counted.get(chosen, 0) + 1
    return winner(counted, len(master.peers) + 1, master.quorum)


def answer_is_master_down(watch: Watch, address: Address, epoch: int, candidate: str) -> Answer:
    """What another Sentinel is told that asks for a master at an address.

    Args:
        watch: who is asked.
        address: of the master.
        epoch: in which it asks for our vote.
        candidate: for whom; "*" asks for no vote.
    """
    master = find_master(watch.state, address)
    if master is None:
        return Answer(is_down=False, leader=NOBODY, epoch=0)
    is_down = master.s_down and not watch.state.tilt
    if candidate == NOBODY:
        return Answer(is_down, NOBODY, 0)
    if not makes_sense(candidate, epoch):
        watch.host.log.warning(
            f"Not voting for {candidate!r} in epoch {epoch}: that makes no sense"
        )
        return Answer(is_down, NOBODY, 0)
    leader, leader_epoch = vote(watch, master, epoch, candidate)
    return Answer(is_down, leader or NOBODY, leader_epoch)
