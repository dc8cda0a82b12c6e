"""The real Sentinel and ours in one quorum over the same servers: both tell of them alike.

What must differ is masked: times, and who the other Sentinel is.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
import redis.sentinel

from redislab.wire.replies import Reply
from tests.sentinel.processes import (
    OUR_SENTINEL,
    OUR_SERVER,
    Sentinel,
    real_program,
    real_sentinel,
    sentinel,
    server,
)
from tests.servers import HOST, Address, Wire

pytestmark = pytest.mark.redis

WAIT_S = 30.0
# Fields that tell of a moment; that they are numbers is what can be compared.
TIMES = frozenset(
    {
        b"last-ping-sent",
        b"last-ok-ping-reply",
        b"last-ping-reply",
        b"info-refresh",
        b"role-reported-time",
        b"last-hello-message",
        b"link-pending-commands",
        b"slave-repl-offset",
    }
)
OF_THE_OTHER = frozenset({b"name", b"port", b"runid"})


@dataclass(frozen=True)
class Quorum:
    """Servers, and the two Sentinels that watch their master."""

    servers: tuple[Address, ...]
    real: Sentinel
    ours: Sentinel


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, "that does not come"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def quorum() -> Iterator[Quorum]:
    """A real master, a replica of each make, and a Sentinel of each make."""
    with contextlib.ExitStack() as stack:
        quick = ("--repl-diskless-sync-delay", "0")
        master = stack.enter_context(server(real_program(), *quick))
        follow = f"--replicaof {HOST} {master.port}"
        replicas = [
            stack.enter_context(server(program, *quick, follow))
            for program in (real_program(), OUR_SERVER)
        ]
        text = (
            f"sentinel monitor m {HOST} {master.port} 2\n"
            "sentinel down-after-milliseconds m 5000\n"
            "sentinel parallel-syncs m 2\n"
        )
        both = [
            stack.enter_context(sentinel(program, text))
            for program in (real_sentinel(), OUR_SENTINEL)
        ]
        found = Quorum((master, *replicas), *both)
        for each in both:
            with Wire(each) as wire:
                wire.call(b"SENTINEL", b"DEBUG", b"INFO-PERIOD", b"300")
                wait_until(lambda wire=wire: len(ask(wire, "REPLICAS m")) == 2)  # type: ignore[misc]
                wait_until(lambda wire=wire: len(ask(wire, "SENTINELS m")) == 1)  # type: ignore[misc]
        time.sleep(0.5)  # for the first INFO of each replica
        yield found


def ask(wire: Wire, call: str) -> tuple[Reply, ...]:
    return wire.call(b"SENTINEL", *call.encode().split()).items or ()


def described(reply: Reply) -> object:
    """An instance as its fields in order, with what must differ masked."""
    items = reply.items or ()
    pairs = [(k.text or b"", v.text or b"") for k, v in zip(items[::2], items[1::2], strict=True)]
    is_sentinel = (b"flags", b"sentinel") in pairs
    return reply.kind, [
        (name, value.isdigit())
        if name in TIMES
        else (name, len(value) if name != b"port" else 0)
        if is_sentinel and name in OF_THE_OTHER
        else (name, value)
        for name, value in pairs
    ]


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("call", ["MASTERS", "REPLICAS m", "SLAVES m", "SENTINELS m"])
def test_instances_are_described_alike(quorum: Quorum, call: str, protocol: int) -> None:
    with Wire(quorum.real, protocol) as theirs, Wire(quorum.ours, protocol) as mine:
        expected, got = (
            sorted((described(each) for each in ask(wire, call)), key=repr)
            for wire in (theirs, mine)
        )
        assert got == expected
        assert len(got) > 0
        if call == "MASTERS":
            one = mine.call(b"SENTINEL", b"MASTER", b"m")
            assert described(one) == got[0]


@pytest.mark.parametrize(
    "call",
    [
        "SENTINEL GET-MASTER-ADDR-BY-NAME m",
        "SENTINEL CKQUORUM m",
        "SENTINEL PENDING-SCRIPTS",
        "ROLE",
        "INFO sentinel",
    ],
)
def test_the_same_answers(quorum: Quorum, call: str) -> None:
    for protocol in (2, 3):
        with Wire(quorum.real, protocol) as theirs, Wire(quorum.ours, protocol) as mine:
            expected, got = (wire.call(*call.encode().split()) for wire in (theirs, mine))
            assert got == expected


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_last_info_of_each_is_kept(quorum: Quorum, protocol: int) -> None:
    kept = []
    for address in (quorum.real, quorum.ours):
        with Wire(address, protocol) as wire:
            name, texts = ask(wire, "INFO-CACHE m nosuch")
        assert name.text == b"m"
        for item in texts.items or ():
            age, text = item.items or ()
            assert 0 <= int(age.text or -1) < 5000
            assert b"role:" in (text.text or b"")
        kept.append([item.kind for item in texts.items or ()])
    assert kept[0] == kept[1]
    assert len(kept[0]) == 3


def test_sentinels_that_are_gone_are_missed_alike(quorum: Quorum) -> None:
    with Wire(quorum.real) as theirs, Wire(quorum.ours) as mine:
        for value in (b"3", b"1", b"2"):
            replies = []
            for wire in (theirs, mine):
                wire.call(b"SENTINEL", b"SET", b"m", b"quorum", value)
                replies.append(wire.call(b"SENTINEL", b"CKQUORUM", b"m"))
            assert replies[0] == replies[1]


def test_a_client_library_finds_master_and_replicas_through_a_failover(quorum: Quorum) -> None:
    before = quorum.servers[0].port
    finder = redis.sentinel.Sentinel([(HOST, quorum.ours.port)], socket_timeout=5.0)
    assert finder.discover_master("m") == (HOST, before)
    assert sorted(finder.discover_slaves("m")) == sorted(
        (HOST, each.port) for each in quorum.servers[1:]
    )
    with pytest.raises(redis.sentinel.MasterNotFoundError):
        finder.discover_master("nosuch")
    client = finder.master_for("m")
    client.set("greeting", "hello")
    assert client.wait(2, 5000) == 2
    assert finder.slave_for("m").get("greeting") == b"hello"
    master_state = finder.sentinels[0].sentinel_master("m")
    assert master_state["num-slaves"] == 2
    assert master_state["is_master"]
    with Wire(quorum.ours) as wire:
        assert not wire.call(b"SENTINEL", b"FAILOVER", b"m").is_error
        wait_until(lambda: finder.discover_master("m") != (HOST, before))
        wait_until(lambda: not ask_master(wire).get(b"failover-state"))
    client.set("greeting", "again")
    assert client.get("greeting") == b"again"
    assert client.info("replication")["role"] == "master"
    with Wire(quorum.real) as wire:
        wait_until(lambda: ask_master(wire)[b"port"] == b"%d" % finder.discover_master("m")[1])
    for each in (client, *finder.sentinels):
        each.close()


def ask_master(wire: Wire) -> dict[bytes, bytes]:
    words = [each.text or b"" for each in ask(wire, "MASTER m")]
    return dict(zip(words[::2], words[1::2], strict=True))


def test_a_file_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    """The directory of the file goes away; root may write everything else."""
    replies, logs = [], []
    for name, program in (("real", real_sentinel()), ("ours", OUR_SENTINEL)):
        home, log = tmp_path / name, tmp_path / f"{name}.log"
        home.mkdir()
        with contextlib.ExitStack() as stack:
            file = home / "sentinel.conf"
            text = f"logfile {log}\ndir {tmp_path}\n"
            address = stack.enter_context(sentinel(program, text, file=file))
            wire = stack.enter_context(Wire(address))
            wait_until(lambda log=log: "Sentinel ID" in log.read_text())  # type: ignore[misc]
            shutil.rmtree(home)
            replies.append(
                [
                    wire.call(b"SENTINEL", b"FLUSHCONFIG"),
                    wire.call(b"SENTINEL", b"MONITOR", b"m", b"127.0.0.1", b"1", b"1"),
                    wire.call(b"SENTINEL", b"SET", b"m", b"quorum", b"2"),
                    wire.call(b"SENTINEL", b"CONFIG", b"SET", b"announce-port", b"5"),
                    wire.call(b"SENTINEL", b"REMOVE", b"m"),
                ]
            )
        told = (line.partition(" # ")[2] for line in log.read_text().splitlines())
        logs.append([line for line in told if "!!!" in line or line.startswith(("+", "-"))])
    assert replies[0] == replies[1]
    assert all(reply.is_error for reply in replies[0])
    assert logs[0] == logs[1]
    assert [line.split(" ")[0] for line in logs[0]] == [
        "WARNING:",
        "WARNING:",
        "+monitor",
        "+set",
        "WARNING:",
        "WARNING:",
        "-monitor",
        "WARNING:",
    ]
