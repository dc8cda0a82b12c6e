"""`redislab sentinel`: a Sentinel as a program, started and stopping as redis-sentinel does."""

from __future__ import annotations

from redislab.sentinel.configfile import SentinelConfig
from redislab.sentinel.node import SentinelNode
from redislab.server.main import Kind
from redislab.server.main import main as run

SENTINEL = Kind(
    "sentinel",
    "X",
    lambda argv, stdin: SentinelConfig.from_args(argv, stdin=stdin),
    SentinelNode,
)


def main(argv: list[str]) -> int:
    """Run a Sentinel until it is told to stop.

    Args:
        argv: what redis-sentinel takes: `sentinel.conf [--directive value ...]`.

    Returns:
        The exit code: 0 after a clean stop, 1 for a bad configuration or an address in use.
    """
    return run(argv, SENTINEL)
