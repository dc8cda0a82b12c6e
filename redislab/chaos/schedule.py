"""What is done to a lab, and when: a schedule is plain data that turns into JSON and into code.

```json
{"seed": 7, "seconds": 60.0, "setup": {"replicas": 2, "sentinels": 3, "quorum": 2},
 "actions": [{"at": 4.2, "do": "kill", "a": "redis-1"},
             {"at": 9.0, "do": "cut", "a": "redis-2", "b": "sentinel-1", "direction": "a->b"}]}
```
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Self

from redislab.labs.actions import (
    FAULTS,
    OF_SIM_ONLY,
    Action,
    Do,
    actions_json,
    made,
    program,
    read_actions,
    read_json,
)

_HARM = frozenset(FAULTS) - {"restart", "resume", "heal"}


@dataclass(frozen=True, slots=True)
class Setup:
    """The lab that a schedule is for.

    Attributes:
        replicas, sentinels, quorum: how many.
        down_after_ms, failover_timeout_ms, parallel_syncs: as in sentinel.conf.
        writers: clients that write, each on a host of its own.
        write_rate: writes a second of each.
        read_rate: reads a second of each.
    """

    replicas: int = 2
    sentinels: int = 3
    quorum: int = 2
    down_after_ms: int = 2_000
    failover_timeout_ms: int = 10_000
    parallel_syncs: int = 1
    writers: int = 2
    write_rate: float = 2.0
    read_rate: float = 0.5

    @property
    def servers(self) -> list[str]:
        """The names of the servers."""
        return [f"redis-{number + 1}" for number in range(self.replicas + 1)]

    @property
    def watchers(self) -> list[str]:
        """The names of the Sentinels."""
        return [f"sentinel-{number + 1}" for number in range(self.sentinels)]

    @property
    def clients(self) -> list[str]:
        """The names of the hosts of the clients."""
        return [f"client-{number + 1}" for number in range(self.writers)]


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is done to a lab.

    Attributes:
        seed: of the lab, and of the schedule if it was drawn.
        seconds: how long it is; after it the faults are undone.
        setup: the lab.
        actions: in order of time.
    """

    seed: int
    seconds: float
    setup: Setup = field(default_factory=Setup)
    actions: tuple[Action, ...] = ()

    @property
    def faults(self) -> int:
        """How many of its actions do harm; the others undo it."""
        return sum(
            each.do in _HARM and not (each.do == "drift" and each.rate == 1.0)
            for each in self.actions
        )

    def keep(self, places: Collection[int]) -> Schedule:
        """The same with only some of its actions, by their places."""
        kept = tuple(each for at, each in enumerate(self.actions) if at in places)
        return replace(self, actions=kept)

    def for_world(self, world: str) -> Schedule:
        """The same without what only the simulation can do."""
        if world == "sim":
            return self
        kept = tuple(each for each in self.actions if each.do not in OF_SIM_ONLY)
        return replace(self, actions=kept)

    def code(self) -> str:
        """A Python program that does it by hand."""
        setup = self.setup
        names = ("replicas", "sentinels", "quorum", "down_after_ms", "failover_timeout_ms")
        words = [f"{name}={getattr(setup, name)}" for name in names]
        lines = [
            "from redislab import SentinelLab",
            "",
            f"lab = SentinelLab({', '.join(words)}, seed={self.seed})",
            f"writers = [lab.writer(rate={setup.write_rate!r}, at=at) for at in {setup.clients!r}]",
        ]
        return "\n".join([*lines, *program(self.actions, 0.0, self.seconds)]) + "\n"

    def to_json(self) -> str:
        """As JSON, one action a line."""
        default = asdict(Setup())
        setup = {
            name: value for name, value in asdict(self.setup).items() if value != default[name]
        }
        head = {"seed": self.seed, "seconds": self.seconds, "setup": setup}
        return actions_json(head, self.actions)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` has written.

        Raises:
            ValueError: it is none; the message says what is wrong.
        """
        told = read_json(text)
        if not isinstance(told, dict) or not {"seed", "seconds"} <= told.keys():
            raise ValueError("a schedule is an object with seed, seconds, setup and actions")
        setup: Setup = made(Setup, told.get("setup", {}))
        nodes = [*setup.servers, *setup.watchers]
        actions = read_actions(told.get("actions", []), nodes, setup.clients, FAULTS)
        return cls(int(told["seed"]), float(told["seconds"]), setup, tuple(actions))


__all__ = ["Action", "Do", "Schedule", "Setup"]
