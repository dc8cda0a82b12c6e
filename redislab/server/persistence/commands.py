"""SAVE, BGSAVE, LASTSAVE and BGREWRITEAOF, and what DEBUG does with files.

Follows `src/rdb.c`, `src/aof.c` and `src/debug.c` of Redis 7.0.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Block, Reply, command
from redislab.server.exits import ExitError
from redislab.server.persistence.appendfile import State
from redislab.server.persistence.background import RDB
from redislab.server.persistence.disk import in_background
from redislab.server.persistence.exclusive import reply_after, standing_still
from redislab.server.persistence.replay import Outcome
from redislab.wire.resp import OK, error, integer, simple

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.node import Node

_FAILED = "ERR"  # Redis says no more
_IN_PROGRESS = "ERR Background save already in progress"
_OTHER_CHILD = (
    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in "
    "order to schedule a BGSAVE whenever possible."
)
_CANNOT_REWRITE = (
    "ERR Can't execute an AOF background rewriting. Please check the server logs for more "
    "information."
)
_RELOAD_OPTIONS = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."


@command("save")
def save(c: Client, args: list[bytes]) -> Reply:
    """SAVE: nobody is served until it is done."""
    saving = c.node.persistence.saving
    if c.node.persistence.active == RDB:
        raise CommandError(_IN_PROGRESS)
    saving.saves += 1

    async def work(durable: bool) -> bytes:
        with standing_still(c.node):
            if not await saving.save(durable=durable):
                raise CommandError(_FAILED)
        return OK

    return reply_after(c, work)


@command("bgsave")
def bgsave(c: Client, args: list[bytes]) -> Reply:
    """BGSAVE [SCHEDULE]."""
    persistence = c.node.persistence
    saving = persistence.saving
    if len(args) > 2 or (len(args) == 2 and args[1].lower() != b"schedule"):
        raise syntax_error()
    if persistence.active == RDB:
        raise CommandError(_IN_PROGRESS)
    if persistence.active is not None or c.in_exec:
        if len(args) == 1 and not c.in_exec:
            raise CommandError(_OTHER_CHILD)
        saving.scheduled = True
        return simple(b"Background saving scheduled")
    saving.start()
    return simple(b"Background saving started")


@command("lastsave")
def lastsave(c: Client, args: list[bytes]) -> Reply:
    """LASTSAVE: when data was last saved; the start, where nothing was."""
    return integer(c.node.persistence.saving.last_save)


@command("bgrewriteaof")
def bgrewriteaof(c: Client, args: list[bytes]) -> Reply:
    """BGREWRITEAOF: the reply comes when commands go to the new file."""
    node = c.node
    rewriting = node.persistence.rewriting
    if rewriting.running:
        raise CommandError("ERR Background append only file rewriting already in progress")
    if node.persistence.active is not None or c.in_exec:
        rewriting.scheduled = True
        rewriting.failures = 0
        return simple(b"Background append only file rewriting scheduled")
    begun = rewriting.start()
    if begun is None:
        raise CommandError(_CANNOT_REWRITE)
    block = Block((), 0, lambda _c, _key: None, b"")
    in_background(node, _answer(c, block, begun))
    return block


async def _answer(client: Client, block: Block, begun: asyncio.Future[bool]) -> None:
    has_begun = await begun
    if client.blocked is not block:
        return
    reply = simple(b"Background append only file rewriting started")
    if not has_begun:
        client.node.count_error(_CANNOT_REWRITE)
        reply = error(_CANNOT_REWRITE)
    client.node.blocking.release(client, reply)


# -- DEBUG ----------------------------------------------------------------------------------------


def debug_reload(c: Client, args: list[bytes]) -> Reply:
    """DEBUG RELOAD [MERGE] [NOFLUSH] [NOSAVE]: save, forget, and load again."""
    options = {word.lower() for word in args[2:]}
    if not options <= {b"merge", b"noflush", b"nosave"}:
        raise CommandError(_RELOAD_OPTIONS)
    node = c.node
    persistence = node.persistence

    async def work(durable: bool) -> bytes:
        if b"nosave" not in options:
            with standing_still(node):
                if not await persistence.saving.save(durable=durable):
                    raise CommandError(_FAILED)
        if b"noflush" not in options:
            empty(node)
        try:
            loaded = await persistence.loading.load_rdb_file(merge=b"merge" in options)
        except OSError:
            loaded = False
        except ExitError as end:
            node.die(end.code)
            return b""
        if not loaded:
            raise CommandError("ERR Error trying to load the RDB dump")
        node.log.warning("DB reloaded by DEBUG RELOAD")
        return OK

    return reply_after(c, work)


def debug_loadaof(c: Client, args: list[bytes]) -> Reply:
    """DEBUG LOADAOF: write what is to be written, forget, and load the append-only file again."""
    node = c.node
    persistence = node.persistence

    async def work(durable: bool) -> bytes:
        if durable:
            await persistence.rewriting.settle()
        if persistence.aof.state is not State.OFF:
            persistence.aof.flush(force=True)
        empty(node)
        try:
            persistence.loading.read_manifest()
            if durable:
                await persistence.rewriting.remove_history()
            outcome = await persistence.loading.load_append_only_file()
        except ExitError as end:
            node.die(end.code)
            return b""
        if outcome not in {Outcome.LOADED, Outcome.EMPTY}:
            node.die(1)
            return b""
        node.engine.saved(node.engine.dirty)
        node.propagation.recount()
        node.log.warning("Append Only File loaded by DEBUG LOADAOF")
        return OK

    return reply_after(c, work)


def debug_flush_sleep(c: Client, args: list[bytes]) -> Reply:
    """DEBUG AOF-FLUSH-SLEEP microseconds: let every write of the append-only file take longer."""
    try:
        microseconds = int(args[2])
    except ValueError:
        microseconds = 0
    c.node.persistence.aof.flush_sleep_s = max(microseconds, 0) / 1e6
    return OK


def empty(node: Node) -> None:
    """Forget all data, and the libraries of functions."""
    for database in node.engine.databases:
        database.clear()
    node.scripts.libraries.flush()
    if node.engine.on_flushed is not None:
        node.engine.on_flushed()
