"""What is sent: redis-benchmark's default tests, and a command of the reader's own.

The requests are the bytes that redis-benchmark 7.0 puts on the wire: the same keys
(`key:__rand_int__`, `mylist`, `myset`, `myhash`, `myzset`), the same payload out of the same little
generator, the inline `PING`. With a key space (`-r`) every `__rand_int__` becomes a random number
of twelve digits in each request; without one it is sent as it stands, so that all requests use one
key. In cluster mode a `{tag}` after the key's first word is replaced by a tag that hashes to a slot
of the node asked.

Follows `src/redis-benchmark.c` of Redis 7.0 (`main`, `genBenchmarkRandomData`,
`randomizeClientKey`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

PLACEHOLDER = b"__rand_int__"
TAG = b"{tag}"


@dataclass(frozen=True)
class Workload:
    """One kind of request.

    Attributes:
        title: its name in the report.
        request: the bytes of one request, placeholders included.
        payload_bytes: what the report calls payload: the size of a value, or of a whole command of
            the reader's own.
    """

    title: str
    request: bytes
    payload_bytes: int

    @classmethod
    def command(cls, words: Sequence[str | bytes], last: bytes | None = None) -> Workload:
        """A command of the reader's own; `last` is one more argument, left out of the title.

        Raises:
            ValueError: there are no words.
        """
        raw = [w if isinstance(w, bytes) else w.encode("utf-8", "surrogateescape") for w in words]
        if not raw:
            raise ValueError("a command needs at least one word")
        title = b" ".join(raw).decode("utf-8", "replace")
        request = encode(raw if last is None else [*raw, last])
        return cls(title, request, len(request))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it."""
        return {
            "title": self.title,
            "request": self.request.decode("latin-1"),
            "payload_bytes": self.payload_bytes,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Workload:
        """What `to_dict` made."""
        return cls(data["title"], data["request"].encode("latin-1"), data["payload_bytes"])


@dataclass(frozen=True)
class _Default:
    """A default test: the names that select it with -t, its title, its command."""

    names: tuple[str, ...]
    title: str
    words: Callable[[bytes, bytes, bytes], list[bytes] | bytes]


def _lrange(length: int) -> _Default:
    return _Default(
        ("lrange", f"lrange_{length}"),
        f"LRANGE_{length} (first {length} elements)",
        lambda tag, _data, _score: [b"LRANGE", b"mylist" + tag, b"0", b"%d" % (length - 1)],
    )


# tag: ":{tag}" or nothing; data: the payload; score: a placeholder with -r, else 0.
_DEFAULTS: tuple[_Default, ...] = (
    _Default(("ping_inline", "ping"), "PING_INLINE", lambda _t, _d, _s: b"PING\r\n"),
    _Default(("ping_mbulk", "ping"), "PING_MBULK", lambda _t, _d, _s: [b"PING"]),
    _Default(
        ("set",), "SET", lambda tag, data, _s: [b"SET", b"key%b:%b" % (tag, PLACEHOLDER), data]
    ),
    _Default(("get",), "GET", lambda tag, _d, _s: [b"GET", b"key%b:%b" % (tag, PLACEHOLDER)]),
    _Default(
        ("incr",), "INCR", lambda tag, _d, _s: [b"INCR", b"counter%b:%b" % (tag, PLACEHOLDER)]
    ),
    _Default(("lpush",), "LPUSH", lambda tag, data, _s: [b"LPUSH", b"mylist" + tag, data]),
    _Default(("rpush",), "RPUSH", lambda tag, data, _s: [b"RPUSH", b"mylist" + tag, data]),
    _Default(("lpop",), "LPOP", lambda tag, _d, _s: [b"LPOP", b"mylist" + tag]),
    _Default(("rpop",), "RPOP", lambda tag, _d, _s: [b"RPOP", b"mylist" + tag]),
    _Default(
        ("sadd",), "SADD", lambda tag, _d, _s: [b"SADD", b"myset" + tag, b"element:" + PLACEHOLDER]
    ),
    _Default(
        ("hset",),
        "HSET",
        lambda tag, data, _s: [b"HSET", b"myhash" + tag, b"element:" + PLACEHOLDER, data],
    ),
    _Default(("spop",), "SPOP", lambda tag, _d, _s: [b"SPOP", b"myset" + tag]),
    _Default(
        ("zadd",),
        "ZADD",
        lambda tag, _d, score: [b"ZADD", b"myzset" + tag, score, b"element:" + PLACEHOLDER],
    ),
    _Default(("zpopmin",), "ZPOPMIN", lambda tag, _d, _s: [b"ZPOPMIN", b"myzset" + tag]),
    _Default(
        ("lrange", "lrange_100", "lrange_300", "lrange_500", "lrange_600"),
        "LPUSH (needed to benchmark LRANGE)",
        lambda tag, data, _s: [b"LPUSH", b"mylist" + tag, data],
    ),
    _lrange(100),
    _lrange(300),
    _lrange(500),
    _lrange(600),
    _Default(
        ("mset",),
        "MSET (10 keys)",
        lambda tag, data, _s: [b"MSET", *([b"key%b:%b" % (tag, PLACEHOLDER), data] * 10)],
    ),
)

# Every name that -t knows, in the order of the tests.
TESTS: tuple[str, ...] = tuple(dict.fromkeys(name for test in _DEFAULTS for name in test.names))


class Payloads:
    """The values that redis-benchmark writes: characters from `0` to `o`, always the same ones."""

    def __init__(self) -> None:
        self._state = 1234

    def take(self, size: int) -> bytes:
        """The next `size` bytes of the sequence."""
        out = bytearray(size)
        state = self._state
        for index in range(size):
            state = (state * 1103515245 + 12345) & 0xFFFFFFFF
            out[index] = 48 + ((state >> 16) & 63)
        self._state = state
        return bytes(out)


def default_tests(
    names: Iterable[str] | None,
    payload: bytes,
    *,
    random_keys: bool = False,
    cluster: bool = False,
) -> Iterator[Workload]:
    """The default tests that are selected, in redis-benchmark's order.

    Args:
        names: what -t lists, in any case; None for all. Names that no test has select nothing.
        payload: the value that the writing tests write.
        random_keys: whether there is a key space, which makes ZADD's scores random too.
        cluster: whether keys carry a `{tag}`.
    """
    chosen = None if names is None else {name.lower() for name in names}
    tag = b":" + TAG if cluster else b""
    score = PLACEHOLDER if random_keys else b"0"
    for test in _DEFAULTS:
        if chosen is not None and chosen.isdisjoint(test.names):
            continue
        words = test.words(tag, payload, score)
        request = words if isinstance(words, bytes) else encode(words)
        yield Workload(test.title, request, len(payload))


def encode(words: Sequence[bytes]) -> bytes:
    """A command as a RESP array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


def new_random(seed: int) -> Random:
    """The random numbers of one run's keys."""
    return Random(f"keys {seed}")


class RequestMaker:
    """Makes the bytes of a batch of requests.

    Args:
        request: one request, placeholders included.
        keyspace: how many random numbers there are; None sends placeholders as they stand.
        random: where the numbers come from.
        tag: what replaces `{tag}`, five bytes long like it; None sends it as it stands.
    """

    def __init__(
        self, request: bytes, keyspace: int | None, random: Random, tag: bytes | None = None
    ) -> None:
        self._request = request if tag is None else request.replace(TAG, tag)
        self._holes = 0 if keyspace is None else self._request.count(PLACEHOLDER)
        self._keyspace = keyspace or 0
        self._random = random.random
        self._batches: dict[int, bytes] = {}

    @property
    def constant(self) -> bool:
        """Whether every batch of one size has the same bytes."""
        return not self._holes

    def batch(self, size: int) -> bytes:
        """The bytes of `size` requests, with new random numbers."""
        template = self._batches.get(size)
        if template is None:
            template = self._batches[size] = self._template(size)
        if not self._holes:
            return template
        random, keyspace = self._random, self._keyspace
        numbers = [int(random() * keyspace) for _ in range(self._holes * size)]
        return template % tuple(numbers)

    def _template(self, size: int) -> bytes:
        if not self._holes:
            return self._request * size
        return self._request.replace(b"%", b"%%").replace(PLACEHOLDER, b"%012d") * size
