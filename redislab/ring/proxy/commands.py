"""Which commands go through a proxy: where their key is, which are split, answered or refused.

One table, in the groups of the original: what decides is how many arguments a command has after its
key. A command that is not in the table is refused, as is one with another number of arguments than
its group allows; where Redis itself would complain of the number, it may, for the proxy only looks
as far as it must to find the key. Follows `redis_parse_req` in `src/proto/nc_redis.c` of twemproxy
0.5.0, and where that differs from its tables, the program: MOVE is in them and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

# What the proxy does with a command:
#   forward  sends it as it came to the server of its key (without one, to that of the empty key)
#   split    sends each server its keys and joins the replies
#   answer   answers it itself
How = Literal["forward", "split", "answer"]
# How the replies of the parts of a split command become one.
Join = Literal["values", "sum", "ok"]

ANY: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Command:
    """One command that is let through.

    Attributes:
        name: in lower case.
        least, most: how many words it may have, its name among them.
        how: what is done with it.
        key: the place of its first key among the words; 0 for none.
        step: words from one key to the next, where there are several that count; else 0.
        join: how the replies of its parts become one.
        plain: its key is its first argument and it goes to that key's server as it came.
    """

    name: bytes
    least: int
    most: int
    how: How = "forward"
    key: int = 1
    step: int = 0
    join: Join = "ok"
    plain: bool = True


_WITHOUT_KEY: Final = b"command"
_WITHOUT_KEY_ANY: Final = b"lolwut"
_KEY: Final = (
    b"decr dump get getdel hgetall hkeys hlen hvals incr llen persist pttl scard smembers strlen "
    b"ttl type zcard"
)
_KEY_1: Final = (
    b"append decrby expire expireat getbit getset hexists hget hstrlen incrby incrbyfloat lindex "
    b"pexpire pexpireat rpoplpush setnx sismember zrank zrevrank zscore"
)
_KEY_2: Final = (
    b"getrange hincrby hincrbyfloat hsetnx lrange lrem lset ltrim psetex setbit setex setrange "
    b"smove zcount zincrby zlexcount zremrangebylex zremrangebyrank zremrangebyscore"
)
_KEY_3: Final = b"linsert lmove"
_KEY_ANY: Final = (
    b"bitcount bitfield bitpos copy exists geoadd geodist geohash geopos georadius "
    b"georadiusbymember geosearch geosearchstore getex hdel hmget hmset hrandfield hscan hset lpop "
    b"lpos lpush lpushx pfadd pfcount pfmerge restore rpop rpush rpushx sadd sdiff sdiffstore set "
    b"sinter sinterstore smismember sort spop srandmember srem sscan sunion sunionstore zadd zdiff "
    b"zdiffstore zinter zinterstore zmscore zpopmax zpopmin zrandmember zrange zrangebylex "
    b"zrangebyscore zrangestore zrem zrevrange zrevrangebylex zrevrangebyscore zscan zunion "
    b"zunionstore"
)
_SPLIT: Final[tuple[tuple[bytes, int, Join], ...]] = (
    (b"mget", 1, "values"),
    (b"del", 1, "sum"),
    (b"unlink", 1, "sum"),
    (b"touch", 1, "sum"),
    (b"mset", 2, "ok"),
)


def _all() -> dict[bytes, Command]:
    commands = [Command(_WITHOUT_KEY, 1, 1, key=0, plain=False)]
    commands.append(Command(_WITHOUT_KEY_ANY, 1, ANY, key=0, plain=False))
    for words, least, most in (
        (_KEY, 2, 2),
        (_KEY_1, 3, 3),
        (_KEY_2, 4, 4),
        (_KEY_3, 5, 5),
        (_KEY_ANY, 2, ANY),
    ):
        commands += [Command(name, least, most) for name in words.split()]
    for name, step, join in _SPLIT:
        commands.append(Command(name, 1 + step, ANY, "split", 1, step, join, plain=False))
    for name in (b"eval", b"evalsha"):
        commands.append(Command(name, 4, ANY, key=3, plain=False))
    for name, count in ((b"ping", 1), (b"quit", 1), (b"auth", 2)):
        commands.append(Command(name, count, count, "answer", 0, plain=False))
    return {command.name: command for command in commands}


COMMANDS: Final = _all()
# By both of the spellings that clients use, so that the way of a request asks only once.
_SPELLED: Final = COMMANDS | {name.upper(): command for name, command in COMMANDS.items()}
spelled: Final = _SPELLED.get


def find(words: list[bytes]) -> Command | None:
    """The command of a request; None where the proxy refuses it."""
    name = words[0]
    command = spelled(name) or COMMANDS.get(name.lower())
    if command is None or not command.least <= len(words) <= command.most:
        return None
    if command.step == 2 and len(words) % 2 == 0:
        return None  # MSET with a key that has no value
    if command.key == 3 and not _is_positive(words[2]):
        return None  # EVAL without keys, which could go to any server
    return command


def keys(command: Command, words: list[bytes]) -> list[bytes]:
    """The keys of a request that must not be too long: those that decide where it goes."""
    if command.step:
        return words[1 :: command.step]
    return [words[command.key]] if command.key else []


def _is_positive(digits: bytes) -> bool:
    return digits.isdigit() and int(digits[:20]) > 0
