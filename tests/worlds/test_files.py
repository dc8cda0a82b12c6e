"""The real file system as a node's disk."""

import asyncio
import errno

import pytest

from redislab.server.files import FileSystem


@pytest.fixture
def disk():
    return FileSystem()


def test_what_is_written_is_read_back(disk, tmp_path):
    path = str(tmp_path / "a")
    file = disk.open(path, "append")
    assert [file.write(b"one"), file.write(bytearray(b" two")), file.size()] == [3, 4, 7]
    reading = disk.open(path, "read")
    assert [reading.read(4), reading.read(100), reading.read(100)] == [b"one ", b"two", b""]
    file.truncate(3)
    file.write(b"!")
    file.close()
    file.close()
    assert (tmp_path / "a").read_bytes() == b"one!"
    disk.open(path, "create").close()
    assert disk.size(path) == 0
    reading.close()


def test_names_are_the_kernels(disk, tmp_path):
    for name in "ba":
        disk.open(str(tmp_path / name), "create").close()
    disk.mkdir(str(tmp_path / "sub"))
    with pytest.raises(FileExistsError):
        disk.mkdir(str(tmp_path / "sub"))
    assert disk.listdir(str(tmp_path)) == ["a", "b", "sub"]
    disk.rename(str(tmp_path / "a"), str(tmp_path / "b"))
    disk.unlink(str(tmp_path / "b"))
    assert disk.listdir(str(tmp_path)) == ["sub"]
    assert [disk.size(str(tmp_path / name)) for name in ("a", "sub", "sub/x")] == [None] * 3


def test_a_file_is_overwritten_in_one_step_or_stays_as_it_was(disk, tmp_path):
    path = tmp_path / "a.conf"
    for content in (b"one", b"two\n" * 10_000, b""):
        disk.overwrite(str(path), content)
        assert disk.read(str(path)) == path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["a.conf"]
    (tmp_path / "sub").mkdir()
    with pytest.raises(IsADirectoryError):
        disk.overwrite(str(tmp_path / "sub"), b"file")
    with pytest.raises(FileNotFoundError):
        disk.overwrite(str(tmp_path / "none" / "a.conf"), b"file")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.conf", "sub"]
    disk.detach()
    with pytest.raises(OSError, match="Bad file descriptor"):
        disk.overwrite(str(path), b"late")
    assert path.read_bytes() == b""


def test_a_sync_is_awaited_and_survives_the_close(disk, tmp_path):
    async def work():
        file = disk.open(str(tmp_path / "a"), "append")
        file.write(b"bytes")
        syncing = asyncio.create_task(file.sync())
        await asyncio.sleep(0)
        file.close()
        await syncing
        await disk.sync_directory(str(tmp_path))
        with pytest.raises(OSError, match="Bad file descriptor"):
            await file.sync()
        with pytest.raises(FileNotFoundError):
            await disk.sync_directory(str(tmp_path / "none"))
        return disk.size(str(tmp_path / "a"))

    assert asyncio.run(work()) == 5


def test_the_directory_is_made_before_the_first_write_and_not_by_looking(tmp_path):
    home = tmp_path / "home"
    disk = FileSystem(home.mkdir)
    assert disk.size(str(home / "dump.rdb")) is None
    with pytest.raises(FileNotFoundError):
        disk.open(str(home / "dump.rdb"), "read")
    assert not home.exists()
    disk.open(str(home / "dump.rdb"), "create").close()
    assert disk.listdir(str(home)) == ["dump.rdb"]


def test_a_dead_programs_code_touches_nothing(disk, tmp_path):
    file = disk.open(str(tmp_path / "a"), "append")
    disk.detach()
    for call in (
        lambda: file.write(b"x"),
        lambda: disk.open(str(tmp_path / "b"), "create"),
        lambda: disk.unlink(str(tmp_path / "a")),
        lambda: disk.size(str(tmp_path / "a")),
    ):
        with pytest.raises(OSError, match="Bad file descriptor") as failure:
            call()
        assert failure.value.errno == errno.EBADF
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
