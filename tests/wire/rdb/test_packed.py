"""The compact encodings and LZF, whole and damaged."""

from random import Random

import pytest

from redislab.wire.rdb import lzf, packed, packing
from tests.wire.rdb import handmade

NUMBERS = sorted(
    {
        sign * (1 << bits) + off
        for bits in (0, 6, 7, 12, 13, 15, 16, 23, 24, 31, 32, 62, 63)
        for off in (-1, 0, 1)
        for sign in (1, -1)
        if -(1 << 63) <= sign * (1 << bits) + off < 1 << 63
    }
)
SIZES = (0, 1, 62, 63, 64, 65, 125, 126, 127, 128, 4094, 4095, 4096, 16376, 16380, 16384, 2097150)


def listpack_of(*elements: bytes | int) -> bytes:
    encoded = [
        packing.integer(element) if isinstance(element, int) else packing.element(element)
        for element in elements
    ]
    return packing.listpack_of(encoded)


def test_listpack_of_integers():
    assert packed.listpack(listpack_of(*NUMBERS)) == [b"%d" % number for number in NUMBERS]


def test_listpack_of_strings():
    texts = [b"y" * size for size in SIZES]
    assert packed.listpack(listpack_of(*texts)) == texts


def test_digits_become_integers_and_others_stay_strings():
    texts = [b"12", b"-12", b"012", b"+1", b" 1", b"1_0", b"", b"-0", b"%d" % (1 << 63), b"1.0"]
    blob = listpack_of(*texts)
    assert packed.listpack(blob) == texts
    assert blob[6:8] == b"\x0c\x01"


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "00"), (127, "7f"), (128, "0180"), (16382, "7ffe"), (16383, "00ffff"),
        (16384, "018080"), (2097151, "00ffffff"), (268435455, "00ffffffff"),
        (1 << 28, "0180808080"),
    ],
)  # fmt: skip
def test_length_behind_an_element(length, expected):
    assert packed.back_length(length).hex() == expected


def test_more_elements_than_the_header_can_count():
    blob = listpack_of(*range(70_000))
    assert blob[4:6] == b"\xff\xff"
    assert packed.listpack(blob) == [b"%d" % number for number in range(70_000)]


def test_ziplist():
    numbers = [number for number in NUMBERS if number >= -(1 << 63)]
    texts = [b"t" * size for size in (0, 63, 64, 252, 253, 254, 16383, 16384, 3)]
    found = packed.ziplist(handmade.ziplist(*numbers, *texts))
    assert found == [b"%d" % number for number in numbers] + texts


def test_zipmap():
    words = [b"a", b"1", b"", b"", b"l" * 253, b"m" * 254, b"n" * 400, b"o"]
    for unused in (0, 1, 255):
        assert packed.zipmap(handmade.zipmap(*words, unused=unused)) == words


def test_intset_must_rise():
    assert packed.intset(handmade.intset(-3, 2, 8)) == [b"-3", b"2", b"8"]
    assert packed.intset(handmade.intset(3, 2)) is None
    assert packed.intset(handmade.intset(2, 2)) is None
    assert packed.intset(b"\2\0\0\0\0\0\0\0") is None


SAMPLES = {
    "listpack": (packed.listpack, listpack_of(b"abc", 5, -300, b"x" * 70, 1 << 40, b"")),
    "ziplist": (packed.ziplist, handmade.ziplist(b"abc", 5, -300, b"x" * 70, 1 << 40, b"")),
    "zipmap": (packed.zipmap, handmade.zipmap(b"abc", b"d", b"e", b"x" * 70, unused=2)),
    "intset": (packed.intset, handmade.intset(-300, 5, 70_000)),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_cut_anywhere_it_is_none(name):
    unpack, blob = SAMPLES[name]
    assert unpack(blob) is not None
    assert [cut for cut in range(len(blob)) if unpack(blob[:cut]) is not None] == []
    assert unpack(blob + b"\xff") is None


@pytest.mark.parametrize("name", SAMPLES)
def test_damaged_anywhere_it_is_none_or_other_elements(name):
    unpack, blob = SAMPLES[name]
    whole = unpack(blob)
    for place in range(len(blob)):
        for bit in range(8):
            damaged = bytearray(blob)
            damaged[place] ^= 1 << bit
            found = unpack(bytes(damaged))
            # What is not needed to find the elements may change: the bytes a zipmap does not use.
            assert found is None or found != whole or name == "zipmap"


@pytest.mark.parametrize("name", SAMPLES)
def test_garbage_raises_nothing(name):
    unpack, blob = SAMPLES[name]
    random = Random(name)
    for _ in range(3000):
        garbage = bytearray(
            blob if random.random() < 0.5 else random.randbytes(random.randrange(60))
        )
        for _ in range(random.randrange(1, 6)):
            if garbage:
                garbage[random.randrange(len(garbage))] = random.randrange(256)
        found = unpack(bytes(garbage))
        assert found is None or all(type(element) is bytes for element in found)


# What liblzf makes of texts: literals, a short copy, one that overlaps itself, a long one.
LZF = [
    ("00 61 e0 0a 00", b"a" * 20),
    ("02 61 62 63 e0 05 02", b"abc" * 5 + b"ab"),
    ("04 68 65 6c 6c 6f", b"hello"),
]


@pytest.fixture(params=["as installed", "in Python"])
def decompress(request):
    return lzf.decompress if request.param == "as installed" else lzf.decompress_in_python


@pytest.mark.parametrize(("packed_hex", "text"), LZF)
def test_lzf(decompress, packed_hex, text):
    data = bytes.fromhex(packed_hex)
    assert decompress(data, len(text)) == text
    assert decompress(data, len(text) + 1) is None
    assert decompress(data, len(text) - 1) is None
    for cut in range(len(data)):
        assert decompress(data[:cut], len(text)) is None


def test_lzf_reaches_before_the_start(decompress):
    assert decompress(b"\x00a\x20\x05", 4) is None


def test_lzf_garbage_raises_nothing(decompress):
    random = Random(3)
    for _ in range(3000):
        found = decompress(random.randbytes(random.randrange(1, 40)), random.randrange(100))
        assert found is None or type(found) is bytes


def test_lzf_in_c_says_what_ours_says():
    if lzf.decompress is lzf.decompress_in_python:
        pytest.skip("python-neo-lzf is not installed (extra fast)")
    random = Random(4)
    known = 0
    for _ in range(20_000):
        few = random.choice((4, 64, 256))
        data = bytes(random.randrange(few) for _ in range(random.randrange(12)))
        for size in (random.randrange(40), *range(3, 12)):
            found = lzf.decompress(data, size)
            known += found is not None
            assert found == lzf.decompress_in_python(data, size), (data, size)
    assert known > 1000
