"""The real worlds: real time, real sockets, and nodes of two kinds side by side.

`RealWorld` owns what they share: their addresses and what lies between them (`routes.py`), one
background thread (`background.py`), a directory for their files (`workspace.py`), clients and
events. How a node is started and ended is in `live.py` (ours, a guest of the thread) and in
`redis.py` (a process). The worlds `live` and `redis` differ in what a node is unless its spec says
otherwise.
"""

from __future__ import annotations

import json
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from random import Random
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from redislab.worlds.background import Background, Owner
from redislab.worlds.base import (
    CLIENT,
    CLIENT_RETRIES,
    OBSERVER,
    Address,
    Event,
    LogLine,
    NodeHandle,
    NodeSpec,
    State,
    WorldError,
    check_span,
)
from redislab.worlds.clients import (
    RoutedAsyncConnection,
    RoutedConnection,
    close_client,
    routed,
)
from redislab.worlds.common import CommonWorld
from redislab.worlds.dialers import finder
from redislab.worlds.nodes import (
    Directives,
    asked_port,
    check_program,
    config_name,
    configuration,
    directives,
    joined,
    node_name,
)
from redislab.worlds.ports import LOCALHOST, free_port
from redislab.worlds.proxies import is_proxy
from redislab.worlds.routes import Dialing, Routes, Site, is_taken
from redislab.worlds.workspace import Workspace

if TYPE_CHECKING:
    from redislab.worlds.sim.disk import SimDisk

T = TypeVar("T")

# A port that looks free may be taken before we have it; so often we look for another.
PORT_TRIES = 5


class EventJournal:
    """The events of a real world. Its messages are the kernel's, and not ours to see."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._events: list[Event] = []
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        return f"<Journal of {len(self._events)} events>"

    @property
    def events(self) -> list[Event]:
        """The events so far."""
        with self._lock:
            return list(self._events)

    def event(self, node: str, kind: str, detail: str = "") -> None:
        """Write down that something happened just now."""
        with self._lock:
            self._events.append(Event(time.monotonic() - self._began, node, kind, detail))

    def to_json(self) -> str:
        """All of them, one a line."""
        lines = [json.dumps(asdict(event), separators=(",", ":")) for event in self.events]
        return "[" + ",\n".join(lines) + "]"


class RealNode(ABC):
    """A node of a real world.

    Attributes:
        state: how it is, as far as is known.
        runs: how often it was started.
        process_id: of the process that it runs in; None if it runs in none of its own.
        made: the names of files in its directory that are ours and not its data.
    """

    def __init__(self, world: RealWorld, spec: NodeSpec, handle: NodeHandle, site: Site) -> None:
        self.world = world
        self.spec = spec
        self.handle = handle
        self.site = site
        self.state: State = "stopped"
        self.runs = 0
        self.process_id: int | None = None
        self.made: tuple[str, ...] = (config_name(spec),)

    @abstractmethod
    def launch(self) -> None:
        """Start it and wait until it listens; raises OSError or WorldError if it does not."""

    @abstractmethod
    def end(self) -> None:
        """`kill -9`, unless it is gone already."""

    @abstractmethod
    def pause(self) -> None:
        """`SIGSTOP`."""

    @abstractmethod
    def resume(self) -> None:
        """`SIGCONT`."""

    def look(self) -> State:
        """How it is; notices if it has ended by itself."""
        return self.state

    @abstractmethod
    def log(self) -> str:
        """The text of its log."""

    @abstractmethod
    def log_lines(self) -> list[LogLine]:
        """Its lines."""

    def directives(self) -> Directives:
        """What it is configured with: its spec, and the address that it really has."""
        config = directives(self.spec)
        host, port = self.site.own
        config["port"] = str(port)
        if self.site.own == self.site.known:
            config.setdefault("bind", host)
        else:
            config["bind"] = host
        return joined(self.site.directives, config)

    def configure(self) -> Path:
        """The configuration file: made before the first run, and left to the node after it."""
        path = self.world.workspace.make(self.handle.name) / config_name(self.spec)
        if self.runs == 1:
            config = configuration(self.spec, self.site.own, self.directives())
            path.write_bytes(config)
        return path

    @property
    def directory(self) -> Path:
        """Where its files are: its `dir`, which may not be there yet."""
        return self.home / str(self.spec.config.get("dir", ""))

    @property
    def home(self) -> Path:
        """Where its configuration file is."""
        return self.world.workspace.path / self.handle.name

    def stopped(self) -> None:
        """It has ended by itself."""
        self.state = "stopped"
        self.world.note_down(self)
        self.world.journal.event(self.handle.name, "stop")


class RealWorld(CommonWorld[RealNode]):
    """Nodes on real ports of 127.0.0.1, in real time.

    Args:
        seed: of what our own code draws; the machine has its own mind.
        relayed: whether faults can be put between nodes; then all that they hear of each other
            goes through relays (`routes.py`). For a single node it only costs time.
        own_addresses: for tests: whether hosts are told apart by address; None is where the
            machine can do it.

    Attributes:
        began_at: when the world began, in seconds since the epoch.
    """

    name: str

    def __init__(
        self, *, seed: int = 0, relayed: bool = False, own_addresses: bool | None = None
    ) -> None:
        self._began = time.monotonic()
        self.began_at = time.time()
        self._journal = EventJournal(self._began)
        super().__init__(seed, self._journal)
        self.workspace = Workspace()
        self._background: Background | None = None
        self._routes = Routes(
            Random(f"network/{seed}"),
            self.background,
            relayed=relayed,
            own_addresses=own_addresses,
        )
        if relayed:
            self._routes.find_processes_by(finder(self._processes))
        self._owner = Owner(CLIENT)
        self._clients_at: dict[str, None] = {CLIENT: None, OBSERVER: None}
        self._is_closed = False

    @abstractmethod
    def make_node(self, spec: NodeSpec, handle: NodeHandle, site: Site) -> RealNode:
        """A node of the kind that its spec asks for."""

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return time.monotonic() - self._began

    @property
    def journal(self) -> EventJournal:
        """What happened."""
        return self._journal

    def background(self) -> Background:
        """The thread with the world's loop, started when it is first asked for."""
        if self._background is None:
            if self._is_closed:
                raise RuntimeError("the lab is closed")
            self._background = Background(f"redislab-{self.name}")
            self._background.loop.routes = self._routes
        return self._background

    # -- nodes ---------------------------------------------------------------------------------

    def start(self, spec: NodeSpec) -> NodeHandle:
        """Start a node and wait until it listens.

        Raises:
            OSError: a node of ours cannot have its port.
            WorldError: a process ended instead; the message has its last words.
        """
        is_ours_to_choose = asked_port(spec) == 0
        for tries_left in reversed(range(PORT_TRIES)):
            handle = self._prepare(spec)
            try:
                self._place_and_launch(spec, handle)
            except (OSError, WorldError) as failure:
                if not (is_taken(failure) and is_ours_to_choose and tries_left):
                    raise
            else:
                break
        return handle

    def state(self, name: str) -> State:
        """How a node is; one that ended by itself is "stopped"."""
        return self._node(name).look()

    def kill(self, name: str) -> None:
        """`kill -9`."""
        node = self._node(name)
        if node.look() in {"running", "paused"}:
            # First, so that who connects the moment after is refused, as a kernel would.
            self.note_down(node)
            node.end()
            node.state = "killed"
            self._journal.event(name, "kill")

    def power_off(self, name: str, kept: float | None = None) -> NoReturn:
        """What only the simulation can do."""
        raise WorldError(
            f"{name} is on this machine, whose power stays on: files keep what was written to"
            " them. `kill` is as far as it goes here; the world 'sim' can take a host's power"
        )

    def restart(self, name: str, *, wipe: bool = False) -> None:
        """Start a node again, at the same address, on the files that it left, unless wiped."""
        self.kill(name)
        node = self._node(name)
        if wipe:
            if not node.directory.is_relative_to(self.workspace.path):
                raise WorldError(
                    f"{node.directory} is not the lab's own directory: wipe it yourself"
                )
            _empty(node.directory, keep=node.made)
        self._launch(node)

    def pause(self, name: str) -> None:
        """`SIGSTOP`."""
        node = self._node(name)
        if node.look() == "running":
            node.pause()
            node.state = "paused"
            self._journal.event(name, "pause")

    def resume(self, name: str) -> None:
        """`SIGCONT`."""
        node = self._node(name)
        if node.state == "paused":
            node.state = "running"
            self._journal.event(name, "resume")
            node.resume()

    def log(self, name: str) -> str:
        """The text of a node's log."""
        return self._node(name).log()

    def log_lines(self, name: str, since: int = 0) -> list[LogLine]:
        """The lines of a node's log but the first `since`."""
        return self._node(name).log_lines()[since:]

    def process_id(self, name: str) -> int:
        """The process id of a node that runs; raises WorldError for one that has none."""
        node = self._node(name)
        node.look()
        if node.process_id is None:
            raise WorldError(f"{name} runs in no process of its own now")
        return node.process_id

    def direct(self, name: str) -> Address:
        """Where a node itself listens, past every relay."""
        return self._node(name).site.own

    # -- files ---------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """Where the directories of all nodes are, or will be."""
        return self.workspace.path

    def files(self, name: str) -> dict[str, bytes]:
        """The files in a node's `dir` and below."""
        node = self._node(name)
        return {
            path.relative_to(node.directory).as_posix(): path.read_bytes()
            for path in _data_files(node.directory, node.made)
        }

    def put_files(self, name: str, files: Mapping[str, bytes]) -> None:
        """Lay files into a node's `dir`."""
        directory = self._node(name).directory
        self.workspace.make(name)
        for path, data in files.items():
            target = directory / PurePosixPath(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def disk(self, name: str) -> SimDisk:
        """What only the simulation has."""
        raise WorldError(
            f"the files of {name} are real ones: `files` reads them; the world 'sim' has disks"
            " that fail when they are told to"
        )

    # -- time and code -------------------------------------------------------------------------

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine on the world's loop, and return its result.

        Raises:
            TimeoutError: when it is not done within `timeout` seconds.
        """
        return self.background().call(coroutine, self._owner, timeout)

    def run_for(self, seconds: float) -> None:
        """Let that much time pass."""
        time.sleep(check_span(seconds))

    def close(self) -> None:
        """Stop everything and leave nothing behind."""
        if self._is_closed:
            return
        try:
            for node in self._nodes.values():
                if node.state in {"running", "paused"}:
                    node.end()
                    node.state = "stopped"
        finally:
            self._is_closed = True
            if self._background is not None:
                self._routes.close()
            for client in self._clients:
                close_client(client)
            self._clients.clear()
            if self._background is not None:
                self._background.close()
            self.workspace.close()

    def note_down(self, node: RealNode) -> None:
        """A node listens no more."""
        node.process_id = None
        self._routes.mark(node.handle.name, up=False)

    # -- inside --------------------------------------------------------------------------------

    def _place_and_launch(self, spec: NodeSpec, handle: NodeHandle) -> None:
        name = handle.name
        site = self._routes.add(
            name,
            (handle.host, handle.port),
            with_bus=_has_bus(spec),
            is_sentinel=spec.program == "sentinel",
        )
        try:
            node = self._nodes[name] = self.make_node(spec, handle, site)
            self._launch(node)
        except BaseException:
            self._nodes.pop(name, None)
            self._routes.remove(name)
            raise

    def _launch(self, node: RealNode) -> None:
        node.runs += 1
        node.launch()
        node.state = "running"
        self._routes.mark(node.handle.name, up=True)
        self._journal.event(node.handle.name, "start", f"listens on port {node.handle.port}")

    def _prepare(self, spec: NodeSpec) -> NodeHandle:
        """The name and the known address of a new node."""
        if self._is_closed:
            raise RuntimeError("the lab is closed")
        check_program(spec)
        port = asked_port(spec) or free_port(with_bus=_has_bus(spec) or is_proxy(spec))
        name = node_name(spec, port)
        self._check_new(name)
        host = str(spec.config.get("bind", LOCALHOST)).split()[0].lstrip("-")
        return NodeHandle(name, LOCALHOST if host in {"*", "0.0.0.0"} else host, port)

    def _processes(self) -> Iterator[tuple[str, int]]:
        for name, node in list(self._nodes.items()):
            if node.process_id is not None:
                yield name, node.process_id

    def _hosts(self) -> list[str]:
        return [*self._clients_at, *self._nodes]

    def _cut(self, source: str, target: str) -> None:
        self._routes.cut(source, target)

    def _delay(self, source: str, target: str, seconds: float, jitter: float) -> None:
        self._routes.delay(source, target, seconds, jitter)

    def _drop(self, a: str, b: str) -> None:
        self._routes.drop(a, b)

    def _heal(self) -> None:
        self._routes.heal()

    def _heal_one(self, source: str, target: str) -> None:
        self._routes.heal_one(source, target)

    def connections(self, at: str, options: dict[str, Any]) -> type[redis.Connection]:
        """The class of a blocking client's connections on a host; puts in options."""
        options.setdefault("retry", Retry(ExponentialWithJitterBackoff(), CLIENT_RETRIES))
        return routed(RoutedConnection, self._dial_from(at))

    def async_connections(self, at: str, options: dict[str, Any]) -> type[redis.asyncio.Connection]:
        """The same for an asyncio client."""
        options.setdefault("retry", AsyncRetry(ExponentialWithJitterBackoff(), CLIENT_RETRIES))
        return routed(RoutedAsyncConnection, self._dial_from(at))

    def _dial_from(self, at: str) -> Any:
        self._clients_at.setdefault(at)

        def dial(host: str, port: int) -> Dialing | None:
            return self._routes.dial(at, host, port)

        return dial


def _has_bus(spec: NodeSpec) -> bool:
    """Whether a node listens on the port of Cluster's bus as well."""
    return str(spec.config.get("cluster-enabled", "no")).lower() == "yes"


def _data_files(directory: Path, made: tuple[str, ...]) -> list[Path]:
    return [
        path for path in sorted(directory.rglob("*")) if path.is_file() and path.name not in made
    ]


def _empty(directory: Path, keep: tuple[str, ...]) -> None:
    """Take everything out of a directory but some files."""
    if directory.is_dir():
        for path in directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in keep:
                path.unlink()
