"""The replica's side: following a master, coming back to it, and what is served meanwhile.

The link to the master (`link.py`) meets it and brings the data set and the stream; here is decided
what is asked for, what is done with what comes, and when to try again. A replica that loses its
link keeps its place in the history, and asks to go on from there. Follows the part "SLAVE" of
`src/replication.c` of Redis 7.0, but for one thing: a master that again and again sends no whole
data set, or what makes no sense, is asked after a second, then after two, four, and so on, where
Redis would ask at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from redislab.server.clients import describe
from redislab.server.persistence.appendfile import State
from redislab.server.persistence.background import RDB
from redislab.server.persistence.disk import in_background
from redislab.server.replication.apply import Applier
from redislab.server.replication.discard import discard
from redislab.server.replication.handshake import HANDSHAKE, Step
from redislab.server.replication.link import Ending, MasterLink
from redislab.server.replication.payload import PayloadError

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.replication.payload import Payload
    from redislab.server.replication.replication import Replication

_BACK_OFF_MAX_SECONDS = 60.0  # for a master that makes no sense
_BACK_OFF_LOST_MAX_SECONDS = 8.0  # for a link that does not hold
_HELD_LEAST_SECONDS = 0.01
_TRUSTED_AFTER_SECONDS = 10.0  # of following a stream without trouble
_TIMEOUT_IN_TRANSFER = (
    "Timeout receiving bulk data from MASTER... If the problem persists try to set the "
    "'repl-timeout' parameter in redis.conf to a larger value."
)


class ReplicaSide:
    """A node as a replica.

    Attributes:
        master: host and port of the master; None for a node that is one.
        link: the present connection, or attempt at one.
        applier: the master as a client, present or past; None if no stream is known.
        bytes_in: bytes from masters, payloads among them.
        errors: how many commands of masters have failed here.
        down_since: when the link was lost, on the loop's clock; None if none has been.
        loading: "sync" while a data set is loaded and nobody is served, "async" if they are.
        loading_task: what reads a data set from the disk.
    """

    def __init__(self, replication: Replication) -> None:
        self.replication = replication
        self.node = replication.node
        self.history = replication.history
        self.master: tuple[str, int] | None = None
        self.link: MasterLink | None = None
        self.applier: Applier | None = None
        self.bytes_in = self.errors = 0
        self.down_since: float | None = None
        self.loading: Literal["", "sync", "async"] = ""
        self.loading_task: asyncio.Task[None] | None = None
        self._speaks_psync = self._is_heard = True
        self._troubles = 0
        self._since = 0.0
        self._not_before = float("-inf")

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
    def knows_history(self) -> bool:
        """Whether it has a place in some history that it can ask to go on from."""
        return self.applier is not None and self._speaks_psync

    @property
    def database(self) -> int | None:
        """The database that the stream is in, None if no stream is known."""
        return None if self.applier is None else self.applier.client.db.index

    @property
    def unapplied_bytes(self) -> int:
        """How much of the stream has come and is not applied."""
        if self.applier is None or self.link is None or not self.connected:
            return 0
        return self.applier.unapplied + self.link.held_bytes

    @property
    def transport(self) -> asyncio.Transport | None:
        """The connection to the master."""
        return None if self.link is None else self.link.transport

    # -- whom to follow --------------------------------------------------------------------------

    def follow(self, host: str, port: int) -> None:
        """Follow this master from now on."""
        self.master = (host, port)
        self._troubles, self._not_before = 0, float("-inf")
        self.connect("Connecting to MASTER {}:{}")

    def leave(self) -> None:
        """Follow nobody."""
        self.master = None
        if self.link is not None:
            self.link.close(Ending.LOST)

    def know_history(self, database: int = 0) -> None:
        """The node's own history may be one that a master can go on with."""
        self.node.log.notice(
            "Before turning into a replica, using my own master parameters to synthesize a cached "
            "master: I may be able to synchronize with the new master with just a partial transfer."
        )
        self.applier = Applier(self.node, self.replication.masterside, database)
        self._speaks_psync = self._is_heard = True

    def forget_history(self) -> None:
        """What is known of a master's stream is of no use any more."""
        if self.applier is not None:
            self.node.log.notice("Discarding previously cached master state.")
            self.applier = None

    def connect(self, line: str) -> None:
        """Try to reach the master; the line is for the log."""
        if self.master is None or self.link is not None or self.node.stopping:
            return
        host, port = self.master
        self.node.log.notice(line.format(host, port))
        self.link = MasterLink(self)
        self.link.dial(host, port)

    def link_lost(self, link: MasterLink, was: Step, ending: Ending) -> None:
        """A link has ended: try again at once, in a second, or later, as it was lost."""
        if link is not self.link:
            return
        self.link = None
        self._end_load()
        if self.node.stopping:
            return
        is_short = was is Step.TRANSFER
        if was is Step.CONNECTED:
            is_short = self.node.loop_time() - self._since < _HELD_LEAST_SECONDS
            self._lost_stream(keeps_place=ending is not Ending.LIED)
        if ending is Ending.LIED:
            self._back_off(min(2.0**self._troubles, _BACK_OFF_MAX_SECONDS))
        elif ending is Ending.LOST and is_short:
            doubled = 2.0 ** (self._troubles - 1) if self._troubles else 0.0
            self._back_off(min(doubled, _BACK_OFF_LOST_MAX_SECONDS))
        if ending is Ending.LOST and self._not_before <= self.node.loop_time():
            how = "" if was is Step.CONNECTED else " after failure"
            self.connect("Reconnecting to MASTER {}:{}" + how)

    def _lost_stream(self, *, keeps_place: bool) -> None:
        self.down_since = self.node.loop_time()
        self.node.log.warning("Connection with master lost.")
        assert self.applier is not None, "a stream was followed"
        self.applier.disconnect()
        if keeps_place and self._speaks_psync:
            self.node.log.notice("Caching the disconnected master state.")
        else:
            self.applier = None
        self.node.refresh()

    def _back_off(self, seconds: float) -> None:
        """Give a master that sends no data set, or what makes no sense, some time."""
        self._troubles += 1
        self._not_before = self.node.loop_time() + seconds
        if self.master is not None and seconds:
            host, port = self.master
            self.node.log.warning(
                f"No synchronization with MASTER {host}:{port} in {self._troubles} attempts; "
                f"trying again in {seconds:g} seconds"
            )
            self.node.call_later(seconds, self._try_again)

    def _try_again(self) -> None:
        if self.node.loop_time() >= self._not_before:
            self.connect("Connecting to MASTER {}:{}")

    def forget(self, client: Client) -> None:
        """A client is gone; it may be the master (CLIENT KILL)."""
        if self.applier is not None and client is self.applier.client and self.link is not None:
            self.link.close(Ending.LOST)

    # -- the handshake ---------------------------------------------------------------------------

    def request(self) -> tuple[bytes, ...]:
        """What to ask the master for: the rest of the stream, or everything."""
        log, history = self.node.log, self.history
        more = (b"FAILOVER",) if self.replication.failover.is_in_progress else ()
        if not self.knows_history:
            log.notice("Partial resynchronization not possible (no cached master)")
            return (b"PSYNC", b"?", b"-1", *more)
        wanted = history.offset + 1
        log.notice(f"Trying a partial resynchronization (request {history.id}:{wanted}).")
        return (b"PSYNC", history.id.encode(), b"%d" % wanted, *more)

    def continue_with(self, link: MasterLink, replication_id: str) -> None:
        """The master goes on where we stopped."""
        log, masterside = self.node.log, self.replication.masterside
        assert self.applier is not None, "there is a place to go on from"
        log.notice("Successful partial resynchronization with master.")
        if len(replication_id) == len(self.history.id) and replication_id != self.history.id:
            log.warning(f"Master replication ID changed to {replication_id}")
            self.history.rename(replication_id)
            # Those who follow us must learn the new name as well.
            masterside.disconnect_replicas()
        masterside.create_backlog()
        self._begin_stream(link)
        log.notice("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.")

    # -- the data set ----------------------------------------------------------------------------

    def begin_load(self, payload: Payload) -> None:
        """A data set begins to come: what is read at once is loaded from here on."""
        if not payload.to_disk:
            self.node.log.notice("MASTER <-> REPLICA sync: Loading DB in memory")
            is_same = payload.history == self.history.id
            self._set_loading("async" if payload.swaps and is_same else "sync")

    def load(self, link: MasterLink, payload: Payload) -> None:
        """Load a data set that has come whole."""
        link.pause(paused=True)
        if payload.to_disk:
            self.node.log.notice("MASTER <-> REPLICA sync: Loading DB in memory")
            self._set_loading("sync")
        self.loading_task = self.node.loop.create_task(self._load(link, payload), name="load")

    async def _load(self, link: MasterLink, payload: Payload) -> None:
        """Read the data set beside the present data, and change over once all of it is read."""
        node, log = self.node, self.node.log
        try:
            self._stop_saving(tell=payload.to_disk)
            await payload.settle()
            for _ in payload.load():
                await asyncio.sleep(0)
            swaps = payload.swaps and not payload.to_disk
            what = "Swapping active DB with loaded DB" if swaps else "Flushing old data"
            self._change_over(payload, f"MASTER <-> REPLICA sync: {what}")
        except PayloadError as wrong:
            self.loading_task = None
            link.give_up(wrong)
            return
        if swaps:
            log.notice("MASTER <-> REPLICA sync: Discarding old DB in background")
        self.loading_task = None
        self._end_load()
        link.loaded()
        self._begin_stream(link)
        log.notice("MASTER <-> REPLICA sync: Finished with success")
        if payload.is_marked:
            self.acknowledge()
        self.restart_append_only_file()
        if node.engine.ready:
            node.blocking.serve_ready()
        link.go_on(payload.rest)

    def _stop_saving(self, *, tell: bool) -> None:
        """What is being saved is old, and must not take the place of what has come."""
        persistence, log = self.node.persistence, self.node.log
        if tell and persistence.active == RDB:
            log.notice(
                "Replica is about to load the RDB file received from the master, but there is a "
                "pending RDB child running. Killing process "
                f"{self.node.environment.process_id} and removing its temp file to avoid any race"
            )
        persistence.saving.cancel()
        self.replication.masterside.transfers.end()

    def restart_append_only_file(self) -> None:
        """Begin a new append-only file with the data as they are now, if there is to be one."""
        persistence = self.node.persistence
        if self.node.config.appendonly and persistence.aof.state is State.OFF:
            persistence.rewriting.switch_on()

    def _change_over(self, payload: Payload, line: str) -> None:
        """Let the data set take the place of the present data, and its history of theirs.

        Raises:
            PayloadError: it cannot; everything is as it was.
        """
        node, masterside = self.node, self.replication.masterside
        old = payload.take_over()
        if node.config.replica_lazy_flush or (payload.swaps and not payload.to_disk):
            in_background(node, discard(node, old))
        node.engine.own_expiring.clear()
        if node.persistence.aof.state is not State.OFF:
            node.persistence.rewriting.switch_off()
        self.forget_history()
        # Our own replicas have to begin anew as well.
        masterside.disconnect_replicas()
        masterside.free_backlog()
        node.log.notice(line)
        if payload.history:
            self.history.adopt(payload.history, payload.offset)
        else:
            # A master of old has no history that could be named.
            self.history.begin_new(node.random)
        masterside.create_backlog()
        self._speaks_psync = bool(payload.history)
        # After a mark even one of old has to hear of us, and may have missed the first word.
        self._is_heard = self._speaks_psync or payload.is_marked
        self.applier = Applier(node, masterside, payload.loader.stream_database)
        if not payload.to_disk:
            node.engine.dirty += 1
        config = node.config
        if config.rdb_del_sync_files and not config.save and not config.appendonly:
            node.log.notice(
                "Removing the RDB file obtained from the master. This replica has persistence "
                "disabled"
            )
            payload.remove_file()

    def _set_loading(self, loading: Literal["", "sync", "async"]) -> None:
        if loading != self.loading:
            self.loading = loading
            self.node.refresh()

    def _end_load(self) -> None:
        if self.loading_task is not None:
            self.loading_task.cancel()
            self.loading_task = None
        self._set_loading("")

    # -- the stream ------------------------------------------------------------------------------

    def _begin_stream(self, link: MasterLink) -> None:
        applier, transport = self.applier, link.transport
        assert applier is not None, "there is a stream"
        assert transport is not None, "on a connection"
        self.node.listeners.describe(applier.client, transport)
        applier.connect()
        self.down_since, self._since = None, self.node.loop_time()
        self.node.refresh()

    def receive(self, link: MasterLink, data: bytes) -> None:
        """A piece of the stream."""
        applier = self.applier
        assert applier is not None, "a stream is followed"
        wrong = applier.take(data, self.acknowledge_at)
        if wrong:
            reason = wrong.removeprefix("Protocol error: ")
            self.node.log.warning(
                f"Protocol error ({reason}) from client: {describe(applier.client)}."
            )
            link.close(Ending.LIED)

    def must_wait(self, link: MasterLink) -> bool:
        """Whether the node cannot listen to its master now, as it cannot listen to clients."""
        node = self.node
        if node.asleep:
            return True
        if link.step in HANDSHAKE:
            return False
        is_busy = node.scripts.slow.client is not None
        return is_busy or (link.step is Step.CONNECTED and bool(node.pause_mode()))

    def resume(self) -> None:
        """What has held the node back is over."""
        if self.link is not None:
            self.link.resume()

    def acknowledge(self) -> None:
        """Tell the master how far we are."""
        self.acknowledge_at(self.history.offset)

    def acknowledge_at(self, offset: int) -> None:
        """Tell the master that we have taken in the stream up to an offset."""
        if self.link is not None and self.connected:
            self.link.say(b"REPLCONF", b"ACK", b"%d" % offset)

    # -- time ------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Once a second."""
        if self.master is None:
            return
        now = self.node.loop_time()
        if self.connected and now - self._since > _TRUSTED_AFTER_SECONDS:
            self._troubles = 0
        if self.link is not None:
            self._mind(self.link, now)
        elif now > self._not_before:
            self.connect("Connecting to MASTER {}:{}")
        if self.link is not None and self.link.step is Step.TRANSFER and self.loading:
            self.link.write(b"\n")
        if self._is_heard:
            self.acknowledge()

    def _mind(self, link: MasterLink, now: float) -> None:
        """End a link on which nothing has come for too long."""
        if now - link.last_io <= self.node.config.repl_timeout or self.loading_task is not None:
            return
        if link.step is Step.CONNECTED:
            self.node.log.warning("MASTER timeout: no data nor PING received...")
        elif link.step is Step.TRANSFER:
            self.node.log.warning(_TIMEOUT_IN_TRANSFER)
        else:
            self.node.log.warning("Timeout connecting to the MASTER...")
        link.close(Ending.LOST)

    def stop(self) -> None:
        """The node ends."""
        self.master = None
        if self.link is not None:
            self.link.close(Ending.LOST)
        self._end_load()
