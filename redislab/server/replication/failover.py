"""FAILOVER: a master hands its role to a replica that has all its data, and loses nothing.

Clients that write are paused until a replica has caught up; it is then told to be the master, with
a PSYNC FAILOVER, and the old master becomes its replica. Follows `failoverCommand` and
`updateFailoverStatus` in `src/replication.c` of Redis 7.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Reply
from redislab.server.arguments import integer_argument
from redislab.server.replication.replica import Replica, State
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
        target: host and port of the replica that is to be the master; None for any.
        force: at the time limit, change over although the replica has not caught up.
    """

    def __init__(self, replication: Replication) -> None:
        self.replication = replication
        self.node = replication.node
        self.state = NONE
        self.target: tuple[str, int] | None = None
        self.force = False
        self._ends_at: float | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether there is one."""
        return self.state != NONE

    @property
    def is_in_progress(self) -> bool:
        """Whether this node has given up its role already."""
        return self.state == IN_PROGRESS

    @property
    def has_time_limit(self) -> bool:
        """Whether it must be done by some time."""
        return self._ends_at is not None

    def command(self, args: list[bytes]) -> Reply:
        """FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds].

        Raises:
            CommandError: it is asked for something that cannot be done now.
        """
        replication = self.replication
        if len(args) == 2 and args[1].lower() == b"abort":
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
        if force and (not timeout_ms or host is None):
            raise CommandError(
                "ERR FAILOVER with force option requires both a timeout and target HOST and IP."
            )
        if host is not None:
            replica = self._find(host, port)
            if replica is None:
                raise CommandError("ERR FAILOVER target HOST and PORT is not a replica.")
            if replica.state is not State.ONLINE:
                raise CommandError("ERR FAILOVER target replica is not online.")
            self.node.log.notice(f"FAILOVER requested to {host}:{port}.")
        else:
            self.node.log.notice("FAILOVER requested to any replica.")
        self.target = None if host is None else (host, port)
        self.force = force
        self._ends_at = self.node.loop_time() + timeout_ms / 1000 if timeout_ms else None
        self.state = WAIT_SYNC
        self.node.pause(_FOREVER_SECONDS, "write", _PAUSE)
        self.check_soon()
        return OK

    def check_soon(self) -> None:
        """A replica has acknowledged something, or everybody else is held back now."""
        if self.state == WAIT_SYNC:
            self.node.loop.call_soon(self.check)

    def check(self) -> None:
        """Change over if a replica has caught up, or if there is no more time to wait for it."""
        if self.state != WAIT_SYNC:
            return
        if self._ends_at is not None and self.node.loop_time() >= self._ends_at:
            if not self.force or self.target is None:
                self.abort("Replica never caught up before timeout")
                return
            host, port = self.target
            self.node.log.notice(f"FAILOVER to {host}:{port} time out exceeded, failing over.")
            self._change_over(host, port)
            return
        replica = self._caught_up()
        if replica is not None:
            host, port = self.target or (replica.host, replica.port)
            self.node.log.notice(f"Failover target {host}:{port} is synced, failing over.")
            self._change_over(host, port)

    def _caught_up(self) -> Replica | None:
        masterside, offset = self.replication.masterside, self.replication.history.offset
        if self.target is not None:
            found = self._find(*self.target)
            return found if found is not None and found.acked == offset else None
        return next((each for each in masterside.replicas.values() if each.acked == offset), None)

    def answered(self, *, accepted: bool) -> bool:
        """The target has answered our PSYNC; whether that was the end of a failover.

        Args:
            accepted: it is the master now, and we can follow it.
        """
        if self.state != IN_PROGRESS:
            return False
        if accepted:
            self._clear()
        else:
            self.abort("Failover target rejected psync request")
        return True

    def abort(self, reason: str) -> None:
        """Stay, or become again, what we were."""
        whom = f"{self.target[0]}:{self.target[1]}" if self.target else "any replica"
        self.node.log.notice(f"FAILOVER to {whom} aborted: {reason}")
        if self.state == IN_PROGRESS:
            self.replication.become_master()
        self._clear()

    def _change_over(self, host: str, port: int) -> None:
        self.state = IN_PROGRESS
        self.target = (host, port)
        self.replication.become_replica(host, port)

    def _clear(self) -> None:
        self.state, self.target, self._ends_at, self.force = NONE, None, None, False
        self.node.unpause(_PAUSE)

    def _find(self, host: str, port: int) -> Replica | None:
        replicas = self.replication.masterside.replicas.values()
        return next((each for each in replicas if each.is_at(host, port)), None)


def _options(args: list[bytes]) -> tuple[str | None, int, bool, int]:
    """Host, port, FORCE and the time limit in milliseconds; None and 0 for what is not there."""
    host: str | None = None
    port, force, timeout_ms = 0, False, 0
    at = 1
    while at < len(args):
        word = args[at].lower()
        if word == b"timeout" and at + 1 < len(args) and not timeout_ms:
            timeout_ms = integer_argument(args[at + 1])
            if timeout_ms <= 0:
                raise CommandError("ERR FAILOVER timeout must be greater than 0")
            at += 2
        elif word == b"to" and at + 2 < len(args) and host is None:
            port = integer_argument(args[at + 2])
            host = args[at + 1].decode("utf-8", "replace")
            at += 3
        elif word == b"force" and not force:
            force = True
            at += 1
        else:
            raise syntax_error()
    return host, port, force, timeout_ms
