"""The `redis` world: real redis-servers, Sentinels and proxies, started, watched and stopped by us.

Each node has a directory of its own under one temporary directory, with its configuration file and
its log. The processes and the directory are gone when the world is closed, and also when this
process is killed: a watchdog (`watchdog.py`) sees to that. They are in a session of their own, so
an interrupt of a notebook's cell does not reach them.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from redislab.worlds import proxies
from redislab.worlds.base import (
    LogLine,
    NodeHandle,
    NodeSpec,
    ProgramMissingError,
    State,
    WorldError,
)
from redislab.worlds.nodes import Directives, config_name, node_factory
from redislab.worlds.real import RealNode, RealWorld

if TYPE_CHECKING:
    from redislab.worlds.routes import Site

READY_SECONDS_MAX = 10.0
READY_STEP_SECONDS = 0.005
END_SECONDS_MAX = 5.0
LOG_NAME = "redis.log"
OUTPUT_NAME = "output"


class ProcessNode(RealNode):
    """A node that is a process, and what runs now.

    Args:
        world: whose it is.
        spec: what it should be.
        handle: its name and known address.
        site: where it listens.
        command: the program, and its arguments before the configuration file.
    """

    def __init__(
        self,
        world: RealWorld,
        spec: NodeSpec,
        handle: NodeHandle,
        site: Site,
        command: Sequence[str],
    ) -> None:
        super().__init__(world, spec, handle, site)
        is_proxy = proxies.is_proxy(spec)
        own_log = str(spec.config.get("logfile", LOG_NAME))
        self._log_name = proxies.LOG_NAME if is_proxy else own_log
        files = (proxies.LOG_NAME, proxies.PID_NAME) if is_proxy else (LOG_NAME,)
        self.made += (*files, OUTPUT_NAME)
        words = proxies.arguments(spec, handle.port) if is_proxy else [config_name(spec)]
        self._command = [*command, *words]
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it; the first time with a new configuration file, which it may rewrite."""
        self.configure()
        with (self.home / OUTPUT_NAME).open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.process_id = self._process.pid
        self.world.workspace.began(self._process.pid)
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """`kill -9`."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(END_SECONDS_MAX)
            self.world.workspace.ended(process.pid)

    def pause(self) -> None:
        """`SIGSTOP`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """`SIGCONT`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def look(self) -> State:
        """How it is; notices if it has ended by itself, as SHUTDOWN makes it."""
        if self._process is not None and self._process.poll() is not None:
            self.world.workspace.ended(self._process.pid)
            self._process = None
            self.stopped()
        return self.state

    def log(self) -> str:
        """What it printed, and its log file."""
        output = (self.home / OUTPUT_NAME).read_text(errors="replace")
        log = self.home / self._log_name
        return output + (log.read_text(errors="replace") if log.is_file() else "")

    def log_lines(self) -> list[LogLine]:
        """The lines of its log that say when they were written."""
        found: list[LogLine] = []
        for text in self.log().splitlines():
            time = _when(text)
            if time is not None:
                found.append(LogLine(time - self.world.began_at, text))
        return found

    def directives(self) -> Directives:
        """With what a process is told of where it runs."""
        config = super().directives()
        config["daemonize"] = "no"
        config.setdefault("logfile", LOG_NAME)
        config.setdefault("dir", str(self.home))
        return config

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it answers; raises WorldError with its last words if it ends."""
        ends = time.monotonic() + READY_SECONDS_MAX
        host, port = self.site.own
        options = proxies.CLIENT_OPTIONS if proxies.is_proxy(self.spec) else {}
        retry = Retry(NoBackoff(), 0)
        with redis.Redis(host=host, port=port, socket_timeout=1, retry=retry, **options) as probe:
            while time.monotonic() < ends:
                if process.poll() is not None:
                    break
                try:
                    probe.ping()
                except (redis.AuthenticationError, redis.ResponseError):
                    return  # It asks for a password, so it is there.
                except (redis.ConnectionError, redis.TimeoutError):
                    time.sleep(READY_STEP_SECONDS)
                else:
                    return
        ended = process.returncode
        what = f"ended with {ended}" if ended is not None else "does not answer"
        last_words = "".join(self.log().splitlines(keepends=True)[-8:])
        raise WorldError(
            f"{Path(self._command[0]).name} on port {self.handle.port} {what}:\n{last_words}"
        )


class RedisWorld(RealWorld):
    """Real processes of Redis.

    Args:
        seed: for the other worlds' sake; real processes draw from the machine.
        program: the redis-server to run; None looks it up on the PATH.
        options: those of `RealWorld`.

    Raises:
        ProgramMissingError: when there is none.
    """

    name = "redis"

    def __init__(self, *, seed: int = 0, program: str | None = None, **options: Any) -> None:
        self._command = real_command("redis", program)
        super().__init__(seed=seed, **options)

    def make_node(self, spec: NodeSpec, handle: NodeHandle, site: Site) -> RealNode:
        """A real one, or one of ours if the spec says so."""
        if spec.real is False:
            from redislab.worlds.live import Guest

            return Guest(self, spec, handle, site, node_factory(spec, handle.port))
        command = self._command if spec.program == "redis" else real_command(spec.program)
        return ProcessNode(self, spec, handle, site, command)


class OwnProcessWorld(RealWorld):
    """The `live` world with a process for each node: `redislab server` where Redis would run.

    For measurements: a node that shares an interpreter with its client measures how the two take
    turns.
    """

    name = "live"

    def make_node(self, spec: NodeSpec, handle: NodeHandle, site: Site) -> RealNode:
        """One of ours as a program of its own, or a real one if the spec says so."""
        own = [sys.executable, "-m", "redislab", _COMMANDS[spec.program]]
        command = real_command(spec.program) if spec.real else own
        return ProcessNode(self, spec, handle, site, command)


def _when(line: str) -> float | None:
    """The time of a line of a log, in seconds since the epoch."""
    for stamp, form in _STAMPS:
        found = stamp.match(line)
        if found is not None:
            moment = datetime.strptime(found[1], form)  # noqa: DTZ007 - local, as logged
            return moment.timestamp()
    return None


# Process, role, and the time in the machine's own zone; nutcracker's, with the time alone.
_STAMPS = (
    (re.compile(r"\d+:[A-Z] (\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}) "), "%d %b %Y %H:%M:%S.%f"),
    (re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})\] "), "%Y-%m-%d %H:%M:%S.%f"),
)
_COMMANDS = {"redis": "server", "sentinel": "sentinel", "proxy": "proxy"}
_PROGRAMS = {"redis": "redis-server", "sentinel": "redis-sentinel", "proxy": "nutcracker"}
_REDIS = (
    "in the package {package} (apt install {package}), conda-forge in redis-server (conda install"
    " -c conda-forge redis-server), Homebrew in redis (brew install redis)"
)
# Where a program comes from, if not from Debian's package redis-server.
_SOURCES = {
    "redis-sentinel": _REDIS.format(package="redis-sentinel"),
    "nutcracker": "in the package nutcracker (apt install nutcracker), Homebrew in twemproxy (brew"
    " install twemproxy)",
}
# Where Debian has nutcracker, which is not on the PATH of every user.
_SYSTEM_PROGRAMS = "/usr/sbin"


def real_command(program: str = "redis", path: str | None = None) -> list[str]:
    """The real program of a kind of node, by its path or from the PATH.

    Raises:
        ProgramMissingError: there is none.
    """
    return [find_program(path or _PROGRAMS[program])]


def find_program(name: str) -> str:
    """The path of a real program; raises ProgramMissingError that names its packages."""
    path = shutil.which(name) or shutil.which(name, path=_SYSTEM_PROGRAMS)
    if path is None:
        source = _SOURCES.get(name) or _REDIS.format(package="redis-server")
        raise ProgramMissingError(
            f"the world 'redis' runs the real {name}, and there is none here. Debian and Ubuntu"
            f" have it {source}. The worlds 'sim' and 'live' need no program."
        )
    return path
