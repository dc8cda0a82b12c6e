"""The Lua that scripts run in: a sandbox as Redis 7.0 sets it up (`src/script_lua.c`).

lupa brings the interpreter, Lua 5.1 as in Redis, and is optional. What Redis takes away (files, the
operating system, Python here) is taken away, what it adds is added: `redis.call` and its kin in
this module, `cjson`, `bit`, `struct` and `cmsgpack` in `lualibs.py`. Globals cannot be set, and
reading one that does not exist is an error.

Errors cross from Lua to the client as tables with the fields `err`, `source` and `line`, which is
what makes the replies name the line of the script.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from redislab.engine.errors import CommandError
from redislab.server import lualibs
from redislab.wire import replies
from redislab.wire.replies import Reply, parse_replies
from redislab.wire.resp import NULL, array, bulk, double, error, integer, map_, set_, simple

# A script that never ends. Redis answers BUSY to everybody else until SCRIPT KILL; a node here has
# one thread and reads nothing while a script runs, so it ends the script by itself. The limit is
# of instructions, not seconds: in a simulation no time passes inside a script. It takes a few
# seconds to get there.
INSTRUCTIONS_MAX = 1_000_000_000
INSTRUCTIONS_PER_TICK = 1_000_000

# Runs once in a new interpreter. It is given the host's functions and returns `compile` and `run`.
_BOOTSTRAP = rb"""
local host = ...
local getinfo, setfenv, error, pcall = debug.getinfo, setfenv, error, pcall
local xpcall, loadstring, sethook = xpcall, loadstring, debug.sethook
local type, tostring, setmetatable, select, rawget = type, tostring, setmetatable, select, rawget

local function readonly(t)
  return setmetatable({}, {
    __index = t, __metatable = false,
    __newindex = function() error('Attempt to modify a readonly table', 2) end,
  })
end

local redis = {
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
  REDIS_VERSION = host.version, REDIS_VERSION_NUM = host.version_number,
}

for _, name in ipairs({
  'call', 'pcall', 'sha1hex', 'log', 'setresp', 'acl_check_cmd', 'set_repl',
}) do
  redis[name] = host[name]
end
redis.error_reply = function(...)
  local text = ...
  if select('#', ...) ~= 1 or type(text) ~= 'string' then
    return {err = 'ERR wrong number or type of arguments'}
  end
  if text:sub(1, 1) == '-' then text = text:sub(2) end
  if not text:find(' ', 1, true) then text = 'ERR ' .. text end
  return {err = text}
end
redis.status_reply = function(...)
  local text = ...
  if select('#', ...) ~= 1 or type(text) ~= 'string' then
    return {err = 'ERR wrong number or type of arguments'}
  end
  return {ok = text}
end
redis.replicate_commands = function() return true end
redis.breakpoint = function() return false end
redis.debug = function() end

local globals = {}
for _, name in ipairs({
  'assert', 'collectgarbage', 'coroutine', 'error', 'gcinfo', 'getmetatable', 'ipairs', 'load',
  'loadstring', 'next', 'pairs', 'pcall', 'rawequal', 'rawget', 'rawset', 'select', 'setmetatable',
  'tonumber', 'tostring', 'type', 'unpack', 'xpcall', '_VERSION',
}) do globals[name] = _G[name] end
for _, name in ipairs({'string', 'table', 'math'}) do globals[name] = readonly(_G[name]) end
for name, library in pairs(host.libraries) do
  globals[name] = readonly(library)
end
globals.redis = readonly(redis)

local environment = setmetatable({}, {
  __metatable = false,
  __index = function(_, name)
    local value = rawget(globals, name)
    if value == nil then
      error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
    end
    return value
  end,
  __newindex = function() error('Attempt to modify a readonly table', 2) end,
})
globals._G = environment
globals.loadstring = function(...)
  local chunk, problem = loadstring(...)
  if chunk then setfenv(chunk, environment) end
  return chunk, problem
end

-- What a function of the host raises arrives as the host's own object. A script that catches it
-- gets the text.
local function caught(fine, problem, ...)
  if not fine and type(problem) == 'userdata' then problem = host.problem(problem).err end
  return fine, problem, ...
end
globals.pcall = function(...) return caught(pcall(...)) end

local function located(problem)
  if type(problem) == 'userdata' then problem = host.problem(problem) end
  if type(problem) ~= 'table' then problem = {err = 'ERR ' .. tostring(problem)} end
  if problem.line == nil then
    for level = 2, 12 do
      local frame = getinfo(level, 'Sl')
      if frame == nil then break end
      if frame.source == '@user_script' then
        problem.source, problem.line = 'user_script', frame.currentline
        break
      end
    end
  end
  return problem
end

local function compile(body)
  local chunk, problem = loadstring(body, '@user_script')
  if chunk then setfenv(chunk, environment) end
  return chunk, problem
end

-- Past the limit the error is raised at every line, so that no pcall of the script can hold it up.
local ticks = 0
local function tick()
  ticks = ticks + 1
  if ticks > host.ticks_max then
    sethook(tick, 'l')
    if getinfo(2, 'S').source ~= '@user_script' then return end
    error('Script killed: it ran for more than ' .. host.instructions_max .. ' instructions', 0)
  end
end

local function run(chunk, keys, arguments)
  globals.KEYS, globals.ARGV = keys, arguments
  ticks = 0
  sethook(tick, '', host.instructions_per_tick)
  local fine, value = xpcall(chunk, located)
  sethook()
  globals.KEYS, globals.ARGV = nil, nil
  return fine, value
end

return compile, run
"""


class ScriptError(Exception):
    """A script that raised: the table of its error, as Python values."""

    def __init__(self, message: bytes, line: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class _HostError(Exception):
    """Crosses from a function of ours into Lua, with the table of the error."""


class Lua:
    """One interpreter.

    Args:
        call: runs a command and returns its encoded reply; raises CommandError when it may not.
        log: takes a level from 0 to 3 and a text.

    Raises:
        ImportError: lupa is not installed.
    """

    def __init__(
        self, call: Callable[[list[bytes]], bytes], log: Callable[[int, bytes], None]
    ) -> None:
        from lupa.lua51 import LuaRuntime, lua_type

        self._lua_type = lua_type
        self._call = call
        self._log = log
        self.resp = 2
        self._runtime = LuaRuntime(
            encoding=None, unpack_returned_tuples=True, register_eval=False, register_builtins=False
        )
        host = self._table(
            {
                b"version": b"7.0.15",
                b"version_number": 0x0007000F,
                b"ticks_max": INSTRUCTIONS_MAX // INSTRUCTIONS_PER_TICK,
                b"instructions_max": b"%d" % INSTRUCTIONS_MAX,
                b"instructions_per_tick": INSTRUCTIONS_PER_TICK,
                b"problem": self._problem,
                b"call": _raising(self._redis_call),
                b"pcall": lambda *words: self._redis_call(*words)[1],
                b"sha1hex": _raising(self._sha1hex),
                b"log": _raising(self._redis_log),
                b"setresp": _raising(self._setresp),
                b"acl_check_cmd": lambda *_: True,
                b"set_repl": lambda *_: None,
                b"libraries": self._table(
                    {
                        name: self._table(
                            {key: _raising(f) if callable(f) else f for key, f in library.items()}
                        )
                        for name, library in lualibs.libraries(self).items()
                    }
                ),
            }
        )
        setup = self._runtime.eval(b"function(source, host) return loadstring(source)(host) end")
        self._compile, self._run = setup(_BOOTSTRAP, host)

    # -- running ---------------------------------------------------------------------------------

    def compile(self, body: bytes) -> Any:
        """A chunk that `run` takes.

        Raises:
            CommandError: the script is no Lua.
        """
        compiled = self._compile(body)
        if isinstance(compiled, tuple):
            chunk, problem = compiled
            if chunk is None:
                text = problem.decode("utf-8", "replace")
                message = f"ERR Error compiling script (new function): {text}"
                raise CommandError(message)
            return chunk
        return compiled

    def run(
        self, chunk: Any, keys: Sequence[bytes], arguments: Sequence[bytes], resp: int
    ) -> bytes:
        """Run a chunk; return its encoded reply for a client of this protocol.

        Raises:
            ScriptError: the script raised an error.
        """
        self.resp = 2
        result = self._run(chunk, self._list(keys), self._list(arguments))
        fine, value = result if isinstance(result, tuple) else (result, None)
        if not fine:
            raise ScriptError(self._text(value[b"err"]), value[b"line"])
        return self._to_reply(value, resp)

    # -- what scripts call -----------------------------------------------------------------------

    def _redis_call(self, *words: Any) -> tuple[bool, Any]:
        if not words:
            return self._failure("ERR Please specify at least one argument for this redis lib call")
        argv = []
        for word in words:
            if isinstance(word, bytes):
                argv.append(word)
            elif isinstance(word, (int, float)) and not isinstance(word, bool):
                argv.append(lualibs.number_text(word, b"%.17g"))
            else:
                problem = "ERR Lua redis lib command arguments must be strings or integers"
                return self._failure(problem)
        try:
            reply = self._call(argv)
        except CommandError as refused:
            return self._failure(refused.message)
        (parsed,) = parse_replies(reply)
        return parsed.is_error, self._to_lua(parsed)

    def _sha1hex(self, *words: Any) -> tuple[bool, Any]:
        if len(words) != 1:
            return self._failure("ERR wrong number of arguments")
        return False, hashlib.sha1(self._text(words[0]), usedforsecurity=False).hexdigest().encode()

    def _redis_log(self, *words: Any) -> tuple[bool, Any]:
        if len(words) < 2:
            return self._failure("ERR redis.log() requires two arguments or more.")
        level = words[0]
        if not isinstance(level, (int, float)):
            return self._failure("ERR First argument must be a number (log level).")
        if not 0 <= level <= 3:
            return self._failure("ERR Invalid debug level.")
        self._log(int(level), b" ".join(self._text(word) for word in words[1:]))
        return False, None

    def _setresp(self, *words: Any) -> tuple[bool, Any]:
        if len(words) != 1:
            return self._failure("ERR redis.setresp() requires one argument.")
        if words[0] not in {2, 3}:
            return self._failure("ERR RESP version must be 2 or 3.")
        self.resp = int(words[0])
        return False, None

    def _problem(self, raised: BaseException) -> Any:
        """The table of an error that a function of ours raised."""
        if isinstance(raised, _HostError):
            return raised.args[0]
        return self._table({b"err": b"ERR " + str(raised).encode()})

    def _failure(self, message: str) -> tuple[bool, Any]:
        return True, self._table({b"err": message.encode("utf-8", "surrogateescape")})

    # -- values ----------------------------------------------------------------------------------

    def _table(self, fields: dict[bytes, Any]) -> Any:
        table = self._runtime.table()
        for name, value in fields.items():
            table[name] = value
        return table

    def _list(self, items: Sequence[Any]) -> Any:
        return self._runtime.table(*items)

    table = _table
    list = _list

    def is_table(self, value: Any) -> bool:
        """Whether a value from a script is a table."""
        return bool(self._lua_type(value) == "table")

    def _text(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return lualibs.number_text(value, b"%.14g")
        return b"" if value is None else str(value).encode()

    def _to_lua(self, reply: Reply) -> Any:
        """A reply as a script sees it: null is false, a status and an error are tables."""
        text = reply.text or b""
        match reply.kind:
            case _ if reply.is_null:
                return False if self.resp == 2 or reply.kind != replies.NULL else None
            case replies.STATUS:
                return self._table({b"ok": text})
            case replies.ERROR | replies.BULK_ERROR:
                return self._table({b"err": text})
            case replies.INTEGER:
                return int(text)
            case replies.DOUBLE:
                return self._table({b"double": float(text)})
            case replies.BOOLEAN:
                return text == b"t"
            case replies.MAP:
                items = [self._to_lua(item) for item in reply.items or ()]
                pairs = dict(zip(items[::2], items[1::2], strict=True))
                return self._table({b"map": self._table(pairs)})
            case replies.SET:
                members = {self._to_lua(item): True for item in reply.items or ()}
                return self._table({b"set": self._table(members)})
            case replies.BULK | replies.VERBATIM | replies.BIG_NUMBER:
                return text
            case _:
                return self._list([self._to_lua(item) for item in reply.items or ()])

    def _to_reply(self, value: Any, resp: int) -> bytes:
        """What a script returned, encoded (`luaReplyToRedisReply`)."""
        if value is None or value is False:
            return NULL[resp]
        if value is True:
            return b"#t\r\n" if resp == 3 and self.resp == 3 else integer(1)
        if isinstance(value, bytes):
            return bulk(value)
        if isinstance(value, (int, float)):
            return integer(lualibs.truncate(value))
        if not self.is_table(value):
            return NULL[resp]
        return self._table_to_reply(value, resp)

    def _table_to_reply(self, table: Any, resp: int) -> bytes:
        if isinstance(table[b"err"], bytes):
            return error(table[b"err"].decode("utf-8", "surrogateescape"))
        if isinstance(table[b"ok"], bytes):
            return simple(table[b"ok"].replace(b"\r", b" ").replace(b"\n", b" "))
        if isinstance(table[b"double"], (int, float)):
            return double(float(table[b"double"]), resp)
        if self.is_table(table[b"map"]):
            pairs = list(table[b"map"].items())
            return map_([self._to_reply(part, resp) for pair in pairs for part in pair], resp)
        if self.is_table(table[b"set"]):
            return set_([self._to_reply(key, resp) for key in table[b"set"].keys()], resp)  # noqa: SIM118
        items = []
        position = 1
        while (item := table[position]) is not None:
            items.append(self._to_reply(item, resp))
            position += 1
        return array(items)


def _raising(function: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
    """A function that tells whether it failed, as one that raises.

    To Lua it is a function in C: unlike one in Lua it leaves its caller's line on the stack even
    where a script ends in `return redis.call(...)`.
    """

    def call(*arguments: Any) -> Any:
        failed, *values = function(*arguments)
        if failed:
            raise _HostError(values[0])
        return values[0] if len(values) == 1 else tuple(values)

    return call
