"""DUMP and RESTORE: payloads cross both ways, and damaged ones are refused by both."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from redislab.wire.rdb.opcodes import Type
from redislab.wire.rdb.payload import FOOTER_BYTES, seal
from redislab.wire.rdb.strings import read_length
from redislab.wire.replies import Reply
from tests.differential.rdb_files import CONFIGURATIONS, Talk, fill
from tests.servers import our_server, real_server

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def real() -> Iterator[Talk]:
    with real_server("--sanitize-dump-payload", "yes") as address, Talk(address) as talk:
        fill(talk)
        yield talk


@pytest.fixture(scope="module")
def ours() -> Iterator[Talk]:
    with our_server() as address, Talk(address) as talk:
        yield talk


def keys_of(talk: Talk) -> list[bytes]:
    reply = talk("KEYS", "*")
    assert isinstance(reply, Reply)
    return sorted(item.text for item in reply.items or () if item.text is not None)


def digest_of(talk: Talk, key: bytes) -> bytes | None:
    reply = talk("DEBUG", "DIGEST-VALUE", key)
    assert isinstance(reply, Reply)
    assert reply.items is not None
    return reply.items[0].text


def test_payloads_cross_both_ways(real, ours):
    ours("FLUSHALL")
    different = []
    keys = keys_of(real)
    for key in keys:
        ours("RESTORE", key, 0, real("DUMP", key))
        if real("PTTL", key) != b"-1":
            ours("PEXPIREAT", key, real("PEXPIRETIME", key))
        real(
            "RESTORE", b"back", real("PTTL", key).replace(b"-1", b"0"), ours("DUMP", key), "REPLACE"
        )
        real("RESTORE", b"self", 0, real("DUMP", key), "REPLACE")  # what it makes of its own
        digests = {digest_of(real, key), digest_of(real, b"back"), digest_of(ours, key)}
        encodings = {
            talk("OBJECT", "ENCODING", name)
            for talk, name in ((real, b"self"), (real, b"back"), (ours, key))
        }
        if len(digests) > 1 or len(encodings) > 1:
            different.append((key, digests, encodings))
        if real("TYPE", key) == b"stream":
            asked = ("XINFO", "STREAM", key, "FULL", "COUNT", 0)
            assert real(*asked) == real(*asked[:2], b"back", *asked[3:])
        real("DEL", b"back", b"self")
    assert different == []
    assert len(keys) > 50


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("fill_size", ["-2", "3", "-1"])
def test_payloads_are_those_of_a_real_server(compressed, fill_size):
    """All but those whose order, or whose deleted entries, depend on what Redis has in memory.

    Compressed ones are compared by their length: Redis does not clear the table by which it looks
    for what comes again, so it does not always find the same.
    """
    options = (
        *("--rdbcompression", "yes" if compressed else "no"),
        *("--list-max-listpack-size", fill_size, "--set-max-intset-entries", "5000"),
    )
    different, compared = [], set()
    with (
        real_server(*options) as there,
        our_server(*options) as here,
        Talk(there) as real,
        Talk(here) as ours,
    ):
        fill(real)
        fill(ours)
        for key in keys_of(real):
            encoding = real("OBJECT", "ENCODING", key)
            if encoding in {b"hashtable", b"stream"}:
                continue
            theirs, mine = real("DUMP", key), ours("DUMP", key)
            assert isinstance(theirs, bytes)
            assert isinstance(mine, bytes)
            compared.add(encoding)
            if not (mine == theirs or (compressed and abs(len(mine) / len(theirs) - 1) < 0.02)):
                different.append((key, encoding, theirs[:80], mine[:80]))
    assert different == []
    assert compared >= {b"raw", b"embstr", b"int", b"quicklist", b"listpack", b"skiplist"}


@pytest.mark.parametrize("name", ["nothing packed", "all packed", "uncompressed"])
def test_payloads_of_every_encoding_are_read(name, ours):
    ours("FLUSHALL")
    with real_server(*CONFIGURATIONS[name]) as address, Talk(address) as real:
        fill(real)
        different = []
        for key in keys_of(real):
            expiring = real("PTTL", key) != b"-1"
            ours("RESTORE", key, 10_000_000 if expiring else 0, real("DUMP", key))
            if digest_of(real, key) != digest_of(ours, key):
                different.append(key)
    assert different == []


def test_damaged_payloads_are_refused_by_both(real, ours):
    """Where both take one they make the same of it; what we take, Redis takes.

    It also takes some that we do not: streams whose ids fall or that count their entries wrong,
    sorted sets in which a text that is no number stands for a score, and compressed strings that
    say to be empty and are not.
    """
    random = Random(23)
    ours("FLUSHALL")
    names = [
        *(b"hash", b"zset", b"list", b"small ints", b"large ints", b"set", b"stream", b"int:40000"),
        *(b"zset of numbers", b"noise:63", b"even:300", b"emptied", b"groups only", b"large hash"),
    ]
    payloads = [real("DUMP", name) for name in names] + [
        payload for name in names if (payload := ours_of(real, ours, name)) is not None
    ]
    outcomes = {"both refuse": 0, "both take": 0, "only Redis takes": 0}
    for _ in range(3000):
        body = bytearray(random.choice(payloads)[:-FOOTER_BYTES])
        damage(body, random)
        if claims_much(body):
            continue
        words = (b"RESTORE", b"damaged", b"0", seal(bytes(body)), b"REPLACE")
        theirs, mine = real.call(*words), ours.call(*words)
        if mine.text == b"OK":
            assert theirs.text == b"OK", bytes(body)
            assert digest_of(real, b"damaged") == digest_of(ours, b"damaged"), bytes(body)
            outcomes["both take"] += 1
        elif theirs.text == b"OK":
            assert mine.text == b"ERR Bad data format"
            known = real("TYPE", b"damaged") in {b"stream", b"zset"} or b"\xc3" in body
            assert known, bytes(body)
            outcomes["only Redis takes"] += 1
        else:
            assert mine.text == theirs.text == b"ERR Bad data format", bytes(body)
            outcomes["both refuse"] += 1
    assert outcomes["both refuse"] > 1000
    assert outcomes["both take"] > 200
    assert outcomes["only Redis takes"] < 300
    assert ours("PING") == b"PONG"


def ours_of(real: Talk, ours: Talk, name: bytes) -> bytes | None:
    """Our payload of a key of the real server."""
    ours("RESTORE", name, 0, real("DUMP", name), "REPLACE")
    payload = ours("DUMP", name)
    assert isinstance(payload, bytes)
    return payload


def claims_much(body: bytearray) -> bool:
    """Whether it says to have so many elements that a real server is long busy making room."""
    data = bytes(body) + bytes(9)
    written_singly = data[0] in {Type.SET, Type.ZSET, Type.HASH, Type.ZSET_2}
    return written_singly and data[1] in {0x80, 0x81} and read_length(data, 1)[0] > 1 << 20


def damage(body: bytearray, random: Random) -> None:
    """Flip bits, change bytes, cut, and insert."""
    for _ in range(random.choice([1, 1, 2, 5])):
        if not body:
            return
        place = random.randrange(len(body))
        match random.randrange(5):
            case 0 | 1:
                body[place] ^= 1 << random.randrange(8)
            case 2:
                body[place] = random.choice([0, 1, 127, 128, 254, 255, random.randrange(256)])
            case 3:
                del body[place:]
            case _:
                body[place:place] = random.randbytes(random.randrange(1, 4))
