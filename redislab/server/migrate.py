"""MIGRATE: keys move to another node, and are at every moment on one of the two.

Redis does nothing else while it moves keys: both ends stand still, and a large key makes that long.
So does a node here: it reads on, but runs no command until the other one has answered. A key is
deleted once the target has said that it has it. Follows `migrateCommand` in `src/cluster.c` of
Redis 7.0; `migratesockets.py` has the connections.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redislab.engine.dump import dump_value
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Block, command
from redislab.engine.table import Reply as Answer
from redislab.server.arguments import integer_argument
from redislab.server.migratesockets import BrokenError
from redislab.server.persistence.disk import in_background
from redislab.wire.resp import OK, bulks, error, simple

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.node import Node

_DEFAULT_MS = 1000
_KEYS_AND_KEY = (
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
)
# Its answer comes from another node, for which a transaction or a script waits with greenlet.
_CANNOT_WAIT = "ERR MIGRATE inside a transaction or a script needs the package greenlet"
_UNREACHABLE = "IOERR error or timeout {}"
_PAUSE = "migrate"


@dataclass(frozen=True, slots=True)
class Migration:
    """What a MIGRATE asks for.

    Attributes:
        timeout_s: how long the other node may be silent, in seconds.
        copy: leave the keys where they are.
        replace: let them replace keys of the target.
        credentials: the words after AUTH for the target; empty for none.
    """

    host: bytes
    port: bytes
    database: int
    timeout_s: float
    keys: tuple[bytes, ...]
    copy: bool
    replace: bool
    credentials: tuple[bytes, ...]


@command("migrate")
def migrate(c: Client, args: list[bytes]) -> Answer:
    """MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH ..|AUTH2 ..] [KEYS key ...]."""
    migration = _parse(args)
    if c.deny_blocking and not c.node.scripts.slow.can_wait:
        raise CommandError(_CANNOT_WAIT)
    node, now = c.node, c.engine.now_ms()
    restore = b"RESTORE-ASKING" if node.mode == "cluster" else b"RESTORE"
    moving: list[bytes] = []
    restores: list[bytes] = []
    for key in migration.keys:
        value = c.db.lookup_read(key)
        if value is None:
            continue
        at = c.db.expires.get(key)
        ttl = 0 if at is None else max(at - now, 1)
        more = (b"REPLACE",) if migration.replace else ()
        moving.append(key)
        restores.append(bulks((restore, key, b"%d" % ttl, dump_value(c.engine, value), *more)))
    if not moving:
        return simple(b"NOKEY")
    node.pause(2 * migration.timeout_s + 1, "all", _PAUSE)
    work = _transfer(node, migration, moving, restores)
    if c.deny_blocking:
        try:
            return _finish(c, migration, node.scripts.slow.wait_for(work))
        finally:
            node.unpause(_PAUSE)
    in_background(node, _answer_later(c, args, migration, work))
    return Block((), 0, lambda _c, _key: None, b"")


async def _answer_later(
    c: Client, args: list[bytes], migration: Migration, work: Coroutine[Any, Any, Outcome]
) -> None:
    """Wait for the target beside the loop, and answer a client that waits meanwhile."""
    node = c.node
    try:
        outcome = await work
    finally:
        node.unpause(_PAUSE)
    reply = _finish(c, migration, outcome)
    took = outcome.moved and not migration.copy
    if took and node.engine.propagating and c.executing is not None:
        node.propagate(c, c.executing, args)
    node.blocking.release(c, reply)


def _parse(args: list[bytes]) -> Migration:
    copy = replace = False
    credentials: tuple[bytes, ...] = ()
    keys: tuple[bytes, ...] = (args[3],)
    at = 6
    while at < len(args):
        word, more = args[at].lower(), len(args) - at - 1
        if word == b"copy":
            copy = True
        elif word == b"replace":
            replace = True
        elif word == b"auth" and more:
            credentials = (args[at + 1],)
            at += 1
        elif word == b"auth2" and more > 1:
            credentials = (args[at + 1], args[at + 2])
            at += 2
        elif word == b"keys":
            if args[3]:
                raise CommandError(_KEYS_AND_KEY)
            keys = tuple(args[at + 1 :])
            break
        else:
            raise syntax_error()
        at += 1
    timeout_ms, database = integer_argument(args[5]), integer_argument(args[4])
    return Migration(
        host=args[1],
        port=args[2],
        database=database,
        timeout_s=(timeout_ms if timeout_ms > 0 else _DEFAULT_MS) / 1000,
        keys=keys,
        copy=copy,
        replace=replace,
        credentials=credentials,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a migration: the keys that the target has taken, and an error or nothing."""

    moved: tuple[bytes, ...]
    failure: str


async def _transfer(
    node: Node, migration: Migration, keys: list[bytes], restores: list[bytes]
) -> Outcome:
    """Send the keys; once more on a new connection if one ends before it has said anything."""
    sockets, target = node.migrate_sockets, (migration.host, migration.port)
    for may_retry in (True, False):
        try:
            socket = await sockets.get(*target, migration.timeout_s)
        except ConnectionRefusedError:
            # Redis finds out when it writes.
            return Outcome((), _UNREACHABLE.format("writing to target instance"))
        except (OSError, TimeoutError, ValueError):  # a host may be no name at all
            return Outcome((), _UNREACHABLE.format("connecting to the client"))
        head = []
        if migration.credentials:
            head.append(bulks((b"AUTH", *migration.credentials)))
        if socket.database != migration.database:
            head.append(bulks((b"SELECT", b"%d" % migration.database)))
        broken = None
        try:
            replies = await socket.exchange(head + restores, migration.timeout_s)
        except BrokenError as failed:
            broken, replies = failed, failed.replies
            sockets.drop(*target)
            if may_retry and not failed.timed_out and len(replies) <= len(head):
                continue
        break
    refusals = [reply for reply in replies[: len(head)] if reply.is_error]
    answers = replies[len(head) :]
    moved = [
        key
        for key, reply in zip(keys, answers, strict=False)
        if not refusals and not reply.is_error
    ]
    said = [*refusals, *(reply for reply in answers if reply.is_error)]
    socket.database = -1 if said else migration.database
    failure = ""
    if said and answers:
        text = (said[0].text or b"").decode("utf-8", "replace")
        failure = f"ERR Target instance replied with error: {text}"
    elif broken is not None:
        failure = _UNREACHABLE.format(f"{broken.doing} to target instance")  # sic
    return Outcome(tuple(moved), failure)


def _finish(c: Client, migration: Migration, outcome: Outcome) -> bytes:
    """Delete the keys that the target has taken; the reply."""
    if outcome.moved and not migration.copy:
        for key in outcome.moved:
            c.db.remove(key)
            c.db.touched(key)
        c.rewrite(b"DEL", *outcome.moved)
    if not outcome.failure:
        return OK
    c.node.count_error(outcome.failure)
    return error(outcome.failure)
