"""Libraries of functions: FUNCTION and FCALL (`src/functions.c`, `src/function_lua.c`, Redis 7.0).

A library is a piece of Lua that begins with `#!lua name=...` and registers functions when it is
loaded. It belongs to the data: FLUSHALL leaves it, a snapshot and the replicas have it. What is
to be kept of the libraries is their source, in order (`Libraries.sources`, `Libraries.join`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redislab.engine.arguments import parse_int
from redislab.engine.errors import CommandError, shown_last
from redislab.engine.glob import matches
from redislab.engine.table import Reply, command
from redislab.server.help import help_reply, unknown_form
from redislab.server.lua import Lua, ScriptError
from redislab.server.luaarguments import number_text
from redislab.server.monitor import feed
from redislab.server.scriptflags import FLAGS, keys_and_arguments
from redislab.wire.rdb import payload
from redislab.wire.rdb.faults import RdbError
from redislab.wire.rdb.strings import writing
from redislab.wire.requests import split_words
from redislab.wire.resp import NULL, OK, array, bulk, bulks, integer, map_, set_, simple

if TYPE_CHECKING:
    from redislab.server.client import Client
    from redislab.server.scripting import Scripts

_BAD_NAME = (
    "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least "
    "one character long"
)
_NAME_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_API = "redis.register_function"


@dataclass(frozen=True, slots=True)
class Function:
    """One function: its name, the function in Lua, what it says of itself."""

    name: bytes
    callback: Any
    description: bytes | None
    flags: frozenset[str]


@dataclass(slots=True)
class Library:
    """One library: its name, its whole source, its functions by name."""

    name: bytes
    source: bytes
    functions: dict[bytes, Function] = field(default_factory=dict)


class Libraries:
    """The libraries of one node.

    Attributes:
        libraries: by name, in the order in which they were loaded.
        functions: of all libraries, by their names in lower case.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self.libraries: dict[bytes, Library] = {}
        self.functions: dict[bytes, Function] = {}
        self._loading: Library | None = None

    # -- loading and keeping -------------------------------------------------------------------

    def sources(self) -> list[bytes]:
        """The source of every library, as `join` takes them."""
        return [library.source for library in self.libraries.values()]

    def join(self, sources: Iterable[bytes], *, policy: str, limited: bool = True) -> None:
        """Add libraries, all or none.

        Args:
            sources: the libraries' sources.
            policy: "append" refuses a library that is there already, "replace" replaces it,
                "flush" deletes what is there first.
            limited: whether the time a library takes to load is limited.

        Raises:
            CommandError: why they cannot be added.
        """
        added: dict[bytes, Library] = {}
        for source in sources:
            library = self._compile(source, limited=limited, known=added)
            _check_collisions(library, added)
            added[library.name] = library
        kept = {} if policy == "flush" else dict(self.libraries)
        for name in added:
            if kept.pop(name, None) is not None and policy == "append":
                raise CommandError(f"ERR Library {_text(name)} already exists")
        for library in added.values():
            _check_collisions(library, kept)
        self.libraries = kept | added
        self._index()

    def load(self, source: bytes, *, replace: bool, limited: bool = True) -> bytes:
        """Load a library; return its name.

        Raises:
            CommandError: why it cannot be loaded; what was there before is still there.
        """
        library = self._compile(source, limited=limited, known=None if replace else self.libraries)
        kept = {name: each for name, each in self.libraries.items() if name != library.name}
        _check_collisions(library, kept)
        self.libraries = kept | {library.name: library}
        self._index()
        return library.name

    def delete(self, name: bytes) -> bool:
        """Delete a library; tell whether it was there."""
        gone = self.libraries.pop(name, None)
        self._index()
        return gone is not None

    def flush(self) -> None:
        """Delete all libraries."""
        self.libraries.clear()
        self.functions.clear()

    def _index(self) -> None:
        self.functions = {
            name.lower(): function
            for library in self.libraries.values()
            for name, function in library.functions.items()
        }

    def _compile(
        self, source: bytes, *, limited: bool, known: dict[bytes, Library] | None = None
    ) -> Library:
        """A library with the functions that its source registers.

        Raises:
            CommandError: the source is no library, or its name is among the known ones.
        """
        name, engine, code = _read_metadata(source)
        if not _is_name(name):
            raise CommandError(_BAD_NAME)
        if engine.lower() != b"lua":
            raise CommandError(f"ERR Engine '{_text(engine)}' not found")
        if known is not None and name in known:
            raise CommandError(f"ERR Library '{_text(name)}' already exists")
        library = Library(name, source)
        lua = self._scripts.lua(is_eval=False)
        try:
            chunk = lua.compile(code)
        except ScriptError as wrong:
            raise CommandError(f"ERR Error compiling function: {_text(wrong.message)}") from None
        self._loading = library
        self._scripts.slow.begin_load(limited=limited)
        try:
            lua.load(chunk)
        except ScriptError as failed:
            raise CommandError(
                f"ERR Error registering functions: {_text(failed.message)}"
            ) from None
        finally:
            self._loading = None
            self._scripts.slow.end_load()
        if not library.functions:
            raise CommandError("ERR No functions registered")
        return library

    # -- redis.register_function ---------------------------------------------------------------

    def register(self, arguments: tuple[Any, ...], kind_of: Callable[[Any], str]) -> None:
        """A library registers a function, by its name and itself or by a table of both and more.

        Raises:
            CommandError: what is wrong with the arguments.
        """
        library = self._loading
        if library is None:
            raise CommandError(f"ERR {_API} can only be called on FUNCTION LOAD command")
        if not 1 <= len(arguments) <= 2:
            raise CommandError(f"ERR wrong number of arguments to {_API}")
        if len(arguments) == 1:
            function = _named(arguments[0], kind_of)
        else:
            name = _string(arguments[0])
            if name is None:
                raise CommandError(f"ERR first argument to {_API} must be a string")
            if kind_of(arguments[1]) != "function":
                raise CommandError(f"ERR second argument to {_API} must be a function")
            function = Function(name, arguments[1], None, frozenset())
        if not _is_name(function.name):
            raise CommandError(_BAD_NAME)
        if function.name in library.functions:
            raise CommandError("ERR Function already exists in the library")
        library.functions[function.name] = function


def _named(table: Any, kind_of: Callable[[Any], str]) -> Function:
    """A function from the table of its named arguments."""
    if kind_of(table) != "table":
        raise CommandError(
            f"ERR calling {_API} with a single argument is only applicable to Lua table "
            "(representing named arguments)."
        )
    name: bytes | None = None
    description: bytes | None = None
    callback = None
    flags: frozenset[str] = frozenset()
    for key, value in table.items():
        word = _string(key)
        if word is None:
            raise CommandError(f"ERR named argument key given to {_API} is not a string")
        match word.lower():
            case b"function_name":
                name = _string_or_raise(value, "function_name")
            case b"description":
                description = _string_or_raise(value, "description")
            case b"callback":
                if kind_of(value) != "function":
                    raise CommandError(f"ERR callback argument given to {_API} must be a function")
                callback = value
            case b"flags":
                if kind_of(value) != "table":
                    raise CommandError(
                        f"ERR flags argument to {_API} must be a table representing function flags"
                    )
                flags = _read_flags(value)
            case _:
                raise CommandError(f"ERR unknown argument given to {_API}")
    if name is None:
        raise CommandError(f"ERR {_API} must get a function name argument")
    if callback is None:
        raise CommandError(f"ERR {_API} must get a callback argument")
    return Function(name, callback, description, flags)


def _read_flags(table: Any) -> frozenset[str]:
    flags = set()
    position = 1
    while (value := table[position]) is not None:
        word = _string(value)
        flag = "" if word is None else _text(word).lower()
        if flag not in FLAGS:
            raise CommandError("ERR unknown flag given")
        flags.add(flag)
        position += 1
    return frozenset(flags)


def _string(value: Any) -> bytes | None:
    """A string, or a number as one, as `lua_isstring` sees it; None for anything else."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_text(value, 14)
    return None


def _string_or_raise(value: Any, what: str) -> bytes:
    word = _string(value)
    if word is None:
        raise CommandError(f"ERR {what} argument given to {_API} must be a string")
    return word


def _is_name(name: bytes) -> bool:
    return bool(name) and _NAME_BYTES.issuperset(name)


def _check_collisions(library: Library, others: dict[bytes, Library]) -> None:
    taken = {name.lower() for each in others.values() for name in each.functions}
    for name in library.functions:
        if name.lower() in taken:
            raise CommandError(f"ERR Function {_text(name)} already exists")


def _read_metadata(source: bytes) -> tuple[bytes, bytes, bytes]:
    """Name, engine and code of a library."""
    if not source.startswith(b"#!"):
        raise CommandError("ERR Missing library metadata")
    line, newline, rest = source.partition(b"\n")
    words = split_words(line) if newline and b"\0" not in line else None
    if not words:
        raise CommandError("ERR Invalid library metadata")
    name = None
    for word in words[1:]:
        if not word.lower().startswith(b"name="):
            raise CommandError(f"ERR Invalid metadata value given: {_text(word)}")
        if name is not None:
            raise CommandError("ERR Invalid metadata value, name argument was given multiple times")
        name = word[5:]
    if name is None:
        raise CommandError("ERR Library name was not given")
    return name, words[0][2:], b"\n" + rest


def _text(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")


# -- the commands ---------------------------------------------------------------------------------


@command("fcall", "fcall_ro")
def fcall(c: Client, args: list[bytes]) -> Reply:
    """FCALL function numkeys key ... arg ..."""
    scripts = c.node.scripts
    if c.node.monitors:  # to be seen before what the function calls
        feed(c.node, c, args)
    function = scripts.libraries.functions.get(args[1].lower())
    if function is None:
        raise CommandError("ERR Function not found")
    try:
        count = parse_int(args[2])
    except CommandError:
        raise CommandError("ERR Bad number of keys provided") from None
    keys, arguments = keys_and_arguments(args, count)

    def work(lua: Lua) -> bytes:
        return lua.call(function.callback, keys, arguments, c.resp)

    return scripts.run(c, args, function.name, function.flags, work, is_eval=False)


@command("function|load")
def function_load(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION LOAD [REPLACE] code: the library's name."""
    for word in args[2:-1]:
        if word.lower() != b"replace":
            raise CommandError(f"ERR Unknown option given: {shown_last(word)}")
    name = c.node.scripts.libraries.load(args[-1], replace=len(args) > 3)
    c.engine.dirty += 1
    return bulk(name)


@command("function|delete")
def function_delete(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION DELETE library."""
    if not c.node.scripts.libraries.delete(args[2]):
        raise CommandError("ERR Library not found")
    c.engine.dirty += 1
    return OK


@command("function|flush")
def function_flush(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION FLUSH [ASYNC|SYNC]."""
    if len(args) > 3:
        raise unknown_form(args)
    if len(args) == 3 and args[2].lower() not in {b"async", b"sync"}:
        raise CommandError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    c.node.scripts.libraries.flush()
    c.engine.dirty += 1
    return OK


@command("function|dump")
def function_dump(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION DUMP: all libraries, for FUNCTION RESTORE."""
    sources = c.node.scripts.libraries.sources()
    return bulk(payload.write_libraries(sources, writing(c.engine.compress)))


@command("function|restore")
def function_restore(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION RESTORE payload [FLUSH|APPEND|REPLACE]: add its libraries, all or none."""
    if len(args) > 4:
        raise unknown_form(args)
    policy = _text(args[3]).lower() if len(args) == 4 else "append"
    if policy not in {"flush", "append", "replace"}:
        raise CommandError(
            "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
        )
    if not payload.is_sound(args[2]):
        raise CommandError("ERR DUMP payload version or checksum are wrong")
    try:
        sources = payload.read_sources(args[2])
    except RdbError as damaged:
        raise CommandError(f"ERR {damaged.reason}") from None
    c.node.scripts.libraries.join(sources, policy=policy, limited=False)
    c.engine.dirty += 1
    return OK


@command("function|list")
def function_list(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]."""
    pattern: bytes | None = None
    with_code = False
    words = iter(args[2:])
    for word in words:
        if not with_code and word.lower() == b"withcode":
            with_code = True
        elif pattern is None and word.lower() == b"libraryname":
            pattern = next(words, None)
            if pattern is None:
                raise CommandError("ERR library name argument was not given")
        else:
            raise CommandError(f"ERR Unknown argument {_text(word)}")
    return array(
        [
            _describe(library, c.resp, with_code=with_code)
            for library in c.node.scripts.libraries.libraries.values()
            if pattern is None or matches(pattern.lower(), library.name.lower())
        ]
    )


def _describe(library: Library, resp: int, *, with_code: bool) -> bytes:
    functions = []
    for function in library.functions.values():
        description = function.description
        flags = [simple(flag.encode()) for flag in FLAGS if flag in function.flags]
        parts = (
            bulk(b"name"),
            bulk(function.name),
            bulk(b"description"),
            NULL[resp] if description is None else bulk(description),
            bulk(b"flags"),
            set_(flags, resp),
        )
        functions.append(map_(parts, resp))
    fields = [bulk(b"library_name"), bulk(library.name), bulk(b"engine"), bulk(b"LUA")]
    fields += [bulk(b"functions"), array(functions)]
    if with_code:
        fields += [bulk(b"library_code"), bulk(library.source)]
    return map_(fields, resp)


@command("function|stats")
def function_stats(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION STATS: which function runs, and how many there are."""
    scripts = c.node.scripts
    running = scripts.running
    shown = NULL[c.resp]
    if running is not None:
        if running.is_eval:
            raise CommandError(scripts.slow.busy_message())
        parts = (
            bulk(b"name"),
            bulk(running.name),
            bulk(b"command"),
            bulks(running.request),
            bulk(b"duration_ms"),
            integer(scripts.slow.milliseconds),
        )
        shown = map_(parts, c.resp)
    libraries = scripts.libraries
    counts = (
        bulk(b"libraries_count"),
        integer(len(libraries.libraries)),
        bulk(b"functions_count"),
        integer(len(libraries.functions)),
    )
    engines = map_((bulk(b"LUA"), map_(counts, c.resp)), c.resp)
    return map_((bulk(b"running_script"), shown, bulk(b"engines"), engines), c.resp)


@command("function|kill")
def function_kill(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION KILL: end the function that runs, unless it has written."""
    return c.node.scripts.slow.kill(is_eval=False)


_HELP = (
    ("LOAD [REPLACE] <code>", "Load a library; its name stands in its first line."),
    ("DELETE <library>", "Delete a library."),
    (
        "LIST [LIBRARYNAME <pattern>] [WITHCODE]",
        "List the libraries, or those with such a name, and their source as well.",
    ),
    ("STATS", "Tell which function runs and for how long, and how many there are."),
    ("KILL", "End the function that runs."),
    (
        "FLUSH [ASYNC|SYNC]",
        (
            "Delete all libraries. How, unless it is said here, is up to the directive\n"
            "lazyfree-lazy-user-flush:\n"
            "* ASYNC: free their memory by and by.\n"
            "* SYNC: free it before the reply."
        ),
    ),
    ("DUMP", "Return all libraries in a form that RESTORE takes."),
    (
        "RESTORE <payload> [FLUSH|APPEND|REPLACE]",
        (
            "Add the libraries of a payload, all or none of them:\n"
            "* FLUSH: delete all others first.\n"
            "* APPEND: not if one of them is there already. This is what is done unless told.\n"
            "* REPLACE: instead of those with the same names."
        ),
    ),
)


@command("function|help")
def function_help(c: Client, args: list[bytes]) -> Reply:
    """FUNCTION HELP."""
    return help_reply("FUNCTION", _HELP)
