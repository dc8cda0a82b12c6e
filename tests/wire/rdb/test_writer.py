"""What is written comes back, in chunks of bounded size."""

from random import Random

import pytest

from redislab.wire.rdb.faults import RdbError
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.payload import (
    FOOTER_BYTES,
    is_sound,
    read_sources,
    read_value,
    seal,
    write_libraries,
)
from redislab.wire.rdb.strings import length as write_length
from redislab.wire.rdb.strings import read_length, read_string
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
