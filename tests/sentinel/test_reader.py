"""Replies of whom a Sentinel watches: in any pieces, and nothing beyond what it has asked for."""

import time

import pytest

from redislab.sentinel.reader import BULK_MAX, Failure, GarbageError, ReplyReader, Status

REPLIES = [
    (b"+PONG\r\n", b"PONG"),
    (b"-ERR no\r\n", b"ERR no"),
    (b":-12\r\n", -12),
    (b"$5\r\na\r\nbc\r\n", b"a\r\nbc"),
    (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*3\r\n:1\r\n$1\r\n*\r\n:7\r\n", [1, b"*", 7]),
    (b"*2\r\n*1\r\n+OK\r\n*1\r\n-NO\r\n", [[b"OK"], [b"NO"]]),
]


@pytest.mark.parametrize(("data", "reply"), REPLIES, ids=[str(reply) for _, reply in REPLIES])
def test_a_reply_in_any_pieces(data, reply):
    assert list(ReplyReader().feed(data)) == [reply]
    for cut in range(1, len(data)):
        reader = ReplyReader()
        assert list(reader.feed(data[:cut])) == []
        assert list(reader.feed(data[cut:])) == [reply]
    reader = ReplyReader()
    assert [r for at in range(len(data)) for r in reader.feed(data[at : at + 1])] == [reply]


def test_many_replies_at_once():
    whole = b"".join(data for data, _ in REPLIES)
    assert list(ReplyReader().feed(whole)) == [reply for _, reply in REPLIES]


def test_kinds_are_told_apart():
    status, failure, bulk = ReplyReader().feed(b"+a\r\n-a\r\n$1\r\na\r\n")
    assert [type(each) for each in (status, failure, bulk)] == [Status, Failure, bytes]


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x00",
        b"\r\n",
        b":\r\n",
        b":1_000\r\n",
        b": 1\r\n",
        b":+1\r\n",
        b"$x\r\n",
        b"$2\r\nabc\r\n",
        b"$99999999999\r\n",
        b"$-2\r\n",
        b"*1025\r\n",
        b"*1000000000\r\n",
        b"*1\r\n" * 100_000,
        b"+" + b"x" * 70_000,
        b"%1\r\n+a\r\n+b\r\n",
        b">1\r\n+a\r\n",
        b"*2\r\n:1\r\nx\r\n",
    ],
    ids=lambda garbage: repr(garbage[:12]),
)
def test_garbage_is_told_as_such(garbage):
    with pytest.raises(GarbageError):
        list(ReplyReader().feed(garbage))


def test_no_reply_is_longer_than_the_longest_string():
    reader = ReplyReader()
    string = b"$%d\r\n%b\r\n" % (BULK_MAX, b"x" * BULK_MAX)
    assert list(reader.feed(b"*2\r\n" + string)) == []
    with pytest.raises(GarbageError):
        list(reader.feed(b"$100000\r\n"))


def test_who_sends_byte_by_byte_costs_little():
    """A megabyte is put together once, not once for each byte."""
    reader, whole = ReplyReader(), b"$1000000\r\n%b\r\n" % (b"x" * 1_000_000)
    began = time.process_time()
    found = [reply for at in range(len(whole)) for reply in reader.feed(whole[at : at + 1])]
    assert len(found) == 1
    assert time.process_time() - began < 5


def test_what_came_before_garbage_counts():
    replies = ReplyReader().feed(b"+PONG\r\n:x\r\n")
    assert next(replies) == b"PONG"
    with pytest.raises(GarbageError):
        next(replies)
