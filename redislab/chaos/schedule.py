"""What is done to a lab, and when: a schedule is plain data that turns into JSON and into code.

```json
{"seed": 7, "seconds": 60.0, "setup": {"replicas": 2, "sentinels": 3, "quorum": 2},
 "actions": [{"at": 4.2, "do": "kill", "a": "redis-1"},
             {"at": 9.0, "do": "cut", "a": "redis-2", "b": "sentinel-1", "direction": "a->b"}]}
```
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self, get_args

from redislab.labs.sentinel import SentinelLab
from redislab.worlds.base import BOTH

Do = Literal[
    "kill",
    "power_off",
    "restart",
    "pause",
    "resume",
    "cut",
    "delay",
    "heal",
    "drift",
    "jump",
]

# What only the simulation can do.
_OF_SIM_ONLY = frozenset({"power_off", "drift", "jump"})
_OF_LINKS = frozenset({"cut", "delay", "heal"})


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that is done to a lab.

    Attributes:
        at: when, in seconds since the schedule began.
        do: what; "kill" and the like are methods of a lab.
        a: to which node, or the first host of a link; a "heal" without hosts heals all.
        b: the second host of a link.
        direction: of a cut.
        seconds: of a delay one way; by how many a clock jumps.
        jitter: of a delay.
        rate: at which a clock runs from now on.
    """

    at: float
    do: Do
    a: str = ""
    b: str = ""
    direction: str = BOTH
    seconds: float = 0.0
    jitter: float = 0.0
    rate: float = 1.0

    def apply(self, lab: SentinelLab) -> None:
        """Do it, unless it makes no sense any more: a node that is down cannot be paused."""
        if self.do == "heal":
            lab.heal(self.a or None, self.b or None)
        elif self.do == "cut":
            lab.cut(self.a, self.b, self.direction)
        elif self.do == "delay":
            lab.delay(self.a, self.b, self.seconds, self.jitter)
        elif self.do == "drift":
            _sim(lab).drift(self.a, self.rate)
        elif self.do == "jump":
            _sim(lab).jump(self.a, self.seconds)
        elif self.do == "restart":
            lab.restart(self.a)
        elif lab.place.state(self.a) in {"running", "paused"}:
            getattr(lab, self.do)(self.a)

    def code(self) -> str:
        """The line of Python that does it."""
        if self.do in {"drift", "jump"}:
            value = self.rate if self.do == "drift" else self.seconds
            return f"lab.place.{self.do}({self.a!r}, {value!r})"
        words = [repr(each) for each in (self.a, self.b) if each]
        if self.do == "cut" and self.direction != BOTH:
            words.append(repr(self.direction))
        if self.do == "delay":
            words += [repr(self.seconds), *([repr(self.jitter)] if self.jitter else [])]
        return f"lab.{self.do}({', '.join(words)})"

    def to_dict(self) -> dict[str, Any]:
        """As plain data, without what is as it would be anyhow."""
        default = Action(0.0, self.do)
        told = asdict(self).items()
        return {k: v for k, v in told if k in {"at", "do"} or v != getattr(default, k)}


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

    def keep(self, places: Collection[int]) -> Schedule:
        """The same with only some of its actions, by their places."""
        kept = tuple(each for at, each in enumerate(self.actions) if at in places)
        return replace(self, actions=kept)

    def for_world(self, world: str) -> Schedule:
        """The same without what only the simulation can do."""
        if world == "sim":
            return self
        kept = tuple(each for each in self.actions if each.do not in _OF_SIM_ONLY)
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
        before = 0.0
        for action in self.actions:
            if action.at > before:
                lines.append(f"lab.run_for({action.at - before:.3f})")
                before = action.at
            lines.append(action.code())
        if self.seconds > before:
            lines.append(f"lab.run_for({self.seconds - before:.3f})")
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """As JSON, one action a line."""
        default = asdict(Setup())
        setup = {
            name: value for name, value in asdict(self.setup).items() if value != default[name]
        }
        head = {"seed": self.seed, "seconds": self.seconds, "setup": setup}
        actions = ",\n  ".join(json.dumps(each.to_dict()) for each in self.actions)
        return f'{json.dumps(head)[:-1]},\n "actions": [\n  {actions}]}}\n'

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` has written.

        Raises:
            ValueError: it is none; the message says what is wrong.
        """
        try:
            told = json.loads(text)
        except json.JSONDecodeError as failure:
            raise ValueError(f"this is no JSON: {failure}") from None
        if not isinstance(told, dict) or not {"seed", "seconds"} <= told.keys():
            raise ValueError("a schedule is an object with seed, seconds, setup and actions")
        setup = _made(Setup, told.get("setup", {}))
        actions = [_action(each, setup) for each in told.get("actions", [])]
        actions.sort(key=lambda action: action.at)
        return cls(int(told["seed"]), float(told["seconds"]), setup, tuple(actions))


def _action(told: object, setup: Setup) -> Action:
    action: Action = _made(Action, told)
    if action.do not in get_args(Do):
        raise ValueError(f"nobody can {action.do!r}; there are {', '.join(get_args(Do))}")
    hosts = [*setup.servers, *setup.watchers, *setup.clients]
    heals_all = action.do == "heal" and not action.a
    named = [] if heals_all else [action.a]
    if action.do in _OF_LINKS and not heals_all:
        named.append(action.b)
    for name in named:
        if name not in hosts:
            raise ValueError(f"{action.do} of {name!r}: there are only {', '.join(hosts)}")
    return action


def _made(kind: type[Any], told: object) -> Any:
    if not isinstance(told, Mapping):
        wrong = f"{kind.__name__} is an object with names, not {told!r}"
        raise ValueError(wrong)  # noqa: TRY004 - what `from_json` raises
    known = [each.name for each in fields(kind)]
    strangers = [name for name in told if name not in known]
    if strangers:
        raise ValueError(f"{', '.join(strangers)}: of {kind.__name__} there is {', '.join(known)}")
    try:
        return kind(**told)
    except TypeError as failure:
        raise ValueError(f"{kind.__name__}: {failure}") from None


def _sim(lab: SentinelLab) -> Any:
    """The simulation, which alone has clocks that can be set."""
    return lab.place
