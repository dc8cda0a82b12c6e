"""What a lab knows of a node at one moment, learned over the Redis protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """One node at one moment.

    Attributes:
        name: its name in the lab.
        host: its address.
        port: its port.
        up: whether it answered.
        state: what the lab did to it: "running", "paused", "killed", "crashed" or "stopped".
        role: "master" or "slave", as INFO says; empty when it did not answer.
        keys: in all databases.
        clients: connections it has, the lab's own among them.
        used_memory: bytes, as INFO says.
        commands: processed since it started.
        info: every field of INFO, as redis-py reads them.
    """

    name: str
    host: str
    port: int
    up: bool
    state: str
    role: str = ""
    keys: int = 0
    clients: int = 0
    used_memory: int = 0
    commands: int = 0
    info: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A lab at one moment.

    Attributes:
        time: seconds since the lab began.
        node: its one node.
    """

    time: float
    node: NodeSnapshot

    def to_dict(self) -> dict[str, Any]:
        """As plain data that turns into JSON."""
        return asdict(self)


def node_snapshot(
    name: str, host: str, port: int, state: str, info: Mapping[str, Any] | None
) -> NodeSnapshot:
    """A node's snapshot from its INFO; None is no answer."""
    if info is None:
        return NodeSnapshot(name, host, port, up=False, state=state)
    databases = [v for k, v in info.items() if k.startswith("db") and isinstance(v, dict)]
    return NodeSnapshot(
        name,
        host,
        port,
        up=True,
        state=state,
        role=str(info.get("role", "")),
        keys=sum(int(database.get("keys", 0)) for database in databases),
        clients=int(info.get("connected_clients", 0)),
        used_memory=int(info.get("used_memory", 0)),
        commands=int(info.get("total_commands_processed", 0)),
        info=dict(info),
    )
