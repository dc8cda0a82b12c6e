"""Ways in which a data set comes to a replica, real servers beside ours."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.replication.raw import RawReplica
from tests.replication.stage import QUIET, Stage, compare_both
from tests.servers import HOST, Wire, our_server, real_server

pytestmark = pytest.mark.redis

FILL = "for i = 1, {} do redis.call('rpush', 'list:' .. i, i, ('x'):rep({})) end"
LINK = "MASTER|SYNC|Synchron|BGSAVE|RDB"
START = {"ours": our_server, "real": real_server}


def fill(on: Stage, name: str, keys: int = 100, length: int = 100) -> None:
    on.ask(name, f'EVAL "{FILL.format(keys, length)}" 0')


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- SYNC ------------------------------------------------------------------------------------------


def test_a_master_of_old_knows_only_sync() -> None:
    """It saves to disk: between real ones the stream now and then does not begin otherwise."""

    def scene(on: Stage) -> None:
        on.start("a", "--rename-command", "PSYNC", "", "--repl-diskless-sync", "no")
        on.ask("a", "SET k 1")
        on.start_replica("b", "a")
        on.call("a", "SET l 2")
        on.until(lambda: on.ask("b", "EXISTS l").text == b"1", "the stream comes")
        on.note_info("a", acknowledged=False)  # not after SYNC
        on.note_log("b", only=LINK)
        on.ask("a", "CLIENT KILL TYPE replica")
        on.call("a", "SET m 3")
        on.until(lambda: on.ask("b", "EXISTS m").text == b"1", "the link is made again")
        for name in "ab":
            on.call(name, "DEBUG DIGEST")

    compare_both(scene)


@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize(("master", "replica"), [("ours", "real"), ("real", "ours")])
def test_sync_between_ours_and_real_ones(master: str, replica: str, diskless: str) -> None:
    old = ("--rename-command", "PSYNC", "", "--repl-diskless-sync", diskless)
    with ExitStack() as stack:
        top = stack.enter_context(START[master](*QUIET, *old))
        above = stack.enter_context(Wire(top))
        above.call(b"SET", b"k", b"1")
        where = ("--replicaof", f"{HOST} {top.port}")
        below = stack.enter_context(Wire(stack.enter_context(START[replica](*QUIET, *where))))
        until(lambda: below.call(b"EXISTS", b"k").text == b"1")
        above.call(b"SET", b"l", b"2")
        until(lambda: below.call(b"EXISTS", b"l").text == b"1")
        assert above.call(b"DEBUG", b"DIGEST") == below.call(b"DEBUG", b"DIGEST")


def test_a_replica_of_old_has_replicas_of_its_own() -> None:
    """They know the stream by a name that the replica gives it, since its master does not."""
    with ExitStack() as stack:
        old = stack.enter_context(real_server(*QUIET, "--rename-command", "PSYNC", ""))
        middle = stack.enter_context(our_server(*QUIET, "--replicaof", f"{HOST} {old.port}"))
        last = stack.enter_context(our_server(*QUIET, "--replicaof", f"{HOST} {middle.port}"))
        above, below = stack.enter_context(Wire(old)), stack.enter_context(Wire(last))
        until(lambda: b"master_link_status:up" in (below.call(b"INFO").text or b""))
        above.call(b"SET", b"k", b"1")
        until(lambda: below.call(b"EXISTS", b"k").text == b"1")
        assert above.call(b"DEBUG", b"DIGEST") == below.call(b"DEBUG", b"DIGEST")


def test_a_replica_of_old_says_only_sync() -> None:
    def scene(on: Stage) -> None:
        on.start("a", "--repl-timeout", "3", "--repl-ping-replica-period", "1")
        on.ask("a", "SET k 1")
        on.skip_log("a")
        with RawReplica(on.servers["a"], start=False) as replica:
            replica.say(b"SYNC")
            on.note(f"{len(replica.read_payload()) > 100}")
            on.call("a", "SET k 2")
            on.note(f"{replica.until([b'SET', b'k', b'2'])}")
            on.note_log("a")
            time.sleep(3.5)  # it never acknowledges, and is kept
            on.note(on.field("a", "slave0").partition(",lag=")[0])
            replica.say(b"SYNC")
            on.call("a", "SET k 3")
            on.note(f"{replica.until([b'SET', b'k', b'3'])}")
        on.until(lambda: on.field("a", "connected_slaves") == "0", "it goes")
        on.note_log("a")

    compare_both(scene)


# -- to and from disk ------------------------------------------------------------------------------


def test_replicas_that_come_while_a_data_set_is_saved() -> None:
    def scene(on: Stage) -> None:
        on.start("a", "--repl-diskless-sync", "no", "--rdb-key-save-delay", "10000")
        fill(on, "a")
        on.skip_log("a")
        for name in "bc":  # before the save, which is over sooner than a program may start
            on.start(name)
        for name in "bc":
            on.call(name, f"REPLICAOF {HOST} @a")
            on.until(lambda name=name: on.field(name, "master_sync_in_progress") == "1", name)
            on.note(on.field("a", "slave0"))
            on.call("a", f"SET {name} 1")
        on.note(on.field("a", "slave1"))
        on.note(on.field("a", "rdb_bgsave_in_progress"))
        on.until_linked("b", "c")
        on.until_even("a", "b", "c")
        for place in range(2):
            on.until_online("a", place)
        for name in "abc":
            on.call(name, "DEBUG DIGEST")
        for field in ("sync_full", "rdb_saves", "rdb_changes_since_last_save"):
            on.note(on.field("a", field))
        on.note_log("a", only=LINK)

    compare_both(scene)


def test_a_replica_that_comes_while_a_client_saves() -> None:
    def scene(on: Stage) -> None:
        on.start("a", "--repl-diskless-sync", "no", "--rdb-key-save-delay", "10000")
        fill(on, "a")
        on.skip_log("a")
        on.start("b")
        on.call("a", "BGSAVE")
        on.call("b", f"REPLICAOF {HOST} @a")
        on.until_linked("b")
        on.until_even("a", "b")
        on.until_online("a")
        for name in "ab":
            on.call(name, "DEBUG DIGEST")
        on.note_log("a", only=LINK)

    compare_both(scene)


@pytest.mark.parametrize("load", ["disabled", "on-empty-db", "swapdb"])
@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_ways_to_save_and_to_load(diskless: str, load: str) -> None:
    def scene(on: Stage) -> None:
        on.start("a", "--repl-diskless-sync", diskless)
        fill(on, "a", 300)
        on.start("b", "--repl-diskless-load", load)
        on.ask("b", "SET own 1")
        on.skip_log("b")
        on.call("b", f"REPLICAOF {HOST} @a")
        on.until_linked("b")
        on.note_log("b", only=LINK)
        on.call("b", "FLUSHALL")
        on.ask("b", "REPLICAOF NO ONE")
        on.ask("b", "FLUSHALL")
        on.skip_log("b")
        on.ask("b", "DEBUG CHANGE-REPL-ID")
        on.call("b", f"REPLICAOF {HOST} @a")
        on.until_linked("b")
        on.note_log("b", only=LINK)
        for name in "ab":
            on.call(name, "DEBUG DIGEST")

    compare_both(scene)


# -- buffers ---------------------------------------------------------------------------------------


def test_a_replica_that_takes_nothing_is_closed_once_it_has_too_much() -> None:
    def scene(on: Stage) -> None:
        limit = "replica 2mb 0 0"
        on.start("a", "--client-output-buffer-limit", limit, "--repl-backlog-size", "16kb")
        with RawReplica(on.servers["a"]):
            on.until_online("a")
            on.skip_log("a")
            with on.wire("a") as wire:
                for _ in range(200):
                    wire.call(b"SET", b"k", bytes(100_000))
            on.until(lambda: on.field("a", "connected_slaves") == "0", "it stays")
            on.note_log("a", only="overcoming")
        on.note(on.field("a", "client_output_buffer_limit_disconnections"))
        with RawReplica(on.servers["a"]) as replica:
            on.call("a", "SET l 1")
            on.note(f"{len(replica.until([b'SET', b'l', b'1']))}")

    compare_both(scene)


# -- redis-cli -------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--rdb", "--functions-rdb"])
def test_redis_cli_fetches_a_data_set(option: str, tmp_path: Path) -> None:
    program = shutil.which("redis-cli")
    assert program is not None, "it comes with redis-server"
    library = b"#!lua name=lib\nredis.register_function('f', function() return 1 end)"
    found = {}
    for kind, start in START.items():
        with start(*QUIET) as address, Wire(address) as wire:
            wire.call(b"SET", b"k", b"1")
            wire.call(b"FUNCTION", b"LOAD", library)
            file = tmp_path / f"{kind}.rdb"
            subprocess.run(
                [program, "-p", str(address.port), option, str(file)], check=True, timeout=20
            )
            found[kind] = (b"lib" in file.read_bytes(), b"\x01k\xc0\x01" in file.read_bytes())
            assert b"connected_slaves:0" in (wire.call(b"INFO", b"replication").text or b"")
    assert found["ours"] == found["real"] == (True, option == "--rdb")
