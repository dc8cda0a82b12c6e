"""FAILOVER: a master hands its role to a replica that has all its data, and loses nothing.

Clients that write are paused, the replica catches up, and is then told to be the master with a
PSYNC FAILOVER; the old master becomes its replica. Follows `failoverCommand` and
`updateFailoverStatus` in `src/replication.c` of Redis 7.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Reply
from redislab.server.arguments import integer_argument
from redislab.server.replication.replica import Replica
from redislab.wire.resp import OK

if TYPE_CHECKING:
    from redislab.server.replication.replication import Replication

# The values are those of `master_failover_state` in INFO.
NONE, WAIT_SYNC, IN_PROGRESS = "no-failover", "waiting-for-sync", "failover-in-progress"
_PAUSE = "failover"
_FOREVER_SECONDS = 10.0**9


class Failover:
    """The orderly change of roles of one node.

    Attributes:
        state: how far it is.
        target: host and port that were asked for; None for any replica.
        force: at the time limit, change over although the replica has not caught up.
    """

    def __init__(self, replication: Replication) -> None:
        self.replication = replication
        self.node = replication.node
        self.state = NONE
        self.target: tuple[str, int] | None = None
        self.force = False
        self._ends_at: float | None = None
        self._asked_at = float("-inf")

    def command(self, args: list[bytes]) -> Reply:
        """FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds].

        Raises:
            CommandError: it is asked for something that cannot be done now.
        """
        replication = self.replication
        words = [word.lower() for word in args]
        if words[1:] == [b"abort"]:
            if self.state == NONE:
                raise CommandError("ERR No failover in progress.")
            self.abort("Failover manually aborted")
            return OK
        host, port, force, timeout_ms = _options(args)
        if self.state != NONE:
            raise CommandError("ERR FAILOVER already in progress.")
        if replication.is_replica:
            raise CommandError("ERR FAILOVER is not valid when server is a replica.")
        if not replication.masterside.replicas:
            raise CommandError("ERR FAILOVER requires connected replicas.")
        if force and (not timeout_ms or not host):
            raise CommandError(
                "ERR FAILOVER with force option requires both a timeout and target HOST and IP."
            )
        if host:
            replica = self._find(host, port)
            if replica is None:
                raise CommandError("ERR FAILOVER target HOST and PORT is not a replica.")
            if replica not in replication.masterside.online():
                raise CommandError("ERR FAILOVER target replica is not online.")
            self.node.log.notice(f"FAILOVER requested to {host}:{port}.")
        else:
            self.node.log.notice("FAILOVER requested to any replica.")
        self.target = (host, port) if host else None
        self.force = force
        self._ends_at = self.node.loop_time() + timeout_ms / 1000 if timeout_ms else None
        self.state = WAIT_SYNC
        self.node.pause(_FOREVER_SECONDS, "write", _PAUSE)
        self.node.loop.call_soon(self.check)
        return OK

    def check(self) -> None:
        """Go on where it can go on: replicas have acknowledged, or a second has passed."""
        if self.state != WAIT_SYNC:
            return
        node, replication = self.node, self.replication
        if self._ends_at is not None and node.loop_time() >= self._ends_at:
            if not self.force:
                self.abort("Replica never caught up before timeout")
                return
            assert self.target is not None, "FORCE needs a target"
            host, port = self.target
            node.log.notice(f"FAILOVER to {host}:{port} time out exceeded, failing over.")
            self._change_over(host, port)
            return
        offset = replication.history.offset
        if self.target is not None:
            candidate = self._find(*self.target)
            candidates = [candidate] if candidate is not None else []
        else:
            candidates = list(replication.masterside.online())
        for replica in candidates:
            if replica.acked >= offset:
                host, port = replica.host, replica.port
                node.log.notice(f"Failover target {host}:{port} is synced, failing over.")
                self._change_over(host, port)
                return
        if node.loop_time() - self._asked_at >= 1.0:
            self._asked_at = node.loop_time()
            replication.masterside.ask_for_acknowledgments()

    def succeeded(self) -> None:
        """The other one is the master."""
        self._clear()

    def abort(self, reason: str) -> None:
        """Stay, or become again, what we were."""
        if self.state == NONE:
            return
        whom = f"{self.target[0]}:{self.target[1]}" if self.target else "any replica"
        self.node.log.notice(f"FAILOVER to {whom} aborted: {reason}")
        if self.state == IN_PROGRESS:
            self.replication.become_master()
        self._clear()

    def _change_over(self, host: str, port: int) -> None:
        self.state = IN_PROGRESS
        self.target = (host, port)
        self.replication.replicaside.ask_to_fail_over()
        self.replication.become_replica(host, port)

    def _clear(self) -> None:
        self.state, self.target, self._ends_at, self.force = NONE, None, None, False
        self.node.unpause(_PAUSE)

    def _find(self, host: str, port: int) -> Replica | None:
        for replica in self.replication.masterside.replicas.values():
            if (replica.host, replica.port) == (host, port):
                return replica
        return None


def _options(args: list[bytes]) -> tuple[str, int, bool, int]:
    """Host, port, FORCE and the time limit in milliseconds; empty and 0 for what is not there."""
    host, port, force, timeout_ms = "", 0, False, 0
    at = 1
    while at < len(args):
        word = args[at].lower()
        if word == b"timeout" and at + 1 < len(args) and not timeout_ms:
            timeout_ms = integer_argument(args[at + 1])
            if timeout_ms <= 0:
                raise CommandError("ERR FAILOVER timeout must be greater than 0")
            at += 2
        elif word == b"to" and at + 2 < len(args) and not host:
            port = integer_argument(args[at + 2])
            host = args[at + 1].decode("utf-8", "replace")
            at += 3
        elif word == b"force" and not force:
            force = True
            at += 1
        else:
            raise syntax_error()
    return host, port, force, timeout_ms
