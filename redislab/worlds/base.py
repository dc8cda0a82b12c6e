"""What every world is: the protocol that a lab leans on, and the plain data that crosses it.

A world runs Redis nodes, owns their time, and does them harm when asked to. The same node code
runs in three of them (`sim`, `live`, `redis`), and whoever stands above this file cannot tell
which one it has: labs use a `World` and nothing else.

The names that faults act on are names of *hosts*. Every node is a host of its own, and so is every
client: `cut("client", "redis-6379")` cuts what runs between those two, whatever their addresses.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import redis
import redis.asyncio

if TYPE_CHECKING:
    from redislab.worlds.sim.disk import SimDisk

T = TypeVar("T")
Address = tuple[str, int]

# The host that a lab's clients live on unless they say otherwise.
CLIENT = "client"
# The host that a lab watches its nodes from: no fault of a scenario touches it.
OBSERVER = "observer"

# How often a lab's client tries again. redis-py's own ten retries, within and without the
# connection, make a minute of silence of a paused node and ten of a cut: too long to watch.
CLIENT_RETRIES = 1

State = Literal["running", "paused", "killed", "crashed", "stopped"]

# What `cut` takes beside "a->b" and "b->a" with the names of the two hosts in their places.
BOTH = "both"


class WorldError(Exception):
    """A world cannot do what was asked of it; the message says why and what to do."""


class ProgramMissingError(WorldError):
    """A real program is not installed; the message names the package that has it."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What a node should be.

    Attributes:
        name: the name of its host, such as "redis-6379"; made from the port when empty.
        config: directives of its configuration file by name, each with what stands behind its
            name, or with a tuple of that for a directive that has several lines. A port of "0" or
            none means a free one. Of a proxy, see `proxies.py`.
        program: which program it is: "redis", "sentinel" or "proxy".
        real: whether it is the real program or ours; None is what the world's nodes are. `live`
            and `redis` run both kinds side by side, `sim` only ours.
    """

    name: str = ""
    config: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    program: str = "redis"
    real: bool | None = None


@dataclass(frozen=True, slots=True)
class NodeHandle:
    """A node of a lab. Its `str` is its name, so it can be given wherever a name is asked for."""

    name: str
    host: str
    port: int

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a lab.

    Attributes:
        time: seconds since the lab began, on the lab's clock.
        node: the host that it happened to; empty for the network as a whole.
        kind: what happened, in a word: "start", "kill", "cut" ...
        detail: the rest, for a reader.
    """

    time: float
    node: str
    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a node's log.

    Attributes:
        time: seconds since the lab began, on the lab's clock; the line itself has the node's own.
        text: the line, without its end.
    """

    time: float
    text: str


class Journal(Protocol):
    """What a world wrote down, in the order in which it happened."""

    @property
    def events(self) -> list[Event]:
        """The events so far."""
        ...

    def to_json(self) -> str:
        """All of it as one JSON text."""
        ...


class World(Protocol):
    """Runs nodes, owns their time, and does them harm.

    Names are those of hosts. Every method that takes one raises KeyError for a name that is not
    known. Seconds are those of the world's clock: virtual in `sim`, real in `live` and `redis`.

    Attributes:
        name: "sim", "live" or "redis".
        began_at: when the world began, in seconds since the epoch, by the nodes' clocks.
    """

    name: str
    began_at: float

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        ...

    @property
    def journal(self) -> Journal:
        """What happened; in `sim` also every message."""
        ...

    @property
    def nodes(self) -> dict[str, NodeHandle]:
        """Every node ever started, by name."""
        ...

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that a fault can be put beside: "client", wherever else clients are, nodes."""
        ...

    def start(self, spec: NodeSpec) -> NodeHandle:
        """Start a node and wait until it listens; raises OSError or WorldError if it does not."""
        ...

    def state(self, name: str) -> State:
        """How a node is, as far as the world did it itself."""
        ...

    def kill(self, name: str) -> None:
        """`kill -9`: the process is gone at once, its host's kernel closes its connections."""
        ...

    def power_off(self, name: str, kept: float | None = None) -> None:
        """The node's host loses power: nobody is told, and what was not synced may be lost.

        Args:
            name: of the host.
            kept: the share of what was not synced that has reached its disk by itself; None leaves
                it to chance.

        Raises:
            WorldError: in the real worlds, which cannot take the power of their own machine.
        """
        ...

    def restart(self, name: str, *, wipe: bool = False) -> None:
        """Start a node again with its spec, at the same address; kills it first if it runs.

        Its files are as it left them, its configuration file with whatever it has rewritten in
        it. If `wipe` says so, all but that one are gone.
        """
        ...

    def pause(self, name: str) -> None:
        """`SIGSTOP`: the process stands still, its connections stay open and silent."""
        ...

    def resume(self, name: str) -> None:
        """`SIGCONT`: the process goes on, and finds that time has passed."""
        ...

    def cut(self, a: str, b: str, direction: str = BOTH) -> None:
        """Let nothing through between two hosts: "both" ways, or only "a->b" or "b->a"."""
        ...

    def partition(self, sides: Sequence[Sequence[str]]) -> None:
        """Let nothing through between any two hosts of different sides; one event tells of it."""
        ...

    def delay(self, a: str, b: str, seconds: float, jitter: float = 0.0) -> None:
        """Add one-way latency between two hosts, both ways, and up to `jitter` seconds more."""
        ...

    def drop(self, a: str, b: str) -> None:
        """Lose what is under way between two hosts: their connections break, new ones may stand."""
        ...

    def heal(self, a: str | None = None, b: str | None = None) -> None:
        """Undo every cut and every delay, or those between two hosts, both ways."""
        ...

    def client(self, node: str, at: str = CLIENT, **options: Any) -> redis.Redis:
        """A stock blocking client of a node, on host `at`."""
        ...

    def async_client(self, node: str, at: str = CLIENT, **options: Any) -> redis.asyncio.Redis:
        """A stock asyncio client of a node, on host `at`."""
        ...

    def connections(self, at: str, options: dict[str, Any]) -> type[redis.Connection]:
        """The class of a blocking client's connections on a host, for a pool of one's own.

        Args:
            at: the host.
            options: of the pool; what is missing in them is put in.
        """
        ...

    def async_connections(self, at: str, options: dict[str, Any]) -> type[redis.asyncio.Connection]:
        """The same for an asyncio client."""
        ...

    def keep(self, client: redis.Redis | redis.asyncio.Redis) -> None:
        """Close a client of such a pool with the world, and not before."""
        ...

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine in the world, as code of the host "client", and return its result."""
        ...

    def run_for(self, seconds: float) -> None:
        """Let that much time pass."""
        ...

    def log(self, name: str) -> str:
        """The text of a node's log."""
        ...

    def log_lines(self, name: str, since: int = 0) -> list[LogLine]:
        """The lines of a node's log, over all of its runs, but the first `since`."""
        ...

    def files(self, name: str) -> dict[str, bytes]:
        """The files in a node's `dir` and below: their paths from there, and their bytes."""
        ...

    def put_files(self, name: str, files: Mapping[str, bytes]) -> None:
        """Lay files into a node's `dir`, in place of those of their names."""
        ...

    def disk(self, name: str) -> SimDisk:
        """A node's simulated disk; raises WorldError in the real worlds."""
        ...

    def direct(self, name: str) -> Address:
        """Where a node itself listens, past everything that a fault can be put into."""
        ...

    def close(self) -> None:
        """Stop everything and leave nothing behind. May be called again."""
        ...


def directions(a: str, b: str, direction: str) -> list[tuple[str, str]]:
    """The ordered pairs of hosts that a cut with this direction names.

    Raises:
        ValueError: for a direction that is neither "both" nor one of the two arrows.
    """
    arrows = {
        BOTH: [(a, b), (b, a)],
        "a->b": [(a, b)],
        "b->a": [(b, a)],
        f"{a}->{b}": [(a, b)],
        f"{b}->{a}": [(b, a)],
    }
    try:
        return arrows[direction.replace(" ", "")]
    except KeyError:
        raise ValueError(
            f'direction is "both", "a->b" or "b->a" (also with the names: "{a}->{b}"),'
            f" not {direction!r}"
        ) from None


def both_or_none(a: object, b: object) -> bool:
    """Whether two hosts are named, and not none; raises ValueError for one of them."""
    if (a is None) != (b is None):
        raise ValueError("a link has two ends: name both hosts, or none to mean every link")
    return a is not None


def check_span(seconds: float, name: str = "seconds") -> float:
    """A length of time, checked; raises ValueError if it is negative or no number."""
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{name} is a number of seconds, zero or more, not {seconds!r}")
    return float(seconds)
