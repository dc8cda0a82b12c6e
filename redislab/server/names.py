"""Names and versions that several files tell clients."""

from __future__ import annotations

from redislab.engine.errors import CommandError

VERSION = "7.0.15"  # of Redis: whose behavior is followed to the letter


def check_name(name: bytes) -> None:
    """Check a name for CLIENT SETNAME.

    Raises:
        CommandError: it has a character that would make CLIENT LIST unreadable.
    """
    if any(not 33 <= byte <= 126 for byte in name):
        raise CommandError(
            "ERR Client names cannot contain spaces, newlines or special characters."
        )
