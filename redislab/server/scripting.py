"""Scripts: EVAL, EVALSHA and SCRIPT (`src/eval.c`, `src/script.c` of Redis 7.0).

A script runs to its end before any other command, here as in Redis. It needs lupa; where that is
not installed the commands answer an error that says so. Functions (FUNCTION, FCALL) are not part of
this server.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError, syntax_error
from redislab.engine.table import Reply, command
from redislab.server import dispatch, gates
from redislab.server.client import Client
from redislab.server.help import help_reply
from redislab.server.lua import Lua, ScriptError
from redislab.server.monitor import feed
from redislab.wire.resp import OK, array, bulk, error, integer

if TYPE_CHECKING:
    from redislab.server.node import Node

NO_SCRIPT = "NOSCRIPT No matching script. Please use EVAL."
NO_LUA = "ERR scripts need the package lupa, which is not installed here (pip install lupa)"
NOT_ALLOWED = "ERR This Redis command is not allowed from script"
READ_ONLY = "ERR Write commands are not allowed from read-only scripts."


@dataclass(frozen=True)
class Script:
    """A script that was compiled: its source, the chunk, and what its first line allows."""

    sha: bytes
    body: bytes
    chunk: Any
    flags: frozenset[str]


class Scripts:
    """The scripts of one node and the interpreter they run in."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.cache: dict[bytes, Script] = {}
        self._lua: Lua | None = None
        # The client a script runs for, and what it may not do.
        self.caller: Client | None = None
        self.read_only = False
        # Whether the script that ran last has called a command that reads.
        self.has_read = False

    @property
    def lua(self) -> Lua:
        """The interpreter, made at the first use.

        Raises:
            CommandError: lupa is not installed.
        """
        if self._lua is None:
            try:
                self._lua = Lua(self._call, self._log)
            except ImportError:
                raise CommandError(NO_LUA) from None
        return self._lua

    def load(self, body: bytes) -> Script:
        """Compile a script, or find it again.

        Raises:
            CommandError: it is no Lua, or its first line asks for what there is not.
        """
        sha = hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()
        script = self.cache.get(sha)
        if script is None:
            flags, source = _read_shebang(body)
            script = Script(sha, body, self.lua.compile(source), flags)
            self.cache[sha] = script
        return script

    def run(
        self, caller: Client, script: Script, keys: list[bytes], arguments: list[bytes], *, ro: bool
    ) -> bytes:
        """Run a script for a client; its errors become the reply."""
        lua = self.lua
        self.caller = Client(self.node, caller.id, None)
        self.caller.db = caller.db
        self.caller.user = caller.user
        self.caller.authenticated = True
        self.caller.deny_blocking = True
        self.has_read = False
        self.read_only = ro or "no-writes" in script.flags
        try:
            return lua.run(script.chunk, keys, arguments, caller.resp)
        except ScriptError as failed:
            where = b""
            if failed.line is not None:
                where = b" script: %b, on @user_script:%d." % (script.sha, failed.line)
            return error((failed.message + where).decode("utf-8", "surrogateescape"))
        finally:
            caller.rewrite_nothing()
            self.caller = None

    def _call(self, argv: list[bytes]) -> bytes:
        """A command of the script that runs, as `redis.call` sends it."""
        client = self.caller
        assert client is not None, "a script calls only while it runs"
        client.resp = self.lua.resp
        try:
            entry = dispatch.find(client, argv)
        except CommandError as refused:
            if refused.message.startswith("ERR unknown"):
                message = "ERR Unknown Redis command called from script"
            else:
                message = "ERR Wrong number of args calling Redis command from script"
            raise CommandError(message) from None
        if "noscript" in entry.fact.flags:
            raise CommandError(NOT_ALLOWED)
        if self.read_only and entry.writes:
            raise CommandError(READ_ONLY)
        gates.check(client, entry, argv)
        reply = dispatch.execute(client, entry, argv)
        self.has_read |= "readonly" in entry.flags
        assert isinstance(reply, bytes), "a client that may not block never gets a Block"
        return reply

    def _log(self, level: int, text: bytes) -> None:
        self.node.log(level, text.decode("utf-8", "replace"))


def _read_shebang(body: bytes) -> tuple[frozenset[str], bytes]:
    """The flags in a first line `#!lua flags=...`, and the source without that line."""
    if not body.startswith(b"#!"):
        return frozenset(), body
    first, _, rest = body.partition(b"\n")
    words = first.decode("utf-8", "replace").split()
    if words[0] != "#!lua":
        message = f"ERR Unexpected engine in script shebang: {words[0]}"
        raise CommandError(message)
    flags: set[str] = set()
    for word in words[1:]:
        if not word.startswith("flags="):
            message = f"ERR Unknown lua shebang option: {word}"
            raise CommandError(message)
        for flag in filter(None, word.removeprefix("flags=").split(",")):
            if flag not in _FLAGS:
                message = f"ERR Unexpected flag in script shebang: {flag}"
                raise CommandError(message)
            flags.add(flag)
    return frozenset(flags), b"\n" + rest


_HELP = (
    ("DEBUG (YES|SYNC|NO)", "Debug the scripts that follow, or stop that: only NO is built here."),
    ("EXISTS <sha1> [<sha1> ...]", "Tell for each digest whether its script is known."),
    (
        "FLUSH [ASYNC|SYNC]",
        (
            "Forget all scripts. How, unless it is said here, is up to the directive\n"
            "lazyfree-lazy-user-flush:\n"
            "* ASYNC: free their memory by and by.\n"
            "* SYNC: free it before the reply."
        ),
    ),
    ("KILL", "End the script that runs."),
    ("LOAD <script>", "Remember a script without running it; the reply is its digest."),
)
_FLAGS = {"no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"}


@command("eval", "eval_ro", "evalsha", "evalsha_ro")
def evaluate(c: Client, args: list[bytes]) -> Reply:
    """EVAL script numkeys key ... arg ..., and the same by the SHA-1 of a loaded script."""
    name = args[0].lower()
    scripts = c.node.scripts
    if c.node.monitors:  # to be seen before what the script calls
        feed(c.node, c, args)
    count = parse_int(args[2])
    if count > len(args) - 3:
        message = "ERR Number of keys can't be greater than number of args"
        raise CommandError(message)
    if count < 0:
        message = "ERR Number of keys can't be negative"
        raise CommandError(message)
    if name.startswith(b"evalsha"):
        script = scripts.cache.get(args[1].lower())
        if script is None:
            raise CommandError(NO_SCRIPT)
    else:
        script = scripts.load(args[1])
    keys, arguments = args[3 : 3 + count], args[3 + count :]
    reply = scripts.run(c, script, keys, arguments, ro=name.endswith(b"_ro"))
    if scripts.has_read and c.tracker is not None:
        c.node.tracking.remember(c, c.node.commands[name], args)
    return reply


@command("script|load")
def script_load(c: Client, args: list[bytes]) -> Reply:
    """SCRIPT LOAD script: its SHA-1."""
    return bulk(c.node.scripts.load(args[2]).sha)


@command("script|exists")
def script_exists(c: Client, args: list[bytes]) -> Reply:
    """SCRIPT EXISTS sha [sha ...]."""
    cache = c.node.scripts.cache
    return array([integer(int(sha.lower() in cache)) for sha in args[2:]])


@command("script|flush")
def script_flush(c: Client, args: list[bytes]) -> Reply:
    """SCRIPT FLUSH [ASYNC|SYNC]."""
    if len(args) > 3:
        raise syntax_error()
    if len(args) == 3 and args[2].upper() not in {b"SYNC", b"ASYNC"}:
        message = "ERR SCRIPT FLUSH only support SYNC|ASYNC option"
        raise CommandError(message)
    c.node.scripts.cache.clear()
    return OK


@command("script|debug")
def script_debug(c: Client, args: list[bytes]) -> Reply:
    """SCRIPT DEBUG YES|SYNC|NO: there is no debugger of scripts here, so NO is all it can do."""
    mode = args[2].upper()
    if mode not in {b"YES", b"SYNC", b"NO"}:
        raise CommandError("ERR Use SCRIPT DEBUG YES/SYNC/NO")
    if mode != b"NO":
        raise CommandError("ERR the debugger of scripts is not built in redislab")
    return OK


@command("script|help")
def script_help(c: Client, args: list[bytes]) -> Reply:
    """SCRIPT HELP."""
    return help_reply("SCRIPT", _HELP)


@command("script|kill")
def script_kill(c: Client, args: list[bytes]) -> Reply:
    """SCRIPT KILL: a script has ended before this command is read."""
    message = "NOTBUSY No scripts in execution right now."
    raise CommandError(message)
