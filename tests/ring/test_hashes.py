"""The twelve hashes: values that others publish, the slips that have to stay, and many at once."""

import zlib
from random import Random

import pytest

from redislab.ring import vectors
from redislab.ring.hashes import BY_CHARACTERS, BY_WORDS, HASHES, hash_named

PUBLISHED = {
    # RFC 1321; the first word, lowest byte first.
    ("md5", b"abc"): int.from_bytes(bytes.fromhex("90015098"), "little"),
    # The check values of the catalogs of CRCs, of the digits 1 to 9.
    ("crc32a", b"123456789"): 0xCBF43926,
    # The vectors of FNV's authors.
    ("fnv1a_32", b"foobar"): 0xBF9CF968,
    ("fnv1_32", b"foobar"): 0x31F0B262,
    ("fnv1a_64", b"foobar"): 0x85944171F73967E8 & 0xFFFFFFFF,
    ("fnv1_64", b"foobar"): 0x340D8765A4DDA9C2 & 0xFFFFFFFF,
    ("one_at_a_time", b"a"): 0xCA2E9442,
    ("one_at_a_time", b"The quick brown fox jumps over the lazy dog"): 0x519E91F5,
}


def lengths():
    """Every length up to some, and around the bounds at which many keys are treated otherwise."""
    return [*range(1, 41), 254, 255, 256, 257, 258, 1000]


def some_keys(seed=5, each=40):
    random = Random(seed)
    keys = [random.randbytes(length) for length in lengths() for _ in range(each)]
    keys += [b"", b"\0", b"\0\0", b"a\0", b"a\0\0"] * 30
    random.shuffle(keys)
    return keys


def test_there_are_twelve_in_the_order_of_nutcracker():
    assert list(HASHES) == [
        *("one_at_a_time", "md5", "crc16", "crc32", "crc32a", "fnv1_64", "fnv1a_64", "fnv1_32"),
        *("fnv1a_32", "hsieh", "murmur", "jenkins"),
    ]


@pytest.mark.parametrize(("name", "key"), PUBLISHED)
def test_values_that_others_publish(name, key):
    assert HASHES[name](key) == PUBLISHED[name, key]


def test_the_low_half_of_crc16_is_the_crc_of_xmodem_and_the_rest_is_kept():
    value = HASHES["crc16"](b"123456789")
    assert value & 0xFFFF == 0x31C3
    assert value >> 16


def test_crc32_is_fifteen_bits_of_it():
    assert HASHES["crc32"](b"key") == zlib.crc32(b"key") >> 16 & 0x7FFF


@pytest.mark.parametrize("name", ["one_at_a_time", "fnv1_64", "fnv1a_64", "fnv1_32", "fnv1a_32"])
def test_a_byte_of_128_or_more_is_a_negative_number(name):
    kernel = BY_CHARACTERS[name]
    assert HASHES[name](b"\x80a\xff") == kernel([-128, 97, -1]) & 0xFFFFFFFF
    assert HASHES[name](b"\x80a\xff") != kernel([128, 97, 255]) & 0xFFFFFFFF


def test_every_hash_fits_32_bits():
    keys = some_keys(each=3)
    assert all(0 <= function(key) < 2**32 for function in HASHES.values() for key in keys)


@pytest.mark.parametrize("name", HASHES)
def test_many_at_once_are_as_one_by_one(name):
    pytest.importorskip("numpy")
    keys = some_keys()
    one_by_one = [HASHES[name](key) if key else 0 for key in keys]
    assert vectors.as_list(vectors.hashes_of(name, keys)) == one_by_one
    for few in (keys[:0], keys[:1], [b""] * 50, [b"same-length"] * 50):
        expected = [HASHES[name](key) if key else 0 for key in few]
        assert vectors.as_list(vectors.hashes_of(name, few)) == expected


@pytest.mark.parametrize("name", HASHES)
def test_without_numpy_it_is_a_list_of_the_same(name, monkeypatch):
    keys = some_keys(each=2)
    quick = vectors.as_list(vectors.hashes_of(name, keys))
    monkeypatch.setattr(vectors, "has_numpy", lambda: False)
    slow = vectors.hashes_of(name, keys)
    assert isinstance(slow, list)
    assert slow == quick


def test_more_keys_than_a_block_keep_their_order():
    keys = [b"key:%d" % number for number in range(vectors.BLOCK_KEYS * 2 + 7)]
    assert vectors.as_list(vectors.hashes_of("fnv1a_64", keys)) == [
        HASHES["fnv1a_64"](key) for key in keys
    ]


def test_only_what_can_be_done_by_columns_has_arithmetic_for_it():
    assert not BY_CHARACTERS.keys() & BY_WORDS.keys()
    assert HASHES.keys() >= BY_CHARACTERS.keys() | BY_WORDS.keys()


def test_an_unknown_hash_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'sha1' is not a valid hash; there are one_at_a_time, "):
        hash_named("sha1")
