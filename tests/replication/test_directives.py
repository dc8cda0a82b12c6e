"""What the directives of replication change, and what ends a transfer, real servers beside ours."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from redislab.server import Node
from redislab.server.config import Config
from redislab.server.main import environment
from tests.replication.stage import Stage, compare_both
from tests.replication.test_transfers import LINK, fill
from tests.servers import HOST, free_port

pytestmark = pytest.mark.redis

ENDED = f"{LINK}|terminated|lost|pipe"
# Who ends tells the log why, and nothing more.
BRIEF = ("--crash-log-enabled", "no", "--crash-memcheck-enabled", "no")
SLOW_SAVE = ("--rdb-key-save-delay", "10000")


def begin_transfer(on: Stage, *options: str) -> None:
    """Let `b` begin to synchronize with `a`, whose image takes two seconds."""
    on.start("a", *SLOW_SAVE, *options)
    fill(on, "a", 200)
    on.skip_log("a")
    on.start("b", "--replicaof", f"{HOST} {on.servers['a'].port}", "--save", "")
    on.until(lambda: on.field("a", "rdb_bgsave_in_progress") == "1", "nothing is begun")


# -- what ends a transfer --------------------------------------------------------------------------


@pytest.mark.parametrize(("diskless", "save"), [("yes", ""), ("no", "3600 1")])
def test_flushall_ends_a_transfer(diskless: str, save: str) -> None:
    def scene(on: Stage) -> None:
        begin_transfer(on, "--repl-diskless-sync", diskless, "--save", save)
        began = time.monotonic()
        on.call("a", "FLUSHALL")
        on.until_linked("b")
        on.until_online("a")
        on.note(f"soon: {time.monotonic() - began < 1.8}")
        for field in ("sync_full", "rdb_last_bgsave_status", "rdb_changes_since_last_save"):
            on.note(f"{field} {on.field('a', field)}")
        on.note_log("a", only=ENDED)
        # Not before: it would be in the image, or not, as the replica is quick.
        on.call("a", "SET after 1")
        on.until_even("a", "b")
        for name in "ab":
            on.call(name, "DEBUG DIGEST")

    compare_both(scene)


@pytest.mark.parametrize("save", ["", "3600 1"], ids=["no save points", "save points"])
def test_a_file_that_no_replica_waits_for(save: str) -> None:
    """It is given up, unless the server wants it for itself."""

    def scene(on: Stage) -> None:
        begin_transfer(on, "--repl-diskless-sync", "no", "--save", save)
        on.ask("b", "REPLICAOF NO ONE")
        on.until(lambda: on.field("a", "connected_slaves") == "0", "it stays")
        time.sleep(0.3)
        on.note(on.field("a", "rdb_bgsave_in_progress"))
        on.note(on.field("a", "rdb_last_bgsave_status"))
        on.note_log("a", only=ENDED)

    compare_both(scene)


# -- while a data set is loaded --------------------------------------------------------------------


def test_what_may_not_be_set_while_a_data_set_is_loaded() -> None:
    def scene(on: Stage) -> None:
        on.start("a", *SLOW_SAVE)
        fill(on, "a", 200, 50_000)
        on.ask("a", "CONFIG SET rdbcompression no")
        often = ("--loading-process-events-interval-bytes", "1024")
        options = ("--repl-diskless-load", "swapdb", "--enable-protected-configs", "yes")
        on.start("b", *options, *often)
        on.ask("b", f"REPLICAOF {HOST} @a")
        on.until(lambda: on.field("b", "loading") == "1", "it does not load")
        for words in (
            *("appendonly yes", "appendonly no", "dir /tmp", "repl-diskless-load disabled"),
            *("repl-diskless-load nosuch", "maxmemory x appendonly yes", "appendonly yes port x"),
            *("nosuch 1 appendonly yes", "appendonly yes nosuch 1", "databases 1 dir /tmp"),
            *("dir /tmp dir /tmp", "maxmemory 0 maxmemory 0 dir /tmp", "replica-priority 3"),
        ):
            on.call("b", f"CONFIG SET {words}")
        on.ask("a", "CONFIG SET rdb-key-save-delay 0")
        on.until_linked("b")
        on.call("b", "CONFIG SET repl-diskless-load disabled dir /tmp")

    compare_both(scene)


# -- the data before -------------------------------------------------------------------------------


def test_what_is_freed_beside_the_commands() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        for lazily, load in (("yes", "disabled"), ("no", "disabled"), ("no", "swapdb")):
            name = f"{lazily}-{load}"
            on.start(name, "--replica-lazy-flush", lazily, "--repl-diskless-load", load)
            fill(on, name, 1234, 1)
            on.call(name, "CONFIG GET slave-lazy-flush")
            on.ask(name, f"REPLICAOF {HOST} @a")
            on.until_linked(name)
            on.until(lambda n=name: on.field(n, "lazyfree_pending_objects") == "0", "there is more")
            on.note(on.field(name, "lazyfreed_objects"))
            on.call(name, "DBSIZE")
            on.call(name, "CONFIG RESETSTAT")
            on.note(on.field(name, "lazyfreed_objects"))

    compare_both(scene)


# -- a stream that cannot be applied ---------------------------------------------------------------


def note_end(on: Stage, *names: str) -> None:
    """Note which servers are still there, and what they have said."""
    told = ("CRITICAL", "Software Failure", "Guru", "even though")
    time.sleep(0.5)
    for name in names:
        try:
            on.call(name, "PING")
            on.note(f"errors: {on.field(name, 'unexpected_error_replies')}")
        except ConnectionError:
            on.note(f"{name} is gone")
        for line in (on.folder(name) / "log").read_text().splitlines():
            if any(words in line for words in told):
                # A line of Redis ends with the place in its source.
                on.note(line.partition(" # ")[2].partition(" #")[0])


def test_an_error_that_was_none_at_the_master() -> None:
    def scene(on: Stage) -> None:
        replicas = {
            "b": ("ignore", "yes"),
            "c": ("panic", "yes"),
            "d": ("panic-on-replicas", "yes"),
            "e": ("panic", "no"),
        }
        on.start("a")
        for name, (behavior, read_only) in replicas.items():
            options = ("--propagation-error-behavior", behavior, "--replica-read-only", read_only)
            on.start_replica(name, "a", *options, *BRIEF)
        on.ask("a", "SET s x")
        on.until_even("a", *replicas)
        on.call("a", "DEBUG REPLICATE LPUSH s y")
        for line in (
            *("MULTI", "SET t 1", "NOSUCH t", "SET u 1", "EXEC"),
            *("SET v 1", "MULTI", "LPUSH v 1", "SET w 1", "EXEC"),
        ):
            on.ask("a", f"DEBUG REPLICATE {line}")
        note_end(on, *replicas)
        on.call("b", "MGET s t u v w")
        on.call("b", "INFO errorstats")

    compare_both(scene)


def test_a_replica_whose_disk_takes_nothing() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        options = ("--save", "3600 1", "--enable-protected-configs", "yes")
        for name, ignores in (("b", "yes"), ("c", "no")):
            on.start_replica(
                name, "a", "--replica-ignore-disk-write-errors", ignores, *options, *BRIEF
            )
            folder = on.folder(name) / "gone"
            folder.mkdir()
            on.ask(name, f"CONFIG SET dir {folder}")
            folder.rmdir()
            on.call(name, "BGSAVE")
            on.until(lambda n=name: on.field(n, "rdb_last_bgsave_status") == "err", "it is saved")
        on.ask("a", "PUBLISH channel message")
        on.until_even("a", "b", "c")
        on.call("c", "GET s")
        for line in ("MULTI", "SET s 1", "SET s 2", "EXEC", "SET s 3"):
            on.ask("a", line)
        note_end(on, "b", "c")
        on.call("b", "GET s")

    compare_both(scene)


def test_a_replica_without_memory() -> None:
    def scene(on: Stage) -> None:
        on.start("a")
        for name, ignores in (("b", "yes"), ("c", "no")):
            on.start_replica(name, "a", "--replica-ignore-maxmemory", ignores)
        on.ask("a", "SET s x")
        on.until_even("a", "b", "c")
        for name in "bc":
            on.call(name, "CONFIG SET maxmemory 1")
            on.call(name, "CONFIG SET maxmemory-policy noeviction")
        for line in (
            *("SET s y", "LPUSH l 1", "DEL l"),
            *("MULTI", "DEL s", "EXEC"),
            *("MULTI", "PERSIST s", "SET t 1", "DEL nosuch", "EXEC"),
            *("SELECT 3", "SET t 1", "SELECT 0", "FLUSHDB"),
        ):
            on.call("a", line)
        on.until_even("a", "b", "c")
        for name in "bc":
            on.call(name, "CONFIG SET maxmemory 0")
            on.call(name, "DEBUG DIGEST")
        on.call("a", "SET u 1")
        on.until_even("a", "b", "c")
        note_end(on, "b", "c")

    compare_both(scene)


# -- the connection --------------------------------------------------------------------------------


@pytest.mark.parametrize("disabled", [True, False])
def test_packets_of_a_full_resynchronization(disabled: bool, tmp_path: Path) -> None:
    async def synchronize() -> int:
        config = Config.from_mapping(
            {
                "port": free_port(),
                "save": "",
                "repl-disable-tcp-nodelay": disabled,
                "dir": tmp_path,
            }
        )
        node = Node(config, environment(lambda _: None, "node"))
        await node.start()
        reader, writer = await asyncio.open_connection(HOST, config.port)
        try:
            writer.write(b"PSYNC ? -1\r\n")
            assert (await reader.readline()).startswith(b"+FULLRESYNC")
            (client,) = node.replication.masterside.replicas
            assert client.session is not None
            connection = client.session.transport.get_extra_info("socket")
            delays: int = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            return delays
        finally:
            writer.close()
            node.abort()

    assert bool(asyncio.run(synchronize())) is not disabled
