"""The log of a proxy: nutcracker's levels and the form of its lines.

    [2026-11-25 10:46:25.123] listening on '127.0.0.1:22121' in redis pool 'alpha' with 3 servers

The original puts the place in its source before each message; here there is none. Follows
`src/nc_log.c` of twemproxy 0.5.0.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redislab.server.environment import Environment

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
DEFAULT: Final = NOTICE
LOWEST, HIGHEST = 0, 11
_SHOWN_MAX: Final = 64


class Log:
    """The log of one proxy.

    Attributes:
        level: lines above it are dropped.
    """

    def __init__(self, environment: Environment, level: int = DEFAULT) -> None:
        self.environment = environment
        self.level = level

    def always(self, message: str) -> None:
        """Write one line, whatever the level."""
        self.environment.log(f"[{self._time()}] {message}")

    def problem(self, message: str) -> None:
        """Something has gone wrong."""
        if self.level >= ERROR:
            self.always(message)

    def warning(self, message: str) -> None:
        """Something may go wrong."""
        if self.level >= WARNING:
            self.always(message)

    def notice(self, message: str) -> None:
        """What is told by default."""
        if self.level >= NOTICE:
            self.always(message)

    def info(self, message: str) -> None:
        """What is told with -v 6."""
        if self.level >= INFO:
            self.always(message)

    def _time(self) -> str:
        zone = timedelta(seconds=self.environment.utc_offset)
        at = datetime.fromtimestamp(self.environment.unix_time(), UTC) + zone
        return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"


def shown(word: bytes) -> str:
    """A word of a client, short and on one line."""
    text = word[:_SHOWN_MAX].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "." for char in text)


def reason(failure: Exception) -> str:
    """What has failed, in the words of the system, without what asyncio says around them."""
    if not isinstance(failure, OSError):
        return str(failure)
    number = failure.errno or 0
    return os.strerror(number) if number > 0 else failure.strerror or str(failure)
