"""Configuration against real Redis: files, command lines, CONFIG GET, SET and REWRITE.

Exceptions, all of them on purpose: `bind` is the loopback interface by default; what depends on the
operating system (how many clients it allows, `oom_score_adj`) or on another port is left out.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from redislab.server.config import Config, StartupExit
from redislab.server.directive_kinds import Choice, Choices, Kind, Text, to_bytes
from redislab.server.directives import ALL, DIRECTIVES
from redislab.wire.replies import Reply
from tests.differential.harness import show
from tests.servers import Address, Wire, free_port, our_server, real_server, started

pytestmark = pytest.mark.redis

OPTIONS = ("--enable-protected-configs", "yes")
# Their defaults or their values depend on where a server runs.
OUR_PROGRAM = [sys.executable, "-m", "redislab", "server"]
ELSEWHERE = {"port", "bind", "dir"}

NUMBERS = (
    "0|1|5|100|1kb|5mb|3GB|7k|1b|60%|0%|100%|101%|777|-1|-2|65535|65536|2147483647|2147483648|"
    "4294967295|9223372036854775807|9223372036854775808|18446744073709551615|18446744073709551616|"
    "-9223372036854775808|1.5|+1|01| 1|1 |0x10|1tb|-1kb|kb|%|99999999999gb"
)
VALUES = {
    "Bool": "yes|no|YES",
    "Number": NUMBERS,
    "Text": "abc|a b|a/b|a\\b|é|{title}|{port} x|{bogus}|{{x|{|a-b.c|a_b|" + "h" * 256,
    "Save": "1 2|1  2| |900 1 300 10|1|0 1|1 -1|x 1|+5 +6|1 2 ",
    "Buffers": "normal 1 2 3|replica 1mb 2mb 60|SLAVE 0 0 0 pubsub 5 5 5|master 0 0 0|normal 0 0|"
    "normal -1 0 0|normal 0 0 x|foo 1 2 3|normal 0 0 0 |normal 0 0 99999999999",
    "Scores": "0 1 2|1 2|1 2 x|-2001 0 0|3 2 1",
    "Events": "KEA|Kg$lshzxetd|q|KEAnm|Ex|gn|AKE",
    "Addresses": "127.0.0.1",
    "Percentiles": "50 99.9|100.0|0|101|-1|x|50  60|33.333333333|1e1|nan|inf",
    "Directory": ".|/nosuch|/etc/passwd",
}
WRONG = "abc||-1|1kb|yes|no|a b|99999999999999999999999|default"


def values_of(name: str, kind: Kind) -> list[str]:
    """Good and bad values for a directive."""
    if name == "requirepass":  # or the connection would lose its rights
        return []
    if name == "port":  # a good one would move the server
        return ["abc", "", "-1", "65536", "1kb"]
    if name == "bind":
        return ["", "127.0.0.1"]
    found = [*VALUES.get(type(kind).__name__, "").split("|"), *WRONG.split("|")]
    if name == "maxclients":  # more need files that the machine may not have
        found = [value for value in found if not value.isdigit() or int(value) <= 5000]
    if isinstance(kind, Choice | Choices):
        found += [*kind.names, *(n.upper() for n in kind.names), " ".join(kind.names[:3])]
        found += ["save now force", "nosave  now", "force save"]
    return found


@contextlib.contextmanager
def both() -> Iterator[tuple[Address, Address]]:
    with real_server(*OPTIONS) as real, our_server(*OPTIONS) as ours:
        yield real, ours


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Address, Address]]:
    with both() as pair:
        yield pair


@pytest.fixture
def fresh_servers() -> Iterator[tuple[Address, Address]]:
    """For a test that leaves them with odd settings."""
    with both() as pair:
        yield pair


def table(reply: Reply) -> dict[bytes, bytes]:
    texts = [item.text or b"" for item in reply.items or ()]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def test_names_and_defaults_are_those_of_redis(servers: tuple[Address, Address]) -> None:
    with Wire(servers[0]) as theirs, Wire(servers[1]) as mine:
        expected, got = (table(w.call(b"CONFIG", b"GET", b"*")) for w in (theirs, mine))
        assert len(expected) > 190
        for wire, shown in ((theirs, expected), (mine, got)):
            for directive in ALL:
                if directive.hidden:
                    name = directive.name.encode()
                    assert name not in shown
                    shown.update(table(wire.call(b"CONFIG", b"GET", name)))
    for shown in (expected, got):
        for name in ELSEWHERE:
            del shown[name.encode()]
    assert got == expected


@pytest.mark.parametrize("protocol", [2, 3])
def test_config_get_finds_what_redis_finds(protocol: int, servers: tuple[Address, Address]) -> None:
    calls = ["maxmemory*", "MAXMEMORY", "MaxMemory maxmemory", "*slave*", "hz *hz*", "nosuch"]
    calls += [
        "key-load-delay",
        "key-load-*",
        "slaveof replicaof",
        "t[il]*",
        "?z",
        "[^a-y]*",
        "h[z",
        "",
    ]
    calls += ["lua-time-limit busy-reply-threshold", "maxmemory maxmemory-policy max*"]
    with Wire(servers[0], protocol) as theirs, Wire(servers[1], protocol) as mine:
        for call in calls:
            patterns = [word.encode() for word in call.split(" ")]
            expected, got = (w.call(b"CONFIG", b"GET", *patterns) for w in (theirs, mine))
            assert got.kind == expected.kind
            without = {name.encode() for name in ELSEWHERE}
            wanted = {k: v for k, v in table(expected).items() if k not in without}
            assert {k: v for k, v in table(got).items() if k not in without} == wanted, call


def test_config_set_answers_every_value_as_redis_does(
    fresh_servers: tuple[Address, Address],
) -> None:
    compared = 0
    with Wire(fresh_servers[0]) as theirs, Wire(fresh_servers[1]) as mine:
        for name, directive in DIRECTIVES.items():
            requests = []
            for value in values_of(name, directive.kind):
                requests.append([b"CONFIG", b"SET", name.encode(), value.encode()])
                if name not in ELSEWHERE:
                    requests.append([b"CONFIG", b"GET", name.encode()])
            for request in requests:
                theirs.send(*request)
                mine.send(*request)
            for request in requests:
                expected, got = theirs.read(), mine.read()
                compared += 1
                assert got == expected, (request, show(expected), show(got))
    assert compared > 9000


def test_config_set_of_several_is_all_or_nothing(servers: tuple[Address, Address]) -> None:
    calls = """
    hz 20 maxmemory 5mb
    hz 30 maxmemory abc
    hz 40 nosuch 1
    nosuch 1 alsonot 2
    hz 50 hz 60
    HZ 50 hZ 60
    hz 50 hz abc
    replica-priority 5 slave-priority 6
    slave-priority abc
    Slave-Priority abc
    databases 3
    DataBases 3
    hz 70 databases 3 nosuch 1
    databases 3 hz abc
    hz 20 port
    hz
    save 1 hz 33
    tls-port 1 hz 44
    hz 45 tls-port 1
    hz 46 tls-cluster yes maxmemory 1
    hz 600
    hz 0
    timeout 5 maxmemory-policy allkeys-lru loglevel verbose
    timeout 6 maxmemory-policy bogus loglevel notice
    client-output-buffer-limit normal
    notify-keyspace-events KEA timeout 8 timeout 9
    """
    with Wire(servers[0]) as theirs, Wire(servers[1]) as mine:
        for line in calls.strip().split("\n"):
            words = [word.encode() for word in line.split()]
            expected, got = (w.call(b"CONFIG", b"SET", *words) for w in (theirs, mine))
            assert got == expected, (line, show(expected), show(got))
            state = [
                w.call(
                    b"CONFIG", b"GET", b"hz", b"max*", b"timeout", b"save", b"*priority", b"tls*"
                )
                for w in (theirs, mine)
            ]
            assert table(state[1]) == table(state[0]), line


@pytest.mark.parametrize(
    "request_",
    [
        "config",
        "config foo",
        "config get",
        "config set",
        "config set a",
        "config resetstat x",
        "config resetstat",
        "config rewrite",
        "config help x",
    ],
)
def test_wrong_calls(request_: str, servers: tuple[Address, Address]) -> None:
    words = request_.encode().split()
    with Wire(servers[0]) as theirs, Wire(servers[1]) as mine:
        assert mine.call(*words) == theirs.call(*words)


def test_config_resetstat_sets_the_same_figures_to_zero(servers: tuple[Address, Address]) -> None:
    calls = ["set a b", "get a", "get nosuch", "lpush a x", "nosuch", "set b c px 1", "publish a b"]
    calls += ["config resetstat"]
    zeros = []
    for address in servers:
        with Wire(address) as wire:
            for call in calls:
                wire.call(*call.encode().split())
            lines = (wire.call(b"INFO", b"everything").text or b"").decode().split("\r\n")
            zeros.append({line for line in lines if line.endswith(":0")})
            shown = [line for line in lines if line.startswith("cmdstat_")]
            assert [line.split(":")[0] for line in shown] == ["cmdstat_config|resetstat"]
    about = ("keyspace_hits:", "keyspace_misses:", "expired_keys:", "total_error_replies:")
    for name in about:
        assert f"{name}0" in zeros[0]
        assert f"{name}0" in zeros[1]


def test_renamed_commands_have_their_new_names_only(tmp_path: Path) -> None:
    path = tmp_path / "redis.conf"
    renamed = 'rename-command get Fetch\nrename-command set get\nrename-command flushall ""\n'
    path.write_text(renamed + "rename-command config settings\n")
    calls = ["SET a 1", "get a 1", "fetch a", "FETCH a b", "get a", "flushall", "config get hz"]
    calls += ["settings get hz", "Settings nosuch", "command info set", "command getkeys get x y"]
    replies = []
    for program in ([real_program()], OUR_PROGRAM):
        with from_file(program, path) as address, Wire(address) as wire:
            replies.append([show(wire.call(*call.encode().split())) for call in calls])
    assert replies[1] == replies[0]


def await_listener(port: int) -> None:
    """Wait until somebody listens; ours moves right after its reply."""
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        else:
            return


def test_config_set_port_moves_the_server(tmp_path: Path) -> None:
    path = tmp_path / "redis.conf"
    path.write_text("")
    for program in ([real_program()], OUR_PROGRAM):
        with from_file(program, path) as address, Wire(address) as wire:
            moved = free_port()
            assert wire.call(b"CONFIG", b"SET", b"port", b"%d" % moved).text == b"OK"
            assert wire.call(b"PING").text == b"PONG"
            await_listener(moved)
            with Wire(Address(moved, address.process)) as other:
                assert other.call(b"CONFIG", b"GET", b"port").items
            with pytest.raises(ConnectionRefusedError):
                Wire(address)


# -- files and command lines ---------------------------------------------------------------------


def real_program() -> str:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian package redis-server)")
    return program


@contextlib.contextmanager
def from_file(program: list[str], path: Path, *options: str) -> Iterator[Address]:
    """A server with a configuration file, and options after it."""
    port = free_port()
    with started([*program, str(path), "--port", str(port), *options], port) as address:
        yield address


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
