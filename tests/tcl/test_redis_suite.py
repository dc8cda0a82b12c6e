"""Redis's own tests, of the units a data server can be judged by, on the real server and on ours.

What the real server passes here is the measure: tests of it that need what the suite's external
mode does not give are left out by the suite itself. The units that it leaves out whole are run with
servers that it starts.
"""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import HOST, our_server, real_server
from tests.tcl.suite import (
    OUR_PROGRAM,
    REAL_PROGRAM,
    Outcome,
    read_outcome,
    run_unit,
    run_unit_with_program,
)

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(150)]

UNITS = (
    "unit/type/list",
    "unit/expire",
    "unit/type/string",
    "unit/type/hash",
    "unit/type/zset",
    "unit/type/set",
    "unit/sort",
    "unit/keyspace",
    "unit/scan",
    "unit/protocol",
    "unit/pubsub",
    "unit/type/stream-cgroups",
    "unit/tracking",
    "unit/bitops",
    "unit/type/incr",
    "unit/quit",
    "unit/scripting",
    "unit/functions",
    "unit/other",
    "unit/introspection-2",
    "unit/multi",
    "unit/slowlog",
    "unit/introspection",
    "unit/pause",
    "unit/bitfield",
    "unit/info-command",
)
UNITS_WITH_PROGRAM = ("unit/acl", "unit/acl-v2", "unit/info")
UNIT_TIMEOUT_S = 90.0
PASSED_LEAST = 0.9


@pytest.mark.parametrize("unit", UNITS)
def test_ours_passes_what_redis_passes(unit: str, source: Path) -> None:
    with ExitStack() as stack:
        addresses = [stack.enter_context(start()) for start in (real_server, our_server)]
        pool = stack.enter_context(ThreadPoolExecutor(2))
        started = [
            pool.submit(run_unit, source, unit, address.port, UNIT_TIMEOUT_S)
            for address in addresses
        ]
        real, ours = (outcome.result() for outcome in started)
    check(unit, real, ours)


@pytest.mark.parametrize("unit", UNITS_WITH_PROGRAM)
def test_our_program_passes_what_redis_passes(unit: str, source: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        started = [
            pool.submit(run_unit_with_program, source, unit, program, UNIT_TIMEOUT_S)
            for program in (REAL_PROGRAM, OUR_PROGRAM)
        ]
        real, ours = (outcome.result() for outcome in started)
    check(unit, real, ours)


def check(unit: str, real: Outcome, ours: Outcome) -> None:
    assert real.finished, f"the suite itself does not run here:\n{real.output[-2000:]}"
    assert real.passed, f"nothing was tested:\n{real.output[-2000:]}"
    assert ours.finished, f"{unit} hangs or breaks off on our server:\n{ours.output[-2000:]}"
    passed = set(ours.passed)
    missed = [name for name in real.passed if name not in passed]
    share = 1 - len(missed) / len(real.passed)
    assert share >= PASSED_LEAST, f"{share:.0%} of {len(real.passed)} passed; not: {missed}"


def test_a_server_that_hangs_is_found_out(source: Path) -> None:
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        outcome = run_unit(source, "unit/quit", port, timeout_s=1.0)
    assert not outcome.finished
    assert not outcome.passed


def test_outcomes_are_read_past_colors_and_repeated_names() -> None:
    printed = (
        "[ready]: 4242\n"
        "[\x1b[0;32;49mok\x1b[0m]: SET and GET (small) (12 ms)\n"
        "[ok]: twice (0 ms)\n"
        "[\x1b[0;31;49merr\x1b[0m]: twice in tests/unit/type/string.tcl\n"
        "Expected '1' to be equal to '2'\n"
        "[\x1b[0;36;49mignore\x1b[0m]: Not supported on external server\n"
        "*** [err]: twice in tests/unit/type/string.tcl\n"
    )
    outcome = read_outcome(printed, finished=True)
    assert outcome.passed == ("SET and GET (small)",)
    assert outcome.failed == ("twice",)
    assert outcome.finished
    assert not read_outcome(printed + "[exception]: broken pipe\n", finished=True).finished
