"""Connection commands: PING ECHO QUIT SELECT AUTH HELLO RESET.

Follows `src/server.c` (PING, ECHO), `src/networking.c` (HELLO, QUIT, RESET), `src/acl.c` (AUTH) and
`src/db.c` (SELECT) of Redis 7.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.errors import CommandError, shown, syntax_error, wrong_arity
from redislab.engine.table import Reply, command
from redislab.server.arguments import integer_argument, long_argument
from redislab.server.names import VERSION, check_name
from redislab.server.pubsub import leave_all
from redislab.server.transactions import discard
from redislab.wire.resp import OK, PONG, array, bulk, bulks, integer, map_, simple

if TYPE_CHECKING:
    from redislab.server.client import Client

WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled."  # noqa: S105
_NOT_CONFIGURED = (
    "ERR AUTH <password> called without any password configured for the default user. Are you "
    "sure your configuration is correct?"
)
_HELLO_NEEDS_AUTH = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
    "AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol "
    "version at the same time"
)


@command("ping")
def ping(c: Client, args: list[bytes]) -> Reply:
    """PING [message]: a RESP2 subscriber gets an array, for it can take nothing else."""
    if len(args) == 1 and c.plain:
        return PONG
    if len(args) > 2:
        raise wrong_arity("ping")
    message = args[1] if len(args) == 2 else b""
    if c.resp == 2 and c.subscribed:
        return bulks([b"pong", message])
    return PONG if len(args) == 1 else bulk(message)


@command("echo")
def echo(c: Client, args: list[bytes]) -> Reply:
    """ECHO message."""
    return bulk(args[1])


@command("quit")
def quit_(c: Client, args: list[bytes]) -> Reply:
    """QUIT: the reply, then the end of the connection."""
    c.close_soon()
    return OK


@command("select")
def select(c: Client, args: list[bytes]) -> Reply:
    """SELECT index."""
    index = long_argument(args[1], -(2**31), 2**31 - 1)
    databases = c.engine.databases
    if not 0 <= index < len(databases):
        raise CommandError("ERR DB index is out of range")
    c.db = databases[index]
    return OK


@command("auth")
def auth(c: Client, args: list[bytes]) -> Reply:
    """AUTH [username] password."""
    if len(args) > 3:
        raise syntax_error()
    if len(args) == 2:
        if c.node.acl.default.no_password:
            raise CommandError(_NOT_CONFIGURED)
        log_in(c, args[0], b"default", args[1])
    else:
        log_in(c, *args)
    return OK


def log_in(c: Client, command: bytes, name: bytes, password: bytes) -> None:
    """Make a client the named user.

    Args:
        c: the client.
        command: what it has sent, for the ACL log.
        name: of the user.
        password: in clear.

    Raises:
        CommandError: WRONGPASS, for a user that is unknown or off and for a wrong password alike.
    """
    user = c.node.acl.users.get(name)
    if user is None or not user.accepts(password):
        c.node.acl.note_failed_login(c, command, name)
        raise CommandError(WRONG_PASSWORD)
    c.user = user
    c.authenticated = True
    c.refresh()


@command("hello")
def hello(c: Client, args: list[bytes]) -> Reply:
    """HELLO [protover [AUTH username password] [SETNAME name]]."""
    version = 0
    if len(args) > 1:
        try:
            version = integer_argument(args[1])
        except CommandError:
            raise CommandError("ERR Protocol version is not an integer or out of range") from None
        if version not in {2, 3}:
            raise CommandError("NOPROTO unsupported protocol version")
    at = 2
    while at < len(args):
        option, more = args[at].lower(), len(args) - at - 1
        if option == b"auth" and more >= 2:
            log_in(c, args[0], args[at + 1], args[at + 2])
            at += 3
        elif option == b"setname" and more >= 1:
            check_name(args[at + 1])
            c.name = args[at + 1]
            at += 2
        else:
            raise CommandError(f"ERR Syntax error in HELLO option '{shown(args[at])}'")
    if c.must_authenticate:
        raise CommandError(_HELLO_NEEDS_AUTH)
    if version:
        c.resp = version
        c.refresh()
    return _greeting(c)


def _greeting(c: Client) -> bytes:
    fields: tuple[tuple[bytes, bytes], ...] = (
        (b"server", bulk(b"redis")),
        (b"version", bulk(VERSION.encode())),
        (b"proto", integer(c.resp)),
        (b"id", integer(c.id)),
        (b"mode", bulk(c.node.mode.encode())),
        *(((b"role", bulk(c.node.role.encode())),) if c.node.holds_data else ()),
        (b"modules", array(())),
    )
    return map_([part for key, value in fields for part in (bulk(key), value)], c.resp)


@command("reset")
def reset(c: Client, args: list[bytes]) -> Reply:
    """RESET: forget everything about the connection but the connection itself."""
    node = c.node
    node.tracking.disable(c)
    discard(c)
    leave_all(c)
    node.monitors.pop(c, None)
    c.name = b""
    c.reset()
    node.refresh()
    return simple(b"RESET")
