"""What a run is to do: plain data that travels to the generator's process as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from redislab.benchmark.workload import Payloads, Workload, default_tests, encode

Arrivals = Literal["poisson", "uniform"]


class BenchmarkError(Exception):
    """The run cannot begin or go on; the message is one line for the reader."""


class ConnectError(BenchmarkError):
    """Nothing that answers as a Redis was reached."""


class ReplyError(BenchmarkError):
    """The server answered with an error, and the run was to stop at the first one."""


@dataclass(frozen=True)
class Tls:
    """How to secure connections; the fields are redis-benchmark's options of the same names."""

    sni: str | None = None
    cacert: str | None = None
    cacertdir: str | None = None
    insecure: bool = False
    cert: str | None = None
    key: str | None = None
    ciphers: str | None = None
    ciphersuites: str | None = None


@dataclass(frozen=True)
class Node:
    """A server to load: its address and, in cluster mode, a tag that hashes to a slot of it."""

    host: str
    port: int
    name: str = ""
    tag: str | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One run of one workload.

    Attributes:
        workload: what is sent.
        host, port: the server's address.
        unix_socket: path of the server's socket; overrides host and port.
        nodes: the masters to load in cluster mode; overrides all of the above.
        username, password: for AUTH.
        tls: None for plain TCP.
        db: the database that every connection selects.
        protocol: 2, or 3 to begin each connection with HELLO 3.
        tracking: whether connections ask for CLIENT TRACKING.
        clients: connections at once.
        requests: how many requests; None for no limit but `duration_s`.
        duration_s: how long, in seconds; None for no limit but `requests`.
        pipeline: requests that are sent in one batch. In the open loop the most that are.
        keyspace: how many different numbers stand in for `__rand_int__`; None leaves it as it is.
        keepalive: False opens a new connection for each batch.
        rate: requests a second that fall due whatever the server does (the open loop); None sends
            the next request when a reply has come (the closed loop).
        arrivals: how due times are spread: "poisson" at random, "uniform" evenly.
        seed: of random keys and arrivals.
        window_s: width of a window of the throughput over time, in seconds.
        digits: significant digits of the latencies, 1 to 5.
        stop_on_error: whether the first error ends the run; otherwise errors are counted by kind
            and lost connections opened again.
    """

    workload: Workload
    host: str = "127.0.0.1"
    port: int = 6379
    unix_socket: str | None = None
    nodes: tuple[Node, ...] = ()
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    db: int = 0
    protocol: int = 2
    tracking: bool = False
    clients: int = 50
    requests: int | None = 100_000
    duration_s: float | None = None
    pipeline: int = 1
    keyspace: int | None = None
    keepalive: bool = True
    rate: float | None = None
    arrivals: Arrivals = "poisson"
    seed: int = 1
    window_s: float = 0.25
    digits: int = 3
    stop_on_error: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: a number is out of its range, or nothing says when to stop.
        """
        if self.clients < 1:
            raise ValueError(f"clients must be at least 1, not {self.clients}")
        if self.pipeline < 1:
            raise ValueError(f"pipeline must be at least 1, not {self.pipeline}")
        if self.requests is None and self.duration_s is None:
            raise ValueError("a run needs a number of requests or a duration")
        if self.requests is not None and self.requests < 1:
            raise ValueError(f"requests must be at least 1, not {self.requests}")
        if self.duration_s is not None and self.duration_s <= 0:
            raise ValueError(f"duration must be positive, not {self.duration_s}")
        if self.rate is not None and self.rate <= 0:
            raise ValueError(f"rate must be positive, not {self.rate}")
        if self.rate is not None and not self.keepalive:
            raise ValueError("a fixed rate needs connections that are kept alive")
        if self.arrivals not in {"poisson", "uniform"}:
            raise ValueError(f'arrivals must be "poisson" or "uniform", not {self.arrivals!r}')
        if self.window_s <= 0:
            raise ValueError(f"window_s must be positive, not {self.window_s}")
        if self.protocol not in {2, 3}:
            raise ValueError(f"protocol must be 2 or 3, not {self.protocol}")

    @property
    def targets(self) -> tuple[Node, ...]:
        """The servers that connections go to, in turn."""
        return self.nodes or (Node(self.host, self.port),)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it."""
        return asdict(self) | {"workload": self.workload.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        """What `to_dict` made."""
        values = {item.name: data[item.name] for item in fields(cls)}
        values["workload"] = Workload.from_dict(data["workload"])
        values["nodes"] = tuple(Node(**node) for node in data["nodes"])
        values["tls"] = None if data["tls"] is None else Tls(**data["tls"])
        return cls(**values)


def settings_for(
    test: str | Sequence[str | bytes], *, payload: int = 3, **options: Any
) -> Settings:
    """The settings of a run.

    Args:
        test: the name of a default test ("SET", "lrange_100", ...), or the words of a command.
        payload: size of the values written, in bytes.
        **options: fields of `Settings`. A `duration_s` without `requests` lifts the limit on these.

    Raises:
        ValueError: no test has that name, or an option is out of its range.
        TypeError: an option is unknown.
    """
    if "duration_s" in options:
        options.setdefault("requests", None)
    if not isinstance(test, str):
        return Settings(workload=Workload.command(test), **options)
    random_keys = options.get("keyspace") is not None
    found = default_tests([test], Payloads().take(payload), random_keys=random_keys)
    # "lrange_100" also selects the LPUSH that fills the list: the last one is the one meant.
    workload = next(reversed(list(found)), None)
    if workload is None:
        raise ValueError(f"no test is called {test!r}; give a command as a list of words")
    return Settings(workload=workload, **options)


def share(settings: Settings, processes: int) -> list[Settings]:
    """Split a run into `processes` runs that amount to it together, each with a seed of its own."""
    parts = []
    for index in range(min(processes, settings.clients)):
        count = min(processes, settings.clients)
        clients = _part(settings.clients, count, index)
        requests = settings.requests and max(1, _part(settings.requests, count, index))
        rate = settings.rate and settings.rate * clients / settings.clients
        nodes = settings.nodes
        turned = nodes[index % len(nodes) :] + nodes[: index % len(nodes)] if nodes else ()
        parts.append(
            replace(
                settings,
                clients=clients,
                requests=requests,
                rate=rate,
                nodes=turned,
                seed=settings.seed + index,
            )
        )
    return parts


def _part(whole: int, count: int, index: int) -> int:
    return whole // count + (1 if index < whole % count else 0)


@dataclass(frozen=True)
class Prefix:
    """What a connection says first: the bytes and how many replies they get."""

    data: bytes
    replies: int


def prefix(settings: Settings) -> Prefix:
    """The commands that introduce a connection."""
    commands: list[list[bytes]] = []
    if settings.password is not None:
        commands.append(auth_words(settings))
    if settings.tracking:
        commands.append([b"CLIENT", b"TRACKING", b"on"])
    if settings.db and not settings.nodes:
        commands.append([b"SELECT", b"%d" % settings.db])
    if settings.protocol == 3:
        commands.append([b"HELLO", b"3"])
    return Prefix(b"".join(map(encode, commands)), len(commands))


def auth_words(settings: Settings) -> list[bytes]:
    """The AUTH command."""
    words = ["AUTH", *([settings.username] if settings.username else []), settings.password or ""]
    return [word.encode("utf-8", "surrogateescape") for word in words]


def kind_of(error: str) -> str:
    """The kind of an error reply: its first word."""
    return error.split(" ", 1)[0] or "error"
