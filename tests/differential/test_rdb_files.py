"""Whole files: what a real server writes is read here, and what is written here, there."""

from __future__ import annotations

from random import Random

import pytest

from redislab.engine.keyspace import Engine
from redislab.engine.rdbload import RdbLoader
from redislab.engine.rdbsave import rdb_chunks
from redislab.server.digest import dataset_digest
from redislab.wire.rdb import lzf
from redislab.wire.rdb.opcodes import Type
from redislab.wire.replies import Reply
from tests.differential.rdb_files import (
    CONFIGURATIONS,
    LIBRARY,
    NOW_MS,
    Talk,
    checked,
    load,
    real_with,
    saved_by_real,
)
from tests.servers import our_server
from tests.wire.rdb.handmade import OLD_ENCODINGS, file_of, key_of, read

pytestmark = pytest.mark.redis

# What 7.0 writes; the others are of older versions, and made by hand below.
WRITTEN_TYPES = {
    *(Type.STRING, Type.SET, Type.ZSET_2, Type.HASH, Type.SET_INTSET, Type.HASH_LISTPACK),
    *(Type.ZSET_LISTPACK, Type.LIST_QUICKLIST_2, Type.STREAM_LISTPACKS_2),
}
FACTS = {"redis-ver": "7.0.15", "redis-bits": 64, "ctime": NOW_MS // 1000, "aof-base": 0}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, tuple[bytes, bytes]]:
    """By configuration, the file that a real server wrote and the digest of its data."""
    return {
        name: saved_by_real(tmp_path_factory.mktemp("real"), *options)
        for name, options in CONFIGURATIONS.items()
    }


def streams_of(talk: Talk) -> dict[str, Reply]:
    """All there is to know of the streams."""
    names = ("stream", "emptied", "groups only", "large entries")
    found = {}
    for name in names:
        reply = talk("XINFO", "STREAM", name, "FULL", "COUNT", 0)
        assert isinstance(reply, Reply)
        found[name] = reply
    return found


def expiries_of(talk: Talk) -> dict[bytes, object]:
    keys = talk("KEYS", "*")
    assert isinstance(keys, Reply)
    assert keys.items is not None
    return {key.text: talk("PEXPIRETIME", key.text) for key in keys.items if key.text is not None}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_files_of_a_real_server_are_read(name, files):
    data, digest = files[name]
    engine, loader = load(data)
    assert dataset_digest(engine).hex().encode() == digest
    assert sorted(loader.libraries) == [LIBRARY % (each, each) for each in (b"one", b"two")]
    assert loader.facts[b"redis-ver"] == b"7.0.15"
    assert loader.reader.unchecked == (name == "without checksum")


def test_the_files_have_every_type_that_is_written(files):
    kinds = {item[2] for data, _ in files.values() for item in read(data).told if item[0] == "key"}
    assert kinds == WRITTEN_TYPES


@pytest.mark.parametrize("piece", [1, 100, 5000])
def test_pieces_make_no_difference(piece, files):
    data, digest = files["default"]
    engine, _ = load(data, piece)
    assert dataset_digest(engine).hex().encode() == digest


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_is_written_here_is_read_there(name, files, tmp_path):
    data, digest = files[name]
    engine, loader = load(data)
    if CONFIGURATIONS[name][-2:] != ("--rdbcompression", "no"):
        engine.compress = lzf.compress
    if name in {"lru", "lfu"}:
        engine.maxmemory_policy = f"allkeys-{name}"
    ours = b"".join(rdb_chunks(engine, FACTS, loader.libraries))
    code, lines = checked(tmp_path, ours)
    assert (code, lines[-4]) == (0, f"[offset {len(ours)}] \\o/ RDB looks OK! \\o/"), lines
    if name in {"default", "without checksum", "lru", "lfu"}:  # with our limits
        assert len(ours) == pytest.approx(len(data), rel=0.01)
    with real_with(tmp_path, ours) as there, Talk(there) as talk:
        assert talk("DEBUG", "DIGEST") == digest
        again = streams_of(talk), expiries_of(talk)
    with real_with(tmp_path, data) as there, Talk(there) as talk:
        assert again == (streams_of(talk), expiries_of(talk))
        assert talk("DEBUG", "DIGEST") == digest


@pytest.mark.parametrize("name", ["default", "nothing packed", "all packed"])
def test_encodings_after_loading(name, files, tmp_path):
    """Every key gets the encoding here that it gets there, under the same limits."""
    data, _ = files[name]
    different = []
    with (
        real_with(tmp_path, data, *CONFIGURATIONS[name]) as there,
        our_server(*CONFIGURATIONS[name]) as here,
        Talk(there) as real,
        Talk(here) as ours,
    ):
        for key in expiries_of(real):
            ours("RESTORE", key, 0, real("DUMP", key))
            encodings = real("OBJECT", "ENCODING", key), ours("OBJECT", "ENCODING", key)
            if len(set(encodings)) > 1:
                different.append((key, encodings))
    assert different == []


def test_idle_times_and_frequencies_are_kept(files, tmp_path):
    for name, question in (("lru", "IDLETIME"), ("lfu", "FREQ")):
        data, _ = files[name]
        engine, _ = load(data)
        engine.maxmemory_policy = f"allkeys-{name}"
        (told,) = [item for item in read(data).told if item[:2] == ("key", b"long set")]
        assert told[5 if name == "lru" else 6] is not None
        engine.uses.restore(engine.databases[0], b"long set", 777, 77)
        ours = b"".join(rdb_chunks(engine, {}))
        with real_with(tmp_path, ours, *CONFIGURATIONS[name]) as there, Talk(there) as talk:
            found = talk("OBJECT", question, "long set")
        assert found is not None
        assert int(found) in {777, 778, 779, 77}


@pytest.mark.parametrize("name", OLD_ENCODINGS)
def test_old_encodings_are_read_as_a_real_server_reads_them(name, tmp_path):
    kind, body, _ = OLD_ENCODINGS[name]
    data = file_of(key_of(kind, body), version=9)
    engine, _ = load(data)
    with real_with(tmp_path, data) as there, Talk(there) as talk:
        assert talk("DEBUG", "DIGEST") == dataset_digest(engine).hex().encode()


def test_expired_keys(tmp_path):
    """A master leaves them out, a replica keeps them for its master to delete."""
    engine = Engine(16, lambda: NOW_MS, Random(0))
    engine.databases[0].values.update({b"gone": b"x", b"stays": b"y", b"edge": b"z"})
    engine.databases[0].expires.update({b"gone": NOW_MS - 1, b"edge": NOW_MS})
    data = b"".join(rdb_chunks(engine, FACTS))
    left: list[bytes] = []
    for keep, expected in ((True, [b"gone", b"stays", b"edge"]), (False, [b"stays", b"edge"])):
        fresh = Engine(16, lambda: NOW_MS, Random(0))
        loader = RdbLoader(
            fresh, keep_expired=keep, on_expired=lambda _database, key: left.append(key)
        )
        loader.feed(data)
        assert list(fresh.databases[0].values) == expected
        assert (loader.loaded, loader.expired) == (len(expected), 3 - len(expected))
    assert left == [b"gone"]
    with real_with(tmp_path, data) as there, Talk(there) as talk:
        assert talk("DBSIZE") == b"1"
