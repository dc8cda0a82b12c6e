"""The words that the fuzzer puts into the slots of its templates.

They come from small pools: few keys, so that types collide; few elements, so that they meet again;
and what sits at the borders of what Redis takes: of 64 bits, of its encodings, of its grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from redislab.wire.requests import split_words


def words(line: bytes) -> tuple[bytes, ...]:
    """The words of a line, quoted as in redis-cli."""
    found = split_words(line)
    assert found is not None, "quotes do not balance"
    return tuple(found)


BORDERS = words(
    b"9223372036854775807 -9223372036854775808 9223372036854775808 -9223372036854775809 "
    b"18446744073709551615 2147483648 -2147483649 4294967296 2147483647"
)
NO_INTEGERS = words(rb'"" " 1" "1 " 01 +1 -0 1.5 x 0x10 1e3 "1\x00" -')
SMALL = words(b"0 1 2 3 4 5 8 -1 -2 -3 -5 10 100")
OUT_OF_RANGE = words(b"1e309 1e400 1e-400 5e-324")
FLOATS = words(
    b"0 1 -1 1.5 -2.5 3.0 0.1 0.2 10.1 1e3 1e-3 1e308 1e17 123456789012345678 -1e308 1e22 inf -inf "
    b"+inf Infinity nan -nan 0x1p3 -0 -0.0 3.14159265358979 100000.00000001 .5 5. 1_0 "
    b'9007199254740993 4503599627370497.5 12345678.12345678 "" " 1" "1 " 1,5 x'
)
KEYS = words(b"a b c d e")
LEXICAL_KEYS = words(b"lex1 lex2")  # of sorted sets in which all scores are equal
ODD_KEYS = (*words(rb'"" "\x00\xff\r\n" {t}x key:with:a:name 3 w_a w_1'), b"k" * 70)
ELEMENTS = (
    *words(rb'a b c d e f g h "" 1 2 10 -5 A aa ab "\xff" "\x00"'),
    *(b"x" * 64, b"y" * 65),
)
VALUES = (
    *words(rb'"" a ba foo foobar "hello world" 1 10 -5 3.5 1e10 "\x00\xff\r\n" "\xc3\xa9"'),
    *(b"abc" * 9, b"x" * 44, b"y" * 45, b"z" * 64, b"w" * 65, b"\xff" * 8),
)
PATTERNS = words(rb'* ? [a-c] a* *a [^a] \a "" [ [a a *[b-d]* ** [z-a] h\ [\]] ch? c*')
STREAM_IDS = words(
    b"0 0-0 0-1 1 1-1 1-2 2 2-1 3-0 3-3 4-1 5 5-5 6-0 7-1 9-9 1-* 5-* 7-* 9-* "
    b"18446744073709551615-18446744073709551615 18446744073709551615-* 18446744073709551615 - + x "
    b'1-x -1 1--1 18446744073709551616 01-01 1- -1-1 $ > ""'
)
PLAIN_IDS = words(b"1-1 1-2 2-1 3-0 3-3 4-1 5-5 6-0 7-0 7-1 7-2 8-0 8-1 9-9 1 2 5")
SCRIPTS = (
    b"return redis.call('set', KEYS[1], ARGV[1])",
    b"return redis.call('get', KEYS[1])",
    b"return redis.pcall('incr', KEYS[1])",
    b"return redis.call('lpush', KEYS[1], ARGV[1])",
    b"return {1, 'a', {KEYS[1]}, false, true, 3.9}",
    b"return redis.call('zadd', KEYS[1], 1.5, ARGV[1])",
    b"return {KEYS, ARGV}",
    b"redis.setresp(3); return redis.call('hgetall', KEYS[1])",
    b"return redis.call('hgetall', KEYS[1])",
    b"return redis.call('nosuch')",
    b"return redis.call('incr')",
    b"return redis.error_reply('MY error')",
    b"return {err='X y'}",
    b"return {ok='fine'}",
    b"return redis.status_reply('s')",
    b"return nosuch",
    b"return (",
    b"local t = {} for i = 1, 3 do t[i] = redis.call('rpush', KEYS[1], i) end return t",
    b"return cjson.encode({KEYS[1], 1, 2.5})",
    b"return redis.call('sadd', KEYS[1], ARGV[1], 'q') + 1",
    b"return tostring(redis.call('zscore', KEYS[1], ARGV[1]))",
    b"return redis.sha1hex(ARGV[1])",
    b"return redis.call('blpop', KEYS[1], 0)",
    b"return redis.call('expire', KEYS[1], 100)",
)


class Drawing:
    """What one sequence draws from: its chance, and the keys and families it keeps to."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.keys = KEYS[: random.randint(1, len(KEYS))]
        self.floats = FLOATS + OUT_OF_RANGE
        self.waits = 0
        self.first_key: bytes | None = None

    def key(self) -> bytes:
        """A key, seldom an odd one."""
        chosen = self.pick(ODD_KEYS) if self.random.random() < 0.04 else self.pick(self.keys)
        if self.first_key is None:
            self.first_key = chosen
        return chosen

    def pick(self, choices: tuple[bytes, ...]) -> bytes:
        """One of these."""
        return choices[int(self.random.random() * len(choices))]

    def mostly(self, usual: tuple[bytes, ...], odd: tuple[bytes, ...], rarely: float) -> bytes:
        """One of the usual ones, rarely an odd one."""
        return self.pick(odd if self.random.random() < rarely else usual)

    def number(self) -> bytes:
        """A small number, one at a border of 32 or 64 bits, or no number."""
        chance = self.random.random()
        if chance < 0.9:
            return self.pick(SMALL)
        return self.pick(BORDERS) if chance < 0.97 else self.pick(NO_INTEGERS)

    def integer(self) -> bytes:
        """Any integer that fits, or a text that does not."""
        chance = self.random.random()
        if chance < 0.5:
            return self.pick(SMALL)
        if chance < 0.7:
            return b"%d" % self.random.randint(-1000, 1000)
        return self.pick(BORDERS) if chance < 0.9 else self.pick(NO_INTEGERS)

    def value(self) -> bytes:
        """A string value."""
        chance = self.random.random()
        if chance < 0.7:
            return self.pick(VALUES)
        if chance < 0.85:
            return self.integer()
        if chance < 0.95:
            return self.pick(self.floats)
        return self.random.randbytes(self.random.randint(1, 90))

    def element(self) -> bytes:
        """A member, field or list element."""
        chance = self.random.random()
        if chance < 0.95:
            return self.pick(ELEMENTS)
        return self.value()

    def number_of_keys(self) -> list[bytes]:
        """`numkeys key ...`, seldom a wrong number."""
        keys = [self.key() for _ in range(self.random.randint(1, 3))]
        chance = self.random.random()
        count = b"%d" % len(keys) if chance < 0.93 else self.number()
        return [count, *keys]

    def score_bound(self) -> bytes:
        """A bound of ZRANGEBYSCORE."""
        excluded = b"(" if self.random.random() < 0.3 else b""
        usual = words(b"0 1 2 -1 -inf +inf 10")
        return excluded + self.mostly(usual, self.floats, 0.2)

    def lexical_bound(self) -> bytes:
        """A bound of ZRANGEBYLEX."""
        if self.random.random() < 0.3:
            return self.pick((b"-", b"+"))
        return self.mostly((b"[", b"("), (b"", b"x", b"+", b"-"), 0.08) + self.pick(ELEMENTS)

    def stream_bound(self, end: bytes) -> bytes:
        """A bound of XRANGE."""
        if self.random.random() < 0.5:
            return end
        excluded = b"(" if self.random.random() < 0.3 else b""
        return excluded + self.pick(STREAM_IDS if self.random.random() < 0.2 else PLAIN_IDS)

    def stream_id(self) -> bytes:
        """A stream id, most often one that can be."""
        return self.pick(STREAM_IDS) if self.random.random() < 0.15 else self.pick(PLAIN_IDS)

    def time_left(self) -> bytes:
        """Seconds or milliseconds that do not run out while the sequence runs."""
        usual = words(b"1000 100000 5000000 600")
        return self.mostly(usual, (b"0", b"-1", b"-100", *BORDERS, *NO_INTEGERS), 0.15)

    def moment(self) -> bytes:
        """A time long past or far ahead, in either unit."""
        usual = words(b"99999999999999 88888888888888 1 1000")
        return self.mostly(usual, (b"0", b"-1", *BORDERS, *NO_INTEGERS), 0.15)

    def soon(self) -> bytes:
        """A few milliseconds; the sequence waits until they are over."""
        self.waits = 30
        return self.pick((b"15", b"20"))

    def offset(self) -> bytes:
        """A place in a string, never one that makes it huge."""
        usual = words(b"0 1 3 10 44 100 2000")
        return self.mostly(usual, (b"-1", b"9223372036854775807", b"536870912", *NO_INTEGERS), 0.1)

    def bit(self) -> bytes:
        """A place of a bit, for BITFIELD seldom one that counts in widths."""
        usual = words(b"0 1 7 8 9 63 100 500")
        odd = words(b"#0 #1 #3 -1 4294967296 9223372036854775807") + NO_INTEGERS
        return self.mostly(usual, odd, 0.1)

    def many(self) -> list[bytes]:
        """Enough elements to make something outgrow its limits."""
        start = self.random.randrange(1000)
        return [b"%d" % each for each in range(start, start + self.random.randint(20, 400))]


Slot = Callable[[Drawing], bytes | list[bytes]]


def _among(line: bytes) -> Slot:
    """One of these words."""
    choices = words(line)
    return lambda drawing: drawing.pick(choices)


def _mostly(usual: bytes, odd: bytes) -> Slot:
    """One of these words, and once in eight times one of the others."""
    choices, others = words(usual), words(odd)
    return lambda drawing: drawing.mostly(choices, others, 0.12)


SLOTS: dict[str, Slot] = {
    "k": Drawing.key,
    "v": Drawing.value,
    "e": Drawing.element,
    "n": Drawing.number,
    "i": Drawing.integer,
    "f": lambda d: d.mostly(words(b"1 2 0.5 -1 10.25"), d.floats, 0.5),
    "score": lambda d: d.mostly(words(b"0 1 2 -1 1.5 3 10"), d.floats, 0.25),
    "draws": _among(b"0 1 3 -1 -5 2147483648 9223372036854775807 x"),
    "keys": Drawing.number_of_keys,
    "min": Drawing.score_bound,
    "lex": Drawing.lexical_bound,
    "xmin": lambda d: d.stream_bound(b"-"),
    "xmax": lambda d: d.stream_bound(b"+"),
    "sid": Drawing.stream_id,
    "g": _among(b"g g h nogroup"),
    "c": _among(b'c c d ""'),
    "idle": _mostly(b"0", b"10000000 -1 x"),
    "ttl": Drawing.time_left,
    "at": Drawing.moment,
    "soon": Drawing.soon,
    "offset": Drawing.offset,
    "bit": Drawing.bit,
    "bits": _among(b"u1 u8 i8 i5 u63 i64 u16 i16 u7 u64 i65 u0 x i u -1"),
    "many": Drawing.many,
    "db": _mostly(b"0 1 2", b"16 -1 x 15 4294967296"),
    "pattern": lambda d: d.pick(PATTERNS),
    "wait": _mostly(b"0 100 0.0", b'-1 x nan inf 1e400 ""'),
    "waitms": _mostly(b"0 100000", b'-1 x 1.5 ""'),
    "lon": _mostly(b"0 1 -1.5 13.361389 15.087269", b"180 -180 181 nan x"),
    "lat": _mostly(b"0 1 38.115556 37.502669", b"85.05112878 -85.05112878 86 inf"),
    "unit": _mostly(b"m km mi ft", b'M x ""'),
    "radius": _mostly(b"0 1 100 200.5 1000 30000000", b"-1 x 1e9 nan inf"),
    "by": _among(b'w_* nosort * a->* *->a w_*->a # b->b "" w_*->'),
    "w": _among(b"w_a w_b w_1 w_2 w_10"),
    "channel": _among(rb'ch1 ch2 ch3 "" "\xff"'),
    "script": lambda d: d.pick(SCRIPTS),
    "junk": _among(rb'FOO "" "\xff\x00" "get\n" set GET object config ' + b"x" * 200),
}
