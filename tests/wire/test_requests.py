"""The parser of requests: the same commands whichever way and in whichever pieces they come."""

from __future__ import annotations

from random import Random

import pytest

from redislab.wire import requests
from redislab.wire.requests import ProtocolError, RequestParser
from redislab.wire.resp import request


def encoded(*words: bytes) -> bytes:
    """A command as a client sends it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def outcome(parser: RequestParser, pieces: list[bytes]) -> tuple[list[list[bytes]], str]:
    """The commands that come out of these pieces, and the protocol error that ends them."""
    commands: list[list[bytes]] = []
    try:
        for piece in pieces:
            commands += parser.feed(piece)
    except ProtocolError as broken:
        message, before = broken.args
        return commands + before, message
    return commands, ""


def by_hand(data: bytes) -> tuple[list[list[bytes]], str]:
    """What the parser written in Python alone makes of it."""
    parser = RequestParser()
    parser._reader = None
    return outcome(parser, [data])


def random_word(random: Random) -> bytes:
    kind = random.randrange(5)
    if kind == 0:
        return random.choice([b"", b"\r\n", b"$", b"\r", b"\n", b"*1\r\n", b"$3\r\nabc\r\n", b"-1"])
    if kind == 1:
        return random.randbytes(random.randrange(200))
    return random.choice([b"SET", b"key", b"value", b"123456"])


@pytest.mark.parametrize("seed", range(40))
def test_pieces_and_parsers_make_no_difference(seed):
    random = Random(seed)
    commands = [
        [random_word(random) for _ in range(random.randrange(1, 6))]
        for _ in range(random.randrange(1, 20))
    ]
    data = b"".join(encoded(*words) for words in commands)
    places = sorted(random.randrange(len(data)) for _ in range(random.randrange(6)))
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    expected = (commands, "")
    assert by_hand(data) == expected
    assert outcome(RequestParser(), [data]) == expected
    assert outcome(RequestParser(), pieces) == expected
    assert outcome(RequestParser(), [data[i : i + 1] for i in range(len(data))]) == expected


@pytest.mark.parametrize("seed", range(20))
def test_a_large_pipeline_in_pieces(seed):
    random = Random(seed)
    commands = [
        [random_word(random) if random.random() < 0.02 else b"x" * random.randrange(60)] * 3
        for _ in range(2000)
    ]
    data = b"".join(encoded(*words) for words in commands)
    end = b"*1\r\n+PING\r\n" if seed % 2 else b""
    message = "Protocol error: expected '$', got '+'" if seed % 2 else ""
    pieces, rest = [], data + end
    while rest:
        size = random.choice([1, 100, 16_384, 65_536])
        pieces, rest = [*pieces, rest[:size]], rest[size:]
    assert outcome(RequestParser(), pieces) == (commands, message)


@pytest.mark.parametrize("seed", range(10))
def test_it_counts_the_bytes_of_what_is_not_whole(seed):
    random = Random(seed)
    commands = [[random_word(random)] * random.randrange(1, 4) for _ in range(50)]
    data = b"".join(encoded(*words) for words in commands)
    parser, fed, whole = RequestParser(), 0, 0
    while fed < len(data):
        piece = data[fed : fed + random.randrange(1, 400)]
        fed += len(piece)
        whole += sum(len(encoded(*words)) for words in parser.feed(piece))
        assert parser.unfinished == fed - whole
    assert parser.unfinished == 0


# Other RESP types in the place of bulk strings, with payloads that make up for the signs they lack.
CRAFTED = [
    b"*2\r\n+a\r\n$4\r\n\r\n$x\r\n",
    b"*2\r\n+a$b\r\n$3\r\na\rb\r\n",
    b"*2\r\n:5\r\n$2\r\n\r$\r\n",
    b"*2\r\n*0\r\n$4\r\na\r$b\r\n",
    b"*1\r\n$2\r\n\rx\r\n$1\r\na\r\n",
    b"*1\r\n$-1\r\n",
    b"*-1\r\n",
    b"*2\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n",
    b"*1\r\n=7\r\ntxt:$ab\r\n",
    b"*1\r\n,1.5\r\n",
    b"*1\r\n_\r\n",
    b"%1\r\n$1\r\na\r\n$1\r\nb\r\n",
    b"*0\r\n*1\r\n$4\r\nPING\r\n",
    b"*1\r\n$4\r\nPING\r\n+PING\r\n",
    b"*1\r\n$4\r\nPING\r\n:1\r\n",
    b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPI",
    b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
    b"*1000000000\r\n",
    b"*1\r\n$4\r\nPING\r\n*2147483648\r\n",
]


@pytest.mark.parametrize("data", CRAFTED)
def test_no_other_type_passes_for_a_bulk_string(data):
    assert outcome(RequestParser(), [data]) == by_hand(data)


# The same commands in other words than `resp.request` has for them, as far as they are read at all.
OTHER_FORMS = [
    b"PING\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"* 1\r\n$4\r\nPING\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$+4\r\nPING\r\n",
    b"*1\r\n$ 4\r\nPING\r\n",
    b"*2\r\n$4\r\nPING\r\n$-0\r\n\r\n",
    b"*2\r\n$4\r\nPING\r\n$00\r\n\r\n",
    b"*1\r\n$4\r\nPING\r\n\r\n",
    b"*1\r\n$4\r\nPINGxx",
]


@pytest.mark.parametrize("start", [b"", b"*0\r\n", b"*0\r", b"*1\r\n$4\r\nPI", b"SET a"])
def test_what_is_called_canonical_is(start):
    canonical = encoded(b"SET", b"key", b"") + encoded(b"GET", b"key")
    big = encoded(b"SET", b"key", b"x" * 20_000) + b"*1\r\n$4\r\nPI"
    for chunk in [canonical, big, *CRAFTED, *OTHER_FORMS]:
        parser = RequestParser()
        outcome(parser, [start] if start else [])
        commands, broken = outcome(parser, [chunk])
        assert not parser.canonical or (b"".join(map(request, commands)), broken) == (chunk, "")
        if requests.Reader is not None:
            whole_before = start in {b"", b"*0\r\n"}
            assert parser.canonical == (whole_before and chunk == canonical)
    parser = RequestParser()
    parser._reader = None
    assert outcome(parser, [canonical])[0]
    assert not parser.canonical


@pytest.mark.parametrize("seed", range(40))
def test_damaged_requests_are_read_alike(seed):
    random = Random(seed)
    whole = b"".join(
        encoded(*(random_word(random) for _ in range(random.randrange(1, 4)))) for _ in range(5)
    )
    for _ in range(20):
        data = bytearray(whole)
        for _ in range(random.randrange(1, 4)):
            data[random.randrange(len(data))] = random.choice(b"*$+-:\r\n0123456789a")
        assert outcome(RequestParser(), [bytes(data)]) == by_hand(bytes(data)), bytes(data)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"PING\r\n", [[b"PING"]]),
        (b"PING\r\nSET a  1\n\r\n GET a \r\n", [[b"PING"], [b"SET", b"a", b"1"], [b"GET", b"a"]]),
        (b'SET a "x y"\r\n', [[b"SET", b"a", b"x y"]]),
        (b"SET a x\x0by\r\n", [[b"SET", b"a", b"x\x0by"]]),
        (b"PING\r\nSET a", [[b"PING"]]),
        (b"\r\n", []),
    ],
)
def test_inline_requests(line, words):
    assert outcome(RequestParser(), [line]) == (words, "")
    assert outcome(RequestParser(), [line[i : i + 1] for i in range(len(line))]) == (words, "")


def test_an_inline_request_and_an_array_in_one_chunk():
    data = b"PING\r\n" + encoded(b"GET", b"a") + b"PING\r\n"
    assert outcome(RequestParser(), [data]) == ([[b"PING"], [b"GET", b"a"], [b"PING"]], "")


@pytest.mark.skipif(requests.Reader is None, reason="hiredis is not installed")
def test_the_reader_goes_on_after_a_chunk_it_could_not_read():
    parser = RequestParser()
    first = encoded(b"SET", b"a", b"\r\n")
    assert parser.feed(first) == [[b"SET", b"a", b"\r\n"]]
    assert parser.feed(first[:10]) == []
    assert parser.feed(first[10:]) == [[b"SET", b"a", b"\r\n"]]
    assert parser.feed(encoded(b"PING")) == [[b"PING"]]
