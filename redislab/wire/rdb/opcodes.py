"""The numbers of the RDB format (`src/rdb.h` of Redis 7.0)."""

from __future__ import annotations

from enum import IntEnum

VERSION = 10
OLDEST_WITH_CHECKSUM = 5
MAGIC = b"REDIS"
HEADER_BYTES = 9  # the magic and four digits
CHECKSUM_BYTES = 8


class Type(IntEnum):
    """The type of a value, with its encoding."""

    STRING = 0
    LIST = 1
    SET = 2
    ZSET = 3
    HASH = 4
    ZSET_2 = 5
    MODULE = 6
    MODULE_2 = 7
    HASH_ZIPMAP = 9
    LIST_ZIPLIST = 10
    SET_INTSET = 11
    ZSET_ZIPLIST = 12
    HASH_ZIPLIST = 13
    LIST_QUICKLIST = 14
    STREAM_LISTPACKS = 15
    HASH_LISTPACK = 16
    ZSET_LISTPACK = 17
    LIST_QUICKLIST_2 = 18
    STREAM_LISTPACKS_2 = 19


class Opcode(IntEnum):
    """What may stand in a file in the place of a value's type."""

    FUNCTION_2 = 245
    FUNCTION = 246  # release candidates of 7.0 wrote it
    MODULE_AUX = 247
    IDLE = 248
    FREQUENCY = 249
    AUX = 250
    RESIZE_DB = 251
    EXPIRES_MS = 252
    EXPIRES_S = 253
    SELECT_DB = 254
    END = 255


TYPES = frozenset(Type)
SETS = frozenset({Type.SET, Type.SET_INTSET})
STREAMS = frozenset({Type.STREAM_LISTPACKS, Type.STREAM_LISTPACKS_2})
MODULES = frozenset({Type.MODULE, Type.MODULE_2})

# A length: its first two bits, or its whole first byte, tell how it is written.
LENGTH_14_BITS = 0x40
LENGTH_32_BITS = 0x80
LENGTH_64_BITS = 0x81
ENCODED = 0xC0  # no length, but a string written in another way:
STRING_INT8, STRING_INT16, STRING_INT32, STRING_LZF = 0xC0, 0xC1, 0xC2, 0xC3

# A node of a list of type LIST_QUICKLIST_2.
NODE_PLAIN, NODE_PACKED = 1, 2

MODULE_UINT = 2  # what stands before a number in a module's data

NEVER_READ = 2**64 - 1  # a group's count of entries read that is not known: -1 in 64 bits
