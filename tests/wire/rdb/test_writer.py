"""What is written comes back, in chunks of bounded size."""

from random import Random

import pytest

from redislab.wire.rdb import lzf
from redislab.wire.rdb.faults import RdbError
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.packing import write_nodes
from redislab.wire.rdb.payload import (
    FOOTER_BYTES,
    is_sound,
    read_sources,
    read_value,
    seal,
    write_libraries,
)
from redislab.wire.rdb.strings import LONG, Compress, long_string, read_length, read_string, writing
from redislab.wire.rdb.strings import length as write_length
from redislab.wire.rdb.strings import string as write_string
from redislab.wire.rdb.writer import (
    CHUNK_BYTES,
    header,
    in_chunks,
    key_head,
    write_elements,
    write_pairs,
    write_scores,
)
from tests.wire.rdb.handmade import read

NUMBERS = (0, 63, 64, 16383, 16384, 2**32 - 1, 2**32, 2**64 - 1)
TEXTS = (
    *(b"", b"0", b"-1", b"127", b"128", b"-128", b"-129", b"32767", b"-32769", b"2147483647"),
    *(b"-2147483648", b"2147483648", b"01", b"+1", b" 1", b"1 ", b"-0", b"1_0", b"x" * 63),
    *(b"x" * 64, b"x" * 16383, b"x" * 16384, bytes(range(256))),
)


@pytest.mark.parametrize("number", NUMBERS)
def test_lengths(number):
    written = write_length(number)
    assert read_length(written, 0) == (number, len(written))


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:12]))
def test_strings(text):
    written = write_string(text)
    assert read_string(written, 0) == (text, len(written))
    if len(text) < 1 << 14:
        assert len(written) <= len(text) + 2


def compressor() -> Compress:
    if lzf.compress is None:
        pytest.skip("python-neo-lzf is not installed (extra fast)")
    return lzf.compress


def test_compressed_strings():
    """Only what gains by it, as little as that may be; no string is ever longer than without."""
    write, random, shorter = writing(compressor()), Random(3), 0
    for size in (*range(30), 100, 1000, 9000, 100_000):
        for letters in (b"a", b"ab", b"the quick brown fox ", bytes(range(256))):
            text = bytes(random.choices(letters, k=size))
            written = write(text)
            assert read_string(written, 0) == (text, len(written))
            assert len(written) <= len(write_string(text))
            if written[:1] == b"\xc3":
                shorter += 1
                assert size > 20
                packed, at = read_length(written, 1)
                assert packed <= size - 4
                assert lzf.decompress_in_python(written[-packed:], size) == text
                assert read_length(written, at)[0] == size
    assert shorter > 20
    assert writing(None) is write_string


@pytest.mark.parametrize("size", [LONG, LONG + 1, 2 * LONG - 1, 3 * LONG + 7])
def test_long_strings(size):
    """In small pieces, and as one string to who reads it."""
    random = Random(size)
    even, noise = b"0123456789" * (size // 10 + 1), random.randbytes(size)
    for text, compress, is_short in (
        (even[:size], compressor(), True),
        (noise, compressor(), False),
        (even[: size - LONG] + noise[:LONG], compressor(), False),
        (even[:size], None, False),
    ):
        pieces = list(long_string(text, compress))
        written = b"".join(pieces)
        assert read_string(written, 0) == (text, len(written))
        assert (len(written) < len(text) // 10) == is_short
        assert max(map(len, pieces)) < 2 * LONG


def test_long_lists():
    """A node is written when all are made; meanwhile there are empty pieces, and empty chunks."""
    texts = [b"%d" % number for number in range(20_000)]
    pieces = list(write_nodes(texts, -2, write_string))
    empty = pieces.count(b"")
    assert pieces[: empty + 1] == [b""] * empty + [write_length(empty + 1)]
    assert list(in_chunks([header(), *pieces]))[1:empty] == [b""] * (empty - 1)
    for fill, each in ((0, 1), (1, 1), (3, 3), (1000, 1000)):
        pieces = list(write_nodes(texts, fill, write_string))
        nodes = -(-len(texts) // each)
        assert pieces[nodes - 1] == write_length(nodes)
        payload = seal(bytes((Type.LIST_QUICKLIST_2,)) + b"".join(pieces))
        assert read_value(payload) == (Type.LIST_QUICKLIST_2, texts)


def test_integers_are_written_short():
    assert write_string(b"-129") == b"\xc1\x7f\xff"
    assert write_string(b"12345678901") == b"\x0b12345678901"


def test_values_of_every_size():
    random = Random(2)
    pieces = [header()]
    expected = {}
    for size in (1, 2, 511, 512, 513, 5000):
        members = list(
            dict.fromkeys(random.randbytes(random.randrange(1, 90)) for _ in range(size))
        )
        scores = {
            member: random.choice([random.random(), float("inf"), -0.0]) for member in members
        }
        for kind, body, value in (
            (Type.LIST, write_elements(members), members),
            (
                Type.SET,
                write_elements(dict.fromkeys(members)),
                dict(zip(members, range(size), strict=False)),
            ),
            (
                Type.HASH,
                write_pairs(dict(zip(members, members, strict=True)).items()),
                dict(zip(members, members, strict=True)),
            ),
            (Type.ZSET_2, write_scores(sorted((s, m) for m, s in scores.items())), scores),
        ):
            key = b"%d:%d" % (kind, size)
            pieces += [key_head(kind, key, None, None, None), *body]
            expected[key] = value
    chunks = list(in_chunks(pieces))
    assert read(b"".join(chunks)).keys == expected
    assert all(CHUNK_BYTES <= len(chunk) < 4 * CHUNK_BYTES for chunk in chunks[:-1])
    assert read(b"".join(in_chunks(pieces, checksum=False))).keys == expected


def test_a_payload():
    payload = seal(bytes((Type.HASH,)) + b"".join(write_pairs({b"f": b"v"}.items())))
    assert is_sound(payload)
    assert read_value(payload) == (Type.HASH, {b"f": b"v"})


def test_no_damaged_payload_is_sound():
    payload = seal(bytes((Type.STRING,)) + write_string(b"hello"))
    for place in range(len(payload)):
        for bit in range(8):
            damaged = bytearray(payload)
            damaged[place] ^= 1 << bit
            assert not is_sound(bytes(damaged))
        assert not is_sound(payload[:place])


def test_a_payload_of_an_unknown_version_is_not_sound():
    body = bytes((Type.STRING,)) + write_string(b"hello")
    later = seal(body)[:-FOOTER_BYTES] + b"\x0b\x00"
    assert not is_sound(later + bytes(8))


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x00\x10hell", b"\x08\x00", b"\xff", b"\x10\x00"])
def test_a_payload_without_value(body):
    with pytest.raises(RdbError):
        read_value(seal(body))


def test_libraries():
    sources = [b"#!lua name=a\n...", b"#!lua name=b\n" + b"-" * 500]
    payload = write_libraries(sources)
    assert is_sound(payload)
    assert read_sources(payload) == sources
    assert read_sources(write_libraries([])) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x00\x01a", "given type is not a function"),
        (b"\xf5\x20abc", "Failed loading library payload"),
        (b"\xf6\x20abc", "Failed loading library name"),
        (b"\xf6\x01a\x20abc", "Failed loading engine name"),
    ],
)
def test_no_libraries(body, reason):
    with pytest.raises(RdbError) as caught:
        read_sources(seal(body))
    assert caught.value.reason == reason
