"""What is seen of Sentinels while a schedule runs.

In `sim` their state is read as it is, which costs no message and sees what no reply tells. In the
real worlds it is what they answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redislab.labs.sentinel import SentinelLab
from redislab.sentinel.instances import current_address
from redislab.sentinel.model import Master, SentinelState


@dataclass(frozen=True, slots=True)
class Sight:
    """A Sentinel at one moment.

    Attributes:
        name: which one.
        epoch: the greatest epoch that it has heard of; -1 where that cannot be seen.
        config_epoch: of the master that it names.
        leader_epoch: in which it voted last; -1 where that cannot be seen.
        leader: for whom; empty for nobody.
        master: the address of the master that it names.
        leads: whether a failover of its own is under way.
    """

    name: str
    epoch: int
    config_epoch: int
    leader_epoch: int
    leader: str
    master: str
    leads: bool = False


def sights(lab: SentinelLab) -> list[Sight]:
    """Every Sentinel that can be seen."""
    if lab.world != "sim":
        return _asked(lab)
    found = []
    for handle in lab.sentinels:
        node = sentinel_state(lab, handle.name)
        if node is not None and lab.service in node.masters:
            found.append(sight(handle.name, node, node.masters[lab.service]))
    return found


def sight(name: str, state: SentinelState, master: Master) -> Sight:
    """What can be seen of a Sentinel's state."""
    return Sight(
        name,
        state.current_epoch,
        master.config_epoch,
        master.leader_epoch,
        master.leader,
        str(current_address(master)),
        master.in_failover,
    )


def sentinel_state(lab: SentinelLab, name: str) -> SentinelState | None:
    """The state of a Sentinel in `sim`; None while it does not run."""
    world: Any = lab.place
    node = world.running(name)
    return None if node is None else node.state


def _asked(lab: SentinelLab) -> list[Sight]:
    now = lab.snapshot()
    addresses = {node.name: f"{node.host}:{node.port}" for node in lab.servers}
    return [
        Sight(
            each.name,
            -1,
            each.config_epoch,
            # It is asked for the vote about the master that it named a moment ago: of one that it
            # has left meanwhile it knows nothing, and says 0.
            each.leader_epoch or -1,
            each.leader,
            # The leader of a failover shows the old address with the new epoch until its end.
            "" if each.failover else addresses.get(each.master, each.master),
            bool(each.failover),
        )
        for each in now.sentinels
        if each.up
    ]
