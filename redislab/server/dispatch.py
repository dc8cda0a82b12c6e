"""From a request to a reply: every question Redis asks before it runs a command.

The order of the questions is that of `processCommand` in `src/server.c` of Redis 7.0, because it
decides which error a client sees when more than one applies. `dispatch` is the long way; a session
takes a short cut past it for clients in no special state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, shown, wrong_arity
from redislab.engine.table import Block
from redislab.server import gates
from redislab.wire.resp import QUEUED, error

if TYPE_CHECKING:
    from redislab.engine.table import Reply
    from redislab.server.client import Client
    from redislab.server.commands import Entry

_SHOWN_BYTES = 128  # of an unknown command and its arguments, as in Redis
# They read what the commands they call read (see `scripting.py`).
_SCRIPTS = frozenset({"eval_ro", "evalsha_ro", "fcall_ro"})
_NEVER_QUEUED = frozenset({"exec", "discard", "multi", "watch", "quit", "reset"})
_CROSS_PROTOCOL = frozenset({b"post", b"host:"})


def dispatch(client: Client, args: list[bytes]) -> Reply:
    """Check a request and run it; the reply is ready to send."""
    if client.is_replica:
        return _run_for_replica(client, args)
    return _dispatch(client, args)


def _run_for_replica(client: Client, args: list[bytes]) -> Reply:
    """Run a request of a replica, which has to be one that needs no answer."""
    reply = _dispatch(client, args)
    if reply != b"":
        client.node.replication.masterside.disconnect_talker(client, reply)
    return b""


def _dispatch(client: Client, args: list[bytes]) -> Reply:
    node = client.node
    if node.asleep:
        return node.postpone(client, args)
    if args[0].lower() in _CROSS_PROTOCOL:
        node.refuse_cross_protocol(client)
        return b""
    client.executing = None
    try:
        entry = find(client, args)
        client.executing = entry
        gates.check(client, entry, args)
    except CommandError as refused:
        return _reject(client, refused)
    if gates.is_postponed(client, entry, args):
        return node.postpone(client, args)
    if client.multi is not None and entry.name not in _NEVER_QUEUED:
        client.multi.append((entry, args))
        return answer(client, QUEUED)
    reply = execute(client, entry, args)
    sleep_s = node.sleep_remaining()
    if sleep_s and isinstance(reply, bytes):
        reply = Block((), sleep_s, lambda _c, _key: None, reply)
    reply = answer(client, reply)
    if client.tracker is not None:
        reply = node.tracking.after_command(client, entry, args, reply)
    return reply


def find(client: Client, args: list[bytes]) -> Entry:
    """The command a request means.

    Raises:
        CommandError: an unknown command or subcommand, or a wrong number of arguments.
    """
    entry = client.node.commands.get(args[0].lower())
    if entry is None:
        raise CommandError(_unknown_command(args))
    if entry.subcommands and len(args) > 1:
        chosen = entry.subcommands.get(args[1].lower())
        if chosen is None:
            subcommand, typed = shown(args[1][:_SHOWN_BYTES]), shown(args[0].upper())
            raise CommandError(f"ERR unknown subcommand '{subcommand}'. Try {typed} HELP.")
        entry = chosen
    client.executing = entry
    if not entry.least <= len(args) <= entry.most:
        raise wrong_arity(entry.name)
    return entry


def execute(client: Client, entry: Entry, args: list[bytes]) -> Reply:
    """Run a command that may run, count it, and send it on; errors become replies."""
    node = client.node
    started = node.clock()
    try:
        reply: Reply = entry.handler(client, args)
    except CommandError as failed:
        reply = node.failed(entry, failed)
    except Exception as bug:
        reply = node.crashed(args, bug)
    elapsed = node.clock() - started + node.take_sleep()
    entry.times.append(elapsed)
    if elapsed >= node.slow_seconds:
        node.note_slow(client, args, elapsed)
    if client.tracker is not None and "readonly" in entry.flags and entry.name not in _SCRIPTS:
        node.tracking.remember(client, entry, args)
    if node.monitors:
        node.show_monitors(client, entry, args)
    if node.engine.propagating:
        node.propagate(client, entry, args)
    return reply


def answer(client: Client, reply: Reply) -> Reply:
    """The reply as the client wants it: as it is, or left out (CLIENT REPLY OFF and SKIP)."""
    if client.reply_mode == "on" or not isinstance(reply, bytes):
        return reply
    if client.reply_mode == "skip":
        client.reply_mode = "on"
        client.refresh()
    elif client.reply_mode == "skip-next":
        client.reply_mode = "skip"
    return b""


def _reject(client: Client, refused: CommandError) -> Reply:
    """The error for a request that was not run; it spoils a transaction under way."""
    message = refused.message
    entry = client.executing
    if client.multi is not None:
        client.multi_failed = True
    if entry is not None:
        entry.rejected += 1
        if entry.name == "exec":
            client.node.discard(client)
            reason = message.removeprefix("ERR ")
            message = f"EXECABORT Transaction discarded because of: {reason}"
    client.node.count_error(message)
    return answer(client, error(message))


def _unknown_command(args: list[bytes]) -> str:
    words = b""
    for argument in args[1:]:
        if len(words) >= _SHOWN_BYTES:
            break
        piece = argument.partition(b"\0")[0][: _SHOWN_BYTES - len(words)]
        words += b"'%b' " % piece
    name = shown(args[0][:_SHOWN_BYTES])
    return f"ERR unknown command '{name}', with args beginning with: {shown(words)}"
