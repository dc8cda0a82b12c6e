"""Redis's own tests of replication, with servers of ours that the suite starts, stops and kills.

All of their tests pass, but for `integration/replication`, where some look after the child
processes that Redis forks and we have none of. The long ones are run if REDISLAB_TCL_ALL is set.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tcl.suite import OUR_PROGRAM, every_unit, run_unit_with_program

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(1000)]

# Of each unit, how many tests of different names there are at the least.
UNITS = {
    "replication-2": 7,
    "replication-3": 7,
    "replication-psync": 22,
    "replication-buffer": 8,
    "failover": 13,
    "psync2-master-restart": 4,
}
LONG_UNITS = {
    "replication-4": 12,
    "block-repl": 2,
    "psync2": 20,
    "psync2-reg": 4,
    "psync2-pingoff": 6,
    "shutdown": 5,
}
PARTLY = {"replication": 52}
UNIT_TIMEOUT_S = 900.0


@pytest.mark.parametrize(
    "unit",
    [
        *UNITS,
        *(pytest.param(unit, marks=every_unit) for unit in (*LONG_UNITS, *PARTLY)),
    ],
)
def test_our_servers_replicate_as_redis_wants(unit: str, source: Path) -> None:
    floors = UNITS | LONG_UNITS | PARTLY
    name = f"integration/{unit}"
    outcome = run_unit_with_program(source, name, OUR_PROGRAM, UNIT_TIMEOUT_S)
    assert outcome.finished, f"{unit} hangs or breaks off:\n{outcome.output[-2000:]}"
    if unit not in PARTLY:
        assert outcome.failed == (), outcome.output[-2000:]
    assert len(outcome.passed) >= floors[unit], outcome.passed
