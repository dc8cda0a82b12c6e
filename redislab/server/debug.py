"""DEBUG: the subcommands that tests and teaching need (`src/debug.c` of Redis 7.0).

DEBUG SLEEP stops the node, not the loop it runs on: no client is served until the time is over, and
in a simulation the time is virtual. What has to do with files is in `persistence/commands.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from redislab.engine.arguments import parse_float
from redislab.engine.errors import NO_SUCH_KEY, NOT_INTEGER, CommandError
from redislab.engine.table import Reply, command
from redislab.engine.values import encoding_of
from redislab.server.arguments import integer_argument
from redislab.server.configrewrite import rewrite_file
from redislab.server.digest import dataset_digest, value_digest
from redislab.server.help import help_reply, unknown_form
from redislab.server.persistence.commands import debug_flush_sleep, debug_loadaof, debug_reload
from redislab.wire.resp import (
    FALSE,
    NULL,
    OK,
    TRUE,
    array,
    bulk,
    double,
    error,
    integer,
    map_,
    push,
    set_,
    simple,
    verbatim,
)

if TYPE_CHECKING:
    from redislab.server.client import Client

_HELP = (
    ("CHANGE-REPL-ID", "Take a new replication id."),
    ("CONFIG-REWRITE-FORCE-ALL", "Write all settings to the configuration file."),
    ("DIGEST", "Return a digest of all data."),
    ("DIGEST-VALUE <key> [<key> ...]", "Return a digest of each value."),
    ("ERROR <string>", "Answer with this error."),
    ("LOG <message>", "Write a line to the log."),
    ("OBJECT <key>", "Tell how a value is stored."),
    ("PAUSE-CRON (0|1)", "Do the periodic work, or do it not."),
    ("POPULATE <count> [<prefix>] [<size>]", "Make many string keys: key:0, key:1, ..."),
    ("PROTOCOL <type>", "Answer with a value of a type of the protocol."),
    ("LOADAOF", "Load the append-only file again."),
    ("RELOAD [MERGE] [NOFLUSH] [NOSAVE]", "Save the data and load them again."),
    ("REPLICATE <word> [<word> ...]", "Send a command to the replicas without running it."),
    ("SET-ACTIVE-EXPIRE (0|1)", "Remove expired keys by and by, or only when asked for."),
    ("SLEEP <seconds>", "Serve nobody for a time; fractions are welcome."),
    ("STRINGMATCH-LEN <text> <pattern>", "Match a pattern, to time it."),
)


@command("debug")
def debug(c: Client, args: list[bytes]) -> Reply:
    """DEBUG subcommand ...: DEBUG has no subcommands in the command table, only words."""
    chosen = _WORDS.get(args[1].lower())
    if chosen is None:
        raise unknown_form(args)
    least, most, handler = chosen
    if not least <= len(args) <= most:
        raise unknown_form(args)
    return handler(c, args)


def _sleep(c: Client, args: list[bytes]) -> Reply:
    try:
        seconds = parse_float(args[2])
    except CommandError:
        seconds = 0.0  # strtod's answer for what is no number
    c.node.sleep(max(seconds, 0.0))
    return OK


def _set_active_expire(c: Client, args: list[bytes]) -> Reply:
    c.node.cron.active_expire = args[2] != b"0"
    return OK


def _replicate(c: Client, args: list[bytes]) -> Reply:
    c.node.replication.masterside.replicate(args[2:])
    return OK


def _object(c: Client, args: list[bytes]) -> Reply:
    value = c.db.values.get(args[2])
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    length = len(value) + 1 if hasattr(value, "__len__") else 1
    text = (
        f"Value at:0x{id(c.db) & 0xFFFF:012x} refcount:1 "
        f"encoding:{encoding_of(value).decode()} serializedlength:{length} "
        f"lru:{int(c.node.environment.unix_time()) & 0xFFFFFF} lru_seconds_idle:0"
    )
    return simple(text.encode())


def _populate(c: Client, args: list[bytes]) -> Reply:
    count = integer_argument(args[2])
    prefix = args[3] if len(args) > 3 else b"key"
    size = integer_argument(args[4]) if len(args) > 4 else 0
    if count < 0 or size < 0:
        raise CommandError(NOT_INTEGER)
    for number in range(count):
        key = b"%b:%d" % (prefix, number)
        if key in c.db.values:
            continue
        value = b"value:%d" % number
        c.db.values[key] = value.ljust(size, b"\0")[:size] if size else value
        c.db.touched(key, 1)
    return OK


def _log(c: Client, args: list[bytes]) -> Reply:
    c.node.log.warning(f"DEBUG LOG: {args[2].decode('utf-8', 'replace')}")
    return OK


def _error(c: Client, args: list[bytes]) -> Reply:
    message = args[2].decode("utf-8", "surrogateescape")
    c.node.count_error(message)
    return error(message)


def _digest(c: Client, args: list[bytes]) -> Reply:
    return simple(dataset_digest(c.engine).hex().encode())


def _digest_value(c: Client, args: list[bytes]) -> Reply:
    return array([simple(value_digest(c.db, key).hex().encode()) for key in args[2:]])


def _change_id(c: Client, args: list[bytes]) -> Reply:
    c.node.log.notice("Changing replication IDs after receiving change-repl-id")
    c.node.replication.history.begin_new(c.node.random)
    return OK


def _pause_cron(c: Client, args: list[bytes]) -> Reply:
    c.node.cron.paused = args[2] != b"0"
    return OK


def _config_rewrite(c: Client, args: list[bytes]) -> Reply:
    node = c.node
    try:
        rewrite_file(node.config, node.user_lines(), node.environment.disk, everything=True)
    except OSError as failure:
        message = f"ERR CONFIG-REWRITE-FORCE-ALL failed: {failure.strerror}"
        raise CommandError(message) from None
    return OK


def _disable_deny_scripts(c: Client, args: list[bytes]) -> Reply:
    c.node.scripts.allows_everything = args[2] != b"0"
    return OK


def _nothing(c: Client, args: list[bytes]) -> Reply:
    """What tunes a part of Redis that a node here does not have."""
    return OK


def _help(c: Client, args: list[bytes]) -> Reply:
    return help_reply("DEBUG", _HELP)


def _protocol(c: Client, args: list[bytes]) -> Reply:
    values: dict[bytes, Callable[[], bytes]] = {
        b"string": lambda: bulk(b"Hello World"),
        b"integer": lambda: integer(12345),
        b"double": lambda: double(3.141, c.resp),
        b"null": lambda: NULL[c.resp],
        b"array": lambda: array([integer(n) for n in range(3)]),
        b"set": lambda: set_([integer(n) for n in range(3)], c.resp),
        b"map": lambda: _example_map(c.resp),
        b"attrib": lambda: _example_attribute(c.resp),
        b"push": lambda: _example_push(c.resp),
        b"verbatim": lambda: verbatim(b"This is a verbatim\nstring", c.resp),
        b"bignum": lambda: _example_bignum(c.resp),
        b"true": lambda: TRUE[c.resp],
        b"false": lambda: FALSE[c.resp],
    }
    make = values.get(args[2].lower())
    if make is None:
        raise CommandError(
            "ERR Wrong protocol type name. Please use one of the following: string|integer|double|"
            "bignum|null|array|set|map|attrib|push|verbatim|true|false"
        )
    return make()


def _example_map(resp: int) -> bytes:
    parts = [each for n in range(3) for each in (integer(n), (FALSE, TRUE)[n == 1][resp])]
    return map_(parts, resp)


def _example_attribute(resp: int) -> bytes:
    reply = bulk(b"Some real reply following the attribute")
    if resp == 2:
        return reply
    return b"|1\r\n" + bulk(b"key-popularity") + array((bulk(b"key:123"), integer(90))) + reply


def _example_push(resp: int) -> bytes:
    if resp == 2:
        raise CommandError("ERR RESP2 is not supported by this command")
    message = push((bulk(b"server-cpu-usage"), integer(42)), resp)
    return message + bulk(b"Some real reply following the push reply")


def _example_bignum(resp: int) -> bytes:
    digits = b"1234567999999999999999999999999999999"
    return b"(%b\r\n" % digits if resp == 3 else bulk(digits)


_MANY = 1 << 20
# Word: the least and the most words of a request, and what runs it.
_WORDS: dict[bytes, tuple[int, int, Callable[[Client, list[bytes]], Reply]]] = {
    b"sleep": (3, 3, _sleep),
    b"set-active-expire": (3, 3, _set_active_expire),
    b"object": (3, 4, _object),
    b"reload": (2, _MANY, debug_reload),
    b"loadaof": (2, 2, debug_loadaof),
    b"aof-flush-sleep": (3, 3, debug_flush_sleep),
    b"populate": (3, 5, _populate),
    b"log": (3, 3, _log),
    b"error": (3, 3, _error),
    b"digest": (2, 2, _digest),
    b"digest-value": (2, _MANY, _digest_value),
    b"replicate": (3, _MANY, _replicate),
    b"change-repl-id": (2, 2, _change_id),
    b"protocol": (3, 3, _protocol),
    b"quicklist-packed-threshold": (3, 3, _nothing),
    b"pause-cron": (3, 3, _pause_cron),
    b"config-rewrite-force-all": (2, 2, _config_rewrite),
    b"set-disable-deny-scripts": (3, 3, _disable_deny_scripts),
    b"replybuffer": (3, 4, _nothing),
    b"stringmatch-len": (4, 4, _nothing),
    b"help": (2, 2, _help),
}
