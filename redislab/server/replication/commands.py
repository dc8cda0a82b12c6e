"""REPLICAOF SLAVEOF PSYNC SYNC REPLCONF ROLE WAIT FAILOVER (`src/replication.c` of Redis 7.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.arguments import parse_ranged
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Reply, command
from redislab.server.arguments import integer_argument, timeout_seconds
from redislab.server.clients import describe
from redislab.server.replication.failover import NONE
from redislab.server.replication.replica import State
from redislab.wire.resp import OK, array, bulk, bulks, integer, simple

if TYPE_CHECKING:
    from redislab.server.client import Client

_CAPABILITIES = {b"eof": "takes_eof", b"psync2": "knows_psync2"}
_PENDING_OUTPUT = "ERR SYNC and PSYNC are invalid with pending output"
_NO_LINK = "NOMASTERLINK Can't SYNC while not connected with my master"
_PORT_MAX = 65535
_NOT_A_SWITCH = "ERR value is out of range, must be between 0 and 1"
_BUSY = "ERR REPLICAOF not allowed while failing over."


@command("replicaof", "slaveof")
def replicaof(c: Client, args: list[bytes]) -> Reply:
    """REPLICAOF host port | NO ONE."""
    replication = c.node.replication
    if replication.failover.state != NONE:
        raise CommandError(_BUSY)
    if args[1].lower() == b"no" and args[2].lower() == b"one":
        if replication.is_replica:
            replication.become_master()
            c.node.log.notice(f"MASTER MODE enabled (user request from '{describe(c)}')")
        return OK
    if c.is_replica:
        raise CommandError("ERR Command is not valid when client is a replica.")
    port = parse_ranged(args[2], 0, _PORT_MAX, "ERR Invalid master port")
    host = args[1].decode("utf-8", "surrogateescape")
    if replication.replicaside.master == (host, port):
        c.node.log.notice(
            "REPLICAOF would result into synchronization with the master we are already connected "
            "with. No operation performed."
        )
        return simple(b"OK Already connected to specified master")
    replication.become_replica(host, port)
    c.node.log.notice(f"REPLICAOF {host}:{port} enabled (user request from '{describe(c)}')")
    return OK


@command("psync")
def psync(c: Client, args: list[bytes]) -> Reply:
    """PSYNC replicationid offset [FAILOVER]: the client becomes a replica."""
    asked_id = args[1].decode("ascii", "replace")
    if len(args) > 3 and args[3].lower() == b"failover":
        _take_over(c, asked_id)
    elif c.node.replication.failover.state != NONE:
        raise CommandError(_NO_LINK)
    return _synchronize(c, asked_id, integer_argument(args[2]), old=False)


@command("sync")
def sync(c: Client, args: list[bytes]) -> Reply:
    """SYNC: all data, then the stream, without offsets; as it was before Redis 2.8."""
    return _synchronize(c, "?", -1, old=True)


def _synchronize(c: Client, asked_id: str, offset: int, *, old: bool) -> Reply:
    replication = c.node.replication
    if c.is_replica:
        return b""
    if replication.is_replica and not replication.replicaside.connected:
        raise CommandError(_NO_LINK)
    session = c.session
    if session is None:
        raise CommandError("ERR This Redis command is not allowed from script")
    if session.out or session.transport.get_write_buffer_size():
        # The replies before it would be taken for a part of the data set.
        raise CommandError(_PENDING_OUTPUT)
    return replication.masterside.synchronize(c, asked_id, offset, old=old)


def _take_over(c: Client, asked_id: str) -> None:
    """PSYNC FAILOVER: our master wants us to be the master."""
    replication = c.node.replication
    c.node.log.warning(f"Failover request received for replid {asked_id}.")
    if not replication.is_replica:
        raise CommandError("ERR PSYNC FAILOVER can't be sent to a master.")
    if asked_id != replication.history.id:
        raise CommandError("ERR PSYNC FAILOVER replid must match my replid.")
    replication.become_master()
    c.node.log.notice(f"MASTER MODE enabled (failover request from '{describe(c)}')")


@command("replconf")
def replconf(c: Client, args: list[bytes]) -> Reply:
    """REPLCONF option value [option value ...]: what a replica says of itself."""
    if len(args) % 2 == 0:
        raise syntax_error()
    side = c.node.replication.masterside
    for option, value in zip(args[1::2], args[2::2], strict=True):
        name = option.lower()
        if name == b"ack":
            if c.is_replica:
                side.acknowledge(c, integer_argument(value))
            return b""
        if name == b"getack":
            # Only a master's stream can ask it; there it does not come this way.
            return b""
        replica = side.record_of(c)
        if name == b"listening-port":
            replica.port = integer_argument(value)
        elif name == b"ip-address":
            if len(value) >= 256:
                raise CommandError(
                    "ERR REPLCONF ip-address provided by replica instance is too long: "
                    f"{len(value)} bytes"
                )
            replica.announced_host = value.decode("utf-8", "replace")
        elif name == b"capa":
            known = _CAPABILITIES.get(value.lower())
            if known is not None:
                setattr(replica, known, True)
        elif name == b"rdb-only":
            replica.only_rdb = parse_ranged(value, 0, 1, _NOT_A_SWITCH) == 1
        elif name == b"rdb-filter-only":
            replica.wants_functions_only = value.lower().split() == [b"functions"]
        else:
            shown = option.decode("utf-8", "replace")
            raise CommandError(f"ERR Unrecognized REPLCONF option: {shown}")
    return OK


@command("role")
def role(c: Client, args: list[bytes]) -> Reply:
    """ROLE: master with its replicas, or slave with its master; offsets included."""
    replication = c.node.replication
    side = replication.replicaside
    if side.master is not None:
        host, port = side.master
        offset = replication.history.offset if side.connected else -1
        where = (bulk(b"slave"), bulk(host.encode()), integer(port))
        return array((*where, bulk(side.state_name.encode()), integer(offset)))
    rows = [
        bulks((each.host.encode(), b"%d" % each.port, b"%d" % each.acked))
        for each in replication.masterside.replicas.values()
        if each.state is State.ONLINE
    ]
    return array((bulk(b"master"), integer(replication.history.offset), array(rows)))


@command("wait")
def wait(c: Client, args: list[bytes]) -> Reply:
    """WAIT numreplicas timeout: how many replicas have this client's writes."""
    replicas = integer_argument(args[1])
    return c.node.replication.waits.wait(c, replicas, timeout_seconds(args[2]))


@command("failover")
def failover(c: Client, args: list[bytes]) -> Reply:
    """FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]."""
    return c.node.replication.failover.command(args)
