"""Random sequences of calls are answered by our server as by real Redis (`fuzz.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.differential import fuzz
from tests.differential.fuzz_generator import FAMILIES, Step, plan
from tests.differential.fuzz_runner import Runner
from tests.servers import our_server, real_server

SEEDS = 300
PARTS = 10


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with real_server(*fuzz.OPTIONS) as real, our_server(*fuzz.OPTIONS) as ours:
        runner = Runner(real, ours)
        yield runner
        runner.close()


@pytest.mark.redis
@pytest.mark.parametrize("part", range(PARTS))
def test_sequences_end_alike(part: int, runner: Runner) -> None:
    found = [fuzz.search(runner, plan(seed)) for seed in range(part, SEEDS, PARTS)]
    assert not [str(finding) for finding in found if finding is not None]


@pytest.mark.redis
def test_a_difference_is_found_and_made_small(runner: Runner) -> None:
    """Our server is asked for another command than the real one, in the middle of a sequence."""
    long = plan(5, ("strings",))
    odd = (Step(0, (b"CLIENT", b"ID")),)  # two servers, two ids
    whole = replace(long, atoms=(*long.atoms[:20], odd, *long.atoms[20:]))
    difference = runner.run(whole)
    assert difference is not None
    finding = fuzz.shrink(runner, whole, difference)
    assert finding.plan.atoms == (odd,)
    assert finding.plan.settings == {}
    assert "CLIENT ID" in str(finding)


def test_a_seed_gives_the_same_sequence_again() -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)


def test_every_template_can_be_drawn() -> None:
    drawn = {
        (family, step.words[0].upper())
        for family in FAMILIES
        for seed in range(40)
        for atom in plan(seed, (family,)).atoms
        for step in atom
        if step.words
    }
    assert {family for family, _ in drawn} == set(FAMILIES)
    assert len({name for _, name in drawn}) > 150
