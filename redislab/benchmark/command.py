"""`redislab benchmark`: from arguments to reports.

Follows `main` in `src/redis-benchmark.c` of Redis 7.0. The line that follows a run goes to stderr,
where that is a terminal; stdout has the reports alone.
"""

from __future__ import annotations

import selectors
import sys
from collections.abc import Callable, Iterator, Sequence

from redislab.benchmark.cluster import masters
from redislab.benchmark.connection import ask, connect
from redislab.benchmark.generator import generate
from redislab.benchmark.options import HELP, Options, UsageError, parse
from redislab.benchmark.process import Benchmark
from redislab.benchmark.report import (
    CSV_HEADER_7,
    Context,
    LiveLine,
    ServerConfig,
    csv_4,
    csv_7,
    quiet_4,
    quiet_7,
    report_4,
    report_7,
)
from redislab.benchmark.results import Result, Window
from redislab.benchmark.settings import BenchmarkError, Node, ReplyError, Settings
from redislab.benchmark.workload import Payloads, Workload, default_tests

INTERRUPTED = 130


def main(argv: list[str]) -> int:
    """Run the command; returns the exit code: 0, or 1 where something was refused or failed."""
    try:
        options = parse(argv)
        if options.action == "help":
            _print(HELP.rstrip())
        elif options.action == "version":
            from redislab import __version__

            _print(f"redislab benchmark {__version__} (after redis-benchmark 7.0.15)")
        else:
            _Command(options, _print).run()
    except UsageError as error:
        _warn(f"{error} (--help lists the options)")
        return 1
    except BenchmarkError as error:
        _warn(str(error))
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        _warn("")
        return INTERRUPTED
    return 0


def virtual(words: Sequence[str], config: ServerConfig, make: Callable[[Settings], Result]) -> str:
    """What the command prints for runs that it does not make itself, as in simulated time.

    Args:
        words: its options.
        config: what the server says of itself.
        make: runs a benchmark with these settings.

    Raises:
        UsageError: an option asks for what only real processes and sockets can do.
    """
    options = parse([*words])
    refused = {
        "--help and --version": options.action != "run",
        "-I": options.idle,
        "-l": options.loop,
        "-x": options.stdin,
        "--cluster": options.cluster,
        "--threads": options.processes,
    }
    for name, asked in refused.items():
        if asked:
            raise UsageError(f"{name}: not in simulated time, where there are no processes")
    printed: list[str] = []
    _Command(options, printed.append, make).test(Context((config,)))
    return "\n".join([*printed, ""])


class _Command:
    """One call of the program: where it prints, and who makes the runs if not itself."""

    def __init__(
        self,
        options: Options,
        say: Callable[[str], None],
        make: Callable[[Settings], Result] | None = None,
    ) -> None:
        self.options = options
        self._say = say
        self._make = make
        self._nodes: tuple[Node, ...] = ()
        self._last: bytes | None = None  # the last argument, from stdin
        self._live = sys.stderr.isatty() and not options.csv

    def run(self) -> None:
        """Ask the server about itself, then run test after test."""
        options = self.options
        context = self._cluster() if options.cluster else self._single()
        for warning in options.warnings:
            _warn(f"WARNING: {warning}")
        if options.idle:
            self._wait_idle()
            return
        self.test(context)

    def test(self, context: Context) -> None:
        """Run test after test, and print what comes out."""
        options = self.options
        if options.csv and options.report == "7.0" and not options.json:
            self._say(CSV_HEADER_7)
        payloads = Payloads()
        while True:
            for workload in self._workloads(payloads):
                self._show(self._measure(workload, context.processes), context)
            if not options.command and not options.csv and not options.json:
                self._say("")
            if not options.loop:
                break

    def _single(self) -> Context:
        settings = self._settings(Workload("", b"", 0))
        config = self._config(settings, settings.targets[0])
        if config is None:
            _warn("WARNING: Could not fetch server CONFIG")
        return Context((config,), processes=self.options.processes)

    def _cluster(self) -> Context:
        settings = self._settings(Workload("", b"", 0))
        self._nodes = masters(settings, settings.targets[0])
        if len(self._nodes) <= 1:
            raise BenchmarkError(f"Invalid cluster: {len(self._nodes)} node(s).")
        configs = []
        _print(f"Cluster has {len(self._nodes)} master nodes:\n")
        for index, node in enumerate(self._nodes):
            _print(f"Master {index}: {node.name} {node.host}:{node.port}")
            configs.append(self._config(settings, node))
            if configs[-1] is None:
                _warn(f"WARNING: Could not fetch node CONFIG {node.host}:{node.port}")
        _print("")
        processes = self.options.processes or len(self._nodes)
        return Context(tuple(configs), cluster=True, processes=processes)

    @staticmethod
    def _config(settings: Settings, node: Node) -> ServerConfig | None:
        questions = [[b"CONFIG", b"GET", name] for name in (b"save", b"appendonly")]
        values = []
        for reply in ask(settings, node, *questions):
            if reply.is_error or len(reply.items or ()) < 2:
                return None
            values.append(((reply.items or ())[1].text or b"").decode("utf-8", "replace"))
        return ServerConfig(*values)

    def _settings(self, workload: Workload) -> Settings:
        return Settings(workload=workload, nodes=self._nodes, **self.options.for_settings())

    def _workloads(self, payloads: Payloads) -> Iterator[Workload]:
        options = self.options
        if options.command:
            if options.stdin and self._last is None:
                self._last = sys.stdin.buffer.read()
            yield Workload.command(options.command, self._last)
        else:
            yield from default_tests(
                options.tests,
                payloads.take(options.payload),
                random_keys=options.keyspace is not None,
                cluster=options.cluster,
            )

    def _measure(self, workload: Workload, processes: int) -> Result:
        settings = self._settings(workload)
        if self._make is not None:
            return self._make(settings)
        line = LiveLine(workload.title, settings.requests, settings.duration_s)

        def show(window: Window) -> None:
            if self._live:
                sys.stderr.write(line.update(window))
                sys.stderr.flush()

        try:
            if not processes:
                return generate(settings, show)
            with Benchmark(settings, processes=processes) as benchmark:
                for window in benchmark.stream():
                    show(window)
                return benchmark.result
        finally:
            if self._live:
                sys.stderr.write(line.clear())
                sys.stderr.flush()

    def _show(self, result: Result, context: Context) -> None:
        options = self.options
        old = options.report == "4.0"
        if options.json:
            self._say(result.to_json())
        elif options.csv:
            self._say(csv_4(result) if old else csv_7(result))
        elif options.quiet:
            self._say(quiet_4(result) if old else quiet_7(result))
        else:
            self._say(report_4(result, context) if old else report_7(result, context))

    def _wait_idle(self) -> None:
        """Open the connections and wait until all are gone, or for the interrupt."""
        settings = self._settings(Workload("", b"", 0))
        _print(
            f"Creating {settings.clients} idle connections and waiting forever (Ctrl+C when done)"
        )
        targets = settings.targets
        with selectors.DefaultSelector() as selector:
            for index in range(settings.clients):
                sock = connect(settings, targets[index % len(targets)])
                selector.register(sock, selectors.EVENT_READ, sock)
            while selector.get_map():
                for key, _ in selector.select():
                    if not key.data.recv(65536):
                        selector.unregister(key.data)
                        key.data.close()
        raise ReplyError("All clients disconnected... aborting.")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _warn(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
