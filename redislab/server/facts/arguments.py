"""The notation in which the tables write a command's arguments, and its reading.

It is close to how Redis's documentation writes a call, with what COMMAND DOCS has to know added:

| written | meaning |
| --- | --- |
| `value` | an argument of that name; a string |
| `seconds:int` | of another type: int, double, pattern, unix-time, pure-token |
| `key#0` | a key, described by the command's key spec 0; `name:pattern#1` for another type |
| `COUNT=count:int` | preceded by a token |
| `NX` | a token alone, its name in lower case; `'~'/approximately` where the name differs |
| `"yes/no"` | a name that is no plain word, in quotes |
| `name<a | b>` | one of several |
| `name{a b}` | a block of several |
| `[a]` | optional |
| `a...` | one or more; `a...+` if the token is repeated as well |
| `a@6.2.0`, `a!2.8.12` | known since, deprecated since a version |
"""

from __future__ import annotations

import re
from functools import cache

from redislab.server.facts.loader import details
from redislab.server.facts.model import Argument, CommandFact

_TYPES = {
    "int": "integer",
    "double": "double",
    "pattern": "pattern",
    "unix-time": "unix-time",
    "pure-token": "pure-token",
}
_PIECE = re.compile(
    r"\s+|(?P<mark>\.\.\.\+?|[\[\]<>{}|])"
    r"|(?:(?P<token>[A-Z][A-Z0-9-]*)=)?"
    r"(?:(?P<alone>[A-Z][A-Z0-9-]*|'[^']*')(?:/(?P<alias>[a-z_]+))?"
    r'|(?P<name>[a-z][a-z0-9_-]*|"[^"]*")(?::(?P<type>[a-z-]+))?(?:\#(?P<spec>\d))?)'
    r"(?:@(?P<since>[\d.]*\d))?(?:!(?P<gone>[\d.]*\d))?"
)


@cache
def arguments(fact: CommandFact) -> tuple[Argument, ...]:
    """The arguments of a command, read from its record."""
    return parse(details(fact).grammar)


def parse(grammar: str) -> tuple[Argument, ...]:
    """Read arguments in the notation above.

    Raises:
        ValueError: the text does not follow the notation.
    """
    pieces: list[re.Match[str]] = []
    at = 0
    while at < len(grammar):
        match = _PIECE.match(grammar, at)
        if not match:
            raise ValueError(f"cannot read arguments at: {grammar[at:]}")
        if not match[0].isspace():
            pieces.append(match)
        at = match.end()
    reader = _Reader(pieces)
    found = reader.sequence("end")
    if reader.at != len(pieces):
        raise ValueError(f"unexpected {pieces[reader.at][0]} in: {grammar}")
    return found


class _Reader:
    """Reads pieces from left to right; `at` is the next one."""

    def __init__(self, pieces: list[re.Match[str]]) -> None:
        self.pieces = pieces
        self.at = 0

    def peek(self) -> str:
        """The next mark, or the empty string for an argument or the end."""
        return self.pieces[self.at]["mark"] or "" if self.at < len(self.pieces) else "end"

    def expect(self, mark: str) -> None:
        if self.peek() != mark:
            raise ValueError(f"expected {mark}, found {self.peek() or self.pieces[self.at][0]}")
        self.at += 1

    def sequence(self, closing: str) -> tuple[Argument, ...]:
        """Arguments up to a closing mark or the end, with the bars of a choice between them."""
        found: list[Argument] = []
        while (mark := self.peek()) not in {closing, "end"}:
            if mark == "|" and closing == ">":
                self.at += 1
            found.append(self.argument())
        return tuple(found)

    def argument(self) -> Argument:
        if self.peek() == "[":
            self.at += 1
            inner = self.single()
            self.expect("]")
            return self.repeated(inner, ("optional",))
        return self.repeated(self.single(), ())

    def repeated(self, argument: Argument, flags: tuple[str, ...]) -> Argument:
        mark = self.peek()
        if mark.startswith("..."):
            self.at += 1
            flags += ("multiple", "multiple_token") if mark == "...+" else ("multiple",)
        if not flags:
            return argument
        return _with(argument, flags)

    def single(self) -> Argument:
        if self.peek():
            raise ValueError(f"expected an argument, found {self.peek()}")
        piece = self.pieces[self.at]
        self.at += 1
        alone = piece["alone"]
        if alone is not None:
            token = alone.strip("'")
            return _argument(piece, piece["alias"] or token.lower(), "pure-token", token, ())
        name = piece["name"].strip('"')
        for opening, closing, kind in (("<", ">", "oneof"), ("{", "}", "block")):
            if self.peek() == opening:
                self.at += 1
                inner = self.sequence(closing)
                self.expect(closing)
                return _argument(piece, name, kind, piece["token"], inner)
        kind = _TYPES[piece["type"]] if piece["type"] else "key" if piece["spec"] else "string"
        return _argument(piece, name, kind, piece["token"], ())


def _argument(
    piece: re.Match[str], name: str, kind: str, token: str | None, inner: tuple[Argument, ...]
) -> Argument:
    return Argument(
        name=name,
        type=kind,
        key_spec_index=int(piece["spec"]) if piece["spec"] else None,
        token=token,
        since=piece["since"],
        deprecated_since=piece["gone"],
        flags=(),
        arguments=inner,
    )


def _with(argument: Argument, flags: tuple[str, ...]) -> Argument:
    return Argument(
        argument.name,
        argument.type,
        argument.key_spec_index,
        argument.token,
        argument.since,
        argument.deprecated_since,
        flags,
        argument.arguments,
    )
