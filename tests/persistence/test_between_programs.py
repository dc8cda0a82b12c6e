"""What one server writes the other reads, and Redis's own checkers find nothing wrong with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.persistence.data import fill, looks
from tests.persistence.programs import KINDS, Kind, Server, program, server

pytestmark = [pytest.mark.redis, pytest.mark.timeout(120)]

RDB = ("--save", "900 1")
FORMS = {
    "rdb": RDB,
    "rdb plain": (*RDB, "--rdbcompression", "no", "--rdbchecksum", "no"),
    "increments": ("--save", "", "--appendonly", "yes"),
    "timestamps": ("--save", "", "--appendonly", "yes", "--aof-timestamp-enabled", "yes"),
    "rdb base": ("--save", "", "--appendonly", "yes"),
    "command base": ("--save", "", "--appendonly", "yes", "--aof-use-rdb-preamble", "no"),
}
REWRITTEN = {"rdb base", "command base"}


def write(kind: Kind, folder: Path, form: str) -> tuple[str, list[str]]:
    """Let a server write its files and end; its digest and looks."""
    with server(kind, folder, *FORMS[form]) as writer:
        writer.start()
        with writer.wire() as wire:
            fill(wire)
        if form in REWRITTEN:
            writer.call("BGREWRITEAOF")
            writer.wait_for("aof_rewrite_in_progress", "0")
            writer.call("SET", "after", "the rewrite")
        seen = look(writer)
        assert writer.stop() == 0
    return seen


def look(one: Server) -> tuple[str, list[str]]:
    with one.wire() as wire:
        return one.digest(), looks(wire)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reader", KINDS)
@pytest.mark.parametrize("writer", KINDS)
def test_all_data_come_back(writer: Kind, reader: Kind, form: str, tmp_path: Path) -> None:
    if writer == reader == "real":
        pytest.skip("that is Redis's own business")
    digest, seen = write(writer, tmp_path, form)
    with server(reader, tmp_path, *FORMS[form]) as again:
        again.start()
        found_digest, found = look(again)
        assert found == seen
        assert found_digest == digest
        # It goes on where the other one stopped: what it writes now is read by the first again.
        again.call("SET", "more", "data")
        digest = again.digest()
        assert again.stop() == 0
    with server(writer, tmp_path, *FORMS[form]) as once_more:
        once_more.start()
        assert once_more.digest() == digest


def test_the_checkers_find_nothing_wrong(tmp_path: Path) -> None:
    for form in FORMS:
        folder = tmp_path / form.replace(" ", "-")
        write("ours", folder, form)
        if form.startswith("rdb") and form not in REWRITTEN:
            said = check("redis-check-rdb", folder / "dump.rdb")
            assert "RDB looks OK" in said, said
        else:
            said = check("redis-check-aof", folder / "appendonlydir" / "appendonly.aof.manifest")
            assert "All AOF files and manifest are valid" in said, said


def check(name: str, path: Path) -> str:
    done = subprocess.run([program(name), str(path)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("reader", KINDS)
@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_the_single_file_of_older_versions_is_taken_over(
    preamble: str, reader: Kind, tmp_path: Path
) -> None:
    options = ("--save", "", "--appendonly", "yes", "--aof-use-rdb-preamble", preamble)
    digest, _ = write("ours", tmp_path, "rdb base" if preamble == "yes" else "command base")
    directory = tmp_path / "appendonlydir"
    parts = [*directory.glob("*.base.*"), *directory.glob("*.incr.*")]
    (tmp_path / "appendonly.aof").write_bytes(b"".join(part.read_bytes() for part in parts))
    for path in directory.iterdir():
        path.unlink()
    with server(reader, tmp_path, *options) as again:
        again.start()
        assert again.digest() == digest
        assert "Successfully migrated an old-style AOF file" in again.log()
        assert {path.name for path in directory.iterdir()} == {
            "appendonly.aof",
            "appendonly.aof.1.incr.aof",
            "appendonly.aof.manifest",
        }
        again.call("BGREWRITEAOF")
        again.wait_for("aof_rewrite_in_progress", "0")
        assert again.info("aof_last_bgrewrite_status") == "ok"


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_expired_is_left_behind(kind: Kind, tmp_path: Path) -> None:
    with server(kind, tmp_path, *RDB) as writer:
        writer.start()
        writer.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        writer.call("SET", "short", "lived", "PX", "1")
        writer.call("SET", "long", "lived", "PX", "1000000")
        assert writer.stop() == 0
    with server(kind, tmp_path, *RDB) as again:
        again.start()
        assert again.info("rdb_last_load_keys_expired") == "1"
        assert again.info("rdb_last_load_keys_loaded") == "1"
        assert again.text("DBSIZE") == "1"
