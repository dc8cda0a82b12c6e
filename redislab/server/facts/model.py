"""What is known about a command: the records that the tables of this package turn into.

Follows the command tables of Redis 7.0 (`src/commands/*.json`) as COMMAND INFO and COMMAND DOCS
show them; the names of the fields are theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

# The order in which Redis lists the categories of a command.
CATEGORIES = (
    "@keyspace",
    "@read",
    "@write",
    "@set",
    "@sortedset",
    "@list",
    "@hash",
    "@string",
    "@bitmap",
    "@hyperloglog",
    "@geo",
    "@stream",
    "@pubsub",
    "@admin",
    "@fast",
    "@slow",
    "@blocking",
    "@dangerous",
    "@connection",
    "@transaction",
    "@scripting",
)


@dataclass(frozen=True, slots=True)
class KeySpec:
    """Where a command's arguments hold keys, and what happens to these keys.

    Attributes:
        begin: how the search begins: "index", "keyword" or "unknown".
        index: the position of the first key, for "index".
        keyword: the word before the first key, for "keyword".
        start_from: where the search for the keyword starts; negative counts from the end and
            searches backwards.
        find: how the keys go on: "range", "keynum" (a number of keys, then the keys) or "unknown".
        last_key: for "range", the last key relative to the first; negative counts from the end.
        step: the distance from one key to the next.
        limit: for "range" with a negative `last_key`: 2 is the first half of what remains.
        flags: RO, RW, OW or RM, and what else is said of the use: access, insert, ...
    """

    begin: str
    index: int
    keyword: str
    start_from: int
    find: str
    last_key: int
    step: int
    limit: int
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command, as COMMAND DOCS describes it; `arguments` nest."""

    name: str
    type: str
    key_spec_index: int | None
    token: str | None
    since: str | None
    deprecated_since: str | None
    flags: tuple[str, ...]
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, eq=False)  # by identity: facts are keys of caches
class CommandFact:
    """The facts that a server needs at every call, and the source of the rest.

    Attributes:
        name: in lower case; a subcommand's with its container, b"config|get".
        arity: the number of words, the name among them; negative for "at least".
        flags: as COMMAND INFO lists them, in its order.
        first_key: position of the first key, 0 if there is none or it has to be searched for.
        last_key: position of the last key; negative counts from the end.
        step: distance between keys.
        group: "string", "sorted-set", ...
        own_categories: the ACL categories that do not follow from the flags.
        key_specs: where keys are.
        subcommands: the full names of a container's subcommands.
        source: the rest of the record, read by `details` and `arguments`.
    """

    name: bytes
    arity: int
    flags: tuple[str, ...]
    first_key: int
    last_key: int
    step: int
    group: str
    own_categories: tuple[str, ...]
    key_specs: tuple[KeySpec, ...]
    subcommands: tuple[bytes, ...]
    source: str

    @property
    def categories(self) -> tuple[str, ...]:
        """All ACL categories, `@read` and the like, in the order of Redis."""
        flags = self.flags
        known = set(self.own_categories)
        if "write" in flags:
            known.add("@write")
        if "readonly" in flags and "@scripting" not in known:
            known.add("@read")
        if "admin" in flags:
            known |= {"@admin", "@dangerous"}
        if "pubsub" in flags:
            known.add("@pubsub")
        if "blocking" in flags:
            known.add("@blocking")
        known.add("@fast" if "fast" in flags else "@slow")
        return tuple(category for category in CATEGORIES if category in known)

    def fits(self, words: int) -> bool:
        """Whether a call of so many words, the name among them, has the right number of them."""
        return words == self.arity if self.arity >= 0 else words >= -self.arity


class Catalog(Mapping[bytes, CommandFact]):
    """The facts of the commands of one kind of node, by full name. Not to be changed."""

    def __init__(self, facts: dict[bytes, CommandFact]) -> None:
        self._facts = facts

    def __getitem__(self, name: bytes) -> CommandFact:
        return self._facts[name]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    @cached_property
    def by_category(self) -> dict[str, list[bytes]]:
        """The full names of the commands in each ACL category, subcommands among them."""
        found: dict[str, list[bytes]] = {category: [] for category in CATEGORIES}
        for name, fact in self._facts.items():
            for category in fact.categories:
                found[category].append(name)
        return found

    @cached_property
    def containers_first(self) -> tuple[bytes, ...]:
        """All full names, each container before its subcommands."""
        return tuple(
            full
            for name, fact in self._facts.items()
            if b"|" not in name
            for full in (name, *fact.subcommands)
        )


@dataclass(frozen=True, slots=True)
class Details:
    """What is told about a command: documentation and the hints for clients and proxies.

    Attributes:
        summary: one sentence.
        since: the version that brought the command.
        complexity: its cost, "O(1)"; None where nothing is known.
        tips: hints for clients, such as "nondeterministic_output".
        deprecated_since: the version that deprecated it.
        replaced_by: what to use instead.
        system: an internal command.
        history: pairs of version and change.
        notes: remarks on key specs, by their index.
        grammar: the arguments in the notation of `arguments.py`; empty for none.
    """

    summary: str
    since: str
    complexity: str | None
    tips: tuple[str, ...]
    deprecated_since: str | None
    replaced_by: str | None
    system: bool
    history: tuple[tuple[str, str], ...]
    notes: dict[int, str]
    grammar: str
