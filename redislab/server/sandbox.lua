-- The sandbox that scripts and functions run in, as Redis 7.0 sets it up (src/script_lua.c).
--
-- Runs once in a new interpreter. It gets `host`, a table of values and of functions in Python, and
-- returns what Python calls: compile, run, call, load, decode, where. What Redis takes away (files,
-- the operating system) is taken away, and so is every way from a script into Python. What Redis
-- adds is added: `redis`, `cjson`, `bit`, `struct`, `cmsgpack`.
--
-- Redis marks tables as read only in its own build of Lua. Here such a table is an empty stand-in
-- for its contents, and the functions that would tell the two apart look at the contents.

local host = ...
local as_function = python.as_function
local getinfo, sethook = debug.getinfo, debug.sethook
local setfenv, getfenv, newproxy, loadstring = setfenv, getfenv, newproxy, loadstring
local error, pcall, xpcall, select, tostring, tonumber =
  error, pcall, xpcall, select, tostring, tonumber
local type, next, pairs, rawget, rawset, setmetatable, getmetatable, unpack =
  type, next, pairs, rawget, rawset, setmetatable, getmetatable, unpack
local byte, sub, find, format, gsub = string.byte, string.sub, string.find, string.format, string.gsub
local concat, yielding = table.concat, coroutine
local SANDBOX = getinfo(1, 'S').source

-- Functions in Python become functions of Lua, which can be called and nothing else.
local function closed(library)
  local contents = {}
  for name, value in pairs(library) do
    if type(value) == 'userdata' and host.is_callable(value) then value = as_function(value) end
    contents[name] = value
  end
  return contents
end
local calls = closed(host.calls)

-- -- read-only tables ---------------------------------------------------------------------------

local sealed = setmetatable({}, {__mode = 'k'})

local READ_ONLY = 'Attempt to modify a readonly table'
local function refuse() error(READ_ONLY, 2) end

local function seal(contents, index, shown)
  local stand_in = {}
  sealed[stand_in] = {contents = contents, metatable = shown}
  return setmetatable(stand_in, {__index = index or contents, __newindex = refuse})
end

local function missing(name)
  local kind = type(name)
  if kind ~= 'string' and kind ~= 'number' then
    error('Second argument to luaProtectedTableError must be a string or number', 3)
  end
  error("Script attempted to access nonexistent global variable '" .. name .. "'", 3)
end

-- A table whose missing fields are errors.
local function strict(contents)
  local function index(_, name)
    local value = rawget(contents, name)
    if value == nil then missing(name) end
    return value
  end
  return seal(contents, index, seal({__index = index}))
end

-- -- errors -------------------------------------------------------------------------------------

-- What a function of the host raises arrives as the host's own object. Scripts get what Redis
-- would have raised: a text, or a table with the text in `err`.
local function translated(problem)
  if type(problem) ~= 'userdata' then return problem end
  local is_text, text, counted = calls.problem(problem)
  if is_text then return text end
  return {err = text, ignore_error_stats_update = counted or nil}
end

-- The function that an error came from, past those in C and those of the sandbox.
local function located(problem)
  problem = translated(problem)
  if type(problem) ~= 'table' then problem = {err = 'ERR ' .. tostring(problem)} end
  local level = 2
  local frame = getinfo(level, 'Sl')
  if frame and frame.what == 'C' then
    level = level + 1
    frame = getinfo(level, 'Sl')
  end
  while frame and frame.source == SANDBOX do
    level = level + 1
    frame = getinfo(level, 'Sl')
  end
  if frame then
    rawset(problem, 'source', frame.source)
    rawset(problem, 'line', frame.currentline)
  end
  return problem
end

-- The place that luaL_error puts before its text: of who called the function in Python.
local function where()
  local frame = getinfo(3, 'Sl')
  if frame and frame.currentline > 0 then return frame.short_src .. ':' .. frame.currentline .. ': ' end
  return ''
end

local function bad_argument(position, name, reason, level)
  error("bad argument #" .. position .. " to '" .. name .. "' (" .. reason .. ')', (level or 1) + 2)
end

local function check_table(value, position, name, ...)
  if type(value) ~= 'table' then
    local found = select('#', ...) < position and 'no value' or type(value)
    bad_argument(position, name, 'table expected, got ' .. found, 2)
  end
end

-- -- the time limit -----------------------------------------------------------------------------

-- Once a script is to end, the error is raised at every line, so that no pcall can hold it up.
local function tick()
  if getinfo(2, 'S').source == SANDBOX then return end
  local message = calls.tick()
  if message then
    sethook(tick, 'l')
    error({err = message})
  end
end

local function watched(call)
  if type(call) ~= 'function' then return call end
  return function(...)
    sethook(tick, '', host.instructions_per_tick)
    return call(...)
  end
end

-- -- Lua's own functions, changed where they must be ------------------------------------------------

local environment
local base = {}
for _, name in ipairs({
  'assert', 'collectgarbage', 'error', 'gcinfo', 'ipairs', 'rawequal', 'select', 'tonumber',
  'tostring', 'type', '_VERSION',
}) do base[name] = _G[name] end

-- Lua 5.1 counts what it is to unpack with too few bits.
function base.unpack(...)
  local t, first, last = ...
  check_table(t, 1, 'unpack', ...)
  if type(first) == 'number' and (tonumber(last) or #t) - first >= host.unpacked_max then
    error('too many results to unpack', 2)
  end
  return unpack(...)
end

-- On an error Redis's pcall gives the text alone.
local function caught(fine, problem, ...)
  if fine then return fine, problem, ... end
  problem = translated(problem)
  if type(problem) == 'table' and type(rawget(problem, 'err')) == 'string' then
    return fine, rawget(problem, 'err')
  end
  return fine, problem, ...
end
function base.pcall(...) return caught(pcall(...)) end

function base.xpcall(call, handler)
  return xpcall(call, function(problem) return handler(translated(problem)) end)
end

function base.setmetatable(...)
  local t, metatable = ...
  check_table(t, 1, 'setmetatable', ...)
  if metatable ~= nil and type(metatable) ~= 'table' then
    bad_argument(2, 'setmetatable', 'nil or table expected')
  end
  if sealed[t] then error(READ_ONLY, 0) end
  return setmetatable(t, metatable)
end

local of_strings = seal({__index = seal(string)})
function base.getmetatable(...)
  local value = ...
  if select('#', ...) == 0 then bad_argument(1, 'getmetatable', 'value expected') end
  if type(value) == 'string' then return of_strings end
  if sealed[value] then return sealed[value].metatable end
  return getmetatable(value)
end

function base.rawset(...)
  local t, key, value = ...
  check_table(t, 1, 'rawset', ...)
  if sealed[t] then error(READ_ONLY, 0) end
  return rawset(t, key, value)
end

function base.rawget(...)
  local t, key = ...
  check_table(t, 1, 'rawget', ...)
  return rawget(sealed[t] and sealed[t].contents or t, key)
end

function base.next(...)
  local t, key = ...
  check_table(t, 1, 'next', ...)
  return next(sealed[t] and sealed[t].contents or t, key)
end

function base.pairs(...)
  local t = ...
  check_table(t, 1, 'pairs', ...)
  return next, sealed[t] and sealed[t].contents or t, nil
end

-- Chunks of compiled code could do anything, and are not taken.
local function load_text(text, ...)
  if byte(text, 1) == 27 then return nil, 'compiled code is not loaded' end
  local chunk, problem = loadstring(text, ...)
  if chunk then setfenv(chunk, environment) end
  return chunk, problem
end

function base.loadstring(...)
  local text = ...
  if type(text) == 'number' then text = tostring(text) end
  if type(text) ~= 'string' then
    local found = select('#', ...) == 0 and 'no value' or type(text)
    bad_argument(1, 'loadstring', 'string expected, got ' .. found)
  end
  return load_text(text, select(2, ...))
end

function base.load(reader, name)
  if type(reader) ~= 'function' then
    bad_argument(1, 'load', 'function expected, got ' .. (reader == nil and 'no value' or type(reader)))
  end
  local pieces = {}
  while true do
    local piece = reader()
    if piece == nil or piece == '' then break end
    if type(piece) ~= 'string' then return nil, 'reader function must return a string' end
    pieces[#pieces + 1] = piece
  end
  return load_text(concat(pieces), name or '=(load)')
end

-- A coroutine has a hook of its own.
local routines = {
  running = yielding.running, status = yielding.status, yield = yielding.yield,
  create = function(call) return yielding.create(watched(call)) end,
  wrap = function(call) return yielding.wrap(watched(call)) end,
  resume = function(...)
    local function resumed(fine, problem, ...)
      if not fine then problem = translated(problem) end
      return fine, problem, ...
    end
    return resumed(yielding.resume(...))
  end,
}

local tables = {}
for name, call in pairs(table) do tables[name] = call end
for _, name in ipairs({'insert', 'remove', 'sort', 'setn'}) do
  local call = tables[name]
  tables[name] = function(t, ...)
    if sealed[t] then error(READ_ONLY, 0) end
    return call(t, ...)
  end
end

-- Changing environments is left to those who ask for the deprecated functions, and never reaches
-- the environment of the sandbox.
if host.deprecated then
  base.newproxy = newproxy
  function base.getfenv(call)
    local found = getfenv(type(call) == 'function' and call or (tonumber(call) or 1) + 1)
    return found == getfenv(0) and environment or found
  end
  function base.setfenv(call, t)
    local target = type(call) == 'function' and call or (tonumber(call) or 1) + 1
    if target == 1 or getfenv(target) == getfenv(0) then
      error("'setfenv' cannot change environment of given object", 2)
    end
    return setfenv(target, t)
  end
end

local numbers = {}
for name, call in pairs(math) do numbers[name] = call end
numbers.random, numbers.randomseed = calls.random, calls.randomseed

-- -- redis --------------------------------------------------------------------------------------

-- An error reply as a table: `-CODE text` keeps its code, other texts get ERR.
local function error_table(text, counted)
  local code = 'ERR'
  if byte(text) == 45 then
    local space = find(text, ' ', 1, true)
    if space then
      code, text = sub(text, 2, space - 1), sub(text, space + 1)
    else
      text = sub(text, 2)
    end
  end
  text = gsub(gsub(text, '^[\r\n]+', ''), '[\r\n]+$', '')
  return {err = code .. ' ' .. text, ignore_error_stats_update = counted}
end

local logging = {
  log = calls.log, LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REDIS_VERSION = host.version, REDIS_VERSION_NUM = host.version_number,
}
local redis = {
  REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
  call = calls.call, pcall = calls.pcall, sha1hex = calls.sha1hex, setresp = calls.setresp,
  set_repl = calls.set_repl, acl_check_cmd = calls.acl_check_cmd,
}
for name, value in pairs(logging) do redis[name] = value end

function redis.error_reply(...)
  local text = ...
  if select('#', ...) ~= 1 or type(text) ~= 'string' then
    return error_table('wrong number or type of arguments')
  end
  return error_table(byte(text) == 45 and text or '-' .. text)
end

function redis.status_reply(...)
  local text = ...
  if select('#', ...) ~= 1 or type(text) ~= 'string' then
    return error_table('wrong number or type of arguments')
  end
  return {ok = text}
end

if host.is_eval then
  function redis.breakpoint() return false end
  function redis.debug() end
  function redis.replicate_commands() return true end
end

local globals = base
globals.redis = seal(redis)
globals.coroutine = seal(routines)
globals.string, globals.table, globals.math = seal(string), seal(tables), seal(numbers)
for name, library in pairs(host.libraries) do
  local contents = closed(library)
  if name == 'cjson' then
    contents.new = function() return closed(calls.new_json()) end
  end
  globals[name] = seal(contents)
end

-- What is to be had while a library is loaded: `redis`, and of that only what can be used then.
logging.register_function = calls.register_function
local while_loading = {redis = strict(logging)}

if host.is_eval then
  environment = strict(globals)
  globals._G = environment
else
  -- The globals of a library's functions are those of its load, exchanged once it has ended.
  local ordinary, loading = strict(globals), strict(while_loading)
  local current = {__index = ordinary}
  environment = seal({}, function(_, name)
    local value = rawget(sealed[current.__index].contents, name)
    if value == nil then missing(name) end
    return value
  end)
  globals._G = ordinary
  function host.scope(is_loading) current.__index = is_loading and loading or ordinary end
end

-- -- replies ------------------------------------------------------------------------------------

-- A reply as a script sees it: null is false, a status and an error are tables. Returns the value
-- and where the next begins.
local function decode(data, at)
  local kind = byte(data, at)
  local stop = find(data, '\r\n', at, true)
  local head = sub(data, at + 1, stop - 1)
  at = stop + 2
  if kind == 36 then -- $
    local size = tonumber(head)
    if size < 0 then return false, at end
    return sub(data, at, at + size - 1), at + size + 2
  elseif kind == 58 then -- :
    return tonumber(head), at
  elseif kind == 42 then -- *
    local count = tonumber(head)
    if count < 0 then return false, at end
    local items = {}
    for position = 1, count do items[position], at = decode(data, at) end
    return items, at
  elseif kind == 43 then -- +
    return {ok = head}, at
  elseif kind == 45 then -- -
    return error_table('-' .. head, true), at
  elseif kind == 95 then -- _
    return nil, at
  elseif kind == 44 then -- ,
    return {double = tonumber(head)}, at
  elseif kind == 35 then -- #
    return head == 't', at
  elseif kind == 40 then -- (
    return {big_number = head}, at
  elseif kind == 61 then -- =
    local size = tonumber(head)
    local text = {format = sub(data, at, at + 2), string = sub(data, at + 4, at + size - 1)}
    return {verbatim_string = text}, at + size + 2
  elseif kind == 37 then -- %
    local map, key = {}, nil
    for _ = 1, tonumber(head) do
      key, at = decode(data, at)
      map[key], at = decode(data, at)
    end
    return {map = map}, at
  elseif kind == 126 then -- ~
    local set, member = {}, nil
    for _ = 1, tonumber(head) do
      member, at = decode(data, at)
      set[member] = true
    end
    return {set = set}, at
  elseif kind == 124 then -- |: attributes are not shown to scripts
    for _ = 1, 2 * tonumber(head) do
      local _, after = decode(data, at)
      at = after
    end
    return decode(data, at)
  end
  error('a reply that begins with ' .. kind)
end

local null, protocol, script_protocol

local function bulk(text) return '$' .. #text .. '\r\n' .. text .. '\r\n' end

local function aggregate(out, place, count, mark)
  if protocol == 2 then
    mark = '*'
  elseif mark == '%' then
    count = count / 2
  end
  out[place] = mark .. format('%d', count) .. '\r\n'
end

-- What a script returned, as a reply for its caller. `depth` is how much of its stack Redis has used.
local function encode(value, out, depth)
  if depth > host.depth_max then
    calls.count_error('ERR reached lua stack limit', false)
    out[#out + 1] = '-ERR reached lua stack limit\r\n'
    return
  end
  local kind = type(value)
  if kind == 'string' then
    out[#out + 1] = bulk(value)
  elseif kind == 'number' then
    out[#out + 1] = format(':%d\r\n', value)
  elseif kind == 'boolean' then
    if script_protocol == 2 then
      out[#out + 1] = value and ':1\r\n' or null
    elseif protocol == 3 then
      out[#out + 1] = value and '#t\r\n' or '#f\r\n'
    else
      out[#out + 1] = value and ':1\r\n' or ':0\r\n'
    end
  elseif kind ~= 'table' then
    out[#out + 1] = null
  else
    if sealed[value] then value = sealed[value].contents end
    local err, ok, double = rawget(value, 'err'), rawget(value, 'ok'), rawget(value, 'double')
    local number, verbatim = rawget(value, 'big_number'), rawget(value, 'verbatim_string')
    local map, set = rawget(value, 'map'), rawget(value, 'set')
    if type(err) == 'string' then
      calls.count_error(err, rawget(value, 'ignore_error_stats_update') == true)
      out[#out + 1] = '-' .. gsub(gsub(err, '[\r\n]+$', ''), '[\r\n]', ' ') .. '\r\n'
    elseif type(ok) == 'string' then
      out[#out + 1] = '+' .. gsub(ok, '[\r\n]', ' ') .. '\r\n'
    elseif type(double) == 'number' then
      out[#out + 1] = calls.double(double, protocol)
    elseif type(number) == 'string' then
      number = gsub(number, '[\r\n]', ' ')
      out[#out + 1] = protocol == 3 and '(' .. number .. '\r\n' or bulk(number)
    elseif type(verbatim) == 'table' and type(rawget(verbatim, 'format')) == 'string'
      and type(rawget(verbatim, 'string')) == 'string' then
      local text = rawget(verbatim, 'string')
      if protocol == 3 then
        text = sub(rawget(verbatim, 'format') .. '   ', 1, 3) .. ':' .. text
        out[#out + 1] = '=' .. #text .. '\r\n' .. text .. '\r\n'
      else
        out[#out + 1] = bulk(text)
      end
    elseif type(map) == 'table' then
      local place, count = #out + 1, 0
      out[place] = ''
      for key, item in next, map do
        encode(key, out, depth + 4)
        encode(item, out, depth + 3)
        count = count + 2
      end
      aggregate(out, place, count, '%')
    elseif type(set) == 'table' then
      local place, count = #out + 1, 0
      out[place] = ''
      for key in next, set do
        encode(key, out, depth + 3)
        count = count + 1
      end
      aggregate(out, place, count, '~')
    else
      local place, count = #out + 1, 0
      out[place] = ''
      local item = rawget(value, 1)
      while item ~= nil do
        encode(item, out, depth + 1)
        count = count + 1
        item = rawget(value, count + 1)
      end
      aggregate(out, place, count, '*')
    end
  end
end

-- -- what Python calls --------------------------------------------------------------------------

local function compile(text)
  if byte(text, 1) == 27 then return nil, 'compiled code is not loaded' end
  local chunk, problem = loadstring(text, host.chunk_name)
  if not chunk then return nil, problem end
  return setfenv(chunk, environment)
end

-- Returns true and the reply, or false and the error: text, source, line, whether it was counted.
local function finish(resp, fine, value)
  sethook()
  if not fine then
    if type(value) ~= 'table' then value = {err = 'ERR ' .. tostring(value)} end
    local text = rawget(value, 'err')
    return false, type(text) == 'string' and text or 'ERR unknown error', rawget(value, 'source'),
      rawget(value, 'line'), rawget(value, 'ignore_error_stats_update') == true
  end
  protocol, script_protocol = resp, calls.protocol()
  null = resp == 3 and '_\r\n' or '$-1\r\n'
  local out = {}
  encode(value, out, 1)
  return true, concat(out)
end

local function run(chunk, keys, arguments, resp)
  globals.KEYS, globals.ARGV = keys, arguments
  sethook(tick, '', host.instructions_per_tick)
  return finish(resp, xpcall(chunk, located))
end

local function call(callback, keys, arguments, resp)
  sethook(tick, '', host.instructions_per_tick)
  return finish(resp, xpcall(function() return callback(keys, arguments) end, located))
end

-- Run the code of a library; returns nothing, or the text of its error.
local function load(chunk)
  host.scope(true)
  sethook(tick, '', host.instructions_per_tick)
  local fine, problem = pcall(chunk)
  sethook()
  host.scope(false)
  if fine then return nil end
  problem = translated(problem)
  if type(problem) == 'table' then return tostring(rawget(problem, 'err')) end
  return 'ERR ' .. tostring(problem)
end

local function one(data) return (decode(data, 1)) end

python = nil
return compile, run, call, load, one, where
