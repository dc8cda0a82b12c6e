"""The view of a hash ring: nodes come and go, and beside it keys move under modulo hashing as well.

`RingView` has a `Ring`, puts another one in its place as its reader says, and records one frame for
each change: where the points are, whose the arcs are, how many of very many keys each node has,
which of the keys that are drawn have moved. The same keys are placed by their hash modulo the
number of nodes, in the order in which the nodes are listed, so that both can be compared.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redislab.ring.distributions import CIRCLE, points_of
from redislab.ring.others import Modulo
from redislab.ring.ring import Ring
from redislab.views.display import View
from redislab.views.fallback import cell_text, fallback_for, table_html
from redislab.views.recording import Frame, Json, Recorder, Recording
from redislab.views.tables import Table

KEYS_DRAWN = 24
KEYS_COUNTED = 10_000
POINTS_CHOICES = (1, 2, 3, 4, 8, 16, 40, 80, 160)
POINTS_MAX = 1000
WEIGHT_MAX = 10
FRAMES_MAX = 120


@dataclass(frozen=True, slots=True)
class RingStep:
    """One change of the nodes, and what it cost.

    Attributes:
        what: what was done.
        nodes: how many there were then.
        keys: how many keys were looked at.
        ring_moved: how many of them got another node on the ring.
        modulo_moved: how many got another one by modulo.
    """

    what: str
    nodes: int
    keys: int
    ring_moved: int
    modulo_moved: int


class RingView(View):
    """A hash ring that its reader changes.

    Args:
        nodes: their names, or their weights by their names; or a ring, whose hash and points count.
        hash: the hash of the keys, by nutcracker's name for it.
        points_per_weight: how many points on the circle a node has for each unit of its weight.
        places: where the point of a node is while every node has only one, as a part of the circle,
            0 to less than 1; other points are where MD5 puts them.
        keys: the keys to draw, or how many to make up.
        sample: how many keys to count; they are others than those that are drawn.
        title: the title, also for a screen reader.

    Attributes:
        ring: the ring as it is now.
        modulo: the same nodes, with keys by modulo.
        steps: what was done so far.

    Raises:
        ValueError: there is no node, or no such hash, or a number that cannot be.
    """

    def __init__(
        self,
        nodes: Iterable[str] | Mapping[str, int] | Ring = ("A", "B", "C"),
        *,
        hash: str = "md5",  # noqa: A002 - as nutcracker's file calls it
        points_per_weight: int = 1,
        places: Mapping[str, float] | None = None,
        keys: Sequence[str] | int = KEYS_DRAWN,
        sample: int = KEYS_COUNTED,
        title: str = "A hash ring, and modulo beside it",
    ) -> None:
        self._places = dict(places or {})
        self._is_given = isinstance(nodes, Ring)
        if isinstance(nodes, Ring):
            self.ring = nodes
        else:
            given = nodes if isinstance(nodes, Mapping) else list(nodes)
            self.ring = Ring(given, hash=hash, points_per_weight=_points(points_per_weight))
            self.ring = self._made(self.ring.weights)
        self.modulo = Modulo(self.ring.weights, hash=self.ring.hash)
        self.steps: list[RingStep] = []
        self._drawn = [f"user:{n + 1}" for n in range(keys)] if isinstance(keys, int) else [*keys]
        self._sample = [f"key:{n}" for n in range(sample)]
        self._looked = ""
        self._names: dict[str, None] = {}
        self._points: dict[str, list[int]] = {}
        self._fields: dict[str, Any] = {}
        self._status: Any = None
        pairs: list[Json] = [[key, self.ring.place(key)] for key in self._drawn]
        super().__init__(
            Recorder(
                "ring",
                title,
                now=lambda: float(len(self.steps)),
                sample=dict,
                meta={"keys": pairs, "sample": sample, "hash": self.ring.hash, "pace": "steps"},
                frames_max=FRAMES_MAX,
            )
        )
        self._record("nodes at first")

    # -- what a reader does ----------------------------------------------------------------------

    def add(self, node: str, weight: int = 1) -> RingStep:
        """Put a node on the ring.

        Raises:
            ValueError: it is there already, or has no name, or a weight that cannot be.
        """
        name = node.strip()
        if not name:
            raise ValueError("a node has a name")
        ring = self.ring.add(name, _weight(weight))
        return self._step(f"add {name}", ring if self._is_given else self._made(ring.weights))

    def remove(self, node: str) -> RingStep:
        """Take a node off the ring.

        Raises:
            ValueError: there is no such node, or it is the last one.
        """
        self._check(node)
        if len(self.ring.nodes) == 1:
            raise ValueError(f"{node} is the last node: nobody would be left to have the keys")
        ring = self.ring.remove(node)
        return self._step(f"remove {node}", ring if self._is_given else self._made(ring.weights))

    def weigh(self, node: str, weight: int) -> RingStep:
        """Give a node another weight; raises ValueError for a node or a weight that cannot be."""
        self._check(node)
        weights = {**self.ring.weights, node: _weight(weight)}
        self._is_given = False
        return self._step(f"weight of {node}: {weight}", self._made(weights))

    def set_points(self, points_per_weight: int) -> RingStep:
        """Give every node so many points for each unit of its weight; raises ValueError below 1."""
        made = self._made(self.ring.weights, _points(points_per_weight))
        self._is_given = False
        points = "1 point" if points_per_weight == 1 else f"{points_per_weight} points"
        return self._step(f"{points} for each unit of weight", made)

    def find(self, key: str) -> str:
        """Show where a key goes, and return the node that has it."""
        self._looked = key
        self._record(f"find {key}")
        return self.ring.owner(key)

    @property
    def table(self) -> Table:
        """All steps so far, with the shares that moved."""
        rows = tuple(
            (
                each.what,
                each.nodes,
                f"{each.ring_moved / each.keys:.1%}",
                f"{each.modulo_moved / each.keys:.1%}",
            )
            for each in self.steps
        )
        head = ("step", "nodes then", "moved on the ring", "moved by modulo")
        return Table(head, rows, caption="Keys that moved")

    # -- in a notebook ---------------------------------------------------------------------------

    def controls(self) -> list[Any]:
        """Fields and buttons for nodes, points and a key, and under them what went wrong."""
        import ipywidgets

        def field(name: str, made: Any) -> Any:
            self._fields[name] = made
            return made

        width = ipywidgets.Layout(width="190px")
        points = self.ring.points_per_weight
        self._status = ipywidgets.HTML()
        rows = [
            [
                field("new", ipywidgets.Text(value=self._next(), description="node", layout=width)),
                self._button("add", self._add, "put it on the ring"),
                field("node", ipywidgets.Dropdown(options=list(self.ring.nodes), layout=width)),
                self._button("remove", self._remove, "take it off the ring"),
                field(
                    "weight",
                    ipywidgets.BoundedIntText(
                        value=1, min=1, max=WEIGHT_MAX, description="weight", layout=width
                    ),
                ),
                self._button("weigh", self._weigh, "give the chosen node this weight"),
            ],
            [
                field(
                    "points",
                    ipywidgets.SelectionSlider(
                        options=sorted({*POINTS_CHOICES, points}),
                        value=points,
                        description="points",
                        continuous_update=False,
                    ),
                ),
                field("key", ipywidgets.Text(value="user:7", description="key", layout=width)),
                self._button("find", self._find, "show where this key goes"),
            ],
        ]
        self._fields["points"].observe(self._slide, names="value")
        layout = ipywidgets.Layout(display="flex", flex_flow="row wrap")
        return [*(ipywidgets.Box(row, layout=layout) for row in rows), self._status]

    def _add(self) -> None:
        self.add(self._fields["new"].value)

    def _remove(self) -> None:
        self.remove(self._fields["node"].value)

    def _weigh(self) -> None:
        self.weigh(self._fields["node"].value, self._fields["weight"].value)

    def _find(self) -> None:
        self.find(self._fields["key"].value)

    def _slide(self, _change: object) -> None:
        wanted = self._fields["points"].value
        if wanted != self.ring.points_per_weight:
            self._press("points", lambda: self.set_points(wanted))

    def _button(self, label: str, action: Callable[[], object], tooltip: str) -> Any:
        import ipywidgets

        made = ipywidgets.Button(
            description=label, tooltip=tooltip, layout=ipywidgets.Layout(width="auto")
        )
        made.on_click(lambda _: self.hand_home(lambda: self._press(label, action)))
        return made

    def _press(self, label: str, action: Callable[[], object]) -> None:
        said = ""
        try:
            action()
        except ValueError as error:
            said = (
                f'<span role="alert"><b>{html.escape(label)}</b>: {html.escape(str(error))}</span>'
            )
        self._status.value = said

    def _follow(self) -> None:
        """Let the fields say what there is now."""
        if not self._fields:
            return
        node, points = self._fields["node"], self._fields["points"]
        if list(node.options) != list(self.ring.nodes):
            node.options = list(self.ring.nodes)
        # A slider with other options begins at the first of them, and nobody has moved it there.
        points.unobserve(self._slide, names="value")
        if self.ring.points_per_weight not in points.options:
            points.options = sorted({*points.options, self.ring.points_per_weight})
        points.value = self.ring.points_per_weight
        points.observe(self._slide, names="value")
        if self._fields["new"].value in self.ring.nodes:
            self._fields["new"].value = self._next()

    def _next(self) -> str:
        """A name that no node has: the next letter."""
        letters = (chr(ord("A") + number) for number in range(26))
        return next((letter for letter in letters if letter not in self.ring.nodes), "")

    # -- inside ----------------------------------------------------------------------------------

    def _check(self, node: str) -> None:
        if node not in self.ring.nodes:
            raise ValueError(f"no node {node!r}; there are {', '.join(self.ring.nodes)}")

    def _made(self, weights: Mapping[str, int], points_per_weight: int | None = None) -> Ring:
        """A ring with these weights, and points where MD5 puts them or where they were put."""
        points = points_per_weight or self.ring.points_per_weight
        if self._places and points == 1 and set(weights.values()) == {1}:
            return Ring.placed(
                {node: self._places.get(node, _by_md5(node)) for node in weights},
                hash=self.ring.hash,
            )
        return Ring(weights, hash=self.ring.hash, points_per_weight=points)

    def _step(self, what: str, ring: Ring) -> RingStep:
        """Put another ring in the place of this one, and record what that does."""
        before, self.ring = (self.ring, self.modulo), ring
        self.modulo = Modulo(ring.weights, hash=ring.hash)
        moved = before[0].moved(ring, self._sample)
        by_modulo = before[1].moved(self.modulo, self._sample)
        step = RingStep(what, len(ring.nodes), moved.keys, moved.moved, by_modulo.moved)
        self.steps.append(step)
        flows = list(moved.flows)
        told: dict[str, Json] = {
            "ring": moved.moved,
            "modulo": by_modulo.moved,
            "from": list(dict.fromkeys(source for source, _ in flows)),
            "to": list(dict.fromkeys(target for _, target in flows)),
        }
        self._record(what, before, told)
        self._follow()
        return step

    def _record(
        self,
        what: str,
        before: tuple[Ring, Modulo] | None = None,
        moved: dict[str, Json] | None = None,
    ) -> None:
        """Record the nodes as they are now, compared with how they were before a change."""
        ring, modulo = before or (self.ring, self.modulo)
        lists, kept = self._lists(self.ring), self._lists(ring)
        self._names |= dict.fromkeys(self.ring.nodes)
        points: dict[str, Json] = {name: list(places) for name, places in self._points.items()}
        self.recorder.set_meta(names=list(self._names), points=points)
        on_ring, by_modulo = self.ring.counts(self._sample), self.modulo.counts(self._sample)
        total = sum(self.ring.weights.values())
        owners, modulos = self.ring.owners(self._drawn), self.modulo.owners(self._drawn)
        nodes: list[Json] = [
            {
                "name": node,
                "weight": weight,
                "points": lists[node],
                "keys": on_ring[node],
                "modulo": by_modulo[node],
                "fair": weight / total,
            }
            for node, weight in self.ring.weights.items()
        ]
        state: dict[str, Json] = {
            "step": what,
            "nodes": nodes,
            "before": [[node, name] for node, name in kept.items()],
            "owners": [*owners],
            "modulo": [*modulos],
            "ring_moved": _differ(ring.owners(self._drawn), owners),
            "modulo_moved": _differ(modulo.owners(self._drawn), modulos),
            "moved": moved,
            "looked": self._look(),
        }
        last = self.recorder.last
        self.recorder.add(Frame(0.0 if last is None else last.time + 1, state))

    def _lists(self, ring: Ring) -> dict[str, str]:
        """Of each node the name of its points; the same points have the same name in all frames."""
        places: dict[str, list[int]] = {node: [] for node in ring.nodes}
        for point in ring.points:
            places[point.node].append(point.place)
        found = {}
        for node, mine in places.items():
            name = f"{node} {len(mine)}"
            while self._points.setdefault(name, mine) != mine:
                name += "'"
            found[node] = name
        return found

    def _look(self) -> dict[str, Json] | None:
        """Where the key goes that was asked for; None if none was."""
        if not self._looked:
            return None
        point = self.ring.point(self._looked)
        return {
            "key": self._looked,
            "hash": self.ring.place(self._looked),
            "point": point.place,
            "node": point.node,
            "modulo": self.modulo.owner(self._looked),
        }


def _by_md5(node: str) -> float:
    """Where MD5 puts the one point of a node, as a part of the circle."""
    return points_of(node.encode(), 1)[0] / CIRCLE


def _differ(before: Sequence[str], now: Sequence[str]) -> list[Json]:
    """The places at which two lists differ."""
    return [at for at, (a, b) in enumerate(zip(before, now, strict=True)) if a != b]


def _weight(weight: int) -> int:
    if not 1 <= weight <= WEIGHT_MAX:
        raise ValueError(f"a weight is a whole number from 1 to {WEIGHT_MAX}, not {weight}")
    return weight


def _points(count: int) -> int:
    if not 1 <= count <= POINTS_MAX:
        raise ValueError(f"a node has 1 to {POINTS_MAX} points for a weight of 1, not {count}")
    return count


@fallback_for("ring")
def _ring_fallback(recording: Recording) -> str:
    if not recording.frames:
        return "<p>Nothing was recorded.</p>"
    sample = recording.meta["sample"]
    total = sample if isinstance(sample, int) else 0
    steps = []
    for frame in recording.frames:
        moved = frame.state["moved"]
        if isinstance(moved, dict):
            shares = [_share(moved[name], total) for name in ("ring", "modulo")]
            steps.append([str(frame.state["step"]), *shares])
    last = recording.frames[-1].state["nodes"]
    listed = last if isinstance(last, list) else []
    rows = [
        [
            cell_text(node["name"]),
            cell_text(node["weight"]),
            _share(node["keys"], total),
            _share(node["modulo"], total),
        ]
        for node in listed
        if isinstance(node, dict)
    ]
    head = ("node", "weight", "keys on the ring", "keys by modulo")
    moves = ("step", "moved on the ring", "moved by modulo")
    return (table_html(moves, steps, numbers=(1, 2)) if steps else "") + table_html(
        head, rows, numbers=(1, 2, 3)
    )


def _share(count: Json, total: int) -> str:
    return f"{count / total:.1%}" if isinstance(count, int) and total else ""
