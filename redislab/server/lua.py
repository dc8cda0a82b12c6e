"""The Lua that scripts and functions run in (`src/script_lua.c` of Redis 7.0).

lupa brings the interpreter, Lua 5.1 as in Redis, and is optional. `sandbox.lua` makes a sandbox of
it; this module is the bridge: what scripts call in Python, and what Python calls in Lua. Only
bytes, numbers and Lua's own values cross it. Replies cross as the bytes of the protocol and are
taken apart and put together on the other side.

Errors cross from Lua to the client as text with the source and line of the script, which is what
makes the replies name the line. Errors of the functions here are of the two kinds of Redis: a text
that begins with the place of the call (`luaL_error`), or a table with the text in `err`
(`luaPushError`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from typing import Any, Protocol

from redislab.engine.errors import CommandError
from redislab.server import luajson
from redislab.server.luaarguments import Arguments, LibraryError, as_number, number_text
from redislab.server.lualibs import libraries
from redislab.server.names import VERSION
from redislab.wire.resp import double

INSTRUCTIONS_PER_TICK = 100_000
# How deep a value that a script returns may be: what fits on the stack of Redis's interpreter.
_DEPTH_MAX = 7995
_UNPACKED_MAX = 8000  # LUAI_MAXCSTACK
_RAND_MAX = 2**31 - 1


class Host(Protocol):
    """What the interpreter needs from the server around it."""

    def call(self, argv: list[bytes]) -> bytes:
        """Run a command; return its encoded reply. Raises CommandError when it may not run."""

    def may_call(self, argv: list[bytes]) -> bool:
        """Whether the caller's user may run a command. Raises CommandError for an unknown one."""

    def write_log(self, level: int, text: bytes) -> None:
        """Write a line to the log, at a level from 0 to 3."""

    def set_replication(self, targets: int) -> None:
        """Send what is written from here on to these targets: 1 the file, 2 the replicas."""

    def set_protocol(self, resp: int) -> None:
        """Let commands answer in this version of the protocol."""

    def protocol(self) -> int:
        """The version of the protocol that commands answer in."""

    def count_error(self, message: str, *, counted: bool) -> None:
        """An error is in the reply; tell whether it was counted when it arose."""

    def tick(self) -> str | None:
        """Some time has passed; the text of an error if the script is to end."""

    def is_running(self) -> bool:
        """Whether a script runs, not the load of a library."""

    def register(self, arguments: tuple[Any, ...], kind_of: Callable[[Any], str]) -> None:
        """A library registers a function. Raises CommandError."""


class UncountedError(CommandError):
    """The error of a call in a script that no command has counted."""


class ScriptError(Exception):
    """A script that raised.

    Attributes:
        message: the error with its code.
        place: where it arose, as `@user_script:1`, if that is known.
        counted: whether it was counted already, as that of a command that failed.
    """

    def __init__(self, message: bytes, place: bytes | None = None, *, counted: bool) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.counted = counted


class _RaisedError(Exception):
    """Crosses from a function of ours into Lua.

    Attributes:
        text: of the error.
        is_text: whether the error is that text, not a table with it.
        counted: see ScriptError.
    """

    def __init__(self, text: bytes, *, is_text: bool = False, counted: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.is_text = is_text
        self.counted = counted


class Lua:
    """One interpreter.

    Args:
        host: the server around it.
        is_eval: for scripts; otherwise for libraries of functions.
        deprecated: whether scripts get setfenv, getfenv and newproxy (`lua-enable-deprecated-api`).

    Raises:
        ImportError: lupa is not installed.
    """

    def __init__(self, host: Host, *, is_eval: bool, deprecated: bool) -> None:
        from lupa.lua51 import LuaRuntime, lua_type

        self._lua_type = lua_type
        self._host = host
        self._seed = 0x1234ABCD330E  # of redisLrand48, before anybody has seeded it
        self._runtime = LuaRuntime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attributes,
        )
        table = self.table(
            {
                b"version": VERSION.encode(),
                b"version_number": 0x0007000F,
                b"chunk_name": b"@user_script" if is_eval else b"@user_function",
                b"is_eval": is_eval,
                b"deprecated": deprecated,
                b"depth_max": _DEPTH_MAX,
                b"unpacked_max": _UNPACKED_MAX,
                b"instructions_per_tick": INSTRUCTIONS_PER_TICK,
                b"is_callable": callable,
                b"calls": self.table(self._calls()),
                b"libraries": self.table(
                    {name: self._library(each) for name, each in libraries(self).items()}
                ),
            }
        )
        setup = self._runtime.eval(
            b"function(source, host) return loadstring(source, '=sandbox')(host) end"
        )
        source = files("redislab.server").joinpath("sandbox.lua").read_bytes()
        parts = setup(source, table)
        self._compile, self._run, self._call_function, self._load, self._decode, self._where = parts
        self._memory = self._runtime.eval(b"function() return collectgarbage('count') end")
        self._empty = self._memory()

    @property
    def memory(self) -> int:
        """Bytes that the interpreter has in use beyond those of the sandbox."""
        return max(int((self._memory() - self._empty) * 1024), 0)

    # -- what Python calls ---------------------------------------------------------------------

    def compile(self, source: bytes) -> Any:
        """A chunk that `run` or `load` takes.

        Raises:
            ScriptError: the source is no Lua.
        """
        compiled = self._compile(source)
        if isinstance(compiled, tuple):
            raise ScriptError(compiled[1], counted=False)
        return compiled

    def run(
        self, chunk: Any, keys: Sequence[bytes], arguments: Sequence[bytes], resp: int
    ) -> bytes:
        """Run a chunk; return its encoded reply for a client of this protocol.

        Raises:
            ScriptError: the script raised an error.
        """
        return _finished(self._run(chunk, self.list(keys), self.list(arguments), resp))

    def call(
        self, function: Any, keys: Sequence[bytes], arguments: Sequence[bytes], resp: int
    ) -> bytes:
        """Call a function that a library has registered, as `run` runs a chunk."""
        return _finished(self._call_function(function, self.list(keys), self.list(arguments), resp))

    def load(self, chunk: Any) -> None:
        """Run the code of a library, so that it registers its functions.

        Raises:
            ScriptError: it raised an error.
        """
        problem = self._load(chunk)
        if problem is not None:
            raise ScriptError(problem, counted=False)

    # -- what scripts call -----------------------------------------------------------------------

    def _calls(self) -> dict[bytes, Callable[..., Any]]:
        return {
            b"call": lambda *words: self._redis_call(words, raising=True),
            b"pcall": lambda *words: self._redis_call(words, raising=False),
            b"sha1hex": self._guarded(self._sha1hex),
            b"log": self._guarded(self._redis_log),
            b"setresp": self._guarded(self._setresp),
            b"set_repl": self._guarded(self._set_repl),
            b"acl_check_cmd": self._guarded(self._acl_check_cmd),
            b"register_function": self._guarded(self._register_function),
            b"random": self._guarded(self._random_number),
            b"randomseed": self._guarded(self._seed_random),
            b"count_error": self._count_error,
            b"tick": self._tick,
            b"problem": _problem,
            b"protocol": self._host.protocol,
            b"double": double,
            b"new_json": lambda: self._library(luajson.library(self)),
        }

    def _library(self, library: dict[bytes, Any]) -> Any:
        return self.table(
            {name: self._guarded(f) if callable(f) else f for name, f in library.items()}
        )

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose errors Lua gets in Redis's forms."""

        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except LibraryError as wrong:
                raise _RaisedError(self._where() + wrong.text, is_text=True) from None
            except CommandError as refused:
                raise _RaisedError(_encode(refused.message)) from None

        return call

    def _redis_call(self, words: tuple[Any, ...], *, raising: bool) -> Any:
        self._check_running("redis.call/pcall")
        try:
            reply = self._host.call(self._request(words))
        except UncountedError as wrong:
            failure, counted = wrong.message, False
        except CommandError as refused:
            failure, counted = refused.message, True
        else:
            if reply[0] == 36 and reply[1] != 45:  # most replies are strings that are not null
                return reply[reply.index(b"\n") + 1 : -2]
            value = self._decode(reply)
            if raising and reply[0] == 45:
                raise _RaisedError(value[b"err"], counted=True)
            return value
        if raising:
            raise _RaisedError(_encode(failure), counted=counted)
        fields: dict[bytes, Any] = {b"err": _encode(failure)}
        if counted:
            fields[b"ignore_error_stats_update"] = True
        return self.table(fields)

    def _request(self, words: tuple[Any, ...]) -> list[bytes]:
        if not words:
            raise UncountedError("ERR Please specify at least one argument for this redis lib call")
        argv = []
        for word in words:
            if isinstance(word, bytes):
                argv.append(word)
            elif isinstance(word, (int, float)) and not isinstance(word, bool):
                argv.append(number_text(word, 17))
            else:
                message = "ERR Lua redis lib command arguments must be strings or integers"
                raise UncountedError(message)
        return argv

    def _check_running(self, what: str) -> None:
        if not self._host.is_running():
            message = f"ERR {what} can only be called inside a script invocation"
            raise CommandError(message)

    def _sha1hex(self, *words: Any) -> bytes:
        if len(words) != 1:
            raise CommandError("ERR wrong number of arguments")
        return hashlib.sha1(self.text(words[0]), usedforsecurity=False).hexdigest().encode()

    def _redis_log(self, *words: Any) -> None:
        if len(words) < 2:
            raise CommandError("ERR redis.log() requires two arguments or more.")
        level = as_number(words[0])
        if level is None:
            raise CommandError("ERR First argument must be a number (log level).")
        if not 0 <= int(level) <= 3:
            raise CommandError("ERR Invalid debug level.")
        self._host.write_log(int(level), b" ".join(self.text(word) for word in words[1:]))

    def _setresp(self, *words: Any) -> None:
        self._check_running("redis.setresp")
        if len(words) != 1:
            raise CommandError("ERR redis.setresp() requires one argument.")
        resp = int(as_number(words[0]) or 0)
        if resp not in {2, 3}:
            raise CommandError("ERR RESP version must be 2 or 3.")
        self._host.set_protocol(resp)

    def _set_repl(self, *words: Any) -> None:
        self._check_running("redis.set_repl")
        if len(words) != 1:
            raise CommandError("ERR redis.set_repl() requires two arguments.")
        targets = int(as_number(words[0]) or 0)
        if targets & ~3:
            raise CommandError(
                "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."
            )
        self._host.set_replication(targets)

    def _acl_check_cmd(self, *words: Any) -> bool:
        self._check_running("redis.acl_check_cmd")
        return self._host.may_call(self._request(words))

    def _register_function(self, *arguments: Any) -> None:
        self._host.register(arguments, self.kind_of)

    def _random_number(self, *bounds: Any) -> float:
        self._check_random("math.random")
        self._seed = (self._seed * 0x5DEECE66D + 0xB) % 2**48
        fraction = (self._seed >> 17) % _RAND_MAX / _RAND_MAX
        if not bounds:
            return fraction
        if len(bounds) > 2:
            raise LibraryError("wrong number of arguments")
        given = Arguments(self, "random", bounds)
        high = given.integer(len(bounds))
        low = given.integer(1) if len(bounds) > 1 else 1
        if low > high:
            raise given.wrong(len(bounds), "interval is empty")
        return int(fraction * (high - low + 1)) + low

    def _seed_random(self, *words: Any) -> None:
        self._check_random("math.randomseed")
        number = Arguments(self, "randomseed", words).integer(1)
        self._seed = (number % 2**32 << 16) + 0x330E

    def _check_random(self, what: str) -> None:
        if not self._host.is_running():
            raise LibraryError(f"{what} can only be called inside a script invocation")

    def _count_error(self, text: bytes, counted: bool) -> None:
        self._host.count_error(text.decode("utf-8", "surrogateescape"), counted=counted)

    def _tick(self) -> bytes | None:
        message = self._host.tick()
        return None if message is None else message.encode()

    # -- values ----------------------------------------------------------------------------------

    def table(self, fields: dict[bytes, Any]) -> Any:
        """A table with these fields."""
        table = self._runtime.table()
        for name, value in fields.items():
            table[name] = value
        return table

    def list(self, items: Iterable[Any]) -> Any:
        """A table with these items, from 1."""
        return self._runtime.table(*items)

    def kind_of(self, value: Any) -> str:
        """The type of a value from a script, as Lua names it."""
        if value is None:
            return "nil"
        if isinstance(value, bool):
            return "boolean"
        if isinstance(value, (int, float)):
            return "number"
        if isinstance(value, bytes):
            return "string"
        return str(self._lua_type(value) or "userdata")

    @staticmethod
    def text(value: Any) -> bytes:
        """A string or number as text; nothing for other values."""
        if isinstance(value, bytes):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return number_text(value, 14)
        return b""


def _no_attributes(target: object, name: object, setting: bool) -> object:
    """Nothing of an object in Python is to be had from Lua."""
    raise AttributeError(str(name))


def _problem(raised: BaseException) -> tuple[bool, bytes, bool]:
    """An error that a function of ours raised: whether it is a text, the text, `counted`."""
    if isinstance(raised, _RaisedError):
        return raised.is_text, raised.text, raised.counted
    return True, f"internal error: {type(raised).__name__}".encode(), False


def _finished(result: Any) -> bytes:
    fine, *rest = result
    if fine:
        reply: bytes = rest[0]
        return reply
    message, source, line, counted = rest
    place = None if source is None or line is None else b"%b:%d" % (source, line)
    raise ScriptError(message, place, counted=counted)


def _encode(message: str) -> bytes:
    return message.encode("utf-8", "surrogateescape")
