"""Redis's own tests of Sentinel, with ours in the place of the Sentinels, of the servers, of both.

They start five Sentinels and five servers, kill and restart them, and change their settings: a
failover and a Sentinel that was away (01), replicas that are down meanwhile and come back (02), a
failover by hand (05). Each run has one form and one unit; with REDISLAB_TCL_ALL set, all forms pass
all three, and our Sentinels all other units too. Those are judged over real servers only: one
counts on a server that is up again within two seconds of being killed (00), one on a save that a
child of the killed server ends (12).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tcl.suite import (
    OUR_PROGRAM,
    OUR_SENTINEL,
    REAL_PROGRAM,
    every_unit,
    read_sentinel_outcome,
    run_sentinel_units,
)

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(1000)]

# The Sentinels, and the servers that they watch.
FORMS = {
    "all ours": (OUR_SENTINEL, OUR_PROGRAM),
    "our Sentinels over real servers": (OUR_SENTINEL, REAL_PROGRAM),
    "real Sentinels over our servers": (REAL_PROGRAM, OUR_PROGRAM),
}
# Of each unit, how many tests it has.
UNITS = {"01": 10, "02": 16, "05": 11}
MORE_UNITS = {
    "00": 17,
    "03": 12,
    "06": 10,
    "07": 13,
    "08": 10,
    "09": 10,
    "10": 14,
    "11": 8,
    "12": 11,
    "13": 10,
}
TIMEOUT_S = 900.0


def check(source: Path, form: str, units: tuple[str, ...]) -> None:
    sentinel, server = FORMS[form]
    outcome = run_sentinel_units(source, units, sentinel, server, TIMEOUT_S)
    assert outcome.failed == (), outcome.output[-3000:]
    assert outcome.finished, outcome.output[-3000:]
    counts = UNITS | MORE_UNITS
    assert len(outcome.passed) == sum(counts[unit] for unit in units), outcome.passed


def test_sentinels_and_servers_of_ours_pass(source: Path) -> None:
    check(source, "all ours", ("01",))


@every_unit
@pytest.mark.parametrize("form", FORMS)
def test_every_form_passes(form: str, source: Path) -> None:
    check(source, form, tuple(UNITS))


@every_unit
def test_our_sentinels_pass_every_other_unit(source: Path) -> None:
    check(source, "our Sentinels over real servers", tuple(MORE_UNITS))


def test_outcomes_are_read_past_what_is_printed_in_between() -> None:
    printed = (
        "Starting sentinel #0 at port 20000\n"
        "Testing unit: 01-conf-update.tcl\n"
        "12:00:00> (init) Restart killed instances: redis/0 sentinel/1 \x1b[0;32mOK\x1b[0m\n"
        "12:00:01> Manual failover works: OK\n"
        "12:00:02> New master 127.0.0.1:30001 role matches: FAILED: Expected 1\n"
        "12:00:03> Hangs: "
    )
    outcome = read_sentinel_outcome(printed, finished=True)
    assert outcome.passed == ("(init) Restart killed instances", "Manual failover works")
    assert outcome.failed == ("New master 127.0.0.1:30001 role matches", "Hangs")
    assert not outcome.finished
    assert read_sentinel_outcome("12:00:01> One: OK\nGOOD! No errors.\n", finished=True).finished
