"""Scenarios on ours and on a real server: the same replies, files, figures and log lines."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.persistence.programs import Server
from tests.persistence.scenarios import Scenario, run, tree, wait

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]

SLOW = "10000000"  # microseconds a key


def saves(s: Server) -> Iterator[object]:
    s.start()
    yield s.call("SAVE")
    yield tree(s.folder)
    yield s.call("BGSAVE")
    s.wait_for("rdb_bgsave_in_progress", "0")
    yield s.call("BGSAVE", "SCHEDULE")
    s.wait_for("rdb_bgsave_in_progress", "0")
    yield s.call("BGSAVE", "NOW")
    yield s.call("SAVE", "x")
    yield s.call("MULTI")
    for number in range(3):
        s.call("SET", f"k{number}", "v")
    yield s.info("rdb_changes_since_last_save")
    s.call("CONFIG", "SET", "rdb-key-save-delay", SLOW)
    yield s.call("BGSAVE")
    yield s.call("BGSAVE"), s.call("BGSAVE", "SCHEDULE"), s.call("SAVE")
    yield s.call("BGREWRITEAOF"), s.info("aof_rewrite_scheduled"), s.info("rdb_bgsave_in_progress")
    s.call("SET", "more", "v")
    yield s.info("rdb_changes_since_last_save"), s.info("rdb_saves")
    yield s.call("FLUSHALL")
    s.wait_for("rdb_bgsave_in_progress", "0")
    yield s.info("rdb_last_bgsave_status")
    s.call("CONFIG", "SET", "rdb-key-save-delay", "0")
    s.wait_for("aof_rewrite_scheduled", "0")
    s.wait_for("aof_rewrite_in_progress", "0")
    yield tree(s.folder), s.info("aof_enabled"), s.info("aof_rewrites")
    yield s.call("DEBUG", "RELOAD", "WHAT"), s.call("DEBUG", "RELOAD")
    yield s.stop()


def save_points(s: Server) -> Iterator[object]:
    s.start()
    for value in ("900 1 300 10", "", "1 2 3", "0 1", "1 -1", "x y", "3600 1 60 10000"):
        yield s.call("CONFIG", "SET", "save", value)
        yield s.text("CONFIG", "GET", "save")
    yield s.call("CONFIG", "SET", "save", "1 2")
    s.call("SET", "a", "1")
    s.call("SET", "b", "2")
    wait((s.folder / "dump.rdb").exists)
    s.wait_for("rdb_bgsave_in_progress", "0")
    yield s.info("rdb_changes_since_last_save"), s.info("rdb_saves")
    yield s.call("CONFIG", "SET", "save", "")
    yield s.stop(), tree(s.folder)


def disk_refuses(s: Server) -> Iterator[object]:
    s.start()
    s.call("SET", "a", "1")
    (s.folder / "dump.rdb").mkdir()
    yield s.call("SAVE")
    yield s.call("SET", "a", "2")
    yield s.call("BGSAVE")
    s.wait_for("rdb_last_bgsave_status", "err")
    writes = (["SET", "a", "3"], ["DEL", "a"], ["PING"], ["GET", "a"], ["FLUSHALL"], ["INCR", "a"])
    yield [s.text(*words) for words in writes]
    yield s.call("EVAL", "return redis.call('SET', 'a', '4')", "0")
    yield s.call("EVAL", "return redis.call('GET', 'a')", "0")
    with s.wire() as wire:
        wire.call(b"MULTI")
        yield wire.call(b"SET", b"a", b"5"), wire.call(b"EXEC")
    yield s.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "no"), s.call("SET", "a", "6")
    yield s.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes"), s.call("SET", "a", "7")
    yield s.call("SHUTDOWN"), s.call("SHUTDOWN", "SAVE")
    (s.folder / "dump.rdb").rmdir()
    yield s.call("BGSAVE")
    s.wait_for("rdb_last_bgsave_status", "ok")
    yield s.call("SET", "a", "8"), tree(s.folder)
    yield s.call("CONFIG", "SET", "dbfilename", "other/name"), s.call("SHUTDOWN", "NOSAVE", "SAVE")
    yield s.call("SHUTDOWN", "ABORT"), s.call("SHUTDOWN", "ABORT", "NOW"), s.call("SHUTDOWN", "X")
    yield s.stop(signal.SIGINT), tree(s.folder)


def switched_on_and_off(s: Server) -> Iterator[object]:
    s.start()
    s.call("SET", "a", "1")
    yield s.info("aof_enabled"), s.call("CONFIG", "SET", "appendonly", "yes")
    s.wait_for("aof_rewrite_in_progress", "0")
    yield tree(s.folder), manifest(s), s.info("aof_enabled")
    yield s.call("SET", "b", "2"), s.call("BGREWRITEAOF")
    s.wait_for("aof_rewrite_in_progress", "0")
    wait(lambda: "h\n" not in manifest(s))
    yield tree(s.folder), manifest(s)
    s.call("SET", "c", "3")
    yield s.call("CONFIG", "SET", "appendonly", "no"), s.info("aof_enabled")
    yield tree(s.folder), manifest(s)
    s.call("SET", "d", "4")
    with s.wire() as wire:
        wire.call(b"MULTI")
        for words in ((b"CONFIG", b"SET", b"appendonly", b"yes"), (b"BGREWRITEAOF",), (b"BGSAVE",)):
            wire.call(*words)
        yield [reply.text for reply in wire.call(b"EXEC").items or ()]
    s.wait_for("aof_rewrite_scheduled", "0")
    s.wait_for("aof_rewrite_in_progress", "0")
    wait((s.folder / "dump.rdb").exists)
    s.wait_for("rdb_bgsave_in_progress", "0")
    yield tree(s.folder), manifest(s)
    yield s.call("CONFIG", "SET", "aof-disable-auto-gc", "yes"), s.call("BGREWRITEAOF")
    s.wait_for("aof_rewrite_in_progress", "0")
    yield tree(s.folder), manifest(s)
    yield s.call("CONFIG", "SET", "aof-disable-auto-gc", "no")
    wait(lambda: "h\n" not in manifest(s))
    yield tree(s.folder), manifest(s)
    yield s.call("DEBUG", "LOADAOF"), s.text("DBSIZE"), s.info("rdb_changes_since_last_save")
    yield s.stop(), tree(s.folder)


def manifest(s: Server) -> str:
    return (s.folder / "appendonlydir" / "appendonly.aof.manifest").read_text()


def rewrite_fails(s: Server) -> Iterator[object]:
    s.start()
    s.call("SET", "a", "1")
    (s.folder / "appendonlydir" / "appendonly.aof.2.base.rdb" / "x").mkdir(parents=True)
    yield s.call("BGREWRITEAOF")
    s.wait_for("aof_last_bgrewrite_status", "err")
    s.wait_for("aof_rewrite_in_progress", "0")
    wait(lambda: not any("temp-" in name for name in tree(s.folder)))  # in the background
    yield s.call("SET", "b", "2"), tree(s.folder), manifest(s), s.info("aof_rewrites")
    yield s.info("aof_rewrites_consecutive_failures")
    (s.folder / "appendonlydir" / "appendonly.aof.3.incr.aof" / "x").mkdir(parents=True)
    yield s.call("BGREWRITEAOF"), s.info("aof_rewrites"), s.call("SET", "c", "3")
    s.wait_for("aof_buffer_length", "0")  # a write waits while an fsync is under way
    s.kill()
    yield s.start().text("DBSIZE"), tree(s.folder), manifest(s)


def killed_while_it_saves(s: Server) -> Iterator[object]:
    s.start()
    for number in range(5):
        s.call("SET", f"k{number}", "v")
    s.call("CONFIG", "SET", "rdb-key-save-delay", SLOW)
    yield s.call("BGSAVE")
    wait(lambda: any("temp-" in name for name in tree(s.folder)))
    s.call("CONFIG", "SET", "rdb-key-save-delay", "0")
    yield s.stop(), tree(s.folder)


def first_rewrite_under_way(s: Server) -> Iterator[object]:
    s.start()
    s.call("SET", "a", "1")
    s.call("CONFIG", "SET", "rdb-key-save-delay", SLOW)
    yield s.call("CONFIG", "SET", "appendonly", "yes"), s.call("SHUTDOWN", "NOW")
    yield s.call("BGREWRITEAOF"), s.call("BGSAVE")
    yield s.call("CONFIG", "SET", "appendonly", "no"), s.info("aof_rewrite_in_progress")
    yield s.call("CONFIG", "SET", "appendonly", "yes")
    with pytest.raises(ConnectionError):
        s.call("SHUTDOWN", "FORCE")
    yield s.process.wait(20) if s.process else None
    yield tree(s.folder)


NO_SAVE = ("--save", "")
SCENARIOS: dict[str, tuple[Scenario, tuple[str, ...]]] = {
    "saves": (saves, NO_SAVE),
    "save points": (save_points, NO_SAVE),
    "disk refuses": (disk_refuses, ("--save", "900 1")),
    "switched on and off": (switched_on_and_off, NO_SAVE),
    "rewrite fails": (rewrite_fails, (*NO_SAVE, "--appendonly", "yes")),
    "killed while it saves": (killed_while_it_saves, NO_SAVE),
    "first rewrite under way": (first_rewrite_under_way, NO_SAVE),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_comes_of_it(name: str, tmp_path: Path) -> None:
    scenario, options = SCENARIOS[name]
    real, real_log = run("real", tmp_path / "real", scenario, *options)
    ours, our_log = run("ours", tmp_path / "ours", scenario, *options)
    assert ours == real
    assert our_log == real_log
