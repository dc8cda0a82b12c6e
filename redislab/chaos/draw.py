"""A schedule from a seed: incidents at random moments, each of some actions and of their undoing.

What is drawn does not depend on what happens, so a schedule is the same in every world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from random import Random

from redislab.chaos.schedule import Action, Do, Schedule, Setup
from redislab.worlds.base import BOTH

# Seconds between the beginnings of two incidents, on average.
GAP_SECONDS = 10.0
# Incidents last so long at least and at most, drawn evenly on a logarithmic scale.
SPAN_SECONDS = (0.5, 60.0)
DELAY_SECONDS_MAX = 1.5
DRIFT_MAX = 0.05  # the twentieth part; a cheap crystal is a thousand times better
JUMP_SECONDS_MAX = 60.0


def draw(seed: int, seconds: float) -> Schedule:
    """The schedule of a seed.

    Args:
        seed: decides everything.
        seconds: how long it is to be.
    """
    random = Random(f"schedule/{seed}")
    setup = draw_setup(random)
    return Schedule(seed, seconds, setup, tuple(_Artist(random, setup, seconds).draw()))


def draw_setup(random: Random) -> Setup:
    """A lab: mostly two replicas and three Sentinels, with short timeouts."""
    sentinels = random.choice((3, 3, 3, 5))
    return Setup(
        replicas=random.choice((1, 2, 2, 2, 3)),
        sentinels=sentinels,
        quorum=random.choice((sentinels // 2 + 1,) * 4 + (1, sentinels)),
        down_after_ms=random.choice((1_000, 2_000, 5_000)),
        failover_timeout_ms=random.choice((6_000, 10_000, 20_000)),
        parallel_syncs=random.choice((1, 1, 2)),
    )


class _Artist:
    """Draws the incidents of one schedule."""

    def __init__(self, random: Random, setup: Setup, seconds: float) -> None:
        self.random = random
        self.setup = setup
        self.seconds = seconds
        self.nodes = [*setup.servers, *setup.watchers]
        self.hosts = [*self.nodes, *setup.clients]
        self.actions: list[Action] = []
        # Until when something is done to a node that would get in the way of something else.
        self._busy: dict[str, float] = {}

    def draw(self) -> list[Action]:
        """All actions, in order of time."""
        kinds: Sequence[tuple[int, Callable[[float, float], None]]] = (
            (6, self._kill),
            (4, self._pause),
            (2, self._power_off),
            (4, self._cut),
            (3, self._isolate),
            (3, self._split),
            (2, self._slow),
            (2, self._swizzle),
            (1, self._drift),
            (1, self._jump),
        )
        weights = [weight for weight, _ in kinds]
        now = self.random.expovariate(1 / GAP_SECONDS)
        while now < self.seconds:
            _, incident = self.random.choices(kinds, weights)[0]
            incident(now, min(self.seconds, now + self._span()))
            now += self.random.expovariate(1 / GAP_SECONDS)
        return sorted(self.actions, key=lambda action: action.at)

    # -- nodes -----------------------------------------------------------------------------------

    def _kill(self, begin: float, end: float) -> None:
        self._node_away(begin, end, "kill", "restart")

    def _pause(self, begin: float, end: float) -> None:
        self._node_away(begin, end, "pause", "resume")

    def _power_off(self, begin: float, end: float) -> None:
        self._node_away(begin, end, "power_off", "restart")

    def _node_away(self, begin: float, end: float, away: Do, back: Do) -> None:
        """Take a node away that nothing else is being done to; more often a server."""
        pool = self.setup.servers if self.random.random() < 0.65 else self.setup.watchers
        free = [name for name in pool if self._busy.get(name, 0.0) < begin]
        if free:
            name = self.random.choice(free)
            self._busy[name] = end
            self._act(begin, away, name)
            self._act(end, back, name)

    # -- links -----------------------------------------------------------------------------------

    def _cut(self, begin: float, end: float) -> None:
        """One link, both ways or one way."""
        a, b = self.random.sample(self.hosts, 2)
        direction = self.random.choice((BOTH, "a->b", "b->a"))
        self.actions.append(Action(_round(begin), "cut", a, b, direction))
        self._act(end, "heal", a, b)

    def _isolate(self, begin: float, end: float) -> None:
        """Every link of one node, now and then in one direction only."""
        lone = self.random.choice(self.nodes)
        direction = self.random.choice((BOTH, BOTH, "a->b", "b->a"))
        for other in self.hosts:
            if other != lone:
                self.actions.append(Action(_round(begin), "cut", lone, other, direction))
                self._act(end, "heal", lone, other)

    def _split(self, begin: float, end: float) -> None:
        """All hosts into two parts that do not hear of each other."""
        hosts = self.random.sample(self.hosts, len(self.hosts))
        size = self.random.randint(1, len(hosts) - 1)
        for a in hosts[:size]:
            for b in hosts[size:]:
                self._act(begin, "cut", a, b)
                self._act(end, "heal", a, b)

    def _slow(self, begin: float, end: float) -> None:
        """Links of one host that are slow."""
        lone = self.random.choice(self.hosts)
        others = [host for host in self.hosts if host != lone]
        for other in self.random.sample(others, self.random.randint(1, len(others))):
            seconds = _round(self.random.uniform(0.01, DELAY_SECONDS_MAX))
            jitter = _round(self.random.uniform(0.0, seconds))
            slow = Action(_round(begin), "delay", lone, other, seconds=seconds, jitter=jitter)
            self.actions.append(slow)
            self._act(end, "heal", lone, other)

    def _swizzle(self, begin: float, end: float) -> None:
        """Cut some links one after the other, and heal them likewise, in another order."""
        links = list(combinations(self.hosts, 2))
        chosen = self.random.sample(links, self.random.randint(3, min(10, len(links))))
        middle = (begin + end) / 2
        for a, b in chosen:
            self._act(self.random.uniform(begin, middle), "cut", a, b)
            self._act(self.random.uniform(middle, end), "heal", a, b)

    # -- clocks ----------------------------------------------------------------------------------

    def _drift(self, begin: float, end: float) -> None:
        name = self.random.choice(self.nodes)
        rate = round(1 + self.random.uniform(-DRIFT_MAX, DRIFT_MAX), 4)
        self.actions.append(Action(_round(begin), "drift", name, rate=rate))
        self._act(end, "drift", name)

    def _jump(self, begin: float, end: float) -> None:
        seconds = _round(self.random.uniform(-JUMP_SECONDS_MAX, JUMP_SECONDS_MAX))
        name = self.random.choice(self.nodes)
        self.actions.append(Action(_round(begin), "jump", name, seconds=seconds))

    # -- inside ----------------------------------------------------------------------------------

    def _act(self, at: float, do: Do, a: str, b: str = "") -> None:
        self.actions.append(Action(_round(at), do, a, b))

    def _span(self) -> float:
        shortest, longest = SPAN_SECONDS
        span: float = shortest * (longest / shortest) ** self.random.random()
        return span


def _round(seconds: float) -> float:
    return round(seconds, 3)
