"""The command line: redis-benchmark 7.0's options, read as it reads them, and a few of our own.

Options end at the first word that is none; the rest is a command to run. An option that cannot be
honored is refused by name. Follows `parseOptions` in `src/redis-benchmark.c` of Redis 7.0.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from redislab.benchmark.settings import Arrivals, BenchmarkError, Tls

MAX_PROCESSES = 500
MAX_PAYLOAD = 1024 * 1024 * 1024

HELP = """\
Usage: redislab benchmark [OPTIONS] [COMMAND ARGS...]

Measures how fast a Redis answers: many connections, each sending its next request when the
reply to the last one has come. Without a command, a suite of default tests runs.

Where to:
 -h <hostname>        Server host (default 127.0.0.1)
 -p <port>            Server port (default 6379)
 -s <socket>          Unix socket of the server, instead of host and port
 -a <password>        Password
 --user <username>    User name that goes with -a
 -u <uri>             All of it in one: redis://user:password@host:port/db (rediss:// for TLS)
 --dbnum <db>         Database to SELECT (default 0)
 -3                   Speak RESP3
 --cluster            Spread the load over the masters of a cluster. In a command of your own the
                      key has to hold "{tag}"
 --enable-tracking    Send CLIENT TRACKING on first

How much:
 -c <clients>         Connections at once (default 50)
 -n <requests>        Requests in all (default 100000)
 -d <size>            Bytes of a value (default 3)
 -r <keyspacelen>     Random keys, members and scores: __rand_int__ becomes a number of 12 digits
                      below this, a new one each time. Without -r all requests use one key
 -P <numreq>          Send so many requests at a time (pipelining; default 1)
 -k <boolean>         1 keeps connections (default), 0 opens a new one for each request
 --threads <num>      Share the load among so many processes
 -t <tests>           Only these default tests, separated by commas: ping, set, get, incr, lpush,
                      rpush, lpop, rpop, sadd, hset, spop, zadd, zpopmin, lrange, lrange_100,
                      lrange_300, lrange_500, lrange_600, mset
 -x                   Take the command's last argument from standard input
 -l                   Loop: run the tests again and again
 -I                   Idle: open the connections and wait

What to print:
 -q                   One line a test
 --csv                Comma-separated values
 --precision <num>    Significant digits of latencies, 1 to 4 (default 3)
 --help, --version

TLS:
 --tls                Secure the connections
 --sni <host>         Server name to ask for
 --cacert <file>      Certificate authority to trust;  --cacertdir <dir>  a folder of them
 --insecure           Do not check the certificate
 --cert <file>        Certificate of this client;  --key <file>  its key
 --tls-ciphers <list> Ciphers up to TLS 1.2

What redis-benchmark does not have:
 --rate <per second>  Open loop: requests fall due at this rate whether or not the server keeps up,
                      and latency counts from the moment a request was due. Without this a server
                      that stalls also stalls the load, and most of the stall is never measured
                      (coordinated omission)
 --arrivals <how>     With --rate: poisson (default) or uniform
 --duration <seconds> Run each test for so long; alone it lifts the limit of -n
 --seed <num>         Seed of random keys and arrivals (default 1)
 --keep-going         Count errors by kind and open lost connections again, instead of stopping
 --report <form>      7.0 (default), or 4.0: the report of Redis 4, "95.32% <= 1 milliseconds"
 --json               One line of JSON a test, with windows, percentiles and the whole histogram

Try:
 redislab benchmark -t set,get -n 100000             the course's measurement
 redislab benchmark -t get -c 100 -d 2048 -q         a larger payload, more clients
 redislab benchmark -t set -P 16 -r 100000           pipelining, over 100000 keys
 redislab benchmark -t get --rate 5000 --duration 10 ten seconds at a fixed rate
 redislab benchmark -r 10000 lpush mylist __rand_int__
"""


class UsageError(BenchmarkError):
    """The command line asks for something that there is not; the message is one line."""


@dataclass
class Options:
    """What the command line asked for; the names are those of `Settings` where they meet it."""

    host: str = "127.0.0.1"
    port: int = 6379
    unix_socket: str | None = None
    username: str | None = None
    password: str | None = None
    db: int = 0
    protocol: int = 2
    tracking: bool = False
    clients: int = 50
    requests: int | None = None
    duration_s: float | None = None
    pipeline: int = 1
    keyspace: int | None = None
    keepalive: bool = True
    rate: float | None = None
    arrivals: Arrivals = "poisson"
    seed: int = 1
    digits: int = 3
    payload: int = 3
    cluster: bool = False
    processes: int = 0
    tests: tuple[str, ...] | None = None
    stdin: bool = False
    loop: bool = False
    idle: bool = False
    quiet: bool = False
    csv: bool = False
    json: bool = False
    report: str = "7.0"
    keep_going: bool = False
    use_tls: bool = False
    tls: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    action: str = "run"
    command: list[str] = field(default_factory=list)

    def for_settings(self) -> dict[str, Any]:
        """The fields of `Settings` that stand here."""
        names = (
            "host port unix_socket username password db protocol tracking clients duration_s "
            "pipeline keyspace keepalive rate arrivals seed digits"
        )
        values = {name: getattr(self, name) for name in names.split()}
        values["requests"] = self.requests
        if self.requests is None and self.duration_s is None:
            values["requests"] = 100_000
        values["tls"] = Tls(**self.tls) if self.use_tls else None
        values["stop_on_error"] = not self.keep_going
        return values


Apply = Callable[[Options, str], None]


def _set(name: str, convert: Callable[[str], Any]) -> Apply:
    def apply(options: Options, text: str) -> None:
        setattr(options, name, convert(text))

    return apply


def _flag(name: str, value: Any = True) -> Callable[[Options], None]:
    return lambda options: setattr(options, name, value)


def _tls(name: str) -> Apply:
    return lambda options, text: options.tls.__setitem__(name, text)


def _integer(low: int, high: int | None = None) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise UsageError(f"needs a whole number, not {text!r}") from None
        if value < low or (high is not None and value > high):
            limits = f"at least {low}" if high is None else f"{low} to {high}"
            raise UsageError(f"must be {limits}, not {value}")
        return value

    return convert


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"needs a number, not {text!r}") from None
    if not 0 < value < float("inf"):
        raise UsageError(f"must be positive, not {text}")
    return value


def _one_of(*choices: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in choices:
            raise UsageError(f"must be {' or '.join(choices)}, not {text!r}")
        return text

    return convert


def _uri(options: Options, text: str) -> None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"is no URI: {error}") from None
    if parts.scheme not in {"redis", "rediss"}:
        raise UsageError("needs a URI that begins with redis:// or rediss://")
    options.use_tls = options.use_tls or parts.scheme == "rediss"
    options.host = parts.hostname or options.host
    options.port = port or options.port
    if parts.password is not None:
        options.password = unquote(parts.password)
        options.username = unquote(parts.username or "") or None
    if parts.path.strip("/"):
        options.db = _integer(0)(parts.path.strip("/"))


def _processes(options: Options, text: str) -> None:
    options.processes = max(0, _integer(-(1 << 31))(text))
    if options.processes > MAX_PROCESSES:
        options.warnings.append(f"Too many threads, limiting threads to {MAX_PROCESSES}.")
        options.processes = MAX_PROCESSES


def _no_ciphersuites(options: Options, text: str) -> None:
    raise UsageError("cannot be honored: Python's ssl module leaves TLS 1.3 ciphers to OpenSSL")


def _errors_flag(options: Options) -> None:
    options.warnings.append(
        "-e option has no effect. We now immediately exit on error to avoid false results."
    )


_WITH_ARGUMENT: Mapping[str, Apply] = {
    "-h": _set("host", str),
    "-p": _set("port", _integer(1, 65535)),
    "-s": _set("unix_socket", str),
    "-a": _set("password", str),
    "--user": _set("username", str),
    "-u": _uri,
    "-c": _set("clients", _integer(1)),
    "-n": _set("requests", _integer(1)),
    "-d": _set("payload", lambda text: min(MAX_PAYLOAD, max(1, _integer(-(1 << 31))(text)))),
    "--dbnum": _set("db", _integer(0)),
    "--threads": _processes,
    "-k": _set("keepalive", lambda text: _integer(-(1 << 31))(text) != 0),
    "-r": _set("keyspace", lambda text: max(0, _integer(-(1 << 31))(text))),
    "-P": _set("pipeline", lambda text: max(1, _integer(-(1 << 31))(text))),
    "--precision": _set("digits", lambda text: min(4, _integer(1)(text))),
    "-t": _set("tests", lambda text: tuple(text.lower().split(","))),
    "--sni": _tls("sni"),
    "--cacert": _tls("cacert"),
    "--cacertdir": _tls("cacertdir"),
    "--cert": _tls("cert"),
    "--key": _tls("key"),
    "--tls-ciphers": _tls("ciphers"),
    "--tls-ciphersuites": _no_ciphersuites,
    "--rate": _set("rate", _positive),
    "--arrivals": _set("arrivals", _one_of("poisson", "uniform")),
    "--duration": _set("duration_s", _positive),
    "--seed": _set("seed", _integer(-(1 << 63))),
    "--report": _set("report", _one_of("7.0", "4.0")),
}

_FLAGS: Mapping[str, Callable[[Options], None]] = {
    "-3": _flag("protocol", 3),
    "--cluster": _flag("cluster"),
    "--enable-tracking": _flag("tracking"),
    "-q": _flag("quiet"),
    "--csv": _flag("csv"),
    "-l": _flag("loop"),
    "-I": _flag("idle"),
    "-x": _flag("stdin"),
    "-e": _errors_flag,
    "--tls": _flag("use_tls"),
    "--insecure": lambda options: options.tls.__setitem__("insecure", True),
    "--keep-going": _flag("keep_going"),
    "--json": _flag("json"),
    "--help": _flag("action", "help"),
    "-v": _flag("action", "version"),
    "--version": _flag("action", "version"),
}


def parse(argv: list[str]) -> Options:
    """Read the arguments.

    Raises:
        UsageError: an option is unknown, lacks its argument, or cannot be honored.
    """
    options = Options()
    words = list(argv)
    while words and words[0].startswith("-"):
        name = words.pop(0)
        if name in _FLAGS:
            _FLAGS[name](options)
        elif name not in _WITH_ARGUMENT or not words:
            raise UsageError(f'Invalid option "{name}" or option argument missing')
        else:
            try:
                _WITH_ARGUMENT[name](options, words.pop(0))
            except UsageError as error:
                raise UsageError(f"Option {name} {error}") from None
        if options.action != "run":
            return options
    options.command = words
    _check(options)
    return options


def _check(options: Options) -> None:
    """Refuse what does not go together."""
    if options.rate is not None and not options.keepalive:
        raise UsageError("Option --rate needs connections that are kept alive: leave out -k 0")
    if options.cluster and options.unix_socket:
        raise UsageError("Option --cluster needs -h and -p: a cluster is not behind one socket")
    if options.stdin and not options.command:
        raise UsageError("Option -x needs a command whose last argument it reads")
    if options.command and options.tests is not None:
        options.warnings.append("Option -t is ignored.")
    if not options.keepalive and sys.platform == "linux":
        options.warnings.append(
            "Keepalive disabled. Closed connections hold their ports for a minute: for many "
            "requests you probably need 'echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse'"
        )
