"""The ACL file: on our server, and on the real one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.servers import Address, Wire, free_port, our_server, real_server

Start = Callable[..., AbstractContextManager[Address]]
USERS = """
user alice on >secret ~cached:* &* +@all -flushall

  user bob off nopass %R~* +get (+set ~own:*)
user default on nopass ~* &* +@all
"""
MISTAKES = (
    "alice on\n",
    "user\n",
    "user a b c\n",
    "user a on\nuser a off\n",
    "user a +nosuch +@none ~* ~x &\n",
    "user a ~* ~x\nuser b (+get\nuser c >\n",
    "user a on +get|x +config|none #abc\n",
)


@pytest.fixture(params=["ours", pytest.param("real", marks=pytest.mark.redis)])
def start(request: pytest.FixtureRequest) -> Start:
    return our_server if request.param == "ours" else real_server


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "users.acl"
    path.write_text(USERS)
    return path


def texts(wire: Wire, *words: bytes) -> list[bytes | None]:
    return [item.text for item in wire.call(*words).items or ()]


def test_users_are_read_and_written(start: Start, file: Path) -> None:
    with start("--aclfile", str(file)) as server, Wire(server) as wire:
        assert texts(wire, b"ACL", b"USERS") == [b"alice", b"bob", b"default"]
        assert wire.call(b"ACL", b"SETUSER", b"carol", b"on", b">word", b"+ping").text == b"OK"
        assert wire.call(b"ACL", b"SAVE").text == b"OK"
        saved = file.read_text()
        assert saved.splitlines()[-2].startswith("user carol on #")
        assert [path.name for path in file.parent.iterdir()] == ["users.acl"]
        lines = texts(wire, b"ACL", b"LIST")
        assert wire.call(b"ACL", b"DELUSER", b"alice").text == b"1"
        with Wire(server) as carol:
            assert carol.call(b"AUTH", b"carol", b"word").text == b"OK"
            assert wire.call(b"ACL", b"LOAD").text == b"OK"
            with pytest.raises(ConnectionError):
                carol.call(b"PING")
        assert texts(wire, b"ACL", b"LIST") == lines
        with Wire(server) as alice:
            assert alice.call(b"AUTH", b"alice", b"secret").text == b"OK"
            assert alice.call(b"ACL", b"LOAD").text == b"OK"
            with pytest.raises(ConnectionError):
                alice.call(b"PING")


def test_a_file_with_mistakes_changes_nothing(start: Start, file: Path) -> None:
    with start("--aclfile", str(file)) as server, Wire(server) as wire:
        before = texts(wire, b"ACL", b"LIST")
        for content in MISTAKES:
            file.write_text(content)
            assert wire.call(b"ACL", b"LOAD").is_error
            assert texts(wire, b"ACL", b"LIST") == before


@pytest.mark.redis
@pytest.mark.parametrize("content", MISTAKES)
def test_mistakes_are_told_in_the_words_of_redis(file: Path, content: str) -> None:
    told = []
    for start in (real_server, our_server):
        file.write_text(USERS)
        with start("--aclfile", str(file)) as server, Wire(server) as wire:
            wire.call(b"PING")  # its port opens before it has read the file
            file.write_text(content)
            told.append(wire.call(b"ACL", b"LOAD").text)
            file.unlink()
            told.append(wire.call(b"ACL", b"LOAD").text)
    assert told[:2] == told[2:]


@pytest.mark.redis
def test_a_file_that_cannot_be_read_ends_the_start(file: Path) -> None:
    def ending(program: list[str], *options: str) -> tuple[int, str]:
        argv = [*program, "--port", str(free_port()), "--aclfile", str(file), *options]
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False, text=True)
        (line,) = [each for each in done.stdout.splitlines() if "ACL" in each]
        return done.returncode, line.split(" # ")[1]

    ours = [sys.executable, "-m", "redislab", "server"]
    for content in (None, "user a on\nuser a on\n", USERS):
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
        options = ("--user", "x on") if content == USERS else ()
        assert ending(ours, *options) == ending(["redis-server"], *options)
