"""Redis's own tests of persistence, with servers that the suite starts: the real one and ours.

What the real server passes is the measure. A handful of tests look for a child process and kill it,
or watch what it costs; we have none, and each of them is named here.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.tcl.suite import (
    OUR_PROGRAM,
    REAL_PROGRAM,
    SOURCE_FOLDER,
    find_source,
    run_unit_with_program,
)

TIMEOUT_S = 300.0
BROKEN_OFF_S = 120.0  # after an exception the suite stands still; what comes before takes less
FIRST_RUN = 140  # of the numbers that tell runs of the suite apart

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(TIMEOUT_S + 60)]

# What cannot pass without a child process.
NEEDS_A_CHILD = {
    "integration/rdb": {"Test child sending info", "failed bgsave prevents writes"},
    # A script that is replayed keeps the node from saying LOADING until it is done.
    "integration/aof": {"EVAL timeout with slow verbatim Lua script from AOF"},
    "unit/shutdown": {"Temp rdb will be deleted if we use bg_unlink when shutdown"},
    "unit/aofrw": set(),
    "integration/shutdown": set(),
    "integration/dismiss-mem": set(),
    "integration/convert-zipmap-hash-on-load": set(),
    "integration/convert-ziplist-hash-on-load": set(),
    "integration/convert-ziplist-zset-on-load": set(),
    "integration/aof-multi-part": set(),
}
# Here the suite breaks the unit off, for it finds no child process.
BREAKS_OFF = {
    "integration/aof-multi-part": "AOF multiple rewrite failures will open multiple INCR AOFs"
}


@pytest.mark.parametrize("unit", NEEDS_A_CHILD)
def test_ours_passes_what_redis_passes(unit: str) -> None:
    source = _source()
    run = FIRST_RUN + 2 * list(NEEDS_A_CHILD).index(unit)
    with ThreadPoolExecutor(2) as pool:
        limits = (TIMEOUT_S, BROKEN_OFF_S if unit in BREAKS_OFF else TIMEOUT_S)
        started = [
            pool.submit(run_unit_with_program, source, unit, program, run + offset, limits[offset])
            for offset, program in enumerate((REAL_PROGRAM, OUR_PROGRAM))
        ]
        real, ours = (outcome.result() for outcome in started)
    assert real.finished, real.output[-2000:]
    assert not real.failed
    judged = list(real.passed)
    if unit in BREAKS_OFF:
        judged = judged[: judged.index(BREAKS_OFF[unit])]
    assert ours.finished == (unit not in BREAKS_OFF), ours.output[-2000:]
    assert set(judged) - set(ours.passed) == NEEDS_A_CHILD[unit]


def _source() -> Path:
    found = find_source()
    if found is None or shutil.which("tclsh") is None:
        reason = f"the sources of Redis are not in {SOURCE_FOLDER}, or tclsh is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
