"""However links are cut and nodes killed, in the end all nodes of a tree have the same data."""

from __future__ import annotations

from random import Random

import pytest

from redislab.labs.replication import ReplicationLab
from tests.replication.chaos import CONFIG, SETTLE_S, Chaos, options, run

SEEDS = 60
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_nodes_agree_once_the_faults_stop(part: int) -> None:
    reports = [run("sim", seed) for seed in range(part, SEEDS, PARTS)]
    assert not [str(report) for report in reports if not report.agrees]
    assert max(report.settled_s for report in reports) <= SETTLE_S
    # Faults were felt: links were lost, and found again in both ways.
    assert sum(report.full for report in reports) > len(reports)
    assert sum(report.partial for report in reports) > len(reports)


@pytest.mark.parametrize("seed", [3, 8])
def test_a_seed_gives_the_same_history_again(seed: int) -> None:
    histories = []
    for _ in range(2):
        with ReplicationLab(
            "sim", replicas=3, seed=seed, sync=False, config=CONFIG | options(Random(seed))
        ) as lab:
            report = Chaos(lab, seed, steps=20, writes=8).run()
            histories.append((report, list(lab.journal), [lab.log(name) for name in lab.nodes]))
    assert histories[0] == histories[1]
    assert len(histories[0][1]) > 300


@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.parametrize("real", [1, 2])
def test_nodes_of_ours_and_real_ones_agree_once_the_faults_stop(real: int) -> None:
    report = run("live", 100 + real, nodes=4, steps=10, writes=12, real=real)
    assert report.agrees, str(report)
    assert report.settled_s <= SETTLE_S
    assert report.full > 2
