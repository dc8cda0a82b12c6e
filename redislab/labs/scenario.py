"""A scenario: how a lab is made, its seed, and what is done to it when. It is a run, told shortly.

`lab.scenario()` tells of a lab what was done to it so far. In `sim` that is enough to have the run
again, byte for byte: `play` makes such a lab anew and brings it to any moment of that run, from
where it may go on in another way. Elsewhere it does the same things at the same times, and what
comes of them is up to the machine.

```json
{"version": 1, "lab": "sentinel", "seed": 7, "seconds": 31.5, "setup": {"down_after_ms": 2000},
 "actions": [
  {"at": 12.5, "do": "write", "rate": 20.0},
  {"at": 14.0, "do": "kill", "a": "redis-1"}]}
```

A "look" is the lab asking its nodes for what a view shows. It is done again because its messages
are part of the run; whoever writes a scenario by hand leaves looks out. What a cell does with a
client of its own is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from inspect import signature
from typing import TYPE_CHECKING, Any, Self, get_args

import redis

from redislab.labs.actions import (
    Action,
    Do,
    actions_json,
    clocked,
    number,
    read_actions,
    read_json,
    require,
    whole,
)
from redislab.worlds import WORLDS
from redislab.worlds.base import CLIENT

if TYPE_CHECKING:
    from redislab.labs.sentinel import SentinelLab

VERSION = 1
NODES_MAX = 50
_MS_MAX = 86_400_000
# Arguments that are objects with figures: where their class is.
_OBJECTS = {
    "faults": ("redislab.worlds.sim.faults", "Faults"),
    "work": ("redislab.worlds.sim.work", "Work"),
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run, told shortly.

    Attributes:
        seed: of the lab.
        seconds: when it is over, on the lab's clock, which begins when the lab does.
        setup: the arguments of `SentinelLab` that are not as they would be anyhow, as plain data.
        actions: what is done, in order of time.
    """

    seed: int = 0
    seconds: float = 0.0
    setup: Mapping[str, Any] = field(default_factory=dict)
    actions: tuple[Action, ...] = ()

    def until(self, time: float) -> Scenario:
        """The same up to a moment, in seconds of the lab's clock."""
        kept = tuple(each for each in self.actions if each.at <= time)
        return replace(self, seconds=min(self.seconds, time), actions=kept)

    def with_looks(self, begin: float, every: float) -> Scenario:
        """The same with the lab looking at its nodes as time passes, unless it does already.

        Args:
            begin: from when on, in seconds of the lab's clock.
            every: seconds between two looks.
        """
        if any(each.do == "look" for each in self.actions):
            return self
        found: list[Action] = []
        before = begin
        for moment, action in [*((each.at, each) for each in self.actions), (self.seconds, None)]:
            times = int((moment - before) / every)
            if times > 0:
                found.append(Action(before, "look", times=times, every=every))
            found += [] if action is None else [action]
            before = max(before, moment)
        return replace(self, actions=tuple(found))

    # -- carrying it out -------------------------------------------------------------------------

    def start(self, world: str | None = None) -> SentinelLab:
        """The lab at its beginning; raises what `SentinelLab` raises.

        Args:
            world: where; None is the one of the scenario.
        """
        from redislab.labs.sentinel import SentinelLab

        arguments = {name: _unfold(name, value) for name, value in self.setup.items()}
        if world is not None:
            arguments["world"] = world
        return SentinelLab(seed=self.seed, **arguments)

    def play(self, until: float | None = None, *, world: str | None = None) -> SentinelLab:
        """A lab that has come as far, to go on with.

        Args:
            until: to which moment, in seconds of the lab's clock; None is the end.
            world: where; None is the one of the scenario.
        """
        lab = self.start(world)
        try:
            self.carry_out(lab, until)
        except BaseException:
            lab.close()
            raise
        return lab

    def carry_out(
        self,
        lab: SentinelLab,
        until: float | None = None,
        do: Callable[[Action, SentinelLab], object] = Action.apply,
    ) -> None:
        """Do it all to a lab that is at its beginning.

        A Sentinel that refuses is part of the run, and so is a master that does not answer.

        Args:
            lab: made by `start`.
            until: to which moment; None is the end.
            do: does one action, with one look where there are several.
        """
        ends = self.seconds if until is None else until
        for action in self.actions:
            if action.at > ends:
                break
            lab.run_until(action.at)
            one = replace(action, times=1, every=0.0)
            for place in range(action.times):
                if place:
                    if lab.now + action.every > ends:
                        break
                    lab.run_for(action.every)
                try:
                    do(one, lab)
                except redis.RedisError:
                    continue
        lab.run_until(ends)

    # -- as text ---------------------------------------------------------------------------------

    def code(self) -> str:
        """A Python program that does the same things at the same times, looks left out."""
        words = [f"{name}={_code(name, value)}" for name, value in self.setup.items()]
        lines = ["from redislab import SentinelLab"]
        for name in self.setup:
            if name in _OBJECTS:
                module, kind = _OBJECTS[name]
                lines.append(f"from {module} import {kind}")
        call = f"SentinelLab({', '.join([*words, f'seed={self.seed}'])})"
        if len(call) > 72:
            inside = "".join(f"    {word},\n" for word in [*words, f"seed={self.seed}"])
            call = f"SentinelLab(\n{inside})"
        lines += ["", f"lab = {call}", *clocked(self.actions, self.seconds)]
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """As JSON, one action a line."""
        head = {
            "version": VERSION,
            "lab": "sentinel",
            "seed": self.seed,
            "seconds": self.seconds,
            "setup": dict(self.setup),
        }
        return actions_json(head, self.actions)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` has written.

        Raises:
            ValueError: it is none, of another version, or it names what is not there; the message
                says in a line what is wrong.
        """
        told = read_json(_text(text))
        if not isinstance(told, dict) or "version" not in told:
            raise ValueError("a scenario is an object with version, seed, seconds, setup, actions")
        version = told["version"]
        require(version == VERSION, f"this is version {version!r}; {VERSION} is read here")
        known = ("version", "lab", "seed", "seconds", "setup", "actions")
        strangers = [name for name in told if name not in known]
        require(not strangers, f"{', '.join(strangers)}: a scenario has {', '.join(known)}")
        lab = told.get("lab", "sentinel")
        require(lab == "sentinel", f"this is of a lab {lab!r}, and not of one with Sentinels")
        seed = whole(told.get("seed", 0), "seed", -(2**63), 2**63)
        setup = _checked(told.get("setup", {}))
        actions = read_actions(told.get("actions", []), nodes_of(setup), (CLIENT,), get_args(Do))
        last = actions[-1].at if actions else 0.0
        seconds = number(told.get("seconds", last), "seconds")
        return cls(seed, max(seconds, last), setup, tuple(actions))


def nodes_of(setup: Mapping[str, Any]) -> list[str]:
    """The names of the nodes of a lab."""
    servers = [f"redis-{place + 1}" for place in range(setup.get("replicas", 2) + 1)]
    return servers + [f"sentinel-{place + 1}" for place in range(setup.get("sentinels", 3))]


def setup_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a lab as plain data, without those that are as they would be anyhow.

    Raises:
        ValueError: one of them is an object that JSON has no words for.
    """
    defaults = _defaults()
    return {
        name: _plain(name, value)
        for name, value in arguments.items()
        if name != "seed" and (name not in defaults or value != defaults[name])
    }


def plain_actions(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Actions with the options of their clients as plain data.

    Raises:
        ValueError: one of the options is an object that JSON has no words for.
    """
    return tuple(
        replace(each, options={k: _plain(k, value) for k, value in each.options.items()})
        if each.options
        else each
        for each in actions
    )


def _defaults() -> dict[str, Any]:
    from redislab.labs.sentinel import SentinelLab

    return {
        name: each.default
        for name, each in signature(SentinelLab.__init__).parameters.items()
        if each.kind is each.KEYWORD_ONLY
    }


def _plain(name: str, value: Any) -> Any:
    """A value as JSON has it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(name, each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [_plain(name, each) for each in value]
    if name in _OBJECTS and is_dataclass(value) and not isinstance(value, type):
        told = {each.name: getattr(value, each.name) for each in fields(value)}
        usual = {each.name: each.default for each in fields(value)}
        return {key: each for key, each in told.items() if each != usual[key]}
    raise ValueError(f"a scenario has no words for {name}={type(value).__name__}")


def _unfold(name: str, value: Any) -> Any:
    """An argument of `SentinelLab` out of plain data."""
    if name in _OBJECTS:
        return _class_of(name)(**value)
    if name in {"config", "sentinel_config"}:
        return {k: tuple(each) if isinstance(each, list) else each for k, each in value.items()}
    return value


def _code(name: str, value: Any) -> str:
    if name in _OBJECTS:
        words = ", ".join(f"{key}={each!r}" for key, each in value.items())
        return f"{_OBJECTS[name][1]}({words})"
    return repr(_unfold(name, value))


def _class_of(name: str) -> Any:
    from importlib import import_module

    module, kind = _OBJECTS[name]
    return getattr(import_module(module), kind)


def _checked(told: object) -> dict[str, Any]:
    """A setup out of JSON, checked; raises ValueError."""
    require(isinstance(told, Mapping), "setup is an object with the arguments of SentinelLab")
    setup: dict[str, Any] = dict(told)  # type: ignore[call-overload]
    known = [name for name in _defaults() if name != "seed"] + list(_OBJECTS)
    strangers = [name for name in setup if name not in known]
    require(not strangers, f"{', '.join(strangers)}: SentinelLab takes {', '.join(known)}")
    bounds = {
        "replicas": (0, NODES_MAX),
        "sentinels": (0, NODES_MAX),
        "quorum": (1, NODES_MAX),
        "down_after_ms": (1, _MS_MAX),
        "failover_timeout_ms": (1, _MS_MAX),
        "parallel_syncs": (1, NODES_MAX),
    }
    for name, value in setup.items():
        if name in bounds:
            whole(value, name, *bounds[name])
        elif name == "world" and value not in WORLDS:
            raise ValueError(f"there is no world {value!r}, only {', '.join(WORLDS)}")
        elif name in {"service", "password", "sentinel_password"}:
            _fits(name, value, isinstance(value, str) or (value is None and name != "service"))
        elif name == "ready":
            _fits(name, value, isinstance(value, bool))
        elif name.startswith("real_"):
            places = value is None or isinstance(value, bool | list)
            _fits(name, value, places)
        elif name in {"config", "sentinel_config"}:
            _fits(name, value, isinstance(value, Mapping))
        elif name in _OBJECTS:
            _fits(name, value, isinstance(value, Mapping))
            try:
                _class_of(name)(**value)
            except (TypeError, ValueError) as failure:
                raise ValueError(f"{name}: {failure}") from None
    return setup


def _fits(name: str, value: object, fits: object) -> None:
    require(fits, f"{name} of SentinelLab cannot be {value!r}")


def _text(text: str | bytes) -> str:
    if isinstance(text, str):
        return text
    try:
        return bytes(text).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("this is no JSON: it is not UTF-8 text") from None
