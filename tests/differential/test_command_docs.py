"""The COMMAND family against real Redis: INFO and DOCS of every command, keys of many calls.

Every command that Redis has is compared, whether our node has it yet or not: the handlers are asked
with a table of all of them. What the node itself lists is asked over the wire.

What is prose is ours and not compared: summaries, the words of costs, of history, of what replaces
a command and of remarks on key specs. That each is there, and the version it speaks of, is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from types import SimpleNamespace

import pytest

from redislab.engine.errors import wrong_arity
from redislab.server import commandinfo
from redislab.server.commands import Entry
from redislab.server.facts import COMMANDS
from redislab.wire.replies import ARRAY, MAP, Reply, ReplyParser
from tests.differential.harness import show
from tests.servers import Address, Wire, our_server, real_server

PROSE = frozenset({"summary", "complexity", "replaced_by", "notes"})

# Whole requests for GETKEYS: movable keys, keywords in odd places, wrong numbers, no keys at all.
REQUESTS = """
set a b|set a b get|set a b GET EX 5|set a|get a|get|mget a b c|mset a b c d|mset a b c
msetnx a 1 b 2|del a b c|exists a|ping|echo x|foo bar|config get x|config get|config foo bar
object encoding k|object help|object freq k|object foo k|memory usage k|memory usage k samples 5
memory stats|debug object k|bitop and d a b|bitop not d a|bitop and|bitfield k get u8 0
bitfield k set u8 0 1|bitfield k|bitfield k overflow sat get u8 0|bitfield k get u8
bitfield k incrby u8 0 1 get u8 0|bitfield_ro k get u8 0|eval s 2 a b c|eval s 0|eval s 0 a
eval s -1 a|eval s x a|eval s 9 a b|eval s 02 a b|eval s 1|evalsha s 1 k|eval_ro s 1 k v
evalsha_ro s 2 k v|fcall f 2 a b|fcall_ro f 1 a|fcall f 0|fcall f 3 a|sort k
sort k by w_* get o_* store d|sort k store d store e|sort k get store by x
sort k limit 0 1 store z|sort k store|sort_ro k by w_*|sort k alpha desc store d|sort k limit 0
sort k LIMIT STORE a STORE b|zunionstore d 2 a b weights 1 2|zunionstore d 0|zunionstore d 3 a b
zunionstore d x a|zinterstore d 1 a|zdiffstore d 2 a b|zunion 2 a b|zinter 2 a b withscores
zdiff 1 a|zintercard 2 a b limit 3|sintercard 2 a b|sintercard 0 a|lmpop 2 a b left
lmpop 0 a left|lmpop x a left|blmpop 0 2 a b left|blmpop 0 5 a left|zmpop 2 a b min
zmpop 5 a min|bzmpop 1 2 a b max count 3|bzmpop 1 1 a max|xread streams a b 0 0
xread count 2 streams a 0|xread block 0 count 5 streams a b c 1 2 3|xread streams a
xread count streams streams a 0|xread streams a b 0|xreadgroup group g c streams a >
xread bogus streams a 0|xreadgroup group streams c count 1 streams a b > >
xreadgroup group g streams streams a >|xreadgroup group g c noack block 1 streams streams >
xadd k * f v|xgroup create k g $|xgroup help|xinfo stream k|xinfo help|xack k g 1
xautoclaim k g c 0 0|xclaim k g c 0 1-1|migrate h p k 0 9|migrate h p "" 0 9 keys a b
migrate h p k 0 9 keys a|migrate h p "" 0 9 auth keys keys a b
migrate h p "" 0 9 copy replace auth2 u p keys a|migrate h p "" 0 9|migrate h p "" 0 9 keys
migrate h p k 0|georadius k 1 2 3 m|georadius k 1 2 3 m store d|georadius k 1 2 3 m storedist d
georadius k 1 2 3 m store|georadius k 1 2 3 m store d storedist e
georadiusbymember k m 3 km store d|georadiusbymember k m 3 km|georadius_ro k 1 2 3 m
geosearchstore d s fromlonlat 0 0 bybox 1 1 m|geosearch k frommember a byradius 1 m
georadius k 1 2 3 m storedist store store d|georadiusbymember k m store store store d
blpop a b 0|brpop a 0|blpop 0|blmove a b left right 0|brpoplpush a b 0|rpoplpush a b
lmove a b left left|bzpopmin a b 0|rename a b|copy a b|smove a b m|sdiffstore d a b
sinterstore d a|sunionstore d|pfcount a b|pfmerge d a b|pfmerge d|pfadd k|pfdebug encoding k
pfdebug|lcs a b|getex k ex 5|getset k v|restore k 0 v|dump k|touch a b|unlink a|watch a b
wait 1 0|publish c m|spublish c m|ssubscribe a b|subscribe a|multi|script load x|function load x
hset k f v|hset k|xsetid k 1-1|zrangestore d s 0 1|command getkeys get a|command info get
client kill a|acl getuser x|cluster keyslot k|slowlog get|GET a|Set a b GeT|XREAD STREAMS a 0
SORT k STORE d|OBJECT ENCODING k|mEmOrY uSaGe k
"""


@pytest.fixture(scope="module")
def real() -> Iterator[Address]:
    with real_server() as address:
        yield address


@pytest.fixture(scope="module")
def ours() -> Iterator[Address]:
    with our_server() as address:
        yield address


class AllCommands:
    """Our handlers with a table of all commands of Redis, asked in RESP3."""

    def __init__(self) -> None:
        table: dict[bytes, Entry] = {}
        for name, fact in COMMANDS.items():
            container, bar, subcommand = name.partition(b"|")
            if bar:
                table[container].subcommands[subcommand] = Entry(fact, None)
            else:
                table[name] = Entry(fact, None)
        self.client = SimpleNamespace(resp=3, node=SimpleNamespace(commands=table))

    def call(self, *words: bytes) -> Reply:
        name = words[1].decode().lower()
        handler = getattr(commandinfo, f"command_{name}")
        try:
            if not COMMANDS[f"command|{name}".encode()].fits(len(words)):
                raise wrong_arity(f"command|{name}")
            encoded = handler(self.client, list(words))
        except commandinfo.CommandError as failure:
            encoded = f"-{failure.message}\r\n".encode()
        return ReplyParser().feed(encoded)[0]


def fields(reply: Reply) -> dict[str, Reply]:
    assert reply.items is not None
    return {text(k): v for k, v in zip(reply.items[::2], reply.items[1::2], strict=True)}


def text(reply: Reply) -> str:
    assert reply.text is not None
    return reply.text.decode()


def plain(reply: Reply) -> object:
    """A reply with its types, maps without order, prose replaced by a mark."""
    if reply.kind == MAP:
        return {
            name: "prose"
            if name in PROSE
            else history(value)
            if name == "history"
            else plain(value)
            for name, value in fields(reply).items()
        }
    if reply.items is not None:
        return reply.kind, [plain(item) for item in reply.items]
    return reply.kind, reply.text


def history(reply: Reply) -> list[str]:
    assert reply.items is not None
    return [text(item.items[0]) for item in reply.items if item.items]


def in_order(described: object) -> object:
    """A description from COMMAND INFO with its subcommands sorted by name."""
    assert isinstance(described, tuple)
    kind, items = described
    children = sorted(items[9][1], key=lambda child: child[1][0])
    return kind, [*items[:9], (items[9][0], children)]


@pytest.mark.redis
def test_info_of_every_command_is_that_of_redis(real: Address) -> None:
    mine = AllCommands()
    with Wire(real, 3) as theirs:
        listed = [
            {item.text for item in peer.call(b"COMMAND", b"LIST").items or ()}
            for peer in (theirs, mine)
        ]
        assert listed[0] == listed[1] == set(COMMANDS)
        for name in COMMANDS:
            (expected,) = theirs.call(b"COMMAND", b"INFO", name).items or ()
            (got,) = mine.call(b"COMMAND", b"INFO", name).items or ()
            assert in_order(plain(got)) == in_order(plain(expected)), name


@pytest.mark.redis
def test_documentation_of_every_command_has_the_structure_of_redis(real: Address) -> None:
    mine = AllCommands()
    with Wire(real, 3) as theirs:
        for name in COMMANDS:
            expected = theirs.call(b"COMMAND", b"DOCS", name)
            got = mine.call(b"COMMAND", b"DOCS", name)
            assert plain(got) == plain(expected), name


@pytest.mark.redis
def test_prose_is_in_our_own_words(real: Address) -> None:
    mine = AllCommands()
    with Wire(real, 3) as theirs:
        for name in COMMANDS:
            expected = fields(fields(theirs.call(b"COMMAND", b"DOCS", name))[name.decode()])
            got = fields(fields(mine.call(b"COMMAND", b"DOCS", name))[name.decode()])
            assert text(got["summary"]).lower() != text(expected["summary"]).lower(), name


@pytest.mark.redis
@pytest.mark.parametrize("protocol", [2, 3])
def test_a_node_describes_the_commands_that_it_has(
    protocol: int, real: Address, ours: Address
) -> None:
    with Wire(real, protocol) as theirs, Wire(ours, protocol) as mine:
        described = mine.call(b"COMMAND").items or ()
        assert described == mine.call(b"COMMAND", b"INFO").items
        assert len(described) == int(mine.call(b"COMMAND", b"COUNT").text or 0)
        assert len(described) > 150
        for entry in described:
            assert entry.items
            name = text(entry.items[0]).encode()
            (expected,) = theirs.call(b"COMMAND", b"INFO", name).items or ()
            assert expected.items
            assert plain(entry)[1][:8] == plain(expected)[1][:8], name  # type: ignore[index]


@pytest.mark.redis
@pytest.mark.parametrize("protocol", [2, 3])
def test_lists_and_wrong_calls(protocol: int, real: Address, ours: Address) -> None:
    calls = [
        "command info nosuch",
        "command info get nosuch config|get get|x config|x|y",
        "command docs nosuch",
        "command docs nosuch|x",
        "command list filterby",
        "command list filterby bogus x",
        "command list bogus module x",
        "command list filterby module nosuch",
        "command list filterby aclcat nosuch",
        "command list filterby pattern nosuch*",
        "command list filterby pattern get",
        "command list filterby pattern xr*",
        "command list filterby PATTERN GETRANG[ef]",
        "command list filterby pattern a b",
        "command count x",
        "command getkeys",
        "command getkeysandflags",
        "command foo",
        "command help x",
    ]
    with Wire(real, protocol) as theirs, Wire(ours, protocol) as mine:
        for call in calls:
            words = call.encode().split()
            expected, got = theirs.call(*words), mine.call(*words)
            if expected.kind == ARRAY and "list" in call:
                assert sorted(show(i) for i in got.items or ()) == sorted(
                    show(i) for i in expected.items or ()
                ), call
            elif "info" in call:
                assert [plain(i) for i in got.items or ()] == [
                    plain(i) for i in expected.items or ()
                ], call
            else:
                assert got == expected, call


@pytest.mark.redis
def test_keys_of_chosen_requests(real: Address) -> None:
    requests = [line for row in REQUESTS.split("\n") for line in row.split("|") if line]
    assert len(requests) > 170
    mine = AllCommands()
    with Wire(real, 3) as theirs:
        for request in requests:
            words = [b"" if word == '""' else word.encode() for word in request.split(" ")]
            for form in (b"GETKEYS", b"GETKEYSANDFLAGS"):
                expected = theirs.call(b"COMMAND", form, *words)
                got = mine.call(b"COMMAND", form, *words)
                assert got == expected, (request, show(expected), show(got))


@pytest.mark.redis
def test_keys_of_every_command_with_arguments_of_all_kinds(real: Address) -> None:
    kinds = [b"1", b"2", b"a", b"streams"]
    tails = [list(tail) for n in range(4) for tail in product(kinds, repeat=n)]
    tails += [[b"a"] * n for n in range(4, 9)] + [[b"1"] * n for n in range(4, 9)]
    mine = AllCommands()
    with Wire(real, 3) as theirs:
        for name in COMMANDS:
            requests = [[*name.split(b"|"), *tail] for tail in tails]
            for request in requests:
                theirs.send(b"COMMAND", b"GETKEYSANDFLAGS", *request)
            for request in requests:
                expected, got = theirs.read(), mine.call(b"COMMAND", b"GETKEYSANDFLAGS", *request)
                assert got == expected, (request, show(expected), show(got))
