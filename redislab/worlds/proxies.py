"""What a proxy has that no other program of a world has: a file in YAML, and options beside it.

A proxy (nutcracker, or ours) is told where to listen, what to hash with and which servers it has
in a file of its own format, and everything else on its command line: the port that tells its
statistics, its log, its file with the process id. A spec's `config` holds both, under nutcracker's
own names: `OPTIONS` go to the command line, the rest into the one pool of the file.

A proxy is told nothing of relays (`routes.py`): it has no way to be told where to dial from, so a
relay asks the system whose process dials. Its statistics are told on 127.0.0.1, past all relays, by
a port that is a fixed number above its own.
"""

from __future__ import annotations

import json
import re
from typing import Any

from redislab.worlds.base import Address, NodeSpec
from redislab.worlds.ports import BUS_PORT_OFFSET

PROXY = "proxy"
POOL = "alpha"
CONFIG_NAME = "nutcracker.yml"
LOG_NAME = "nutcracker.log"
PID_NAME = "nutcracker.pid"
# No proxy has a bus, so that its statistics may be where a node of a cluster has its own.
STATS_PORT_OFFSET = BUS_PORT_OFFSET
# Nutcracker gathers its statistics so often unless told otherwise: half a minute is too long to
# watch an ejection of two seconds.
STATS_INTERVAL_MS = 100
OPTIONS = {"stats_interval": "-i", "mbuf_size": "-m", "verbosity": "-v"}
"""Options of the command line by the names that a spec has for them."""

# A proxy hangs up on HELLO and CLIENT, with which redis-py would begin.
CLIENT_OPTIONS: dict[str, Any] = {"protocol": 2, "driver_info": None}
"""What a redis-py client of a proxy has to be told."""

# Of a spec, but not of its pool.
_NOT_OF_A_POOL = frozenset({*OPTIONS, "port", "bind", "dir", "logfile"})
# What YAML reads as it stands: no letter in it means anything else to it.
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_.:/ -]*")


def is_proxy(spec: NodeSpec) -> bool:
    """Whether a node is a proxy."""
    return spec.program == PROXY


def stats_port(port: int) -> int:
    """Where a proxy tells its statistics, by the port that it is known by."""
    return port + STATS_PORT_OFFSET


def pool_file(spec: NodeSpec, listen: Address) -> bytes:
    """A proxy's configuration file: one pool.

    Args:
        spec: of the proxy.
        listen: where it listens.
    """
    lines = [f"{POOL}:", f"  listen: {listen[0]}:{listen[1]}"]
    for name, value in spec.config.items():
        if name in _NOT_OF_A_POOL:
            continue
        if isinstance(value, tuple):
            lines += [f"  {name}:", *(f"    - {_scalar(each)}" for each in value)]
        else:
            lines.append(f"  {name}: {_scalar(str(value))}")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def arguments(spec: NodeSpec, port: int) -> list[str]:
    """A proxy's command line after the name of the program; its files are where it works.

    Args:
        spec: of the proxy.
        port: that it is known by.
    """
    words = ["-c", CONFIG_NAME, "-o", LOG_NAME, "-p", PID_NAME]
    words += ["-a", "127.0.0.1", "-s", str(stats_port(port))]
    options = {"stats_interval": str(STATS_INTERVAL_MS), **spec.config}
    for name, letter in OPTIONS.items():
        if name in options:
            words += [letter, str(options[name])]
    return words


def _scalar(text: str) -> str:
    """A value as YAML reads it back; JSON's strings are YAML's as well."""
    is_plain = _PLAIN.fullmatch(text) and ": " not in text and text[-1] not in ": "
    return text if is_plain else json.dumps(text)
