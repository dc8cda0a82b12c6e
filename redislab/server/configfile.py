"""Reading redis.conf and the command line, line by line, as Redis reads them.

Follows `main` in `src/server.c` and `loadServerConfig` in `src/config.c` of Redis 7.0: the options
of the command line become lines of text after those of the file and of standard input, and the last
line about a directive counts. What cannot be read ends the program with Redis's own report.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from redislab.server.directive_kinds import WRONG_NUMBER, RefusedError, to_bytes, to_text
from redislab.server.directives import DIRECTIVES, FORGOTTEN
from redislab.server.names import VERSION
from redislab.server.users import UNKNOWN_COMMAND, RuleError, User, merge_selectors
from redislab.wire.clitext import quote
from redislab.wire.requests import split_words

if TYPE_CHECKING:
    from redislab.server.config import Config

_BAD_DIRECTIVE = "Bad directive or wrong number of arguments"
_SECOND_USER = "Duplicate user found. A user can only be defined once in config files"
_INCLUDE_DEPTH_MAX = 64

USAGE = """Usage: redislab server [/path/to/redis.conf] [options] [-]
       redislab server - (read the configuration from standard input)
       redislab server -v or --version
       redislab server -h or --help
       redislab server --test-memory <megabytes>
       redislab server --check-system

An option is a directive of redis.conf with two hyphens in front, and its values after it:
       redislab server (as Redis does without a configuration, on this machine only)
       redislab server --port 7777
       redislab server --port 7777 --save 900 1 --maxmemory 100mb
       redislab server /etc/myredis.conf --loglevel verbose
       echo 'maxmemory 128mb' | redislab server -
"""


class StartupExit(Exception):  # noqa: N818 - an end, of which only some are errors
    """The program is to end before a node runs.

    Attributes:
        code: the exit code.
        stdout, stderr: what to print there, complete with line ends.
        log: lines for the log (warnings), parted by line ends, or empty.
    """

    def __init__(self, code: int, *, stdout: str = "", stderr: str = "", log: str = "") -> None:
        super().__init__(stderr or log or stdout)
        self.code = code
        self.stdout = stdout
        self.stderr = stderr
        self.log = log


class ConfigError(StartupExit):
    """The configuration cannot be read; `stderr` or `log` say why, in Redis's words."""


def answer_special_options(argv: Sequence[str], usage: str = USAGE) -> None:
    """Answer --version, --help (with `usage`), --test-memory and --check-system.

    Raises:
        StartupExit: one of them came first on the command line.
    """
    first = argv[0] if argv else ""
    if first in {"-v", "--version"}:
        line = f"Redis server v={VERSION} sha=00000000:0 malloc=python bits=64 build=redislab\n"
        raise StartupExit(0, stdout=line)
    if first in {"-h", "--help"}:
        raise StartupExit(1, stderr=usage)
    if first == "--test-memory":
        if len(argv) != 2:
            message = (
                "Please specify the amount of memory to test in megabytes.\n"
                "Example: redislab server --test-memory 4096\n\n"
            )
        else:
            message = "redislab cannot test memory from Python; redis-server --test-memory can.\n"
        raise StartupExit(1, stderr=message)
    if first == "--check-system":
        line = "Nothing to check: redislab neither forks nor allocates huge pages.\n"
        raise StartupExit(0, stdout=line)


def options_as_lines(argv: Sequence[str]) -> bytes:
    """The options of the command line as the lines of redis.conf that they stand for.

    A word with two hyphens in front begins a line once the line before has a value; `--save` may
    stand without one, and so may `--sentinel`, which says nothing more.
    """
    text = b""
    has_value = True
    for at, word in enumerate(argv):
        if word == "-" and at in {0, len(argv) - 1}:
            continue  # standard input
        raw = to_bytes(word)
        if not (has_value and word.startswith("--")):
            text += quote(raw).encode() + b" "
            has_value = True
            continue
        text += (b"\n" if text else b"") + raw[2:] + b" "
        has_value = len(split_words(raw) or ()) != 1
        if has_value or word.lower() not in {"--save", "--sentinel"}:
            continue
        last = at == len(argv) - 1
        if last or argv[at + 1].startswith("--"):
            text += b'""' if word.lower() == "--save" else b""
            has_value = not last
    return text


def read_file(path: str, directory: str) -> bytes:
    """The content of a file, or of all files that a pattern with `*?[` matches, one after another.

    Raises:
        ConfigError: a file cannot be opened.
    """
    absolute = os.path.join(directory, path)  # noqa: PTH118 - a pattern, not yet a path
    names = sorted(glob.glob(absolute)) if any(c in path for c in "*?[") else [absolute]  # noqa: PTH207
    content = b""
    for name in names:
        try:
            content += Path(name).read_bytes()
        except OSError as failure:
            shown = path if name == absolute else name
            raise ConfigError(
                1, log=f"Fatal error, can't open config file '{shown}': {failure.strerror}"
            ) from None
    return content


class SentinelLine(NamedTuple):
    """A line `sentinel ...`: its number, the whole of it, and its words after the first."""

    number: int
    line: bytes
    words: tuple[bytes, ...]


class Reader:
    """Reads the text of one configuration into a `Config`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.depth = 0  # of included files
        # Whether `save` lines add up. As in Redis they no longer do after an included file.
        self.adding = True
        self.unknown_rule = ""

    def read(self, text: bytes) -> None:
        """Read lines.

        Raises:
            ConfigError: at the first line that Redis would not take, with Redis's report.
        """
        self.adding = True
        for number, raw in enumerate(text.split(b"\n"), 1):
            line = raw.strip(b" \t\r\n")
            if not line or line.startswith(b"#"):
                continue
            try:
                self._read_line(line, number)
            except RefusedError as refused:
                raise fatal(str(refused), number, line) from None
        self.adding = False
        try:
            self._check_whole()
        except RefusedError as refused:
            raise fatal(str(refused)) from None

    def _read_line(self, line: bytes, number: int) -> None:
        words = split_words(line)
        if words is None:
            raise RefusedError("Unbalanced quotes in configuration line")
        if not words:
            return
        name = to_text(words[0]).lower()
        directive = DIRECTIVES.get(name)
        if directive is None:
            self._read_other(name, words, line, number)
            return
        values = words[1:]
        if directive.kind.multi and len(values) == 1 and values[0]:
            values = split_words(values[0]) or []
        if not directive.kind.multi and len(values) != 1:
            raise RefusedError(WRONG_NUMBER)
        first = directive.name not in self.config.given if self.adding else None
        value = directive.kind.parse(values, self.config.value(directive.name), first=first)
        self.config.given[directive.name] = None
        self.config.store(directive, value)

    def _read_other(self, name: str, words: list[bytes], line: bytes, number: int) -> None:
        """Lines that are no settings."""
        config = self.config
        if name in FORGOTTEN and len(words) == 2:
            return
        if name == "include" and len(words) == 2:
            self._include(to_text(words[1]))
        elif name == "rename-command" and len(words) == 3:
            self._rename(words[1].lower(), words[2])
        elif name == "user" and len(words) >= 2:
            self._read_user(words)
        elif name == "loadmodule" and len(words) >= 2:
            config.unbuilt_lines[name] = None
        elif "." in name:
            if len(words) < 2:
                raise RefusedError("Module config specified without value")
            config.unbuilt_lines[name] = None
        elif name == "sentinel":
            if len(words) > 1:
                config.take_sentinel_line(SentinelLine(number, line, tuple(words[1:])))
        else:
            raise RefusedError(_BAD_DIRECTIVE)

    def _include(self, path: str) -> None:
        if self.depth == _INCLUDE_DEPTH_MAX:
            raise RefusedError(f"Files include each other more than {_INCLUDE_DEPTH_MAX} deep")
        self.depth += 1
        self.read(read_file(path, self.config.dir))
        self.depth -= 1

    def _rename(self, name: bytes, target: bytes) -> None:
        """Note the new name of a command; an empty one takes the command away."""
        renamed = self.config.renamed_commands
        known = set(self.config.commands)
        taken = (known - set(renamed)) | {new.lower() for new in renamed.values()}
        if b"|" in name or name not in taken:
            raise RefusedError("No such command in rename-command")
        taken.discard(name)
        if target and target.lower() in taken:
            raise RefusedError("Target command name already exists")
        original = next((old for old, new in renamed.items() if new.lower() == name), name)
        renamed[original] = target

    def _read_user(self, words: list[bytes]) -> None:
        """Try the rules of a user; who starts the node applies them (`config.users`).

        A rule about an unknown command is no error of the line: it ends the program once the whole
        configuration has been read, as in Redis.
        """
        name = words[1]
        if any(name == known for known, *_ in self.config.users):
            raise _bad_user(name, _SECOND_USER)
        rules, _ = merge_selectors(words[2:])
        user = User(name, catalog=self.config.commands)
        for at, rule in enumerate(rules):
            try:
                user.apply(rule)
            except RuleError as error:
                if str(error) != UNKNOWN_COMMAND:
                    # Redis shows the word two places before the rule at fault.
                    raise _bad_user(words[at], str(error)) from None
                self.unknown_rule = self.unknown_rule or (
                    f"Error loading ACL rule '{to_text(rule)}' for the user named "
                    f"'{to_text(name)}': {error}\nCritical error while loading ACLs. Exiting."
                )
        self.config.users.append([name, *rules])

    def _check_whole(self) -> None:
        """The questions that are asked at the end of a text."""
        config = self.config
        if config.logfile:
            try:
                with Path(config.dir, config.logfile).open("ab"):
                    pass
            except OSError as failure:
                raise RefusedError(f"Can't open the log file: {failure.strerror}") from None
        if config.cluster_enabled and config.replicaof:
            raise RefusedError("replicaof directive not allowed in cluster mode")
        config.settle()
        if self.unknown_rule and not self.depth:
            raise ConfigError(1, log=self.unknown_rule)


def _bad_user(shown: bytes, reason: str) -> RefusedError:
    return RefusedError(f"Error in user declaration '{to_text(shown)}': {reason}")


def fatal(message: str, number: int = 0, line: bytes = b"") -> ConfigError:
    """Redis's report of a line that it does not take."""
    report = f"\n*** FATAL CONFIG FILE ERROR (Redis {VERSION}) ***\n"
    if number:
        report += f"Reading the configuration file, at line {number}\n>>> '{to_text(line)}'\n"
    return ConfigError(1, stderr=f"{report}{message}\n")
