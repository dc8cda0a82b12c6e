"""The configuration of a node: read from redis.conf, changed by CONFIG SET, written back.

Follows `src/config.c` of Redis 7.0. Which directives there are is told in `directives.py`, how
their values are read in `directive_kinds.py`, how files and the command line are read in
`configfile.py`, and how a file is rewritten in `configrewrite.py`. The commands are in
`configcommands.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from redislab.engine.glob import compiled
from redislab.server.configfile import (
    USAGE,
    ConfigError,
    Reader,
    SentinelLine,
    StartupExit,
    answer_special_options,
    options_as_lines,
    read_file,
)
from redislab.server.configvalues import Settings
from redislab.server.directive_kinds import BufferLimit, RefusedError, to_bytes, to_text
from redislab.server.directives import ALL, DIRECTIVES, Directive
from redislab.server.facts import COMMANDS, Catalog
from redislab.wire.clitext import quote

__all__ = [
    "BufferLimit",
    "Config",
    "ConfigError",
    "ListenAddress",
    "RefusedError",
    "StartupExit",
    "StillLoadingError",
]

HZ_LEAST, HZ_MOST = 1, 500
BACKLOG_LEAST = 16 * 1024  # bytes
_TLS_REFUSED = "Unable to update TLS configuration. Check server logs."
_TLS_SWITCHES = ("tls-port", "tls-cluster", "tls-replication")


class StillLoadingError(Exception):
    """A directive cannot be changed while data are loaded."""


class ListenAddress(NamedTuple):
    """An address to listen on; one that is not required may be missing on this machine."""

    host: str
    required: bool


class Config(Settings):
    """All settings of one node, as typed attributes: `config.maxclients`, `config.maxmemory`.

    Attributes:
        commands: the commands that a node has, which `user` and `rename-command` are about.
        usage: what --help prints.
        file: absolute path of the configuration file, or empty.
        given: the directives that were given, by name; the values are None.
        renamed_commands: lower-case name to new name; empty for a command taken away.
        users: the words of each `user` line, the name first; they are valid.
        unbuilt_lines: what was accepted but is not built, beside the directives.
        notes: lines for the log that came up while reading (warnings, role C).
    """

    commands: ClassVar[Catalog] = COMMANDS
    usage: ClassVar[str] = USAGE

    def __init__(self, *, directory: str = "") -> None:
        for directive in ALL:
            self.__dict__[directive.attribute] = directive.default
        self.dir = directory or str(Path.cwd())
        self.file = ""
        self.given: dict[str, None] = {}
        self.renamed_commands: dict[bytes, bytes] = {}
        self.users: list[list[bytes]] = []
        self.unbuilt_lines: dict[str, None] = {}
        self.notes: list[str] = []
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    @classmethod
    def from_args(
        cls, argv: Sequence[str], *, stdin: Callable[[], bytes] | None = None, directory: str = ""
    ) -> Self:
        """Read a command line without the program's name, as redis-server does.

        Args:
            argv: `[file] [--directive value ...] [-]`.
            stdin: reads all of standard input; called if argv asks for it.
            directory: what relative paths are relative to, by default the working directory.

        Raises:
            ConfigError: something cannot be read; it says what to print.
            StartupExit: --help and the like came first.
        """
        answer_special_options(argv, cls.usage)
        config = cls(directory=directory)
        rest = list(argv)
        text = b""
        if rest and not rest[0].startswith("-"):
            config.file = config.absolute(rest.pop(0))
            text = read_file(config.file, config.dir)
        if stdin is not None and (rest[:1] == ["-"] or rest[-1:] == ["-"]):
            config.notes.append("Reading config from stdin")
            text += stdin()
        Reader(config).read(text + b"\n" + options_as_lines(rest))
        return config

    @classmethod
    def from_mapping(
        cls, mapping: Mapping[str, object], *, file: str = "", directory: str = ""
    ) -> Self:
        """Settings by name. Values are written as in redis.conf; numbers and bools work too.

        Args:
            mapping: such as `{"port": 6380, "save": "", "appendonly": False}`.
            file: a configuration file to read first.
            directory: what relative paths are relative to, by default the working directory.

        Raises:
            ConfigError: one of them is no directive or has no such value.
        """
        config = cls(directory=directory)
        text = b""
        if file:
            config.file = config.absolute(file)
            text = read_file(config.file, config.dir)
        for name, value in mapping.items():
            known = name if name in DIRECTIVES else name.replace("_", "-")
            shown = ("no", "yes")[value] if isinstance(value, bool) else str(value)
            text += to_bytes(f"\n{known} {quote(to_bytes(shown))}")
        Reader(config).read(text)
        return config

    @classmethod
    def from_text(cls, text: bytes, *, file: str = "", directory: str = "") -> Self:
        """Read the lines of a configuration file.

        Args:
            text: its content.
            file: where it is, to be rewritten.
            directory: what relative paths are relative to, by default the working directory.

        Raises:
            ConfigError: one of them cannot be read; it says what to print.
        """
        config = cls(directory=directory)
        config.file = config.absolute(file) if file else ""
        Reader(config).read(text)
        return config

    # -- values ----------------------------------------------------------------------------------

    def value(self, name: str) -> object:
        """The value of a directive by its name or its older name."""
        return self.__dict__[DIRECTIVES[name].attribute]

    def show(self, name: str) -> bytes:
        """The value as CONFIG GET answers it."""
        directive = DIRECTIVES[name]
        return directive.kind.show(self.__dict__[directive.attribute])

    def matching(self, patterns: Iterable[bytes]) -> dict[bytes, bytes]:
        """Names and values for CONFIG GET; hidden directives by their exact name only."""
        found: dict[bytes, bytes] = {}
        seen: set[str] = set()
        for pattern in patterns:
            if not any(c in pattern for c in b"[*?"):
                name = to_text(pattern).lower()
                if name in DIRECTIVES and name not in seen:
                    seen.add(name)
                    found[pattern] = self.show(name)
                continue
            match = compiled(pattern, ignore_case=True).fullmatch
            for name, directive in DIRECTIVES.items():
                if name not in seen and not directive.hidden and match(name.encode()):
                    seen.add(name)
                    found[name.encode()] = self.show(name)
        return found

    def absolute(self, path: str) -> str:
        """A path seen from `dir`, without `.` and `..`."""
        return os.path.normpath(Path(self.dir, path))

    def store(self, directive: Directive, value: object) -> None:
        """Set a value without asking or telling anybody."""
        self.__dict__[directive.attribute] = value

    def take_sentinel_line(self, line: SentinelLine) -> None:
        """A line `sentinel ...`, which only a Sentinel has.

        Raises:
            RefusedError: with Redis's words.
        """
        raise RefusedError("sentinel directive while not in sentinel mode")

    def settle(self) -> None:
        """Bring values that Redis takes from a wider range into the range that works."""
        self.hz = min(max(self.hz, HZ_LEAST), HZ_MOST)

    # -- changes ---------------------------------------------------------------------------------

    def on_change(self, name: str, callback: Callable[[], None]) -> None:
        """Call back after CONFIG SET has changed a directive.

        The callback may raise `RefusedError` with Redis's words: then everything that the same
        CONFIG SET changed is changed back, and the callbacks are called again.
        """
        self._listeners.setdefault(DIRECTIVES[name].name, []).append(callback)

    def change(
        self, pairs: Sequence[tuple[str, bytes]], *, local: bool = True, loading: bool = False
    ) -> list[str]:
        """Set directives as CONFIG SET does: all of them or none.

        Args:
            pairs: names as the client spelled them, and values.
            local: whether the client is on this machine.
            loading: whether the node loads data.

        Returns:
            The names of those that changed.

        Raises:
            StillLoadingError: one of them may not be changed while data are loaded.
            RefusedError: with the text of the error reply, without its `ERR`.
        """
        chosen = self._choose([name for name, _ in pairs], local=local, loading=loading)
        before = {d.name: self.value(d.name) for _, d in chosen}
        for (name, directive), (_, raw) in zip(chosen, pairs, strict=True):
            words = (raw.split(b" ") if raw else []) if directive.kind.multi else [raw]
            try:
                value = directive.kind.parse(words, self.value(directive.name), first=None)
            except RefusedError as refused:
                self._restore(before)
                raise _set_failed(name, str(refused)) from None
            self.store(directive, value)
        changed = [name for name in before if self.value(name) != before[name]]
        for number, name in enumerate(changed):
            try:
                self._apply(name)
            except RefusedError as refused:
                self._restore(before)
                self.settle()
                for applied in changed[:number]:
                    self._apply(applied)
                raise _set_failed(name, str(refused)) from None
        return changed

    def values(self, names: Sequence[str]) -> dict[str, object]:
        """The values of directives that are known, to be put back."""
        known = [DIRECTIVES[name.lower()] for name in names if name.lower() in DIRECTIVES]
        return {directive.name: self.value(directive.name) for directive in known}

    def put_back(self, before: Mapping[str, object], name: str, reason: str) -> RefusedError:
        """Change everything back, for what CONFIG SET has set does not work after all.

        Args:
            before: the values from before.
            name: the directive at fault.
            reason: what is wrong, in Redis's words.

        Returns:
            What CONFIG SET answers.
        """
        changed = [each for each, value in before.items() if self.value(each) != value]
        self._restore(before)
        for each in changed:
            self._apply(each)
        return _set_failed(name, reason)

    def _choose(
        self, names: Sequence[str], *, local: bool, loading: bool
    ) -> list[tuple[str, Directive]]:
        """The directives that names mean.

        Raises:
            StillLoadingError: one may not be set while data are loaded.
            RefusedError: one is unknown, may not be set, or comes twice.
        """
        chosen: list[tuple[str, Directive]] = []
        for name in names:
            directive = DIRECTIVES.get(name.lower())
            if directive is None:
                raise RefusedError(
                    f"Unknown option or number of arguments for CONFIG SET - '{name}'"
                )
            if directive.immutable:
                raise _set_failed(name, "can't set immutable config")
            allowed = self.enable_protected_configs
            if directive.protected and allowed != "yes" and not (allowed == "local" and local):
                raise _set_failed(name, "can't set protected config")
            if directive.settled and loading:
                raise StillLoadingError
            if name.lower() in [known for known, _ in chosen]:
                raise _set_failed(name, "duplicate parameter")
            chosen.append((name.lower(), directive))
        return chosen

    def _restore(self, before: Mapping[str, object]) -> None:
        for name, value in before.items():
            self.store(DIRECTIVES[name], value)

    def _apply(self, name: str) -> None:
        """Tell whoever listens that a directive has changed."""
        if name in _TLS_SWITCHES and self.value(name):
            raise RefusedError(_TLS_REFUSED)
        self.settle()
        if name == "repl-backlog-size":
            self.repl_backlog_size = max(self.repl_backlog_size, BACKLOG_LEAST)
        elif name == "watchdog-period" and self.watchdog_period:
            self.watchdog_period = max(self.watchdog_period, 2 * (1000 // self.hz))
        for callback in self._listeners.get(name, ()):
            callback()

    # -- what a node asks at its start -----------------------------------------------------------

    @property
    def listen_addresses(self) -> list[ListenAddress]:
        """The addresses of `bind` as hosts that asyncio takes; `*` is all of them."""
        found: list[ListenAddress] = []
        for address in self.bind:
            required = not address.startswith("-")
            host = address.removeprefix("-")
            plain = {"*": "0.0.0.0", "::*": "::"}.get(host, host)
            found.append(ListenAddress(plain, required))
        return found

    def unbuilt(self) -> list[str]:
        """What was asked for but is not built, by the names of the directives."""
        asked = [
            name
            for name in self.given
            if DIRECTIVES[name].unbuilt and self.value(name) != DIRECTIVES[name].default
        ]
        return asked + list(self.unbuilt_lines)

    def warnings(self) -> list[str]:
        """Lines for the log of a node that starts: one for each directive without effect."""
        return [no_effect(name) for name in self.unbuilt()]


def no_effect(name: str) -> str:
    """The warning about a directive that is accepted and does nothing."""
    return f"WARNING: '{name}' is accepted but has no effect: it is not built yet in redislab."


def _set_failed(name: str, reason: str) -> RefusedError:
    return RefusedError(f"CONFIG SET failed (possibly related to argument '{name}') - {reason}")
