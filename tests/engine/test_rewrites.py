"""What is sent on to replicas in place of a request whose effect depends on chance or waiting."""

from __future__ import annotations

from random import Random

import pytest

from redislab.engine import load_commands
from redislab.engine.keyspace import Engine
from redislab.engine.table import HANDLERS, Block, Caller


class Client(Caller):
    """A caller without a server."""

    def __init__(self) -> None:
        load_commands()
        self.engine = Engine(1, lambda: 1_700_000_000_000, Random(5))
        self.engine.propagating = True
        self.db = self.engine.databases[0]
        self.resp = 2
        self.deny_blocking = self.in_script = False
        self.rewritten = None

    def run(self, line: str) -> bytes | Block:
        """Run a command line."""
        self.rewritten = None
        args = line.encode().split()
        return HANDLERS[args[0].lower()](self, args)

    @property
    def sent_on(self) -> list[str] | None:
        """What goes to replicas, as command lines; None for the request itself."""
        if self.rewritten is None:
            return None
        return [b" ".join(words).decode() for words in self.rewritten]


@pytest.fixture
def client() -> Client:
    client = Client()
    for line in (
        "RPUSH l 1 2 3 4 5 6 7 8",
        "SADD one x",
        "SADD s a b c d e",
        "ZADD z 1 a 2 b 3 c 4 d",
        "HSET h f 10.1",
    ):
        client.run(line)
    return client


@pytest.mark.parametrize(
    ("line", "sent_on"),
    [
        ("LPOP l", None),
        ("LMOVE l k LEFT RIGHT", None),
        ("SINTERSTORE k s", None),
        ("ZPOPMIN z 2", None),
        ("LMPOP 2 none l RIGHT COUNT 3", ["RPOP l 3"]),
        ("LMPOP 1 l LEFT COUNT 100", ["LPOP l 8"]),
        ("BLPOP none l 0", ["LPOP l"]),
        ("BRPOP l 0", ["RPOP l"]),
        ("BLMPOP 0 1 l LEFT", ["LPOP l 1"]),
        ("BLMOVE l k LEFT RIGHT 0", ["LMOVE l k LEFT RIGHT"]),
        ("BRPOPLPUSH l k 0", ["RPOPLPUSH l k"]),
        ("SPOP one", ["SREM one x"]),
        ("SPOP s 5", ["DEL s"]),
        ("HINCRBYFLOAT h f 0.2", ["HSET h f 10.3"]),
        ("ZMPOP 1 z MAX COUNT 2", ["ZPOPMAX z 2"]),
        ("BZPOPMIN z 0", ["ZPOPMIN z"]),
        ("BZMPOP 0 1 z MIN COUNT 9", ["ZPOPMIN z 4"]),
        ("GEOADD g CH 15 37 a", ["zadd g CH 3476504601741708 a"]),
    ],
)
def test_sent_on(client: Client, line: str, sent_on: list[str] | None) -> None:
    client.run(line)
    assert client.sent_on == sent_on


def test_a_pop_of_several_is_sent_on_member_by_member(client: Client) -> None:
    reply = client.run("SPOP s 3")
    assert isinstance(reply, bytes)
    popped = reply.split(b"\r\n")[2::2]
    assert client.sent_on == [f"SREM s {member.decode()}" for member in popped]
    assert len(popped) == 3


def test_a_served_client_sends_on_what_it_took(client: Client) -> None:
    block = client.run("BLPOP other 0")
    assert isinstance(block, Block)
    client.run("RPUSH other x")
    client.rewritten = None
    assert block.serve(client, b"other") == b"*2\r\n$5\r\nother\r\n$1\r\nx\r\n"
    assert client.sent_on == ["LPOP other"]
    assert block.serve(client, b"other") is None


def test_random_choices_are_those_of_the_nodes_own_source() -> None:
    answers = []
    for _ in range(2):
        client = Client()
        client.run("SADD s " + " ".join(f"member:{n}" for n in range(100)))
        lines = ["SPOP s", "SRANDMEMBER s 3", "SRANDMEMBER s -5", "SPOP s 20", "SMEMBERS s"]
        answers.append([client.run(line) for line in lines])
    assert answers[0] == answers[1]
