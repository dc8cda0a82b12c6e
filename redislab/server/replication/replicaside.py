"""The replica's side: following a master, coming back to it, and what is served meanwhile.

The link to the master (`link.py`) meets it and brings the data set and the stream; here is decided
what is asked for, what is done with what comes, and when to try again. A replica that loses its
link keeps its place in the history, and asks to go on from there. Follows the part "SLAVE" of
`src/replication.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redislab.engine.rdbload import RdbLoader
from redislab.server.replication.apply import Applier
from redislab.server.replication.handshake import Step
from redislab.server.replication.link import MasterLink
from redislab.wire.rdb.faults import RdbError

if TYPE_CHECKING:
    from redislab.server.replication.payload import Payload
    from redislab.server.replication.replication import Replication


class ReplicaSide:
    """A node as a replica.

    Attributes:
        master: host and port of the master; None for a node that is one.
        link: the present connection, or attempt at one.
        knows_history: it has a place in some history that it can ask to go on from.
        has_been_connected: it has followed a stream since it follows this master.
        bytes_in: bytes from masters, payloads among them.
        down_since: when the link was lost, on the loop's clock.
        loading: the data set that is being loaded.
    """

    def __init__(self, replication: Replication) -> None:
        self.replication = replication
        self.node = replication.node
        self.history = replication.history
        self.master: tuple[str, int] | None = None
        self.link: MasterLink | None = None
        self.applier: Applier | None = None
        self.knows_history = self.has_been_connected = False
        self.bytes_in = 0
        self.down_since = 0.0
        self.loading: asyncio.Task[None] | None = None
        self._wants_failover = ""

    @property
    def connected(self) -> bool:
        """Whether it follows its master's stream."""
        return self.link is not None and self.link.step is Step.CONNECTED

    @property
    def step(self) -> Step:
        """How far it is with its master."""
        if self.master is None:
            return Step.NONE
        return Step.CONNECT if self.link is None else self.link.step

    @property
    def state_name(self) -> str:
        """How far it is with its master, as ROLE names it."""
        if self.link is not None and self.link.in_handshake:
            return "handshake"
        return {Step.TRANSFER: "sync"}.get(self.step, self.step.value)

    @property
    def unapplied_bytes(self) -> int:
        """How much of the stream has come and is not applied: a part of a command."""
        return 0 if self.applier is None else self.applier.unapplied

    # -- whom to follow --------------------------------------------------------------------------

    def follow(self, host: str, port: int) -> None:
        """Follow this master from now on."""
        self._drop_link()
        self.master = (host, port)
        self.down_since = self.node.loop_time()
        self.has_been_connected = False
        self.connect()

    def leave(self) -> None:
        """Follow nobody."""
        self._drop_link()
        self.master = None

    def connect(self, why: str = "Connecting") -> None:
        """Try to reach the master."""
        if self.master is None or self.link is not None or self.node.stopping:
            return
        host, port = self.master
        self.node.log.notice(f"{why} to MASTER {host}:{port}")
        self.link = MasterLink(self)
        self.link.dial(host, port)
        self.node.log.notice("MASTER <-> REPLICA sync started")

    def _drop_link(self) -> None:
        link = self.link
        if link is not None:
            link.close()
        self.link = None

    def link_lost(self, link: MasterLink, was: Step) -> None:
        """A link has ended; the next one is tried at once after a working one, else in a second."""
        if link is not self.link:
            return
        self.link = None
        if self.loading is not None:
            self.loading.cancel()
            self.loading = None
            self.replication.set_loading(None)
        if was is Step.CONNECTED:
            self.down_since = self.node.loop_time()
            self.node.log.notice("Connection with master lost.")
            self.node.log.notice("Caching the disconnected master state.")
            if self.applier is not None:
                self.applier.abandon()
                self.applier = None
            self.node.refresh()
            if self.master is not None and not self.node.stopping:
                self.node.loop.call_soon(self.connect, "Reconnecting")

    # -- the handshake ---------------------------------------------------------------------------

    def request(self) -> tuple[bytes, ...]:
        """What to ask the master for: the rest of the stream, or everything."""
        log, history = self.node.log, self.history
        failover, self._wants_failover = self._wants_failover, ""
        more = (failover.encode(),) if failover else ()
        if not self.knows_history:
            log.notice("Partial resynchronization not possible (no cached master)")
            return (b"PSYNC", b"?", b"-1", *more)
        wanted = history.offset + 1
        log.notice(f"Trying a partial resynchronization (request {history.id}:{wanted}).")
        return (b"PSYNC", history.id.encode(), b"%d" % wanted, *more)

    def ask_to_fail_over(self) -> None:
        """Add FAILOVER to the next PSYNC: the master it goes to shall become one."""
        self._wants_failover = "FAILOVER"

    def continue_with(self, link: MasterLink, replication_id: str) -> None:
        """The master goes on where we stopped."""
        log = self.node.log
        log.notice("Successful partial resynchronization with master.")
        if replication_id and replication_id != self.history.id:
            self.history.rename(replication_id)
            log.notice(f"Master replication ID changed to {replication_id}")
            # Those who follow us must learn the new name as well.
            self.replication.masterside.disconnect_replicas()
        self.replication.masterside.create_backlog()
        log.notice("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.")
        self._begin_stream(link)

    # -- the data set ----------------------------------------------------------------------------

    def load(self, link: MasterLink, payload: Payload) -> None:
        """Load a data set that has come whole."""
        link.pause(paused=True)
        self.loading = self.node.loop.create_task(self._load(link, payload), name="load")

    async def _load(self, link: MasterLink, payload: Payload) -> None:
        """Read the data set beside the present data, and change over once all of it is read."""
        node, log = self.node, self.node.log
        loader = RdbLoader(node.new_engine(), keep_expired=True)
        try:
            self.replication.set_loading(payload)
            await payload.settle()
            for chunk in payload.chunks():
                loader.feed(chunk)
                await asyncio.sleep(0)
            loader.finish()
        except (RdbError, OSError) as failure:
            log.warning(f"Failed trying to load the MASTER synchronization DB from disk: {failure}")
            self.loading = None
            self.replication.set_loading(None)
            link.close()
            return
        self.loading = None
        log.notice("MASTER <-> REPLICA sync: Flushing old data")
        self.replication.masterside.disconnect_replicas()
        self.replication.masterside.free_backlog()
        node.adopt(loader.engine)
        self.replication.set_loading(None)
        self.history.adopt(payload.history or self.history.id, payload.offset)
        self.knows_history = bool(payload.history)
        self.replication.masterside.create_backlog()
        log.notice("MASTER <-> REPLICA sync: Finished with success")
        link.loaded()
        link.pause(paused=False)
        self._begin_stream(link, database=loader.stream_database)
        # PERSIST
        if payload.rest:
            self.receive(link, payload.rest)

    # -- the stream ------------------------------------------------------------------------------

    def _begin_stream(self, link: MasterLink, database: int = 0) -> None:
        self.knows_history = link.speaks_psync
        self.has_been_connected = True
        self.applier = Applier(self.node, self.replication.masterside, database)
        self.node.refresh()
        self.acknowledge()

    def receive(self, link: MasterLink, data: bytes) -> None:
        """A piece of the stream."""
        applier = self.applier
        if applier is None:
            return
        wrong = applier.take(data, self.acknowledge_at)
        if wrong:
            self.node.log.warning(f"Protocol error ({wrong}) from client: master. Dropping it.")
            link.close()

    def acknowledge(self) -> None:
        """Tell the master how far we are."""
        self.acknowledge_at(self.history.offset)

    def acknowledge_at(self, offset: int) -> None:
        """Tell the master that we have taken in the stream up to an offset."""
        if self.link is not None and self.link.step is Step.CONNECTED and self.link.speaks_psync:
            self.link.say(b"REPLCONF", b"ACK", b"%d" % offset)

    # -- time ------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Once a second."""
        if self.master is None:
            return
        link = self.link
        if link is None:
            self.connect()
            return
        silent = self.node.loop_time() - link.last_io > self.node.config.repl_timeout
        if link.step is Step.CONNECTED:
            if silent:
                self.node.log.warning("MASTER timeout: no data nor PING received...")
                link.close()
            else:
                self.acknowledge()
        elif link.step is Step.TRANSFER and self.loading is not None:
            link.say_newline()
        elif silent:
            if link.step is Step.TRANSFER:
                self.node.log.warning(
                    "Timeout receiving bulk data from MASTER... If the problem persists try to set "
                    "the 'repl-timeout' parameter in redis.conf to a larger value."
                )
            else:
                self.node.log.warning("Timeout connecting to the MASTER...")
            link.close()

    def stop(self) -> None:
        """The node ends."""
        self._drop_link()
        if self.loading is not None:
            self.loading.cancel()
