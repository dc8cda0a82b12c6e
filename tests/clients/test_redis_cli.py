"""redis-cli, unchanged: in a terminal and in pipes, with our server as with the real one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.terminal import CONTROL_C, CONTROL_D, PATIENCE_S, Terminal, program
from tests.servers import HOST, Address, Wire, our_server, real_server

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Address, Address]]:
    with real_server() as real, our_server() as ours:
        yield real, ours


@pytest.fixture(autouse=True)
def emptied(servers: tuple[Address, Address]) -> None:
    for server in servers:
        with Wire(server) as wire:
            wire.call(b"FLUSHALL")


def compare_shown(
    servers: tuple[Address, Address], talk: Callable[[Terminal], None], *options: str
) -> bytes:
    """What a talk in a terminal shows, which must be the same with both servers."""
    seen = []
    for server in servers:
        with Terminal(server, *options) as terminal:
            talk(terminal)
            seen.append(terminal.shown)
    real, ours = seen
    assert ours == real
    return ours


def run(server: Address, *options: str, given: bytes = b"") -> str:
    done = subprocess.run(
        [program(), "-p", str(server.port), *options],
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
    )
    printed = (done.stdout + done.stderr).decode(errors="backslashreplace")
    return f"{done.returncode}\n{printed}"


def compare_printed(
    servers: tuple[Address, Address],
    *options: str,
    given: bytes = b"",
    same: Callable[[str], object] = str,
) -> str:
    """What redis-cli prints in a pipe, which must be the same with both servers.

    Args:
        servers: the two servers.
        options: its command line.
        given: what it reads.
        same: makes of the text what is to be the same.
    """
    real, ours = (run(server, *options, given=given) for server in servers)
    assert same(ours) == same(real)
    return ours


def lines(*typed: bytes) -> Callable[[Terminal], None]:
    def talk(terminal: Terminal) -> None:
        terminal.wait_for(rb"> $")
        for line in typed:
            terminal.enter(line)
        terminal.press(CONTROL_D)
        terminal.wait_for_end()

    return talk


# -- in a terminal --------------------------------------------------------------------------------


def test_replies_and_hints(servers: tuple[Address, Address]) -> None:
    shown = compare_shown(
        servers,
        lines(
            b"set greeting hello ex 100",
            b"get greeting",
            b"get none",
            b"lpush greeting x",
            b"rpush l a b c",
            b"lrange l 0 -1",
            b"hset h f1 v1 f2 v2",
            b"hgetall h",
            b"zadd z 1.5 m",
            b"zrange z 0 -1 withscores",
            b"xadd s 1-1 k v",
            b"xrange s - +",
            b"eval 'return {1,{2,{3}},\"x\"}' 0",
            b'set k "a\\nb\\x00\\xff"',
            b"get k",
            b"client kill type normal",
            b"config get maxclients",
            b"nosuch a b",
            b"get",
            b"3 incr n",
        ),
    )
    assert b"key value [NX|XX] [GET]" in shown  # a hint, drawn while the line is typed
    assert b"WRONGTYPE Operation against a key" in shown
    assert b"ERR wrong number of arguments for 'get' command" in shown


def test_hints_of_subcommands(servers: tuple[Address, Address]) -> None:
    names = (b"client no-evict ", b"config set ", b"xgroup create ", b"acl dryrun ", b"memory ")

    def talk(terminal: Terminal) -> None:
        terminal.wait_for(rb"> $")
        for name in names:
            terminal.press(name)
            terminal.wait_for(re.escape(name) + rb"\x1b\[0;90;49m")
            terminal.press(b"\x15")  # takes the line away
            terminal.wait_for(rb"> \r\x1b\[\d+C")

    compare_shown(servers, talk)


def test_the_prompt_tells_of_the_database_and_of_a_transaction(
    servers: tuple[Address, Address],
) -> None:
    shown = compare_shown(
        servers,
        lines(
            b"select 3",
            b"multi",
            b"set a 1",
            b"incr a",
            b"lpush a x",
            b"exec",
            b"multi",
            b"nosuch",
            b"exec",
            b"multi",
            b"discard",
            b"watch a",
            b"select 99",
            b"select 0",
            b"get a",
        ),
    )
    assert b":<port>[3](TX)> " in shown
    assert b"EXECABORT" in shown


def test_the_prompt_of_a_reset_connection(servers: tuple[Address, Address]) -> None:
    compare_shown(servers, lines(b"client reply on", b"select 5", b"multi", b"reset", b"get none"))


def test_replies_of_the_third_protocol(servers: tuple[Address, Address]) -> None:
    shown = compare_shown(
        servers,
        lines(
            b"hset h f1 v1",
            b"hgetall h",
            b"sadd s a",
            b"smembers s",
            b"zadd z 1.5 m",
            b"zscore z m",
            b"get none",
            b"debug protocol true",
            b"debug protocol verbatim",
            b"config get maxclients",
        ),
        "-3",
    )
    assert b'1# "f1" => "v1"' in shown


@pytest.mark.parametrize("protocol", ["-2", "-3"])
def test_subscriptions(servers: tuple[Address, Address], protocol: str) -> None:
    seen = []
    for server in servers:
        with Terminal(server, protocol) as terminal, Wire(server) as other:
            terminal.wait_for(rb"> $")
            terminal.press(b"subscribe news sports\r")
            terminal.wait_for(rb"Reading messages")
            terminal.wait_for(rb"integer\) 2")
            other.call(b"PUBLISH", b"news", b"hello")
            terminal.wait_for(rb'"hello"')
            terminal.press(CONTROL_C)
            terminal.wait_for(rb"> $")
            terminal.enter(b"pubsub channels")
            seen.append(terminal.shown)
    real, ours = seen
    assert ours == real


def test_monitor(servers: tuple[Address, Address]) -> None:
    seen = []
    for server in servers:
        with Terminal(server) as terminal, Wire(server) as other:
            terminal.wait_for(rb"> $")
            terminal.press(b"monitor\r")
            terminal.wait_for(rb"OK\r\n")
            other.call(b"SET", b"a", b"b\n\xff")
            other.call(b"EVAL", b"return redis.call('get', 'a')", b"0")
            other.call(b"AUTH", b"user", b"secret")
            other.call(b"ECHO", b"last")
            terminal.wait_for(rb'"last"')
            terminal.press(CONTROL_C)
            terminal.wait_for(rb"> $")
            terminal.enter(b"ping")
            seen.append(re.sub(rb"\d+\.\d{6}|127\.0\.0\.1:\d{4,}\]", b"<>", terminal.shown))
    real, ours = seen
    assert ours == real
    assert b'[0 lua] "get" "a"' in ours


def test_a_password(servers: tuple[Address, Address]) -> None:
    with real_server("--requirepass", "secret") as real, our_server("--requirepass", "secret") as o:
        typed = (b"ping", b"auth wrong", b"ping", b"auth secret", b"ping", b"acl whoami")
        shown = compare_shown((real, o), lines(*typed))
        assert b"NOAUTH" in shown
        assert b"WRONGPASS" in shown
        compare_printed((real, o), "-a", "secret", "ping")
        compare_printed((real, o), "-a", "wrong", "ping")
        compare_printed(
            (real, o), "--user", "default", "--pass", "secret", "--no-auth-warning", "ping"
        )


def test_a_server_that_goes_away(servers: tuple[Address, Address]) -> None:
    def talk(terminal: Terminal) -> None:
        terminal.wait_for(rb"> $")
        terminal.enter(b"ping")
        terminal.press(b"shutdown nosave\r")
        terminal.wait_for(rb"not connected> $")
        terminal.enter(b"ping")

    with real_server() as real, our_server() as ours:
        shown = compare_shown((real, ours), talk)
    assert b"Could not connect to Redis at 127.0.0.1:<port>: Connection refused" in shown


# -- in a pipe ------------------------------------------------------------------------------------


def fill(servers: tuple[Address, Address]) -> None:
    for server in servers:
        with Wire(server) as wire:
            wire.call(b"SET", b"str", b"x" * 100)
            wire.call(b"RPUSH", b"list", b"a", b"b", b"c")
            wire.call(b"HSET", b"hash", b"f", b"v", b"g", b"w")
            wire.call(b"SADD", b"set", b"1", b"2", b"3", b"4")
            wire.call(b"ZADD", b"zset", b"1", b"m")
            wire.call(b"XADD", b"stream", b"1-1", b"k", b"v")


def sorted_lines(text: str) -> list[str]:
    return sorted(text.splitlines())


def without_progress(text: str) -> list[str]:
    """The report of --bigkeys, not the order in which keys were found."""
    return sorted(line for line in text.splitlines() if not line.startswith("["))


@pytest.mark.parametrize("options", [(), ("--pattern", "s*"), ("--quoted-pattern", '"s*"')])
def test_scan(servers: tuple[Address, Address], options: tuple[str, ...]) -> None:
    fill(servers)
    printed = compare_printed(servers, "--scan", *options, same=sorted_lines)
    assert "stream" in printed


def test_biggest_keys(servers: tuple[Address, Address]) -> None:
    fill(servers)
    printed = compare_printed(servers, "--bigkeys", same=without_progress)
    assert "Biggest string found '\"str\"' has 100 bytes" in printed


def test_biggest_keys_by_memory(servers: tuple[Address, Address]) -> None:
    fill(servers)
    compare_printed(servers, "del", "stream")  # whose size is an estimate
    printed = compare_printed(servers, "--memkeys", same=without_progress)
    assert "Sampled 5 keys in the keyspace!" in printed


def test_hot_keys(servers: tuple[Address, Address]) -> None:
    compare_printed(servers, "--hotkeys")  # refused, for no LFU policy is set
    for server in servers:
        with Wire(server) as wire:
            wire.call(b"CONFIG", b"SET", b"maxmemory-policy", b"allkeys-lfu")
            wire.call(b"CONFIG", b"SET", b"lfu-log-factor", b"0")
            wire.call(b"SET", b"hot", b"value")
            for _ in range(20):
                wire.call(b"GET", b"hot")
    try:
        printed = compare_printed(servers, "--hotkeys")
    finally:
        for server in servers:
            with Wire(server) as wire:
                wire.call(b"CONFIG", b"SET", b"maxmemory-policy", b"noeviction")
    assert "hot key found with counter: 25\tkeyname: " in printed


def test_a_flood_of_commands(servers: tuple[Address, Address]) -> None:
    commands = b"".join(
        b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$1\r\nx\r\n" % (len(key), key)
        for key in (b"key:%d" % number for number in range(5000))
    )
    printed = compare_printed(servers, "--pipe", given=commands)
    assert "errors: 0, replies: 5000" in printed
    wrong = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$3\r\nGET\r\n" * 3
    assert "errors: 3, replies: 6" in compare_printed(servers, "--pipe", given=wrong)
    compare_printed(servers, "--pipe", given=b"SET a 1\r\nGET a\r\n")
    assert "5001" in compare_printed(servers, "dbsize")


def test_what_is_read_from_a_pipe(servers: tuple[Address, Address]) -> None:
    compare_printed(servers, "-x", "set", "k", given=b"from a pipe\n\xff")
    compare_printed(servers, "--no-raw", "get", "k")
    compare_printed(servers, "get", "k", same=repr)
    compare_printed(servers, "-X", "tag", "set", "tagged", "tag", given=b"value")
    compare_printed(servers, "get", "tagged")
    compare_printed(servers, given=b"set a 1\nget a\nnosuch\nincr a\n\nmulti\nincr a\nexec\n")
    compare_printed(servers, "-e", given=b"nosuch\nping\n")
    compare_printed(servers, "-e", "lpush", "a", "x")
    compare_printed(servers, "-n", "3", "set", "there", "1")
    compare_printed(servers, "-n", "3", "dbsize")


@pytest.mark.parametrize("form", ["--raw", "--no-raw", "--csv", "--json", "--quoted-json"])
def test_forms_of_output(servers: tuple[Address, Address], form: str) -> None:
    fill(servers)
    for words in (
        ("lrange", "list", "0", "-1"),
        ("hgetall", "hash"),
        ("get", "none"),
        ("get", "str"),
        ("zrange", "zset", "0", "-1", "withscores"),
        ("xrange", "stream", "-", "+"),
        ("strlen", "str"),
        ("nosuch",),
    ):
        compare_printed(servers, form, *words)


def test_repeated_commands_and_scripts(servers: tuple[Address, Address], tmp_path: Path) -> None:
    compare_printed(servers, "-r", "3", "-i", "0.01", "incr", "n")
    script = tmp_path / "script.lua"
    script.write_text("return {KEYS[1], ARGV[1], redis.call('incr', KEYS[1])}")
    compare_printed(servers, "--eval", str(script), "counter", ",", "word")
    script.write_text("return redis.call('nosuch')")
    compare_printed(servers, "--eval", str(script))


def test_help_of_the_server(servers: tuple[Address, Address]) -> None:
    # The summaries are in our own words, the forms of the commands are not.
    def forms(text: str) -> list[str]:
        return [line for line in text.splitlines() if "summary:" not in line]

    for name in ("set", "zadd", "xreadgroup", "client list", "function load"):
        compare_printed(servers, "help", name, same=forms)


# -- for a moment ---------------------------------------------------------------------------------


def watched(servers: tuple[Address, Address], pattern: bytes, *options: str) -> list[str]:
    """What each server's terminal shows until a pattern is seen, numbers replaced."""
    seen = []
    for server in servers:
        with Terminal(server, *options) as terminal:
            terminal.wait_for(pattern)
            text = terminal.shown.decode()
        seen.append(re.sub(r"\d+(?:\.\d+)?[KMGB]*", "N", text))
    return seen


def test_statistics_line_by_line(servers: tuple[Address, Address]) -> None:
    real, ours = watched(servers, rb"(?:\(\+\d+\)[^\n]*\n[^\n]*){2}", "--stat", "-i", "0.1")
    assert [line.split() for line in ours.splitlines()[:5]] == [
        line.split() for line in real.splitlines()[:5]
    ]


def test_latency(servers: tuple[Address, Address]) -> None:
    real, ours = watched(servers, rb"\(3\d samples\)", "--latency")
    assert set(re.split(r"[\r\n]|\x1b\[\S", ours)) == set(re.split(r"[\r\n]|\x1b\[\S", real))


def test_latency_in_a_pipe(servers: tuple[Address, Address]) -> None:
    def numbers(text: str) -> str:
        return re.sub(r"\d+\.?\d*", "N", text)

    compare_printed(servers, "--raw", "--latency", "-i", "1", same=numbers)


def test_nobody_there() -> None:
    done = subprocess.run(
        [program(), "-h", HOST, "-p", "1", "ping"],
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
