"""Redis's own tests of persistence, with servers that the suite starts: the real one and ours.

What the real server passes is the measure. A handful of tests look for a child process and kill it,
or watch what it costs; we have none, so each of them is named here and left out, and so are those
that go on with what such a test leaves behind. Everything else must pass.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.tcl.suite import (
    OUR_PROGRAM,
    REAL_PROGRAM,
    need_source,
    run_unit_with_program,
)

TIMEOUT_S = 300.0

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(TIMEOUT_S + 60)]

# By unit, the tests that cannot pass without a child process.
UNITS: dict[str, tuple[str, ...]] = {
    "integration/rdb": ("Test child sending info", "failed bgsave prevents writes"),
    "integration/aof": (),
    "unit/shutdown": ("Temp rdb will be deleted if we use bg_unlink when shutdown",),
    "unit/aofrw": (),
    "integration/shutdown": (),
    "integration/dismiss-mem": (),
    "integration/convert-zipmap-hash-on-load": (),
    "integration/convert-ziplist-hash-on-load": (),
    "integration/convert-ziplist-zset-on-load": (),
    "integration/aof-multi-part": (
        "AOF multiple rewrite failures will open multiple INCR AOFs",
        # They count the files that the one before has made.
        "AOF rewrite doesn't open new aof when AOF turn off",
        "AOF enable/disable auto gc",
        "AOF can produce consecutive sequence number after reload",
        "AOF enable during BGSAVE will not write data util AOFRW finish",
        "AOF will trigger limit when AOFRW fails many times",
        (
            "AOF will open a temporary INCR AOF to accumulate data until the first AOFRW success "
            "when AOF is dynamically enabled"
        ),
    ),
}


@pytest.mark.parametrize("unit", UNITS)
def test_ours_passes_what_redis_passes(unit: str) -> None:
    source = need_source()
    with ThreadPoolExecutor(2) as pool:
        started = [
            pool.submit(
                *(run_unit_with_program, source, unit, program, TIMEOUT_S),
                without=UNITS[unit],
            )
            for program in (REAL_PROGRAM, OUR_PROGRAM)
        ]
        real, ours = (outcome.result() for outcome in started)
    assert real.finished, real.output[-2000:]
    assert real.passed
    assert not real.failed, real.output[-2000:]
    assert ours.finished, ours.output[-2000:]
    assert not ours.failed, ours.output[-2000:]
    assert set(ours.passed) == set(real.passed)
