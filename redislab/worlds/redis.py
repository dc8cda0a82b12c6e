"""The `redis` world: real redis-server processes, started, watched and stopped by us.

Each node has a directory of its own under one temporary directory, with its redis.conf and its log.
The processes and the directory are gone when the world is closed, and also when this process is
killed: a watchdog (`watchdog.py`) sees to that. They are in a session of their own, so an interrupt
of a notebook's cell does not reach them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from redislab.worlds import watchdog
from redislab.worlds.base import NodeHandle, NodeSpec, ProgramMissingError, State, WorldError
from redislab.worlds.real import PORT_TRIES, RealNode, RealWorld

READY_SECONDS_MAX = 10.0
READY_STEP_SECONDS = 0.005
END_SECONDS_MAX = 5.0
LOG_NAME = "redis.log"


class _RedisNode(RealNode):
    """A node, its directory, and the process that runs now."""

    def __init__(self, spec: NodeSpec, handle: NodeHandle, directory: Path) -> None:
        super().__init__(spec, handle)
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None


class RedisWorld(RealWorld):
    """Real redis-server processes.

    Args:
        seed: for the other worlds' sake; real processes draw from the machine.
        program: the redis-server to run; None looks it up on the PATH.

    Raises:
        ProgramMissingError: when there is none.
    """

    name = "redis"

    def __init__(self, *, seed: int = 0, program: str | None = None) -> None:
        self._command = [find_program(program or "redis-server")]
        super().__init__(seed=seed)
        self._nodes: dict[str, _RedisNode] = {}
        self.directory = Path(tempfile.mkdtemp(prefix="redislab-"))
        self._watchdog = _start_watchdog(self.directory)

    def start(self, spec: NodeSpec) -> NodeHandle:
        """Start a node and wait until it answers.

        Raises:
            WorldError: when it ends instead; the message has its last words.
        """
        is_ours_to_choose = int(spec.config.get("port", "0")) == 0
        for tries_left in reversed(range(PORT_TRIES)):
            handle = self._prepare(spec)
            node = _RedisNode(spec, handle, self.directory / handle.name)
            try:
                self._launch(node)
            except WorldError as failure:
                if "Address already in use" in str(failure) and is_ours_to_choose and tries_left:
                    continue
                raise
            break
        self._nodes[node.handle.name] = node
        self._admit(node)
        return node.handle

    def state(self, name: str) -> State:
        """How a node is; one that ended by itself is "stopped"."""
        node: _RedisNode = self._node(name)
        self._look(node)
        return node.state

    def kill(self, name: str) -> None:
        """`kill -9`."""
        node: _RedisNode = self._node(name)
        self._look(node)
        if node.state in {"running", "paused"}:
            self._end(node)
            node.state = "killed"
            self._journal.event(name, "kill")

    def restart(self, name: str) -> None:
        """Start a node again, with the same configuration file and directory."""
        self.kill(name)
        self._launch(self._node(name))

    def pause(self, name: str) -> None:
        """`SIGSTOP`."""
        node: _RedisNode = self._node(name)
        self._look(node)
        if node.state == "running" and node.process is not None:
            node.process.send_signal(signal.SIGSTOP)
            node.state = "paused"
            self._journal.event(name, "pause")

    def resume(self, name: str) -> None:
        """`SIGCONT`."""
        node: _RedisNode = self._node(name)
        if node.state == "paused" and node.process is not None:
            node.process.send_signal(signal.SIGCONT)
            node.state = "running"
            self._journal.event(name, "resume")

    def log(self, name: str) -> str:
        """The text of a node's log."""
        node: _RedisNode = self._node(name)
        return _read_log(node)

    def process_id(self, name: str) -> int:
        """The process id of a node that runs; raises WorldError for one that does not."""
        node: _RedisNode = self._node(name)
        if node.process is None:
            raise WorldError(f"{name} does not run")
        return node.process.pid

    # -- inside --------------------------------------------------------------------------------

    def _launch(self, node: _RedisNode) -> None:
        if not node.runs:
            node.directory.mkdir()
            (node.directory / "redis.conf").write_text(_configuration(node))
        node.runs += 1
        with (node.directory / "output").open("wb") as output:
            node.process = subprocess.Popen(
                [*self._command, "redis.conf"],
                cwd=node.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._tell(f"+ {node.process.pid}")
        try:
            _wait_until_ready(node)
        except BaseException:
            self._end(node)
            raise
        node.state = "running"
        self._journal.event(node.handle.name, "start", f"listens on port {node.handle.port}")

    def _look(self, node: _RedisNode) -> None:
        """Notice when a process has ended by itself, as SHUTDOWN makes it."""
        if node.process is not None and node.process.poll() is not None:
            self._tell(f"- {node.process.pid}")
            node.process = None
            node.state = "stopped"
            self._journal.event(node.handle.name, "stop")

    def _end(self, node: _RedisNode) -> None:
        process, node.process = node.process, None
        if process is not None:
            process.kill()
            process.wait(END_SECONDS_MAX)
            self._tell(f"- {process.pid}")

    def _tell(self, line: str) -> None:
        pipe = self._watchdog.stdin
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):
            pipe.write(f"{line}\n".encode())
            pipe.flush()

    def _all_nodes(self) -> dict[str, Any]:
        return self._nodes

    def _end_nodes(self) -> None:
        try:
            for node in self._nodes.values():
                if node.process is not None:
                    self._end(node)
                    node.state = "stopped"
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
            if self._watchdog.stdin is not None:
                self._watchdog.stdin.close()
            self._watchdog.wait(END_SECONDS_MAX)


class OwnProcessWorld(RedisWorld):
    """The `live` world with a process for each node: `redislab server` where Redis would run.

    For measurements: a node that shares an interpreter with its client measures how the two take
    turns.
    """

    name = "live"

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed, program=sys.executable)
        self._command += ["-m", "redislab", "server"]


def find_program(name: str) -> str:
    """The path of a program of Redis; raises ProgramMissingError that names its packages."""
    path = shutil.which(name)
    if path is None:
        raise ProgramMissingError(
            f"the world 'redis' runs the real {name}, and there is none here. Debian and Ubuntu"
            " have it in the package redis-server (apt install redis-server), conda-forge in"
            " redis-server (conda install -c conda-forge redis-server), Homebrew in redis"
            " (brew install redis). The worlds 'sim' and 'live' need no program."
        )
    return path


def _start_watchdog(directory: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(f"d {directory}\n".encode())
    process.stdin.flush()
    return process


def _configuration(node: _RedisNode) -> str:
    """The node's redis.conf: its spec's directives, and where it listens and keeps its files."""
    config = {name.lower(): str(value) for name, value in node.spec.config.items()}
    config["port"] = str(node.handle.port)
    config["daemonize"] = "no"
    config.setdefault("bind", node.handle.host)
    config.setdefault("logfile", LOG_NAME)
    config.setdefault("dir", str(node.directory))
    return "".join(f"{name} {value or _EMPTY}\n" for name, value in config.items())


_EMPTY = '""'


def _wait_until_ready(node: _RedisNode) -> None:
    """Wait until the process answers; raises WorldError with its last words if it ends."""
    process, handle = node.process, node.handle
    assert process is not None
    ends = time.monotonic() + READY_SECONDS_MAX
    with redis.Redis(
        host=handle.host, port=handle.port, socket_timeout=1, retry=Retry(NoBackoff(), 0)
    ) as probe:
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
    raise WorldError(f"redis-server on port {handle.port} {what}:\n{_last_words(node)}")


def _read_log(node: _RedisNode) -> str:
    output = (node.directory / "output").read_text(errors="replace")
    log = node.directory / node.spec.config.get("logfile", LOG_NAME)
    return output + (log.read_text(errors="replace") if log.is_file() else "")


def _last_words(node: _RedisNode) -> str:
    return "".join(_read_log(node).splitlines(keepends=True)[-8:])
