"""The facts of commands: how their tables are read, and what is drawn from them."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from redislab.engine.table import HANDLERS
from redislab.server import commandinfo
from redislab.server.commands import build_table, load_commands
from redislab.server.facts import CATEGORIES, COMMANDS, arguments, details
from redislab.server.facts.arguments import parse
from redislab.server.facts.keys import find_keys, has_keys
from redislab.server.facts.loader import key_spec, load
from redislab.wire.replies import Reply, ReplyParser

# Every flag that COMMAND INFO of Redis 7.0 can show.
FLAGS = """
    write readonly denyoom admin pubsub noscript blocking loading stale skip_monitor skip_slowlog
    asking fast no_auth no_mandatory_keys no_async_loading no_multi movablekeys allow_busy
"""


def keys(request: str) -> list[str]:
    argv = request.encode().split()
    name = argv[0].lower()
    if COMMANDS[name].subcommands:
        name += b"|" + argv[1].lower()
    return [argv[at].decode() for at, _ in find_keys(COMMANDS[name], argv)]


def test_every_record_can_be_read_and_says_what_it_must():
    for name, fact in COMMANDS.items():
        told = details(fact)
        assert fact.name == name
        assert fact.arity != 0
        assert set(fact.flags) <= set(FLAGS.split())
        assert set(fact.own_categories) <= set(CATEGORIES)
        assert told.summary.endswith(".")
        assert told.since[0].isdigit()
        assert all(index < len(fact.key_specs) for index in told.notes)
        assert list(told.history) == sorted(told.history, key=lambda change: change[0])
        for argument in arguments(fact):
            index = argument.key_spec_index
            assert index is None or index < len(fact.key_specs)


def test_a_node_has_no_command_without_facts():
    load_commands()
    assert len(HANDLERS) > 200
    assert set(HANDLERS) <= set(COMMANDS)


def test_subcommands_have_their_container_and_are_listed_by_it():
    listed = {child for fact in COMMANDS.values() for child in fact.subcommands}
    assert listed == {name for name in COMMANDS if b"|" in name}
    assert all(name.split(b"|")[0] in COMMANDS for name in listed)


def test_a_record_is_read_from_its_text():
    text = """
get 2 readonly fast @string 1:RO,access
  Return the string
    at a key.
  since 1.0.0, O(1)
  args key#0 [COUNT=count:int]
  tips nondeterministic_output
  note 0 A remark.
  gone 6.2.0 `MGET`
  2.0.0 Something.

get|x -3 write
    movablekeys 2#:RW
  Another one.
  since 7.0.0
  system
"""
    facts = load([("string", text)])
    fact = facts[b"get"]
    assert (fact.arity, fact.flags, fact.group) == (2, ("readonly", "fast"), "string")
    assert (fact.first_key, fact.last_key, fact.step) == (1, 1, 1)
    assert fact.categories == ("@read", "@string", "@fast")
    assert fact.subcommands == (b"get|x",)
    told = details(fact)
    assert told.summary == "Return the string at a key."
    assert (told.since, told.complexity) == ("1.0.0", "O(1)")
    assert told.tips == ("nondeterministic_output",)
    assert told.notes == {0: "A remark."}
    assert (told.deprecated_since, told.replaced_by) == ("6.2.0", "`MGET`")
    assert told.history == (("2.0.0", "Something."),)
    assert [argument.name for argument in arguments(fact)] == ["key", "count"]
    other = facts[b"get|x"]
    assert other.flags == ("write", "movablekeys")
    assert details(other).complexity is None
    assert details(other).system


@pytest.mark.parametrize(
    ("text", "begin", "find", "rest"),
    [
        ("1:RO,access", "index", "range", (1, 0, 1, 0)),
        ("2..-1/2:OW", "index", "range", (2, -1, 2, 0)),
        ("2#:RO", "index", "keynum", (2, 0, 1, 0)),
        ("STREAMS@4..-1%2:RO", "keyword", "range", (0, -1, 1, 2)),
        ("KEYS@-2..-1:RW", "keyword", "range", (0, -1, 1, 0)),
        ("?:OW,update", "unknown", "unknown", (0, 0, 1, 0)),
    ],
)
def test_key_specs_are_read(text, begin, find, rest):
    spec = key_spec(text)
    assert (spec.begin, spec.find) == (begin, find)
    assert (spec.index, spec.last_key, spec.step, spec.limit) == rest


def test_arguments_are_read_with_all_that_the_notation_knows():
    key, choice, block, count, names = parse(
        "key#0 [condition@2.6.12<NX | '~'/approximately | \"yes/no\"!3.0.0>] "
        "[WITH=pair{a:double b:unix-time}]... COUNT=count:int... [BY=pattern:pattern#1]...+"
    )
    assert (key.name, key.type, key.key_spec_index) == ("key", "key", 0)
    assert (choice.type, choice.since, choice.flags) == ("oneof", "2.6.12", ("optional",))
    nx, tilde, other = choice.arguments
    assert (nx.name, nx.type, nx.token) == ("nx", "pure-token", "NX")
    assert (tilde.name, tilde.token) == ("approximately", "~")
    assert (other.name, other.type, other.deprecated_since) == ("yes/no", "string", "3.0.0")
    assert (block.type, block.token, block.flags) == ("block", "WITH", ("optional", "multiple"))
    assert [inner.type for inner in block.arguments] == ["double", "unix-time"]
    assert (count.type, count.token, count.flags) == ("integer", "COUNT", ("multiple",))
    assert names.flags == ("optional", "multiple", "multiple_token")
    assert (names.type, names.key_spec_index) == ("pattern", 1)


@pytest.mark.parametrize("text", ["[key", "key]", "a<b", "a<b}", "&", "...", "[[a]]"])
def test_arguments_that_break_the_notation_are_refused(text):
    with pytest.raises(ValueError, match=r"cannot read|expected|unexpected"):
        parse(text)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("GET a", "a"),
        ("mset a 1 b 2", "a b"),
        ("blpop a b 0", "a b"),
        ("blmove a b left right 0", "a b"),
        ("bitop and d a b", "d a b"),
        ("object encoding k", "k"),
        ("eval s 2 a b c", "a b"),
        ("eval s 3 a b", ""),
        ("sort a by w_* get o_* store d", "a d"),
        ("zunionstore d 2 a b weights 1 2", "d a b"),
        ("xread count 2 streams a b 0 0", "a b"),
        ("xreadgroup group g c streams a >", "a"),
        ("lmpop 2 a b left", "a b"),
        ("georadius k 1 2 3 m store d", "k d"),
        ("migrate h 1 k 0 9", "k"),
        ("ping", ""),
    ],
)
def test_keys_are_found(request_, expected):
    assert keys(request_) == expected.split()


def test_channels_are_no_keys():
    assert not has_keys(COMMANDS[b"spublish"])
    assert has_keys(COMMANDS[b"eval"])


def test_the_order_of_replies_does_not_depend_on_the_hash_seed():
    program = (
        "from types import SimpleNamespace as S\n"
        "from redislab.server import commandinfo, commands\n"
        "commands.load_commands()\n"
        "c = S(resp=3, node=S(commands=commands.build_table()))\n"
        "for f in ('info', 'docs', 'list'):\n"
        "    handler = getattr(commandinfo, 'command_' + f)\n"
        "    print(handler(c, [b'command', f.encode()]))\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 100_000


def test_replies_of_both_protocols_can_be_parsed():
    load_commands()
    for protocol in (2, 3):
        node = SimpleNamespace(commands=build_table())
        client = SimpleNamespace(resp=protocol, node=node)
        docs = commandinfo.command_docs(client, [b"command", b"docs"])
        (reply,) = ReplyParser().feed(docs)
        assert isinstance(reply, Reply)
        assert reply.items is not None
        assert len(reply.items) == 2 * len(node.commands)
