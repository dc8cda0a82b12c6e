"""What clients of a master and of a replica may do, hear and wait for, as with real ones."""

from __future__ import annotations

import time

import pytest

from tests.replication.raw import RawReplica
from tests.replication.stage import Stage, compare_both
from tests.servers import HOST

pytestmark = pytest.mark.redis


def test_who_may_write() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        on.call("a", "SET k 1")
        on.until_even("a", "b")
        writes = (
            *("SET k 2", "GET k", "DEL k", "EVAL \"return redis.call('set', 'k', 3)\" 0"),
            *(
                "EVAL \"return redis.call('get', 'k')\" 0",
                "EVAL \"return redis.pcall('set','k',1)\" 0",
            ),
            *('EVAL \'#!lua flags=no-writes\nreturn redis.call("get", "k")\' 0',),
            *(
                "EVAL '#!lua\nreturn 1' 0",
                "PUBLISH ch x",
                "PFCOUNT h",
                "SORT k STORE l",
                "SORT_RO k",
            ),
            *("MULTI", "SET k 4", "GET k", "EXEC", "MULTI", "GET k", "EXEC", "BLPOP l 1"),
            *("XREADGROUP GROUP g c STREAMS s >", "FUNCTION FLUSH", "FLUSHALL", "SCRIPT FLUSH"),
            *("GEORADIUS g 1 1 1 m", "GEORADIUS_RO g 1 1 1 m", "MIGRATE h 1 k 0 1", "SWAPDB 0 1"),
        )
        for line in writes:
            on.call("b", line)
        on.call("b", "CONFIG SET replica-read-only no")
        for line in writes[:4]:
            on.call("b", line)
        on.call("a", "GET k")
        on.call("a", "CONFIG SET min-replicas-to-write 1")
        on.until(lambda: on.field("a", "min_slaves_good_slaves") == "1", "")
        on.call("a", "SET k 5")
        on.call("a", "CONFIG SET min-replicas-to-write 2")
        for line in writes:
            on.call("a", line)
        on.note_info("a")
        on.call("a", "CONFIG SET min-replicas-max-lag 0")
        on.call("a", "SET k 6")
        on.note(on.field("a", "min_slaves_good_slaves"))

    compare_both(scene)


def test_who_may_read() -> None:
    def scene(on: Stage) -> None:
        on.start("a", "--replicaof", f"{HOST} 1", "--replica-serve-stale-data", "no")
        for line in (
            *("GET k", "SET k 1", "PING", "INFO nosuch", "CONFIG GET maxclients", "MULTI", "GET k"),
            *(
                "EXEC",
                "MULTI",
                "PING",
                "EXEC",
                "EVAL 'return 1' 0",
                "SUBSCRIBE ch",
                "UNSUBSCRIBE ch",
            ),
            *("EVAL '#!lua flags=allow-stale\nreturn 1' 0", "PUBLISH ch x", "DEBUG DIGEST"),
            *('EVAL \'#!lua flags=allow-stale\nreturn redis.call("get", "k")\' 0', "SELECT 1"),
            *("EVAL '#!lua\nreturn 1' 0", "SCRIPT LOAD 'return 1'", "FUNCTION LIST", "ECHO x"),
            *(
                "DBSIZE",
                "KEYS *",
                "FLUSHALL",
                "PING",
                "ACL WHOAMI",
                "CLIENT GETNAME",
                "SAVE",
            ),
            *("CONFIG SET replica-serve-stale-data yes", "GET k", "SET k 1"),
        ):
            on.call("a", line)

    compare_both(scene)


def test_keys_whose_time_has_come() -> None:
    """A replica does not delete them, and acts as if they were gone."""

    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        on.call("a", "DEBUG SET-ACTIVE-EXPIRE 0")
        for line in (
            *("SET s x PX 30", "RPUSH l x", "PEXPIRE l 30", "HSET h f v", "PEXPIRE h 30"),
            *("SADD set x", "PEXPIRE set 30", "SET other 1", "SET gone x PX 30"),
        ):
            on.call("a", line)
        on.until_even("a", "b")
        time.sleep(0.1)
        reads = (
            *("GET s", "EXISTS s l h", "TTL s", "PTTL l", "TYPE h", "DBSIZE", "STRLEN s", "LLEN l"),
            *("LRANGE l 0 -1", "HGETALL h", "SMEMBERS set", "SISMEMBER set x", "OBJECT ENCODING s"),
            *(
                "KEYS *",
                "RANDOMKEY",
                "SCAN 0 COUNT 100",
                "GETRANGE s 0 -1",
                "MGET s other",
                "TOUCH s",
            ),
            *(
                "SINTER set set",
                "EXPIRETIME s",
                "DUMP s",
                "SORT_RO l ALPHA",
                "BITCOUNT s",
                "DBSIZE",
            ),
            *(
                "EVAL \"return redis.call('get', 's')\" 0",
                "HRANDFIELD h",
                "XLEN s",
                "OBJECT FREQ s",
            ),
        )
        for line in reads:
            on.call("b", line)
        on.call("b", "CONFIG SET replica-read-only no")
        for line in (
            *("GET s", "DBSIZE", "APPEND s y", "GET s", "TTL s", "RPUSH l y", "LRANGE l 0 -1"),
            *("HSETNX h f w", "HGETALL h", "SETNX gone y", "SADD set y", "SMEMBERS set", "DBSIZE"),
            *(
                "SET mine x PX 50",
                "SET mine2 x",
                "PEXPIRE mine2 50",
                "EXPIRE mine2 -5",
                "TTL mine2",
            ),
        ):
            on.call("b", line)
        on.until(lambda: on.field("b", "slave_expires_tracked_keys") == "0", "own keys stay")
        on.call("b", "DBSIZE")
        on.call("a", "GET s")
        on.call("a", "EXISTS l h set")
        on.until_even("a", "b")
        on.call("b", "EXISTS s l h set gone")
        on.note(on.field("a", "expired_keys"))

    compare_both(scene)


@pytest.mark.parametrize("line", ["REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"])
@pytest.mark.parametrize("role", ["master", "replica"])
def test_clients_that_wait_through_a_change_of_roles(role: str, line: str) -> None:
    def scene(on: Stage) -> None:
        options = ("--replicaof", f"{HOST} 2") if role == "replica" else ()
        on.start("a", "--replica-read-only", "no", *options)
        calls = ("BLPOP l 0", "BZPOPMIN z 0", "XREAD BLOCK 0 STREAMS s $", "BLMOVE l m LEFT LEFT 0")
        if role == "master":
            calls = (*calls, "WAIT 1 0")
        waiting = {call: on.wire("a") for call in calls}
        for call, wire in waiting.items():
            wire.send(*call.encode().split())
        on.until(lambda: on.field("a", "blocked_clients") == str(len(calls)), "nobody waits")
        on.call("a", line)
        on.note(on.field("a", "blocked_clients"))
        on.ask("a", "RPUSH l x y")
        for call, wire in waiting.items():
            wire.socket.settimeout(0.3)
            try:
                on.note(f"{call}: {wire.read()}")
                on.note(f"and then {wire.read()}")
            except OSError as end:
                on.note(f"{call}: {type(end).__name__}")

    compare_both(scene)


def test_what_a_replica_hears_and_shows() -> None:
    """MONITOR, messages and events on a replica."""

    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a", "--notify-keyspace-events", "KEA")
        subscriber, monitor = on.wire("b"), on.wire("b")
        subscriber.send(b"PSUBSCRIBE", b"*")
        subscriber.read()
        monitor.call(b"MONITOR")
        for line in (
            *("SET k 1", "PUBLISH ch hello", "SELECT 3", "RPUSH l a", "LPOP l", "SELECT 0"),
            *("MULTI", "INCR k", "PUBLISH ch in", "EXEC", "EVAL \"redis.call('set', 'e', 1)\" 0"),
            *("SPUBLISH ch shard", "DEL k", "FLUSHALL", "PUBLISH ch end"),
        ):
            on.call("a", line)
        while True:
            message = subscriber.read()
            on.note(str(message.items))
            if message.items is not None and message.items[-1].text == b"end":
                break
        while True:
            text = (monitor.read().text or b"").decode()
            if '"INFO"' in text:
                continue
            on.note(text.split(" ", 1)[1])
            if '"end"' in text:
                break

    compare_both(scene)


def test_how_much_goes_over_the_link() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        rates = [("a", "instantaneous_output_repl_kbps"), ("b", "instantaneous_input_repl_kbps")]
        for name, rate in rates:
            on.until(lambda name=name, rate=rate: on.field(name, rate) == "0.00", "silence")
        for _ in range(20):
            on.ask("a", f"SET k {'x' * 100_000}")
        for name, rate in rates:
            on.until(lambda name=name, rate=rate: float(on.field(name, rate)) > 1, rate)
        totals = [("a", "total_net_repl_output_bytes"), ("b", "total_net_repl_input_bytes")]
        for name, total in totals:
            on.note(f"{total} {int(on.field(name, total)) // 100_000}")

    compare_both(scene)


def test_wait() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        on.until_online("a")
        on.call("a", "WAIT 0 0")
        for number in range(5):
            on.call("a", f"SET k {number}")
            on.call("a", "WAIT 1 5000")
        on.call("a", "WAIT 2 100")
        for line in ("MULTI", "SET k 9", "WAIT 1 0", "EXEC"):
            on.call("a", line)
        on.call("a", "WAIT 1 5000")
        waiting = on.wire("a")
        number = (waiting.call(b"CLIENT", b"ID").text or b"").decode()
        for way in ("TIMEOUT", "ERROR"):
            waiting.call(b"SET", b"k", b"x")
            waiting.send(b"WAIT", b"3", b"0")
            on.until(lambda: on.field("a", "blocked_clients") == "1", "nobody waits")
            on.until_acknowledged("a")
            on.ask("a", f"CLIENT UNBLOCK {number} {way}")
            on.note(str(waiting.read()))
        waiting.send(b"WAIT", b"3", b"0")
        on.until(lambda: on.field("a", "blocked_clients") == "1", "nobody waits")
        on.call("b", "CLIENT KILL TYPE master")
        on.until_linked("b")
        on.note(on.field("a", "blocked_clients"))

    compare_both(scene)


def test_failover() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        on.start_replica("c", "a")
        on.until_online("a", 1)
        on.call("a", "SET k 1")
        on.until_even("a", "b", "c")
        on.call("a", "FAILOVER TO 127.0.0.1 @b TIMEOUT 10000")
        on.until(lambda: on.field("b", "role") == "master", "no change of roles")
        on.until_linked("a")
        on.until_online("a")  # c, which a has let go and which comes back
        on.note_info("a")
        on.call("a", "SET k 2")
        on.call("b", "SET k 3")
        on.until_even("a", "b")
        on.call("a", "GET k")
        on.call("b", "FAILOVER ABORT")
        on.call("c", f"REPLICAOF {HOST} @b")
        on.until_linked("c")
        on.note(on.field("b", "sync_full"))

    compare_both(scene)


def test_a_failover_that_does_not_come_about() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        with RawReplica(on.servers["a"]) as replica:
            on.until_online("a")
            on.call("a", "SET k 1")
            on.call("a", "FAILOVER TIMEOUT 1000")
            on.note(on.field("a", "master_failover_state"))
            for line in ("FAILOVER", f"REPLICAOF {HOST} 1", "GET k"):
                on.call("a", line)
            writer = on.wire("a")
            writer.send(b"SET", b"k", b"2")
            with RawReplica(on.servers["a"], start=False) as other:
                other.introduce()
                on.note(repr(other.ask(b"PSYNC", b"?", b"-1")))
            on.note(str(writer.read()))
            on.note(on.field("a", "master_failover_state"))
            on.call("a", "FAILOVER")
            on.call("a", "FAILOVER ABORT")
            on.call("a", "SET k 3")
            on.call("a", f"FAILOVER TO {HOST} 1 TIMEOUT 200 FORCE")
            on.until(lambda: on.field("a", "role") == "slave", "it does not change over")
            on.note(on.field("a", "master_failover_state"))
            on.call("a", "FAILOVER ABORT")
            on.call("a", "SET k 4")
            on.note(on.field("a", "role"))
            replica.socket.close()

    compare_both(scene)


def test_pauses() -> None:
    """A paused replica stands still, and a paused master expires nothing."""

    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        on.call("a", "DEBUG SET-ACTIVE-EXPIRE 0")
        on.call("a", "SET k 1 PX 200")
        on.call("a", "CLIENT PAUSE 100000 WRITE")
        time.sleep(0.4)
        on.call("a", "GET k")
        on.call("a", "DBSIZE")
        on.call("a", "CLIENT UNPAUSE")
        on.call("a", "GET k")
        on.call("a", "DBSIZE")
        on.call("b", "CLIENT PAUSE 100000 WRITE")
        on.call("a", "SET k 2")
        time.sleep(0.2)
        on.call("b", "GET k")
        on.call("b", "CLIENT UNPAUSE")
        on.until_even("a", "b")
        on.call("b", "GET k")

    compare_both(scene)


def test_a_replica_keeps_what_its_master_keeps_though_memory_is_short() -> None:
    def scene(on: Stage) -> None:
        short = ("--maxmemory", "1", "--maxmemory-policy", "allkeys-random")
        on.start("a")
        for name in "bc":
            on.start_replica(name, "a", *short)
        on.start_replica("d", "c")
        for number in range(20):
            on.ask("a", f"SET before:{number} x")
        on.until_even("a", "b", "c", "d")
        on.call("b", "DBSIZE")
        on.call("c", "CONFIG SET replica-ignore-maxmemory no")
        for number in range(20):
            on.ask("a", f"LPUSH after:{number} x")
        on.call("a", "SET last x")
        on.until_even("a", "b", "c", "d")
        for name in "abcd":
            on.call(name, "DBSIZE")
        on.note(on.field("b", "evicted_keys"))
        on.call("b", "REPLICAOF NO ONE")
        on.call("b", "SET k x")
        on.call("b", "DBSIZE")
        on.call("b", "CONFIG SET maxmemory 0")
        on.call("b", "SET k x")
        on.call("b", "CLIENT PAUSE 600000 WRITE")
        on.call("b", "CONFIG SET maxmemory 1")
        on.call("b", "DBSIZE")
        on.call("b", "CLIENT UNPAUSE")
        on.call("b", "GET k")
        on.call("b", "DBSIZE")

    compare_both(scene)
