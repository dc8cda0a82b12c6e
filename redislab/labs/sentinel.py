"""A master, its replicas, and the Sentinels that watch over them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from redislab.labs import registry
from redislab.labs.base import Named
from redislab.labs.events import EventTable
from redislab.labs.recorded import RecordedLab
from redislab.labs.replication import follower
from redislab.labs.scenario import Scenario, plain_actions, setup_of
from redislab.labs.sentinelstate import Opinion, SentinelSnapshot, log_event, opinion
from redislab.labs.writer import Reign, Writer, reigns_of
from redislab.worlds.base import CLIENT, Event, LogLine, NodeHandle, NodeSpec, WorldError

if TYPE_CHECKING:
    from redislab.views.sentinel import SentinelView, SentinelWatch

# How long the nodes may take to know each other when a lab begins.
_READY_SECONDS = 60.0
_READY_STEP = 0.25
# A client that waits longer for a master that fell silent would never ask the Sentinels again.
CLIENT_TIMEOUT_SECONDS = 1.0
SENTINEL_TIMEOUT_SECONDS = 0.5

# redis-py's, which come without types.
_BLOCKING: Any = redis.sentinel.Sentinel
_ASYNC: Any = redis.asyncio.sentinel.Sentinel

Which = bool | Collection[int] | None
# What is at hand in `__init__` and no argument that tells how a lab is made.
_NOT_OF_A_SETUP = frozenset({"self", "__class__", "options", "seed"})


class SentinelLab(RecordedLab):
    """A master with replicas and Sentinels, in any world; when it is made, all know each other.

    The servers are `redis-1` (the first master), `redis-2` ..., the Sentinels `sentinel-1` ...

    Args:
        replicas: how many.
        sentinels: how many.
        quorum: how many Sentinels have to agree that the master is down.
        world: "sim" (virtual time), "live" (real ports) or "redis" (real programs).
        seed: of everything that is left to chance.
        down_after_ms: how long the silence of a node is that makes it down.
        failover_timeout_ms: bounds the steps of a failover, and twice it is the time between two.
        parallel_syncs: how many replicas are sent to a new master at the same time.
        password: what the servers ask for; the Sentinels and the lab's clients know it.
        sentinel_password: what the Sentinels ask for, likewise.
        service: what the Sentinels call the master.
        config: further directives for every server.
        sentinel_config: further directives for every Sentinel; those of the kind `sentinel` as a
            tuple of lines.
        real_servers: which servers are real redis-servers: all, none, those at these places (0 is
            the first master); None is as the world has it.
        real_sentinels: which Sentinels are real, likewise.
        ready: wait until all know each other; False returns at once.
        options: further options of the world.

    Attributes:
        service: what the Sentinels call the master.

    Raises:
        ValueError: when there is no such world, or a number of nodes that cannot be.
        ProgramMissingError: when a real program is missing; it names the package.
        TimeoutError: when the nodes did not get to know each other in time.
    """

    def __init__(
        self,
        *,
        replicas: int = 2,
        sentinels: int = 3,
        quorum: int = 2,
        world: str = "sim",
        seed: int = 0,
        down_after_ms: int = 30_000,
        failover_timeout_ms: int = 180_000,
        parallel_syncs: int = 1,
        password: str | None = None,
        sentinel_password: str | None = None,
        service: str = "mymaster",
        config: Mapping[str, Any] | None = None,
        sentinel_config: Mapping[str, Any] | None = None,
        real_servers: Which = None,
        real_sentinels: Which = None,
        ready: bool = True,
        **options: Any,
    ) -> None:
        given = {**locals(), **options}
        if replicas < 0 or sentinels < 1:
            wrong = f"not {replicas} and {sentinels}"
            raise ValueError(f"there are 0 replicas or more and 1 Sentinel or more, {wrong}")
        super().__init__(world, seed, password=password, **options)
        self._arguments = {k: v for k, v in given.items() if k not in _NOT_OF_A_SETUP}
        self.service = service
        self._sentinel_password = sentinel_password
        # Of the Sentinels, which keep their ids in their files: the ids by name, and back.
        self._ids: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._writers: list[Writer] = []
        self._watch: Any = None
        # Redis waits five seconds for more replicas to come before it sends them the data.
        directives: dict[str, Any] = {"repl-diskless-sync-delay": "0"}
        if password is not None:
            directives |= {"requirepass": password, "masterauth": password}
        # Last, for replicas may have a user and a password of their own.
        directives |= config or {}
        first: NodeHandle | None = None
        for place in range(replicas + 1):
            where = {} if first is None else {"replicaof": f"{first.host} {first.port}"}
            real = _is_real(real_servers, place)
            handle = self._start(NodeSpec(f"redis-{place + 1}", directives | where, real=real))
            first = first or handle
        assert first is not None, "there is a master"
        self._first = first
        if ready:
            # A Sentinel asks a master for its replicas once in ten seconds.
            self.wait_until(lambda now: len(now.followers) == replicas == _up(now), _READY_SECONDS)
        watched = dict(sentinel_config or {})
        lines = [f"monitor {service} {first.host} {first.port} {quorum}"]
        lines += [
            f"down-after-milliseconds {service} {down_after_ms}",
            f"failover-timeout {service} {failover_timeout_ms}",
            f"parallel-syncs {service} {parallel_syncs}",
        ]
        if password is not None:
            lines.append(f"auth-pass {service} {password}")
        if sentinel_password is not None:
            watched["requirepass"] = sentinel_password
            lines.append(f"sentinel-pass {sentinel_password}")
        watched["sentinel"] = (*lines, *watched.get("sentinel", ()))
        for place in range(sentinels):
            real = _is_real(real_sentinels, place)
            self._start(NodeSpec(f"sentinel-{place + 1}", watched, program="sentinel", real=real))
        if ready:
            self.wait_until(lambda now: now.settled, timeout=_READY_SECONDS, every=_READY_STEP)
        self._history.is_open = True

    # -- who is who ------------------------------------------------------------------------------

    @property
    def servers(self) -> list[NodeHandle]:
        """The nodes that hold data, whatever they are at the moment."""
        return [handle for name, handle in self.nodes.items() if not _is_sentinel(name)]

    @property
    def sentinels(self) -> list[NodeHandle]:
        """The Sentinels."""
        return [handle for name, handle in self.nodes.items() if _is_sentinel(name)]

    @property
    def master(self) -> NodeHandle:
        """The master, as the Sentinels name it now.

        Raises:
            LookupError: no Sentinel answers, or they name a stranger.
        """
        name = self.ask().named
        if name not in self.nodes:
            raise LookupError(f"the Sentinels name no server of this lab, but {name or 'nobody'}")
        return self.nodes[name]

    @property
    def replicas(self) -> list[NodeHandle]:
        """The servers that are not the master that the Sentinels name."""
        named = self.ask().named
        return [handle for handle in self.servers if handle.name != named]

    def failover(self, sentinel: Named | None = None) -> None:
        """SENTINEL FAILOVER: a Sentinel puts a replica in the master's place without being asked.

        Raises:
            redis.ResponseError: there is no fit replica, or a failover is under way.
        """
        name = self.sentinels[0].name if sentinel is None else self.find(sentinel).name
        client: Any = self._observer(name)
        with self.doing("failover", name):
            client.execute_command("SENTINEL", "FAILOVER", self.service)

    # -- clients ---------------------------------------------------------------------------------

    def client(self, node: Named | None = None, *, at: str = CLIENT, **options: Any) -> redis.Redis:
        """A stock redis-py client of the master, wherever that is: it asks the Sentinels.

        Args:
            node: a client of this node instead, which follows nobody.
            at: the host that it lives on.
            options: redis-py's. `socket_timeout` is how long it waits for a master that fell
                silent before it asks the Sentinels again, one second unless told otherwise.
        """
        if node is not None:
            return self._client_of(node, at, options)
        return self._follow(at, options, is_master=True)

    def replica_client(self, *, at: str = CLIENT, **options: Any) -> redis.Redis:
        """A stock redis-py client of the replicas in turn, as the Sentinels name them."""
        return self._follow(at, options, is_master=False)

    def sentinel_client(
        self, sentinel: Named | None = None, *, at: str = CLIENT, **options: Any
    ) -> redis.Redis:
        """A stock redis-py client of a Sentinel, of the first if none is named."""
        return self._client_of(self.sentinels[0] if sentinel is None else sentinel, at, options)

    def async_client(
        self, node: Named | None = None, *, at: str = CLIENT, **options: Any
    ) -> redis.asyncio.Redis:
        """The same as `client` for asyncio."""
        self.settle_at(at)
        if node is not None:
            options.setdefault("password", self._password_of(str(node)))
            return self._world.async_client(str(self.find(node)), at, **options)
        finder: Any = _ASYNC([])
        finder.sentinels = [
            self._world.async_client(each.name, at, **self._asking()) for each in self.sentinels
        ]
        self._complete(options)
        connection = self._world.async_connections(at, options)
        managed = type(
            "Followed", (redis.asyncio.sentinel.SentinelManagedConnection, connection), {}
        )
        client: redis.asyncio.Redis = finder.master_for(
            self.service, connection_class=managed, **options
        )
        self._world.keep(client)
        return client

    def writer(self, *, rate: float = 10.0, at: str = CLIENT, **options: Any) -> Writer:
        """A client that writes numbered keys from now on, and knows what became of each.

        Args:
            rate: writes a second.
            at: the host that it lives on.
            options: redis-py's.

        Raises:
            ValueError: when it is to write at no rate.
        """
        if not rate > 0:
            raise ValueError(f"rate is a number of writes a second, above zero, not {rate}")
        place = "" if at == CLIENT else at
        self._hosts_known.add(at)
        with self.doing("write", place, rate=rate, options=options):
            writer = Writer(self, f"write-{len(self._writers) + 1}", rate=rate, at=at, **options)
        self._writers.append(writer)
        return writer

    def writer_of(self, name: str) -> Writer:
        """A client that writes, by its name: "write-1" is the first.

        Raises:
            KeyError: there is no such client.
        """
        for writer in self._writers:
            if writer.name == name:
                return writer
        raise KeyError(f"nobody who writes is called {name!r}")

    # -- the same again --------------------------------------------------------------------------

    def scenario(self) -> Scenario:
        """How it was made, and what was done to it so far.

        Raises:
            ValueError: it was made with something that JSON has no words for.
        """
        return Scenario(self.seed, self.now, setup_of(self._arguments), plain_actions(self.actions))

    @classmethod
    def from_scenario(
        cls,
        scenario: Scenario | str | bytes,
        until: float | None = None,
        *,
        world: str | None = None,
    ) -> SentinelLab:
        """A lab that has come as far as a scenario says, to go on with.

        Args:
            scenario: as such, or as JSON.
            until: to which moment, in seconds of the lab's clock; None is the end.
            world: where; None is the one of the scenario.

        Raises:
            ValueError: it is no scenario; the message says in a line what is wrong.
        """
        if not isinstance(scenario, Scenario):
            scenario = Scenario.from_json(scenario)
        return scenario.play(until, world=world)

    def fork(self, at: float | None = None) -> SentinelLab:
        """Another lab that has the same past up to a moment, made by doing all of it again.

        This one stays as it is. The other one ends with it, if it was not closed before.

        Args:
            at: the moment, in seconds of the lab's clock; None is now.

        Raises:
            WorldError: outside `sim`, where a run cannot be had again.
        """
        if self.world != "sim":
            raise WorldError(f"a run of the world {self.world!r} cannot be had again: use 'sim'")
        scenario = self.scenario()
        with registry.apart():
            other = scenario.play(at if at is None else min(at, scenario.seconds))
        self.adopt(other)
        return other

    # -- what can be seen ------------------------------------------------------------------------

    def view(self) -> SentinelView:
        """The lab as a picture: live in a notebook, a recording on a page.

        Servers and what each Sentinel thinks; under them, on one time axis, the faults, what the
        Sentinels tell, and what the lab's writers see.
        """
        from redislab.views.sentinel import SentinelView

        return SentinelView(self.watch)

    @property
    def watch(self) -> SentinelWatch:
        """What takes the pictures for its views."""
        from redislab.views.sentinel import SentinelWatch

        if self._watch is None:
            self._watch = SentinelWatch(self, self._writers)
        watch: SentinelWatch = self._watch
        return watch

    @property
    def events(self) -> EventTable:
        """What happened: what was done to the lab, and what the Sentinels' logs tell, in order."""
        found = [*self._world.journal.events, *self.told()]
        return EventTable(sorted(found, key=lambda event: event.time))

    def told(self) -> list[Event]:
        """The events that the Sentinels' logs tell of."""
        lines = [(each.name, line) for each in self.sentinels for line in self._lines(each)]
        found = (log_event(name, line) for name, line in lines)
        return [event for event in found if event is not None]

    def _lines(self, node: NodeHandle) -> list[LogLine]:
        return self._world.log_lines(node.name)

    def reigns(self) -> list[Reign]:
        """Which server became the master when, as the logs tell."""
        logs = {each.name: self._lines(each) for each in self.servers}
        promotions = [
            (event.time, self.name_in(event.detail))
            for event in self.told()
            if event.kind == "+promoted-slave"
        ]
        return reigns_of(self._first.name, logs, promotions, self._addresses())

    def name_in(self, detail: str) -> str:
        """The server that an event of a Sentinel is about: "slave 127.0.0.1:6380 ..."."""
        address = detail.split(" ")[1]
        return self._addresses().get(address, address)

    def _addresses(self) -> dict[str, str]:
        """The names of the servers by their addresses."""
        return {f"{each.host}:{each.port}": each.name for each in self.servers}

    def snapshot(self) -> SentinelSnapshot:
        """What servers and Sentinels say now; one that does not answer is not `up`."""
        with self.looking("look"):
            nodes = tuple(self._snapshot_of(handle) for handle in self.servers)
            by_address = {(each.host, each.port): each for each in nodes}
            return SentinelSnapshot(
                self.now,
                nodes,
                tuple(follower(each, by_address) for each in nodes if each.role == "slave"),
                self._opinions(),
                self.cuts,
                self.delays,
            )

    def ask(self) -> SentinelSnapshot:
        """What the Sentinels say now, without the servers."""
        with self.looking("ask"):
            return SentinelSnapshot(self.now, (), (), self._opinions())

    # -- inside ----------------------------------------------------------------------------------

    def _opinions(self) -> tuple[Opinion, ...]:
        return tuple(self._opinion(handle) for handle in self.sentinels)

    def _opinion(self, handle: NodeHandle) -> Opinion:
        state = self._world.state(handle.name)
        silent = Opinion(handle.name, handle.host, handle.port, up=False, state=state)
        if state != "running":
            return silent
        client: Any = self._observer(handle.name)
        for _ in range(2):
            try:
                return self._ask_opinion(client, silent)
            except redis.ConnectionError:
                # It may have been the connection to an earlier run of it.
                client.connection_pool.disconnect()
            except redis.RedisError:
                break
        return silent

    def _ask_opinion(self, client: Any, known: Opinion) -> Opinion:
        names = {(each.host, each.port): each.name for each in self.servers}
        own_id = self._ids.get(known.name)
        if own_id is None:
            own_id = self._ids[known.name] = client.execute_command("SENTINEL", "MYID")
            self._names[own_id] = known.name
        master = client.sentinel_master(self.service)
        # In epoch 0 nobody gets a vote: the answer is whom it has voted for.
        vote = client.execute_command(
            "SENTINEL", "IS-MASTER-DOWN-BY-ADDR", master["ip"], master["port"], 0, own_id
        )
        answering = Opinion(
            known.name, known.host, known.port, up=True, state=known.state, id=own_id
        )
        return opinion(answering, master, vote, client.info("sentinel"), names, self._names)

    def _client_of(self, node: Named, at: str, options: dict[str, Any]) -> redis.Redis:
        self.settle_at(at)
        options.setdefault("password", self._password_of(str(node)))
        return self._world.client(str(self.find(node)), at, **options)

    def _follow(self, at: str, options: dict[str, Any], *, is_master: bool) -> redis.Redis:
        self.settle_at(at)
        finder: Any = _BLOCKING([])
        finder.sentinels = [
            self._world.client(each.name, at, **self._asking()) for each in self.sentinels
        ]
        self._complete(options)
        connection = self._world.connections(at, options)
        managed = type("Followed", (redis.sentinel.SentinelManagedConnection, connection), {})
        find: Any = finder.master_for if is_master else finder.slave_for
        client: redis.Redis = find(self.service, connection_class=managed, **options)
        pool: Any = client.connection_pool
        # redis-py draws the replica that it begins with from the process's random source.
        pool.proxy.slave_rr_counter = -1
        self._world.keep(client)
        return client

    def _complete(self, options: dict[str, Any]) -> None:
        options.setdefault("password", self._password)
        options.setdefault("socket_timeout", CLIENT_TIMEOUT_SECONDS)
        options.setdefault("socket_connect_timeout", CLIENT_TIMEOUT_SECONDS)

    def _asking(self) -> dict[str, Any]:
        """Options of a client's connections to the Sentinels."""
        return {
            "password": self._sentinel_password,
            "socket_timeout": SENTINEL_TIMEOUT_SECONDS,
            "socket_connect_timeout": SENTINEL_TIMEOUT_SECONDS,
        }

    def _password_of(self, name: str) -> str | None:
        """What a node asks for."""
        return self._sentinel_password if _is_sentinel(name) else self._password


def _up(now: SentinelSnapshot) -> int:
    """How many replicas have a link to their master."""
    return sum(each.link == "up" for each in now.followers)


def _is_sentinel(name: str) -> bool:
    return name.startswith("sentinel-")


def _is_real(which: Which, place: int) -> bool | None:
    """Whether the node at a place is a real one; None is as the world has it."""
    if which is None or isinstance(which, bool):
        return which
    return place in which
