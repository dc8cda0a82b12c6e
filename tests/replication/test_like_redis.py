"""What servers say and log while they replicate is what real ones say and log."""

from __future__ import annotations

import time

import pytest

from tests.replication.raw import RawReplica
from tests.replication.stage import Stage, compare_both
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
        on.note_info("a", "b")
        on.start_replica("c", "b")
        on.call("a", "SET k 3")
        on.until_even("a", "b", "c")
        on.note_info("b", "c")
        on.call("b", "REPLICAOF NO ONE")
        on.until_same("master_replid", "b", "c")
        on.until_linked("c")
        on.until(lambda: on.field("a", "connected_slaves") == "0", "it stays")
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

    compare_both(scene)


def test_the_log_of_a_change_of_roles() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start("b")
        on.call("a", "SET k 1")
        on.call("b", "PING")  # who answers has written the lines of its start
        on.skip_log("a", "b")

        def after(line: str, name: str = "b", *, links: bool = True) -> None:
            on.call(name, line)
            time.sleep(0.2)
            if links:
                on.until_linked("b")
                on.until_online("a")
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

    compare_both(scene)


ODD_CALLS = (
    *("REPLICAOF", "REPLICAOF x", "REPLICAOF x y", "REPLICAOF x 65536", "REPLICAOF x -1"),
    *("REPLICAOF NO NO", "SLAVEOF x 1.5", "SLAVEOF NO ONE", "ROLE x"),
    *("REPLCONF", "REPLCONF x", "REPLCONF x y", "REPLCONF 'x\r\n' y", "REPLCONF listening-port x"),
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

    compare_both(scene)


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

    compare_both(scene)


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

    compare_both(scene)


def test_who_is_connected() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        on.start_replica("b", "a")
        on.until_online("a")
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

    compare_both(scene)


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

    compare_both(scene)


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
        on.until_online("a")
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

    compare_both(scene)


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

    compare_both(scene)


def test_acknowledgments_that_make_no_sense() -> None:
    """They are believed, as far as they are numbers, and go up only."""

    def scene(on: Stage) -> None:
        on.start("a")
        with RawReplica(on.servers["a"]) as replica:
            on.until_online("a")
            on.call("a", "SET k 1")
            for offset in (b"5", b"-5", b"x", b"", b"4", b"99999999999999999999", b"1000000"):
                replica.say(b"REPLCONF", b"ACK", offset)
            on.until(lambda: "offset=1000000," in on.field("a", "slave0"), "not believed")
            on.call("a", "WAIT 1 100")
            on.call("a", "FAILOVER TIMEOUT 300")
            on.until(lambda: on.field("a", "master_failover_state") == "no-failover", "no end")
            on.note_info("a", acknowledged=False)
            replica.say(b"REPLCONF", b"ACK", b"9223372036854775807")
            on.until(lambda: "offset=9223372036854775807," in on.field("a", "slave0"), "")
            on.call("a", "SET k 2")

    compare_both(scene)
