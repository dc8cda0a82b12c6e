"""The command line: `redislab server`, `sentinel`, `proxy`, `benchmark`, `chaos`.

Each command has a room of its own, imported when it is asked for, and takes the options of the
program it stands in for.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from redislab import __version__

# Command: the module whose `main(argv)` runs it, and a line on it.
COMMANDS = {
    "server": ("redislab.server.main", "one Redis node on a port, as redis-server"),
    "sentinel": ("redislab.sentinel.main", "watch masters and replace them, as redis-sentinel"),
    "proxy": ("redislab.ring.proxy.main", "share keys among servers, as nutcracker (twemproxy)"),
    "chaos": ("redislab.chaos.command", "harm a lab at random, and check it at every step"),
    "benchmark": ("redislab.benchmark", "measure a server, as redis-benchmark"),
}
_EXAMPLES = """
Try it:
  redislab server --port 6380          start a node, then in another terminal:
  redis-cli -p 6380 set greeting hello
  redislab benchmark -p 6380 -t set,get -n 100000 -q
  redislab sentinel sentinel.conf      watch masters: --help shows what such a file may say

`redislab <command> --help` tells what a command takes.
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: without the program's name; the process's own by default.

    Returns:
        The exit code; 2 for a command that does not exist.
    """
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in {"-h", "--help", "help"}:
        print(_usage(), end="")
        return 0
    if words[0] in {"-v", "-V", "--version", "version"}:
        print(f"redislab {__version__}")
        return 0
    name = words[0]
    if name == "server" and "--sentinel" in words:
        name = "sentinel"  # as `redis-server sentinel.conf --sentinel`
    chosen = COMMANDS.get(name)
    if chosen is None:
        print(f"redislab: there is no command '{name}'.\n\n{_usage()}", end="", file=sys.stderr)
        return 2
    run: Callable[[list[str]], int] = _load(chosen[0]).main
    return run(words[1:])


def _load(name: str) -> Any:
    """Import what runs a command, and nothing that would only keep it from being up soon.

    Nothing that is loaded is garbage, so nobody needs to look for any meanwhile. And numpy, which
    fakeredis loads for a type that is not used here, is left alone where it is not loaded yet.
    """
    is_without_numpy = "numpy" not in sys.modules
    gc.disable()
    if is_without_numpy:
        sys.modules["numpy"] = None  # type: ignore[assignment] # how Python says: not to be had
    try:
        return import_module(name)
    finally:
        gc.enable()
        if is_without_numpy:
            del sys.modules["numpy"]


def _usage() -> str:
    lines = ["Usage: redislab <command> [options]", "", "Commands:"]
    lines += [f"  {name:<12} {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(lines) + "\n" + _EXAMPLES
