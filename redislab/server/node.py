"""One Redis node on plain asyncio.

`Node` owns the keyspace, the clients and the parts of the server, and is the one place that knows
them all; what a part does stands in its own file. Its life is `start`, `stop`, `abort`; the
periodic work of Redis' `serverCron` (`src/server.c` of Redis 7.0) is in `cron.py`, listening in
`listeners.py`.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from redislab.engine.errors import CommandError
from redislab.engine.keyspace import Engine
from redislab.engine.table import HANDLERS, Block, Handler, Reply
from redislab.server import gates, transactions
from redislab.server.acl import Acl
from redislab.server.blocking import Blocking
from redislab.server.client import Client
from redislab.server.commands import all_entries, build_table, load_commands, quick_commands
from redislab.server.cron import Cron
from redislab.server.environment import Environment
from redislab.server.events import Events
from redislab.server.eviction import Eviction
from redislab.server.exits import ExitError
from redislab.server.latency import LatencyMonitor
from redislab.server.limits import Limits
from redislab.server.listeners import Listeners
from redislab.server.livesettings import apply_all
from redislab.server.log import LEVELS, Log
from redislab.server.migratesockets import MigrateSockets
from redislab.server.monitor import feed, shown
from redislab.server.names import VERSION
from redislab.server.outbox import Outbox
from redislab.server.persistence import Persistence
from redislab.server.propagation import Propagation
from redislab.server.pubsub import PubSub
from redislab.server.replication.replication import Replication
from redislab.server.scripting import Scripts
from redislab.server.session import Session
from redislab.server.shutdown import Leaving
from redislab.server.slowlog import SlowLog
from redislab.server.stats import Stats
from redislab.server.tracking import Tracking
from redislab.server.transactions import Watches
from redislab.wire.resp import error

if TYPE_CHECKING:
    from redislab.server.commands import Entry
    from redislab.server.config import Config

__all__ = ["Environment", "Node"]

_CROSS_PROTOCOL = (
    "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands "
    "to Redis. This is likely due to an attacker attempting to use Cross Protocol Scripting to "
    "compromise your Redis instance. Connection aborted."
)


class Node:
    """One Redis node. A Sentinel is one as well, with other commands and without data.

    Args:
        config: its directives, as read from redis.conf and the command line.
        environment: its clocks, random source and log.

    Attributes:
        plain: no gate of the node as a whole can be closed (`gates.node_is_plain`).
        current: the client whose command runs now.
        title: what it calls itself in its last line of the log.
        holds_data: it has data that outlive it, and somebody may follow it.
        role, mode: what HELLO and INFO say: "master" or "replica", "standalone".
        more_gates: questions that parts built on top of the node ask before a command runs; each
            raises CommandError to refuse it.
        slow_seconds: a command that takes as long is noted by the slow log or the latency monitor.
        stopped: set once the node has stopped, by whatever way. Made by `start`.
        exit_code: of a node that has ended because it could not go on.
    """

    title: ClassVar[str] = "Redis"
    holds_data: ClassVar[bool] = True

    def __init__(self, config: Config, environment: Environment) -> None:
        self.config = config
        self.environment = environment
        self.clock = environment.clock
        self.loop_time: Callable[[], float] = environment.clock
        self.random = environment.random
        self.run_id = f"{self.random.getrandbits(160):040x}"
        self.role, self.mode = "master", "standalone"
        self.engine = Engine(config.databases, self.now_ms, self.random)
        # Every command by its lower-case name, and those on data once more, in the two spellings
        # that clients use: the short cut of a session.
        self.commands = build_table(config.renamed_commands, self.handlers(), config.commands)
        self._quick = quick_commands(self.commands)
        self._quick_reads = {k: entry for k, entry in self._quick.items() if not entry.writes}
        self.entries = all_entries(self.commands)
        self.log = Log(environment, LEVELS[config.loglevel])
        self.stats = Stats(self)
        self.acl = Acl(self)
        self.pubsub = PubSub()
        self.watches = Watches(self)
        self.tracking = Tracking(self)
        self.blocking = Blocking(self)
        self.slowlog = SlowLog(self)
        self.latency = LatencyMonitor(self)
        self.propagation = Propagation(self)
        self.replication = Replication(self)
        self.outbox = Outbox(self)
        self.persistence = Persistence(self)
        self.eviction = Eviction(self)
        self.limits = Limits(self)
        self.scripts = Scripts(self)
        self.migrate_sockets = MigrateSockets(self)
        self.leaving = Leaving(self)
        self.cron = Cron(self)
        self.listeners = Listeners(self, lambda: Session(self))
        self.clients: dict[int, Client] = {}
        self.current: Client | None = None
        self.monitors: dict[Client, None] = {}
        self.more_gates: list[Callable[[Client, Entry, list[bytes]], None]] = []
        self.bytes_in = self.bytes_out = self.reads = self.writes = 0
        self.slow_seconds = float("inf")
        self._next_client_id = 1
        # Who pauses clients, in which mode ("all", "write") and until when on the loop's clock.
        self.pauses: dict[str, tuple[str, float]] = {}
        self._postponed: dict[Client, list[bytes]] = {}
        self.asleep = False
        self._standing = 0  # how many pieces of work it stands still for
        self._awake_at = self._slept = 0.0
        self._warned_cross_protocol = float("-inf")
        self._handles: dict[asyncio.TimerHandle, None] = {}
        self.stopping = False
        self.exit_code: int | None = None
        self.events = Events(self)
        apply_all(self)
        self.refresh()

    @classmethod
    def handlers(cls) -> Mapping[bytes, Handler]:
        """The handlers of its commands, by full name."""
        load_commands()
        return HANDLERS

    # -- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen on the configured addresses, and load the data.

        Raises:
            OSError: when an address cannot be had, such as a port in use.
            ExitError: the data cannot be loaded, or the node was told to end meanwhile.
        """
        self.loop = asyncio.get_running_loop()
        self.loop_time = self.loop.time
        self.started = self.loop.time()
        self.stopped = asyncio.Event()
        self.stand_still()
        await self.listeners.open()
        self._introduce()
        try:
            await self.start_up()
        except ExitError as end:
            self.die(end.code)
            raise
        self.go_on()
        self.cron.start()
        self.begin()

    async def start_up(self) -> None:
        """What is done before anybody is served.

        Raises:
            ExitError: that cannot be done, or the node was told to end meanwhile.
        """
        self.log.warning("Server initialized")
        self.acl.start_up()
        await self.persistence.start_up()

    def begin(self) -> None:
        """What is done once clients are served."""
        self.replication.start()
        self.log.notice("Ready to accept connections")

    def _introduce(self) -> None:
        """Tell who listens here: in a line, or in some that catch the eye."""
        if not self.config.always_show_logo:
            self.log.notice(f"Running mode={self.mode}, port={self.config.port}.")
            return
        lines = (
            f"redislab, as Redis {VERSION}",
            f"Running in {self.mode} mode",
            f"Port: {self.config.port}",
            f"PID: {self.environment.process_id}",
        )
        for line in lines:
            self.environment.log(f"    {line}")

    async def stop(self) -> None:
        """Close the listeners and every connection in an orderly way; nothing is saved."""
        self._end()
        self.outbox.release()
        for client in list(self.clients.values()):
            if client.session is not None:
                client.session.transport.close()
        await asyncio.sleep(0)
        self.stopped.set()

    def abort(self) -> None:
        """Drop everything at once, as a kill does: no reply is finished, nothing is saved.

        A write whose reply has gone out goes out to the replicas: in Redis one turn sends both.
        """
        self.replication.masterside.flush()
        self._end()
        for client in list(self.clients.values()):
            if client.session is not None:
                client.session.transport.abort()
        self.stopped.set()

    def die(self, code: int) -> None:
        """End at once, as a process does with `exit`: what was not said is not said any more."""
        if not self.stopping:
            self.exit_code = code
            self.outbox.drop()
            self.abort()

    def _end(self) -> None:
        self.stopping = True
        self.persistence.abandon()
        self.scripts.slow.abandon()
        self.migrate_sockets.close()
        self.listeners.close()
        self.cron.stop()
        self.replication.stop()
        for client in list(self.clients.values()):
            self.blocking.forget(client)
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()

    def call_later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """`loop.call_later`, cancelled when the node ends."""

        def run() -> None:
            self._handles.pop(handle, None)
            call()

        handle = self.loop.call_later(seconds, run)
        self._handles[handle] = None
        return handle

    # -- clients -------------------------------------------------------------------------------

    def refuses(self, transport: asyncio.Transport) -> str | None:
        """Why a new connection is refused, or None."""
        self.stats.connections += 1
        return self.limits.refuses(transport)

    def admit(self, session: Session) -> Client:
        """A client for a new connection."""
        client = Client(self, self.next_client_id(), session)
        self.listeners.describe(client, session.transport)
        self.clients[client.id] = client
        if self.log.level == 0:
            self.log.verbose(f"Accepted {client.address}")
        return client

    def next_client_id(self) -> int:
        """A number that no client has had."""
        self._next_client_id += 1
        return self._next_client_id - 1

    def new_engine(self) -> Engine:
        """An engine without data, to load some into beside the present data."""
        fresh = Engine(len(self.engine.databases), self.now_ms, self.random)
        fresh.limits = self.engine.limits
        fresh.expires_by_itself = self.engine.expires_by_itself
        return fresh

    def adopt(self, other: Engine) -> None:
        """Take over the data of another engine, in place of the present data."""
        if self.engine.on_flushed is not None:
            self.engine.on_flushed()
        for mine, theirs in zip(self.engine.databases, other.databases, strict=True):
            remembers_uses = mine.accessed is not None
            mine.swap(theirs)
            mine.accessed = {} if remembers_uses else None
        self.events.follow_databases()
        self.stats.forget_dataset()

    def image_facts(self) -> dict[str, object]:
        """What an RDB file says of the node that wrote it (aux fields)."""
        return {
            "redis-ver": VERSION,
            "redis-bits": 64,
            "ctime": int(self.environment.unix_time()),
            "used-mem": self.stats.used_memory(),
        }

    def unblock_for_role_change(self, error: bytes) -> None:
        """The node follows another one now: whoever waits is told so, and let go."""
        for client in list(self.blocking.requests):
            if not client.postponed and client is not self.scripts.slow.client:
                self.blocking.release(client, error)
                client.close_soon()
                if client.session is not None:
                    self.loop.call_soon(client.session.flush)

    def close(self, client: Client) -> None:
        """End a client's connection now; what was not sent yet is lost."""
        session = client.session
        self.forget(client)
        if session is not None:
            session.client = None
            session.transport.abort()

    def forget(self, client: Client) -> None:
        """A connection is gone."""
        if self.clients.pop(client.id, None) is None:
            return
        self.blocking.forget(client)
        self.replication.forget(client)
        self._postponed.pop(client, None)
        self.tracking.disable(client)
        self.watches.forget(client)
        self.pubsub.forget(client)
        if self.monitors.pop(client, self) is None:
            self.refresh()

    def discard(self, client: Client) -> None:
        """Forget a client's transaction."""
        transactions.discard(client)

    def refresh_clients(self) -> None:
        """Work out again which clients are plain, after users have changed."""
        for client in self.clients.values():
            client.refresh()

    # -- what commands and sessions ask ----------------------------------------------------------

    def now_ms(self) -> int:
        """Milliseconds since the epoch, on the node's clock."""
        return int(self.environment.unix_time() * 1000)

    def quick_commands(self, client: Client) -> dict[bytes, Entry]:
        """The commands that a session may run for this client without asking anything first."""
        if not self.plain or not client.plain:
            return {}
        return self._quick if self._takes_writes else self._quick_reads

    def refresh(self) -> None:
        """Work out again whether the node is plain."""
        self.plain = gates.node_is_plain(self)
        self._takes_writes = gates.write_gates_are_open(self)

    def failed(self, entry: Entry | None, failure: CommandError) -> bytes:
        """The error reply of a command that ran and failed."""
        if entry is not None:
            entry.failed += 1
        self.count_error(failure.message)
        return error(failure.message)

    def crashed(self, args: list[bytes], bug: Exception) -> bytes:
        """The reply of a command that met a bug of ours; the log has the traceback."""
        for line in "".join(traceback.format_exception(bug)).splitlines():
            self.log.warning(line)
        name = args[0].decode("utf-8", "replace")
        message = f"ERR internal error in '{name}': {type(bug).__name__}"
        self.count_error(message)
        return error(message)

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT."""
        self.stats.reset()
        for entry in self.entries:
            entry.reset()
        engine = self.engine
        engine.hits = engine.misses = engine.expired_keys = 0
        engine.expired_stale_fraction = 0.0
        self.persistence.reset_statistics()
        self.replication.reset_statistics()
        self.bytes_in = self.bytes_out = self.reads = self.writes = 0

    def user_lines(self) -> list[bytes]:
        """The users as CONFIG REWRITE writes them, what follows `user` on each line."""
        return [b"%b %b" % (name, self.acl.users[name].describe()) for name in self.acl.names()]

    def count_error(self, message: str) -> None:
        """Count an error reply by its code, for `INFO errorstats`."""
        self.stats.count_error(message)

    def note_slow(self, client: Client, args: list[bytes], seconds: float) -> None:
        """A command took long: tell the slow log and the latency monitor."""
        if client is self.scripts.slow.client:
            return  # its script goes on; how long it has taken is told at its end
        entry = client.executing
        assert entry is not None
        self.slowlog.add(client, entry, args, seconds)
        self.latency.add("fast-command" if "fast" in entry.flags else "command", seconds)

    def note_protocol_error(self, client: Client, message: str) -> None:
        """A client broke the protocol."""
        self.stats.count_error("ERR " + message)
        self.limits.log_protocol_error(client, message)

    def refuse_cross_protocol(self, client: Client) -> None:
        """A browser was made to talk to us: end that at once."""
        now = self.loop_time()
        if now - self._warned_cross_protocol > 60:
            self._warned_cross_protocol = now
            self.log.warning(_CROSS_PROTOCOL)
        self.close(client)

    def show_monitors(self, client: Client, entry: Entry, args: list[bytes]) -> None:
        """Show a command that ran to the clients in MONITOR."""
        if entry.flags.isdisjoint({"skip_monitor", "admin"}):
            feed(self, client, shown(entry, args))

    def check_query(self, session: Session) -> None:
        """Mind the limit on what a client may send before it is run."""
        self.limits.check_query(session)

    def check_output(self, session: Session) -> None:
        """Mind the limits on what a client may leave unread."""
        self.limits.check_output(session)

    # -- sending on what changes ---------------------------------------------------------------

    def propagate(self, client: Client, entry: Entry, args: list[bytes]) -> None:
        """A command has run: send what it changed to whoever wants to know."""
        self.propagation.command(client, args)
        client.write_offset = self.replication.history.offset

    def force_propagation(self) -> None:
        """Send the command at hand on although it changes no data, as PUBLISH is."""
        self.propagation.forced = True

    def begin_transaction(self) -> None:
        """What is propagated from here on belongs together."""
        self.propagation.depth += 1

    def end_transaction(self) -> None:
        """The end of what belongs together."""
        self.propagation.depth -= 1
        self.propagation.flush()

    # -- pauses and sleep ------------------------------------------------------------------------

    def pause(self, seconds: float, mode: str, why: str = "client") -> None:
        """Hold commands back; of two pauses of one cause the longer and stricter one counts."""
        ends = self.loop_time() + seconds
        before = self.pauses.get(why)
        if before is not None:
            mode = "all" if "all" in {mode, before[0]} else mode
            ends = max(ends, before[1])
        self.pauses[why] = mode, ends
        self.replication.follow_state()
        self.call_later(ends - self.loop_time(), self._check_pauses)

    def unpause(self, why: str = "client") -> None:
        """End a pause."""
        if self.pauses.pop(why, None) is not None:
            self.replication.follow_state()
            self._resume_postponed()

    def pause_mode(self) -> str:
        """What is held back now: "all", "write" or nothing ("")."""
        if not self.pauses:
            return ""
        self._check_pauses()
        modes = [mode for mode, _ in self.pauses.values()]
        return "all" if "all" in modes else "".join(modes[:1])

    def _check_pauses(self) -> None:
        now = self.loop_time()
        over = [why for why, (_, ends) in self.pauses.items() if ends <= now]
        for why in over:
            del self.pauses[why]
        if over:
            self.replication.follow_state()
            self._resume_postponed()

    def sleep(self, seconds: float) -> None:
        """Serve nobody for a time, as DEBUG SLEEP does, without stopping the loop."""
        self._awake_at = max(self._awake_at, self.loop_time() + seconds)
        self._slept += seconds
        self.asleep = True
        self.refresh()
        self.call_later(seconds, self._wake)

    def sleep_remaining(self) -> float:
        """Seconds until a sleeping node wakes, 0 for one that is awake."""
        return max(self._awake_at - self.loop_time(), 1e-6) if self.asleep else 0.0

    def take_sleep(self) -> float:
        """Seconds that the command at hand has slept; asked once."""
        slept, self._slept = self._slept, 0.0
        return slept

    def stand_still(self) -> None:
        """Serve nobody until `go_on` is called; calls add up."""
        self._standing += 1
        self.asleep = True
        self.refresh()

    def go_on(self) -> None:
        """The end of what the node stood still for."""
        self._standing -= 1
        self._wake()

    def _wake(self) -> None:
        if not self._standing and self.loop_time() + 1e-9 >= self._awake_at:
            self.asleep = False
            self._resume_postponed()

    def postpone(self, client: Client, args: list[bytes]) -> Reply:
        """Keep a command until the pause is over."""
        client.postponed = True
        self._postponed[client] = args
        return Block((), 0, lambda _c, _key: None, b"")

    def _resume_postponed(self) -> None:
        self.refresh()
        postponed, self._postponed = self._postponed, {}
        for client, args in postponed.items():
            self.blocking.forget(client)
            client.postponed = False
            if client.session is not None:
                client.session.pending.insert(0, args)
                self.loop.call_soon(client.session.resume)
        self.replication.resume()
