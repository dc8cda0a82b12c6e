"""A lab that writes down what is done to it, by a button or by a cell, and when.

Whoever wants to see a run again needs its seed and these actions (`scenario.py`). In `sim` that is
enough to have every byte of it again, if the lab's own looks are repeated too: each is some
messages, and time passes while they are under way. So they are written down as well, but many at a
steady pace as one.

What a cell does with a client of its own is not seen here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from weakref import ref

import redis

from redislab.labs.actions import Action, Do
from redislab.labs.base import Named
from redislab.labs.network import NetworkLab, Side, names_of
from redislab.worlds.base import BOTH, CLIENT, OBSERVER, WorldError


class History:
    """What was done to a lab, in order.

    Attributes:
        actions: so far.
        is_open: whether what is done is written down.
    """

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.is_open = False
        # When the last look was over, and the one span of time that has passed since; None after
        # anything else.
        self._looked: float | None = None
        self._span: float | None = None

    def add(self, action: Action) -> int:
        """Something was done; returns its place."""
        if self.is_open:
            self.actions.append(action)
            self._looked = None
        return len(self.actions) - 1

    def refused(self, place: int, answer: str) -> None:
        """Nothing came of what was done."""
        if self.is_open:
            self.actions[place] = replace(self.actions[place], refused=answer)

    def passed(self, seconds: float) -> None:
        """The lab let time pass."""
        if self._span is None:
            self._span = seconds
        else:
            self._looked = None

    def looked(self, do: Do, began: float, ended: float) -> None:
        """The lab has asked its nodes."""
        if not self.is_open:
            return
        last = self.actions[-1] if self.actions else None
        looked, span = self._looked, self._span
        if looked is None or span is None or looked + span != began or last is None:
            last = None
        if last is not None and span is not None and last.do == do and last.times == 1:
            self.actions[-1] = replace(last, times=2, every=span)
        elif last is not None and last.do == do and last.every == span:
            self.actions[-1] = replace(last, times=last.times + 1)
        else:
            self.actions.append(Action(began, do))
        self._looked, self._span = ended, None


class RecordedLab(NetworkLab):
    """Nodes that talk to each other, in a lab that knows what was done to it."""

    def __init__(self, world: str, seed: int, **options: Any) -> None:
        self._history = History()
        self._adopted: list[ref[RecordedLab]] = []
        self._hosts_known = {CLIENT, OBSERVER}
        super().__init__(world, seed, **options)

    @property
    def actions(self) -> tuple[Action, ...]:
        """What was done to it so far, its own looks included."""
        return tuple(self._history.actions)

    def run_for(self, seconds: float) -> None:
        """Let that much time pass."""
        super().run_for(seconds)
        self._history.passed(seconds)

    def kill(self, node: Named | None = None) -> None:
        """`kill -9`: the process is gone at once; what it wrote to files stays."""
        at, name = self.now, self._one(node)
        super().kill(name)
        self._history.add(Action(at, "kill", name))

    def power_off(self, node: Named | None = None, *, kept: float | None = None) -> None:
        """Its host loses power; see `Lab.power_off`."""
        at, name = self.now, self._one(node)
        super().power_off(name, kept=kept)
        self._history.add(Action(at, "power_off", name, kept=kept))

    def restart(self, node: Named | None = None, *, wipe: bool = False) -> None:
        """Start a node again, at the same address, on the files it left; none if `wipe`."""
        at, name = self.now, self._one(node)
        super().restart(name, wipe=wipe)
        self._history.add(Action(at, "restart", name, wipe=wipe))

    def pause(self, node: Named | None = None) -> None:
        """`SIGSTOP`: it stands still, its connections stay open."""
        at, name = self.now, self._one(node)
        super().pause(name)
        self._history.add(Action(at, "pause", name))

    def resume(self, node: Named | None = None) -> None:
        """`SIGCONT`: it goes on."""
        at, name = self.now, self._one(node)
        super().resume(name)
        self._history.add(Action(at, "resume", name))

    def drift(self, node: Named, rate: float) -> None:
        """Let a host's clock run `rate` times as fast as the true one.

        Raises:
            WorldError: outside `sim`, which alone has clocks that can be set.
        """
        at = self.now
        self._clocks().drift(str(node), rate)
        self._history.add(Action(at, "drift", str(node), rate=rate))

    def jump(self, node: Named, seconds: float) -> None:
        """Let a host's clock jump ahead, or back if that is below zero.

        Raises:
            WorldError: outside `sim`, which alone has clocks that can be set.
        """
        at = self.now
        self._clocks().jump(str(node), seconds)
        self._history.add(Action(at, "jump", str(node), seconds=seconds))

    def cut(self, a: Named, b: Named, direction: str = BOTH) -> None:
        """Let nothing through between two hosts; a snapshot tells which are cut."""
        at = self.now
        super().cut(a, b, direction)
        self._history.add(Action(at, "cut", str(a), str(b), direction))

    def partition(self, *sides: Side, between: Side = ()) -> None:
        """Split the network; see `NetworkLab.partition`."""
        at = self.now
        super().partition(*sides, between=between)
        named = tuple(tuple(names_of(side)) for side in sides)
        self._history.add(Action(at, "partition", sides=named, between=tuple(names_of(between))))

    def delay(self, a: Named, b: Named, seconds: float, jitter: float = 0.0) -> None:
        """Add one-way latency between two hosts; a snapshot tells how much."""
        at = self.now
        super().delay(a, b, seconds, jitter)
        self._history.add(Action(at, "delay", str(a), str(b), seconds=seconds, jitter=jitter))

    def heal(self, a: Named | None = None, b: Named | None = None) -> None:
        """Undo every cut and every delay, or those between two hosts, both ways."""
        at = self.now
        super().heal(a, b)
        one, other = ("" if end is None else str(end) for end in (a, b))
        self._history.add(Action(at, "heal", one, other))

    def drop(self, a: Named, b: Named) -> None:
        """Lose what is under way between two hosts; see `Lab.drop`."""
        at = self.now
        super().drop(a, b)
        self._history.add(Action(at, "drop", str(a), str(b)))

    def _clocks(self) -> Any:
        """The world, if it has clocks that can be set."""
        if self.world != "sim":
            raise WorldError(f"the world {self.world!r} cannot set a clock: say world='sim'")
        return self._world

    # -- for labs and their clients --------------------------------------------------------------

    @contextmanager
    def doing(self, do: Do, a: str, **more: Any) -> Iterator[None]:
        """Something is done to a node or to a client by messages, and may be refused."""
        place = self._history.add(Action(self.now, do, a, **more))
        try:
            yield
        except redis.RedisError as failure:
            self._history.refused(place, str(failure).partition("\n")[0] or "no answer")
            raise

    @contextmanager
    def looking(self, do: Do) -> Iterator[None]:
        """The lab asks its nodes."""
        began = self.now
        try:
            yield
        finally:
            # In real time no run is like another, whoever looks.
            if self.world == "sim":
                self._history.looked(do, began, self.now)

    def settle_at(self, at: str) -> None:
        """A client is on a host: one that is new is there from now on, and may be cut off."""
        if at not in self._hosts_known:
            self._hosts_known.add(at)
            self._history.add(Action(self.now, "host", at))

    def adopt(self, other: RecordedLab) -> None:
        """Let another lab end with this one."""
        self._adopted.append(ref(other))

    def close(self) -> None:
        """Stop everything, forks included, and leave nothing behind. May be called again."""
        for each in self._adopted:
            other = each()
            if other is not None:
                other.close()
        super().close()
