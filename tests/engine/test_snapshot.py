"""A snapshot is of one moment, whatever commands do while it is written."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from random import Random

import pytest

from redislab.engine import fake
from redislab.engine.errors import CommandError
from redislab.engine.expires import Expires
from redislab.engine.groups import Group
from redislab.engine.keyspace import Engine
from redislab.engine.rdbload import RdbLoader
from redislab.engine.rdbsave import RdbImage
from redislab.engine.snapshot import Snapshot
from redislab.engine.table import HANDLERS, Block
from redislab.engine.values import SetValue, SortedSetValue
from redislab.server.digest import dataset_digest
from redislab.server.facts import COMMANDS
from redislab.wire.rdb.payload import seal
from redislab.wire.rdb.strings import string
from tests.engine.callers import START_MS, TestCaller

# Commands by what they work on, keys and words to be filled in: every command that changes a value
# in place is here, and those that read one with a side effect. `{k}` is a key of the family, `{m}`
# a member, `{n}` a number, `{o}` another key of the family, `{x}` a new key, `{i}` a stream id.
FAMILIES: dict[str, tuple[str, ...]] = {
    "string": (
        "set {k} {m}", "append {k} {m}", "setrange {k} {n} {m}", "setbit {k} {n} 1", "incr {k}",
        "incrby {k} {n}", "incrbyfloat {k} 0.5", "decr {k}", "getset {k} {m}", "getdel {k}",
        "getex {k} px 100000", "mset {k} {m} {o} {m}", "msetnx {x} 1", "setnx {x} {m}",
        "setex {k} 100 {m}", "bitfield {k} set u8 {n} 200", "bitop xor {k} {k} {o}",
        "bitop not {o} {k}", "strlen {k}", "getrange {k} 0 -1", "get {k}", "psetex {k} 99999 {m}",
        "decrby {k} {n}",
    ),
    "hll": (
        "pfadd {k} {m} {n}", "pfcount {k}", "pfcount {k} {o}", "pfmerge {k} {o}",
        "pfdebug getreg {k}", "pfdebug todense {k}",
    ),
    "list": (
        "lpush {k} {m} {n}", "rpush {k} {m}", "lpushx {k} {m}", "rpushx {k} {m}", "lpop {k}",
        "rpop {k} 2", "lset {k} 0 {m}", "linsert {k} before {m} {n}", "lrem {k} 0 {m}",
        "ltrim {k} 1 -2", "lmove {k} {o} left right", "rpoplpush {k} {o}", "lmpop 1 {k} left",
        "blpop {k} 0", "brpop {k} 0", "blmove {k} {o} left left 0", "brpoplpush {k} {o} 0",
        "blmpop 0 1 {k} left count 2", "sort {k} alpha store {o}", "lrange {k} 0 -1",
    ),
    "hash": (
        "hset {k} {m} {n}", "hmset {k} {m} {m}", "hsetnx {k} {m} {n}", "hdel {k} {m}",
        "hincrby {k} {n} 3", "hincrbyfloat {k} {n} 0.5", "hgetall {k}",
    ),
    "set": (
        "sadd {k} {m} {n}", "srem {k} {m} {n}", "spop {k}", "spop {k} 2", "smove {k} {o} {m}",
        "sunionstore {k} {k} {o}", "sinterstore {k} {o} {o}", "sdiffstore {x} {k} {o}",
        "smembers {k}",
    ),
    "zset": (
        "zadd {k} {n} {m}", "zincrby {k} 1.5 {m}", "zrem {k} {m}", "zpopmin {k}", "zpopmax {k} 2",
        "zremrangebyrank {k} 0 0", "zremrangebyscore {k} 0 3", "zremrangebylex {k} - [b",
        "zunionstore {k} 2 {k} {o}", "zinterstore {o} 2 {k} {o}", "zdiffstore {k} 2 {k} {o}",
        "zrangestore {o} {k} 0 -1", "zmpop 1 {k} min", "bzpopmin {k} 0", "bzpopmax {k} 0",
        "bzmpop 0 1 {k} max", "geoadd {k} 13.3 38.1 {m}",
        "georadius {k} 13 38 900 km store {o}", "zrange {k} 0 -1",
        "georadiusbymember {k} {m} 900 km store {o}",
        "geosearchstore {o} {k} fromlonlat 13 38 byradius 900 km",
    ),
    "stream": (
        "xadd {k} * {m} {n}", "xadd {k} maxlen 3 * {m} {n}", "xdel {k} {i}", "xtrim {k} maxlen 2",
        "xsetid {k} 9999999999999-1 entriesadded 9999", "xgroup|create {k} {m} 0",
        "xgroup|setid {k} g $", "xgroup|destroy {k} {m}", "xgroup|createconsumer {k} g {m}",
        "xgroup|delconsumer {k} g {m}", "xreadgroup group g {m} count 2 streams {k} >",
        "xreadgroup group g {m} noack streams {k} >", "xreadgroup group g {m} streams {k} 0",
        "xack {k} g {i}", "xclaim {k} g {m} 0 {i}", "xclaim {k} g {m} 0 {i} force justid",
        "xautoclaim {k} g {m} 0 0", "xpending {k} g", "xread streams {k} 0", "xlen {k}",
    ),
    "any": (
        "del {k}", "unlink {k} {o}", "rename {k} {o}", "rename {k} {x}", "renamenx {k} {x}",
        "copy {k} {o} replace", "copy {k} {x}", "move {k} 1", "expire {k} 100", "pexpire {k} 1",
        "persist {k}", "touch {k}", "restore {k} 0 payload replace", "swapdb 0 1",
        "expireat {k} 1700009999", "pexpireat {k} 1700009999000", "restore-asking {x} 0 payload",
        "object|encoding {k}", "dump {k}",
    ),
}  # fmt: skip
RARE = ("flushdb", "flushall")
MEMBERS = tuple("abcdefgh")
TYPES = tuple(family for family in FAMILIES if family != "any")
PAYLOAD = seal(b"\x00" + string(b"restored"))


class Mutator:
    """Runs random commands of all families."""

    def __init__(self, caller: TestCaller, seed: int) -> None:
        self.caller = caller
        self.random = Random(seed)
        self.new_keys = 0
        self.run_names: set[str] = set()

    def fill(self) -> None:
        """Some keys of every type."""
        for _ in range(600):
            self.run(self.random.choice(TYPES))

    def run(self, family: str | None = None) -> None:
        """One command; errors are as good as replies."""
        random = self.random
        family = family or random.choice(list(FAMILIES))
        template = random.choice(FAMILIES[family])
        if family == "any" and random.random() < 0.01:
            template = random.choice(RARE)
        kind = family if family != "any" else random.choice(TYPES)
        self.call(template, kind)
        self.run_names.add(template)

    def call(self, template: str, kind: str) -> None:
        """Run a template on keys of a type; subcommands take their own place as a word."""
        random = self.random
        self.new_keys += 1
        places = {
            "k": f"{kind}:{random.randrange(4)}",
            "o": f"{kind}:{random.randrange(4)}",
            "x": f"new:{self.new_keys % 5}",
            "m": random.choice(MEMBERS),
            "n": str(random.randrange(20)),
            "i": self._id(f"{kind}:{random.randrange(4)}".encode()),
        }
        words = [word.format_map(places).encode() for word in template.split()]
        words = [PAYLOAD if word == b"payload" else word for word in words]
        handler = HANDLERS[words[0]]
        if b"|" in words[0]:
            words[:1] = words[0].split(b"|")
        try:
            reply = handler(self.caller, words)
        except CommandError:
            return
        assert isinstance(reply, bytes | Block)
        self.caller.now_ms += 1
        self.caller.engine.ready.clear()

    def _id(self, key: bytes) -> str:
        stream = self.caller.db.values.get(key)
        known = fake.ids(stream) if type(stream) is fake.Stream else []
        milliseconds, number = self.random.choice(known) if known else (1, 1)
        return f"{milliseconds}-{number}"


def made(seed: int) -> Mutator:
    mutator = Mutator(TestCaller(seed=seed), seed)
    mutator.fill()
    for number in range(4):
        key = f"stream:{number}".encode()
        if type(mutator.caller.db.values.get(key)) is not fake.Stream:
            mutator.caller.db.remove(key)
        mutator.caller("xadd", key, "*", "f", "v")
        mutator.call(f"xgroup|create stream:{number} g 0", "stream")
    return mutator


def loaded(data: bytes) -> Engine:
    """An engine with the data of a file."""
    engine = Engine(16, lambda: START_MS, Random(0))
    loader = RdbLoader(engine, keep_expired=True)
    loader.feed(data)
    loader.finish()
    return engine


def described(engine: Engine) -> dict[tuple[int, bytes], object]:
    """All that is in an engine, copied deeply: a text for each key."""
    found: dict[tuple[int, bytes], object] = {}
    for database in engine.databases:
        for key, value in database.values.items():
            kind = type(value)
            if kind is fake.Stream:
                parts = _stream(value)
            elif kind is SortedSetValue:
                parts = list(value.order)
            elif kind is SetValue:
                parts = sorted(value)
            else:
                parts = bytes(value) if kind is bytearray else value
            found[database.index, key] = repr(parts), database.expires.get(key)
    return found


def _stream(stream: fake.Stream) -> object:
    counters = fake.last_id(stream), fake.max_deleted_id(stream), fake.entries_added(stream)
    groups = sorted(fake.groups(stream).items())
    return fake.entries(stream), counters, [(name, *_group(group)) for name, group in groups]


def _group(group: Group) -> tuple[object, ...]:
    consumers = sorted(group.consumers.items())
    return (
        tuple(group.last_id),
        group.entries_read,
        [(name, each.seen_ms, list(map(tuple, each.pending))) for name, each in consumers],
        [(tuple(entry), held.delivered_ms, held.times) for entry, held in group.pending.items()],
    )


@pytest.mark.parametrize("seed", range(12))
def test_what_is_written_is_what_was(seed):
    mutator = made(seed)
    engine = mutator.caller.engine
    before, digest = described(engine), dataset_digest(engine)
    image = RdbImage(engine, {})
    pieces = image._pieces()  # smaller than chunks, so that more happens in between
    written = []
    for piece in pieces:
        written.append(piece)
        for _ in range(mutator.random.randrange(12)):
            mutator.run()
    assert described(engine) != before
    engine_again = loaded(b"".join(written) + b"\xff" + bytes(8))
    assert described(engine_again) == before
    assert dataset_digest(engine_again) == digest


def test_every_command_that_writes_is_among_the_random_ones():
    known = {template.split()[0] for family in FAMILIES.values() for template in family}
    writing = {
        fact.name.decode()
        for fact in COMMANDS.values()
        if "write" in fact.flags
        and HANDLERS.get(fact.name, len).__module__.startswith("redislab.engine")
    }
    assert {"set", "xgroup|create"} <= writing
    assert writing - known - set(RARE) == set()


def test_all_the_random_commands_run():
    ran: set[str] = set()
    for seed in range(3):
        mutator = made(seed)
        for _ in range(3000):
            mutator.run()
        ran |= mutator.run_names
    assert ran == {template for family in FAMILIES.values() for template in family} | set(RARE)


def snapshots(engine: Engine) -> Iterator[object]:
    return (database.snapshots for database in engine.databases)


def test_it_lets_go_at_the_end_when_closed_and_when_forgotten():
    caller = TestCaller()
    caller("set", "k", "v")
    image = RdbImage(caller.engine, {})
    assert caller.db.snapshots is not None
    assert list(image)
    assert caller.db.snapshots is None
    image = RdbImage(caller.engine, {})
    image.close()
    image.close()
    assert caller.db.snapshots is None
    for part in (RdbImage(caller.engine, {}), iter(RdbImage(caller.engine, {}))):
        assert caller.db.snapshots is not None
        del part
    assert not any(snapshots(caller.engine))


def test_two_at_a_time_see_two_moments():
    caller = TestCaller()
    caller("rpush", "l", "a")
    first = Snapshot(caller.engine)
    caller("rpush", "l", "b")
    second = Snapshot(caller.engine)
    caller("rpush", "l", "c")
    assert [list(e.value) for e in first.databases[0].entries()] == [[b"a"]]
    first.close()
    caller("rpush", "l", "d")
    assert [list(e.value) for e in second.databases[0].entries()] == [[b"a", b"b"]]
    second.close()
    assert caller.db.snapshots is None


def test_when_keys_expired_is_known_at_two_moments():
    caller = TestCaller()
    for number in range(6):
        caller("psetex", f"k{number}", 1000 + number, "v")
    first = Snapshot(caller.engine)
    assert first.databases[0].expiring == 6
    caller("persist", "k0")
    caller("pexpire", "k1", 5000)
    caller("del", "k2")
    caller("set", "new", "v", "px", 10)
    second = Snapshot(caller.engine)
    caller("pexpire", "k0", 9)
    caller("set", "k1", "v")
    caller("flushall")
    caller("psetex", "k4", 4, "v")
    was = [entry.expires_ms for entry in first.databases[0].entries()]
    assert was == [START_MS + 1000 + number for number in range(6)]
    left = {entry.key: entry.expires_ms for entry in second.databases[0].entries()}
    assert left == {
        b"k0": None,
        b"k1": START_MS + 5000,
        **{b"k%d" % number: START_MS + 1000 + number for number in (3, 4, 5)},
        b"new": START_MS + 10,
    }
    assert type(caller.db.expires) is Expires
    second.close()
    third = Snapshot(caller.engine)
    assert type(caller.db.expires) is not Expires
    third.close()
    assert type(caller.db.expires) is Expires
    assert caller.db.expires == {b"k4": START_MS + 4}


def test_a_value_is_copied_once_and_only_if_it_is_used():
    caller = TestCaller()
    for number in range(10):
        caller("rpush", f"l{number}", "a", "b")
    caller("set", "s", "x")
    snapshot = Snapshot(caller.engine)
    assert (snapshot.keys_total, snapshot.copied_bytes) == (11, 0)
    caller("get", "s")
    for _ in range(3):
        caller("lrange", "l3", 0, -1)
    assert snapshot.copied_bytes == 2 * 8
    taken = list(snapshot.databases[0].entries())
    assert snapshot.keys_done == len(taken) == 11
    caller("rpush", "l4", "c")
    assert snapshot.copied_bytes == 2 * 8
    snapshot.close()


def test_a_file_without_data_has_libraries_and_facts():
    caller = TestCaller()
    caller("set", "k", "v")
    image = RdbImage(caller.engine, {"a": 1}, [b"#!lua name=x\n"], with_data=False)
    assert caller.db.snapshots is None
    loader = RdbLoader(Engine(16, lambda: START_MS, Random(0)), keep_expired=False)
    loader.feed(b"".join(image))
    assert loader.reader.done
    assert (loader.facts, loader.libraries) == ({b"a": b"1"}, [b"#!lua name=x\n"])
    assert loader.loaded == 0


def test_many_small_snapshots_leave_the_collector_its_work():
    class Cycle:
        def __init__(self) -> None:
            self.own = self
            self.company = [[] for _ in range(100)]

    engine = TestCaller().engine
    made: list[weakref.ref[Cycle]] = []
    for _ in range(2_000):
        snapshot = Snapshot(engine)
        made.append(weakref.ref(Cycle()))
        snapshot.close()
    kept = sum(each() is not None for each in made)
    assert kept < len(made) / 2
