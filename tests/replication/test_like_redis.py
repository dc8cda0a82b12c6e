"""What servers say and log while they replicate is what real ones say and log."""

from __future__ import annotations

import time

import pytest

from tests.replication.raw import RawReplica
from tests.replication.stage import Stage, same_on_both
from tests.servers import HOST

pytestmark = pytest.mark.redis


def test_in_every_state() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start("b")
        on.note_info("a")
        on.call("a", "SET k 1")
        on.call("b", f"REPLICAOF {HOST} @a")
        on.until_linked("b")
        on.call("a", "SET k 2")
        on.until_even("a", "b")
        on.until(lambda: on.all_acknowledged("a"), "it does not acknowledge")
        on.note_info("a", "b")
        on.start_replica("c", "b")
        on.call("a", "SET k 3")
        on.until_even("a", "b", "c")
        on.until(lambda: on.all_acknowledged("b"), "it does not acknowledge")
        on.note_info("b", "c")
        on.call("b", "REPLICAOF NO ONE")
        on.until_same("master_replid", "b", "c")
        on.until_linked("c")
        on.note_info("a", "b", "c")
        on.call("b", "SET k 4")
        on.until_even("b", "c")
        on.note_info("b", "c")
        on.call("a", f"REPLICAOF {HOST} @c")
        on.until_linked("a")
        on.until_even("a", "b", "c")
        on.note_info("a", "c")
        on.call("c", f"REPLICAOF {HOST} 1")
        time.sleep(1.5)
        on.note_info("c", "a")
        for name in "abc":
            on.note(f"{on.field(name, 'sync_full')} {on.field(name, 'sync_partial_ok')}")
            on.note(on.field(name, "sync_partial_err"))

    same_on_both(scene)


def test_the_log_of_a_change_of_roles() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start("b")
        on.call("a", "SET k 1")
        on.skip_log("a", "b")

        def after(line: str, name: str = "b", *, links: bool = True) -> None:
            on.call(name, line)
            time.sleep(0.2)
            if links:
                on.until_linked("b")
                on.until(lambda: "state=online" in on.field("a", "slave0"), "not online")
            time.sleep(0.2)
            on.note_log("a", "b")

        after(f"REPLICAOF {HOST} @a")
        after(f"REPLICAOF {HOST} @a")
        after(f"REPLICAOF {HOST.upper()} @a")
        after("CLIENT KILL TYPE master")
        after("CLIENT KILL TYPE replica", "a")
        after("REPLICAOF NO ONE", links=False)
        after("REPLICAOF no one", links=False)
        after(f"REPLICAOF {HOST} @a")
        after(f"REPLICAOF {HOST} 1", links=False)
        after("REPLICAOF NO ONE", links=False)
        on.call("a", f"REPLICAOF {HOST} @b")
        on.until_linked("a")
        time.sleep(0.2)
        on.note_log("a", "b")

    same_on_both(scene)


ODD_CALLS = (
    *("REPLICAOF", "REPLICAOF x", "REPLICAOF x y", "REPLICAOF x 65536", "REPLICAOF x -1"),
    *("REPLICAOF NO NO", "SLAVEOF x 1.5", "SLAVEOF NO ONE", "ROLE x"),
    *("REPLCONF", "REPLCONF x", "REPLCONF x y", "REPLCONF listening-port x"),
    *(
        "REPLCONF listening-port 1 nosuch 2",
        "REPLCONF capa nosuch",
        "REPLCONF capa EOF capa psync2",
    ),
    *("REPLCONF rdb-only 2", "REPLCONF rdb-only x", "REPLCONF rdb-only 0"),
    *(
        "REPLCONF rdb-filter-only nosuch",
        'REPLCONF rdb-filter-only "\'"',
        f"REPLCONF ip-address {'x' * 256}",
    ),
    *(f"REPLCONF ip-address {'x' * 255}", "REPLCONF LISTENING-PORT 7 Ip-Address h"),
    *("PSYNC", "PSYNC x", "PSYNC x y", "PSYNC ? -1 FAILOVER", "SYNC x"),
    *("WAIT", "WAIT x", "WAIT x y", "WAIT 0 x", "WAIT 0 -1", "WAIT 0 0", "WAIT -1 0", "WAIT 1 1"),
    *("FAILOVER x", "FAILOVER ABORT", "FAILOVER TO", "FAILOVER TO x", "FAILOVER TO x y"),
    *("FAILOVER TO x 1", "FAILOVER FORCE", "FAILOVER TIMEOUT", "FAILOVER TIMEOUT x"),
    *("FAILOVER TIMEOUT 0", "FAILOVER TIMEOUT -1", "FAILOVER TO x 1 FORCE", "FAILOVER ABORT x"),
    *("FAILOVER FORCE TIMEOUT 10", "FAILOVER TO x 1 TO x 1", "FAILOVER FORCE FORCE"),
    *("FAILOVER TO x 1 TIMEOUT 10 FORCE", "FAILOVER TIMEOUT 1 TIMEOUT 1"),
    *("CLIENT KILL TYPE nosuch", "CLIENT KILL TYPE master", "CLIENT LIST TYPE replica"),
    *(
        "CONFIG SET replicaof x",
        "CONFIG GET replicaof",
        "CONFIG GET slaveof",
    ),
    *("CONFIG SET repl-backlog-size 100", "CONFIG GET repl-backlog-size"),
    *(
        "CONFIG SET min-slaves-to-write 0",
        "CONFIG GET min-slaves-to-write",
        "CONFIG SET repl-timeout 0",
    ),
    *("DEBUG REPLICATE", "MULTI", "WAIT 0 0", "WAIT 5 0", "ROLE", "REPLCONF capa eof", "EXEC"),
)


@pytest.mark.parametrize("role", ["master", "replica", "replica without master"])
def test_odd_calls(role: str) -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        if role == "replica":
            on.start_replica("b", "a")
        elif role == "replica without master":
            on.start("b", "--replicaof", f"{HOST} 1")
        else:
            on.start("b")
        for line in ODD_CALLS:
            on.call("b", line)

    same_on_both(scene)


def test_what_a_replica_makes_of_a_command_that_fails() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        on.call("a", "SET k 1")
        for line in (
            "NOSUCH x",
            "SET k",
            "LPUSH k x",
            "INCR k x",
            "HSET k f",
            "EXEC",
            "SETRANGE k x y",
        ):
            on.call("a", f"DEBUG REPLICATE {line}")
        on.call("a", "SET k 2")
        on.until_even("a", "b")
        on.call("b", "GET k")
        on.note(on.field("b", "unexpected_error_replies"))
        on.note_log("b", only="CRITICAL")

    same_on_both(scene)


def test_calls_of_a_replica() -> None:
    """There is no place for an answer on its connection, so one that makes any is let go."""

    def scene(on: Stage) -> None:
        on.start("a")
        on.skip_log("a")
        for line in (
            *(b"GET k", b"SET k 1", b"PING", b"REPLICAOF NO ONE", b"REPLICAOF x 1", b"SYNC"),
            *(b"PSYNC ? -1", b"REPLCONF GETACK *", b"REPLCONF ACK x", b"REPLCONF ACK 1 2"),
            *(b"REPLCONF ACK 99999999999999999999", b"REPLCONF ACK -5", b"REPLCONF nosuch x"),
            *(b"TIME x", b"NOSUCH", b"REPLCONF capa eof", b"SUBSCRIBE ch", b"MULTI", b"QUIT"),
        ):
            with RawReplica(on.servers["a"]) as replica:
                replica.say(*line.split())
                replica.say(b"REPLCONF", b"ACK", b"12345678")
                on.until(
                    lambda: (
                        "offset=12345678" in on.field("a", "slave0")
                        or on.field("a", "connected_slaves") == "0"
                    ),
                    "it neither stays nor goes",
                )
                on.note(f"{line.decode()}: {on.field('a', 'connected_slaves')}")
            on.until(lambda: on.field("a", "connected_slaves") == "0", "")
            on.note_log("a", only="Replica generated|CRITICAL.*(?<!syntax error)' after")

    same_on_both(scene)


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

    same_on_both(scene)


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

    same_on_both(scene)


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

    same_on_both(scene)


def test_who_is_connected() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        on.until(lambda: "state=online" in on.field("a", "slave0"), "")
        on.note(on.field("a", "connected_clients"))
        on.note(on.field("b", "connected_clients"))
        for name, kind in (("a", "replica"), ("a", "normal"), ("b", "master"), ("b", "normal")):
            text = (on.ask(name, f"CLIENT LIST TYPE {kind}").text or b"").decode()
            for line in text.splitlines():
                fields = dict(word.split("=", 1) for word in line.split())
                kept = ("flags", "db", "sub", "multi", "cmd", "user", "resp", "name")
                on.note(f"{name} {kind} " + " ".join(f"{key}={fields[key]}" for key in kept))
                if kind == "master":
                    on.note(fields["addr"])
        on.call("a", "CLIENT KILL TYPE replica")
        on.until(lambda: on.field("a", "sync_partial_ok") == "1", "")
        on.until_linked("b")
        on.call("b", "CLIENT KILL TYPE master")
        on.until(lambda: on.field("a", "sync_partial_ok") == "2", "")
        on.until_linked("b")
        on.call("b", f"CLIENT KILL {HOST}:@a")
        on.call("b", "CLIENT KILL USER default SKIPME yes")

    same_on_both(scene)


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

    same_on_both(scene)


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

    same_on_both(scene)


def test_wait() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        on.until(lambda: "state=online" in on.field("a", "slave0"), "")
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
            on.until(lambda: on.all_acknowledged("a"), "it does not acknowledge")
            on.ask("a", f"CLIENT UNBLOCK {number} {way}")
            on.note(str(waiting.read()))
        waiting.send(b"WAIT", b"3", b"0")
        on.until(lambda: on.field("a", "blocked_clients") == "1", "nobody waits")
        on.call("b", "CLIENT KILL TYPE master")
        on.until_linked("b")
        on.note(on.field("a", "blocked_clients"))

    same_on_both(scene)


def test_what_is_kept_in_the_configuration() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("c", "a")
        for line in (
            *("CONFIG GET replicaof", "CONFIG SET masterauth secret", "CONFIG SET masteruser me"),
            *("CONFIG GET masteruser", "CONFIG SET masterauth ''", "CONFIG GET masterauth"),
            *(f"REPLICAOF {HOST} 7", "CONFIG GET replicaof", "REPLICAOF NO ONE"),
            *("CONFIG GET replicaof", "CONFIG SET repl-diskless-load nosuch"),
            *("CONFIG SET replica-priority 7", "INFO nosuch", "CONFIG SET replica-announced no"),
        ):
            on.call("c", line)
        on.call("c", f"REPLICAOF {HOST} 7")
        on.note_info("c")

    same_on_both(scene)


def test_what_replicas_announce() -> None:
    def scene(on: Stage) -> None:
        on.start("a", "--requirepass", "secret")
        on.start("b", "--masterauth", "wrong", "--replica-announce-ip", "10.1.2.3")
        on.call("b", f"REPLICAOF {HOST} @a")
        time.sleep(1.5)
        on.call("b", "CONFIG SET masterauth secret")
        on.call("b", "CONFIG SET replica-announce-port 77")
        on.until_linked("b")
        on.ask("a", "AUTH secret")
        on.until(lambda: "state=online" in on.field("a", "slave0"), "")
        on.note_info("a")
        on.call("a", "FAILOVER TO 10.1.2.3 78")
        on.call("a", "ACL SETUSER copier on >pass +psync +replconf +ping")
        on.call("b", "CONFIG SET masteruser copier")
        on.call("b", "CONFIG SET masterauth pass")
        on.call("a", "CLIENT KILL TYPE replica")
        on.until(lambda: on.field("a", "connected_slaves") == "1", "")
        on.until_linked("b")
        clients = (on.ask("a", "CLIENT LIST TYPE replica").text or b"").decode()
        on.note(str("user=copier" in clients))

    same_on_both(scene)


def test_failover() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        on.start_replica("c", "a")
        on.until(lambda: "state=online" in on.field("a", "slave1"), "")
        on.call("a", "SET k 1")
        on.until_even("a", "b", "c")
        on.call("a", "FAILOVER TO 127.0.0.1 @b TIMEOUT 10000")
        on.until(lambda: on.field("b", "role") == "master", "no change of roles")
        on.until_linked("a")
        on.until_linked("c")
        on.note_info("a")
        on.call("a", "SET k 2")
        on.call("b", "SET k 3")
        on.until_even("a", "b")
        on.call("a", "GET k")
        on.call("b", "FAILOVER ABORT")
        on.call("c", f"REPLICAOF {HOST} @b")
        on.until_linked("c")
        on.note(on.field("b", "sync_full"))

    same_on_both(scene)


def test_a_failover_that_does_not_come_about() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        with RawReplica(on.servers["a"]) as replica:
            on.until(lambda: "state=online" in on.field("a", "slave0"), "")
            on.call("a", "SET k 1")
            on.call("a", "FAILOVER TIMEOUT 400")
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

    same_on_both(scene)


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

    same_on_both(scene)


def test_requests_for_synchronization_that_make_no_sense() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        on.call("a", "SET k 1")
        on.until_even("a", "b")
        name, offset = on.field("a", "master_replid"), int(on.field("a", "master_repl_offset"))
        on.skip_log("a")
        for asked_id, asked in (
            *((name, offset + 1), (name.upper(), offset + 1), (name, 1), (name, 0), (name, -1)),
            *((name, offset + 2), (name, 2**62), (name, -(2**63)), ("?", offset), ("??", 1)),
            *(("x" * 40, 1), ("0" * 40, -1), ("0" * 40, 1), ("", 1), ("x", 1), (name[:39], 1)),
        ):
            with RawReplica(on.servers["a"], start=False) as replica:
                replica.introduce()
                replica.synchronize(asked_id, asked)
                on.note(f"{asked_id} {asked}: {replica.answer.decode()}")
            on.until(lambda: on.field("a", "connected_slaves") == "1", "it stays")
            on.note_log("a", only="resync|PSYNC")
        for field in ("sync_full", "sync_partial_ok", "sync_partial_err"):
            on.note(on.field("a", field))

    same_on_both(scene)


def test_acknowledgments_that_make_no_sense() -> None:
    """They are believed, as far as they are numbers, and go up only."""

    def scene(on: Stage) -> None:
        on.start("a")
        with RawReplica(on.servers["a"]) as replica:
            on.until(lambda: "state=online" in on.field("a", "slave0"), "not online")
            on.call("a", "SET k 1")
            for offset in (b"5", b"-5", b"x", b"", b"4", b"99999999999999999999", b"1000000"):
                replica.say(b"REPLCONF", b"ACK", offset)
            on.until(lambda: "offset=1000000," in on.field("a", "slave0"), "not believed")
            on.call("a", "WAIT 1 100")
            on.call("a", "FAILOVER TIMEOUT 300")
            on.until(lambda: on.field("a", "master_failover_state") == "no-failover", "no end")
            on.note_info("a")
            replica.say(b"REPLCONF", b"ACK", b"9223372036854775807")
            on.until(lambda: "offset=9223372036854775807," in on.field("a", "slave0"), "")
            on.call("a", "SET k 2")

    same_on_both(scene)
