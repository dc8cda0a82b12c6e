"""Reads the tables of this package: one record a command, records parted by blank lines.

```
set -3 write denyoom @string 1:RW,access,update,variable_flags
  Set a string, whatever the key held before.
  since 1.0.0, O(1)
  args key#0 value [condition@2.6.12<NX | XX>] [GET@6.2.0]
    [expiration<EX=seconds:int@2.6.12 | KEEPTTL@6.0.0>]
  note 0 Reads too if GET is given.
  2.6.12 `EX`, `PX`, `NX` and `XX`.
```

The first line is what every call needs: name, arity, flags, the ACL categories that do not follow
from the flags, and the key specs (the words with a colon). It is read at import. The indented lines
are read when somebody asks: a sentence, version and cost, then `args` (see `arguments.py`), `tips`,
`gone` (deprecated: since when, and what to use instead), `note` on a key spec, `system` for
internal commands, and the history, one version a line. A deeper indent goes on with the line above.

A key spec is `where..last/step%limit:flags`. `where` is a position, or `STREAMS@4` for "after that
word, looked for from position 4", or `?` for what cannot be said. `2#` is a number of keys at
position 2, then the keys. Without `..last` there is one key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from redislab.server.facts.model import CommandFact, Details, KeySpec

_KEY_SPEC = re.compile(
    r"(?:(?P<index>\d+)|(?P<keyword>[A-Z]+)@(?P<start>-?\d+)|\?)(?P<count>#)?"
    r"(?:\.\.(?P<last>-?\d+))?(?:/(?P<step>\d+))?(?:%(?P<limit>\d+))?:(?P<flags>.*)"
)
_VERSION = re.compile(r"\d+\.\d+\.\d+ ")


def load(tables: Iterable[tuple[str, str]]) -> dict[bytes, CommandFact]:
    """Read tables, given as pairs of a group's name and its text, into facts by name."""
    facts: dict[bytes, CommandFact] = {}
    children: dict[bytes, list[bytes]] = {}
    records: list[tuple[str, str, str]] = []
    for group, text in tables:
        for record in text.strip("\n").split("\n\n"):
            head, _, body = record.partition("\n")
            while body.startswith("    "):
                more, _, body = body.partition("\n")
                head += more
            records.append((group, head, body))
            container, bar, _ = head.partition(" ")[0].encode().partition(b"|")
            if bar:
                children.setdefault(container, []).append(head.partition(" ")[0].encode())
    for group, head, body in records:
        fact = _fact(group, head, body, children)
        facts[fact.name] = fact
    return facts


def _fact(group: str, head: str, body: str, children: dict[bytes, list[bytes]]) -> CommandFact:
    word, arity, *rest = head.split()
    name = word.encode()
    flags = tuple(w for w in rest if w[0] != "@" and ":" not in w)
    specs = tuple(key_spec(w) for w in rest if ":" in w)
    first, last, step = _key_range(specs)
    return CommandFact(
        name=name,
        arity=int(arity),
        flags=flags,
        first_key=first,
        last_key=last,
        step=step,
        group=group,
        own_categories=tuple(w for w in rest if w[0] == "@"),
        key_specs=specs,
        subcommands=tuple(children.get(name, ())),
        source=body,
    )


@cache
def key_spec(word: str) -> KeySpec:
    """Read one key spec, `1..-1:RO,access`."""
    match = _KEY_SPEC.fullmatch(word)
    assert match, f"not a key spec: {word}"
    index, keyword = match["index"], match["keyword"]
    unknown = not index and not keyword
    return KeySpec(
        begin="unknown" if unknown else "index" if index else "keyword",
        index=int(index or 0),
        keyword=keyword or "",
        start_from=int(match["start"] or 0),
        find="unknown" if unknown else "keynum" if match["count"] else "range",
        last_key=int(match["last"] or 0),
        step=int(match["step"] or 1),
        limit=int(match["limit"] or 0),
        flags=tuple(match["flags"].split(",")),
    )


def _key_range(specs: tuple[KeySpec, ...]) -> tuple[int, int, int]:
    """The older description of a command's keys, first, last and step, of its plain ranges.

    Ranges that follow each other without a gap count as one, as in BLMOVE: two keys, one range.
    """
    plain = [s for s in specs if s.begin == "index" and s.find == "range" and s.limit == 0]
    if not plain:
        return 0, 0, 0
    first, step = plain[0].index, plain[0].step
    last = plain[0].last_key + (first if plain[0].last_key >= 0 else 0)
    for spec in plain[1:]:
        if spec.index != last + 1 or last < 0 or spec.step != step:
            break
        last = spec.last_key + (spec.index if spec.last_key >= 0 else 0)
    return first, last, step


@cache
def details(fact: CommandFact) -> Details:
    """Read what a record says below its first line."""
    lines: list[str] = []
    for line in fact.source.split("\n"):
        if line.startswith("    "):
            lines[-1] += " " + line.strip()
        else:
            lines.append(line.strip())
    since, _, complexity = lines[1].removeprefix("since ").partition(", ")
    found: dict[str, str] = {}
    notes: dict[int, str] = {}
    history: list[tuple[str, str]] = []
    for line in lines[2:]:
        word, _, rest = line.partition(" ")
        if word == "note":
            index, _, text = rest.partition(" ")
            notes[int(index)] = text
        elif _VERSION.match(line):
            history.append((word, rest))
        else:
            assert word in {"args", "tips", "gone", "system"}, f"{fact.name!r}: {line}"
            found[word] = rest
    gone_since, _, replaced_by = found.get("gone", "").partition(" ")
    return Details(
        summary=lines[0],
        since=since,
        complexity=complexity or None,
        tips=tuple(found.get("tips", "").split()),
        deprecated_since=gone_since or None,
        replaced_by=replaced_by or None,
        system="system" in found,
        history=tuple(history),
        notes=notes,
        grammar=found.get("args", ""),
    )
