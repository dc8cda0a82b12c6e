"""Choosing elements at random: the common part of SRANDMEMBER, HRANDFIELD and ZRANDMEMBER.

All three take a count. A positive one asks for that many distinct elements, a negative one for that
many draws, so that elements may repeat (`t_set.c`, `t_hash.c`, `t_zset.c` of Redis 7.0).
"""

from __future__ import annotations

from random import Random

from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.values import INT64_MAX

_OUT_OF_RANGE = f"ERR value is out of range, value must between {-INT64_MAX} and {INT64_MAX}"  # sic


def parse_count(text: bytes) -> int:
    """The count, of either sign.

    Raises:
        CommandError: no integer, or the one that has no opposite in 64 bits.
    """
    count = parse_int(text)
    if count < -INT64_MAX:
        raise CommandError(_OUT_OF_RANGE)
    return count


def parse_count_and_flag(args: list[bytes], flag: bytes) -> tuple[int, bool]:
    """`key count [flag]`, the flag being WITHVALUES or WITHSCORES: the count, whether it is set."""
    count = parse_count(args[2])
    if len(args) == 3:
        return count, False
    if len(args) > 4 or args[3].lower() != flag:
        raise syntax_error()
    if not -(INT64_MAX // 2) <= count <= INT64_MAX // 2:
        raise CommandError("ERR value is out of range")
    return count, True


def places(random: Random, size: int, count: int) -> list[int]:
    """Indexes of the chosen elements among `size`, which is not 0; all of them if few are there."""
    if count < 0:
        return [int(random.random() * size) for _ in range(-count)]
    if count >= size:
        return list(range(size))
    return random.sample(range(size), count)
