"""The simulated disk: what a power failure takes, and every way in which it fails."""

import errno
from random import Random

import pytest

from redislab.worlds.sim import SimLoop
from redislab.worlds.sim.disk import SYNC_SECONDS, SimDisk


class Machine:
    """A disk on a simulated loop, and one program on it."""

    def __init__(self, seed=1):
        self.loop = SimLoop(seed=seed)
        self.notes = []
        self.disk = SimDisk(Random(f"disk/{seed}"), self.later, note=self.notes.append)
        self.mount = self.disk.mount()

    def later(self, seconds, call):
        self.loop.schedule(self.loop.now + seconds, lambda _: call(), None)

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def reboot(self, kept=None):
        self.disk.lose_power(kept)
        self.mount = self.disk.mount()

    def read(self, path):
        file = self.mount.open(path, "read")
        return file.read(1 << 20)

    def write(self, path, data, mode="append"):
        file = self.mount.open(path, mode)
        assert file.write(data) == len(data)
        return file


@pytest.fixture
def machine():
    made = Machine()
    yield made
    made.loop.close()


def test_what_is_written_is_read_back(machine):
    file = machine.write("/data/a", b"one")
    file.write(bytearray(b" two"))
    file.write(memoryview(b" three"))
    assert file.size() == machine.mount.size("/data/a") == 13
    reading = machine.mount.open("/data/a", "read")
    assert [reading.read(4), reading.read(100), reading.read(100)] == [b"one ", b"two three", b""]
    file.close()
    machine.write("/data/a", b"!")
    assert machine.read("/data/a") == b"one two three!"
    machine.write("/data/a", b"anew", "create")
    assert machine.read("/data/a") == b"anew"


def test_names_are_those_of_a_file_system(machine):
    mount = machine.mount
    machine.write("/data/b", b"b")
    machine.write("/data/a", b"a")
    mount.mkdir("/data/sub")
    machine.write("/data/sub/c", b"c")
    assert mount.listdir("/data") == ["a", "b", "sub"]
    mount.rename("/data/a", "/data/sub/c")
    assert machine.read("/data/sub/../sub/c") == b"a"
    assert mount.listdir("/data/sub") == ["c"]
    mount.unlink("/data/b")
    assert [mount.size("/data/b"), mount.size("/data/sub")] == [None, None]
    assert machine.disk.files() == {"/data/sub/c": b"a"}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda m: m.open("/data/none", "read"), errno.ENOENT),
        (lambda m: m.open("/nowhere/a", "create"), errno.ENOENT),
        (lambda m: m.open("/data", "append"), errno.EISDIR),
        (lambda m: m.open("/data", "read"), errno.EISDIR),
        (lambda m: m.rename("/data/none", "/data/a"), errno.ENOENT),
        (lambda m: m.unlink("/data/none"), errno.ENOENT),
        (lambda m: m.mkdir("/data"), errno.EEXIST),
        (lambda m: m.mkdir("/nowhere/a"), errno.ENOENT),
        (lambda m: m.listdir("/data/none"), errno.ENOENT),
        (lambda m: m.open("/data/x", "create").read(1), errno.EBADF),
        (lambda m: m.open("/data/x", "create").truncate(9), errno.EINVAL),
    ],
)
def test_errors_are_the_kernels(machine, call, code):
    with pytest.raises(OSError, match=r"\w") as failure:
        call(machine.mount)
    assert failure.value.errno == code


def test_a_killed_program_leaves_the_page_cache_and_writes_no_more(machine):
    file = machine.write("/data/a", b"unsynced")
    machine.disk.detach()
    for call in (lambda: file.write(b"x"), lambda: machine.mount.open("/data/a", "read")):
        with pytest.raises(OSError, match="Bad file descriptor"):
            call()
    machine.mount = machine.disk.mount()
    assert machine.read("/data/a") == b"unsynced"


def test_a_power_failure_takes_what_was_not_synced_and_nothing_else(machine):
    file = machine.write("/data/a", b"durable")
    machine.run(file.sync())
    machine.run(machine.mount.sync_directory("/data"))
    file.write(b" lost")
    assert machine.read("/data/a") == b"durable lost"
    machine.reboot(kept=0.0)
    assert machine.read("/data/a") == b"durable"


def test_any_prefix_of_the_unsynced_tail_may_have_reached_the_medium():
    found = set()
    for seed in range(200):
        machine = Machine(seed)
        file = machine.write("/data/a", b"##")
        machine.run(file.sync())
        machine.run(machine.mount.sync_directory("/data"))
        for part in (b"ab", b"cde", b"f"):
            file.write(part)
        machine.reboot()
        found.add(machine.read("/data/a"))
        machine.loop.close()
    assert found == {b"##abcdef"[:length] for length in range(2, 9)}


def test_the_same_seed_loses_the_same_bytes():
    def what_is_left(seed):
        machine = Machine(seed)
        for name in "abc":
            machine.write(f"/data/{name}", bytes(1000))
        machine.run(machine.mount.sync_directory("/data"))
        machine.reboot()
        machine.loop.close()
        return {path: len(data) for path, data in machine.disk.files().items()}

    assert what_is_left(5) == what_is_left(5) != what_is_left(6)


def test_a_new_name_survives_once_its_directory_is_synced(machine):
    file = machine.write("/data/a", b"bytes")
    machine.run(file.sync())
    machine.reboot(kept=0.0)
    assert machine.mount.listdir("/data") == []
    file = machine.write("/data/a", b"bytes")
    machine.run(file.sync())
    machine.run(machine.mount.sync_directory("/data"))
    machine.reboot(kept=0.0)
    assert machine.read("/data/a") == b"bytes"


@pytest.mark.parametrize("names_survive", [False, True])
def test_a_rename_without_a_sync_of_the_directory_may_be_undone(machine, names_survive):
    machine.disk.put({"/data/rdb": b"old"})
    file = machine.write("/data/temp", b"new")
    machine.run(file.sync())
    machine.mount.rename("/data/temp", "/data/rdb")
    assert machine.read("/data/rdb") == b"new"
    machine.disk.names_survive = names_survive
    machine.reboot(kept=0.0)
    assert machine.disk.files() == {"/data/rdb": b"new" if names_survive else b"old"}


def test_names_are_lost_from_the_last_one_back():
    """As in a journal: what came first is never lost alone."""
    found = set()
    for seed in range(100):
        machine = Machine(seed)
        machine.disk.put({"/data/old": b"o"})
        file = machine.write("/data/new", b"n")
        machine.run(file.sync())
        machine.mount.rename("/data/new", "/data/newer")
        machine.mount.unlink("/data/old")
        machine.reboot()
        found.add(tuple(machine.mount.listdir("/data")))
        machine.loop.close()
    assert found == {("old",), ("new", "old"), ("newer", "old"), ("newer",)}


def test_a_sync_of_one_directory_keeps_what_was_done_before_it_elsewhere(machine):
    mount = machine.mount
    mount.mkdir("/data/sub")
    machine.run(machine.write("/data/sub/first", b"1").sync())
    machine.run(machine.write("/data/second", b"2").sync())
    machine.write("/data/sub/third", b"3")
    machine.run(mount.sync_directory("/data"))
    machine.reboot(kept=0.0)
    assert machine.disk.files() == {"/data/second": b"2", "/data/sub/first": b"1"}


def test_a_truncation_is_lost_with_what_follows_it(machine):
    machine.disk.put({"/data/a": b"0123456789"})
    file = machine.mount.open("/data/a", "append")
    file.truncate(5)
    file.write(b"xyz")
    assert machine.read("/data/a") == b"01234xyz"
    machine.reboot(kept=0.0)
    assert machine.read("/data/a") == b"0123456789"
    file = machine.mount.open("/data/a", "append")
    file.truncate(5)
    machine.run(file.sync())
    machine.reboot(kept=0.0)
    assert machine.read("/data/a") == b"01234"


def test_a_sync_covers_what_was_written_before_it_began(machine):
    file = machine.write("/data/a", b"before")
    machine.run(machine.mount.sync_directory("/data"))

    async def write_meanwhile():
        task = machine.loop.create_task(file.sync())
        await asyncio_sleep(machine, SYNC_SECONDS / 2)
        file.write(b" meanwhile")
        await task

    began = machine.loop.now
    machine.run(write_meanwhile())
    assert machine.loop.now - began == pytest.approx(SYNC_SECONDS)
    machine.reboot(kept=0.0)
    assert machine.read("/data/a") == b"before"


async def asyncio_sleep(machine, seconds):
    future = machine.loop.create_future()
    machine.later(seconds, lambda: future.set_result(None))
    await future


def test_the_power_fails_while_a_sync_is_under_way(machine):
    machine.disk.put({"/data/a": b""})
    file = machine.write("/data/a", b"bytes")
    task = machine.loop.create_task(file.sync())
    machine.loop.run_for(SYNC_SECONDS / 2)
    machine.reboot(kept=0.0)
    file = machine.write("/data/a", b"after")
    machine.loop.run_for(1)
    machine.reboot(kept=0.0)
    task.cancel()
    assert machine.read("/data/a") == b""


def test_what_waits_for_half_a_minute_gets_there_by_itself(machine):
    file = machine.write("/data/a", b"old")
    machine.loop.run_for(20)
    file.write(b" young")
    machine.loop.run_for(20)
    machine.reboot(kept=0.0)
    assert machine.read("/data/a") == b"old"


@pytest.mark.parametrize("writes_back", [True, False])
def test_a_program_that_never_syncs_loses_half_a_minute_or_everything(machine, writes_back):
    machine.disk.writes_back = writes_back
    file = machine.write("/data/a", b"")
    for _ in range(100):
        file.write(b"x")
        machine.loop.run_for(1)
    machine.reboot(kept=0.0)
    files = machine.disk.files()
    assert 65 <= len(files["/data/a"]) <= 70 if writes_back else files == {}


def test_a_write_fails_where_it_is_told_to_and_no_other(machine):
    machine.disk.inject("write", "*.aof", error=errno.EIO, skip=1, times=2)
    rdb, aof = machine.write("/data/dump.rdb", b"r"), machine.write("/data/a.aof", b"1")
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            aof.write(b"2")
    rdb.write(b"r")
    aof.write(b"3")
    assert machine.read("/data/a.aof") == b"13"
    assert machine.notes == ["write /data/a.aof: Input/output error"] * 2
    assert machine.disk.faults == []


def test_a_write_may_be_short(machine):
    machine.disk.inject("write", short=3)
    file = machine.mount.open("/data/a", "create")
    assert file.write(b"12345") == 3
    assert file.write(b"45") == 2
    assert machine.read("/data/a") == b"12345"


def test_a_full_disk_takes_what_fits_and_then_nothing(machine):
    machine.disk.capacity_bytes = 10
    file = machine.write("/data/a", b"1234567")
    assert file.write(b"89abcd") == 3
    with pytest.raises(OSError, match="No space left on device"):
        file.write(b"b")
    machine.mount.unlink("/data/a")
    assert machine.write("/data/b", b"room").size() == 4


@pytest.mark.parametrize("operation", ["open", "rename", "unlink", "mkdir", "read", "truncate"])
def test_every_call_can_fail(machine, operation):
    machine.disk.put({"/data/a": b"bytes"})
    machine.disk.inject(operation, error=errno.EIO)
    calls = {
        "open": lambda: machine.mount.open("/data/a", "read"),
        "rename": lambda: machine.mount.rename("/data/a", "/data/b"),
        "unlink": lambda: machine.mount.unlink("/data/a"),
        "mkdir": lambda: machine.mount.mkdir("/data/sub"),
        "read": lambda: machine.mount.open("/data/a", "read").read(1),
        "truncate": lambda: machine.mount.open("/data/a", "append").truncate(0),
    }
    with pytest.raises(OSError, match="Input/output error"):
        calls[operation]()
    assert machine.disk.files() == {"/data/a": b"bytes"}
    calls[operation]()


def test_a_slow_sync_takes_that_long(machine):
    machine.disk.inject("sync", seconds=2.0, times=None)
    file = machine.write("/data/a", b"x")
    for _ in range(2):
        began = machine.loop.now
        machine.run(file.sync())
        assert machine.loop.now - began == pytest.approx(2.0 + SYNC_SECONDS)


def test_what_a_failed_sync_was_to_write_is_lost_for_good(machine):
    """Linux marks the pages clean all the same: a later success says nothing of them."""
    file = machine.write("/data/a", b"good ")
    machine.run(machine.mount.sync_directory("/data"))
    machine.run(file.sync())
    file.write(b"bad ")
    machine.disk.inject("sync", error=errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        machine.run(file.sync())
    file.write(b"good")
    machine.run(file.sync())
    assert machine.read("/data/a") == b"good bad good"
    machine.reboot(kept=0.0)
    assert machine.read("/data/a") == b"good \0\0\0\0good"


def test_a_failed_sync_of_a_directory_keeps_no_name(machine):
    machine.write("/data/a", b"x")
    machine.disk.inject("sync_directory", error=errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        machine.run(machine.mount.sync_directory("/data"))
    machine.reboot(kept=0.0)
    assert machine.mount.listdir("/data") == []


def test_files_laid_on_the_disk_are_durable_and_so_is_what_was_named_before(machine):
    machine.write("/data/mine", b"x")
    machine.disk.put({"/data/deep/er/dump.rdb": b"REDIS"})
    machine.reboot(kept=0.0)
    assert machine.disk.files() == {"/data/deep/er/dump.rdb": b"REDIS", "/data/mine": b""}
    assert machine.mount.listdir("/data") == ["deep", "mine"]


def test_a_wiped_disk_is_empty_and_stays_so(machine):
    machine.disk.put({"/data/a": b"x"})
    machine.disk.wipe()
    machine.reboot()
    assert machine.disk.files() == {}
    machine.write("/data/a", b"again")
    assert machine.read("/data/a") == b"again"
