"""What an outage between a master and a replica costs: cut, write, heal, and see what was sent.

An outage ends in one of three ways. If it is shorter than `repl-timeout`, neither side gives the
connection up, and TCP delivers late what was written meanwhile. If it is longer, the replica comes
back with PSYNC: either the master's backlog still holds all that it missed (a partial
resynchronization), or it does not, and all data is sent anew (a full one). Which it was is told by
the counters of the master's INFO, so the experiment is the same in every world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from redislab.labs.base import Named
from redislab.labs.replication import ReplicationLab
from redislab.worlds.base import NodeHandle

Verdict = Literal["not noticed", "partial", "full"]

_LOOK_SECONDS = 0.25
_REPAIR_SECONDS_MAX = 180.0  # a simulated TCP may wait for two minutes before it tries again


class TimePasser(Protocol):
    """Lets time pass: a lab, or a watch that takes pictures meanwhile."""

    def run_for(self, seconds: float) -> None:
        """Let that much time pass."""
        ...


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage that is over.

    Attributes:
        seconds: how long nothing got through.
        bytes_per_second: how much was written to the stream meanwhile.
        missed: bytes of the stream that the replica had not got when the link was healed.
        verdict: how it was repaired.
        sent: bytes that the master sent to its replicas to repair it.
        repaired_after: seconds from the healing until the replica had everything.
    """

    seconds: float
    bytes_per_second: float
    missed: int
    verdict: Verdict
    sent: int
    repaired_after: float


def outage(
    lab: ReplicationLab,
    seconds: float,
    bytes_per_second: float,
    *,
    replica: Named | None = None,
    watch: Any = None,
    value_bytes: int = 1000,
    keys: int = 100,
) -> Outage:
    """Cut a replica off for a while, with a client that writes to the master.

    Args:
        lab: a master and its replicas.
        seconds: how long to cut the link.
        bytes_per_second: of the stream, written meanwhile.
        replica: which one; None is the first.
        watch: a `ReplicationWatch` that is to record it.
        value_bytes: the size of the values; larger ones make the same bytes with less work.
        keys: how many keys are written to.

    Raises:
        TimeoutError: the replica did not get everything within three minutes.
    """
    master = lab.master
    node = lab.replicas[0] if replica is None else lab.find(replica)
    writing: dict[str, Any] = {"value_bytes": value_bytes, "keys": keys}
    before = _info(lab, master)
    lab.cut(master, node)
    if watch is None:
        lab.write_for(seconds, bytes_per_second, step=_LOOK_SECONDS, **writing)
    else:
        watch.run_for(seconds, bytes_per_second, **writing)
    healing = _info(lab, master)
    missed = int(healing["master_repl_offset"]) - lab.snapshot().follower(node).offset
    lab.heal()
    healed_at = lab.now
    _wait(lab, lab if watch is None else watch)
    after = _info(lab, master)
    verdict: Verdict = "not noticed"
    if after["sync_full"] > before["sync_full"]:
        verdict = "full"
    elif after["sync_partial_ok"] > before["sync_partial_ok"]:
        verdict = "partial"
    sent = int(after["total_net_repl_output_bytes"]) - int(healing["total_net_repl_output_bytes"])
    return Outage(seconds, bytes_per_second, missed, verdict, sent, lab.now - healed_at)


def _info(lab: ReplicationLab, master: NodeHandle) -> Mapping[str, Any]:
    return lab.snapshot().node(master).info


def _wait(lab: ReplicationLab, passer: TimePasser) -> None:
    ends = lab.now + _REPAIR_SECONDS_MAX
    while not lab.snapshot().in_sync:
        if lab.now > ends:
            raise TimeoutError(f"not repaired after {_REPAIR_SECONDS_MAX:g} s: {lab.snapshot()}")
        passer.run_for(_LOOK_SECONDS)
