"""The constants of a Sentinel's timing, in milliseconds unless their names say otherwise.

They are those at the top of `src/sentinel.c` of Redis 7.0. `SENTINEL DEBUG` changes them at run
time, so they are fields of one object that a Sentinel owns, and nobody reads them from the
module.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_DOWN_AFTER = 30_000
DEFAULT_FAILOVER_TIMEOUT = 180_000
DEFAULT_PARALLEL_SYNCS = 1
DEFAULT_REPLICA_PRIORITY = 100
# Questions to one instance that may wait for an answer; more are not sent.
PENDING_COMMANDS_MAX = 100
# The wider the better: it keeps Sentinels from standing for election at the same moment.
DESYNC_MAX = 1_000
HELLO_CHANNEL = b"__sentinel__:hello"


@dataclass(slots=True)
class Timing:
    """The timing of one Sentinel, by the names that `SENTINEL DEBUG` knows, with underscores."""

    info_period: int = 10_000
    ping_period: int = 1_000
    ask_period: int = 1_000
    publish_period: int = 2_000
    default_down_after: int = DEFAULT_DOWN_AFTER
    default_failover_timeout: int = DEFAULT_FAILOVER_TIMEOUT
    tilt_trigger: int = 2_000
    tilt_period: int = 30_000
    slave_reconf_timeout: int = 10_000
    min_link_reconnect_period: int = 15_000
    election_timeout: int = 10_000
    script_max_runtime: int = 60_000
    script_retry_delay: int = 30_000
