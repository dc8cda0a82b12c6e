"""The COMMAND family: what a node tells about its commands.

Follows `commandCommand` and its neighbors in `src/server.c` of Redis 7.0, type for type: flags are
simple strings in a set, tips bulk strings in a set, a container's subcommands an array. A node
tells only of commands that it has; the facts come from `redislab.server.facts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.glob import matches
from redislab.engine.table import command
from redislab.server.facts import Argument, CommandFact, arguments, details
from redislab.server.facts.keys import find_keys, has_keys
from redislab.server.help import help_reply
from redislab.wire.resp import NULL, array, bulk, bulks, integer, map_, set_, simple

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.commands import Entry
    from redislab.server.facts import KeySpec

_FORMS = (
    ("(no subcommand)", "Describe all commands."),
    ("COUNT", "Count the commands."),
    ("LIST [FILTERBY (MODULE <name> | ACLCAT <category> | PATTERN <pattern>)]", "Name them."),
    ("INFO [<command-name> ...]", "Describe these commands, or all: arity, flags, keys."),
    ("DOCS [<command-name> ...]", "Document these commands, or all: arguments, history, cost."),
    ("GETKEYS <full-command>", "Return the keys in a command."),
    ("GETKEYSANDFLAGS <full-command>", "Return the keys in a command and the use of each."),
)


@command("command")
def command_(c: Client, args: list[bytes]) -> bytes:
    """COMMAND: describe all commands."""
    return array([_info(entry, c.resp) for entry in c.node.commands.values()])


@command("command|count")
def command_count(c: Client, args: list[bytes]) -> bytes:
    """COMMAND COUNT: how many there are, subcommands left out."""
    return integer(len(c.node.commands))


@command("command|info")
def command_info(c: Client, args: list[bytes]) -> bytes:
    """COMMAND INFO [name ...]: describe some, a null for each that is unknown."""
    if len(args) == 2:
        return command_(c, args)
    found = [_lookup(c, name) for name in args[2:]]
    return array([_info(entry, c.resp) if entry else NULL[c.resp] for entry in found])


@command("command|docs")
def command_docs(c: Client, args: list[bytes]) -> bytes:
    """COMMAND DOCS [name ...]: document some; the unknown are left out."""
    entries = [_lookup(c, name) for name in args[2:]] if args[2:] else c.node.commands.values()
    return map_(
        [reply for entry in entries if entry for reply in _named_docs(entry, c.resp)], c.resp
    )


@command("command|list")
def command_list(c: Client, args: list[bytes]) -> bytes:
    """COMMAND LIST [FILTERBY kind value]: names, those of subcommands as well."""
    facts = [entry.fact for entry in _all_entries(c)]
    if len(args) == 2:
        return bulks([fact.name for fact in facts])
    if len(args) != 5 or args[2].lower() != b"filterby":
        raise syntax_error()
    kind, value = args[3].lower(), args[4]
    if kind == b"module":
        return array([])
    if kind == b"aclcat":
        category = "@" + value.decode("latin-1").lower()
        return bulks([fact.name for fact in facts if category in fact.categories])
    if kind == b"pattern":
        return bulks([fact.name for fact in facts if matches(value.lower(), fact.name)])
    raise syntax_error()


@command("command|getkeys")
def command_getkeys(c: Client, args: list[bytes]) -> bytes:
    """COMMAND GETKEYS command [arg ...]: the keys of a call that is not made."""
    return bulks([args[2 + at] for at, _ in _keys(c, args[2:])])


@command("command|getkeysandflags")
def command_getkeysandflags(c: Client, args: list[bytes]) -> bytes:
    """COMMAND GETKEYSANDFLAGS command [arg ...]: the keys and what happens to each."""
    return array(
        [array([bulk(args[2 + at]), _statuses(flags, c.resp)]) for at, flags in _keys(c, args[2:])]
    )


@command("command|help")
def command_help(c: Client, args: list[bytes]) -> bytes:
    """COMMAND HELP."""
    return help_reply("COMMAND", _FORMS)


def _all_entries(c: Client) -> Iterator[Entry]:
    for entry in c.node.commands.values():
        yield entry
        yield from entry.subcommands.values()


def _lookup(c: Client, name: bytes) -> Entry | None:
    """A command or, as `config|get`, a subcommand."""
    container, bar, subcommand = name.lower().partition(b"|")
    entry = c.node.commands.get(container)
    return entry.subcommands.get(subcommand) if entry and bar else entry


def _keys(c: Client, argv: list[bytes]) -> list[tuple[int, tuple[str, ...]]]:
    entry = c.node.commands.get(argv[0].lower())
    if entry is not None and entry.subcommands and len(argv) > 1:
        entry = entry.subcommands.get(argv[1].lower())
    if entry is None:
        raise CommandError("ERR Invalid command specified")
    if not has_keys(entry.fact):
        raise CommandError("ERR The command has no key arguments")
    if not entry.fact.fits(len(argv)):
        raise CommandError("ERR Invalid number of arguments specified for command")
    found = find_keys(entry.fact, argv)
    if not found and "no_mandatory_keys" not in entry.fact.flags:
        raise CommandError("ERR Invalid arguments specified for command")
    return found


def _text(value: str) -> bytes:
    return bulk(value.encode())


def _statuses(values: tuple[str, ...], resp: int) -> bytes:
    return set_([simple(value.encode()) for value in values], resp)


def _info(entry: Entry, resp: int) -> bytes:
    """One command as COMMAND INFO describes it: an array of ten."""
    fact = entry.fact
    told = details(fact)
    children = [_info(child, resp) for child in entry.subcommands.values()]
    specs = [
        _key_spec(spec, told.notes.get(index), resp) for index, spec in enumerate(fact.key_specs)
    ]
    return array(
        [
            bulk(fact.name),
            integer(fact.arity),
            _statuses(fact.flags, resp),
            integer(fact.first_key),
            integer(fact.last_key),
            integer(fact.step),
            _statuses(fact.categories, resp),
            set_([_text(tip) for tip in told.tips], resp),
            set_(specs, resp),
            array(children) if children else set_([], resp),
        ]
    )


def _key_spec(spec: KeySpec, note: str | None, resp: int) -> bytes:
    begin: dict[str, bytes] = {}
    if spec.begin == "index":
        begin["index"] = integer(spec.index)
    elif spec.begin == "keyword":
        begin["keyword"] = _text(spec.keyword)
        begin["startfrom"] = integer(spec.start_from)
    find: dict[str, bytes] = {}
    if spec.find == "range":
        find["lastkey"] = integer(spec.last_key)
        find["keystep"] = integer(spec.step)
        find["limit"] = integer(spec.limit)
    elif spec.find == "keynum":
        find["keynumidx"] = integer(0)
        find["firstkey"] = integer(1)
        find["keystep"] = integer(spec.step)
    fields: dict[str, bytes] = {} if note is None else {"notes": _text(note)}
    fields["flags"] = _statuses(spec.flags, resp)
    fields["begin_search"] = _map({"type": _text(spec.begin), "spec": _map(begin, resp)}, resp)
    fields["find_keys"] = _map({"type": _text(spec.find), "spec": _map(find, resp)}, resp)
    return _map(fields, resp)


def _map(fields: dict[str, bytes], resp: int) -> bytes:
    return map_([part for name, value in fields.items() for part in (_text(name), value)], resp)


def _named_docs(entry: Entry, resp: int) -> tuple[bytes, bytes]:
    return bulk(entry.fact.name), _docs(entry, resp)


def _docs(entry: Entry, resp: int) -> bytes:
    """One command as COMMAND DOCS documents it."""
    fact = entry.fact
    told = details(fact)
    fields = {
        "summary": _text(told.summary),
        "since": _text(told.since),
        "group": _text(fact.group),
    }
    if told.complexity is not None:
        fields["complexity"] = _text(told.complexity)
    if told.deprecated_since or told.system:
        flags = (("deprecated",) if told.deprecated_since else ()) + (
            ("syscmd",) if told.system else ()
        )
        fields["doc_flags"] = _statuses(flags, resp)
    if told.deprecated_since is not None:
        fields["deprecated_since"] = _text(told.deprecated_since)
    if told.replaced_by is not None:
        fields["replaced_by"] = _text(told.replaced_by)
    if told.history:
        changes = [array([_text(version), _text(change)]) for version, change in told.history]
        fields["history"] = set_(changes, resp)
    if told.grammar:
        fields["arguments"] = _arguments(fact, resp)
    if entry.subcommands:
        children = entry.subcommands.values()
        fields["subcommands"] = map_([p for e in children for p in _named_docs(e, resp)], resp)
    return _map(fields, resp)


def _arguments(fact: CommandFact, resp: int) -> bytes:
    return array([_argument(argument, resp) for argument in arguments(fact)])


def _argument(argument: Argument, resp: int) -> bytes:
    fields = {"name": _text(argument.name), "type": _text(argument.type)}
    if argument.key_spec_index is not None:
        fields["key_spec_index"] = integer(argument.key_spec_index)
    for name in ("token", "since", "deprecated_since"):
        value = getattr(argument, name)
        if value is not None:
            fields[name] = _text(value)
    if argument.flags:
        fields["flags"] = _statuses(argument.flags, resp)
    if argument.type in {"oneof", "block"}:
        fields["arguments"] = array([_argument(inner, resp) for inner in argument.arguments])
    return _map(fields, resp)
