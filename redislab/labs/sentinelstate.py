"""What a lab with Sentinels knows at one moment, as plain data, and how it is read off replies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from redislab.labs.base import Named
from redislab.labs.replication import Follower
from redislab.labs.snapshot import NodeSnapshot
from redislab.worlds.base import Event, LogLine

_EVENT = re.compile(r"\d+:X [^*#]*[*#] ([+-][a-z-]+)(?: (.*))?")
_VOTE = re.compile(r"\d+:X [^*#]*[*#] ([0-9a-f]{40}) voted for (.*)")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a Sentinel thinks at one moment.

    Attributes:
        name: its name in the lab.
        host: its address.
        port: its port.
        up: whether it answered; if not, the rest says nothing.
        state: what the lab did to it.
        id: its 40 hexadecimal digits.
        master: the name of the node that it takes for the master; the address for a stranger.
        flags: what SENTINEL MASTER says of the master: "master", "s_down", "o_down", ...
        config_epoch: the epoch of the failover that made that one the master.
        leader: the name of the Sentinel that it voted for last; empty for none.
        leader_epoch: the epoch in which it did.
        failover: how far its own failover is, as SENTINEL MASTER says it; empty for none.
        replicas: how many replicas it knows of.
        others: how many other Sentinels it knows of.
        quorum: how many have to agree that the master is down.
        tilt: whether it trusts its own clock so little that it does not act.
    """

    name: str
    host: str
    port: int
    up: bool
    state: str
    id: str = ""
    master: str = ""
    flags: tuple[str, ...] = ()
    config_epoch: int = 0
    leader: str = ""
    leader_epoch: int = 0
    failover: str = ""
    replicas: int = 0
    others: int = 0
    quorum: int = 0
    tilt: bool = False

    @property
    def s_down(self) -> bool:
        """Whether it takes the master to be down."""
        return "s_down" in self.flags

    @property
    def o_down(self) -> bool:
        """Whether it knows that enough of them do."""
        return "o_down" in self.flags


@dataclass(frozen=True, slots=True)
class SentinelSnapshot:
    """A lab with Sentinels at one moment.

    Attributes:
        time: seconds since the lab began.
        nodes: every server, in the order in which they were started.
        followers: every server that says it is a replica.
        sentinels: what each Sentinel thinks.
        cuts: (from, to) of every cut that the lab has made and not healed.
        delays: (a, b, seconds one way) of every delay likewise.
    """

    time: float
    nodes: tuple[NodeSnapshot, ...]
    followers: tuple[Follower, ...]
    sentinels: tuple[Opinion, ...]
    cuts: tuple[tuple[str, str], ...] = ()
    delays: tuple[tuple[str, str, float], ...] = ()

    @property
    def named(self) -> str:
        """The master that most Sentinels that answer name; of as many, the one of later epoch."""
        answering = [each for each in self.sentinels if each.up]
        epochs = {each.master: each.config_epoch for each in answering}
        for each in answering:
            epochs[each.master] = max(epochs[each.master], each.config_epoch)
        votes = Counter(each.master for each in answering)
        return max(votes, key=lambda name: (votes[name], epochs[name]), default="")

    @property
    def master(self) -> NodeSnapshot:
        """The server that the Sentinels name; one without a name where none answers."""
        named = self.named
        for each in self.nodes:
            if each.name == named:
                return each
        return NodeSnapshot("", "", 0, up=False, state="")

    @property
    def masters(self) -> tuple[str, ...]:
        """The servers that say they are masters: more than one is a split brain."""
        return tuple(each.name for each in self.nodes if each.role == "master")

    @property
    def agreed(self) -> bool:
        """Whether every Sentinel answers, knows all the others, and names the same master."""
        return (
            all(each.up and each.others == len(self.sentinels) - 1 for each in self.sentinels)
            and len({each.master for each in self.sentinels}) == 1
        )

    @property
    def settled(self) -> bool:
        """Whether all is well.

        One master, named by every Sentinel and taken to be down by none, every other server
        follows it over a link that is up, and all Sentinels know all of it.
        """
        return (
            self.agreed
            and self.masters == (self.named,)
            and len(self.followers) == len(self.nodes) - 1
            and all(each.link == "up" and each.master == self.named for each in self.followers)
            and all(
                each.replicas == len(self.nodes) - 1
                and not (each.s_down or each.o_down or each.failover or each.tilt)
                for each in self.sentinels
            )
        )

    def node(self, name: Named) -> NodeSnapshot:
        """A server by its name; raises KeyError if there is none."""
        for each in self.nodes:
            if each.name == str(name):
                return each
        raise KeyError(str(name))

    def sentinel(self, name: Named) -> Opinion:
        """What a Sentinel thinks; raises KeyError if there is none of that name."""
        for each in self.sentinels:
            if each.name == str(name):
                return each
        raise KeyError(str(name))

    def to_dict(self) -> dict[str, Any]:
        """As plain data that turns into JSON."""
        return asdict(self)


def opinion(
    known: Opinion,
    master: Mapping[str, Any],
    vote: Sequence[Any],
    info: Mapping[str, Any],
    names: Mapping[tuple[str, int], str],
    ids: Mapping[str, str],
) -> Opinion:
    """What a Sentinel thinks, from its answers.

    Args:
        known: who it is.
        master: SENTINEL MASTER.
        vote: SENTINEL IS-MASTER-DOWN-BY-ADDR.
        info: INFO.
        names: of the servers by their addresses.
        ids: the names of Sentinels by their ids.
    """
    where = (str(master["ip"]), int(master["port"]))
    leader = str(vote[1])
    return Opinion(
        known.name,
        known.host,
        known.port,
        up=True,
        state=known.state,
        id=known.id,
        master=names.get(where, f"{where[0]}:{where[1]}"),
        flags=tuple(str(master["flags"]).split(",")),
        config_epoch=int(master["config-epoch"]),
        leader="" if leader == "*" else ids.get(leader, leader),
        leader_epoch=int(vote[2]),
        failover=str(master.get("failover-state", "")),
        replicas=int(master["num-slaves"]),
        others=int(master["num-other-sentinels"]),
        quorum=int(master["quorum"]),
        tilt=bool(int(info.get("sentinel_tilt", 0))),
    )


def log_event(name: str, line: LogLine) -> Event | None:
    """The event that a line of a Sentinel's log tells of: "+sdown", "+switch-master" ...

    A vote of another Sentinel that it has counted is one of kind "voted".
    """
    found = _EVENT.match(line.text)
    if found is not None:
        return Event(line.time, name, found[1], found[2] or "")
    found = _VOTE.match(line.text)
    return None if found is None else Event(line.time, name, "voted", f"{found[1]} for {found[2]}")
