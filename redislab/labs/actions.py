"""What can be done to a lab with Sentinels, as plain data that turns into JSON and into code.

An `Action` is one thing that is done at one moment: a fault, or what a reader does with a client or
with a Sentinel. Schedules (`redislab/chaos/`) and scenarios (`scenario.py`) are lists of them.

```json
{"at": 4.2, "do": "kill", "a": "redis-1"}
{"at": 9.0, "do": "cut", "a": "redis-2", "b": "sentinel-1", "direction": "a->b"}
```
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from redislab.worlds.base import BOTH, CLIENT, directions

if TYPE_CHECKING:
    from redislab.labs.sentinel import SentinelLab

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
    "drop",
    "partition",
    "failover",
    "write",
    "stop",
    "find_lost",
    "host",
    "look",
    "ask",
]

FAULTS: tuple[Do, ...] = (
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
    "drop",
)
# The lab's own questions to its nodes: they are messages too, and take some time.
LOOKS: tuple[Do, ...] = ("look", "ask")

# What only the simulation can do.
OF_SIM_ONLY = frozenset({"power_off", "drift", "jump"})
_OF_LINKS = frozenset({"cut", "delay", "heal", "drop"})
_OF_WRITERS = frozenset({"stop", "find_lost"})
# A lab that is waited for until it has done a billion things would never come back.
ACTIONS_MAX = 20_000
LOOKS_MAX = 1_000_000

Sides = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that is done to a lab.

    Attributes:
        at: when, in seconds: of the lab's clock, or since a schedule began.
        do: what; "kill" and the like are methods of a lab. "write" starts a client that writes,
            "stop" stops it and "find_lost" asks which of its writes are gone; "host" is a client
            on a host of its own; "look" is a snapshot of the lab, and "ask" one of its Sentinels.
        a: to which node, or the first host of a link; a "heal" without hosts heals all; the host of
            a client; the name of a writer.
        b: the second host of a link.
        direction: of a cut.
        seconds: of a delay one way; by how many a clock jumps.
        jitter: of a delay.
        rate: at which a clock runs from now on; writes a second.
        kept: when the power fails, the share of what was not synced that is there all the same;
            None leaves it to chance.
        wipe: a node is started again without its files.
        options: of a client that writes.
        sides: of a partition.
        between: the hosts that are on no side of it.
        times: how many looks there are, one after the other.
        every: seconds from the end of a look to the next one.
        refused: what the answer was, if nothing came of it.
    """

    at: float
    do: Do
    a: str = ""
    b: str = ""
    direction: str = BOTH
    seconds: float = 0.0
    jitter: float = 0.0
    rate: float = 1.0
    kept: float | None = None
    wipe: bool = False
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    sides: Sides = ()
    between: tuple[str, ...] = ()
    times: int = 1
    every: float = 0.0
    refused: str = ""

    def apply(self, lab: SentinelLab) -> None:
        """Do it, unless it makes no sense any more: a node that is down cannot be paused.

        Raises:
            redis.RedisError: a Sentinel refuses, or the master does not answer.
        """
        match self.do:
            case "heal":
                lab.heal(self.a or None, self.b or None)
            case "cut":
                lab.cut(self.a, self.b, self.direction)
            case "delay":
                lab.delay(self.a, self.b, self.seconds, self.jitter)
            case "drift":
                lab.drift(self.a, self.rate)
            case "jump":
                lab.jump(self.a, self.seconds)
            case "drop":
                lab.drop(self.a, self.b)
            case "partition":
                lab.partition(*self.sides, between=self.between)
            case "failover":
                lab.failover(self.a)
            case "write":
                lab.writer(rate=self.rate, at=self.a or CLIENT, **self.options)
            case "stop":
                lab.writer_of(self.a).stop()
            case "find_lost":
                lab.writer_of(self.a).missing()
            case "host":
                lab.client(lab.servers[0], at=self.a)
            case "look":
                lab.snapshot()
            case "ask":
                lab.ask()
            case "restart":
                lab.restart(self.a, wipe=self.wipe)
            case "power_off":
                if lab.place.state(self.a) in {"running", "paused"}:
                    lab.power_off(self.a, kept=self.kept)
            case _:
                if lab.place.state(self.a) in {"running", "paused"}:
                    getattr(lab, self.do)(self.a)

    def code(self) -> str:
        """The line of Python that does it; empty for a look. What was refused is a remark."""
        line = self._line()
        return f"# {line}  was refused: {self.refused}" if self.refused else line

    def _line(self) -> str:
        match self.do:
            case "look" | "ask":
                return ""
            case "drift" | "jump":
                value = self.rate if self.do == "drift" else self.seconds
                return f"lab.{self.do}({self.a!r}, {value!r})"
            case "partition":
                words = [repr(list(side)) for side in self.sides]
                words += [f"between={list(self.between)!r}"] if self.between else []
                return f"lab.partition({', '.join(words)})"
            case "write":
                words = [f"rate={self.rate!r}", *([f"at={self.a!r}"] if self.a else [])]
                words += [f"{name}={value!r}" for name, value in self.options.items()]
                return f"lab.writer({', '.join(words)})"
            case "stop":
                return f"lab.writer_of({self.a!r}).stop()"
            case "find_lost":
                return f"print(lab.writer_of({self.a!r}).lost())"
            case "host":
                return f"lab.client(lab.servers[0], at={self.a!r})"
        words = [repr(each) for each in (self.a, self.b) if each]
        if self.do == "cut" and self.direction != BOTH:
            words.append(repr(self.direction))
        if self.do == "delay":
            words += [repr(self.seconds), *([repr(self.jitter)] if self.jitter else [])]
        words += ["wipe=True"] if self.wipe else []
        words += [f"kept={self.kept!r}"] if self.kept is not None else []
        return f"lab.{self.do}({', '.join(words)})"

    def to_dict(self) -> dict[str, Any]:
        """As plain data, without what is as it would be anyhow."""
        default = Action(0.0, self.do)
        told = asdict(self).items()
        return {k: v for k, v in told if k in {"at", "do"} or v != getattr(default, k)}


def program(actions: Iterable[Action], begin: float, end: float) -> list[str]:
    """The lines of a program that does things to `lab`, each at its time, and then waits.

    Args:
        actions: in order of time; looks are left out.
        begin: when it begins, in seconds of the same clock.
        end: when it is over.
    """
    lines = []
    before = begin
    for action in actions:
        line = action.code()
        if not line:
            continue
        lines += _wait(action.at - before)
        before = max(before, action.at)
        lines.append(line)
    return [*lines, *_wait(end - before)]


def clocked(actions: Iterable[Action], end: float) -> list[str]:
    """The same by the lab's own clock, which begins when the lab does."""
    lines = []
    now = ""
    for moment, line in [*((each.at, each.code()) for each in actions), (end, "")]:
        wait = f"lab.run_until({round(moment, 6)!r})"
        if line or moment == end:
            lines += [] if wait == now else [wait]
            lines += [line] if line else []
            now = wait
    return lines


def _wait(seconds: float) -> list[str]:
    """The line that waits; none for less than a millisecond, which is what a look may take."""
    text = f"{seconds:.3f}".rstrip("0").rstrip(".")
    return [] if seconds <= 0 or text == "0" else [f"lab.run_for({text})"]


def actions_json(head: Mapping[str, Any], actions: Iterable[Action]) -> str:
    """An object as JSON, one action a line."""
    lines = ",\n  ".join(json.dumps(each.to_dict()) for each in actions)
    return f'{json.dumps(head)[:-1]},\n "actions": [\n  {lines}]}}\n'


def read_json(text: str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as failure:
        raise ValueError(f"this is no JSON: {failure}") from None


def read_actions(
    told: object, nodes: Collection[str], clients: Collection[str], can: Collection[str]
) -> list[Action]:
    """Actions out of JSON, in order of time.

    Args:
        told: what stands under "actions".
        nodes: the names of nodes.
        clients: the hosts of clients that are there from the start.
        can: what may be done.

    Raises:
        ValueError: one is none, or it names a host that is not there; the message says what is
            wrong.
    """
    require(isinstance(told, list), f"actions are a list, not {_short(told)}")
    listed: list[object] = told  # type: ignore[assignment]
    require(len(listed) <= ACTIONS_MAX, f"{len(listed):,} actions are more than {ACTIONS_MAX:,}")
    found = [_read(each, can) for each in listed]
    found.sort(key=lambda action: action.at)
    hosts = dict.fromkeys([*nodes, *clients])
    writers: dict[str, None] = {}
    looks = 0
    for action in found:
        _check_names(action, nodes, hosts, writers)
        looks += action.times
        if action.do == "write":
            writers[f"write-{len(writers) + 1}"] = None
        if action.do in {"write", "host"} and action.a:
            hosts[action.a] = None
    require(looks <= LOOKS_MAX, f"{looks:,} looks are more than {LOOKS_MAX:,}")
    return found


def require(fits: object, what: str) -> None:
    """Raises ValueError, which says what is wrong, unless it fits."""
    if not fits:
        raise ValueError(what)


def made(kind: type[Any], told: object) -> Any:
    """A dataclass out of JSON.

    Raises:
        ValueError: it does not fit.
    """
    if not isinstance(told, Mapping):
        wrong = f"{kind.__name__} is an object with names, not {_short(told)}"
        raise ValueError(wrong)  # noqa: TRY004 - what callers raise for bad JSON
    known = [each.name for each in fields(kind)]
    strangers = [name for name in told if name not in known]
    if strangers:
        raise ValueError(f"{', '.join(strangers)}: of {kind.__name__} there is {', '.join(known)}")
    try:
        return kind(**told)
    except TypeError as failure:
        raise ValueError(f"{kind.__name__}: {failure}") from None


def number(told: object, name: str, least: float = 0.0) -> float:
    """A number out of JSON, checked.

    Raises:
        ValueError: it is none, or below the least.
    """
    fits = isinstance(told, int | float) and not isinstance(told, bool) and math.isfinite(told)
    if not fits or told < least:  # type: ignore[operator]
        more = "" if least == -math.inf else f", {least:g} or more"
        raise ValueError(f"{name} is a number{more}, not {_short(told)}")
    return float(told)  # type: ignore[arg-type]


def whole(told: object, name: str, least: int, most: int) -> int:
    """A whole number out of JSON, checked.

    Raises:
        ValueError: it is none, or out of bounds.
    """
    if not isinstance(told, int) or isinstance(told, bool) or not least <= told <= most:
        raise ValueError(f"{name} is a whole number from {least} to {most:,}, not {_short(told)}")
    return told


def _read(told: object, can: Collection[str]) -> Action:
    action: Action = made(Action, told)
    do = action.do
    require(
        isinstance(do, str) and do in can, f"nobody can {_short(do)}; there are {', '.join(can)}"
    )
    for name in ("at", "jitter", "every"):
        number(getattr(action, name), f"{name} of {do}")
    number(action.seconds, f"seconds of {do}", -math.inf if do == "jump" else 0.0)
    require(number(action.rate, f"rate of {do}") > 0, f"rate of {do} is above 0")
    whole(action.times, f"times of {do}", 1, LOOKS_MAX)
    for name in ("a", "b", "direction", "refused"):
        value = getattr(action, name)
        require(isinstance(value, str), f"{name} of {do} is text, not {_short(value)}")
    directions(action.a, action.b, action.direction)
    if action.kept is not None:
        require(number(action.kept, f"kept of {do}") <= 1, f"kept of {do} is a share from 0 to 1")
    require(isinstance(action.wipe, bool), f"wipe of {do} is true or false")
    require(isinstance(action.options, Mapping), f"options of {do} are an object with names")
    sides = tuple(_names(each, "a side") for each in _list(action.sides, "sides"))
    between = _names(action.between, "between")
    return replace(action, sides=sides, between=between)


def _list(told: object, name: str) -> list[object]:
    require(isinstance(told, list | tuple), f"{name} is a list, not {_short(told)}")
    return list(told)  # type: ignore[call-overload,no-any-return]


def _names(told: object, name: str) -> tuple[str, ...]:
    listed = _list(told, name)
    fits = all(isinstance(each, str) for each in listed)
    require(fits, f"{name} lists hosts by name, not {_short(told)}")
    return tuple(str(each) for each in listed)


def _check_names(
    action: Action, nodes: Collection[str], hosts: Collection[str], writers: Collection[str]
) -> None:
    """Raises ValueError for a node, a host or a writer that is not there when it is done."""
    known, named = nodes, [action.a]
    if action.do in {"write", "host", "look", "ask"}:
        named = []
    elif action.do in _OF_WRITERS:
        known = writers
    elif action.do == "partition":
        known, named = hosts, [*(host for side in action.sides for host in side), *action.between]
    elif action.do in _OF_LINKS:
        heals_all = action.do == "heal" and not (action.a or action.b)
        known, named = hosts, [] if heals_all else [action.a, action.b]
    for name in named:
        if name not in known:
            there = ", ".join(known) or "none"
            raise ValueError(f"{action.do} of {_short(name)}: there are only {there}")


def _short(told: object) -> str:
    """A value as it is quoted in a line."""
    text = repr(told)
    return text if len(text) <= 60 else f"{text[:57]}..."
