"""What a Sentinel tells the world: one line for each event.

An event goes to the log, to those who listen to the channel of its name, and, if it is a warning
about a master or what belongs to one, to that master's notification script. Follows
`sentinelEvent` in `src/sentinel.c` of Redis 7.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.sentinel.addresses import shown
from redislab.sentinel.model import Instance, Master, SentinelState, master_of
from redislab.server.log import DEBUG, NOTICE, VERBOSE, WARNING

if TYPE_CHECKING:
    from redislab.sentinel.watch import Watch

__all__ = ["DEBUG", "NOTICE", "VERBOSE", "WARNING", "about", "identify", "tell"]

# `LOG_MAX_LEN` of Redis, less the zero at the end.
_MESSAGE_BYTES_MAX = 1023


def about(watch: Watch, level: int, kind: str, instance: Instance, words: str = "") -> None:
    """Tell of an event that an instance has met.

    Args:
        watch: whose event it is.
        level: of the log; what is on DEBUG is logged only, and scripts run at WARNING.
        kind: its name, such as `+sdown`.
        instance: who it is about: the line begins with who that is.
        words: the rest of the line.
    """
    tell(watch, level, kind, identify(watch.state, instance) + words, instance)


def tell(
    watch: Watch, level: int, kind: str, message: str, instance: Instance | None = None
) -> None:
    """Tell of an event in words of one's own; the instance only says whose script to run."""
    data = message.encode("utf-8", "surrogateescape")
    if len(data) > _MESSAGE_BYTES_MAX:
        data = data[:_MESSAGE_BYTES_MAX]
        message = data.decode("utf-8", "replace")
    host = watch.host
    host.log(level, f"{kind} {message}")
    if level == DEBUG:
        return
    host.announce(kind.encode(), data)
    if level == WARNING and instance is not None:
        script = master_of(instance).notification_script
        if script:
            watch.scripts.schedule(script, kind, message)


def identify(state: SentinelState, instance: Instance) -> str:
    """Who an instance is, as the `%@` of Redis' own formats has it.

    `<role> <name> <ip> <port>`, and for what belongs to a master
    `... @ <its name> <its ip> <its port>`.
    """
    address = instance.address
    words = f"{instance.role.value} {instance.name} {shown(state, address)} {address.port}"
    if isinstance(instance, Master):
        return words
    master = master_of(instance)
    return f"{words} @ {master.name} {shown(state, master.address)} {master.address.port}"
