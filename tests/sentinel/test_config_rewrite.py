"""How sentinel.conf is rewritten: the file of the real redis-sentinel and ours, after the same.

Both are started one after the other on the same file at the same place, so that what they write is
equal. What Redis appends or has several of comes in the order of a hash table there: those lines
are compared sorted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from redislab.server.configrewrite import SIGNATURE
from redislab.wire.requests import split_words
from tests.sentinel.processes import (
    OUR_SENTINEL,
    Sentinel,
    real_program,
    real_sentinel,
    sentinel,
    server,
)
from tests.servers import HOST, Wire, free_port

pytestmark = pytest.mark.redis

ID = "c" * 40
WAIT_S = 20.0

COURSE = """bind 0.0.0.0
sentinel monitor mymaster 192.168.200.128 6379 1
sentinel down-after-milliseconds mymaster 10000
sentinel failover-timeout mymaster 60000
sentinel parallel-syncs mymaster 1
"""
FULL = f"""# What is said first

   # indented
daemonize no
loglevel   verbose


sentinel down-after-milliseconds m 1500
SENTINEL failover-timeout m 60000
sentinel monitor m 127.0.0.1 1 2
# in between
sentinel parallel-syncs m 1
sentinel  known-replica m 127.0.0.1 2
sentinel known-replica m 127.0.0.1 4
sentinel known-sentinel m 127.0.0.1 3 {ID}
sentinel known-sentinel m 127.0.0.1 5
sentinel auth-pass m secret
sentinel rename-command m CONFIG guess
sentinel config-epoch m 3
save 900 1
sentinel leader-epoch m 2
sentinel current-epoch 5
sentinel current-epoch 4
tcp-keepalive 300
sentinel deny-scripts-reconfig no
sentinel announce-port 0
user joe on +@all nopass ~* &*
sentinel notification-script m /bin/true
# the end"""
OLD = """sentinel monitor m 127.0.0.1 1 2
sentinel known-slave m 127.0.0.1 2
sentinel Quorum x
"""
CALLS: dict[str, tuple[str, list[str]]] = {
    "nothing": ("", []),
    "course": (COURSE, ["sentinel flushconfig", "sentinel set mymaster parallel-syncs 2"]),
    "all kinds of lines": (
        FULL,
        [
            "sentinel set m quorum 3",
            "sentinel set m down-after-milliseconds 30000",
            "sentinel set m failover-timeout 180000 parallel-syncs 4",
            'sentinel set m auth-pass "" auth-user joe',
            "sentinel set m rename-command config config rename-command SlaveOf so",
            'sentinel set m client-reconfig-script /bin/true notification-script ""',
            "sentinel config set announce-ip 10.1.2.3",
            "sentinel config set announce-port 4444",
            'sentinel config set sentinel-user "joe"',
            "sentinel config set sentinel-pass secret",
            "sentinel config set announce-hostnames yes",
            "sentinel config set announce-port 0",
            "sentinel monitor n 127.0.0.1 9 1",
            "sentinel set n master-reboot-down-after-period 100",
            "acl setuser jim on >pw +ping",
            "acl deluser joe",
            "sentinel flushconfig",
            f"sentinel is-master-down-by-addr 127.0.0.1 1 9 {ID}",
            "sentinel reset m",
            "sentinel flushconfig",
            "sentinel remove m",
        ],
    ),
    "names of old": ("sentinel monitor m 127.0.0.1 1 2\nsentinel known-slave m 127.0.0.1 2\n", []),
    "options": ("requirepass secret\nsentinel resolve-hostnames yes\n", []),
}


def masked(text: bytes) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """A file's lines by what they are about, in order; all lines, sorted; those added, sorted."""
    text = re.sub(rb"(?m)^(sentinel myid|dir) .*", rb"\1", text)
    lines = text.split(b"\n")
    at = lines.index(SIGNATURE) if SIGNATURE in lines else len(lines)
    what = [about(line) for line in lines[:at]]
    if sum(line.startswith(b"sentinel monitor ") for line in lines) > 1:
        # Which of two masters takes the lines that are there, and whose are added, is up to the
        # order of Redis's table, and that to a seed it draws at its start.
        return what, sorted(lines), []
    return what, sorted(lines[:at]), sorted(lines[at:])


def about(line: bytes) -> bytes:
    words = split_words(line) or []
    return (
        line
        if line.startswith(b"#")
        else b" ".join(words[: 2 if words[:1] == [b"sentinel"] else 1])
    )


def histories(
    folder: Path, text: str, work: Callable[[Sentinel], list[bytes]]
) -> tuple[list[bytes], list[bytes]]:
    """What the real Sentinel and ours make of a file while the same is done to them."""
    file = folder / "sentinel.conf"
    content = f"port {free_port()}\n{text}"
    found = []
    for program in (real_sentinel(), OUR_SENTINEL):
        file.write_text(content)
        with sentinel(program, file=file) as address:
            found.append(work(address))
    return found[0], found[1]


@pytest.mark.parametrize("case", CALLS)
def test_the_file_is_that_of_redis_after_every_call(case: str, tmp_path: Path) -> None:
    text, calls = CALLS[case]

    def work(address: Sentinel) -> list[bytes]:
        files = [settled(address.file)]
        with Wire(address) as wire:
            for call in calls:
                reply = wire.call(*(split_words(call.encode()) or []))
                assert not reply.is_error, reply
                files.append(address.file.read_bytes())
        return files

    expected, got = histories(tmp_path, text, work)
    for call, theirs, mine in zip(["the start", *calls], expected, got, strict=True):
        assert masked(mine) == masked(theirs), call


def settled(file: Path) -> bytes:
    """A file, once a Sentinel that starts has written its id into it."""
    deadline = time.monotonic() + WAIT_S
    while b"sentinel myid" not in file.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.02)
    return file.read_bytes()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, "that does not come"
        time.sleep(0.05)


def described(wire: Wire, *call: bytes) -> list[dict[bytes, bytes]]:
    """The instances that a call describes."""
    found = []
    for item in wire.call(b"SENTINEL", *call).items or ():
        words = [each.text or b"" for each in item.items or ()]
        found.append(dict(zip(words[::2], words[1::2], strict=True)))
    return found


def test_a_failover_leaves_the_file_that_redis_leaves_and_it_is_read_again(tmp_path: Path) -> None:
    ports = [free_port() for _ in range(3)]
    text = f"sentinel monitor m {HOST} {ports[0]} 1\nsentinel down-after-milliseconds m 3000\n"

    def work(address: Sentinel) -> list[bytes]:
        with Wire(address) as wire:
            wire.call(b"SENTINEL", b"DEBUG", b"INFO-PERIOD", b"200")
            wait_until(lambda: len(described(wire, b"REPLICAS", b"m")) == 2)
            wait_until(lambda: not wire.call(b"SENTINEL", b"FAILOVER", b"m").is_error)

            def is_over() -> bool:
                (master,) = described(wire, b"MASTERS")
                return master[b"port"] == b"%d" % ports[1] and b"failover-state" not in master

            wait_until(is_over)
            wait_until(lambda: len(described(wire, b"REPLICAS", b"m")) == 2)
            return [address.file.read_bytes()]

    found = []
    program = (*real_program(), "--repl-diskless-sync-delay", "0")
    for watcher in (real_sentinel(), OUR_SENTINEL):
        file = tmp_path / "sentinel.conf"
        file.write_text(f"port {free_port()}\ndir {tmp_path}\n{text}")
        with (
            server(program, port=ports[0]),
            server(program, f"--replicaof {HOST} {ports[0]}", port=ports[1]),
            server(
                program, f"--replicaof {HOST} {ports[0]}", "--replica-priority 200", port=ports[2]
            ),
            sentinel(watcher, file=file) as address,
        ):
            found += [re.sub(rb"(?m)^port .*", b"port", each) for each in work(address)]
        if watcher is not OUR_SENTINEL:
            continue
        for again in (OUR_SENTINEL, real_sentinel()):
            with sentinel(again, file=file) as address, Wire(address) as wire:
                assert wire.call(b"SENTINEL", b"MYID").text in file.read_bytes()
                (master,) = described(wire, b"MASTERS")
                assert (master[b"port"], master[b"config-epoch"]) == (b"%d" % ports[1], b"1")
                assert {each[b"port"] for each in described(wire, b"REPLICAS", b"m")} == {
                    b"%d" % ports[0],
                    b"%d" % ports[2],
                }
    assert masked(found[1]) == masked(found[0])
