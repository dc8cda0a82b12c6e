"""MULTI, EXEC, DISCARD, WATCH, UNWATCH (`src/multi.c` of Redis 7.0).

Queueing happens in `dispatch`: between MULTI and EXEC a command that passes the gates is kept. A
watched key spoils the transaction of its watchers when it changes, which `Watches` hears of as an
observer of the engine, and when it has expired by the time of EXEC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError
from redislab.engine.keyspace import REPLACED, Keyspace
from redislab.engine.table import Reply, command
from redislab.server import users
from redislab.server.dispatch import execute
from redislab.wire.resp import NULL_ARRAY, OK, error

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.commands import Entry
    from redislab.server.node import Node

_ACL_CHANGED = (
    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC "
    "call. This command is no longer allowed for the following reason: "
)
_MAY_WAIT = frozenset({"eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro", "migrate"})
_REASONS = {
    users.DENIED_COMMAND: "no permission to execute the command or subcommand",
    users.DENIED_KEY: "no permission to touch the specified keys",
    users.DENIED_CHANNEL: "no permission to access one of the channels used as arguments",
}


class Watches:
    """The watched keys of one node, and who watches them."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.watchers: dict[tuple[int, bytes], dict[Client, None]] = {}

    def add(self, client: Client, key: bytes) -> None:
        """Watch a key of the client's database."""
        at = (client.db.index, key)
        if at in client.watched:
            return
        if not self.watchers:
            self.node.engine.observers.append(self.on_change)
        self.watchers.setdefault(at, {})[client] = None
        client.watched[at] = _is_expired(client.db, key)

    def forget(self, client: Client) -> None:
        """A client watches nothing any more."""
        if not client.watched:
            return
        for at in client.watched:
            clients = self.watchers[at]
            del clients[client]
            if not clients:
                del self.watchers[at]
        client.watched = {}
        if not self.watchers:
            self.node.engine.observers.remove(self.on_change)

    def on_change(self, db: Keyspace, event: bytes, key: bytes) -> None:
        """A key has changed: the transactions of those who watch it are off."""
        clients = list(self.watchers.get((db.index, key), ()))
        if event == REPLACED and clients and (key not in db.values or _is_expired(db, key)):
            # A whole database is replaced, and to its clients there was no such key: EXEC will
            # see whether there is one then.
            for client in clients:
                client.watched[db.index, key] = True
            return
        for client in clients:
            if client.watched[db.index, key] and key not in db.values:
                # It was expired when WATCH was called, and now it is removed: no change.
                client.watched[db.index, key] = False
                continue
            client.dirty_watch = True
            self.forget(client)

    def expired(self, client: Client) -> bool:
        """Whether a key has expired, or come to life, since the client began to watch it."""
        for (index, key), was_stale in client.watched.items():
            db = self.node.engine.databases[index]
            stale = _is_expired(db, key)
            if stale != was_stale and (stale or key in db.values):
                return True
        return False


@command("multi")
def multi(c: Client, args: list[bytes]) -> Reply:
    """MULTI."""
    if c.multi is not None:
        raise CommandError("ERR MULTI calls can not be nested")
    c.multi = []
    c.refresh()
    return OK


@command("discard")
def discard_(c: Client, args: list[bytes]) -> Reply:
    """DISCARD."""
    if c.multi is None:
        raise CommandError("ERR DISCARD without MULTI")
    discard(c)
    return OK


@command("exec")
def exec_(c: Client, args: list[bytes]) -> Reply:
    """EXEC: run what was queued, or tell why not."""
    if c.multi is None:
        raise CommandError("ERR EXEC without MULTI")
    if c.node.watches.expired(c):
        c.dirty_watch = True
    queued, failed, dirty = c.multi, c.multi_failed, c.dirty_watch
    if failed or dirty:
        discard(c)
        if failed:
            raise CommandError("EXECABORT Transaction discarded because of previous errors.")
        return NULL_ARRAY[c.resp]
    c.node.watches.forget(c)
    c.deny_blocking = c.in_exec = True
    if any(entry.name in _MAY_WAIT for entry, _ in queued):
        return c.node.scripts.slow.run(c, args, lambda: _run_all(c, queued))
    return _run_all(c, queued)


def _run_all(c: Client, queued: list[tuple[Entry, list[bytes]]]) -> bytes:
    """Run what was queued; the reply of EXEC."""
    node = c.node
    session, itself = c.session, c.executing
    parts = [b"*%d\r\n" % len(queued)]
    # What the commands send to this client on the way (SUBSCRIBE aside) belongs among the replies.
    outer = None if session is None else session.out
    if session is not None:
        session.out = parts
    node.begin_transaction()
    try:
        for entry, words in queued:
            reply = _run(c, entry, words)
            assert isinstance(reply, bytes), f"{entry.name} must not wait inside MULTI"
            parts.append(reply)
    finally:
        if session is not None:
            session.out = outer
        c.deny_blocking = c.in_exec = False
        c.executing = itself
        discard(c)
        node.end_transaction()
    return b"".join(parts)


@command("watch")
def watch(c: Client, args: list[bytes]) -> Reply:
    """WATCH key [key ...]."""
    if c.multi is not None:
        raise CommandError("ERR WATCH inside MULTI is not allowed")
    if not c.dirty_watch:
        for key in args[1:]:
            c.node.watches.add(c, key)
    return OK


@command("unwatch")
def unwatch(c: Client, args: list[bytes]) -> Reply:
    """UNWATCH."""
    c.node.watches.forget(c)
    c.dirty_watch = False
    return OK


def discard(c: Client) -> None:
    """Forget a transaction and its watched keys."""
    c.multi = None
    c.multi_failed = c.dirty_watch = False
    c.node.watches.forget(c)
    c.refresh()


def _run(c: Client, entry: Entry, words: list[bytes]) -> Reply:
    """Run one queued command; its permission is asked again, for rules may have changed."""
    if not c.user.plain:
        reason, position = c.user.check(entry.fact, words)
        if reason != users.ALLOWED:
            name = words[position] if position else entry.fact.name
            c.node.acl.note_denied(c, reason, name)
            message = _ACL_CHANGED + _REASONS[reason]
            c.node.count_error(message)
            return error(message)
        refusal = users.sort_refusal(c.user, entry.fact, words)
        if refusal is not None:
            return c.node.failed(entry, CommandError(refusal))
    c.executing = entry
    return execute(c, entry, words)


def _is_expired(db: Keyspace, key: bytes) -> bool:
    at = db.expires.get(key)
    return at is not None and key in db.values and at < db.engine.now_ms()
