"""redis.conf and the command line against real Redis: what is refused, what is meant, what is
written back.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from redislab.server.config import Config, StartupExit
from redislab.server.directive_kinds import Text, to_bytes
from redislab.server.directives import ALL
from tests.differential.configured import ELSEWHERE, OUR_PROGRAM, from_file, real_program, table
from tests.servers import Address, Wire, free_port

pytestmark = pytest.mark.redis


def real_start(folder: Path, argv: list[str]) -> tuple[int, str, str]:
    """Run redis-server where it cannot listen; its exit code, standard error and log."""
    done = subprocess.run(
        [real_program(), *argv], cwd=folder, capture_output=True, timeout=20, check=False
    )
    return (
        done.returncode,
        done.stderr.decode("utf-8", "surrogateescape"),
        done.stdout.decode("utf-8", "surrogateescape"),
    )


def our_start(folder: Path, argv: list[str]) -> StartupExit | None:
    """What our reading of a configuration ends with, None if it is good."""
    try:
        Config.from_args(argv, directory=str(folder))
    except StartupExit as end:
        return end
    return None


def compare_start(folder: Path, files: dict[str, str], argv: list[str]) -> None:
    """Both read a configuration that is wrong, or right and says not to listen."""
    theirs, mine = folder / "theirs", folder / "mine"
    for place in (theirs, mine):
        place.mkdir(exist_ok=True)
        for name, content in files.items():
            (place / name).write_bytes(to_bytes(content))
    code, stderr, log = real_start(theirs, argv)
    end = our_start(mine, argv)
    if end is None:
        assert not stderr
        assert "Configured to not listen anywhere, exiting." in log
        return
    assert end.stderr.replace(str(mine), str(theirs)) == stderr
    assert end.code == code
    for line in end.log.splitlines():
        assert line.replace(str(mine), str(theirs)) in log


LINES = [
    "prot 6379",
    "# a comment\n\nprot 6379",
    'port "1',
    "port '1'2",
    "timeout 'a\\'b'",
    'timeout "\\x61\\n"',
    "  \ttimeout   abc  \r",
    "TIMEOUT abc",
    "timeout \udcff\udcfe",
    "timeout 1 2",
    "timeout",
    "include nosuch.conf",
    "include a b",
    "include",
    "rename-command nosuch x",
    "rename-command get set",
    "rename-command get",
    'rename-command get ""\nrename-command get x',
    "rename-command get gg\nrename-command gg get\nrename-command set get",
    "user",
    "user x bogus",
    "user x on bogus",
    "user x on >p nosuch ~*",
    "user x (bogus)",
    "user x #123",
    "user x +nosuch\nprot",
    "user x on\nuser x off",
    "user x on >p ~* ( +get ~x ) +@all\nprot",
    "user default on nopass ~* &* +@all\nprot",
    "sentinel monitor m 1 2 3",
    "sentinel\nprot",
    "loadmodule",
    "a.b",
    "list-max-ziplist-entries 5\nprot",
    "list-max-ziplist-entries 5 6",
    "lua-replicate-commands no\nprot",
    "logfile /nosuch/x.log",
    "cluster-enabled yes\nreplicaof 127.0.0.1 5",
    "replicaof a b c",
    "replicaof a x",
    "replicaof a 99999",
    'replicaof "a 70000"',
    "dir /nosuch",
    "dir /etc/passwd",
    "dir",
    "dir a b",
    'dir ""',
    "port 65536",
    "port -1",
    "bind " + " ".join(f"127.0.0.{n}" for n in range(1, 18)),
    "save 1",
    "save 1 2 3",
    "save 0 1",
    "save 1 -1",
    'save "1 2 3"',
    "client-output-buffer-limit normal 0 0",
    'client-output-buffer-limit "normal 0 0"',
    "client-output-buffer-limit nosuch 0 0 0",
    "client-output-buffer-limit normal x 0 0",
    "oom-score-adj-values 1 2",
    "oom-score-adj-values 1 2 3000",
    "notify-keyspace-events q",
    "notify-keyspace-events K E",
    "latency-tracking-info-percentiles 50 101",
    "latency-tracking-info-percentiles x",
    "dbfilename a/b",
    'appendfilename ""',
    "appenddirname a/b",
    "cluster-announce-hostname a_b",
    "cluster-announce-hostname " + "a" * 256,
    "proc-title-template {x}",
    'proc-title-template ""',
    'proc-title-template "{server-mode}x{"',
    "shutdown-on-sigint save nosave",
    "shutdown-on-sigterm nosuch",
    "shutdown-on-sigterm",
    "activedefrag yes",
    "unixsocketperm 1000",
    "unixsocketperm 999",
    "maxmemory-clients 101%",
    "maxmemory 1tb",
    "proto-max-bulk-len 99999999999gb",
    "maxclients 0",
]
COMMAND_LINES = [
    ["nosuch.conf"],
    ["--port", "x"],
    ["--port"],
    ["--port 5 6"],
    ["--port", "0", "--nosuch"],
    ["--save", "1"],
    ["--save", "--nosuch", "x"],
    ["--save", "", "--nosuch", "1"],
    ["--save", "--port x"],
    ["--save"],
    ["--nosuch", "--port", "x"],
    ["--port", "0", "x"],
    ["--port", "0", "--save", "1", "2", "3"],
    ["--port", "0", "--save", "1 2", "3 4"],
    ["--port", "0", "--"],
    ["-x"],
    ["--PORT", "x"],
    ["--timeout", "a\nb"],
    ["--timeout", "é"],
    ['--timeout "a'],
    ["--port", "0", "--", "x"],
    ["--loglevel", "verbose", "--port", "0", "--requirepass", "--x", "--timeout", "--y"],
]


@pytest.mark.parametrize("lines", LINES)
def test_a_bad_line_is_reported_as_by_redis(lines: str, tmp_path: Path) -> None:
    compare_start(tmp_path, {"redis.conf": f"port 0\n{lines}\n"}, ["redis.conf"])


@pytest.mark.parametrize("rule", ["+nosuch", "-get|nosuch|x", "+@nosuch"])
def test_a_user_with_an_unknown_command_ends_the_start(rule: str, tmp_path: Path) -> None:
    content = f"port {free_port()}\nuser x on {rule}\n"
    compare_start(tmp_path, {"redis.conf": content}, ["redis.conf"])


@pytest.mark.parametrize("argv", COMMAND_LINES, ids=" ".join)
def test_a_command_line_is_read_as_by_redis(argv: list[str], tmp_path: Path) -> None:
    if argv == ["--save"]:
        argv = ["--port", "0", "--save"]
    compare_start(tmp_path, {}, argv)


@pytest.mark.parametrize("value", ["abc", "-1", "99999999999999999999"])
def test_values_in_files_are_refused_as_by_redis(value: str, tmp_path: Path) -> None:
    for directive in ALL:
        plain = isinstance(directive.kind, Text) and not directive.kind.check
        if not plain and directive.name not in {"port", "bind", "dir"}:
            content = f"port 0\n{directive.name} {value}\n"
            compare_start(tmp_path, {"redis.conf": content}, ["redis.conf"])


def test_included_files_are_read_in_place(tmp_path: Path) -> None:
    files = {
        "redis.conf": "port 0\ninclude more*.conf\ninclude nosuch*.conf\ntimeout x\n",
        "more1.conf": "hz 20\n",
        "more2.conf": "\ninclude deep.conf\n",
        "deep.conf": "\n\nprot 1\n",
    }
    compare_start(tmp_path, files, ["redis.conf"])
    compare_start(tmp_path, {**files, "deep.conf": "hz 30"}, ["redis.conf"])


GOOD_FILE = r"""
# A configuration that uses every way to write a value.
TIMEOUT 7
maxmemory 100mb
maxmemory-policy ALLKEYS-LFU
requirepass "with \x41 and \"quotes\"\t"
masteruser 'single \'quoted\' \x41'
save 900 1
save 300 10 60 10000
client-output-buffer-limit normal 1mb 512k 10 pubsub 5 5 5
client-output-buffer-limit replica 2gb 1gb 0
notify-keyspace-events "KEgx$"
slave-priority 42
hash-max-ziplist-entries 99
lua-time-limit 1234
unixsocketperm 755
maxmemory-clients 5%
shutdown-on-sigterm now save
latency-tracking-info-percentiles 50 99.99 100
oom-score-adj-values 1 2 3
oom-score-adj relative
hz 1000
include extra*.conf
include last.conf
timeout 9
"""


def test_a_good_file_means_what_it_means_to_redis(tmp_path: Path) -> None:
    content = GOOD_FILE.replace("include ", f"include {tmp_path}/")
    (tmp_path / "redis.conf").write_text(content)
    (tmp_path / "extra1.conf").write_text("tcp-keepalive 11\nstream-node-max-bytes 5k")
    (tmp_path / "extra2.conf").write_text("\nset-max-intset-entries 12\n")
    (tmp_path / "last.conf").write_text("lfu-log-factor 13\nmaxclients 123\n")
    argv = ["--dir", str(tmp_path), "--save", "1 2", "--loglevel", "verbose"]
    file = str(tmp_path / "redis.conf")
    mine = Config.from_args([file, *argv], directory=str(tmp_path))
    with from_file([real_program()], Path(file), *argv) as address, Wire(address) as wire:
        wire.call(b"AUTH", b'with A and "quotes"\t')
        expected = table(wire.call(b"CONFIG", b"GET", b"*"))
    got = mine.matching([b"*"])
    different = {
        name: (expected[name], got[name])
        for name in expected
        if got[name] != expected[name] and name.decode() not in ELSEWHERE
    }
    assert not different


REWRITTEN = """# My server
port 0

# memory
maxmemory 100mb
maxmemory-policy noeviction


# twice
timeout 5
timeout 6
save 900 1
save 300 10
slave-priority 100
nosuchdirective 5
client-output-buffer-limit normal 0 0 0
# the end
"""


def rewrite(address: Address, path: Path) -> tuple[list[str], list[str]]:
    """Change settings, rewrite twice, and give the lines before and after the signature."""
    with Wire(address) as wire:
        for change in (
            "maxmemory 3gb maxmemory-policy allkeys-lru",
            "timeout 77",
            "hz 50",
            "slowlog-max-len 5",
            "replica-priority 7",
            "maxmemory-clients 5%",
        ):
            assert wire.call(b"CONFIG", b"SET", *change.encode().split()).text == b"OK"
        wire.call(b"CONFIG", b"SET", b"save", b"5 6")
        wire.call(b"CONFIG", b"SET", b"masterauth", b'pass "word"')
        wire.call(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA")
        limits = b"pubsub 64mb 1mb 0"
        wire.call(b"CONFIG", b"SET", b"client-output-buffer-limit", limits)
        assert wire.call(b"CONFIG", b"REWRITE").text == b"OK"
        assert wire.call(b"CONFIG", b"REWRITE").text == b"OK"
    before, _, after = path.read_text().partition("# Generated by CONFIG REWRITE\n")
    return before.split("\n"), sorted(after.split("\n"))


def test_config_rewrite_leaves_the_file_that_redis_leaves(tmp_path: Path) -> None:
    found = []
    for number, program in enumerate(([real_program()], OUR_PROGRAM)):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "redis.conf"
        path.write_text(REWRITTEN.replace("nosuchdirective 5\n", ""))
        with from_file(program, path) as address:
            path.write_text(REWRITTEN)
            before, after = rewrite(address, path)
        kept = [line for line in after if not line.startswith("dir ")]
        found.append(([line for line in before if not line.startswith("port ")], kept))
    assert found[1] == found[0]


def test_config_rewrite_needs_a_file_that_can_be_written(tmp_path: Path) -> None:
    replies = []
    for number, program in enumerate(([real_program()], OUR_PROGRAM)):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "redis.conf"
        path.write_text("hz 20\n")
        with from_file(program, path) as address, Wire(address) as wire:
            path.unlink()
            replies.append(wire.call(b"CONFIG", b"REWRITE"))
            assert "hz 20" in path.read_text()
            path.unlink()
            path.mkdir()
            replies.append(wire.call(b"CONFIG", b"REWRITE"))
    assert replies[2:] == replies[:2]
