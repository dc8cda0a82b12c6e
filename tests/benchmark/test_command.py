"""`redislab benchmark` beside redis-benchmark: the same lines, but for the figures in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

from redislab import benchmark
from redislab.benchmark.histogram import Histogram
from redislab.benchmark.report import Context, report_4
from redislab.benchmark.settings import settings_for

NUMBER = re.compile(r"\d+(\.\d+)?")


def _ours(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "redislab", "benchmark", *words]
    return subprocess.run(
        argv, check=False, capture_output=True, text=True, input=stdin, timeout=60
    )


def _real(*words: str) -> str:
    program = shutil.which("redis-benchmark")
    if program is None:
        pytest.skip("redis-benchmark is not installed (Debian package redis-tools)")
    done = subprocess.run([program, *words], check=True, capture_output=True, timeout=60)
    # What a carriage return takes back is not part of the report.
    return "\n".join(line.rsplit("\r", 1)[-1] for line in done.stdout.decode().split("\n"))


def _get(port: int, key: str) -> str:
    argv = ["redis-cli", "-p", str(port), "get", key]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def _shape(report: str) -> list[str]:
    """Lines with # for each figure, runs of equal lines made one, widths of columns kept."""
    lines: list[str] = []
    for line in report.split("\n"):
        shape = re.sub(r" +#", " #", NUMBER.sub("#", line))
        if not lines or shape != lines[-1]:
            lines.append(shape)
    return lines


@pytest.mark.redis
@pytest.mark.parametrize(
    "words",
    [
        ("-t", "set", "-n", "3000"),
        ("-t", "ping,set,get,lpush,lrange_100", "-n", "2000", "--csv"),
        ("-t", "set,get", "-n", "2000", "-P", "16", "-r", "100"),
        ("-n", "2000", "-c", "10", "lpush", "mylist", "__rand_int__"),
        ("-t", "get", "-n", "500", "-k", "0", "-c", "5"),
        ("-t", "nosuchtest"),
        ("-n", "2000", "-q", "--dbnum", "3", "-3", "-t", "set"),
    ],
    ids=" ".join,
)
def test_reports_have_the_shape_of_the_real_ones(port: int, words: tuple[str, ...]) -> None:
    ours = _ours("-p", str(port), *words)
    assert ours.returncode == 0, ours.stderr
    assert _shape(ours.stdout) == _shape(_real("-p", str(port), *words))


@pytest.mark.redis
def test_default_suite_runs_the_same_tests(port: int) -> None:
    ours = _ours("-p", str(port), "-n", "200", "--csv").stdout
    real = _real("-p", str(port), "-n", "200", "--csv")
    assert [line.split(",")[0] for line in ours.split("\n")] == [
        line.split(",")[0] for line in real.split("\n")
    ]


@pytest.mark.redis
def test_requests_are_really_made(port: int) -> None:
    _ours("-p", str(port), "-n", "1000", "-q", "incr", "counted")
    assert _get(port, "counted") == "1000\n"


@pytest.mark.redis
def test_last_argument_comes_from_stdin(port: int) -> None:
    done = _ours("-p", str(port), "-n", "1", "-c", "1", "-q", "-x", "set", "piped", stdin="hi")
    assert done.stdout.startswith("set piped: ")
    assert _get(port, "piped") == "hi\n"


@pytest.mark.redis
def test_error_replies_end_the_run(port: int) -> None:
    done = _ours("-p", str(port), "-n", "10", "-q", "nosuch")
    assert done.returncode == 1
    assert done.stderr.startswith("Error from server: ERR unknown command 'nosuch'")


@pytest.mark.redis
def test_keep_going_counts_errors(port: int) -> None:
    done = _ours("-p", str(port), "-n", "10", "--keep-going", "--json", "nosuch")
    assert json.loads(done.stdout)["errors"] == {"ERR": 10}


def test_nothing_listens() -> None:
    done = _ours("-p", "7")
    assert done.returncode == 1
    assert done.stderr == "Could not connect to Redis at 127.0.0.1:7: Connection refused\n"
    assert not done.stdout


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("--nosuch",), "--nosuch"),
        (("-c",), "-c"),
        (("-c", "many"), "-c"),
        (("-p", "99999"), "-p"),
        (("--tls-ciphersuites", "x"), "--tls-ciphersuites"),
        (("--precision", "0"), "--precision"),
        (("--rate", "0"), "--rate"),
        (("--rate", "10", "-k", "0"), "--rate"),
        (("--arrivals", "late"), "--arrivals"),
        (("--report", "3.0"), "--report"),
        (("-u", "http://here"), "-u"),
        (("-x",), "-x"),
    ],
)
def test_options_are_refused_by_name(words: tuple[str, ...], name: str) -> None:
    done = _ours(*words)
    assert done.returncode == 1
    assert name in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_names_every_option_of_the_course_and_of_7_0() -> None:
    text = _ours("--help").stdout
    for letter in "hpsaucndrPkqltIx3":
        assert re.search(rf"^ -{letter}\b", text, re.MULTILINE), letter
    for name in ("user", "dbnum", "threads", "cluster", "enable-tracking", "precision", "csv"):
        assert f" --{name} " in text, name
    for name in ("tls", "sni", "cacert", "cacertdir", "insecure", "cert", "key", "tls-ciphers"):
        assert f" --{name} " in text, name
    assert "--version" in text


def test_report_of_4_0_counts_whole_milliseconds() -> None:
    settings = settings_for("SET", requests=4)
    latencies = Histogram.of([300, 900, 1500, 1600, 3200, 3300])
    text = report_4(benchmark.Result(settings, 6, 2.0, latencies), Context())
    assert text.split("\n")[:10] == [
        "====== SET ======",
        "  6 requests completed in 2.00 seconds",
        "  50 parallel clients",
        "  3 bytes payload",
        "  keep alive: 1",
        "",
        "50.00% <= 1 milliseconds",
        "83.33% <= 3 milliseconds",
        "100.00% <= 3 milliseconds",
        "3.00 requests per second",
    ]
