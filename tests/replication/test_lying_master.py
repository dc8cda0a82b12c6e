"""A master that lies: the replica drops the link, says why, serves what it has, and tries again."""

from __future__ import annotations

import re

import pytest
import redis

from redislab.wire.resp import bulks
from tests.replication.liars import ID, MARK, REPLICA, LiarLab, Script, Talk, rdb

GOOD = rdb(theirs="new")
FULL = b"+FULLRESYNC %b 100\r\n" % ID.encode()
FLIPPED = GOOD[:20] + bytes([GOOD[20] ^ 0xFF]) + GOOD[21:]
CHANGED = GOOD.replace(b"theirs", b"theirz")
LOADS = ("disabled", "swapdb")


def answers(data: bytes, *, hangs_up: bool = False, for_ever: bytes = b"") -> Script:
    """A master that answers PSYNC with these bytes."""

    async def script(talk: Talk) -> None:
        await talk.hear(b"PSYNC")
        talk.say(data)
        if for_ever:
            await talk.say_for_ever(for_ever)
        if hangs_up:
            talk.hang_up()

    return script


async def honest(talk: Talk) -> None:
    """A master that does what it should."""
    await talk.hear(b"PSYNC")
    talk.offer(GOOD)
    talk.send(b"SELECT", b"0")
    talk.send(b"SET", b"more", b"x")
    while True:
        await talk.hear(b"REPLCONF")


# What the master says after PSYNC, and what the log of the replica says of that.
LIES = {
    "no offset": (b"+FULLRESYNC %b\r\n" % ID.encode(), "wrong +FULLRESYNC syntax"),
    "a short id": (b"+FULLRESYNC abc 100\r\n", "wrong +FULLRESYNC syntax"),
    "an offset in words": (b"+FULLRESYNC %b many\r\n" % ID.encode(), "wrong +FULLRESYNC syntax"),
    "a negative offset": (b"+FULLRESYNC %b -5\r\n" % ID.encode(), "wrong +FULLRESYNC syntax"),
    "an absurd offset": (
        b"+FULLRESYNC %b %b\r\n" % (ID.encode(), b"9" * 30),
        "wrong +FULLRESYNC syntax",
    ),
    "no data set": (FULL + b"garbage\r\n", "the first byte is not '$' (we received 'garbage')"),
    "a negative length": (FULL + b"$-1\r\n", "announces a data set of '-1' bytes"),
    "a length in words": (FULL + b"$ten\r\n", "announces a data set of 'ten' bytes"),
    "a length beyond any limit": (FULL + b"$9223372036854775807\r\n", "announces a data set of"),
    "a length of many digits": (FULL + b"$" + b"9" * 50 + b"\r\n", "announces a data set of"),
    "garbage": (FULL + b"$10\r\n0123456789", "Wrong signature trying to load DB from file"),
    "another version": (
        FULL + b"$%d\r\n%b" % (len(GOOD), GOOD.replace(b"0010", b"0099")),
        "Can't handle RDB format version 99",
    ),
    "damage": (FULL + b"$%d\r\n%b" % (len(FLIPPED), FLIPPED), "Failed trying to load the MASTER"),
    "a wrong checksum": (FULL + b"$%d\r\n%b" % (len(CHANGED), CHANGED), "RDB CRC error"),
    "too short a data set": (
        FULL + b"$%d\r\n%b" % (len(GOOD) - 9, GOOD[:-9]),
        "Failed trying to load the MASTER",
    ),
    "more than a data set": (
        FULL + b"$%d\r\n%bmore" % (len(GOOD) + 4, GOOD),
        "there is more than the data set",
    ),
    "a line without end": (b"x" * 100_000, "line too long"),
}


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_data_set_is_refused(lie: str, load: str) -> None:
    said, logged = LIES[lie]
    with LiarLab(answers(said), config={"repl-diskless-load": load}) as lab:
        lab.run_for(40)
        assert logged in lab.log(REPLICA)
        assert not lab.is_linked
        assert lab.replica.get("mine") == b"old"
        assert lab.replica.dbsize() == 1
        # Again after a second, then after two, four, eight.
        assert [round(pause) for pause in lab.pauses[:4]] == [1, 2, 4, 8]
        assert "temp-" not in " ".join(lab.files(REPLICA))


@pytest.mark.parametrize("load", LOADS)
def test_the_link_is_made_once_the_master_is_honest(load: str) -> None:
    lie = answers(LIES["damage"][0])
    with LiarLab(lie, lie, honest, config={"repl-diskless-load": load}) as lab:
        lab.run_for(10)
        assert lab.is_linked
        assert lab.replica.mget("mine", "theirs", "more") == [None, b"new", b"x"]


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("size", [0, 1, 30, len(GOOD) - 1])
def test_a_data_set_that_breaks_off_is_asked_for_again(load: str, size: int) -> None:
    cut = answers(FULL + b"$%d\r\n%b" % (len(GOOD), GOOD[:size]), hangs_up=True)
    with LiarLab(cut, config={"repl-diskless-load": load}) as lab:
        lab.run_for(40)
        log = lab.log(REPLICA)
        assert "I/O error trying to sync with MASTER: connection lost" in log
        assert "Reconnecting to MASTER" in log
        assert lab.replica.get("mine") == b"old"
        assert [round(pause) for pause in lab.pauses[:5]] == [0, 1, 2, 4, 8]


@pytest.mark.parametrize("load", LOADS)
def test_a_data_set_that_stands_still_is_given_up(load: str) -> None:
    stuck = answers(FULL + b"$%d\r\n%b" % (2**47, GOOD[:30]))
    with LiarLab(stuck, config={"repl-diskless-load": load}) as lab:
        lab.run_for(15)
        assert "Timeout receiving bulk data from MASTER" in lab.log(REPLICA)
        assert len(lab.talks) == 2
        if load == "disabled":
            assert lab.replica.get("mine") == b"old"
        else:  # what is read at once is being loaded, even where nothing comes
            with pytest.raises(redis.exceptions.BusyLoadingError):
                lab.replica.get("mine")


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("mark", [b"e" * 40, b"f" * 39 + b"e", b"SET x y\r\n" * 5])
def test_a_wrong_mark_is_no_end(load: str, mark: bytes) -> None:
    said = FULL + b"$EOF:" + MARK + b"\r\n" + GOOD + mark
    with LiarLab(answers(said), config={"repl-diskless-load": load}) as lab:
        lab.run_for(30)
        assert not lab.is_linked
        log = lab.log(REPLICA)
        if load == "swapdb":
            assert "Replication stream EOF marker is broken" in log
        else:
            assert "Timeout receiving bulk data from MASTER" in log
        lab.replica.execute_command("REPLICAOF", "NO", "ONE")
        assert lab.replica.get("mine") == b"old"


def test_what_never_ends_fills_no_memory() -> None:
    """Read at once, garbage is found at once; on the disk there is room for so much only."""
    garbage = answers(FULL + b"$EOF:" + MARK + b"\r\n" + GOOD[:9], for_ever=b"\x00" * 60_000)
    with LiarLab(garbage, config={"repl-diskless-load": "swapdb"}) as lab:
        lab.run_for(10)
        assert "Failed trying to load the MASTER synchronization DB from socket" in lab.log(REPLICA)
        assert lab.replica.get("mine") == b"old"
    with LiarLab(garbage, follows=False) as lab:
        lab.disk(REPLICA).capacity_bytes = 1_000_000
        lab.replica.execute_command("REPLICAOF", "127.0.0.1", lab.find("master").port)
        lab.run_for(10)
        assert re.search("Write error or short write writing to the DB dump", lab.log(REPLICA))
        assert lab.replica.get("mine") == b"old"
        lab.replica.execute_command("REPLICAOF", "NO", "ONE")
        assert "temp-" not in " ".join(lab.files(REPLICA))
        assert len(lab.talks) > 2


def test_a_name_without_a_file_is_no_data_set() -> None:
    """What is no RDB file at all is not collected until its end."""
    endless = answers(FULL + b"$EOF:" + MARK + b"\r\n", for_ever=b"x" * 60_000)
    with LiarLab(endless) as lab:
        lab.run_for(3)
        assert "Wrong signature trying to load DB from file" in lab.log(REPLICA)
        assert lab.replica.get("mine") == b"old"


REFUSALS = {
    "-NOMASTERLINK Can't SYNC": "Master is currently unable to PSYNC but should be in the future",
    "-LOADING Redis is loading": "Master is currently unable to PSYNC but should be in the future",
    "-ERR unknown command": "Retrying with SYNC...",
    FULL.decode() + "-ERR BGSAVE failed": "MASTER aborted replication with an error: ERR BGSAVE",
    "+WHAT": "Unexpected reply to PSYNC from master: +WHAT",
    f"+CONTINUE {'b' * 40}": "Master replication ID changed to",
}


@pytest.mark.parametrize("answer", REFUSALS)
def test_other_answers_than_a_data_set(answer: str) -> None:
    with LiarLab(answers(answer.encode() + b"\r\n", hangs_up=True)) as lab:
        lab.run_for(5)
        assert REFUSALS[answer] in lab.log(REPLICA)
        assert lab.replica.get("mine") == b"old"
        assert len(lab.talks) > 2


STREAM_LIES = {
    b"*1\r\n$-5\r\nPING\r\n": "Protocol error (invalid bulk length)",
    b"*x\r\n": "Protocol error (invalid multibulk length)",
    b"*3\r\n+SET\r\n": "Protocol error (expected '$', got '+')",
    b"SET x y\r\n": "Receiving inline protocol from master, master stream corruption?",
    b"*1\r\n$4\r\nPING\r\nSET x y\r\n": "Master using the inline protocol. Desync?",
    b"\xff\xfe\x01\r\n": "Master using the inline protocol. Desync?",
}


@pytest.mark.parametrize("lie", STREAM_LIES)
def test_a_stream_that_breaks_the_protocol_is_left(lie: bytes) -> None:
    """What came whole before it counts, and all data are asked for anew."""

    async def script(talk: Talk) -> None:
        await talk.hear(b"PSYNC")
        talk.offer(GOOD)
        talk.send(b"SET", b"good", b"1")
        talk.say(lie)
        talk.send(b"SET", b"bad", b"1")

    with LiarLab(script) as lab:
        lab.run_for(0.5)
        assert STREAM_LIES[lie] in lab.log(REPLICA)
        assert not lab.is_linked
        assert lab.replica.mget("theirs", "good", "bad") == [b"new", b"1", None]
        lab.run_for(20)
        assert lab.talks[1].said[-1] == [b"PSYNC", b"?", b"-1"]
        assert [round(pause) for pause in lab.pauses[:4]] == [1, 2, 4, 8]


@pytest.mark.parametrize(
    "command",
    [
        b"NOSUCH a b",
        b"SET a",
        b"LPUSH theirs x",
        b"SHUTDOWN NOW",
        b"DEBUG SLEEP 100",
        b"REPLICAOF NO ONE",
        b"SYNC",
        b"PSYNC ? -1",
        b"MONITOR",
        b"CONFIG SET port 1",
        b"BLPOP nothing 0",
        b"CLIENT KILL TYPE normal",
        b"WAIT 1 0",
        b"EVAL return(redis.call('nosuch')) 0",
        b"SELECT 99",
        b"EXEC",
        b"SUBSCRIBE ch",
        b"RESET",
        b"QUIT",
        b"AUTH x",
        b"HELLO 3",
        b"DISCARD",
        b"WATCH a",
    ],
)
def test_a_command_that_no_master_sends_harms_nobody(command: bytes) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear(b"PSYNC")
        talk.offer(GOOD)
        talk.send(b"SELECT", b"0")
        talk.send(*command.split())
        talk.send(b"SET", b"after", b"1")
        talk.send(b"REPLCONF", b"GETACK", b"*")
        while True:
            await talk.hear(b"REPLCONF")

    with LiarLab(script) as lab:
        lab.run_for(2)
        assert lab.is_linked
        assert lab.replica.get("after") == b"1"
        sent = bulks((b"SELECT", b"0")) + bulks(command.split()) + bulks((b"SET", b"after", b"1"))
        acknowledged = [words[2] for words in lab.talks[0].said if words[1:2] == [b"ACK"]]
        assert b"%d" % (100 + len(sent)) in acknowledged
        assert len(lab.talks) == 1


def test_a_transaction_that_does_not_end_is_not_applied() -> None:
    async def script(talk: Talk) -> None:
        await talk.hear(b"PSYNC")
        talk.offer(GOOD)
        talk.send(b"SET", b"a", b"1")
        talk.send(b"MULTI")
        talk.send(b"SET", b"b", b"1")
        await talk.hear(b"REPLCONF")
        talk.hang_up()

    async def goes_on(talk: Talk) -> None:
        _, _, offset = await talk.hear(b"PSYNC")
        assert int(offset) == 101 + len(bulks((b"SET", b"a", b"1")))
        talk.say(b"+CONTINUE\r\n")
        for words in (b"MULTI", b"SET b 2", b"MULTI", b"NOSUCH", b"SET c 2", b"EXEC", b"SET d 1"):
            talk.send(*words.split())
        while True:
            await talk.hear(b"REPLCONF")

    with LiarLab(script, goes_on) as lab:
        lab.run_for(5)
        assert lab.is_linked
        # Nor is one in which there is a command that nobody knows.
        assert lab.replica.mget("a", "b", "c", "d") == [b"1", None, None, b"1"]


def test_a_master_that_is_silent_is_left() -> None:
    async def silent(talk: Talk) -> None:
        await talk.until_it_hangs_up()

    with LiarLab(silent) as lab:
        lab.run_for(30)
        assert "Timeout connecting to the MASTER..." in lab.log(REPLICA)
        assert len(lab.talks) >= 2

    async def falls_silent(talk: Talk) -> None:
        await talk.hear(b"PSYNC")
        talk.offer(GOOD)
        await talk.until_it_hangs_up()

    with LiarLab(falls_silent) as lab:
        lab.run_for(15)
        assert "MASTER timeout: no data nor PING received..." in lab.log(REPLICA)
        assert lab.replica.get("theirs") == b"new"


def test_passwords_that_the_master_does_not_take() -> None:
    async def script(talk: Talk) -> None:
        await talk.hear(b"AUTH")
        talk.say(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")

    config = {"masterauth": "secret", "masteruser": "somebody"}
    with LiarLab(script, config=config) as lab:
        lab.run_for(3)
        assert "Unable to AUTH to MASTER: -WRONGPASS" in lab.log(REPLICA)
        assert lab.talks[0].said[1] == [b"AUTH", b"somebody", b"secret"]
        assert len(lab.talks) >= 2


def test_stale_data_are_served_only_where_that_is_wanted() -> None:
    config = {"replica-serve-stale-data": "no"}
    with LiarLab(answers(LIES["damage"][0]), config=config) as lab:
        lab.run_for(5)
        with pytest.raises(redis.RedisError, match="Link with MASTER is down"):
            lab.replica.get("mine")
        lab.replica.config_set("replica-serve-stale-data", "yes")
        assert lab.replica.get("mine") == b"old"
