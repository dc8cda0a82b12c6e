"""What cannot be loaded: the same words, the same exit code, and the files as they were."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from redislab.server.persistence.manifest import ManifestError, parse
from redislab.wire.rdb import writer
from redislab.wire.rdb.strings import string
from redislab.wire.resp import request
from tests.persistence.programs import Kind, server
from tests.persistence.scenarios import log_lines

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]

RDB = ("--save", "900 1")
AOF = ("--save", "", "--appendonly", "yes")
STRICT = (*AOF, "--aof-load-truncated", "no")
DIRECTORY = "appendonlydir/appendonly.aof"
LIST = b"file appendonly.aof.1.incr.aof seq 1 type i\n"
SETS = b"".join(request((b"SET", b"key%d" % n, b"value")) for n in range(5))


def rdb(*keys: bytes) -> bytes:
    pieces = [writer.header(), writer.database_head(0, len(keys), 0)]
    pieces += [writer.key_head(0, key, None, None, None) + string(b"value") for key in keys]
    return b"".join(writer.in_chunks(pieces))


GOOD_RDB = rdb(b"one", b"two", b"three")


def increments(*contents: bytes) -> dict[str, bytes]:
    """An append-only file of some increments."""
    lines = (
        b"file appendonly.aof.%d.incr.aof seq %d type i\n" % (n, n)
        for n in range(1, len(contents) + 1)
    )
    files = {f"{DIRECTORY}.{n}.incr.aof": data for n, data in enumerate(contents, 1)}
    return {f"{DIRECTORY}.manifest": b"".join(lines)} | files


def with_base(base: bytes, increment: bytes = SETS, suffix: str = "rdb") -> dict[str, bytes]:
    line = f"file appendonly.aof.1.base.{suffix} seq 1 type b\n".encode()
    files = {f"{DIRECTORY}.manifest": line + LIST, f"{DIRECTORY}.1.incr.aof": increment}
    return files | {f"{DIRECTORY}.1.base.{suffix}": base}


REFUSED: dict[str, tuple[dict[str, bytes], tuple[str, ...]]] = {
    "no rdb at all": ({"dump.rdb": b"hello, world"}, RDB),
    "an empty rdb": ({"dump.rdb": b""}, RDB),
    "half a header": ({"dump.rdb": b"REDIS00"}, RDB),
    "a later version": ({"dump.rdb": b"REDIS0099" + GOOD_RDB[9:]}, RDB),
    "half an rdb": ({"dump.rdb": GOOD_RDB[:30]}, RDB),
    "a wrong checksum": ({"dump.rdb": GOOD_RDB[:-8] + b"foobar00"}, RDB),
    "an unknown type": ({"dump.rdb": GOOD_RDB.replace(b"\x00\x03two", b"\x77\x03two")}, RDB),
    "a database too many": ({"dump.rdb": GOOD_RDB.replace(b"\xfe\x00", b"\xfe\x20")}, RDB),
    "no commands": (increments(SETS + b"!!!" + SETS), AOF),
    "a word without length": (increments(SETS + b"*1\r\nPING\r\n"), AOF),
    "a length below zero": (increments(SETS + b"*0\r\n"), AOF),
    "an unknown command": (increments(request((b"BLA", b"x"))), AOF),
    "an unknown subcommand": (increments(request((b"CONFIG", b"bla", b"x"))), AOF),
    "half a command": (increments(SETS[:-3]), STRICT),
    "half a transaction": (increments(SETS + request((b"MULTI",)) + SETS), STRICT),
    "half a command in the middle": (increments(SETS[:-3], SETS), AOF),
    "half a transaction in the middle": (increments(SETS + request((b"MULTI",)), SETS), AOF),
    "half a base": (with_base(GOOD_RDB[:30]), AOF),
    "a base with a wrong checksum": (with_base(GOOD_RDB[:-8] + b"foobar00"), AOF),
    "a base of a later version": (with_base(b"REDIS0099" + GOOD_RDB[9:]), AOF),
    "half a base of commands": (with_base(SETS[:-3], suffix="aof"), AOF),
    "no increment": ({f"{DIRECTORY}.manifest": LIST}, AOF),
    "no base": (dict(list(with_base(b"").items())[:2]), AOF),
}
# Redis cuts these before it finds that others follow them, and says so; we do not.
TRUNCATED = {"half a command in the middle", "half a transaction in the middle"} | {
    "half a base of commands"
}
CUTS = re.compile("Truncating the AOF|loaded anyway")


def refusal(
    kind: Kind, folder: Path, files: dict[str, bytes], options: tuple[str, ...]
) -> tuple[int, list[str], dict[str, bytes]]:
    """Exit code, log and files of a server that is to refuse its files."""
    with server(kind, folder, *options) as one:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        code = one.refusal()
        left = {name: (folder / name).read_bytes() for name in files}
        return code, log_lines(one), left


@pytest.mark.parametrize("name", REFUSED)
def test_damaged_data_are_refused(name: str, tmp_path: Path) -> None:
    files, options = REFUSED[name]
    real = refusal("real", tmp_path / "real", files, options)
    ours = refusal("ours", tmp_path / "ours", files, options)
    if name in TRUNCATED:
        assert ours[1] == [line for line in real[1] if not CUTS.search(line)]
    elif "base" in name:
        # Redis looks for the file that its checker is to report on in another folder.
        assert ours[1][: len(real[1])] == real[1]
    else:
        assert ours[1] == real[1]
    assert ours[0] == real[0] == 1
    assert ours[2] == files
    assert (real[2] == files) == (name not in TRUNCATED)


def test_a_key_that_stands_in_the_file_twice(tmp_path: Path) -> None:
    files = {"dump.rdb": rdb(b"same", b"same")}
    code, log, left = refusal("ours", tmp_path, files, RDB)
    assert (code, left) == (1, files)
    assert log[-1] == "M # RDB has duplicated key 'same' in DB N"  # then Redis panics


MANIFESTS = {
    "empty": b"",
    "without end": LIST[:-1],
    "an empty line": LIST + b"\n",
    "a blank line": b"  \n" + LIST,
    "four words": b"file appendonly.aof.1.incr.aof seq 1\n",
    "seven words": LIST[:-1] + b" more\n",
    "no number": b"file appendonly.aof.1.incr.aof seq x type i\n",
    "a path": b"file ../appendonly.aof.1.incr.aof seq 1 type i\n",
    "an unknown type": b"file appendonly.aof.1.incr.aof seq 1 type x\n",
    "two bases": b"file a seq 1 type b\nfile b seq 2 type b\n",
    "falling numbers": b"file a seq 2 type i\nfile b seq 1 type i\n",
    "a long line": b"file " + b"x" * 1100 + b" seq 1 type i\n",
    "open quotes": b'file "a seq 1 type i\n',
    "garbage": bytes(range(256)),
    "a null": b"file a\0 seq 1 type i\n",
}
GOOD_MANIFESTS = {
    "a comment": b"# comment\n" + LIST,
    "upper case": LIST.replace(b"file", b"FILE").replace(b"seq", b"SEQ"),
    "quotes": b'file "appendonly.aof.1.incr.aof" seq 1 type i\n',
    "more words": LIST[:-1] + b" later version\n",
    "tabs and returns": LIST.replace(b" ", b"\t").replace(b"\n", b"\r\n"),
    "history": b"file gone seq 1 type h\n" + LIST,
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_damaged_manifests_are_refused(name: str, tmp_path: Path) -> None:
    files = increments(SETS) | {f"{DIRECTORY}.manifest": MANIFESTS[name]}
    real = refusal("real", tmp_path / "real", files, AOF)
    with pytest.raises(ManifestError) as bad:
        parse(MANIFESTS[name])
    assert any(str(bad.value) in line for line in real[1]), (str(bad.value), real[1])
    shown = bad.value.line
    assert (shown is not None) == any("at line" in line for line in real[1]), (shown, real[1])
    assert real[0] == 1


def test_a_damaged_manifest_ends_a_server(tmp_path: Path) -> None:
    files = increments(SETS) | {f"{DIRECTORY}.manifest": MANIFESTS["falling numbers"]}
    real = refusal("real", tmp_path / "real", files, AOF)
    assert refusal("ours", tmp_path / "ours", files, AOF) == real


@pytest.mark.parametrize("name", GOOD_MANIFESTS)
def test_good_manifests_are_read(name: str, tmp_path: Path) -> None:
    manifest = parse(GOOD_MANIFESTS[name])
    assert [file.name for file in manifest.increments] == ["appendonly.aof.1.incr.aof"]
    with server("real", tmp_path, *AOF) as one:
        for path, data in increments(SETS).items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_bytes(data)
        (tmp_path / f"{DIRECTORY}.manifest").write_bytes(GOOD_MANIFESTS[name])
        assert one.start().text("DBSIZE") == "5"


def test_names_with_blanks_are_written_in_quotes() -> None:
    manifest = parse(LIST).with_base('na"me of it', "rdb").with_increment("x\ty")
    assert manifest.text() == (
        'file "na\\"me of it.1.base.rdb" seq 1 type b\n'
        "file appendonly.aof.1.incr.aof seq 1 type i\n"
        'file "x\\ty.2.incr.aof" seq 2 type i\n'
    )
    assert parse(manifest.text().encode()) == manifest
