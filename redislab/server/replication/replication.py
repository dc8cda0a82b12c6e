"""The replication of one node: its two sides, and what they mean for its clients.

A node is a master unless `replicaside.master` is set, and serves replicas of its own in both roles.
Here are the changes of role, the gates that replication adds to a node, and its cron. Follows
`replicationSetMaster`, `replicationUnsetMaster` and `replicationCron` in `src/replication.c`, and
what `loadDataFromDisk` in `src/server.c` does for replication, of Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.server.replication.failover import Failover
from redislab.server.replication.history import NO_ID, OFFSET_MAX, History, new_id
from redislab.server.replication.masterside import MasterSide
from redislab.server.replication.replicaside import ReplicaSide
from redislab.server.replication.waits import Waits
from redislab.wire.rdb.report import leading_integer

if TYPE_CHECKING:
    from redislab.engine.keyspace import Keyspace
    from redislab.server.client import Client
    from redislab.server.node import Node

READONLY = "READONLY You can't write against a read only replica."
NOREPLICAS = "NOREPLICAS Not enough good replicas to write."
MASTERDOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
LOADING = "LOADING Redis is loading the dataset in memory"
_UNBLOCKED = (
    b"-UNBLOCKED force unblock from blocking operation, instance state changed "
    b"(master -> replica?)\r\n"
)
_TICK_SECONDS = 1.0
_TICK_SECONDS_FAILING_OVER = 0.1


class Replication:
    """The replication of one node.

    Attributes:
        history: which stream the node's data comes from, and how far it is.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.history = History(new_id(node.random))
        self.masterside = MasterSide(self)
        self.replicaside = ReplicaSide(self)
        self.waits = Waits(self)
        self.failover = Failover(self)
        self._started = False
        self._expired: list[tuple[int, bytes]] = []
        self.replicaside.master = node.config.replicaof
        if self.is_replica:  # from the first, so that it keeps what has expired when it loads
            node.role, node.log.role = "replica", "S"
            node.engine.expires_by_itself = False
        for name in ("min-replicas-to-write", "min-replicas-max-lag"):
            node.config.on_change(name, self.masterside.count_good_replicas)
            node.config.on_change(name, node.refresh)
        for name in ("replica-read-only", "replica-serve-stale-data"):
            node.config.on_change(name, self.follow_state)

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """The node begins: follow the master that the configuration names."""
        self._started = True
        self._expired.clear()
        self.node.call_later(_TICK_SECONDS, self._tick)
        if self.replicaside.master is not None:
            self.follow_state()
            self.replicaside.follow(*self.replicaside.master)

    def restore(self, facts: Mapping[bytes, bytes]) -> None:
        """The node has loaded an RDB file, which may say where in which history its data stand.

        A replica asks to go on from there. A master lets replicas go on that are as far.

        Args:
            facts: what the file says of itself (aux fields).
        """
        replication_id = facts.get(b"repl-id", b"").decode("latin-1")
        offset = leading_integer(facts.get(b"repl-offset", b"-1"))
        if len(replication_id) != len(NO_ID) or not 0 <= offset <= OFFSET_MAX:
            return
        history = self.history
        if self.is_replica:
            history.id, history.offset = replication_id, offset
            database = leading_integer(facts.get(b"repl-stream-db", b"0"))
            self.replicaside.know_history(database % len(self.node.engine.databases))
            return
        history.second_id, history.second_offset = replication_id, offset + 1
        history.offset = offset
        self.masterside.create_backlog()
        for database, key in self._expired:
            self.masterside.feed([(database, [b"DEL", key])])
        self.masterside.note_alone()

    def note_expired(self, database: Keyspace, key: bytes) -> None:
        """A key was left out when data were loaded, for its time had come; replicas may have it."""
        if not self._started:
            self._expired.append((database.index, key))

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT."""
        side = self.masterside
        side.full_syncs = side.partial_syncs = side.refused_partial_syncs = side.bytes_out = 0
        self.replicaside.bytes_in = self.replicaside.errors = 0

    def stop(self) -> None:
        """The node ends."""
        self.masterside.transfers.stop()
        self.replicaside.stop()

    def _tick(self) -> None:
        failing_over = self.failover.is_under_way
        self.node.call_later(
            _TICK_SECONDS_FAILING_OVER if failing_over else _TICK_SECONDS, self._tick
        )
        if self.node.asleep or self.node.scripts.slow.client is not None:
            return
        self.failover.check()
        self.replicaside.tick()
        self.masterside.tick()

    # -- roles -----------------------------------------------------------------------------------

    @property
    def is_replica(self) -> bool:
        """Whether the node follows a master."""
        return self.replicaside.master is not None

    def become_replica(self, host: str, port: int) -> None:
        """REPLICAOF host port."""
        was_master = not self.is_replica
        self.masterside.flush()
        self.replicaside.leave()
        self.waits.forget_all()
        self.node.unblock_for_role_change(_UNBLOCKED)
        self._become(master=False)
        self.node.config.replicaof = (host, port)
        if was_master:
            self.replicaside.know_history()
        # The replicas stay: if we can go on with the new master, so can they with us.
        self.replicaside.follow(host, port)
        self.node.refresh()

    def become_master(self) -> None:
        """REPLICAOF NO ONE: keep the data, and go on as a history of one's own."""
        if not self.is_replica:
            return
        self._become(master=True)
        self.replicaside.leave()
        self.replicaside.forget_history()
        self.replicaside.down_since = None
        self.node.config.replicaof = None
        # Siblings that did not hear of it yet know the old name, so it is remembered.
        self.history.branch_off(self.node.random)
        self.node.log.warning(
            f"Setting secondary replication ID to {self.history.second_id}, valid up to offset: "
            f"{self.history.second_offset}. New replication ID is {self.history.id}"
        )
        self.masterside.disconnect_replicas()
        self.masterside.encoder.database = -1
        self.masterside.start_feeding()
        self.masterside.note_alone()
        self.replicaside.restart_append_only_file()
        self.node.refresh()

    def _become(self, *, master: bool) -> None:
        self.node.role = "master" if master else "replica"
        self.node.log.role = "M" if master else "S"
        self.follow_state()
        if not master:
            self.masterside.stop_feeding()

    def follow_state(self) -> None:
        """Let the engine know who decides when keys expire: nobody, during a pause."""
        engine, is_replica = self.node.engine, self.node.role == "replica"
        engine.expires_by_itself = not is_replica and not self.node.pauses
        engine.is_writable_replica = is_replica and not self.node.config.replica_read_only
        self.node.refresh()

    def resume(self) -> None:
        """What has held back the node's clients is over."""
        self.replicaside.resume()
        self.waits.resume()

    def forget(self, client: Client) -> None:
        """A connection is gone."""
        self.waits.forget(client)
        self.masterside.forget(client)
        self.replicaside.forget(client)

    def image_facts(self) -> dict[str, object]:
        """Where in which history the data stand, for an RDB file; empty if that is not known."""
        if self.is_replica:
            database = self.replicaside.database
        else:
            database = None if self.masterside.backlog is None else self.masterside.encoder.database
        if database is None:
            return {}
        return {
            "repl-stream-db": max(database, 0),
            "repl-id": self.history.id,
            "repl-offset": self.history.offset,
        }

    # -- gates -----------------------------------------------------------------------------------

    @property
    def refuses_writes(self) -> str:
        """Why no client may write now; empty if they may."""
        config = self.node.config
        if self.is_replica:
            return READONLY if config.replica_read_only else ""
        least = config.min_replicas_to_write
        if least and config.min_replicas_max_lag and self.masterside.good_replicas < least:
            return NOREPLICAS
        return ""

    @property
    def is_stale(self) -> bool:
        """Whether the node's data may be out of date, and clients are not to see it then."""
        serves = self.node.config.replica_serve_stale_data
        return self.is_replica and not serves and not self.replicaside.connected

    def check_writes(self, client: Client, flags: frozenset[str]) -> None:
        """Raise READONLY or NOREPLICAS where this command may not write.

        Raises:
            CommandError: why the command may not run.
        """
        if client.is_master:
            return
        refusal = self.refuses_writes
        if refusal and "write" in flags:
            raise CommandError(refusal)

    def check_stale(self, flags: frozenset[str]) -> None:
        """Raise MASTERDOWN or LOADING where this command is not to see the node's data.

        Raises:
            CommandError: why the command may not run.
        """
        if self.is_stale and "stale" not in flags:
            raise CommandError(MASTERDOWN)
        loading = self.replicaside.loading
        if loading and (
            "loading" not in flags if loading == "sync" else "no_async_loading" in flags
        ):
            raise CommandError(LOADING)
