"""`redislab proxy`: a proxy as a program, with the options, words and exit codes of nutcracker.

Follows `src/nc.c` and `src/nc_signal.c` of twemproxy 0.5.0. The event loop is uvloop's where that
is installed.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Final

from redislab import __version__
from redislab.ring.proxy.conf import ConfError, read_conf
from redislab.ring.proxy.explain import explained
from redislab.ring.proxy.log import HIGHEST, LOWEST, Log
from redislab.ring.proxy.node import ProxyNode
from redislab.ring.proxy.options import OptionError, Options, read_options
from redislab.ring.proxy.settings import ProxyConfig
from redislab.ring.proxy.stats import VERSION, describe
from redislab.server.main import Sink, environment, run

USAGE: Final = """\
Usage: redislab proxy [-?hVdDt] [-v verbosity level] [-o output file]
                      [-c conf file] [-s stats port] [-a stats addr]
                      [-i stats interval] [-p pid file] [-m mbuf size]
                      [--explain key]

A proxy in front of several Redis servers, as nutcracker (twemproxy) is: clients connect to it as to
one server, and it sends each command to the server that its key belongs to.

Options:
  -c, --conf-file=S      : read this configuration file (default: conf/nutcracker.yml)
  -t, --test-conf        : tell whether that file is valid, and end
  -o, --output=S         : write the log to this file (default: standard error)
  -v, --verbose=N        : log more or less (default: 5, min: 0, max: 11)
  -p, --pid-file=S       : write the process id to this file
  -d, --daemonize        : run in the background
  -s, --stats-port=N     : show the stats on this port (default: 22222)
  -a, --stats-addr=S     : show them on this address (default: 127.0.0.1)
  -i, --stats-interval=N : taken and not needed: the stats shown are those of the moment
  -D, --describe-stats   : tell what each field of the stats means, and end
  -m, --mbuf-size=N      : refuse keys that do not fit into so many bytes (default: 16384)
      --explain=S        : tell which server has this key, and why, and end
  -V, --version          : tell the version, and end
  -h, --help             : this help

The configuration file:
  alpha:                          # a pool; there may be several
    listen: 127.0.0.1:22121       # where its clients come to; or /path/of/a/socket [mode]
    redis: true                   # needed: this proxy does not speak memcached's protocol
    servers:                      # host:port:weight [name]
     - 127.0.0.1:7601:1
     - 127.0.0.1:7602:1
     - 127.0.0.1:7603:1
    # and, with what holds where nothing is said:
    hash: fnv1a_64                # how a key becomes a number; or one_at_a_time md5 crc16 crc32
                                  #   crc32a fnv1_64 fnv1_32 fnv1a_32 hsieh murmur jenkins
    distribution: ketama          # how a number becomes a server; or modula, random
    hash_tag: "{}"                # hash only what is between these two (not set)
    timeout: 400                  # milliseconds that a reply may take (not set: any time)
    auto_eject_hosts: false       # leave a server out that fails
    server_failure_limit: 2       #   so many times in a row
    server_retry_timeout: 30000   #   for so many milliseconds
    server_connections: 1         # connections to each server, shared by all clients
    preconnect: false             # make them at the start, not with the first request
    redis_auth: secret            # clients log in with it, and so does the proxy (not set)
    redis_db: 0                   # the database on the servers
    client_connections: 0         # how many clients there may be; 0 is any number
    backlog: 512                  # how many may wait to be accepted
    tcpkeepalive: false           # let the system notice clients that are gone
    explain_refusals: false       # answer what does not go through a proxy with an error that says
                                  #   why, not with a closed connection (nutcracker has no such)

Signals: HUP reads the configuration again, and keeps the present one if it is invalid; no client is
dropped whose pool is still there. TTIN and TTOU log more and less. INT and TERM end.

Try it:
  redislab proxy -t -c nutcracker.yml       is the file valid?
  redislab proxy -c nutcracker.yml --explain user:1000
  redislab proxy -c nutcracker.yml          then, in another terminal:
  redis-cli -p 22121 set greeting hello
"""


def main(argv: list[str]) -> int:
    """Run a proxy until it is told to stop.

    Args:
        argv: what nutcracker takes.

    Returns:
        The exit code, as nutcracker's: 0 after -h, -V, -D, a -t that went well and SIGTERM, else 1.
    """
    if "-?" in argv:
        argv = ["-h"]
    try:
        options = read_options(argv)
    except OptionError as wrong:
        _say(f"redislab proxy: {wrong}\n{USAGE}")
        return 1
    if options.version:
        _say(f"This is redislab-{__version__}, which stands in for nutcracker-{VERSION}\n\n")
        if options.help:
            _say(USAGE)
        if options.describe_stats:
            _say(describe())
        return 0
    if options.test_conf or options.explain:
        return _look(options)
    return _serve(options)


def _say(text: str) -> None:
    sys.stderr.write(text)


def _look(options: Options) -> int:
    """-t and --explain."""
    try:
        config = _read(options)
    except ConfError as wrong:
        _say(f"{wrong}\nnutcracker: configuration file '{options.conf_file}' syntax is invalid\n")
        return 1
    if options.test_conf:
        _say(f"nutcracker: configuration file '{options.conf_file}' syntax is ok\n")
    for key in options.explain:
        for pool in config.pools:
            sys.stdout.write(explained(pool, key.encode("utf-8", "surrogateescape")))
    return 0


def _read(options: Options) -> ProxyConfig:
    """The configuration; raises ConfError, also for a file that cannot be read."""
    file = options.conf_file
    try:
        text = Path(file).read_bytes()
    except OSError as failure:
        raise ConfError(
            f"failed to open configuration '{file}': {os.strerror(failure.errno or 0)}"
        ) from None
    config = read_conf(text, file, resolves=_resolves)
    return ProxyConfig(
        file, config.pools, options.mbuf_size, options.stats_addr, options.stats_port
    )


def _resolves(host: str, port: int) -> bool:
    """Whether there is such an address to listen on."""
    if not port:
        return True
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return False
    return True


def _serve(options: Options) -> int:
    sink = Sink(sys.stderr)
    try:
        sink.open(options.output)
    except OSError as failure:
        reason = os.strerror(failure.errno or 0)
        _say(f"opening log file '{options.output}' failed: {reason}\n")
        return 1
    if options.daemonize:
        _daemonize()
    surroundings = environment(sink, socket.gethostname())
    log = Log(surroundings, options.verbose)
    pid_file = Path(options.pid_file) if options.pid_file else None
    if pid_file is not None:
        try:
            pid_file.write_text(str(os.getpid()), encoding="ascii")
        except OSError as failure:
            reason = os.strerror(failure.errno or 0)
            log.problem(f"opening pid file '{pid_file}' failed: {reason}")
            return 1
    log.always(
        f"redislab-{__version__}, which stands in for nutcracker-{VERSION}, started on pid "
        f"{os.getpid()}"
    )
    try:
        config = _read(options)
        node = ProxyNode(config, surroundings, options.verbose)
        return run(_until_stopped(node, options))
    except ConfError as wrong:
        log.problem(str(wrong))
        _say(f"nutcracker: configuration file '{options.conf_file}' syntax is invalid\n")
        return 1
    finally:
        log.always("done")
        if pid_file is not None:
            pid_file.unlink(missing_ok=True)


async def _until_stopped(node: ProxyNode, options: Options) -> int:
    loop = asyncio.get_running_loop()
    try:
        await node.start()
    except OSError:
        return 1
    # What is there now is there to stay, so nobody needs to look whether it is garbage.
    gc.freeze()
    code = 0

    def end(number: signal.Signals) -> None:
        nonlocal code
        code = 0 if number is signal.SIGTERM else 1
        node.log.always(f"signal {number.value} ({number.name}) received, exiting")
        node.abort()

    def reload() -> None:
        node.log.always("signal 1 (SIGHUP) received, reading the configuration again")
        try:
            config = _read(options)
        except ConfError as wrong:
            node.log.problem(f"{wrong}; the present configuration is kept")
            return
        tasks.append(loop.create_task(node.reload(config)))
        del tasks[:-1]

    def level(step: int) -> None:
        node.log.level = min(max(node.log.level + step, LOWEST), HIGHEST)
        node.log.always(f"log level is {node.log.level}")

    tasks: list[asyncio.Task[bool]] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    loop.add_signal_handler(signal.SIGHUP, reload)
    loop.add_signal_handler(signal.SIGTTIN, level, 1)
    loop.add_signal_handler(signal.SIGTTOU, level, -1)
    await node.stopped.wait()
    return code


def _daemonize() -> None:
    """Go on in the background, in a session of its own, with nothing on the standard streams."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.umask(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
