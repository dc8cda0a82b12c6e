"""REPLICAOF SLAVEOF PSYNC SYNC REPLCONF ROLE WAIT FAILOVER (`src/replication.c` of Redis 7.0)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from redislab.engine.arguments import parse_ranged
from redislab.engine.errors import CommandError, shown_last, syntax_error
from redislab.engine.table import Reply, command
from redislab.server.arguments import integer_argument, long_argument
from redislab.server.clients import describe
from redislab.server.replication.replica import Replica, State
from redislab.wire.requests import split_words
from redislab.wire.resp import OK, array, bulk, bulks, integer, simple

if TYPE_CHECKING:
    from redislab.server.client import Client

_PORT_MAX = 65535
_HOST_BYTES = 256
_BUSY = "ERR REPLICAOF not allowed while failing over."


@command("replicaof", "slaveof")
def replicaof(c: Client, args: list[bytes]) -> Reply:
    """REPLICAOF host port | NO ONE."""
    replication, log = c.node.replication, c.node.log
    if replication.failover.is_under_way:
        raise CommandError(_BUSY)
    if args[1].lower() == b"no" and args[2].lower() == b"one":
        if replication.is_replica:
            replication.become_master()
            log.notice(f"MASTER MODE enabled (user request from '{describe(c)}')")
        return OK
    if c.is_replica:
        raise CommandError("ERR Command is not valid when client is a replica.")
    port = parse_ranged(args[2], 0, _PORT_MAX, "ERR Invalid master port")
    host = args[1].decode("utf-8", "surrogateescape")
    present = replication.replicaside.master
    if present is not None and (present[0].lower(), present[1]) == (host.lower(), port):
        log.notice(
            "REPLICAOF would result into synchronization with the master we are already connected "
            "with. No operation performed."
        )
        return simple(b"OK Already connected to specified master")
    replication.become_replica(host, port)
    log.notice(f"REPLICAOF {host}:{port} enabled (user request from '{describe(c)}')")
    return OK


@command("psync")
def psync(c: Client, args: list[bytes]) -> Reply:
    """PSYNC replicationid offset [FAILOVER]: the client becomes a replica."""
    if c.is_replica:
        return b""
    asked_id = args[1].decode("ascii", "replace")
    if len(args) > 3 and args[3].lower() == b"failover":
        _take_over(c, asked_id)
    replica = _check_synchronization(c)
    masterside = c.node.replication.masterside
    try:
        offset = integer_argument(args[2])
    except CommandError:
        c.node.log.warning(
            f"Replica {replica.address} asks for synchronization but with a wrong offset"
        )
        raise
    reply = masterside.try_to_continue(replica, asked_id, offset)
    if reply is not None:
        return reply
    masterside.synchronize_fully(replica)
    return b""


@command("sync")
def sync(c: Client, args: list[bytes]) -> Reply:
    """SYNC: all data, then the stream, without offsets; as it was before Redis 2.8."""
    if not c.is_replica:
        replica = _check_synchronization(c)
        replica.psync = False
        c.node.replication.masterside.synchronize_fully(replica)
    return b""


def _check_synchronization(c: Client) -> Replica:
    """Raise why a client cannot become a replica now; else what is known of it (`syncCommand`).

    Raises:
        CommandError: why not.
    """
    replication, session = c.node.replication, c.session
    if replication.failover.is_under_way:
        raise CommandError("NOMASTERLINK Can't SYNC while failing over")
    if replication.is_replica and not replication.replicaside.connected:
        raise CommandError("NOMASTERLINK Can't SYNC while not connected with my master")
    assert session is not None, "scripts may not ask"
    if any(session.out or ()) or session.transport.get_write_buffer_size():
        # The replies before it would be taken for a part of the data set.
        raise CommandError("ERR SYNC and PSYNC are invalid with pending output")
    replica = replication.masterside.record_of(c)
    if replica.without and not replica.takes_eof:
        raise CommandError("ERR Filtered replica requires EOF capability")
    c.node.log.notice(f"Replica {replica.address} asks for synchronization")
    return replica


def _take_over(c: Client, asked_id: str) -> None:
    """PSYNC FAILOVER: our master wants us to be the master."""
    replication, log = c.node.replication, c.node.log
    log.warning(f"Failover request received for replid {asked_id}.")
    if not replication.is_replica:
        raise CommandError("ERR PSYNC FAILOVER can't be sent to a master.")
    if asked_id.lower() != replication.history.id:
        raise CommandError("ERR PSYNC FAILOVER replid must match my replid.")
    replication.become_master()
    log.notice(f"MASTER MODE enabled (failover request from '{describe(c)}')")


@command("replconf")
def replconf(c: Client, args: list[bytes]) -> Reply:
    """REPLCONF option value [option value ...]: what a replica says of itself."""
    if len(args) % 2 == 0:
        raise syntax_error()
    replication = c.node.replication
    for option, value in zip(args[1::2], args[2::2], strict=True):
        name = option.lower()
        if name == b"ack":
            with suppress(CommandError):  # what is no number is ignored
                replication.masterside.acknowledge(c, integer_argument(value))
            return b""
        if name == b"getack":
            replication.replicaside.acknowledge()
            return b""
        _configure(replication.masterside.record_of(c), name, value, option)
    return OK


def _configure(replica: Replica, name: bytes, value: bytes, option: bytes) -> None:
    """One option of REPLCONF.

    Raises:
        CommandError: there is none of this name, or it cannot have this value.
    """
    if name == b"listening-port":
        replica.port = integer_argument(value)
    elif name == b"ip-address":
        if len(value) >= _HOST_BYTES:
            raise CommandError(
                "ERR REPLCONF ip-address provided by replica instance is too long: "
                f"{len(value)} bytes"
            )
        replica.announced_host = value.decode("utf-8", "replace")
    elif name == b"capa":
        replica.takes_eof |= value.lower() == b"eof"
        replica.knows_psync2 |= value.lower() == b"psync2"
    elif name == b"rdb-only":
        replica.only_rdb = long_argument(value, 0, 1) == 1
    elif name == b"rdb-filter-only":
        wanted = split_words(value)
        if wanted is None:
            raise CommandError("ERR Missing rdb-filter-only values")
        for word in wanted:
            if word.lower() != b"functions":
                raise CommandError(f"ERR Unsupported rdb-filter-only option: {shown_last(word)}")
        replica.without = frozenset({"data"} if wanted else {"data", "functions"})
    else:
        raise CommandError(f"ERR Unrecognized REPLCONF option: {shown_last(option)}")


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
    return c.node.replication.waits.wait(c, args[1], args[2])


@command("failover")
def failover(c: Client, args: list[bytes]) -> Reply:
    """FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]."""
    return c.node.replication.failover.command(args)
