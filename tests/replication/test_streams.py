"""What our master sends to its replicas is what a real one sends, command for command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redislab.wire.requests import split_words
from tests.differential import fuzz
from tests.differential.fuzz_generator import Plan, Step
from tests.differential.fuzz_runner import DiffersError
from tests.replication.raw import Command, RawReplica
from tests.replication.streams import OPTIONS, StreamRunner, same_streams, writing_plan
from tests.servers import Wire, our_server, real_server

pytestmark = pytest.mark.redis

SEEDS = 48
PARTS = 4
LIBRARY = (
    "#!lua name=lib\\n"
    "redis.register_function('put', function(keys, args) "
    "redis.call('set', keys[1], args[1]) return redis.call('incr', keys[2]) end)\\n"
    "redis.register_function{function_name='look', flags={'no-writes'}, "
    "callback=function(keys) return redis.call('get', keys[1]) end}"
)
SCENARIOS = {
    "functions": (
        f'FUNCTION LOAD "{LIBRARY}"',
        "FCALL put 2 a n x",
        "FCALL look 1 a",
        f'FUNCTION LOAD "{LIBRARY}"',
        f'FUNCTION LOAD REPLACE "{LIBRARY}"',
        "FUNCTION DELETE nosuch",
        "FUNCTION DELETE lib",
        "FUNCTION FLUSH",
        "FUNCTION FLUSH ASYNC",
    ),
    "scripts": (
        "SCRIPT LOAD 'return 1'",
        "SCRIPT FLUSH",
        "EVAL \"return redis.call('set', KEYS[1], 'x', 'EX', 100)\" 1 a",
        "EVAL \"redis.call('select', 4) redis.call('set', 'b', 1) return 1\" 0",
        "EVAL \"redis.set_repl(redis.REPL_NONE) return redis.call('set', 'c', 1)\" 0",
        "EVAL \"redis.set_repl(redis.REPL_REPLICA) return redis.call('incr', 'n')\" 0",
        "EVAL \"redis.call('incr', 'n') return redis.call('nosuch')\" 0",
        "EVAL \"return redis.call('publish', 'ch', 'hello')\" 0",
        "EVAL \"return {redis.call('incr', 'n'), redis.call('incr', 'n')}\" 0",
        "EVAL \"return redis.call('spop', KEYS[1])\" 1 nothing",
        "EVAL 'return 1' 0",
    ),
    "transactions": (
        "MULTI",
        "SET a 1",
        "SELECT 3",
        "SET a 2",
        "PUBLISH ch x",
        "EXEC",
        "MULTI",
        "GET a",
        "EXEC",
        "MULTI",
        "INCR n",
        "EXEC",
        "MULTI",
        "INCR n",
        "LPUSH n x",
        "PEXPIRE n 100000",
        "EXEC",
        "MULTI",
        "EXEC",
        "SELECT 0",
        "GET n",
        "SET n 1",
        "MULTI",
        "EVAL \"redis.call('incr', 'n') return redis.call('incr', 'm')\" 0",
        "BLPOP nothing 0",
        "EXEC",
    ),
    "whole databases": (
        "FLUSHALL",
        "SET a 1",
        "SELECT 5",
        "FLUSHDB",
        "SET a 1",
        "SWAPDB 0 5",
        "SWAPDB 0 0",
        "MOVE a 7",
        "COPY a b DB 2",
        "FLUSHDB ASYNC",
        "FLUSHALL SYNC",
        "FLUSHALL ASYNC",
        "SELECT 0",
        "FLUSHDB",
    ),
    "expiry": (
        "SET a x EX 100",
        "SET a x PX 100000 NX",
        "SET a y PX 100000 GET",
        "SET a y EXAT 99999999999",
        "SET a y KEEPTTL",
        "SETEX a 100 x",
        "PSETEX a 100000 x",
        "GETEX a",
        "GETEX a EX 1000",
        "GETEX a PXAT 99999999999999",
        "GETEX a PERSIST",
        "GETEX a PERSIST",
        "GETEX nosuch EX 10",
        "GETEX a EXAT 1",
        "EXPIRE a 10",
        "SET a x",
        "EXPIRE a 100",
        "EXPIRE a 1000 GT",
        "EXPIRE a 10 GT",
        "PEXPIRE a 1000000 XX",
        "EXPIREAT a 99999999999",
        "PEXPIREAT a 99999999999999 NX",
        "PERSIST a",
        "PERSIST a",
        "EXPIRE a -1",
        "GETDEL a",
        "SET b x",
        "GETDEL b",
        "GETSET b y",
        "SETNX b z",
        "RENAME b c",
    ),
    "floats": (
        "SET f 10.5",
        "INCRBYFLOAT f 0.1",
        "EXPIRE f 100",
        "INCRBYFLOAT f -1e10",
        "HSET h f 1",
        "HINCRBYFLOAT h f 0.1",
        "HINCRBYFLOAT h g 3.0e3",
        "ZADD z 1 a",
        "ZINCRBY z 0.5 a",
        "ZADD z INCR 2.5 a",
        "ZADD z XX CH GT 1 a",
    ),
    "streams": (
        "XADD s 1-1 f v",
        "XADD s 5 f v",
        "XADD s 5-* f v",
        "XADD s MAXLEN ~ 1 9-* f v",
        "XADD s MAXLEN 2 10-1 f v",
        "XADD s MINID ~ 10 LIMIT 100 11-1 f v",
        "XADD none NOMKSTREAM 1-1 f v",
        "XGROUP CREATE s g 0",
        "XGROUP CREATE t g $ MKSTREAM",
        "XGROUP CREATECONSUMER s g other",
        "XREADGROUP GROUP g me COUNT 1 STREAMS s >",
        "XREADGROUP GROUP g me NOACK COUNT 1 STREAMS s >",
        "XREADGROUP GROUP g me STREAMS s >",
        "XREADGROUP GROUP g me STREAMS s 0",
        "XREADGROUP GROUP g another STREAMS t >",
        "XCLAIM s g other 0 10-1 11-1",
        "XCLAIM s g other 0 11-1 JUSTID",
        "XCLAIM s g other 0 99-1 FORCE",
        "XAUTOCLAIM s g third 0 0 COUNT 1",
        "XAUTOCLAIM s g third 0 0 JUSTID",
        "XACK s g 10-1 77-1",
        "XGROUP SETID s g 0",
        "XDEL s 11-1",
        "XREADGROUP GROUP g me STREAMS s 0",
        "XAUTOCLAIM s g third 0 0",
        "XSETID s 100-1",
        "XTRIM s MAXLEN ~ 0",
        "XTRIM s MAXLEN 0",
        "XGROUP DELCONSUMER s g me",
        "XGROUP DESTROY s g",
        "XGROUP DESTROY s g",
    ),
    "pops": (
        "RPUSH l 1 2 3 4 5 6 7 8 9",
        "LPOP l",
        "RPOP l 2",
        "LPOP l 0",
        "LMPOP 2 none l LEFT COUNT 2",
        "BLPOP none l 0",
        "BLMPOP 0 1 l RIGHT COUNT 1",
        "BRPOPLPUSH l k 0",
        "BLMOVE l k LEFT right 0",
        "RPOPLPUSH l k",
        "LPOP l 100",
        "ZADD z 1 a 2 b 3 c 4 d",
        "ZPOPMIN z",
        "BZPOPMAX z 0",
        "ZMPOP 1 z MIN COUNT 1",
        "BZMPOP 0 1 z MAX COUNT 9",
        "SADD s a",
        "SPOP s",
        "SADD s a b c",
        "SPOP s 3",
        "SADD s a b c",
        "SPOP s 0",
        "SMOVE s s2 a",
        "SMOVE s s2 nosuch",
    ),
    "stores": (
        "RPUSH l 3 1 2",
        "SORT l STORE sorted",
        "SORT nothing STORE sorted",
        "SADD a 1 2 3",
        "SADD b 2 3 4",
        "SINTERSTORE c a b",
        "SDIFFSTORE c a a",
        "ZUNIONSTORE z 2 a b WEIGHTS 1 2",
        "ZINTERSTORE z 2 a nothing",
        "ZRANGESTORE z2 z 0 -1",
        "GEOADD g 13.36 38.11 p 15.08 37.5 c",
        "GEOADD g CH 13.36 38.11 p",
        "GEORADIUS g 15 37 200 km STORE near",
        "GEORADIUSBYMEMBER g p 1 m STOREDIST near",
        "GEOSEARCHSTORE near g FROMLONLAT 15 37 BYRADIUS 1 m",
        "PFADD p a b c",
        "PFADD p a",
        "PFCOUNT p",
        "PFCOUNT p",
        "PFADD p d",
        "PFCOUNT p q",
        "PFMERGE q p",
        "BITOP NOT x p",
        "BITFIELD x SET u8 0 200",
        "BITFIELD x GET u8 0",
        "BITFIELD x INCRBY u8 0 10 GET u8 0",
        "SETBIT x 7 1",
        "SETRANGE y 2 z",
        "SETRANGE y 0 ''",
        "APPEND y w",
        "LSET sorted 0 x",
        "LREM l 0 nosuch",
        "LTRIM l 0 1",
        "LINSERT l BEFORE nosuch x",
    ),
    "messages": (
        "PUBLISH ch x",
        "SPUBLISH ch x",
        "PING",
        "TIME",
        "CONFIG SET timeout 0",
        "ACL SETUSER somebody on",
        "CLIENT NO-EVICT on",
        "DEBUG DIGEST",
    ),
}


@pytest.fixture(scope="module")
def runner() -> Iterator[StreamRunner]:
    with real_server(*OPTIONS) as real, our_server(*OPTIONS) as ours:
        runner = StreamRunner(real, ours)
        yield runner
        runner.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_random_calls_are_sent_on_alike(part: int, runner: StreamRunner) -> None:
    found = [fuzz.search(runner, writing_plan(seed)) for seed in range(part, SEEDS, PARTS)]
    assert not [str(finding) for finding in found if finding is not None]


@pytest.mark.parametrize("name", SCENARIOS)
def test_calls_are_sent_on_alike(name: str, runner: StreamRunner) -> None:
    streams: list[list[tuple[str, list[Command]]]] = []
    for address, control, replica in zip(
        runner.addresses, runner.controls, runner.replicas, strict=True
    ):
        control.call(b"FLUSHALL")
        sent: list[tuple[str, list[Command]]] = []
        with Wire(address) as client:
            for line in SCENARIOS[name]:
                words = split_words(line.encode("latin-1"))
                assert words is not None, line
                client.call(*words)
                sent.append((line, _since(runner, control, replica)))
        streams.append(sent)
    for (line, real), (_, ours) in zip(*streams, strict=True):
        assert same_streams(real, ours), f"{line}:\n real {real}\n ours {ours}"
    assert sum(len(sent) for _, sent in streams[0]) > 1, "nothing was sent on"


def test_ids_that_are_made_of_the_clock_are_the_ones_that_were_told(runner: StreamRunner) -> None:
    """Two servers make different ones; whoever waited is told the same one as the replicas."""
    add = Step(0, (b"XADD", b"s", b"*", b"f", b"v"), "?")
    group = (b"XREADGROUP", b"GROUP", b"g", b"me", b"BLOCK", b"0", b"STREAMS", b"s", b">")
    prepare = (Step(0, (b"XGROUP", b"CREATE", b"s", b"g", b"$", b"MKSTREAM")),)
    rounds = (
        (Step(1, (b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"$")), Step(2, group), add),
        (Step(0, (b"MULTI",)), add, add, Step(0, (b"EXEC",))),
        (Step(0, (b"DEL", b"s")), *prepare),
    )
    plan = Plan(0, {}, (2, 3, 2), (prepare, *(atom for _ in range(15) for atom in rounds)))
    assert fuzz.search(runner, plan) is None
    told, sent = b"1700000000000-0", b"1700000000001-0"
    streams = [[[b"XADD", b"s", each, b"f", b"v"]] for each in (told, sent)]
    run = runner.begin([])
    run.note_clock_ids([told, told])
    with pytest.raises(DiffersError):
        run.compare_streams((add,), streams)


def test_what_a_client_waited_for_is_sent_on_alike(runner: StreamRunner) -> None:
    """Clients that are served by a push, by a transaction, by a script, by a rename."""
    waits = (
        b"BLPOP k 0",
        b"BRPOP k other 0",
        b"BLMPOP 0 1 k LEFT COUNT 2",
        b"BLMOVE k to RIGHT LEFT 0",
        b"BRPOPLPUSH k to 0",
    )
    pushes = (
        b"RPUSH k 1 2 3 4 5 6 7",
        b"EVAL \"redis.call('rpush', 'k', 8) return redis.call('rpush', 'k', 9)\" 0",
        b"SORT k STORE k",
    )
    streams = []
    for address, control, replica in zip(
        runner.addresses, runner.controls, runner.replicas, strict=True
    ):
        control.call(b"FLUSHALL")
        waiting = [Wire(address) for _ in waits]
        for wire, line in zip(waiting, waits, strict=True):
            wire.send(*line.split())
            _until_blocked(control, wire)
        for line in pushes:
            control.call(*(split_words(line) or ()))
        streams.append(_since(runner, control, replica))
        for wire in waiting:
            wire.close()
    assert same_streams(*streams), f"real {streams[0]}\nours {streams[1]}"


def test_restored_values_are_sent_on_alike(runner: StreamRunner) -> None:
    real = runner.controls[0]
    real.call(b"RPUSH", b"source", b"1", b"2")
    dump = real.call(b"DUMP", b"source").text
    assert dump is not None
    _since(runner, real, runner.replicas[0])
    streams = []
    for control, replica in zip(runner.controls, runner.replicas, strict=True):
        control.call(b"FLUSHALL")
        for words in (
            (b"a", b"0", dump),
            (b"a", b"0", dump),  # there is one
            (b"a", b"0", dump, b"REPLACE"),
            (b"b", b"100000", dump),
            (b"c", b"99999999999999", dump, b"ABSTTL", b"IDLETIME", b"7"),
            (b"c", b"1", dump, b"ABSTTL", b"REPLACE"),  # its time has come
            (b"d", b"1", dump, b"ABSTTL"),
        ):
            control.call(b"RESTORE", *words)
        streams.append(_since(runner, control, replica))
    assert same_streams(*streams), f"real {streams[0]}\nours {streams[1]}"
    assert len(streams[0]) > 4


def _until_blocked(control: Wire, wire: Wire) -> None:
    port = wire.socket.getsockname()[1]
    for _ in range(1000):
        lines = (control.call(b"CLIENT", b"LIST").text or b"").splitlines()
        if any(b"flags=b" in each and b":%d " % port in each for each in lines):
            return
    pytest.fail("a client does not wait")


def _since(runner: StreamRunner, control: Wire, replica: RawReplica) -> list[Command]:
    runner.markers += 1
    name = b"%d" % runner.markers
    control.call(b"PUBLISH", b"marker", name)
    return replica.until([b"PUBLISH", b"marker", name])
