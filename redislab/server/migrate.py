"""MIGRATE: keys move to another node, and are at every moment on one of the two.

Redis does nothing else while it moves keys: both ends stand still, and a large key makes that long.
So does a node here: it reads on, but runs no command until the other one has answered. A key is
deleted once the target has said that it has it. Follows `migrateCommand` in `src/cluster.c` of
Redis 7.0, which also keeps the connection for a while; here each MIGRATE has its own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redislab.engine.arguments import parse_int
from redislab.engine.dump import dump_value
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Block, command
from redislab.engine.table import Reply as Answer
from redislab.server.arguments import integer_argument
from redislab.server.persistence.disk import in_background
from redislab.wire import replies as wire
from redislab.wire.resp import OK, bulks, error, simple

if TYPE_CHECKING:
    from redislab.server.client import Client

_DEFAULT_MS = 1000
_READ_BYTES = 64 * 1024
_KEYS_AND_KEY = (
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
)
# Its answer comes from another node, for which a transaction or a script cannot wait here.
_CANNOT_WAIT = "ERR MIGRATE is not allowed inside a transaction or a script"
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

    host: str
    port: int
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
    if c.deny_blocking:
        raise CommandError(_CANNOT_WAIT)
    now = c.engine.now_ms()
    restore = b"RESTORE-ASKING" if c.node.mode == "cluster" else b"RESTORE"
    moving: list[bytes] = []
    requests: list[bytes] = []
    if migration.credentials:
        requests.append(bulks((b"AUTH", *migration.credentials)))
    requests.append(bulks((b"SELECT", b"%d" % migration.database)))
    before = len(requests)
    for key in migration.keys:
        value = c.db.lookup_read(key)
        if value is None:
            continue
        at = c.db.expires.get(key)
        ttl = 0 if at is None else max(at - now, 1)
        more = (b"REPLACE",) if migration.replace else ()
        moving.append(key)
        requests.append(bulks((restore, key, b"%d" % ttl, dump_value(c.engine, value), *more)))
    if not moving:
        return simple(b"NOKEY")
    node = c.node
    node.pause(2 * migration.timeout_s + 1, "all", _PAUSE)
    work = _move(c, args, migration, moving, requests, before)
    in_background(node, work)
    return Block((), 0, lambda _c, _key: None, b"")


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
        host=args[1].decode("utf-8", "surrogateescape"),
        port=parse_int(args[2]),
        database=database,
        timeout_s=(timeout_ms if timeout_ms > 0 else _DEFAULT_MS) / 1000,
        keys=keys,
        copy=copy,
        replace=replace,
        credentials=credentials,
    )


async def _move(
    c: Client,
    args: list[bytes],
    migration: Migration,
    moving: list[bytes],
    requests: list[bytes],
    before: int,
) -> None:
    """Send the keys, and delete those that the target has taken.

    `before` of the requests come before those with the keys.
    """
    node = c.node
    moved: list[bytes] = []
    failure = ""
    try:
        replies = await _exchange(migration, requests, node.config.bind_source_addr)
    except _UnreachableError as wrong:
        replies, failure = wrong.replies, f"IOERR error or timeout {wrong}"
    for number, reply in enumerate(replies):
        if reply.is_error:
            said = (reply.text or b"").decode("utf-8", "replace")
            failure = failure or f"ERR Target instance replied with error: {said}"
            if number < before:
                break
        elif number >= before:
            moved.append(moving[number - before])
    node.unpause(_PAUSE)
    if moved and not migration.copy:
        for key in moved:
            c.db.remove(key)
            c.db.touched(key)
        c.rewrite(b"DEL", *moved)
        if node.engine.propagating and c.executing is not None:
            node.propagate(c, c.executing, args)
    if failure:
        node.count_error(failure)
    node.blocking.release(c, error(failure) if failure else OK)


class _UnreachableError(Exception):
    """The other node cannot be reached, or is silent for too long; has the replies that came."""

    def __init__(self, doing: str, replies: list[wire.Reply]) -> None:
        super().__init__(doing)
        self.replies = replies


async def _exchange(migration: Migration, requests: list[bytes], source: str) -> list[wire.Reply]:
    """Send all requests and read as many replies.

    Raises:
        _UnreachableError: not all replies came.
    """
    replies: list[wire.Reply] = []
    try:
        connecting = asyncio.open_connection(
            migration.host, migration.port, local_addr=(source, 0) if source else None
        )
        reader, writer = await asyncio.wait_for(connecting, migration.timeout_s)
    except ConnectionRefusedError:
        # Redis finds out when it writes.
        raise _UnreachableError("writing to target instance", replies) from None
    except (OSError, TimeoutError):
        raise _UnreachableError("connecting to the client", replies) from None
    parser = wire.ReplyParser()
    doing = "writing to target instance"
    try:
        writer.write(b"".join(requests))
        await asyncio.wait_for(writer.drain(), migration.timeout_s)
        doing = "reading to target instance"  # sic
        while len(replies) < len(requests):
            data = await asyncio.wait_for(reader.read(_READ_BYTES), migration.timeout_s)
            if not data:
                raise _UnreachableError(doing, replies)
            replies += parser.feed(data)
    except (OSError, TimeoutError):
        raise _UnreachableError(doing, replies) from None
    finally:
        writer.close()
    return replies
