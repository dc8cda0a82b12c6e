"""Several clients at once: transactions, pauses, sleeping, killing, client-side caching."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redislab.wire.replies import Reply
from tests.servers import Address, Wire, our_server, real_server


@pytest.fixture(scope="module", params=["ours", pytest.param("real", marks=pytest.mark.redis)])
def server(request: pytest.FixtureRequest) -> Iterator[Address]:
    with (our_server if request.param == "ours" else real_server)() as address:
        yield address


def texts(reply: Reply) -> object:
    return [texts(item) for item in reply.items] if reply.items is not None else reply.text


def test_a_change_by_another_client_spoils_the_transaction(server: Address) -> None:
    with Wire(server) as one, Wire(server) as two:
        one.call(b"SET", b"k", b"1")
        one.call(b"WATCH", b"k")
        two.call(b"SET", b"k", b"2")
        one.call(b"MULTI")
        one.call(b"SET", b"k", b"3")
        assert one.call(b"EXEC").is_null
        assert two.call(b"GET", b"k").text == b"2"


def test_a_pause_holds_writes_back(server: Address) -> None:
    with Wire(server) as one, Wire(server) as two:
        one.call(b"SET", b"p", b"0")
        one.call(b"CLIENT", b"PAUSE", b"60000", b"WRITE")
        two.send(b"SET", b"p", b"1")
        assert one.call(b"GET", b"p").text == b"0"
        one.call(b"CLIENT", b"UNPAUSE")
        assert two.read().text == b"OK"
        assert one.call(b"GET", b"p").text == b"1"


def test_a_sleeping_node_serves_nobody_and_forgets_nothing(server: Address) -> None:
    with Wire(server) as one, Wire(server) as two:
        one.send(b"DEBUG", b"SLEEP", b"0.3")
        two.send(b"ECHO", b"a")
        two.send(b"ECHO", b"b")
        assert one.read().text == b"OK"
        assert [two.read().text, two.read().text] == [b"a", b"b"]


def test_a_killed_client_is_gone(server: Address) -> None:
    with Wire(server) as one, Wire(server) as two:
        number = two.call(b"CLIENT", b"ID").text
        assert one.call(b"CLIENT", b"KILL", b"ID", number).text == b"1"
        with pytest.raises(ConnectionError):
            two.call(b"PING")


def test_a_blocked_client_is_unblocked_with_an_error(server: Address) -> None:
    with Wire(server) as one, Wire(server) as two:
        number = two.call(b"CLIENT", b"ID").text
        two.send(b"BLPOP", b"nokey", b"0")
        while one.call(b"CLIENT", b"UNBLOCK", number, b"ERROR").text != b"1":
            pass
        assert two.read().text.startswith(b"UNBLOCKED")


def test_readers_are_told_when_their_keys_change(server: Address) -> None:
    with Wire(server, 3) as reader, Wire(server) as writer:
        reader.call(b"CLIENT", b"TRACKING", b"ON")
        reader.call(b"GET", b"cached")
        writer.call(b"SET", b"cached", b"1")
        assert texts(reader.read()) == [b"invalidate", [b"cached"]]
        writer.call(b"SET", b"cached", b"2")
        assert reader.call(b"PING").text == b"PONG"


def test_own_changes_follow_the_reply(server: Address) -> None:
    with Wire(server, 3) as client:
        client.call(b"CLIENT", b"TRACKING", b"ON")
        client.call(b"GET", b"mine")
        assert client.call(b"SET", b"mine", b"1").text == b"OK"
        assert texts(client.read()) == [b"invalidate", [b"mine"]]


def test_broadcasts_by_prefix(server: Address) -> None:
    with Wire(server, 3) as listener, Wire(server) as writer:
        listener.call(b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", b"user:")
        writer.call(b"SET", b"other", b"1")
        writer.call(b"SET", b"user:1", b"1")
        assert texts(listener.read()) == [b"invalidate", [b"user:1"]]


def test_invalidations_go_to_another_client(server: Address) -> None:
    with Wire(server) as reader, Wire(server) as listener, Wire(server) as writer:
        number = listener.call(b"CLIENT", b"ID").text
        listener.call(b"SUBSCRIBE", b"__redis__:invalidate")
        reader.call(b"CLIENT", b"TRACKING", b"ON", b"REDIRECT", number)
        reader.call(b"GET", b"k")
        writer.call(b"SET", b"k", b"1")
        assert texts(listener.read()) == [b"message", b"__redis__:invalidate", [b"k"]]


def test_monitor_shows_commands_without_passwords(server: Address) -> None:
    with Wire(server) as watcher, Wire(server) as client:
        watcher.call(b"MONITOR")
        client.call(b"SET", b"a\n", b'"b"')
        assert watcher.read().text.endswith(b'"SET" "a\\n" "\\"b\\""')
        client.call(b"AUTH", b"default", b"secret")
        assert watcher.read().text.endswith(b'"AUTH" "(redacted)" "(redacted)"')


def test_keyspace_events(server: Address) -> None:
    with Wire(server) as listener, Wire(server) as writer:
        writer.call(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA")
        listener.call(b"PSUBSCRIBE", b"__key*__:*")
        writer.call(b"SET", b"watched", b"1")
        heard = [texts(listener.read())[2:] for _ in range(2)]
        writer.call(b"CONFIG", b"SET", b"notify-keyspace-events", b"")
        assert heard == [[b"__keyspace@0__:watched", b"set"], [b"__keyevent@0__:set", b"watched"]]
