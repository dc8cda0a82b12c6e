"""The histogram against sorted data: nothing may be further off than its digits promise."""

from __future__ import annotations

from random import Random

import pytest

from redislab.benchmark import Histogram

PERCENTILES = (1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0)


def _values(seed: int) -> list[int]:
    random = Random(seed)
    return [int(random.lognormvariate(6, 2)) for _ in range(5000)]


@pytest.mark.parametrize("digits", [1, 2, 3, 4])
def test_percentiles_are_within_the_digits(digits: int) -> None:
    values = sorted(_values(digits))
    histogram = Histogram.of(values, digits)
    assert histogram.total == len(values)
    for percentile in PERCENTILES:
        exact = values[max(1, int(percentile / 100 * len(values) + 0.5)) - 1]
        found = histogram.percentile_us(percentile)
        assert exact <= found <= exact * (1 + 10**-digits) + 1


def test_small_values_are_exact() -> None:
    values = [value % 2000 for value in _values(1)]
    histogram = Histogram.of(values)
    assert histogram.min_us == min(values)
    assert histogram.max_us == max(values)
    assert histogram.mean_us == pytest.approx(sum(values) / len(values))


def test_adding_histograms_is_adding_their_values() -> None:
    one, other = _values(1), _values(2)
    assert Histogram.of(one) + Histogram.of(other) == Histogram.of(one + other)


def test_coarser_buckets_are_whole_finer_ones() -> None:
    values = _values(3)
    assert Histogram.of(values).rebinned(3, 10) == Histogram.of(values, 3, 10)


def test_walks_end_with_everything() -> None:
    histogram = Histogram.of(_values(4), 3, 10)
    by_percentile = list(histogram.by_percentile())
    by_value = list(histogram.by_value(100, 2000, 1000))
    assert by_percentile[0].percentile == 0.0
    assert by_percentile[-1].percentile == 100.0
    assert by_percentile[-1].cumulative == by_value[-1].cumulative == histogram.total
    shares = [step.percentile for step in by_percentile]
    assert shares == sorted(shares)


def test_round_trip_through_plain_data() -> None:
    histogram = Histogram.of(_values(5))
    assert Histogram.from_dict(histogram.to_dict()) == histogram


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="digits"):
        Histogram.of([1], 9)
    with pytest.raises(ValueError, match="negative"):
        Histogram.of([-1])
