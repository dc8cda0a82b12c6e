"""The view of a hash ring: nodes come and go, and beside it keys move under modulo hashing as well.

`RingView` keeps a hash ring, changes it as its reader says, and records one frame for each change:
where the points are, whose the arcs are, how many of very many keys each node has, which of the
keys that are drawn have moved. The same keys are placed by their hash modulo the number of nodes,
in the order in which the nodes are listed, so that both can be compared.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redislab.ring.distributions import CIRCLE, Continuum, Slots, points_of
from redislab.ring.hashes import hash_named
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


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where all keys are at one moment, by the names of the nodes.

    Attributes:
        points: of each node its name, and the name of its points.
        ring: the node of each counted key on the ring.
        modulo: its node by modulo.
        drawn_ring: the node of each drawn key on the ring.
        drawn_modulo: its node by modulo.
    """

    points: tuple[tuple[str, str], ...] = ()
    ring: tuple[str, ...] = ()
    modulo: tuple[str, ...] = ()
    drawn_ring: tuple[str, ...] = ()
    drawn_modulo: tuple[str, ...] = ()


class RingView(View):
    """A hash ring that its reader changes.

    Args:
        nodes: their names, or their weights by their names.
        hash: the hash of the keys, by nutcracker's name for it.
        points_per_weight: how many points on the circle a node has for each unit of its weight.
        places: where the point of a node is while it has only one, as a part of the circle, 0 to
            less than 1; other points are where MD5 puts them.
        keys: the keys to draw, or how many to make up.
        sample: how many keys to count; they are others than those that are drawn.
        title: the title, also for a screen reader.

    Attributes:
        nodes: the weight of each node.
        points_per_weight: as above, as it is now.
        steps: what was done so far.

    Raises:
        ValueError: there is no node, or no such hash, or a number that cannot be.
    """

    def __init__(
        self,
        nodes: Iterable[str] | Mapping[str, int] = ("A", "B", "C"),
        *,
        hash: str = "md5",  # noqa: A002 - as nutcracker's file calls it
        points_per_weight: int = 1,
        places: Mapping[str, float] | None = None,
        keys: Sequence[str] | int = KEYS_DRAWN,
        sample: int = KEYS_COUNTED,
        title: str = "A hash ring, and modulo beside it",
    ) -> None:
        given = nodes if isinstance(nodes, Mapping) else dict.fromkeys(nodes, 1)
        self.nodes: dict[str, int] = {name: _weight(weight) for name, weight in given.items()}
        if not self.nodes:
            raise ValueError("a ring needs a node")
        self.points_per_weight = _points(points_per_weight)
        self._places = {node: _place(place) for node, place in (places or {}).items()}
        self.steps: list[RingStep] = []
        self._hash = hash_named(hash)
        drawn = [f"user:{n}" for n in range(1, keys + 1)] if isinstance(keys, int) else list(keys)
        self._drawn = [self._hash(key.encode()) for key in drawn]
        self._sample = [self._hash(b"key:%d" % n) for n in range(sample)]
        self._before = _Placed()
        self._looked = ""
        self._names: dict[str, None] = {}
        self._points: dict[str, list[int]] = {}
        self._fields: dict[str, Any] = {}
        self._status: Any = None
        pairs: list[Json] = [[key, value] for key, value in zip(drawn, self._drawn, strict=True)]
        super().__init__(
            Recorder(
                "ring",
                title,
                now=lambda: float(len(self.steps)),
                sample=dict,
                meta={"keys": pairs, "sample": sample, "hash": hash, "pace": "steps"},
                frames_max=FRAMES_MAX,
            )
        )
        self._show("nodes at first")

    # -- what a reader does ----------------------------------------------------------------------

    def add(self, node: str, weight: int = 1) -> RingStep:
        """Put a node on the ring.

        Raises:
            ValueError: it is there already, or has no name, or a weight that cannot be.
        """
        name = node.strip()
        if not name or name in self.nodes:
            raise ValueError(f"there is a node {name!r} already" if name else "a node has a name")
        self.nodes[name] = _weight(weight)
        return self._step(f"add {name}")

    def remove(self, node: str) -> RingStep:
        """Take a node off the ring.

        Raises:
            ValueError: there is no such node, or it is the last one.
        """
        self._check(node)
        if len(self.nodes) == 1:
            raise ValueError(f"{node} is the last node: nobody would be left to have the keys")
        del self.nodes[node]
        return self._step(f"remove {node}")

    def weigh(self, node: str, weight: int) -> RingStep:
        """Give a node another weight; raises ValueError for a node or a weight that cannot be."""
        self._check(node)
        self.nodes[node] = _weight(weight)
        return self._step(f"weight of {node}: {weight}")

    def set_points(self, points_per_weight: int) -> RingStep:
        """Give every node so many points for each unit of its weight; raises ValueError below 1."""
        self.points_per_weight = _points(points_per_weight)
        points = "1 point" if points_per_weight == 1 else f"{points_per_weight} points"
        return self._step(f"{points} for each unit of weight")

    def find(self, key: str) -> str:
        """Show where a key goes, and return the node that has it."""
        self._looked = key
        looked = self._look()
        self._add_frame(f"find {key}", None)
        return str(looked["node"]) if looked else ""

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
        self._status = ipywidgets.HTML()
        rows = [
            [
                field("new", ipywidgets.Text(value=self._next(), description="node", layout=width)),
                self._button("add", self._add, "put it on the ring"),
                field("node", ipywidgets.Dropdown(options=list(self.nodes), layout=width)),
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
                        options=sorted({*POINTS_CHOICES, self.points_per_weight}),
                        value=self.points_per_weight,
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
        if wanted != self.points_per_weight:
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
        if list(node.options) != list(self.nodes):
            node.options = list(self.nodes)
        # A slider with other options begins at the first of them, and nobody has moved it there.
        points.unobserve(self._slide, names="value")
        if self.points_per_weight not in points.options:
            points.options = sorted({*points.options, self.points_per_weight})
        points.value = self.points_per_weight
        points.observe(self._slide, names="value")
        if self._fields["new"].value in self.nodes:
            self._fields["new"].value = self._next()

    def _next(self) -> str:
        """A name that no node has: the next letter."""
        letters = (chr(ord("A") + number) for number in range(26))
        return next((letter for letter in letters if letter not in self.nodes), "")

    # -- inside ----------------------------------------------------------------------------------

    def _check(self, node: str) -> None:
        if node not in self.nodes:
            raise ValueError(f"no node {node!r}; there are {', '.join(self.nodes)}")

    def _step(self, what: str) -> RingStep:
        before, now = self._before, self._place()
        step = RingStep(
            what,
            len(self.nodes),
            len(self._sample),
            _differ(before.ring, now.ring),
            _differ(before.modulo, now.modulo),
        )
        self.steps.append(step)
        self._show(what, step)
        return step

    def _list(self, node: str) -> str:
        """The name of a node's points, which are made when they are asked for."""
        count = self.nodes[node] * self.points_per_weight
        name = f"{node} {count}"
        if name not in self._points:
            given = self._places.get(node) if count == 1 else None
            points = points_of(node.encode(), count) if given is None else (given,)
            self._points[name] = list(points)
        return name

    def _circle(self) -> Continuum:
        return Continuum(
            (number, self._points[self._list(node)]) for number, node in enumerate(self.nodes)
        )

    def _place(self) -> _Placed:
        names = list(self.nodes)
        circle = self._circle()
        slots = Slots(enumerate(self.nodes.values()))
        return _Placed(
            tuple((node, self._list(node)) for node in names),
            tuple(names[circle.owner(value)] for value in self._sample),
            tuple(names[slots.owner(value)] for value in self._sample),
            tuple(names[circle.owner(value)] for value in self._drawn),
            tuple(names[slots.owner(value)] for value in self._drawn),
        )

    def _show(self, what: str, step: RingStep | None = None) -> None:
        """Record the nodes as they are now, compared with how they were before."""
        before, now = self._before, self._place()
        self._before = now
        self._add_frame(what, before if step else None, step)
        self._follow()

    def _add_frame(self, what: str, before: _Placed | None, step: RingStep | None = None) -> None:
        now = self._before
        self._names |= dict.fromkeys(self.nodes)
        points: dict[str, Json] = {name: list(places) for name, places in self._points.items()}
        self.recorder.set_meta(names=list(self._names), points=points)
        kept = now if before is None else before
        ring, modulo = Counter(now.ring), Counter(now.modulo)
        total = sum(self.nodes.values())
        nodes: list[Json] = [
            {
                "name": node,
                "weight": self.nodes[node],
                "points": name,
                "keys": ring[node],
                "modulo": modulo[node],
                "fair": self.nodes[node] / total,
            }
            for node, name in now.points
        ]
        moved: Json = None
        if step is not None:
            moved = {"ring": step.ring_moved, "modulo": step.modulo_moved}
        state: dict[str, Json] = {
            "step": what,
            "nodes": nodes,
            "before": [list(pair) for pair in kept.points],
            "owners": list(now.drawn_ring),
            "modulo": list(now.drawn_modulo),
            "ring_moved": _places(kept.drawn_ring, now.drawn_ring),
            "modulo_moved": _places(kept.drawn_modulo, now.drawn_modulo),
            "moved": moved,
            "looked": self._look(),
        }
        last = self.recorder.last
        self.recorder.add(Frame(0.0 if last is None else last.time + 1, state))

    def _look(self) -> dict[str, Json] | None:
        """Where the key goes that was asked for; None if none was."""
        if not self._looked:
            return None
        value = self._hash(self._looked.encode())
        names = list(self.nodes)
        circle = self._circle()
        return {
            "key": self._looked,
            "hash": value,
            "point": circle.point(value),
            "node": names[circle.owner(value)],
            "modulo": names[Slots(enumerate(self.nodes.values())).owner(value)],
        }


def _differ(before: Sequence[str], now: Sequence[str]) -> int:
    return sum(a != b for a, b in zip(before, now, strict=True))


def _places(before: Sequence[str], now: Sequence[str]) -> list[Json]:
    return [at for at, (a, b) in enumerate(zip(before, now, strict=True)) if a != b]


def _weight(weight: int) -> int:
    if not 1 <= weight <= WEIGHT_MAX:
        raise ValueError(f"a weight is a whole number from 1 to {WEIGHT_MAX}, not {weight}")
    return weight


def _place(part: float) -> int:
    if not 0 <= part < 1:
        raise ValueError(f"a place is a part of the circle, from 0 up to 1, not {part}")
    return int(part * CIRCLE)


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
