"""Replication's plain state: the backlog, the history, the table of the handshake, the stream."""

from __future__ import annotations

from random import Random

import pytest

from redislab.server.replication.backlog import Backlog
from redislab.server.replication.handshake import (
    HANDSHAKE,
    SAYS,
    TABLE,
    Answer,
    IllegalAnswerError,
    Step,
    advance,
    classify,
)
from redislab.server.replication.history import NO_ID, History
from redislab.server.replication.stream import Encoder, encoded_size


def test_a_backlog_keeps_the_last_bytes_only():
    backlog = Backlog(10, 1)
    backlog.add(b"abcdef")
    assert (backlog.first, len(backlog), backlog.end) == (1, 6, 7)
    assert backlog.since(1) == b"abcdef"
    assert backlog.since(7) == b""
    backlog.add(b"ghijklm")
    backlog.trim(12)  # a replica has yet to take so many
    assert (backlog.first, len(backlog), backlog.end) == (2, 12, 14)
    backlog.trim()
    assert (backlog.first, len(backlog), backlog.end) == (4, 10, 14)
    assert backlog.since(4) == b"defghijklm"
    assert not backlog.has(3)
    assert not backlog.has(15)
    with pytest.raises(ValueError, match=r"offset 3 is not in 4\.\.14"):
        backlog.since(3)


def test_a_backlog_agrees_with_a_plain_string():
    random = Random(1)
    backlog, whole, size = Backlog(64, 1001), b"", 64
    for _ in range(500):
        piece = random.randbytes(random.randrange(100))
        whole += piece
        backlog.add(piece)
        backlog.trim()
        if not random.randrange(20):
            size = random.randrange(16, 200)
            backlog.resize(size)
            backlog.trim()
        assert backlog.end == 1001 + len(whole)
        assert len(backlog) <= size
        asked = backlog.first + random.randrange(len(backlog) + 1)
        assert backlog.since(asked) == whole[asked - 1001 :]


def test_a_promoted_replica_remembers_where_it_left_its_history():
    history = History("a" * 40, 100)
    history.branch_off(Random(1))
    assert history.second_id == "a" * 40
    assert history.second_offset == 101
    assert history.refusal("a" * 40, 101, "r") is None
    assert history.refusal(history.id, 5000, "r") is None
    assert history.refusal("a" * 40, 102, "r") == (
        "Partial resynchronization not accepted: Requested offset for second ID was 102, but I can "
        "reply up to 101"
    )
    assert "Replication ID mismatch" in str(history.refusal("b" * 40, 1, "r"))
    assert history.refusal("?", -1, "1.2.3.4:5") == "Full resync requested by replica 1.2.3.4:5"
    history.adopt("c" * 40, 7)
    assert (history.id, history.offset, history.second_id) == ("c" * 40, 7, NO_ID)


def test_every_state_of_the_handshake_is_reached_and_left():
    reached = {Step.CONNECT} | {after for answers in TABLE.values() for after in answers.values()}
    assert reached == set(TABLE) == set(Step) - {Step.NONE}
    assert set(SAYS) >= HANDSHAKE
    for step, answers in TABLE.items():
        if step is not Step.CONNECT:
            assert answers[Answer.LOST] is Step.CONNECT
    with pytest.raises(IllegalAnswerError, match="data set loaded in state connect"):
        advance(Step.CONNECT, Answer.LOADED)


@pytest.mark.parametrize(
    ("step", "line", "answer"),
    [
        (Step.RECEIVE_PING, b"+PONG", Answer.YES),
        (Step.RECEIVE_PING, b"-NOAUTH Authentication required.", Answer.YES),
        (Step.RECEIVE_PING, b"-DENIED Redis is running in protected mode", Answer.NO),
        (Step.RECEIVE_AUTH, b"-WRONGPASS invalid", Answer.NO),
        (Step.RECEIVE_PORT, b"-ERR unknown command", Answer.UNKNOWN_OPTION),
        (Step.RECEIVE_PSYNC, b"+CONTINUE", Answer.CONTINUE),
        (Step.RECEIVE_PSYNC, b"-NOMASTERLINK Can't SYNC", Answer.LATER),
        (Step.RECEIVE_PSYNC, b"-ERR unknown command 'PSYNC'", Answer.NO_PSYNC),
    ],
)
def test_what_a_master_says_is_understood(step, line, answer):
    assert classify(step, line) is answer
    assert answer in TABLE[step]


def test_the_stream_selects_databases_and_wraps_what_belongs_together():
    encoder = Encoder()
    first = encoder.encode([(3, [b"SET", b"a", b"1"])])
    assert first == b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
    assert encoder.encode([(3, [b"DEL", b"a"])]) == b"*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"
    # Tried on redis-server 7.0.15: SELECT stands before MULTI, and within it where it changes.
    both = encoder.encode([(0, [b"SET", b"x", b"1"]), (5, [b"SET", b"y", b"2"])])
    words = [word for word in both.split(b"\r\n") if word[:1] not in b"*$"]
    assert b" ".join(words) == b"SELECT 0 MULTI SET x 1 SELECT 5 SET y 2 EXEC"


def test_sizes_of_commands_are_those_of_their_bytes():
    for words in ([b"PING"], [b"SET", b"k" * 12, b"v" * 12345], [b"x"] * 11):
        assert encoded_size(words) == len(Encoder(0).encode([(0, words)]))
