"""The connections of a Sentinel: who it says it is, how it logs in, and what it makes of liars."""

import re

import pytest

from tests.sentinel.liar import Liar, honest, world_with
from tests.sentinel.town import MASTER, Town

PORT = 6379


def test_connections_have_the_name_of_their_sentinel():
    with Town() as town:
        town.world.run_for(3)
        clients = town.ask(town.master, "CLIENT", "LIST").decode()
        names = sorted(re.findall(r" name=(\S+)", clients))
        assert names == sorted(
            f"sentinel-{town.ask(each, 'SENTINEL', 'MYID').decode()[:8]}-{kind}"
            for each in town.sentinels
            for kind in ("cmd", "pubsub")
        )
        at_sentinel = town.ask(town.sentinels[0], "CLIENT", "LIST").decode()
        assert sorted(re.findall(r" name=(sentinel-\S+)", at_sentinel)) == sorted(
            name
            for name in names
            if name.endswith("-cmd")
            and name[9:17] != town.ask(town.sentinels[0], "SENTINEL", "MYID").decode()[:8]
        )


PASSWORDS = {
    "a password": ({"requirepass": "secret", "masterauth": "secret"}, {"auth_pass": "secret"}),
    "a user": (
        {
            "user": ("default off", "lab on >secret allchannels allkeys +@all"),
            "masteruser": "lab",
            "masterauth": "secret",
        },
        {"auth_pass": "secret", "auth_user": "lab"},
    ),
}


@pytest.mark.parametrize(("config", "settings"), PASSWORDS.values(), ids=PASSWORDS.keys())
def test_a_failover_behind_a_password(config, settings):
    with Town(config=config, down_after_milliseconds=2000, **settings) as town:
        town.world.run_for(12)
        town.world.kill(MASTER)
        town.wait(lambda: all("+switch-master" in town.log(each) for each in town.sentinels))
        assert not any("refuses" in town.log(each) for each in town.sentinels)


def test_sentinels_log_in_to_each_other():
    for lines in (("sentinel-pass secret",), ("sentinel-user default", "sentinel-pass secret"), ()):
        with Town(sentinels=0, down_after_milliseconds=2000, lines=lines) as town:
            for at in range(3):
                town.add_sentinel(f"sentinel-{at}", config={"requirepass": "secret"})
            town.world.run_for(12)
            for each in town.sentinels:
                assert town.log(each).count("+sentinel ") == 2
                assert "+sdown" not in town.log(each)
                assert "refuses" not in town.log(each)


def test_a_wrong_password_is_logged_and_changes_no_mind():
    config = {"requirepass": "secret", "masterauth": "secret"}
    with Town(config=config, sentinels=2, auth_pass="secret") as town:
        town.lines = ("auth-pass mymaster wrong", "down-after-milliseconds mymaster 2000")
        town.add_sentinel("sentinel-2")
        town.world.run_for(30)
        log = town.log(town.sentinels[2])
        assert log.count("refuses our password: WRONGPASS") == 1
        assert "+sdown master" in log
        assert "odown" not in log
        assert town.address(town.sentinels[2])[1] == PORT
        for each in town.sentinels[:2]:
            assert "sdown" not in town.log(each)
        # With the right one it is all right again.
        town.ask(town.sentinels[2], "SENTINEL", "SET", "mymaster", "auth-pass", "secret")
        town.world.run_for(5)
        assert "-sdown master" in town.log(town.sentinels[2])


def test_a_failover_with_renamed_commands():
    # A replica says PING to its master itself, so that name stays.
    names = ("config", "slaveof", "multi", "exec", "client", "publish", "info", "subscribe")
    renamed = tuple(f"{name} x-{name}" for name in names)
    lines = tuple(f"rename-command mymaster {each}" for each in renamed)
    config = {"rename-command": renamed}
    with Town(config=config, down_after_milliseconds=2000, lines=lines) as town:
        town.world.run_for(12)
        town.world.kill(MASTER)
        town.wait(lambda: all("+switch-master" in town.log(each) for each in town.sentinels))
        assert len({town.address(each) for each in town.sentinels}) == 1


@pytest.mark.parametrize("announce", ["yes", "no"])
def test_a_failover_by_names_of_hosts(announce):
    names = ("resolve-hostnames yes", f"announce-hostnames {announce}")
    with Town(replicas=0, sentinels=0, lines=names, down_after_milliseconds=2000) as town:
        town.ask(town.master, "CONFIG", "SET", "replica-announce-ip", MASTER)
        for port in (6380, 6381):
            config = {"replica-announce-ip": f"redis-{port}"}
            town.replicas.append(town.add_replica(port, config, master=MASTER))
        for at in range(3):
            where = {"sentinel": (f"monitor mymaster {MASTER} {PORT} 2", *town.lines)}
            town.add_sentinel(f"sentinel-{at}", config=where)
        town.world.run_for(40)
        host = MASTER if announce == "yes" else "127.0.0.1"
        for each in town.sentinels:
            assert f"+monitor master mymaster {host} {PORT} quorum 2" in town.log(each)
            assert town.shown(each)["num-slaves"] == "2"
        town.world.kill(MASTER)
        town.wait(lambda: all("+switch-master" in town.log(each) for each in town.sentinels))
        ((host, port),) = {town.address(each) for each in town.sentinels}
        assert host == (f"redis-{port}" if announce == "yes" else "127.0.0.1")
        town.world.restart(MASTER)
        town.wait(lambda: town.ask(town.master, "ROLE")[1:3] == [host.encode(), port])


def test_a_host_that_nobody_knows_is_watched_and_down():
    lines = ("resolve-hostnames yes",)
    with Town(replicas=0, sentinels=0, lines=lines, down_after_milliseconds=2000) as town:
        where = {"sentinel": ("resolve-hostnames yes", "monitor mymaster nowhere.example 1 2")}
        town.add_sentinel("sentinel-0", config=where)
        town.world.run_for(40)
        log = town.log(town.sentinels[0])
        assert log.count("Failed to resolve hostname 'nowhere.example'") == 1
        assert "+monitor master mymaster nowhere.example 1 quorum 2" in log
        assert "+sdown master mymaster nowhere.example 1" in log


def test_hellos_come_every_two_seconds():
    with Town(sentinels=1, replicas=0) as town:
        town.world.run_for(30)
        sent = [
            each.sent
            for each in town.world.journal.messages
            if each.target == MASTER and each.data.startswith(b"*3\r\n$7\r\nPUBLISH\r\n")
        ]
        assert 13 <= len(sent) <= 15


def test_a_connection_that_has_fallen_silent_is_made_anew():
    with Town(replicas=0, sentinels=1) as town:
        town.world.run_for(20)
        town.world.pause(MASTER)
        since = town.world.now
        town.world.run_for(18)
        opened = [
            each.sent - since
            for each in town.world.journal.messages
            if each.kind == "open" and each.target == MASTER and each.sent > since
        ]
        # Pub/Sub after six seconds without our own hellos, the other after half of down-after.
        assert len(opened) == 2
        assert 3 < opened[0] < 7
        assert 14 < opened[1] < 17


# -- liars -----------------------------------------------------------------------------------------

ANSWERS = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "zeros": b"\x00" * 1000,
    "a huge array": b"*1000000000\r\n",
    "a huge string": b"$999999999\r\n",
    "an endless line": b"+" + b"x" * 100_000,
    "a deep array": b"*1\r\n" * 10_000,
    "more than was asked for": b"+PONG\r\n" * 50,
    "half a reply, and the end": None,
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("command", [b"PING", b"INFO", b"SUBSCRIBE", b"CLIENT"])
def test_garbage_ends_the_connection_and_nothing_else(command, answer):
    liar = Liar(lambda words: answer if words[0] == command else honest(words), PORT)
    with Town(
        world=world_with({MASTER: liar}), replicas=0, sentinels=1, down_after_milliseconds=3000
    ) as town:
        town.world.run_for(10)
        log = town.log(town.sentinels[0])
        assert town.ask(town.sentinels[0], "PING") == b"PONG"
        assert log.count("sends ") <= 2
        # It is called again and again, once a second on each connection.
        calls = sum(words[0] == b"CLIENT" for words in liar.heard)
        assert 10 <= calls <= 22
        is_silent = command in {b"PING", b"CLIENT"} and not str(answer).startswith("b'+PONG")
        assert ("+sdown" in log) == is_silent
        liar.answer = honest
        town.world.run_for(5)
        assert town.shown(town.sentinels[0])["flags"] == "master"


PEER = "e" * 40
VOTES = {
    "no array": b"+OK\r\n",
    "too short": b"*2\r\n:1\r\n$1\r\n*\r\n",
    "words for numbers": b"*3\r\n$1\r\n1\r\n$1\r\n*\r\n$1\r\n0\r\n",
    "a null": b"*3\r\n:1\r\n$-1\r\n:1\r\n",
    "a leader in two lines": b"*3\r\n:1\r\n$3\r\na\nb\r\n:1\r\n",
    "an epoch below zero": b"*3\r\n:1\r\n$1\r\n*\r\n:-1\r\n",
}


@pytest.mark.parametrize("vote", VOTES.values(), ids=VOTES.keys())
def test_a_vote_that_makes_no_sense_does_not_count(vote):
    liar = Liar(lambda words: vote if words[0] == b"SENTINEL" else honest(words), 26390)
    world = world_with({"liar": liar})
    with Town(world=world, replicas=1, sentinels=1, down_after_milliseconds=1000) as town:
        town.world.start(town.spec("liar", port=26390))
        first = town.sentinels[0]
        hello = f"127.0.0.1,26390,{PEER},0,mymaster,127.0.0.1,6379,0"
        town.ask(first, "PUBLISH", "__sentinel__:hello", hello)
        town.world.run_for(2)
        town.world.kill(MASTER)
        town.world.run_for(5)
        log = town.log(first)
        assert [words[1] for words in liar.heard if words[0] == b"SENTINEL"]
        assert "+sdown master" in log
        assert "+odown" not in log
        assert log.count(f"sentinel {PEER}") == 2  # that it is new, and what is wrong with it
        assert town.shown(first, "SENTINELS")[0]["voted-leader"] == "?"


def test_a_busy_script_is_killed_once():
    liar = Liar(lambda words: b"-BUSY x\r\n" if words[0] == b"PING" else honest(words), PORT)
    with Town(
        world=world_with({MASTER: liar}), replicas=0, sentinels=1, down_after_milliseconds=1000
    ) as town:
        town.world.run_for(10)
        assert "+sdown master" in town.log(town.sentinels[0])
        assert liar.heard.count([b"SCRIPT", b"KILL"]) == 1
        assert "script_kill_sent" in town.shown(town.sentinels[0])["flags"]


@pytest.mark.parametrize("answer", [b"-LOADING x\r\n", b"-MASTERDOWN x\r\n"])
def test_who_says_that_it_is_busy_with_something_else_is_alive(answer):
    liar = Liar(lambda words: answer if words[0] == b"PING" else honest(words), PORT)
    with Town(
        world=world_with({MASTER: liar}), replicas=0, sentinels=1, down_after_milliseconds=1000
    ) as town:
        town.world.run_for(10)
        assert "sdown" not in town.log(town.sentinels[0])
