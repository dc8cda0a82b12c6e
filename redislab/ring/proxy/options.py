"""The options of `redislab proxy`: those of nutcracker, and two of our own.

They are read as getopt_long does it: short ones can be joined (-dt) and have their value attached
(-s22222), long ones can be shortened (--conf). Follows `nc_get_options` in `src/nc.c` of twemproxy
0.5.0, whose words are used where something is wrong with an option.
"""

from __future__ import annotations

import getopt
from dataclasses import dataclass
from typing import Final

from redislab.ring.proxy import log
from redislab.ring.proxy.settings import MBUF_SIZE

MBUF_MIN, MBUF_MAX = 512, 16777216
_NUMBER_MAX: Final = 2**31 - 1
_PORT_MAX: Final = 65535
_LONG: Final = {
    "help": "h",
    "version": "V",
    "test-conf": "t",
    "daemonize": "d",
    "describe-stats": "D",
    "verbose=": "v",
    "output=": "o",
    "conf-file=": "c",
    "stats-port=": "s",
    "stats-interval=": "i",
    "stats-addr=": "a",
    "pid-file=": "p",
    "mbuf-size=": "m",
    "explain=": "explain",
}
_NEEDS: Final = (
    dict.fromkeys("ocp", "a file name") | dict.fromkeys("mvsi", "a number") | {"a": "a string"}
)


class OptionError(Exception):
    """An option that cannot be taken; the message says which and why."""


@dataclass
class Options:
    """What was asked for.

    Attributes:
        explain: keys to be explained, in order; each is all that is done then.
    """

    help: bool = False
    version: bool = False
    test_conf: bool = False
    describe_stats: bool = False
    daemonize: bool = False
    verbose: int = log.DEFAULT
    output: str = ""
    conf_file: str = "conf/nutcracker.yml"
    stats_port: int = 22222
    stats_addr: str = "127.0.0.1"
    pid_file: str = ""
    mbuf_size: int = MBUF_SIZE
    explain: tuple[str, ...] = ()


def read_options(argv: list[str]) -> Options:
    """Read a command line.

    Raises:
        OptionError: in nutcracker's words; or an option that is none of ours to have.
    """
    options = Options()
    try:
        pairs, rest = getopt.gnu_getopt(argv, "hVtdDv:o:c:s:i:a:p:m:", list(_LONG))
    except getopt.GetoptError as wrong:
        raise OptionError(_told(wrong)) from None
    if rest:
        raise OptionError(f"there is no argument '{rest[0]}' to be had, only options")
    for given, value in pairs:
        long = given.removeprefix("--")
        name = given[1:] if long == given else _LONG.get(long) or _LONG[f"{long}="]
        _take(options, name, value)
    return options


def _take(options: Options, name: str, value: str) -> None:
    if name == "h":
        options.help = options.version = True
    elif name == "V":
        options.version = True
    elif name == "t":
        options.test_conf = True
    elif name == "D":
        options.describe_stats = options.version = True
    elif name == "d":
        options.daemonize = True
    elif name == "v":
        options.verbose = min(max(_number(name, value), log.LOWEST), log.HIGHEST)
    elif name == "s":
        options.stats_port = _number(name, value)
        if not 0 < options.stats_port <= _PORT_MAX:
            raise OptionError(f"option -s value {options.stats_port} is not a valid port")
    elif name == "i":
        _number(name, value)  # the stats shown are never old
    elif name == "m":
        options.mbuf_size = _mbuf_size(value)
    elif name == "o":
        options.output = value
    elif name == "c":
        options.conf_file = value
    elif name == "a":
        options.stats_addr = value
    elif name == "p":
        options.pid_file = value
    else:
        options.explain += (value,)


def _mbuf_size(value: str) -> int:
    size = int(value) if value.isascii() and value.isdigit() else 0
    if size <= 0:
        raise OptionError("option -m requires a non-zero number")
    if not MBUF_MIN <= size <= MBUF_MAX:
        raise OptionError(f"mbuf chunk size must be between {MBUF_MIN} and {MBUF_MAX} bytes")
    return size


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()) or int(value) > _NUMBER_MAX:
        raise OptionError(f"option -{name} requires a number")
    return int(value)


def _told(wrong: getopt.GetoptError) -> str:
    name = wrong.opt
    short = (
        name
        if len(name) == 1
        else next((letter for long, letter in _LONG.items() if long.removesuffix("=") == name), "")
    )
    if "requires argument" in wrong.msg and short in _NEEDS:
        return f"option -{short} requires {_NEEDS[short]}"
    if "requires argument" in wrong.msg:
        return f"option --{name} requires a key"
    return f"invalid option -- '{name}'"
