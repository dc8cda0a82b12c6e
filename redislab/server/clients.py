"""The CLIENT command, but for tracking: who is connected, and what to do about it.

Follows `clientCommand` and `catClientInfoString` in `src/networking.c` of Redis 7.0. Sizes of
buffers are those of our own buffers: we keep no spare room, so `qbuf-free` is 0.
"""

from __future__ import annotations

from asyncio import Transport
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, shown, syntax_error
from redislab.engine.table import Reply, command
from redislab.server import tracking  # registers CLIENT TRACKING and its kin
from redislab.server.arguments import integer_argument, timeout_seconds
from redislab.server.clientmemory import REPLY_BUFFER_BYTES, held_by
from redislab.server.help import help_reply, unknown_form
from redislab.server.names import check_name
from redislab.wire.resp import NULL, OK, ONE, ZERO, bulk, integer, verbatim

if TYPE_CHECKING:
    from redislab.server.client import Client

__all__ = ["describe", "tracking"]

_HELP = (
    ("CACHING (YES|NO)", "Track the keys of the next command, or not, in OPTIN and OPTOUT mode."),
    ("GETREDIR", "Return the id of the client that gets our invalidation messages."),
    ("GETNAME", "Return the name of this connection."),
    ("ID", "Return the id of this connection."),
    ("INFO", "Return a line about this connection."),
    ("KILL <ip:port>", "Close the connection from an address."),
    (
        "KILL <option> <value> [<option> <value> [...]]",
        (
            "Close the connections that fit all options:\n"
            "* ADDR (<ip:port>|<unixsocket>:0)\n  Where they come from.\n"
            "* LADDR (<ip:port>|<unixsocket>:0)\n  Where they came to.\n"
            "* TYPE (NORMAL|MASTER|REPLICA|PUBSUB)\n  What kind they are.\n"
            "* USER <username>\n  Who they are.\n"
            "* SKIPME (YES|NO)\n  Whether this connection is spared (yes unless told otherwise).\n"
            "* ID <client-id>\n  Their id."
        ),
    ),
    (
        "LIST [options ...]",
        (
            "Return a line about each connection. Options:\n"
            "* TYPE (NORMAL|MASTER|REPLICA|PUBSUB)\n  Only those of a kind.\n"
            "* ID <client-id> [<client-id> ...]\n  Only those with these ids."
        ),
    ),
    ("UNPAUSE", "End a pause."),
    ("PAUSE <timeout> [WRITE|ALL]", "Hold back all commands, or those that write, for a time."),
    ("REPLY (ON|OFF|SKIP)", "Say whether commands are answered."),
    ("SETNAME <name>", "Name this connection."),
    ("UNBLOCK <clientid> [TIMEOUT|ERROR]", "End the waiting of a blocked client."),
    (
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "        [OPTIN] [OPTOUT] [NOLOOP]\nAsk for invalidation messages of client-side caching.",
    ),
    ("TRACKINGINFO", "Report how tracking is set for this connection."),
    ("NO-EVICT (ON|OFF)", "Spare this connection when clients are evicted."),
)
_KINDS = {
    b"normal": "normal",
    b"slave": "replica",
    b"replica": "replica",
    b"pubsub": "pubsub",
    b"master": "master",
}


def describe(client: Client, args: Sequence[bytes] = ()) -> str:
    """One line of CLIENT LIST.

    Args:
        client: the client.
        args: the command that runs for it.
    """
    session = client.session
    now = client.node.loop_time()
    fd = 0
    if session is not None:
        fd = _descriptor(session.transport)
    elif client.is_master:
        fd = _descriptor(client.node.replication.replicaside.transport)
    held = held_by(client, args)
    tracker = client.tracker
    fields = {
        "id": client.id,
        "addr": client.address,
        "laddr": client.local_address,
        "fd": fd,
        "name": client.name.decode(),
        "age": int(now - client.created),
        "idle": int(now - client.last_used),
        "flags": _flags(client),
        "db": client.db.index,
        "sub": len(client.channels),
        "psub": len(client.patterns),
        "ssub": len(client.shard_channels),
        "multi": -1 if client.multi is None else len(client.multi),
        "qbuf": held.query,
        "qbuf-free": 0,
        "argv-mem": held.arguments,
        "multi-mem": held.queued,
        "rbs": REPLY_BUFFER_BYTES,
        "rbp": 0,
        "obl": 0,
        "oll": 1 if held.output else 0,
        "omem": held.output,
        "tot-mem": held.total,
        "events": "rw" if held.output else "r",
        "cmd": "NULL" if client.executing is None else client.executing.name,
        "user": "(superuser)" if client.is_master else _decode(client.user.name),
        "redir": -1 if tracker is None else tracker.redirect,
        "resp": client.resp,
    }
    return " ".join(f"{name}={value}" for name, value in fields.items())


def _flags(client: Client) -> str:
    tracker = client.tracker
    marks = (
        ("S", client.is_replica),
        ("M", client.is_master),
        ("O", client.monitoring),
        ("P", client.subscribed),
        ("x", client.multi is not None),
        ("b", client.blocked is not None),
        ("t", tracker is not None),
        ("R", tracker is not None and tracker.broken),
        ("B", tracker is not None and tracker.bcast),
        ("d", client.dirty_watch),
        ("c", client.close_after_reply),
        ("U", client.unix_socket),
        ("e", client.no_evict),
    )
    return "".join(letter for letter, holds in marks if holds) or "N"


def _descriptor(transport: Transport | None) -> int:
    """The connection's file descriptor; -1 where there is none, as in a simulation."""
    socket = None if transport is None else transport.get_extra_info("socket")
    return -1 if socket is None else int(socket.fileno())


@command("client|id")
def client_id(c: Client, args: list[bytes]) -> Reply:
    """CLIENT ID."""
    return integer(c.id)


@command("client|info")
def client_info(c: Client, args: list[bytes]) -> Reply:
    """CLIENT INFO: this connection's line of CLIENT LIST."""
    return verbatim(_encode(describe(c, args) + "\n"), c.resp)


@command("client|list")
def client_list(c: Client, args: list[bytes]) -> Reply:
    """CLIENT LIST [TYPE kind | ID id [id ...]]."""
    clients = list(c.node.clients.values())
    option = args[2].lower() if len(args) > 2 else b""
    if option == b"type" and len(args) == 4:
        kind = _kind(args[3])
        clients = [client for client in clients if client.kind == kind]
    elif option == b"id" and len(args) > 3:
        ids = []
        for word in args[3:]:
            try:
                ids.append(integer_argument(word))
            except CommandError:
                raise CommandError("ERR Invalid client ID") from None
        clients = [c.node.clients[each] for each in ids if each in c.node.clients]
    elif option:
        raise syntax_error()
    lines = (describe(client, args if client is c else ()) + "\n" for client in clients)
    return verbatim(_encode("".join(lines)), c.resp)


@command("client|getname")
def client_getname(c: Client, args: list[bytes]) -> Reply:
    """CLIENT GETNAME."""
    return bulk(c.name) if c.name else NULL[c.resp]


@command("client|setname")
def client_setname(c: Client, args: list[bytes]) -> Reply:
    """CLIENT SETNAME name."""
    check_name(args[2])
    c.name = args[2]
    return OK


@command("client|kill")
def client_kill(c: Client, args: list[bytes]) -> Reply:
    """CLIENT KILL address, or CLIENT KILL with filters; the first form spares nobody."""
    skip_me = len(args) != 3
    tests: list[Callable[[Client], bool]] = []
    if len(args) == 3:
        tests.append(_comes_from(args[2]))
    else:
        if len(args) % 2:
            raise syntax_error()
        for option, value in zip(args[2::2], args[3::2], strict=True):
            if option.lower() == b"skipme":
                if value.lower() not in {b"yes", b"no"}:
                    raise syntax_error()
                skip_me = value.lower() == b"yes"
            else:
                tests.append(_filter(c, option.lower(), value))
    killed = 0
    suicide = False
    for client in list(c.node.clients.values()):
        if (client is c and skip_me) or not all(test(client) for test in tests):
            continue
        killed += 1
        if client is c:
            suicide = True
        else:
            c.node.close(client)
    if suicide:
        c.close_soon()
    if len(args) == 3:
        if not killed:
            raise CommandError("ERR No such client")
        return OK
    return integer(killed)


def _comes_from(address: bytes) -> Callable[[Client], bool]:
    text = address.decode("utf-8", "surrogateescape")
    return lambda client: client.address == text


def _filter(c: Client, option: bytes, value: bytes) -> Callable[[Client], bool]:
    """The test that one filter of CLIENT KILL makes."""
    text = value.decode("utf-8", "surrogateescape")
    if option == b"id":
        try:
            number = integer_argument(value)
        except CommandError:
            number = 0
        if number < 1:
            raise CommandError("ERR client-id should be greater than 0")
        return lambda client: client.id == number
    if option == b"type":
        kind = _kind(value)
        return lambda client: client.kind == kind
    if option == b"addr":
        return _comes_from(value)
    if option == b"laddr":
        return lambda client: client.local_address == text
    if option == b"user":
        user = c.node.acl.users.get(value)
        if user is None:
            message = f"ERR No such user '{text}'"
            raise CommandError(message)
        return lambda client: client.user is user and not client.is_master
    raise syntax_error()


def _kind(word: bytes) -> str:
    kind = _KINDS.get(word.lower())
    if kind is None:
        raise CommandError(f"ERR Unknown client type '{shown(word)}'")
    return kind


@command("client|pause")
def client_pause(c: Client, args: list[bytes]) -> Reply:
    """CLIENT PAUSE milliseconds [WRITE|ALL]."""
    if len(args) > 4:
        raise unknown_form(args)
    mode = args[3].lower() if len(args) == 4 else b"all"
    if mode not in {b"write", b"all"}:
        raise CommandError("ERR CLIENT PAUSE mode must be WRITE or ALL")
    c.node.pause(timeout_seconds(args[2]), mode.decode())
    return OK


@command("client|unpause")
def client_unpause(c: Client, args: list[bytes]) -> Reply:
    """CLIENT UNPAUSE."""
    c.node.unpause()
    return OK


@command("client|reply")
def client_reply(c: Client, args: list[bytes]) -> Reply:
    """CLIENT REPLY ON|OFF|SKIP: only ON is answered."""
    mode = args[2].lower()
    if mode == b"on":
        c.reply_mode = "on"
        c.refresh()
        return OK
    if mode == b"off":
        c.reply_mode = "off"
    elif mode == b"skip":
        if c.reply_mode != "off":
            c.reply_mode = "skip-next"
    else:
        raise syntax_error()
    c.refresh()
    return b""


@command("client|unblock")
def client_unblock(c: Client, args: list[bytes]) -> Reply:
    """CLIENT UNBLOCK id [TIMEOUT|ERROR]."""
    if len(args) > 4:
        raise unknown_form(args)
    way = args[3].lower() if len(args) == 4 else b"timeout"
    if way not in {b"timeout", b"error"}:
        raise CommandError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    target = c.node.clients.get(integer_argument(args[2]))
    if target is None or target.blocked is None or target.postponed:
        return ZERO
    waits = c.node.replication.waits
    if not target.blocked.keys and target not in waits.waiting:
        return ZERO
    if way == b"timeout":
        if target in waits.waiting:
            waits.time_out(target)
        else:
            c.node.blocking.release(target, target.blocked.on_timeout)
    else:
        failed = CommandError("UNBLOCKED client unblocked via CLIENT UNBLOCK")
        waits.forget(target)
        c.node.blocking.release(target, c.node.failed(target.executing, failed))
    return ONE


@command("client|no-evict")
def client_no_evict(c: Client, args: list[bytes]) -> Reply:
    """CLIENT NO-EVICT ON|OFF."""
    word = args[2].lower()
    if word not in {b"on", b"off"}:
        raise syntax_error()
    c.no_evict = word == b"on"
    return OK


@command("client|help")
def client_help(c: Client, args: list[bytes]) -> Reply:
    """CLIENT HELP."""
    return help_reply("CLIENT", _HELP)


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
