"""Damaged files: refused here where they are refused there, and in the same words."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from redislab.wire.rdb.faults import RdbError
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.reader import RdbReader
from redislab.wire.rdb.report import TERMINATING, checker_report, fault_lines
from redislab.wire.rdb.streams import GroupData, StreamData, write_node, write_stream
from redislab.wire.rdb.strings import length, string
from redislab.wire.rdb.writer import aux
from tests.differential.rdb_files import LIBRARY, checked
from tests.servers import free_port
from tests.wire.rdb.handmade import Recorder, blob, file_of, key_of
from tests.wire.rdb.test_reader import FAULTS, STREAM, STREAM_BODY

pytestmark = pytest.mark.redis

_STAMP = re.compile(r"^\d+:[A-Z] .*? [*#.-] ")


def read(data: bytes) -> tuple[RdbReader, RdbError | None]:
    """A reader that has read a file as far as possible, and what was wrong with it."""
    reader = RdbReader(Recorder(), databases=16)
    try:
        reader.feed(data)
        reader.finish()
    except RdbError as error:
        return reader, error
    return reader, None


def report(data: bytes) -> tuple[int, list[str]]:
    """Our report of a file, as `checked` gives that of redis-check-rdb."""
    reader, error = read(data)
    # All keys of the files here that expire have expired, but those of the year 2096.
    expired = reader.progress.expiring
    return int(error is not None), checker_report("checked.rdb", reader, error, expired)


SMALL = file_of(
    aux(b"redis-ver", b"7.0.15"),
    b"\xf5" + string(LIBRARY % (b"a", b"a")),
    b"\xfe\x00\xfb\x05\x01",
    key_of(Type.STRING, string(b"text"), b"s"),
    b"\xfc" + bytes(8) + key_of(Type.STRING, b"\xc3\x05\x14\x00a\xe0\x0a\x00", b"z"),
    key_of(Type.HASH, length(1) + string(b"f") + string(b"v" * 70), b"h"),
    key_of(Type.ZSET_2, length(1) + string(b"m") + bytes(8), b"zset"),
    key_of(Type.LIST_QUICKLIST_2, length(1) + b"\1" + blob(b"x"), b"l"),
    key_of(Type.STREAM_LISTPACKS_2, STREAM_BODY, b"stream"),
)


def test_reports_of_a_file_cut_anywhere(tmp_path):
    different = []
    for cut in range(len(SMALL)):
        expected, ours = checked(tmp_path, SMALL[:cut]), report(SMALL[:cut])
        if expected != ours:
            different.append((cut, expected, ours))
    assert different == []


def test_report_of_a_whole_file(tmp_path):
    assert report(SMALL) == checked(tmp_path, SMALL)
    assert report(SMALL)[0] == 0
    unsealed = SMALL[:-8] + bytes(8)
    assert report(unsealed) == checked(tmp_path, unsealed)


def stream_with(**changes: object) -> bytes:
    """A stream with something wrong."""
    data = StreamData(**{name: getattr(STREAM, name) for name in STREAM.__slots__} | changes)
    return b"".join(write_stream(data, STREAM.nodes, len(STREAM.nodes)))


def node_of(key: bytes, packed: bytes, count: int = 1) -> bytes:
    return length(count) + count * (blob(key) + blob(packed))


NODE = write_node(STREAM.nodes[0])
ID = STREAM.nodes[0].master
RAW_ID = b"".join(part.to_bytes(8, "big") for part in ID)
PENDING = {ID: (0, 1)}
GROUP = GroupData(b"g", ID, 1, PENDING, [])
TAIL = length(3) + 7 * length(1)
STREAM_FAULTS = {
    "size of an id": node_of(RAW_ID[:15], NODE),
    "listpack": node_of(RAW_ID, NODE[:-1] + b"\0"),
    "no listpack": node_of(RAW_ID, b""),
    "empty listpack": node_of(RAW_ID, b"\x07\0\0\0\0\0\xff"),
    "node twice": node_of(RAW_ID, NODE, 2),
    "no nodes": length(0) + TAIL,
    "group twice": stream_with(groups=[GroupData(b"g", ID, 1)] * 2),
    "pending without consumer": stream_with(groups=[GROUP]),
    "unknown pending": (
        stream_with(groups=[GroupData(b"g", ID, 1)])[:-1]
        + length(1) + string(b"c") + bytes(8) + length(1) + RAW_ID
    ),
    "consumer twice": (
        stream_with(groups=[GroupData(b"g", ID, 1)])[:-1]
        + length(2) + 2 * (string(b"c") + bytes(8) + length(0))
    ),
    "pending twice": (
        stream_with(groups=[GroupData(b"g", ID, 1)])[:-2]
        + length(2) + 2 * (RAW_ID + bytes(8) + length(1))
    ),
    "pending of two": (
        stream_with(groups=[GROUP])[:-1]
        + length(2) + string(b"c") + bytes(8) + length(1) + RAW_ID
        + string(b"d") + bytes(8) + length(1) + RAW_ID
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAM_FAULTS)
def test_reports_of_damaged_streams(name, tmp_path):
    data = file_of(key_of(Type.STREAM_LISTPACKS_2, STREAM_FAULTS[name]))
    assert report(data) == checked(tmp_path, data)
    assert report(data)[0] == 1


# The checker loads no functions, looks into the data of modules, and takes any database.
_SERVER_ONLY = {"library", "module", "module's data", "database"}
# What a server finds only with `sanitize-dump-payload yes`, and its checker always.
_SANITIZED_ONLY = {"twice in a hash", "intset"}


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - _SERVER_ONLY))
def test_reports_of_faults(name, tmp_path):
    data = FAULTS[name][0]
    assert report(data) == checked(tmp_path, data)


def logged_by_real(folder: Path, data: bytes) -> list[str]:
    """What a server logs that is to load a file, until it exits."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian package redis-server)")
    (folder / "bad.rdb").write_bytes(data)
    argv = [program, "--port", str(free_port()), "--dbfilename", "bad.rdb", "--save", ""]
    done = subprocess.run(
        [*argv, "--dir", str(folder)], capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 1 or b"RDB looks OK!" in done.stdout
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    begin = next(at for at, line in enumerate(lines) if "Server initialized" in line) + 1
    logged = [_STAMP.sub("", line) for line in lines[begin:] if _STAMP.match(line)]
    return [line.rstrip() for line in logged if "overcommit" not in line]


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - _SANITIZED_ONLY))
def test_what_a_server_logs(name, tmp_path):
    data = FAULTS[name][0]
    logged = logged_by_real(tmp_path, data)
    _, error = read(data)
    assert error is not None
    expected = fault_lines(error)
    assert logged[: len(expected)] == expected
    allowed = {TERMINATING, "Fatal error loading the DB: Invalid argument. Exiting.", ""}
    assert set(logged[len(expected) :]) <= allowed


def test_flipped_bits_are_refused_by_both(tmp_path):
    """What one refuses, the other does; mostly in the same words.

    Not always: we find ids of a stream out of order, and Redis does not look.
    """
    random = Random(17)
    same = 0
    for _ in range(150):
        damaged = bytearray(SMALL)
        place = random.randrange(9, len(damaged) - 8)
        damaged[place] ^= 1 << random.randrange(8)
        expected, ours = checked(tmp_path, bytes(damaged)), report(bytes(damaged))
        assert expected[0] == ours[0] == 1, place
        same += expected == ours
    assert same > 100
