"""RESP, the Redis serialization protocol: what a server sends.

Every command handler of redislab returns its reply already encoded, so that there is one
representation of a reply, the bytes, and nothing between it and the socket. The helpers here build
those bytes. Where RESP2 and RESP3 differ the helper takes the client's protocol, 2 or 3.

Follows the protocol specification (https://redis.io/docs/reference/protocol-spec/) and the choices
of `src/networking.c` in Redis 7.0 (`addReply...`), which decide what a RESP2 client gets in the
place of a map, a set, a double or a null.

Requests are parsed in `requests.py`, replies in `replies.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from math import isinf, isnan

CRLF = b"\r\n"
OK = b"+OK\r\n"
PONG = b"+PONG\r\n"
QUEUED = b"+QUEUED\r\n"
ZERO = b":0\r\n"
ONE = b":1\r\n"
EMPTY_BULK = b"$0\r\n\r\n"
EMPTY_ARRAY = b"*0\r\n"

# Indexed by protocol, so that a handler writes NULL[c.resp].
NULL = (b"", b"", b"$-1\r\n", b"_\r\n")
NULL_ARRAY = (b"", b"", b"*-1\r\n", b"_\r\n")
EMPTY_MAP = (b"", b"", b"*0\r\n", b"%0\r\n")
EMPTY_SET = (b"", b"", b"*0\r\n", b"~0\r\n")
TRUE = (b"", b"", b":1\r\n", b"#t\r\n")
FALSE = (b"", b"", b":0\r\n", b"#f\r\n")

# Small integers are most of what INCR, LPUSH and EXISTS answer, and short strings most of what GET
# does: build these, and the lengths of those, once.
_INTEGERS = tuple(b":%d\r\n" % n for n in range(1024))
_LENGTHS = tuple(b"$%d\r\n" % n for n in range(1024))


def integer(n: int) -> bytes:
    """An integer reply, `:n`."""
    if 0 <= n < 1024:
        return _INTEGERS[n]
    return b":%d\r\n" % n


def bulk(value: bytes | bytearray) -> bytes:
    """A bulk string, `$length` and the bytes."""
    if len(value) < 1024:
        return _LENGTHS[len(value)] + value + CRLF
    return b"$%d\r\n%b\r\n" % (len(value), value)


def simple(text: bytes) -> bytes:
    """A simple string, `+text`; the text must hold no line break."""
    return b"+%b\r\n" % text


def error(message: str) -> bytes:
    """An error, `-CODE message`. Line breaks become spaces, as Redis does (`afterErrorReply`)."""
    text = message.encode("utf-8", "surrogateescape")
    return b"-%b\r\n" % text.replace(b"\r", b" ").replace(b"\n", b" ")


def array(items: Sequence[bytes]) -> bytes:
    """An array of replies that are encoded already."""
    return b"*%d\r\n%b" % (len(items), b"".join(items))


def bulks(values: Sequence[bytes | bytearray]) -> bytes:
    """An array of bulk strings."""
    count = len(values)
    lengths = list(map(len, values))
    if count and lengths.count(lengths[0]) == count:
        # All of one length: what stands between two values is always the same, and joining them
        # takes a quarter of the time.
        length = lengths[0]
        joined = (b"\r\n$%d\r\n" % length).join(values)
        return b"*%d\r\n$%d\r\n%b\r\n" % (count, length, joined)
    parts = tuple(chain.from_iterable(zip(lengths, values, strict=True)))
    return b"*%d\r\n" % count + b"$%d\r\n%b\r\n" * count % parts


def request(words: Sequence[bytes]) -> bytes:
    """A command as a client sends it: an array of bulk strings, mostly few and short ones."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        size = len(word)
        parts += (_LENGTHS[size] if size < 1024 else b"$%d\r\n" % size, word, CRLF)
    return b"".join(parts)


def nullable_bulks(values: Iterable[bytes | bytearray | None], resp: int) -> bytes:
    """An array of bulk strings in which `None` is a null of the client's protocol."""
    null = NULL[resp]
    return array([null if value is None else bulk(value) for value in values])


def map_(pairs: Sequence[bytes], resp: int) -> bytes:
    """A map from encoded keys and values, one after the other; a flat array in RESP2."""
    if resp == 3:
        return b"%%%d\r\n%b" % (len(pairs) // 2, b"".join(pairs))
    return b"*%d\r\n%b" % (len(pairs), b"".join(pairs))


def set_(items: Sequence[bytes], resp: int) -> bytes:
    """A set of encoded items; an array in RESP2."""
    return b"%b%d\r\n%b" % (b"~" if resp == 3 else b"*", len(items), b"".join(items))


def push(items: Sequence[bytes], resp: int) -> bytes:
    """An out-of-band message (`>` in RESP3, an array in RESP2) of encoded items."""
    return b"%b%d\r\n%b" % (b">" if resp == 3 else b"*", len(items), b"".join(items))


def double(value: float, resp: int) -> bytes:
    """A floating point number: `,1.5` in RESP3, a bulk string in RESP2."""
    text = format_double(value)
    if resp == 3:
        return b",%b\r\n" % text
    return bulk(text)


def verbatim(text: bytes, resp: int, kind: bytes = b"txt") -> bytes:
    """Text with a three-letter format, such as the answer of INFO; a bulk string in RESP2."""
    if resp == 3:
        return b"=%d\r\n%b:%b\r\n" % (len(text) + 4, kind, text)
    return bulk(text)


def format_double(value: float) -> bytes:
    """A double as `addReplyDouble` writes it: 17 significant digits, `%.17g`.

    Integers come without a fraction, infinities as `inf` and `-inf`.
    """
    if isinf(value):
        return b"inf" if value > 0 else b"-inf"
    if isnan(value):
        return b"nan"
    if value == int(value) and abs(value) < 1e17:
        return b"-0" if value == 0 and str(value)[0] == "-" else b"%d" % int(value)
    return b"%.17g" % value
