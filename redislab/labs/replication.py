"""A master and its replicas."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import redis

from redislab.labs.base import Named
from redislab.labs.network import NetworkLab
from redislab.labs.router import Router
from redislab.labs.snapshot import NodeSnapshot
from redislab.wire.resp import bulks
from redislab.worlds.base import CLIENT, NodeHandle, NodeSpec

if TYPE_CHECKING:
    from redislab.benchmark import Result
    from redislab.views.display import View

# How long a lab waits for its replicas to have the data when it begins.
_SYNC_SECONDS = 30.0
# How finely `write_for` spreads its writes.
_STEP_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Follower:
    """A replica at one moment, with what its master knows of it.

    Attributes:
        name: its name in the lab.
        master: the name of the node that it follows; the address for one outside the lab.
        link: "up" or "down", as it says itself; empty when it does not answer.
        offset: how many bytes of the stream it has taken in.
        behind: how many bytes its master has written beyond that; None if the master is down.
        lag: seconds since the master heard of it, as the master says; None if it does not.
        syncing: it is being sent the data set.
    """

    name: str
    master: str
    link: str
    offset: int
    behind: int | None
    lag: int | None
    syncing: bool


@dataclass(frozen=True, slots=True)
class ReplicationSnapshot:
    """A lab with replicas at one moment.

    Attributes:
        time: seconds since the lab began.
        nodes: every node, in the order in which they were started.
        master: the name of the node that is the master of the others; empty if there is none.
        followers: every node that says it is a replica.
        cuts: (from, to) of every cut that the lab has made and not healed.
        delays: (a, b, seconds one way) of every delay likewise.
    """

    time: float
    nodes: tuple[NodeSnapshot, ...]
    master: str
    followers: tuple[Follower, ...]
    cuts: tuple[tuple[str, str], ...] = ()
    delays: tuple[tuple[str, str, float], ...] = ()

    @property
    def in_sync(self) -> bool:
        """Whether every node but the master follows it, and is not a byte behind."""
        return len(self.followers) == len(self.nodes) - 1 and all(
            each.link == "up" and each.behind == 0 for each in self.followers
        )

    @property
    def linked(self) -> bool:
        """Whether every node but the master has a working link to its master."""
        return len(self.followers) == len(self.nodes) - 1 and all(
            each.link == "up" for each in self.followers
        )

    def node(self, name: Named) -> NodeSnapshot:
        """A node by its name.

        Raises:
            KeyError: there is no such node.
        """
        for each in self.nodes:
            if each.name == str(name):
                return each
        raise KeyError(str(name))

    def follower(self, name: Named) -> Follower:
        """A replica by its name.

        Raises:
            KeyError: there is no such node, or it is not a replica.
        """
        for each in self.followers:
            if each.name == str(name):
                return each
        raise KeyError(str(name))

    def to_dict(self) -> dict[str, Any]:
        """As plain data that turns into JSON."""
        return asdict(self)


class ReplicationLab(NetworkLab):
    """One master and its replicas, in any world. When it is made, the replicas have the data.

    Args:
        world: "sim" (virtual time), "live" (real ports) or "redis" (real redis-servers).
        replicas: how many.
        seed: of everything that is left to chance.
        config: directives of redis.conf for every node, such as {"repl-backlog-size": "16kb"}.
        chain: every replica follows the one before it, and not the master itself.
        real: which nodes are real redis-servers in `live`, or ours in `redis`, by their place: 0 is
            the master, 1 the first replica.
        sync: wait until the replicas have the data; False returns at once.
        options: further options of the world.

    Raises:
        ValueError: when there is no such world.
        ProgramMissingError: when a real program is missing; it names the package.
        TimeoutError: when the replicas did not get the data in time.
    """

    def __init__(
        self,
        world: str = "sim",
        *,
        replicas: int = 2,
        seed: int = 0,
        config: Mapping[str, Any] | None = None,
        chain: bool = False,
        real: Collection[int] = (),
        sync: bool = True,
        **options: Any,
    ) -> None:
        directives = {name: str(value) for name, value in (config or {}).items()}
        # Redis waits five seconds for more replicas to come before it sends them the data.
        directives.setdefault("repl-diskless-sync-delay", "0")
        password = directives.get("requirepass") or None
        if password is not None:
            directives.setdefault("masterauth", password)
        super().__init__(world, seed, password=password, **options)
        self._directives = directives
        self._watch: Any = None
        self._writers: dict[str, redis.Redis] = {}
        self._written = 0
        others = world != "redis"
        before: NodeHandle | None = None
        for place in range(replicas + 1):
            is_real = others if place in real else None
            where = {} if before is None else {"replicaof": f"{before.host} {before.port}"}
            spec = NodeSpec(config=directives | where, real=is_real)
            handle = self._start(spec)
            if before is None or chain:
                before = handle
        if sync:
            self.wait_until(lambda now: now.linked, timeout=_SYNC_SECONDS)

    # -- who is who ------------------------------------------------------------------------------

    @property
    def master(self) -> NodeHandle:
        """The master, as the nodes say now.

        Raises:
            LookupError: no node that answers is a master.
        """
        name = self.snapshot().master
        if not name:
            raise LookupError("no node of this lab says that it is the master")
        return self.nodes[name]

    @property
    def replicas(self) -> list[NodeHandle]:
        """The nodes that say they are replicas, and those that do not answer."""
        master = self.snapshot().master
        return [handle for name, handle in self.nodes.items() if name != master]

    def add_replica(self, of: Named | None = None) -> NodeHandle:
        """Start one more replica, of the master or of the node that is named."""
        master = self.master if of is None else self.find(of)
        where = {"replicaof": f"{master.host} {master.port}"}
        return self._start(NodeSpec(config=self._directives | where))

    def promote(self, node: Named) -> None:
        """`REPLICAOF NO ONE`: the node is a master from now on. The others are not told."""
        self._control(node, "REPLICAOF", "NO", "ONE")

    def follow(self, node: Named, master: Named) -> None:
        """`REPLICAOF`: the node follows this master from now on."""
        handle = self.find(master)
        self._control(node, "REPLICAOF", handle.host, str(handle.port))

    def _control(self, node: Named, *words: str) -> None:
        """Send a node a command from where no fault of the scenario is in the way."""
        client: Any = self._observer(str(node))
        client.execute_command(*words)

    # -- clients ---------------------------------------------------------------------------------

    def client(self, node: Named | None = None, *, at: str = CLIENT, **options: Any) -> redis.Redis:
        """A stock redis-py client of a node, of the master if none is named."""
        return super().client(self.master if node is None else node, at=at, **options)

    def router(self, **options: Any) -> Router:
        """A client that writes to the master and reads from the replicas in turn."""
        master, replicas = self.master, self.replicas
        return Router(
            self.client(master, **options), [self.client(each, **options) for each in replicas]
        )

    def write_for(
        self,
        seconds: float,
        bytes_per_second: float,
        *,
        value_bytes: int = 100,
        keys: int = 10_000,
        step: float = _STEP_SECONDS,
        on_step: Callable[[], object] | None = None,
    ) -> int:
        """Let time pass while a client writes to the master at a steady rate.

        Args:
            seconds: how long, on the lab's clock.
            bytes_per_second: of SET commands as they stand in the replication stream.
            value_bytes: the size of the values.
            keys: how many keys they go to, one after the other: `key:00000000` and so on.
            step: the writes of so many seconds go out at once.
            on_step: called after each step.

        Returns:
            How many commands were sent.

        Raises:
            redis.ConnectionError: the master does not answer.
            LookupError: there is no master.
        """
        master = str(self.master)
        if master not in self._writers:
            self._writers[master] = self.client(master)
        # Digits in no order: a data set of them cannot be compressed to nothing.
        digits = Random(f"values/{self.seed}").getrandbits(4 * value_bytes)
        value = f"{digits:0{value_bytes}x}".encode()
        each = len(bulks((b"SET", b"key:%08d" % 0, value)))
        began, before = self.now, self._written
        steps = max(1, round(seconds / step))
        for number in range(1, steps + 1):
            passed = seconds * number / steps
            pipeline = self._writers[master].pipeline(transaction=False)
            for _ in range(before + round(bytes_per_second * passed / each) - self._written):
                pipeline.set(f"key:{self._written % keys:08d}", value)
                self._written += 1
            pipeline.execute()
            self.run_for(max(0.0, began + passed - self.now))
            if on_step is not None:
                on_step()
        return self._written - before

    def measure_together(self, loads: Mapping[Named, Mapping[str, Any]]) -> dict[str, Result]:
        """Load several nodes at the same time; what `measure` returns of each, by name.

        Args:
            loads: for each node what `measure` takes: `test` and options.
        """
        names = {str(node): dict(load) for node, load in loads.items()}
        if self.world != "sim":
            with ThreadPoolExecutor(len(names)) as pool:
                running = {
                    name: pool.submit(self.measure, node=name, **load)
                    for name, load in names.items()
                }
                return {name: future.result() for name, future in running.items()}
        from redislab import benchmark

        async def together() -> dict[str, Result]:
            runs = []
            for name, load in names.items():
                host, port = self._world.direct(name)
                where: dict[str, Any] = {"host": host, "port": port, "password": self._password}
                test = load.pop("test", "GET")
                runs.append(benchmark.coroutine(benchmark.settings_for(test, **(where | load))))
            return dict(zip(names, await gather(*runs), strict=True))

        return self.run(together())

    # -- faults ----------------------------------------------------------------------------------

    def repair(self, timeout: float = _SYNC_SECONDS) -> None:
        """Heal every link, start or wake every node, and wait until the replicas follow.

        Raises:
            TimeoutError: they did not within `timeout` seconds.
        """
        self.heal()
        for name in self.nodes:
            state = self._world.state(name)
            if state == "paused":
                self.resume(name)
            elif state != "running":
                self.restart(name)
        self.wait_until(lambda now: now.linked, timeout=timeout)

    # -- what can be seen ------------------------------------------------------------------------

    def view(self, kind: str = "topology") -> View:
        """The lab as a picture: live in a notebook, a recording on a page.

        Args:
            kind: "topology", who follows whom and how far behind; or "backlog", the part of the
                stream that the master keeps, as a ring with everyone's place on it.

        Raises:
            ValueError: for another kind.
        """
        from redislab.views.replication import ReplicationWatch, replication_view

        if self._watch is None:
            self._watch = ReplicationWatch(self)
        return replication_view(self._watch, kind)

    def snapshot(self) -> ReplicationSnapshot:
        """What the nodes say of themselves now; a node that does not answer is not `up`."""
        nodes = tuple(self._snapshot_of(handle) for handle in self.nodes.values())
        by_address = {(each.host, each.port): each for each in nodes}
        followers = tuple(follower(each, by_address) for each in nodes if each.role == "slave")
        return ReplicationSnapshot(
            self.now,
            nodes,
            _master_of(nodes, followers),
            followers,
            self.cuts,
            self.delays,
        )


def follower(node: NodeSnapshot, by_address: Mapping[tuple[str, int], NodeSnapshot]) -> Follower:
    """What a replica says of itself, and what the nodes at these addresses know of it."""
    info = node.info
    where = (str(info.get("master_host")), int(info.get("master_port", 0)))
    master = by_address.get(where)
    offset = int(info.get("slave_repl_offset", 0))
    behind = lag = None
    if master is not None and master.up:
        behind = max(0, int(master.info.get("master_repl_offset", 0)) - offset)
        for number in range(int(master.info.get("connected_slaves", 0))):
            row = master.info.get(f"slave{number}")
            if isinstance(row, dict) and int(row.get("port", 0)) == node.port:
                lag = int(row.get("lag", 0))
    return Follower(
        name=node.name,
        master=f"{where[0]}:{where[1]}" if master is None else master.name,
        link=str(info.get("master_link_status", "")),
        offset=offset,
        behind=behind,
        lag=lag,
        syncing=bool(int(info.get("master_sync_in_progress", 0))),
    )


def _master_of(nodes: tuple[NodeSnapshot, ...], followers: tuple[Follower, ...]) -> str:
    """The master that most nodes follow; the first one where they are as many."""
    masters = [each.name for each in nodes if each.role == "master"]
    following = [each.master for each in followers]
    return max(masters, key=following.count, default="")
