"""CONFIG GET, SET and RESETSTAT against real Redis; files are in `test_config_files.py`.

Exceptions, all of them on purpose: `bind` is the loopback interface by default; what depends on the
operating system (how many clients it allows, `oom_score_adj`) or on another port is left out.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from redislab.server.directive_kinds import Choice, Choices, Kind
from redislab.server.directives import ALL, DIRECTIVES
from tests.differential.configured import ELSEWHERE, OUR_PROGRAM, from_file, real_program, table
from tests.differential.harness import show
from tests.servers import Address, Wire, free_port, our_server, real_server

pytestmark = pytest.mark.redis

OPTIONS = ("--enable-protected-configs", "yes")

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
