"""The sweeps over the settings of Sentinel: what they measure, and that trouble is fair to all."""

from statistics import mean

import pytest

from redislab import SentinelLab
from redislab.labs.sweeps import (
    Alarms,
    false_alarms,
    lost_leaders,
    move_replicas,
    noticed_share,
    stalls_of,
    take_over,
    take_overs,
)


def test_a_take_over_goes_through_its_moments_in_order():
    found = take_overs((1000, 4000), (1, 2))
    assert [each.down_after_ms for each in found] == [1000, 1000, 4000, 4000]
    for each in found:
        moments = [each.noticed, each.agreed, each.elected, each.promoted, each.switched]
        assert moments == sorted(moments)
        assert each.switched <= each.served < each.down_after_ms / 1000 + 3
        # The kernel of a killed server refuses connections: the wait begins at once.
        assert 0 <= each.noticed - each.down_after_ms / 1000 < 0.3
    assert found == take_overs((1000, 4000), (1, 2))


def test_a_master_that_hangs_is_noticed_up_to_a_second_later_than_one_that_was_killed():
    killed = take_overs((2000,), range(4))
    hung = take_overs((2000,), range(4), hangs=True)
    assert all(2.0 <= each.noticed < 3.3 for each in hung)
    assert mean(each.noticed for each in hung) > mean(each.noticed for each in killed) + 0.2


def test_a_leader_that_dies_costs_twice_the_failover_timeout():
    for setting, found in zip((5_000, 20_000), lost_leaders((5_000, 20_000)), strict=True):
        assert 2 * setting / 1000 < found.elected - found.agreed < 2 * setting / 1000 + 2


def test_nobody_to_promote_is_said_so_and_not_waited_for_forever():
    quick = {"down_after_ms": 1000, "failover_timeout_ms": 3000}
    with (
        SentinelLab(replicas=0, sentinels=1, quorum=1, **quick) as lab,
        pytest.raises(TimeoutError, match="nobody has taken over"),
    ):
        take_over(lab)


def test_stalls_are_the_same_whatever_is_tried_and_as_long_as_they_should_be():
    assert list(stalls_of("3", 20, 1.5)) == list(stalls_of("3", 20, 1.5))
    assert list(stalls_of("3", 20, 1.5)) != list(stalls_of("4", 20, 1.5))
    lengths = [length for _, length in stalls_of("3", 200, 1.0)]
    assert mean(lengths) == pytest.approx(1.0, rel=0.02)
    assert sum(length > 2 for length in lengths) == pytest.approx(200 * 0.135, abs=1)


def test_the_share_of_stalls_that_is_noticed_falls_as_the_formula_says():
    for setting in (1000, 2000):
        seen = false_alarms("stalls", down_after_ms=setting, quorum=3, stalls=20, seed=5)
        expected = 20 * noticed_share(setting)
        assert seen.s_downs / 3 == pytest.approx(expected, abs=2)
    assert noticed_share(1000) < noticed_share(500) < 1


def test_no_trouble_no_alarm():
    seen = false_alarms("none", down_after_ms=500, quorum=1, stalls=3)
    assert seen == Alarms("none", 500, 1, 3, seen.seconds, 0, 0, 0)
    assert seen.seconds == pytest.approx(36)


def test_a_quorum_filters_what_one_sentinel_sees_and_not_what_all_see():
    alone, together = (false_alarms("one link", quorum=quorum) for quorum in (1, 2))
    assert alone.switches > 0
    assert together.s_downs > 0
    assert (together.o_downs, together.switches) == (0, 0)
    everyone = false_alarms("stalls", quorum=3)
    assert everyone.switches > 0
    assert everyone.per_hour(everyone.switches) == everyone.switches * 3600 / everyone.seconds


@pytest.mark.parametrize("parallel_syncs", [1, 3])
def test_as_many_replicas_are_away_at_once_as_parallel_syncs_allows(parallel_syncs):
    moving = move_replicas(parallel_syncs, replicas=3)
    assert max(moving.away) == parallel_syncs
    assert (moving.away[0], moving.away[-1]) == (0, 0)
    looks = sum(moving.away) / len(moving.away) * moving.times[-1]
    assert looks == pytest.approx(3 * 1.0, rel=0.3)  # each is away for the time of a copy
