"""Scripts: EVAL, EVALSHA and SCRIPT, and what runs scripts and functions.

Follows `src/eval.c` and `src/script.c` of Redis 7.0. A script runs to its end before any other
command, here as in Redis; one that takes longer than `busy-reply-threshold` is the business of
`slowscripts.py`. Functions are in `functions.py`. Scripts need the package lupa; where that is not
installed the commands answer an error that says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError
from redislab.engine.table import Reply, command
from redislab.server import dispatch, gates, scriptflags, users
from redislab.server.client import Client
from redislab.server.functions import Libraries
from redislab.server.help import help_reply, unknown_form
from redislab.server.lua import Lua, ScriptError
from redislab.server.monitor import feed
from redislab.server.propagation import EVERYBODY
from redislab.server.replication.replication import MASTERDOWN
from redislab.server.slowscripts import SlowScripts
from redislab.wire.resp import OK, array, bulk, error, integer

if TYPE_CHECKING:
    from redislab.server.commands import Entry
    from redislab.server.node import Node

NO_SCRIPT = "NOSCRIPT No matching script. Please use EVAL."
NO_LUA = "ERR scripts need the package lupa, which is not installed here (pip install lupa)"
_NOT_ALLOWED = "ERR This Redis command is not allowed from script"
_READ_ONLY = "ERR Write commands are not allowed from read-only scripts."
_WRITES = "ERR Can not execute a script with write flag using *_ro command."
_OUT_OF_MEMORY = (
    "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
)
_DENIED = {
    users.DENIED_COMMAND: "can't run this command or subcommand",
    users.DENIED_KEY: "can't access at least one of the keys mentioned in the command arguments",
    users.DENIED_CHANNEL: "can't publish to the channel mentioned in the command",
}
# What an interpreter of Redis takes before it has run anything.
_EMPTY_MACHINE_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class Script:
    """A script that was compiled: its digest, the chunk, and what its first line declares."""

    sha: bytes
    chunk: Any
    declared: scriptflags.Flags


@dataclass(slots=True)
class Running:
    """What runs now.

    Attributes:
        caller: the client it runs for.
        request: what that client has sent.
        name: the digest of the script, or the function's name.
        is_eval: whether it is a script, not a function.
        lua: the interpreter.
        read_only, allows_oom: what it may do.
        out_of_memory: whether memory was short when it began.
        wrote, has_read: whether it has called a command that does.
    """

    caller: Client
    request: list[bytes]
    name: bytes
    is_eval: bool
    lua: Lua
    read_only: bool
    allows_oom: bool
    out_of_memory: bool
    wrote: bool = False
    has_read: bool = False


class Scripts:
    """The scripts and functions of one node, and the interpreters they run in.

    Attributes:
        cache: the scripts by digest.
        libraries: the libraries of functions.
        slow: what minds the time that scripts take.
        running: what runs now.
        allows_everything: scripts may call commands that are not for scripts (a DEBUG setting).
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.cache: dict[bytes, Script] = {}
        self.libraries = Libraries(self)
        self.slow = SlowScripts(node)
        self.running: Running | None = None
        self.allows_everything = False
        self._machines: dict[bool, Lua] = {}
        self._client: Client | None = None

    # -- interpreters --------------------------------------------------------------------------

    def lua(self, *, is_eval: bool) -> Lua:
        """The interpreter of scripts, or that of functions, made at the first use.

        Raises:
            CommandError: lupa is not installed.
        """
        machine = self._machines.get(is_eval)
        if machine is None:
            deprecated = self.node.config.lua_enable_deprecated_api
            try:
                machine = Lua(self, is_eval=is_eval, deprecated=deprecated)
            except ImportError:
                raise CommandError(NO_LUA) from None
            self._machines[is_eval] = machine
        return machine

    def memory(self, *, is_eval: bool) -> int:
        """Bytes that an interpreter of Redis would take."""
        machine = self._machines.get(is_eval)
        return _EMPTY_MACHINE_BYTES + (0 if machine is None else machine.memory)

    def flush(self) -> None:
        """Forget all scripts and the interpreter they ran in."""
        self.cache.clear()
        self._machines.pop(True, None)

    # -- scripts -------------------------------------------------------------------------------

    def load(self, body: bytes) -> Script:
        """Compile a script, or find it again.

        Raises:
            CommandError: it is no Lua, or its first line asks for what there is not.
        """
        sha = hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()
        script = self.cache.get(sha)
        if script is None:
            declared, source = scriptflags.read_shebang(body)
            try:
                chunk = self.lua(is_eval=True).compile(source)
            except ScriptError as wrong:
                text = wrong.message.decode("utf-8", "surrogateescape")
                message = f"ERR Error compiling script (new function): {text}"
                raise CommandError(message) from None
            script = self.cache[sha] = Script(sha, chunk, declared)
        return script

    def declared(self, entry: Entry, args: Sequence[bytes]) -> scriptflags.Flags:
        """What the script or function that a request runs has declared; None for nothing."""
        if len(args) < 2:
            return None
        if entry.name.startswith("fcall"):
            function = self.libraries.functions.get(args[1].lower())
            return None if function is None else function.flags
        if entry.name.startswith("evalsha"):
            script = self.cache.get(args[1].lower())
            return None if script is None else script.declared
        if not entry.name.startswith("eval") or not args[1].startswith(b"#!"):
            return None
        try:
            return scriptflags.read_shebang(args[1])[0]
        except CommandError:
            return None

    def run(
        self,
        caller: Client,
        request: list[bytes],
        name: bytes,
        declared: scriptflags.Flags,
        work: Callable[[Lua], bytes],
        *,
        is_eval: bool,
    ) -> Reply:
        """Run a script or a function for a client.

        Args:
            caller: the client.
            request: what it has sent.
            name: the digest or the function's name.
            declared: the flags of the script.
            work: runs it in an interpreter and returns its encoded reply.
            is_eval: whether it is a script, not a function.

        Raises:
            CommandError: it may not run, or failed by itself.
        """
        read_only = request[0].lower().endswith(b"_ro")
        out_of_memory = self._out_of_memory()
        if declared is not None:
            if "no-writes" not in declared and read_only:
                raise CommandError(_WRITES)
            if out_of_memory and not declared & {"allow-oom", "no-writes"}:
                raise CommandError(_OUT_OF_MEMORY)
            read_only = read_only or "no-writes" in declared
        elif self.node.replication.is_stale:
            raise CommandError(MASTERDOWN)
        running = Running(
            caller,
            request,
            name,
            is_eval,
            self.lua(is_eval=is_eval),
            read_only,
            declared is not None and "allow-oom" in declared,
            out_of_memory,
        )
        return self.slow.run(caller, request, lambda: self._run(running, work))

    def _run(self, running: Running, work: Callable[[Lua], bytes]) -> bytes:
        node, caller = self.node, running.caller
        client = self._client
        if client is None:
            client = self._client = Client(node, 0, None)
            client.authenticated = client.deny_blocking = client.in_script = True
        client.db, client.user, client.resp = caller.db, caller.user, 2
        self.running = running
        engine = node.engine
        clock, now = engine.now_ms, engine.now_ms()
        engine.now_ms = lambda: now  # a script sees no key expire while it runs
        node.begin_transaction()
        try:
            return work(running.lua)
        except ScriptError as failed:
            return self._failed(running, failed)
        finally:
            engine.now_ms = clock
            self.running = None
            node.propagation.targets = EVERYBODY
            if running.has_read and caller.tracker is not None and caller.executing is not None:
                node.tracking.remember(caller, caller.executing, running.request)
            caller.rewrite_nothing()
            node.end_transaction()

    def _failed(self, running: Running, failed: ScriptError) -> bytes:
        text = failed.message
        if failed.place is not None:
            text += b" script: %b, on %b." % (running.name, failed.place)
        message = text.decode("utf-8", "surrogateescape")
        if not failed.counted:
            raise CommandError(message)
        self.count_error(message, counted=True)
        return error(message)

    def _out_of_memory(self) -> bool:
        return bool(self.node.config.maxmemory) and not self.node.eviction.make_room()

    # -- what the interpreter asks (`lua.Host`) --------------------------------------------------

    def call(self, argv: list[bytes]) -> bytes:
        """A command of the script that runs, as `redis.call` sends it."""
        running, client = self.running, self._client
        assert running is not None, "only a running script calls"
        assert client is not None, "a script runs with a client of its own"
        self.slow.called()
        entry = self._find(argv)
        client.executing = entry
        try:
            self._check(running, client, entry, argv)
        except CommandError as refused:
            if entry is not None:
                entry.rejected += 1
            self.node.count_error(refused.message)
            raise
        assert entry is not None, "an unknown command is refused"
        running.wrote |= entry.writes
        running.has_read |= "readonly" in entry.flags
        reply = dispatch.execute(client, entry, argv)
        assert isinstance(reply, bytes), "a client that may not block never gets a Block"
        return reply

    def _find(self, argv: Sequence[bytes]) -> Entry | None:
        entry = self.node.commands.get(argv[0].lower())
        if entry is not None and entry.subcommands and len(argv) > 1:
            return entry.subcommands.get(argv[1].lower())
        return entry

    def _check(
        self, running: Running, client: Client, entry: Entry | None, argv: list[bytes]
    ) -> None:
        """Raise why a command may not run in this script, in the order of `scriptCall`."""
        if entry is None:
            raise CommandError("ERR Unknown Redis command called from script")
        if not entry.least <= len(argv) <= entry.most:
            raise CommandError("ERR Wrong number of args calling Redis command from script")
        if "noscript" in entry.fact.flags and not self.allows_everything:
            raise CommandError(_NOT_ALLOWED)
        if self.node.replication.is_stale and "stale" not in entry.flags:
            raise CommandError("ERR Can not execute the command on a stale replica")
        if not client.user.plain:
            reason, position = client.user.check(entry.fact, argv)
            if reason != users.ALLOWED:
                name = argv[position] if position else entry.fact.name
                self.node.acl.note_denied(client, reason, name, b"lua")
                raise CommandError(f"ERR The user executing the script {_DENIED[reason]}")
            refusal = users.sort_refusal(client.user, entry.fact, argv)
            if refusal is not None:
                raise CommandError(refusal)
        if running.read_only and (entry.writes or entry.name in gates.MAY_REPLICATE):
            raise CommandError(_READ_ONLY)
        if not self.node.persistence.is_plain:
            self.node.persistence.check_write(client, entry, argv)
        self.node.replication.check_writes(running.caller, entry.flags)
        may_grow = running.allows_oom or running.wrote or "denyoom" not in entry.flags
        if running.out_of_memory and not may_grow:
            raise CommandError(gates.OUT_OF_MEMORY)
        if entry.name in {"xread", "xreadgroup"} and _has_block(argv):
            raise CommandError(
                f"ERR {entry.name} command is not allowed with BLOCK option from scripts"
            )
        for gate in self.node.more_gates:
            gate(client, entry, argv)

    def may_call(self, argv: list[bytes]) -> bool:
        """Whether the caller's user may run a command (`redis.acl_check_cmd`)."""
        entry = self._find(argv)
        if entry is None:
            raise CommandError("ERR Invalid command passed to redis.acl_check_cmd()")
        assert self.running is not None, "only a running script asks"
        return self.running.caller.user.check(entry.fact, argv)[0] == users.ALLOWED

    def write_log(self, level: int, text: bytes) -> None:
        """A line of the script for the log."""
        self.node.log(level, text.decode("utf-8", "replace"))

    def set_replication(self, targets: int) -> None:
        """Send what is written from here on to these targets only."""
        self.node.propagation.targets = targets

    def set_protocol(self, resp: int) -> None:
        """Let the commands of the script answer in this version of the protocol."""
        assert self._client is not None, "only a running script sets it"
        self._client.resp = resp

    def protocol(self) -> int:
        """The version of the protocol that the commands of the script answer in."""
        return 2 if self._client is None else self._client.resp

    def count_error(self, message: str, *, counted: bool) -> None:
        """The script answers an error."""
        assert self.running is not None or counted, "only a running script answers"
        if not counted:
            # Redis takes the first word of an error for its code only if another one follows.
            self.node.count_error(message if " " in message[:32] else "ERR")
        caller = self.running.caller if self.running is not None else None
        if caller is not None and caller.executing is not None:
            caller.executing.failed += 1

    def tick(self) -> str | None:
        """The script has run for a while."""
        return self.slow.tick()

    def is_running(self) -> bool:
        """Whether a script or a function runs, not the load of a library."""
        return self.running is not None

    def register(self, arguments: tuple[Any, ...], kind_of: Callable[[Any], str]) -> None:
        """A library registers a function."""
        self.libraries.register(arguments, kind_of)


def _has_block(argv: Sequence[bytes]) -> bool:
    """Whether XREAD or XREADGROUP is called with BLOCK."""
    for word in argv[1:-1]:
        match word.lower():
            case b"streams":
                return False
            case b"block":
                return True
    return False


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


@command("eval", "eval_ro", "evalsha", "evalsha_ro")
def evaluate(c: Client, args: list[bytes]) -> Reply:
    """EVAL script numkeys key ... arg ..., and the same by the SHA-1 of a loaded script."""
    scripts = c.node.scripts
    if c.node.monitors:  # to be seen before what the script calls
        feed(c.node, c, args)
    by_digest = args[0].lower().startswith(b"evalsha")
    if by_digest and len(args[1]) != 40:
        raise CommandError(NO_SCRIPT)
    keys, arguments = scriptflags.keys_and_arguments(args, parse_int(args[2]))
    if by_digest:
        known = scripts.cache.get(args[1].lower())
        if known is None:
            raise CommandError(NO_SCRIPT)
        script = known
    else:
        script = scripts.load(args[1])

    def work(lua: Lua) -> bytes:
        return lua.run(script.chunk, keys, arguments, c.resp)

    return scripts.run(c, args, script.sha, script.declared, work, is_eval=True)


@command("script|load")
def script_load(c: Client, args: list[bytes]) -> Reply:
    """SCRIPT LOAD script: its SHA-1."""
    return bulk(c.node.scripts.load(args[2]).sha)


@command("script|exists")
def script_exists(c: Client, args: list[bytes]) -> Reply:
    """SCRIPT EXISTS sha [sha ...]."""
    cache = c.node.scripts.cache
    return array([integer(int(sha in cache)) for sha in args[2:]])


@command("script|flush")
def script_flush(c: Client, args: list[bytes]) -> Reply:
    """SCRIPT FLUSH [ASYNC|SYNC]."""
    if len(args) > 3 or (len(args) == 3 and args[2].lower() not in {b"sync", b"async"}):
        raise CommandError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    c.node.scripts.flush()
    return OK


@command("script|debug")
def script_debug(c: Client, args: list[bytes]) -> Reply:
    """SCRIPT DEBUG YES|SYNC|NO: there is no debugger of scripts here, so NO is all it can do."""
    if len(args) != 3:
        raise unknown_form(args)
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
    """SCRIPT KILL: end the script that runs, unless it has written."""
    return c.node.scripts.slow.kill(is_eval=True)
