r"""Sequences of random calls, drawn from templates: the same seed gives the same sequence.

A template (`fuzz_templates.txt`) is a call with slots: `{k}` a key, `{v}` a value, `{n}` a small
number or one at a border, and so on (`SLOTS`). `[ A | B ]` may be left out, `( A | B )` may not, a
`+` after a slot or a closing bracket repeats it, `;` divides calls that stay together, and `{@}` is
the first key of the call before. Prefixes of a template:

| prefix | meaning |
| --- | --- |
| `~` | the order of the reply is left open: compared in sorted order |
| `?` | chance or time decides: only shape and types are compared |
| `t` | times are in the reply: integers may differ by what passes between two calls |
| `s` | an iteration of SCAN: run to its end on either side, what it found is compared |
| `!` | not compared at all |

Nothing here is wrong by itself. So one call in eight is spoiled: an argument is lost, doubled,
exchanged, or becomes something that no template would have put there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.differential.fuzz_words import FLOATS, LEXICAL_KEYS, SLOTS, Drawing

TEMPLATES = Path(__file__).with_name("fuzz_templates.txt")
SPOILED = 0.12
NORMAL_CLIENTS = (0, 1, 2)
SUBSCRIBERS = (3, 4)
PROTOCOLS = (0, 2, 3, 2, 3)  # of the clients; 0 for either
MARKS = frozenset("~?ts!")


@dataclass(frozen=True)
class Step:
    """One call of one client.

    Attributes:
        client: which of the clients calls.
        words: the call.
        mark: how the reply is compared, a prefix of the template or "".
        wait_ms: how long to wait before the next call, for a key that is to expire.
    """

    client: int
    words: tuple[bytes, ...]
    mark: str = ""
    wait_ms: int = 0


Atom = tuple[Step, ...]


@dataclass(frozen=True)
class Plan:
    """A sequence: settings for both servers, the protocol of each client, and the calls."""

    seed: int
    settings: dict[str, str]
    protocols: tuple[int, ...]
    atoms: tuple[Atom, ...] = field(repr=False)


# -- templates -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A part of a template: a word, a slot, or alternatives that are parts again."""

    word: bytes | None = None
    slot: str = ""
    alternatives: tuple[tuple[Part, ...], ...] = ()
    optional: bool = False
    repeated: bool = False

    def draw(self, drawing: Drawing, into: list[bytes]) -> None:
        """Add what this part comes to in one call."""
        if self.optional and drawing.random.random() < 0.55:
            return
        while True:
            if self.word is not None:
                into.append(self.word)
            elif self.slot == "@":
                into.append(drawing.first_key or b"")
            elif self.slot:
                drawn = SLOTS[self.slot](drawing)
                into.extend(drawn if isinstance(drawn, list) else [drawn])
            else:
                for part in drawing.random.choice(self.alternatives):
                    part.draw(drawing, into)
            if not self.repeated or drawing.random.random() < 0.5:
                return


@dataclass(frozen=True)
class Template:
    """Calls that stay together, each with its mark."""

    calls: tuple[tuple[str, tuple[Part, ...]], ...]

    def draw(self, drawing: Drawing, client: int) -> Atom:
        """The calls, with something in every slot."""
        steps = []
        drawing.first_key = None
        for mark, parts in self.calls:
            words: list[bytes] = []
            drawing.waits = 0
            for part in parts:
                part.draw(drawing, words)
            if len(self.calls) == 1 and mark != "s" and drawing.random.random() < SPOILED:
                spoil(drawing, words)
            steps.append(Step(client, tuple(words), mark, drawing.waits))
        return tuple(steps)


def spoil(drawing: Drawing, words: list[bytes]) -> None:
    """Make one mistake in a call."""
    random = drawing.random
    at = random.randrange(len(words))
    kind = random.randrange(7)
    if kind == 0 and len(words) > 1:
        del words[max(at, 1)]
    elif kind == 1:
        words.insert(at, words[max(at, 1) - 1])
    elif kind == 2:
        words.append(drawing.value())
    elif kind == 3 and at:
        words[at] = drawing.pick((drawing.integer(), drawing.value(), drawing.pick(drawing.floats)))
    elif kind == 4:
        words[at] = words[at].swapcase()
    elif kind == 5 and at:
        words[at] = drawing.key()
    elif len(words) > 2:
        other = random.randrange(1, len(words))
        at = max(at, 1)
        words[at], words[other] = words[other], words[at]


def read_templates() -> dict[str, list[Template]]:
    """The templates of each family."""
    families: dict[str, list[Template]] = {}
    current: list[Template] = []
    for line in TEMPLATES.read_text(encoding="ascii").splitlines():
        if line.startswith("@"):
            current = families[line[1:]] = []
        elif line and not line.startswith("#"):
            current.append(Template(tuple(_read_call(call) for call in line.split(" ; "))))
    return families


def _read_call(text: str) -> tuple[str, tuple[Part, ...]]:
    tokens = text.split()
    mark = tokens.pop(0) if tokens[0] in MARKS else ""
    ((parts,), rest) = _read_alternatives(tokens)
    assert not rest, f"brackets of {text!r}"
    return mark, parts


def _read_alternatives(tokens: list[str]) -> tuple[tuple[tuple[Part, ...], ...], list[str]]:
    """Alternatives up to a closing bracket or the end, and the tokens from there on."""
    found: list[list[Part]] = [[]]
    while tokens and tokens[0] not in {"]", ")", ")+", "]+"}:
        token = tokens[0]
        tokens = tokens[1:]
        if token in {"[", "("}:
            inner, tokens = _read_alternatives(tokens)
            repeated = tokens[0].endswith("+")
            tokens = tokens[1:]
            found[-1].append(Part(alternatives=inner, optional=token == "[", repeated=repeated))
        elif token == "|":
            found.append([])
        elif token.startswith("{"):
            slot, _, after = token[1:].partition("}")
            found[-1].append(Part(slot=slot, repeated=after == "+"))
        else:
            found[-1].append(Part(word=token.encode()))
    return tuple(tuple(parts) for parts in found), tokens


# The first value of each is the default.
SETTINGS = {
    "hash-max-listpack-entries": ("512", "2", "4", "128"),
    "hash-max-listpack-value": ("64", "1", "10"),
    "set-max-intset-entries": ("512", "1", "3"),
    "zset-max-listpack-entries": ("128", "0", "2", "4"),
    "zset-max-listpack-value": ("64", "1", "10"),
    "hll-sparse-max-bytes": ("3000", "0", "30", "100"),
    "stream-node-max-entries": ("100", "0", "1", "3"),
    "list-max-listpack-size": ("-2", "1", "3"),
    "maxmemory-policy": ("noeviction", "noeviction", "allkeys-lru", "allkeys-lfu"),
    "notify-keyspace-events": ("", "KEA", "KEAnm"),
}


# -- sequences -----------------------------------------------------------------------------------

FAMILIES = read_templates()
OVERFLOWING = ("streams", "groups", "blocking")  # their ids may not fit into 64 bits
ALSO_FAMILIES = ("keys", "transactions", "connection")
DATA_FAMILIES = [name for name in FAMILIES if name not in {*ALSO_FAMILIES, "subscriber"}]


def plan(seed: int, families: tuple[str, ...] = ()) -> Plan:
    """The sequence of a seed.

    Args:
        seed: the seed.
        families: draw from these only; a few that the seed chooses, by default.
    """
    random = Random(seed)
    drawing = Drawing(random)
    chosen = list(families) or random.sample(DATA_FAMILIES, random.randint(1, 3))
    if not families:
        chosen += [name for name in ALSO_FAMILIES if random.random() < 0.25]
    settings = {name: random.choice(values) for name, values in SETTINGS.items()}
    if "sort" in chosen:  # SORT takes an overflow that somebody met before for its own
        drawing.floats = FLOATS
        chosen = [name for name in chosen if name not in OVERFLOWING]
    keys = drawing.keys
    callers = NORMAL_CLIENTS[:1] if random.random() < 0.3 else NORMAL_CLIENTS
    listens = not families and random.random() < 0.3
    atoms = []
    for _ in range(random.randint(5, 60)):
        client, family = random.choice(callers), random.choice(chosen)
        if listens and random.random() < 0.3:
            client, family = random.choice(SUBSCRIBERS), "subscriber"
        drawing.keys = LEXICAL_KEYS if family == "lex" else keys
        atoms.append(random.choice(FAMILIES[family]).draw(drawing, client))
    protocols = tuple(protocol or random.choice([2, 3]) for protocol in PROTOCOLS)
    return Plan(seed, settings, protocols, tuple(atoms))
