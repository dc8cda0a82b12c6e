"""`redislab server`: one node as a program, started, logging and stopping as redis-server does.

A Sentinel is started in the same way, with other classes (`redislab.sentinel.main`). Follows `main`
in `src/server.c` of Redis 7.0. The event loop is uvloop's where that is installed.
"""

from __future__ import annotations

import asyncio
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from redislab.server import collector
from redislab.server.config import Config, StartupExit
from redislab.server.environment import Environment
from redislab.server.exits import ExitError
from redislab.server.files import FileSystem
from redislab.server.log import Log
from redislab.server.names import VERSION
from redislab.server.node import Node
from redislab.server.shutdown import Signals
from redislab.wire.rdb import lzf

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Kind:
    """A kind of node that can be run as a program.

    Attributes:
        name: of the command that runs it.
        letter: in its lines of the log, before the node runs.
        read: reads a configuration from the words of a command line, and standard input.
        make: makes a node.
    """

    name: str
    letter: str
    read: Callable[[list[str], Callable[[], bytes]], Config]
    make: Callable[[Any, Environment], Node]


SERVER = Kind("server", "C", lambda argv, stdin: Config.from_args(argv, stdin=stdin), Node)


def main(argv: list[str], kind: Kind = SERVER) -> int:
    """Run a node until it is told to stop.

    Args:
        argv: what redis-server takes: `[redis.conf] [--directive value ...]`.
        kind: of node.

    Returns:
        The exit code: 0 after a clean stop, 1 for a bad configuration or an address in use.
    """
    sink = Sink()
    log = Log(environment(sink, f"redis-{os.getpid()}"))
    log.role = kind.letter
    try:
        config = kind.read(argv, sys.stdin.buffer.read)
    except StartupExit as end:
        sys.stdout.write(end.stdout)
        sys.stderr.buffer.write(end.stderr.encode("utf-8", "surrogateescape"))
        for line in end.log.splitlines():
            log.warning(line)
        return end.code
    if config.daemonize:
        log.warning(
            "daemonize is not built in redislab: run it in the background with your shell (&) or "
            "a service manager; this process goes on in the foreground."
        )
    try:
        sink.open(config.logfile and config.absolute(config.logfile))
    except OSError as failure:
        sys.stderr.write(f"Can't open the log file: {os.strerror(failure.errno or 0)}\n")
        return 1
    for line in config.notes:
        log.warning(line)
    _announce(log, kind, argv)
    for line in config.warnings():
        log.warning(line)
    return run(_serve(config, kind, sink))


async def _serve(config: Config, kind: Kind, sink: Sink) -> int:
    surroundings = environment(sink, f"redis-{config.port}")
    node = kind.make(config, surroundings)
    node.cron.tasks.append(collector.take_over(config.hz))
    node.log.notice("monotonic clock: POSIX clock_gettime")
    try:
        if config.pidfile:
            _write_pid(config.pidfile, node)
            node.leaving.before_bye.append(lambda: _remove_pid(config.pidfile, node))
        Signals(node, asyncio.get_running_loop()).listen()
        await node.start()
    except OSError:
        return 1
    except ExitError as end:
        return end.code
    await node.stopped.wait()
    return node.exit_code or 0


def _announce(log: Log, kind: Kind, argv: list[str]) -> None:
    log.warning("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo")
    log.warning(
        f"Redis version={VERSION}, bits={64 if sys.maxsize > 2**32 else 32}, commit=00000000, "
        f"modified=0, pid={os.getpid()}, just started"
    )
    if argv:
        log.warning("Configuration loaded")
    else:
        log.warning(
            "Warning: no config file specified, using the default config. In order to specify a "
            f"config file use redislab {kind.name} /path/to/redis.conf"
        )


def run(coroutine: Coroutine[Any, Any, int]) -> int:
    """Run to the end, on uvloop if it is there."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(coroutine)
    return int(uvloop.run(coroutine))


def _write_pid(path: str, node: Node) -> None:
    try:
        Path(path).write_text(f"{os.getpid()}\n", encoding="ascii")
    except OSError as failure:
        node.log.warning(f"Failed to write PID file: {failure.strerror}")


def _remove_pid(path: str, node: Node) -> None:
    node.log.notice("Removing the pid file.")
    Path(path).unlink(missing_ok=True)


class Sink:
    """Where log lines go: a stream, or a file that is opened by its name for every line.

    Args:
        stream: for as long as there is no file; standard output by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._path = ""

    def open(self, path: str) -> None:
        """Write to a file from now on; to the stream for an empty name.

        Raises:
            OSError: it cannot be opened.
        """
        if path:
            with Path(path).open("a", encoding="utf-8"):
                pass
        self._path = path

    def __call__(self, line: str) -> None:
        """Write one line."""
        if not self._path:
            _write_line(self._stream or sys.stdout, line)
            return
        with Path(self._path).open("a", encoding="utf-8", errors="backslashreplace") as file:
            _write_line(file, line)


def _write_line(stream: TextIO, line: str) -> None:
    try:
        stream.write(line + "\n")
        stream.flush()
    except (OSError, ValueError):
        # Nobody reads the log any more; the server goes on, as Redis does.
        return


def environment(log: Callable[[str], None], name: str) -> Environment:
    """The surroundings of a node that is a program of its own: this process and its machine."""
    return Environment(
        name=name,
        random=random.Random(random.SystemRandom().getrandbits(128)),
        unix_time=time.time,
        clock=time.perf_counter,
        log=log,
        process_id=os.getpid(),
        cpu_time=cpu_time,
        rss=rss,
        disk=FileSystem(),
        directory=str(Path.cwd()),
        utc_offset=float(time.localtime().tm_gmtoff),
        machine=machine(),
        start_program=start_program,
        compress=lzf.compress,
    )


def start_program(path: str, arguments: Sequence[str], directory: str) -> subprocess.Popen[bytes]:
    """Start a program that writes where this one does, and do not wait for it."""
    return subprocess.Popen(list(arguments), executable=path, cwd=directory)


def machine() -> tuple[str, int]:
    """The operating system as INFO shows it, and the bytes of memory of this machine."""
    system = platform.uname()
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
    except (ValueError, OSError):
        memory = 0
    return f"{system.system} {system.release} {system.machine}", memory


def cpu_time() -> tuple[float, float]:
    """Seconds of processor time this process has used: (system, user)."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_stime, usage.ru_utime


def rss() -> int:
    """Bytes of memory of this process that are resident; the peak where /proc is missing."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - read ten times a second
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
