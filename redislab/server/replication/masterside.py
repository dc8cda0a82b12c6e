"""The master's side: who the replicas are, what they get, and what they have acknowledged.

Every byte of the stream goes into the backlog and to each replica that is online. A replica that is
still being sent the data set has the stream held back for it until it asks for it with its first
acknowledgment. What is written in one turn of the event loop goes into the backlog in one piece,
and to the replicas too, together with that of the next few turns while more keeps coming. Follows
the part "MASTER" of `src/replication.c` of Redis 7.0, which sends in every turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from redislab.server.clients import describe
from redislab.server.propagation import REPLICAS
from redislab.server.replication.apply import told
from redislab.server.replication.backlog import BACKLOG_SIZE_MIN, Backlog
from redislab.server.replication.replica import Replica, State
from redislab.server.replication.stream import GETACK, PING, Encoder, Unit
from redislab.server.replication.transfer import Transfers
from redislab.wire.resp import bulks, simple

if TYPE_CHECKING:
    from redislab.engine.table import Reply
    from redislab.server.client import Client
    from redislab.server.replication.replication import Replication

_NO_BACKLOG = (
    "Unable to partial resync with replica {} for lack of backlog (Replica request was: {})."
)
_AHEAD = (
    "Warning: replica {} tried to PSYNC with an offset that is greater than the master replication "
    "offset."
)
# For how many turns of a busy loop the stream may wait. With four, a SET of a master with a replica
# costs 4 % more than of one without; with one, 13 %; with sixteen, no less than with four.
TURNS_AT_ONCE = 4
# How many pieces of the stream a turn must have added for it to be a busy one.
BUSY_PIECES = 4


class MasterSide:
    """The replicas of one node.

    Attributes:
        full_syncs, partial_syncs, refused_partial_syncs: `sync_full` and its kin in INFO stats.
        bytes_out: bytes sent to replicas, payloads among them.
        good_replicas: how many replicas are online and have been heard of lately enough for
            `min-replicas-to-write`.
    """

    def __init__(self, replication: Replication) -> None:
        self.replication = replication
        self.node = replication.node
        self.history = replication.history
        self.replicas: dict[Client, Replica] = {}
        self._backlog: Backlog | None = None
        self.encoder = Encoder()
        self.transfers = Transfers(self)
        self.full_syncs = self.partial_syncs = self.refused_partial_syncs = 0
        self.bytes_out = 0
        self.good_replicas = 0
        # Of the stream: what came last, and what is in the backlog but was not sent yet.
        self._fresh: list[bytes] = []
        self._unsent: list[bytes] = []
        self._turns = 0  # how many turns what is unsent has seen; 0 when nothing waits
        self._ticks = 1  # Redis has its first one, for nobody, as it starts
        self._alone_since = 0.0
        self.node.config.on_change("repl-backlog-size", self._resize_backlog)

    # -- the stream ----------------------------------------------------------------------------

    def feed(self, unit: Unit) -> None:
        """Send on commands that this node has run by itself; a sink of its propagation."""
        self.feed_bytes(self.encoder.encode(unit))

    def feed_request(self, database: int, data: bytes) -> int:
        """The same for one command that came as the stream has it; the offset after it."""
        fresh = self._fresh
        if fresh and database == self.encoder.database:
            fresh.append(data)  # `feed_bytes`, without the call
            self.history.offset = offset = self.history.offset + len(data)
            return offset
        if database != self.encoder.database:
            self.feed_bytes(self.encoder.select(database))
        self.feed_bytes(data)
        return self.history.offset

    def replicate(self, words: Sequence[bytes]) -> None:
        """Send on a command as it is, whatever it is (DEBUG REPLICATE)."""
        if not self.replication.is_replica:
            self.feed_bytes(bulks(words))

    def feed_bytes(self, data: bytes) -> None:
        """Add to the stream: encoded commands, or what came from this node's own master."""
        if self._backlog is None:
            return
        if not self._turns:
            self._turns = 1
            self.node.loop.call_soon(self._turn)
        self._fresh.append(data)
        self.history.offset += len(data)

    def _turn(self) -> None:
        """Hand on what was added, unless the last turn added much: then wait for the next one.

        A write to a socket costs the master as much as two SETs. So what a busy loop adds within a
        few turns goes out in one piece. Where little comes it goes out at once, as Redis has it: a
        client that sees its reply and kills the master finds the write at the replica.
        """
        if self._turns < TURNS_AT_ONCE and len(self._fresh) >= BUSY_PIECES:
            self._turns += 1
            self._take_fresh()
            self.node.loop.call_soon(self._turn)
        else:
            self._turns = 0
            self.flush()

    @property
    def backlog(self) -> Backlog | None:
        """The last bytes of the stream; None until the first replica comes."""
        self._take_fresh()
        return self._backlog

    def _take_fresh(self) -> None:
        """Put what came last into the backlog."""
        backlog, fresh = self._backlog, self._fresh
        if backlog is not None and fresh:
            data = fresh[0] if len(fresh) == 1 else b"".join(fresh)
            fresh.clear()
            backlog.add(data)
            self._unsent.append(data)
            if not self.replicas:
                backlog.trim()

    def flush(self) -> None:
        """Hand what was added to the replicas."""
        backlog, unsent = self.backlog, self._unsent
        if backlog is None or not unsent:
            return
        data = unsent[0] if len(unsent) == 1 else b"".join(unsent)
        unsent.clear()
        for replica in list(self.replicas.values()):
            if replica.only_rdb or replica.state is State.WAIT_START:
                continue
            if replica.streaming:
                self.bytes_out += len(data)
                replica.session.write(data)
            else:
                replica.hold(data)
                self.node.limits.check_output(replica.session)
        if len(backlog) > backlog.size:
            backlog.trim(self._most_unread)

    @property
    def _most_unread(self) -> int:
        return max([0, *(each.unread_bytes for each in self.replicas.values())])

    @property
    def buffer_bytes(self) -> int:
        """What of the stream is kept: the backlog, or more where a replica has yet to take more."""
        backlog = self.backlog
        return max(0 if backlog is None else len(backlog), self._most_unread)

    def trim_backlog(self) -> None:
        """Let go of what nobody needs to be able to ask for."""
        backlog = self.backlog
        if backlog is not None:
            backlog.trim(self._most_unread)

    def create_backlog(self) -> None:
        """Begin to keep the stream, from here on."""
        if self._backlog is None:
            self._backlog = Backlog(self.node.config.repl_backlog_size, self.history.offset + 1)
            self.start_feeding()

    def free_backlog(self) -> None:
        """Keep the stream no longer."""
        self.flush()
        self._backlog = None
        self.stop_feeding()

    def start_feeding(self) -> None:
        """What a master runs is its stream; a replica passes on that of its own master."""
        wanted = self._backlog is not None and not self.replication.is_replica
        if wanted and self.feed not in self.node.propagation.sinks:
            self.node.propagation.add(self.feed, REPLICAS, self.feed_request)

    def stop_feeding(self) -> None:
        """The node is a replica now, or nobody listens: what it runs is sent to nobody."""
        if self.feed in self.node.propagation.sinks:
            self.node.propagation.remove(self.feed)

    # -- synchronization -------------------------------------------------------------------------

    def try_to_continue(self, replica: Replica, asked_id: str, asked: int) -> bytes | None:
        """The reply to a PSYNC that needs no data set, the stream after it; None if it does.

        Args:
            replica: who asks.
            asked_id: the replication ID that it knows; "?" for none.
            asked: the offset of the next byte that it wants.
        """
        self.flush()
        log, backlog = self.node.log, self.backlog
        refusal = self.history.refusal(asked_id, asked, replica.address)
        if refusal is not None:
            log.notice(refusal)
        elif backlog is None or not backlog.has(asked):
            log.notice(_NO_BACKLOG.format(replica.address, asked))
            if asked > self.history.offset:
                log.warning(_AHEAD.format(replica.address))
        else:
            return self._continue(replica, backlog, asked)
        if not asked_id.startswith("?"):
            self.refused_partial_syncs += 1
        return None

    def _continue(self, replica: Replica, backlog: Backlog, asked: int) -> bytes:
        self._admit(replica, State.ONLINE)
        replica.streaming = True
        rest = backlog.since(asked)
        self.partial_syncs += 1
        self.bytes_out += len(rest)
        self.node.log.notice(
            f"Partial resynchronization request from {replica.address} accepted. Sending "
            f"{len(rest)} bytes of backlog starting from offset {asked}."
        )
        self.count_good_replicas()
        answer = f"CONTINUE {self.history.id}" if replica.knows_psync2 else "CONTINUE"
        return simple(answer.encode()) + rest

    def synchronize_fully(self, replica: Replica) -> None:
        """A replica needs the data set."""
        self.flush()
        self.full_syncs += 1
        self._admit(replica, State.WAIT_START)
        if len(self.replicas) == 1 and self.backlog is None:
            # Nobody can know the history so far: a new one tells apart what was never sent.
            self.history.begin_new(self.node.random)
            self.create_backlog()
            self.node.log.notice(
                f"Replication backlog created, my new replication IDs are '{self.history.id}' and "
                f"'{self.history.second_id}'"
            )
        self.transfers.admit(replica)

    def record_of(self, client: Client) -> Replica:
        """What is known of a client that behaves as a replica; begun when it first does."""
        if client.replica is None:
            client.replica = Replica(client)
        return client.replica

    def _admit(self, replica: Replica, state: State) -> None:
        replica.state = state
        replica.acked_at = replica.asked_at = self.node.loop_time()
        self.replicas[replica.client] = replica
        replica.client.refresh()

    def forget(self, client: Client) -> None:
        """A connection is gone."""
        replica = self.replicas.pop(client, None)
        if replica is None:
            return
        self.transfers.forget(replica)
        self.node.log.warning(f"Connection with replica {replica.address} lost.")
        if not self.replicas:
            self.note_alone()
        self.trim_backlog()
        self.count_good_replicas()

    def note_alone(self) -> None:
        """From now on it counts how long no replica is there."""
        self._alone_since = self.node.loop_time()

    def disconnect_talker(self, client: Client, reply: Reply) -> None:
        """A replica has sent a command that is answered, for which there is no place."""
        name = "<unknown>" if client.executing is None else client.executing.name
        self.node.log.warning(
            f"Replica generated a reply to command '{name}', disconnecting it: {describe(client)}"
        )
        if isinstance(reply, bytes) and reply.startswith(b"-"):
            text = told(reply[1:-2].decode("utf-8", "replace"))
            self.node.log.warning(
                f"== CRITICAL == This master is sending an error to its replica: '{text}' after "
                f"processing the command '{name}'"
            )
        client.close_after_reply = True  # nothing that came with it is run
        self.node.close(client)

    def disconnect_replicas(self) -> None:
        """End the connections of all replicas; they will come back and ask with PSYNC."""
        self.flush()
        for client in list(self.replicas):
            self.node.close(client)

    # -- acknowledgments -------------------------------------------------------------------------

    def acknowledge(self, client: Client, offset: int) -> None:
        """REPLCONF ACK: a replica has taken in the stream up to an offset."""
        replica = self.replicas.get(client)
        if replica is None:
            return
        replica.acked = max(replica.acked, offset)
        replica.acked_at = self.node.loop_time()
        if replica.state is State.ONLINE and not replica.streaming:
            self.start_streaming(replica)
        self.replication.waits.check()
        self.replication.failover.check_soon()

    def start_streaming(self, replica: Replica) -> None:
        """A replica has the data set: send it what was held, and from now on what comes."""
        self.flush()
        replica.streaming = True
        held = replica.take_held()
        self.bytes_out += len(held)
        if held:
            replica.session.write(held)

    def ask_for_acknowledgments(self) -> None:
        """Have every replica say how far it is, once for all who wait (REPLCONF GETACK)."""
        self.feed_bytes(GETACK)

    def acknowledged_by(self, offset: int) -> int:
        """How many replicas have taken in the stream up to an offset."""
        return sum(
            replica.state is State.ONLINE and replica.acked >= offset
            for replica in self.replicas.values()
        )

    def count_good_replicas(self) -> None:
        """Count the replicas that `min-replicas-to-write` can rely on."""
        config = self.node.config
        if not config.min_replicas_to_write or not config.min_replicas_max_lag:
            return
        now, before = self.node.loop_time(), self.good_replicas
        self.good_replicas = sum(
            each.lag(now) <= config.min_replicas_max_lag for each in self.online()
        )
        if self.good_replicas != before:
            self.node.refresh()

    # -- time ------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Once a second."""
        now, config = self.node.loop_time(), self.node.config
        is_due = self._ticks % config.repl_ping_replica_period == 0
        self._ticks += 1
        # While a failover with a time limit waits, nothing is to move the goal.
        stands = self.replication.failover.has_time_limit and self.node.pause_mode()
        if is_due and self.replicas and not self.replication.is_replica and not stands:
            self.feed_bytes(PING)
        for replica in list(self.replicas.values()):
            self._mind(replica, now)
        ttl = config.repl_backlog_ttl
        lonely = not self.replicas and ttl and not self.replication.is_replica
        if lonely and self.backlog is not None and now - self._alone_since > ttl:
            # Who comes back now must not be taken for one who knows the stream since then.
            self.history.begin_new(self.node.random)
            self.free_backlog()
            self.node.log.notice(
                f"Replication backlog freed after {ttl} seconds without connected replicas."
            )
        self.trim_backlog()
        self.transfers.tick()
        self.count_good_replicas()

    def _mind(self, replica: Replica, now: float) -> None:
        """Keep a waiting replica's patience up; end a connection that has been silent too long."""
        timeout, to_socket = self.node.config.repl_timeout, self.transfers.target == "socket"
        if replica.state is State.ONLINE:
            if replica.psync and now - replica.heard_at > timeout:
                self.node.log.warning(
                    f"Disconnecting timedout replica (streaming sync): {replica.address}"
                )
                self.node.close(replica.client)
        elif replica.state is State.WAIT_START or (
            replica.state is State.WAIT_END and not to_socket
        ):
            replica.session.write(b"\n")
        elif replica.state is State.WAIT_END:
            stuck_since = replica.stuck_since
            if stuck_since is not None and now - stuck_since > timeout:
                self.node.log.warning(
                    f"Disconnecting timedout replica (full sync): {replica.address}"
                )
                self.node.close(replica.client)

    def online(self) -> Iterator[Replica]:
        """The replicas that follow the stream."""
        return (each for each in self.replicas.values() if each.state is State.ONLINE)

    def _resize_backlog(self) -> None:
        config = self.node.config
        config.repl_backlog_size = max(config.repl_backlog_size, BACKLOG_SIZE_MIN)
        if self.backlog is not None:
            self.backlog.resize(config.repl_backlog_size)
            self.trim_backlog()
