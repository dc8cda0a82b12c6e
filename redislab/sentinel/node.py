"""A whole Sentinel: a node of `redislab.server` with other commands, without data.

It has the clients, the ACLs, INFO and the log of a node; what it watches and decides is a `Watch`.
Nothing follows it and it follows nobody; what it knows is kept in its configuration file. Follows
the parts about `sentinel_mode` in `src/server.c` of Redis 7.0, and `sentinelIsRunning` and
`sentinelFlushConfig` in `src/sentinel.c`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from redislab.engine.table import Handler
from redislab.sentinel.configrewrite import rewritten
from redislab.sentinel.programs import Programs
from redislab.sentinel.watch import Watch
from redislab.server.facts import SENTINEL_COMMANDS
from redislab.server.node import Node
from redislab.server.persistence.disk import error_text

if TYPE_CHECKING:
    from redislab.sentinel.configfile import SentinelConfig
    from redislab.server.environment import Environment


class SentinelNode(Node):
    """One Sentinel.

    Args:
        config: as read from sentinel.conf; the file is rewritten as the state changes.
        environment: its clocks, random source, log and disk.

    Attributes:
        state: what it knows.
        watch: what it does.
    """

    title: ClassVar[str] = "Sentinel"
    holds_data: ClassVar[bool] = False

    def __init__(self, config: SentinelConfig, environment: Environment) -> None:
        super().__init__(config, environment)
        self.mode = "sentinel"
        self.log.role = "X"
        self.state = config.first_state(self.now_ms())
        self.programs = Programs(self)
        self.watch = Watch(self, self.state)

    @classmethod
    def handlers(cls) -> Mapping[bytes, Handler]:
        """Those of a server that a Sentinel has as well, and its own."""
        from redislab.sentinel.commands import HANDLERS

        every = {**super().handlers(), **HANDLERS}
        return {name: handler for name, handler in every.items() if name in SENTINEL_COMMANDS}

    # -- life ----------------------------------------------------------------------------------

    async def start_up(self) -> None:
        """Read the users; there are no data."""
        self.acl.start_up()

    def begin(self) -> None:
        """Watch from now on."""
        self.watch.start()

    def _end(self) -> None:
        self.watch.stop()
        super()._end()

    # -- what the watch asks (`SentinelHost`) ----------------------------------------------------

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.config.port

    @property
    def password(self) -> str:
        """Its `requirepass`."""
        return self.config.requirepass

    @property
    def source_address(self) -> str:
        """The address that its connections come from; empty for any."""
        return self.config.bind_source_addr

    def announce(self, channel: bytes, message: bytes) -> None:
        """Send a message to those who listen to a channel here."""
        self.pubsub.publish(channel, message)

    def flush_config(self) -> bool:
        """Write the state into the configuration file; tell whether that went well."""
        disk, path = self.environment.disk, self.config.file
        try:
            old = disk.read(path) if disk.size(path) is not None else b""
            disk.overwrite(path, rewritten(self.config, self.user_lines(), self.state, old))
        except OSError as failure:
            self.log.warning(
                "WARNING: Sentinel was not able to save the new configuration on disk!!!: "
                f"{error_text(failure)}"
            )
            return False
        self.log.notice("Sentinel new configuration saved on disk")
        return True

    def run_script(
        self, arguments: Sequence[str], ended: Callable[[int, int, int], None]
    ) -> int | None:
        """Run a program; `ended` is called at its end, with process id, exit code and signal."""
        return self.programs.run(arguments, ended)

    def kill_script(self, process_id: int) -> None:
        """Kill a program that was run."""
        self.programs.kill(process_id)
