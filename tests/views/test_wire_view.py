"""The bytes of a conversation, taken apart."""

import pytest

from redislab.views.wire import Conversation, explain, printable

REPLIES = [
    b"+OK\r\n",
    b"-ERR unknown command 'x'\r\n",
    b":1000\r\n",
    b"$5\r\nhello\r\n",
    b"$0\r\n\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*2\r\n*1\r\n:1\r\n$1\r\na\r\n",
    b"%1\r\n+k\r\n*2\r\n:1\r\n:2\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",3.14\r\n",
    b"=6\r\ntxt:hi\r\n",
    b">2\r\n+message\r\n+x\r\n",
    b"~1\r\n:7\r\n",
]


@pytest.mark.parametrize("data", REPLIES)
def test_a_whole_reply_is_explained_to_the_last_byte(data):
    segments = explain(data)
    assert b"".join(one.data for one in segments) == data
    assert [one.start for one in segments] == [
        sum(len(other.data) for other in segments[:at]) for at in range(len(segments))
    ]
    assert all(one.role != "rest" for one in segments)
    assert segments[0].role == "type"


@pytest.mark.parametrize("data", REPLIES)
def test_half_a_reply_ends_in_a_rest_and_loses_no_byte(data):
    for cut in range(1, len(data)):
        segments = explain(data[:cut])
        assert b"".join(one.data for one in segments) == data[:cut]
        whole_lines = data[:cut].endswith(b"\r\n")
        assert segments[-1].role == "rest" or whole_lines


def test_a_request_names_its_words():
    segments = explain(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", request=True)
    values = [one for one in segments if one.role == "value"]
    assert [one.data for one in values] == [b"GET", b"a"]
    assert values[0].text.startswith("the command's name")
    assert values[1].text.startswith("argument 1 of 1")


def test_members_are_counted_through_nesting():
    segments = explain(b"*2\r\n*2\r\n:1\r\n:2\r\n$1\r\nz\r\n")
    values = {one.data: one for one in segments if one.role == "value"}
    assert values[b"z"].text.startswith("element 2 of 2")
    assert (values[b"1"].depth, values[b"z"].depth) == (2, 1)


def test_inline_commands_and_garbage():
    assert [one.role for one in explain(b"PING\r\n", request=True)] == ["value", "crlf"]
    (rest,) = explain(b"hello\r\n")
    assert (rest.role, rest.text) == ("rest", "no RESP type begins with this byte")
    deep = b"*1\r\n" * 5000 + b":1\r\n"
    assert b"".join(one.data for one in explain(deep)) == deep


def test_printable_escapes_what_cannot_be_shown():
    assert printable(b"a\\\r\n\x00\xff") == "a\\\\\\r\\n\\x00\\xff"


def test_a_conversation_records_both_sides():
    said = []

    def talk(data: bytes) -> bytes:
        said.append(data)
        return b"+PONG\r\n"

    conversation = Conversation(talk, now=lambda: 0.5, node="redis-1")
    assert conversation.say('ECHO "a b"') == b"+PONG\r\n"
    assert said == [b"*2\r\n$4\r\nECHO\r\n$3\r\na b\r\n"]
    frames = conversation.recorder.recording.frames
    assert [frame.state["side"] for frame in frames] == ["request", "reply"]
    assert frames[0].state["label"] == 'ECHO "a b"'
    with pytest.raises(ValueError, match="Invalid"):
        conversation.say('GET "a')
    with pytest.raises(ValueError, match="empty"):
        conversation.say("  ")
