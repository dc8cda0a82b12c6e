"""How a spec becomes a configuration file, and in `sim` and `live` one of our own nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from redislab.worlds.base import Address, LogLine, NodeSpec, WorldError
from redislab.worlds.proxies import CONFIG_NAME, PROXY, arguments, is_proxy, pool_file

if TYPE_CHECKING:
    from redislab.server import Environment

LOG_LINES_MAX = 100_000
LAST_WORDS_MAX = 2000  # characters
_EMPTY = '""'


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


# Makes a node from the path of its configuration file, on its own disk, and its surroundings.
NodeFactory = Callable[[str, "Environment"], Runnable]
Directives = dict[str, "str | tuple[str, ...]"]


def redis_node(file: str, environment: Environment) -> Runnable:
    """One Redis node of ours; raises ConfigError for a file that Redis would not take."""
    from redislab.server import Node
    from redislab.server.config import Config

    text = environment.disk.read(file)
    config = Config.from_text(text, file=file, directory=environment.directory)
    return Node(config, environment)


def sentinel_node(file: str, environment: Environment) -> Runnable:
    """One Sentinel of ours; raises ConfigError for a file that Redis would not take."""
    from redislab.sentinel.configfile import SentinelConfig
    from redislab.sentinel.node import SentinelNode

    text = environment.disk.read(file)
    config = SentinelConfig.from_text(text, file=file, directory=environment.directory)
    return SentinelNode(config, environment)


def proxy_node(file: str, environment: Environment, spec: NodeSpec, port: int) -> Runnable:
    """One proxy of ours.

    Args:
        file: its configuration file.
        environment: its surroundings.
        spec: what else it is told.
        port: that it is known by.

    Raises:
        WorldError: nutcracker would not take its file; the message has nutcracker's words.
    """
    from redislab.ring.proxy.conf import ConfError, read_conf
    from redislab.ring.proxy.node import ProxyNode
    from redislab.ring.proxy.options import read_options

    options = read_options(arguments(spec, port))
    try:
        read = read_conf(environment.disk.read(file), file)
    except ConfError as wrong:
        raise WorldError(f"{environment.name} cannot be started: {wrong}") from wrong
    config = replace(
        read,
        mbuf_size=options.mbuf_size,
        stats_host=options.stats_addr,
        stats_port=options.stats_port,
    )
    return ProxyNode(config, environment, options.verbose)


_FACTORIES: dict[str, NodeFactory] = {"redis": redis_node, "sentinel": sentinel_node}


def node_factory(spec: NodeSpec, port: int) -> NodeFactory:
    """What makes a node of ours of this kind, which is known by this port."""
    if is_proxy(spec):
        return partial(proxy_node, spec=spec, port=port)
    return _FACTORIES[spec.program]


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
        self._lines: list[LogLine] = []
        self._forgotten = 0

    def append(self, time: float, line: str) -> LogLine:
        """Add a line; the oldest tenth goes when there are too many."""
        told = LogLine(time, line)
        self._lines.append(told)
        if len(self._lines) > LOG_LINES_MAX:
            del self._lines[: LOG_LINES_MAX // 10]
            self._forgotten += LOG_LINES_MAX // 10
        return told

    def lines(self, since: int) -> list[LogLine]:
        """The lines but the first `since`."""
        return self._lines[max(0, since - self._forgotten) :]

    def text(self) -> str:
        """All lines, each with its line end."""
        return "".join(f"{line.text}\n" for line in self._lines)


def check_program(spec: NodeSpec) -> None:
    """Raises WorldError for a program that this release does not know."""
    programs = (*_FACTORIES, PROXY)
    if spec.program not in programs:
        known = ", ".join(map(repr, programs))
        raise WorldError(f"there is no program {spec.program!r} here, only {known}")


def directives(spec: NodeSpec) -> Directives:
    """What the spec says, names in lower case."""
    return {
        name.lower(): value if isinstance(value, tuple) else str(value)
        for name, value in spec.config.items()
    }


def joined(first: Directives, second: Directives) -> Directives:
    """Directives of two origins: the second counts, but where a name has several lines."""
    both = first | second
    for name in first.keys() & second.keys():
        if isinstance(first[name], tuple) and isinstance(second[name], tuple):
            both[name] = (*first[name], *second[name])
    return both


def configuration(spec: NodeSpec, listen: Address, config: Directives) -> bytes:
    """A node's configuration file.

    Args:
        spec: of the node.
        listen: where it listens.
        config: its directives, for a program that has such.
    """
    if is_proxy(spec):
        return pool_file(spec, listen)
    lines = [
        f"{name} {value or _EMPTY}\n"
        for name, values in config.items()
        for value in (values if isinstance(values, tuple) else (values,))
    ]
    return "".join(lines).encode("utf-8", "surrogateescape")


def config_name(spec: NodeSpec) -> str:
    """What the configuration file of a node is called."""
    return CONFIG_NAME if is_proxy(spec) else f"{spec.program}.conf"


def asked_port(spec: NodeSpec) -> int:
    """The port that a spec asks for; 0 for any."""
    return int(str(spec.config.get("port", "0")))


def node_name(spec: NodeSpec, port: int) -> str:
    """The name of its host."""
    return spec.name or f"{spec.program}-{port}"
