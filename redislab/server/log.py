"""Log lines as Redis writes them (`serverLogRaw` in `src/server.c` of Redis 7.0).

    4711:M 23 Nov 2026 09:00:00.123 * Ready to accept connections

Process id, role (M master, S replica, C before the server runs, X Sentinel), time, a sign for the
level, and the message.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.server.environment import Environment

DEBUG, VERBOSE, NOTICE, WARNING = range(4)
LEVELS = {"debug": DEBUG, "verbose": VERBOSE, "notice": NOTICE, "warning": WARNING, "nothing": 4}
_SIGNS = ".-*#"
# Not strftime, whose month names depend on the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Log:
    """The log of one node.

    Attributes:
        level: lines below it are dropped.
        role: the letter after the process id.
    """

    def __init__(self, environment: Environment, level: int = NOTICE) -> None:
        self.environment = environment
        self.level = level
        self.role = "M"

    def __call__(self, level: int, message: str) -> None:
        """Write one line, if the level asks for it."""
        if level >= self.level:
            self.environment.log(
                f"{self.environment.process_id}:{self.role} {self._time()} "
                f"{_SIGNS[level]} {message}"
            )

    @property
    def child(self) -> Log:
        """The log of what Redis does in a process of its own: saving."""
        log = Log(self.environment, self.level)
        log.role = "C"
        return log

    def debug(self, message: str) -> None:
        """Write a line for whoever looks for a bug."""
        self(DEBUG, message)

    def verbose(self, message: str) -> None:
        """Write a line that is seldom wanted."""
        self(VERBOSE, message)

    def notice(self, message: str) -> None:
        """Write a line of the usual course of things."""
        self(NOTICE, message)

    def warning(self, message: str) -> None:
        """Write a line that somebody should read."""
        self(WARNING, message)

    def _time(self) -> str:
        seconds = self.environment.unix_time()
        zone = timedelta(seconds=self.environment.utc_offset)
        at = datetime.fromtimestamp(seconds, UTC) + zone
        return (
            f"{at.day:02} {_MONTHS[at.month - 1]} {at.year} "
            f"{at.hour:02}:{at.minute:02}:{at.second:02}.{at.microsecond // 1000:03}"
        )
