"""What a Sentinel needs of its surroundings.

The decisions, the links and the timer know no node: they are handed a `SentinelHost`, which
`node.py` is. Connections they make themselves, on the host's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from redislab.server.log import Log


class SentinelHost(Protocol):
    """Where a Sentinel runs."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it runs on."""
        ...

    @property
    def random(self) -> Random:
        """Its own random source."""
        ...

    @property
    def log(self) -> Log:
        """Its log."""
        ...

    @property
    def port(self) -> int:
        """The port that it listens on, which is what it tells others unless told otherwise."""
        ...

    @property
    def password(self) -> str:
        """Its `requirepass`; empty for none.

        It logs in to other Sentinels with it as well, unless told otherwise.
        """
        ...

    @property
    def source_address(self) -> str:
        """The address that its connections come from (`bind-source-addr`); empty for any."""
        ...

    def now_ms(self) -> int:
        """Milliseconds since the epoch, on the host's clock."""
        ...

    def call_later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """`loop.call_later`, cancelled when the node ends."""
        ...

    def announce(self, channel: bytes, message: bytes) -> None:
        """Send a message to those who listen to a channel of this Sentinel."""
        ...

    def flush_config(self) -> bool:
        """The state has changed: rewrite the configuration file at once, and say so in the log.

        Returns:
            Whether that went well.
        """
        ...

    def run_script(
        self, arguments: Sequence[str], ended: Callable[[int, int, int], None]
    ) -> int | None:
        """Run a program, without waiting for its end.

        One that cannot be executed ends with the exit code 2.

        Args:
            arguments: the program's path, and what it is given.
            ended: is called once, at the end: with the process id, the exit code and the signal
                that ended it, 0 for none.

        Returns:
            The process id; None if there are no programs here, which the log is told.

        Raises:
            OSError: no process could be made.
        """
        ...

    def kill_script(self, process_id: int) -> None:
        """Kill a program that `run_script` has started; its `ended` is called as ever."""
        ...

    def die(self, code: int) -> None:
        """End at once, as a process does with `exit`."""
        ...
