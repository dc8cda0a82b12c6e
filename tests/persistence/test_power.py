"""Kills and power failures at random moments, on good disks and bad ones: what is left?

The promises are those of `appendfsync`. A killed process leaves what it has written; what a power
failure may take is what no fsync has covered.
"""

from __future__ import annotations

import contextlib
import errno
import gc
from random import Random

import pytest
import redis

from redislab import SingleLab
from tests.persistence.crashlab import CrashLab, crash_lab

pytestmark = pytest.mark.timeout(300)

AOF = {"appendonly": "yes", "auto-aof-rewrite-percentage": "0"}
POLICIES = ("always", "everysec", "no")
# A write waits for the next whole second, then for the cron that notices, then for the disk.
EVERYSEC_S = 1.0 + 0.1 + 0.1


def live(crash: CrashLab, random: Random, seconds: float, *, rewrites: bool = True) -> None:
    """Write, in single commands and transactions, until the node is gone or the time is over."""
    ends = crash.lab.now + seconds
    while crash.lab.now < ends:
        number = next(crash.numbers)
        match random.randrange(10):
            case 0 if rewrites:
                with contextlib.suppress(redis.RedisError):
                    crash.client.bgrewriteaof()
            case 1:
                crash.lab.run_for(random.random())
            case 2 | 3:
                crash.push(*(f"{number}.{part}" for part in range(random.randint(2, 4))))
            case _:
                crash.push(str(number))
        if crash.lab.snapshot().node.up is False:
            return


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("policy", POLICIES)
def test_no_more_is_lost_than_may_be(policy: str, preamble: str, seed: int) -> None:
    random = Random(f"{policy}/{preamble}/{seed}")
    config = AOF | {"appendfsync": policy, "aof-use-rdb-preamble": preamble}
    with crash_lab(config, seed) as crash:
        for _ in range(4):
            is_kill = random.random() < 0.3
            crashes_in = random.uniform(0.5, 6.0)
            act = crash.lab.kill if is_kill else crash.lab.power_off
            crash.lab.after(crashes_in, act)
            crashes_at = crash.lab.now + crashes_in
            live(crash, random, crashes_in + 1.0)
            if crash.lab.now < crashes_at:
                crash.lab.run_for(crashes_at - crash.lab.now + 0.01)
            promised = crash.acked_before(crashes_at)
            if not is_kill:
                promised = {
                    "always": promised,
                    "everysec": crash.acked_before(crashes_at - EVERYSEC_S),
                    "no": 0,
                }[policy]
            found = crash.restart()
            assert found is not None, crash.lab.log()[-2000:]
            crash.check(found, promised)
            crash.forget_what_is_lost(found)


FAULTS = {
    "short write": {"operation": "write", "path": "*.incr.aof", "short": 5},
    "failed write": {"operation": "write", "path": "*.incr.aof", "error": errno.EIO},
    "failed fsync": {"operation": "sync", "path": "*.incr.aof", "error": errno.EIO},
    "slow fsync": {"operation": "sync", "path": "*.incr.aof", "seconds": 3.5},
    "no new file": {"operation": "open", "path": "*.incr.aof", "error": errno.EMFILE},
    "no new manifest": {"operation": "rename", "path": "*.manifest", "error": errno.EIO},
    "no manifest synced": {"operation": "sync", "path": "temp-*.manifest", "error": errno.EIO},
    "no new base": {"operation": "rename", "path": "*.base.*", "error": errno.EIO},
    "no names synced": {"operation": "sync_directory", "path": "*", "error": errno.EIO},
    "half a base": {"operation": "write", "path": "temp-rewriteaof-bg-*", "short": 9, "times": 3},
    "failed base": {"operation": "write", "path": "temp-rewriteaof-bg-*", "error": errno.ENOSPC},
    "nothing removed": {"operation": "unlink", "path": "*", "error": errno.EIO, "times": None},
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("policy", POLICIES)
def test_faults_of_the_disk(policy: str, fault: str, seed: int) -> None:
    random = Random(f"{policy}/{fault}/{seed}")
    config = AOF | {"appendfsync": policy, "repl-diskless-sync": "yes"}
    with crash_lab(config, seed) as crash:
        live(crash, random, 2.0)
        skip = random.randrange(4)
        crash.lab.disk().inject(**({"skip": skip} | FAULTS[fault]))  # type: ignore[arg-type]
        live(crash, random, 4.0)
        crash.lab.kill()
        struck = [event.time for event in crash.lab.events if event.kind == "disk"]
        # What could not be written when it was acknowledged may be lost, and with a slow fsync
        # nothing is written for up to two seconds.
        sure = crash.lab.now
        if policy != "always" and struck and FAULTS[fault]["operation"] in {"write", "sync"}:
            sure = struck[0] - 0.001
        found = crash.restart()
        assert found is not None, crash.lab.log()[-2000:]
        crash.check(found, crash.acked_before(sure))
        # The disk is good again: all is as ever.
        crash.forget_what_is_lost(found)
        assert crash.push("good", "again")
        crash.lab.run_for(3)
        crash.lab.power_off(kept=0.0)
        after = crash.restart()
        if fault == "failed fsync" and after is None:
            # What the kernel had given up was never on the medium, whatever later fsyncs said.
            assert "Bad file format reading the append only file" in crash.lab.log()
            return
        assert after is not None
        crash.check(after, len(found) + (2 if policy != "no" else 0))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_full_disk(policy: str) -> None:
    random = Random(policy)
    with crash_lab(AOF | {"appendfsync": policy}, 5) as crash:
        live(crash, random, 1.0, rewrites=False)
        disk = crash.lab.disk()
        disk.capacity_bytes = sum(map(len, disk.files().values())) + 300
        full = crash.acked_before(crash.lab.now)
        for number in range(40):
            crash.push(f"over {number}")
        if policy == "always":
            assert not crash.lab.snapshot().node.up
            assert "Can't recover from AOF write error" in crash.lab.log()
        else:
            with pytest.raises(
                redis.RedisError, match="MISCONF Errors writing to the AOF file: No"
            ):
                crash.client.set("a", 1)
            assert crash.client.info("persistence")["aof_last_write_status"] == "err"
            with pytest.raises(redis.RedisError, match="MISCONF"):
                crash.client.ping()
            disk.capacity_bytes = None
            crash.lab.run_for(1.5)
            assert crash.client.set("a", 1)
            assert "AOF write error looks solved, Redis can write again." in crash.lab.log()
        crash.lab.kill()
        found = crash.restart()
        assert found is not None
        crash.check(found, full if policy == "always" else len(crash.acked))
        assert len(found) > full


def test_a_failed_fsync_stops_writes_until_the_next_one_goes_well() -> None:
    with crash_lab(AOF, 5) as crash:
        crash.lab.disk().inject("sync", "*.incr.aof", error=errno.EIO, times=2)
        crash.lab.run_for(1)
        crash.push("a")
        crash.lab.run_for(1.5)
        with pytest.raises(redis.RedisError, match="MISCONF Errors writing to the AOF file: Input"):
            crash.client.set("a", 1)
        crash.lab.run_for(3)
        assert not crash.push("b")  # no fsync without a write, and no write without an fsync
        assert crash.lab.log().count("Fail to fsync the AOF file: Input/output error") == 1


def test_a_failed_fsync_ends_the_node_that_promised_always() -> None:
    with crash_lab(AOF | {"appendfsync": "always"}, 5) as crash:
        assert crash.push("a")
        crash.lab.disk().inject("sync", "*.incr.aof", error=errno.EIO)
        assert not crash.push("b")
        assert "Can't persist AOF for fsync error when the AOF fsync policy" in crash.lab.log()
        assert crash.lab.events[-1].kind == "stop"
        assert crash.restart() in (["a"], ["a", "b"])


def test_a_slow_fsync_is_waited_for_two_seconds() -> None:
    with crash_lab(AOF, 5) as crash:
        crash.lab.run_for(2)
        crash.lab.disk().inject("sync", "*.incr.aof", seconds=10.0)
        crash.push("begins the fsync")
        size = len(crash.lab.files()["appendonlydir/appendonly.aof.1.incr.aof"])
        for number in range(5):
            crash.lab.run_for(0.3)
            assert crash.push(str(number))
        info = crash.client.info("persistence")
        assert (info["aof_delayed_fsync"], info["aof_pending_bio_fsync"]) == (0, 1)
        assert info["aof_buffer_length"] > 0
        assert len(crash.lab.files()["appendonlydir/appendonly.aof.1.incr.aof"]) == size
        crash.lab.run_for(1.5)
        assert crash.client.info("persistence")["aof_buffer_length"] == 0
        assert crash.client.info("persistence")["aof_delayed_fsync"] == 1
        assert "Asynchronous AOF fsync is taking too long (disk is busy?)." in crash.lab.log()
        crash.lab.kill()
        found = crash.restart()
        assert found is not None
        crash.check(found, 6)


@pytest.mark.parametrize("seed", range(10))
def test_rdb_files_are_whole_or_as_before(seed: int) -> None:
    random = Random(seed)
    with crash_lab({"save": "1 5"}, seed) as crash:
        saved = 0
        for number in range(40):
            crash.push(str(number))
            if random.random() < 0.2:
                with contextlib.suppress(redis.RedisError):
                    crash.client.save() if random.random() < 0.5 else crash.client.bgsave()
            crash.lab.run_for(random.random() / 4)
            info = crash.client.info("persistence")
            if not info["rdb_bgsave_in_progress"]:
                saved = max(saved, len(crash.acked) - info["rdb_changes_since_last_save"])
        crash.lab.power_off(kept=0.0 if seed % 2 else None)
        found = crash.restart()
        assert found is not None
        crash.check(found, saved)


def test_a_save_that_fails_leaves_the_last_one() -> None:
    faults = (
        ("open", "temp-*.rdb", "Failed opening the temp RDB file temp-"),
        ("write", "temp-*.rdb", "Write error saving DB on disk(fsync): No space left on device"),
        ("sync", "temp-*.rdb", "Write error saving DB on disk(fsync): No space left on device"),
        ("rename", "dump.rdb", "Error moving temp DB file temp-"),
    )
    for operation, path, message in faults:
        with crash_lab({"save": "3600 1"}) as crash:
            crash.push("a")
            crash.client.save()
            before = crash.lab.files()
            crash.push("b")
            crash.lab.disk().inject(operation, path, error=errno.ENOSPC, times=2)
            with pytest.raises(redis.RedisError):
                crash.client.save()
            assert crash.push("c"), "SAVE alone does not stop writes"
            assert crash.client.bgsave()
            crash.lab.run_for(1)
            assert not crash.push("d")
            assert crash.lab.files() == before, operation
            assert message in crash.lab.log()
            assert crash.client.bgsave()
            crash.lab.run_for(1)
            assert crash.push("e")
            crash.lab.kill()
            assert crash.restart() == ["a", "b", "c"]


def test_a_rewrite_whose_disk_goes_away_ends_without_an_error_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged = ""
    for quarters in range(16):  # of a millisecond: a sync takes one
        with SingleLab("sim", config={"save": "", "appendonly": "yes"}) as lab:
            client = lab.client()
            client.set("a", 1)
            client.bgrewriteaof()
            lab.run_for(quarters / 4000)
            lab.disk().detach()
            lab.run_for(1)
            logged += lab.log()
        gc.collect()
    assert "never retrieved" not in caplog.text
    assert "appendonly.aof.2.base.rdb length. stat: Bad file descriptor" in logged
