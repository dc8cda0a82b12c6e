"""What `sim` and `live` share: how a spec becomes one of our own nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from redislab.worlds.base import NodeHandle, NodeSpec, WorldError

if TYPE_CHECKING:
    from redislab.server import Environment

LOG_LINES_MAX = 100_000
LAST_WORDS_MAX = 2000  # characters


class Runnable(Protocol):
    """A node as a world sees it: plain asyncio, started and ended on the world's loop."""

    async def start(self) -> None:
        """Listen; raises OSError when the address cannot be had."""
        ...

    async def stop(self) -> None:
        """End in an orderly way."""
        ...

    def abort(self) -> None:
        """Drop everything at once."""
        ...


# Makes a node from its directives and its surroundings.
NodeFactory = Callable[[dict[str, str], "Environment"], Runnable]


def redis_node(config: dict[str, str], environment: Environment) -> Runnable:
    """One Redis node of ours; raises ValueError for directives that Redis would not take."""
    from redislab.server import Node
    from redislab.server.config import Config

    # `dir` goes past the check that it is there: it may be on a disk that is not this machine's,
    # or not be made yet.
    return Node(Config.from_mapping(config, directory=environment.directory), environment)


async def start(running: Runnable, name: str, log: LogLines) -> None:
    """Start a node.

    Raises:
        OSError: its address cannot be had.
        WorldError: it ends instead, as if it cannot load its data; the message has its last words.
    """
    from redislab.server.exits import ExitError

    try:
        await running.start()
    except ExitError as end:
        last_words = log.text()[-LAST_WORDS_MAX:]
        raise WorldError(f"{name} ended with exit code {end.code}:\n{last_words}") from end


class LogLines:
    """A node's log, over all of its runs."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def append(self, line: str) -> None:
        """Add a line; the oldest tenth goes when there are too many."""
        self._lines.append(line)
        if len(self._lines) > LOG_LINES_MAX:
            del self._lines[: LOG_LINES_MAX // 10]

    def text(self) -> str:
        """All lines, each with its line end."""
        return "".join(f"{line}\n" for line in self._lines)


def check_program(spec: NodeSpec) -> None:
    """Raises WorldError for a program that this release does not know."""
    if spec.program != "redis":
        raise WorldError(f"there is no program {spec.program!r} here, only 'redis'")


def directives(spec: NodeSpec, handle: NodeHandle) -> dict[str, str]:
    """The node's directives: the spec's, with the address that it really has."""
    config = {name.lower(): str(value) for name, value in spec.config.items()}
    config["port"] = str(handle.port)
    config.setdefault("bind", handle.host)
    return config


def node_name(spec: NodeSpec, port: int) -> str:
    """The name of its host."""
    return spec.name or f"{spec.program}-{port}"
