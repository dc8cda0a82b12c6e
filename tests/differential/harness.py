r"""One list of calls, two servers: what real Redis answers, we answer.

A list is a text file of `calls/`, one call a line, quoted as in redis-cli. A line that begins with
`# ` starts a case: both servers are emptied and get new connections. Prefixes of a call:

| prefix | meaning |
| --- | --- |
| `~` | an aggregate whose order Redis leaves open: compared in sorted order |
| `?` | chance or time is in the answer: only the shape and types are compared |
| `@2`, `@3` | only in that version of the protocol |
| `!` | not a comparison but a preparation: the replies are not looked at |

Replies are compared with their wire types, errors to the letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from redislab.wire.replies import Reply
from redislab.wire.requests import split_words
from tests.servers import Address, Wire

CALLS = Path(__file__).parent / "calls"


@dataclass(frozen=True)
class Call:
    """One line of a list."""

    line: int
    words: tuple[bytes, ...]
    unordered: bool = False
    shape_only: bool = False
    unchecked: bool = False
    protocol: int | None = None


@dataclass
class Case:
    """Calls that build on each other."""

    family: str
    name: str
    calls: list[Call] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.family}: {self.name}"


def read_cases(folder: Path = CALLS) -> Iterator[Case]:
    """Every case of every list in a folder."""
    for path in sorted(folder.glob("*.txt")):
        case = Case(path.stem, "start")
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if line.startswith(b"# "):
                if case.calls:
                    yield case
                case = Case(path.stem, line[2:].decode())
            elif line.strip():
                case.calls.append(_read_call(path, number, line))
        if case.calls:
            yield case


def _read_call(path: Path, number: int, line: bytes) -> Call:
    marks = []
    while line[:1] in b"~?!@" and b" " in line:
        mark, line = line.split(b" ", 1)
        marks.append(mark)
    words = split_words(line)
    if not words:
        message = f"{path}:{number}: no call, or quotes that do not balance"
        raise ValueError(message)
    protocol = {b"@2": 2, b"@3": 3}
    return Call(
        number,
        tuple(words),
        unordered=b"~" in marks,
        shape_only=b"?" in marks,
        unchecked=b"!" in marks,
        protocol=next((protocol[mark] for mark in marks if mark in protocol), None),
    )


def differences(case: Case, protocol: int, real: Address, ours: Address) -> list[str]:
    """Run a case on both servers; a line for each call that they answer differently."""
    found = []
    with Wire(real, protocol) as theirs, Wire(ours, protocol) as mine:
        for wire in (theirs, mine):
            wire.call(b"FLUSHALL")
        for call in case.calls:
            if call.protocol not in {None, protocol}:
                continue
            expected, got = (_ask(wire, call) for wire in (theirs, mine))
            if call.unchecked or _same(expected, got, call):
                continue
            shown = b" ".join(call.words).decode("utf-8", "backslashreplace")
            found.append(
                f"{case.family}.txt:{call.line} (RESP{protocol}) {shown}\n"
                f"  real: {show(expected)}\n  ours: {show(got)}"
            )
    return found


def _ask(wire: Wire, call: Call) -> Reply | str:
    try:
        return wire.call(*call.words)
    except (OSError, ValueError) as broken:
        return f"{type(broken).__name__}: {broken}"


def _same(expected: Reply | str, got: Reply | str, call: Call) -> bool:
    if isinstance(expected, str) or isinstance(got, str):
        return expected == got
    if call.shape_only:
        return _shape(expected) == _shape(got)
    if call.unordered:
        return _sorted(expected) == _sorted(got)
    return expected == got


def _shape(reply: Reply) -> object:
    if reply.items is not None:
        return reply.kind, len(reply.items), [_shape(item) for item in reply.items]
    return reply.kind, reply.is_null, reply.text if reply.is_error else None


def _sorted(reply: Reply) -> object:
    if reply.items is None:
        return reply.kind, reply.text
    if reply.kind in "%|":
        pairs = zip(reply.items[::2], reply.items[1::2], strict=True)
        return reply.kind, sorted((repr(_sorted(k)), repr(_sorted(v))) for k, v in pairs)
    return reply.kind, sorted(repr(_sorted(item)) for item in reply.items)


def show(reply: Reply | str) -> str:
    """A reply on one line."""
    if isinstance(reply, str):
        return reply
    if reply.items is not None:
        return f"{reply.kind}[{', '.join(show(item) for item in reply.items)}]"
    return f"{reply.kind}null" if reply.text is None else f"{reply.kind}{reply.text!r}"
