"""A digest of data: equal on two nodes if and only if their data is (`src/debug.c` of Redis 7.0).

It is the digest of Redis to the letter, so a node here can be compared with a real one. Parts whose
order means nothing (keys, members of a set) are mixed in with XOR, the others one after the other.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Any

from redislab.engine import fake
from redislab.engine.keyspace import Engine, Keyspace
from redislab.engine.values import HashValue, ListValue, SetValue, SortedSetValue
from redislab.wire.resp import format_double

_EMPTY = bytes(20)
_STRING, _LIST, _SET, _SORTED_SET, _HASH, _STREAM = 0, 1, 2, 3, 4, 6


def dataset_digest(engine: Engine) -> bytes:
    """The digest of all databases: 20 bytes, zeros for no data."""
    final = _EMPTY
    for db in engine.databases:
        if not len(db):
            continue
        final = _mix(final, db.index.to_bytes(4, "big"))
        for key, value in db.values.items():
            final = _xor(final, _value(db, key, value, _mix(_EMPTY, key)))
    return final


def value_digest(db: Keyspace, key: bytes) -> bytes:
    """The digest of the value at a key: zeros if there is none."""
    value = db.values.get(key)
    return _EMPTY if value is None else _value(db, key, value, _EMPTY)


def _value(db: Keyspace, key: bytes, value: Any, digest: bytes) -> bytes:
    kind = type(value)
    if kind is bytes or kind is bytearray:
        digest = _mix(_typed(digest, _STRING), value)
    elif kind is ListValue:
        digest = _typed(digest, _LIST)
        for element in value:
            digest = _mix(digest, element)
    elif kind is SetValue:
        digest = _typed(digest, _SET)
        for member in value:
            digest = _xor(digest, member)
    elif kind is SortedSetValue:
        digest = _typed(digest, _SORTED_SET)
        for member, score in value.scores.items():
            digest = _xor(digest, _mix(_mix(_EMPTY, member), format_double(score)))
    elif kind is HashValue:
        digest = _typed(digest, _HASH)
        for field, content in value.items():
            digest = _xor(digest, _mix(_mix(_EMPTY, field), content))
    else:
        digest = _typed(digest, _STREAM)
        for entry_id, fields in fake.entries(value):
            digest = _mix(digest, b"%d.%d" % entry_id)
            for word in fields:
                digest = _mix(digest, word)
    return _xor(digest, b"!!expire!!") if key in db.expires else digest


def _typed(digest: bytes, number: int) -> bytes:
    return _mix(digest, number.to_bytes(4, "big"))


def _mix(digest: bytes, data: bytes | bytearray) -> bytes:
    """Mix in something whose place matters."""
    return sha1(_xor(digest, data), usedforsecurity=False).digest()


def _xor(digest: bytes, data: bytes | bytearray) -> bytes:
    """Mix in something whose place does not matter."""
    other = sha1(data, usedforsecurity=False).digest()
    return (int.from_bytes(digest, "big") ^ int.from_bytes(other, "big")).to_bytes(20, "big")
