"""A whole file: read in any pieces, cut and damaged anywhere."""

from dataclasses import replace
from random import Random
from struct import pack

import pytest

from redislab.wire.rdb.faults import Ending, RdbError
from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.reader import RdbReader
from redislab.wire.rdb.streams import (
    ConsumerData,
    GroupData,
    NodeData,
    StreamData,
    write_stream,
)
from redislab.wire.rdb.strings import length, string
from redislab.wire.rdb.writer import aux, database_head, key_head
from tests.wire.rdb.handmade import OLD_ENCODINGS, Recorder, blob, file_of, intset, key_of, read

AT_MS = 1_700_000_000_000
STREAM = StreamData(
    [
        NodeData(
            (5, 1),
            [b"a", b"1"],
            [
                ((5, 1), [b"a", b"x", b"1", b"2"]),
                ((5, 3), [b"other", b"y"]),
                ((7, 0), [b"a", b"z" * 80, b"1", b""]),
            ],
        ),
        NodeData((8, 0), [], [((8, 0), [])]),
    ],
    length=4,
    last=(9, 9),
    first=(5, 1),
    max_deleted=(9, 9),
    entries_added=5,
    groups=[
        GroupData(b"empty", (0, 0), None),
        GroupData(
            b"g",
            (7, 0),
            3,
            {(5, 1): (AT_MS, 1), (5, 3): (AT_MS + 1, 400)},
            [ConsumerData(b"idle", AT_MS, []), ConsumerData(b"c", AT_MS, [(5, 1), (5, 3)])],
        ),
    ],
)
STREAM_BODY = b"".join(write_stream(STREAM, STREAM.nodes, len(STREAM.nodes)))
LIBRARY = b"#!lua name=lib\nredis.register_function('f', function() return 1 end)"


def everything() -> bytes:
    """A file with one of all there is."""
    old = [key_of(kind, body, name.encode()) for name, (kind, body, _) in OLD_ENCODINGS.items()]
    return file_of(
        aux(b"redis-ver", b"7.0.15"),
        aux(b"ctime", b"1700000000"),
        b"\xf5" + string(LIBRARY),
        database_head(0, len(old) + 4, 2),
        *old,
        key_head(Type.STRING, b"plain", None, None, None) + string(b"text"),
        key_head(Type.STRING, b"expires", AT_MS, None, None) + string(b"-70000"),
        key_head(Type.STRING, b"idle", AT_MS, 9000, None) + string(b"100"),
        key_head(Type.STRING, b"used", None, None, 200) + blob(b"y" * 200),
        key_head(Type.LIST, b"nothing", None, None, None) + length(0),
        b"\xfd" + pack("<i", 1_700_000_000) + key_of(Type.STRING, b"\xc3\x05\x14\x00a\xe0\x0a\x00"),
        database_head(3, 1, 0),
        key_of(Type.STREAM_LISTPACKS_2, STREAM_BODY, b"stream"),
    )


EVERYTHING = everything()


@pytest.fixture(scope="module")
def told() -> list:
    return read(EVERYTHING).told


def test_all_is_told(told):
    keys = {item[1]: item for item in told if item[0] == "key"}
    for name, (kind, _, value) in OLD_ENCODINGS.items():
        assert keys[name.encode()][2:4] == (kind, value), name
    assert keys[b"plain"][2:] == (Type.STRING, b"text", None, None, None)
    assert keys[b"expires"][2:] == (Type.STRING, b"-70000", AT_MS, None, None)
    assert keys[b"idle"][2:] == (Type.STRING, b"100", AT_MS, 9000, None)
    assert keys[b"used"][2:] == (Type.STRING, b"y" * 200, None, None, 200)
    assert keys[b"k"][2:] == (Type.STRING, b"a" * 20, AT_MS, None, None)
    others = [item for item in told if item[0] != "key"]
    assert others == [
        ("aux", b"redis-ver", b"7.0.15"),
        ("aux", b"ctime", b"1700000000"),
        ("library", LIBRARY),
        ("select", 0),
        ("resize", len(OLD_ENCODINGS) + 4, 2),
        ("empty", b"nothing"),
        ("select", 3),
        ("resize", 1, 0),
    ]


def test_a_stream_comes_back(told):
    found = told[-1][3]
    nodes = [replace(node, last=(0, 0), size=0) for node in found.nodes]
    assert replace(found, nodes=nodes) == STREAM
    assert [node.last for node in found.nodes] == [(7, 0), (8, 0)]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 1000])
def test_pieces_make_no_difference(piece, told):
    assert [item[:4] for item in read(EVERYTHING, piece).told] == [item[:4] for item in told]


def test_cut_anywhere_it_is_short():
    wrong = []
    for cut in range(len(EVERYTHING)):
        for piece in (1 << 16, 13):
            with pytest.raises(RdbError) as caught:
                read(EVERYTHING[:cut], piece)
            if not caught.value.short or not 0 <= caught.value.offset <= cut:
                wrong.append((cut, caught.value, caught.value.offset))
    assert wrong == []


def test_nothing_is_read_twice_where_little_comes_at_a_time():
    reader = RdbReader(Recorder())
    for place in range(len(EVERYTHING)):
        reader.feed(EVERYTHING[place : place + 1])
        assert reader.offset <= place + 1
    assert reader.done
    assert reader.rest == b""


def test_what_stands_behind_is_left():
    reader = RdbReader(Recorder())
    reader.feed(EVERYTHING + b"*1\r\n")
    reader.feed(b"$4\r\nPING\r\n")
    assert reader.done
    assert reader.rest == b"*1\r\n$4\r\nPING\r\n"


def test_a_flipped_bit_is_found():
    missed = []
    for place in range(9, len(EVERYTHING) - 8):
        damaged = bytearray(EVERYTHING)
        damaged[place] ^= 1 << place % 8
        try:
            read(bytes(damaged))
        except RdbError:
            continue
        missed.append(place)
    assert missed == []


def test_damage_without_checksum_raises_nothing_else():
    random = Random(11)
    offsets = []
    for _ in range(4000):
        damaged = bytearray(EVERYTHING[:-8] + bytes(8))
        for _ in range(random.randrange(1, 5)):
            damaged[random.randrange(9, len(damaged) - 8)] = random.randrange(256)
        try:
            read(bytes(damaged), random.choice([1 << 16, 50]))
        except RdbError as error:
            offsets.append(error.offset)
    assert 1000 < len(offsets) < 3900
    assert min(offsets) >= 0


FAULTS = {
    "signature": (b"RUDIS0010", "Wrong signature trying to load DB from file", 9),
    "version": (b"REDIS0011", "Can't handle RDB format version 11", 9),
    "no version": (b"REDISabcd", "Can't handle RDB format version 0", 9),
    "type": (file_of(key_of(30, b"")), "Unknown RDB encoding type 30", 10),
    "type 8": (file_of(key_of(8, b"")), "Unknown RDB encoding type 8", 10),
    "length": (file_of(key_of(1, b"\x85")), "Unknown length encoding 2 in rdbLoadLen()", 13),
    "string": (file_of(key_of(0, b"\xc9")), "Unknown RDB string encoding type 9", 13),
    "lzf": (file_of(key_of(0, b"\xc3\x01\x05a")), "Invalid LZF compressed string", 16),
    "twice in a set": (
        file_of(key_of(2, length(2) + 2 * string(b"a"))),
        "Duplicate set members detected",
        17,
    ),
    "twice in a hash": (
        file_of(key_of(4, length(2) + 4 * string(b"a"))),
        "Hash with dup elements",
        21,
    ),
    "twice in a zset": (
        file_of(key_of(5, length(2) + 2 * (string(b"a") + bytes(8)))),
        "Duplicate zset fields detected",
        33,
    ),
    "nan": (
        file_of(key_of(5, length(1) + string(b"a") + pack("<d", float("nan")))),
        "Zset with NAN score detected",
        23,
    ),
    "intset": (file_of(key_of(11, blob(intset(2, 1)))), "Intset integrity check failed.", 25),
    "listpack": (file_of(key_of(16, blob(b"abc"))), "Hash listpack integrity check failed.", 16),
    "node": (file_of(key_of(18, length(1) + b"\3")), "Quicklist integrity check failed.", 14),
    "database": (
        file_of(b"\xfe\x10"),
        (
            "FATAL: Data file was created with a Redis server configured to handle more than 16 "
            "databases. Exiting"
        ),
        11,
    ),
    "module": (
        file_of(key_of(7, b"\x81" + (0x123456789ABCDE00).to_bytes(8, "big"))),
        "The RDB file contains module data I can't load: no matching module type 'EjRWeJq83'",
        21,
    ),
    "module's data": (
        file_of(b"\xf7\x81" + (0x123456789ABCDE00).to_bytes(8, "big") + b"\x02\x01"),
        "The RDB file contains AUX module data I can't load: no matching module 'EjRWeJq83'",
        21,
    ),
    "library": (file_of(b"\xf5" + string(b"x")), "Unexpected EOF reading RDB file", 12),
    "checksum": (
        file_of(aux(b"a", b"b"))[:-1] + b"\1",
        "RDB CRC error",
        len(file_of(aux(b"a", b"b"))),
    ),
}


@pytest.mark.parametrize("piece", [1, 1 << 16])
@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named_and_placed(name, piece):
    data, reason, offset = FAULTS[name]
    with pytest.raises(RdbError) as caught:
        read(data, piece, databases=16)
    assert (caught.value.reason, caught.value.offset) == (reason, offset)
    assert not caught.value.short


def test_refused_versions_end_in_another_way():
    with pytest.raises(RdbError) as caught:
        read(b"REDIS0099")
    assert caught.value.ending is Ending.REFUSED


def test_old_versions_have_no_checksum():
    body = b"REDIS0003" + key_of(Type.STRING, string(b"v")) + b"\xff"
    assert read(body).keys == {b"k": b"v"}


def test_a_file_without_checksum_is_taken():
    reader = RdbReader(Recorder())
    reader.feed(file_of(key_of(Type.STRING, string(b"v")), sealed=False))
    assert reader.done
    assert reader.unchecked


def test_libraries_of_the_release_candidates():
    old = b"\xf6" + string(b"lib") + string(b"LUA") + length(1) + string(b"text") + string(b"code")
    assert read(file_of(old)).told == [("library", b"#!LUA name=lib\ncode")]


def test_a_large_value_comes_in_many_steps():
    members = [b"member:%d" % number for number in range(20_000)]
    body = length(len(members)) + b"".join(map(string, members))
    data = file_of(key_of(Type.SET, body))
    reader = RdbReader(recorder := Recorder())
    for start in range(0, len(data), 5000):
        reader.feed(data[start : start + 5000])
        # Nothing waits for the end of the value but its last, incomplete element.
        assert reader.offset > min(start + 5000, len(data)) - 20
    assert list(recorder.keys[b"k"]) == members
