"""An HDR histogram: latencies in buckets whose width grows with the value.

A latency of 80 µs and one of 3 s go into one histogram with the same relative error, at most one in
`10 ** digits`, and a bucket costs nothing until something falls into it. Percentiles of merged
histograms are right, which averages of percentiles never are: windows, processes and runs are
merged here by adding counts.

The bucket layout is that of HdrHistogram (Gil Tene), and so are the two walks through it that
redis-benchmark prints: by percentile, halving the distance to 100 % at each step, and by value in
steps of 0.1 ms. redis-benchmark gives its histogram a smallest distinguishable value of 10 µs,
which makes buckets of 8 µs; `rebinned` turns a finer histogram into that one exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

MAX_DIGITS = 5


@dataclass(frozen=True)
class Step:
    """One line of a walk through a histogram.

    Attributes:
        percentile: the share of values up to here, in percent.
        value_us: the highest value, in µs, that counts as equal to this one.
        cumulative: how many values lie at or below it.
    """

    percentile: float
    value_us: int
    cumulative: int


@dataclass(frozen=True)
class Histogram:
    """Counts of latencies in µs.

    Attributes:
        counts: (lowest value of the bucket in µs, how many), ascending, no empty buckets.
        digits: significant decimal digits that are kept, 1 to 5.
        lowest_us: the smallest difference that is told apart near zero, in µs; rounded down to a
            power of two.
    """

    counts: tuple[tuple[int, int], ...] = ()
    digits: int = 3
    lowest_us: int = 1

    @classmethod
    def of(cls, values_us: Iterable[int], digits: int = 3, lowest_us: int = 1) -> Histogram:
        """A histogram of single values."""
        raw: dict[int, int] = {}
        for value in values_us:
            raw[value] = raw.get(value, 0) + 1
        return cls.from_counts(raw, digits, lowest_us)

    @classmethod
    def from_counts(cls, raw: Mapping[int, int], digits: int = 3, lowest_us: int = 1) -> Histogram:
        """A histogram of values that were counted already: {value in µs: how often}.

        Raises:
            ValueError: digits is not 1 to 5, lowest_us not positive, or a value negative.
        """
        if not 1 <= digits <= MAX_DIGITS:
            raise ValueError(f"digits must be 1 to {MAX_DIGITS}, not {digits}")
        if lowest_us < 1:
            raise ValueError(f"lowest_us must be positive, not {lowest_us}")
        if raw and min(raw) < 0:
            raise ValueError("a latency cannot be negative")
        layout = cls((), digits, lowest_us)
        bits, floor = layout._bits, layout._floor
        bins: dict[int, int] = {}
        for value, count in raw.items():
            shift = max(floor, value.bit_length() - bits)
            start = value >> shift << shift
            bins[start] = bins.get(start, 0) + count
        return cls(tuple(sorted(bins.items())), digits, lowest_us)

    def __add__(self, other: Histogram) -> Histogram:
        """Both histograms' values, in this one's layout."""
        merged = dict(self.counts)
        for value, count in other.counts:
            merged[value] = merged.get(value, 0) + count
        return Histogram.from_counts(merged, self.digits, self.lowest_us)

    def rebinned(self, digits: int, lowest_us: int) -> Histogram:
        """The same values in a coarser layout; exact where every new bucket is whole old ones."""
        return Histogram.from_counts(dict(self.counts), digits, lowest_us)

    @cached_property
    def total(self) -> int:
        """How many values there are."""
        return sum(count for _, count in self.counts)

    @property
    def min_us(self) -> int:
        """The smallest value: the lower end of its bucket, in µs; 0 if there is none."""
        return self.counts[0][0] if self.counts else 0

    @property
    def max_us(self) -> int:
        """The greatest value: the upper end of its bucket, in µs; 0 if there is none."""
        return self.highest_equivalent(self.counts[-1][0]) if self.counts else 0

    @cached_property
    def mean_us(self) -> float:
        """The mean of the buckets' middles, in µs; 0.0 if there is no value."""
        if not self.counts:
            return 0.0
        weighed = sum(
            count * (start + ((1 << self._shift(start)) >> 1)) for start, count in self.counts
        )
        return weighed / self.total

    def percentile_us(self, percentile: float) -> int:
        """The value that this share of the values, in percent, does not exceed; in µs.

        Returns:
            The upper end of the bucket (its lower end for percentile 0); 0 if there is no value.
        """
        if not self.counts:
            return 0
        rank = max(1, int(min(percentile, 100.0) / 100.0 * self.total + 0.5))
        for (start, _), cumulative in zip(self.counts, self._cumulative, strict=True):
            if cumulative >= rank:
                return start if percentile == 0.0 else self.highest_equivalent(start)
        return self.max_us

    def count_below(self, value_us: int) -> int:
        """How many values lie in buckets that begin below this value."""
        return sum(count for start, count in self.counts if start < value_us)

    def by_percentile(self) -> Iterator[Step]:
        """Walk towards 100 %, halving what is left at each step; ends with the step at 100 %."""
        target = 0.0
        for (start, _), cumulative in zip(self.counts, self._cumulative, strict=True):
            highest = self.highest_equivalent(start)
            share = 100.0 * cumulative / self.total
            while target <= share:
                yield Step(target, highest, cumulative)
                target += 100.0 / 2 ** ((int(100.0 / (100.0 - target))).bit_length())
                if cumulative == self.total:
                    yield Step(100.0, highest, cumulative)
                    return

    def by_value(self, step_us: int, coarse_after_us: int, coarse_step_us: int) -> Iterator[Step]:
        """Walk upwards in steps of `step_us`, in coarse steps once past `coarse_after_us`."""
        level, value, seen, passed = step_us, 0, 0, 0
        while True:
            level_start = self._start(level)
            if passed >= self.total and value + (1 << self._shift(value)) <= level_start:
                return
            value = max(value, level_start)
            while seen < len(self.counts) and self.counts[seen][0] <= value:
                passed += self.counts[seen][1]
                seen += 1
            highest = self.highest_equivalent(value)
            yield Step(100.0 * passed / self.total if self.total else 0.0, highest, passed)
            level += step_us
            if highest > coarse_after_us:
                step_us = coarse_step_us

    def highest_equivalent(self, value_us: int) -> int:
        """The upper end, in µs, of the bucket that holds a value."""
        shift = self._shift(value_us)
        return (value_us >> shift << shift) + (1 << shift) - 1

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it."""
        return {
            "digits": self.digits,
            "lowest_us": self.lowest_us,
            "counts": [list(pair) for pair in self.counts],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Histogram:
        """What `to_dict` made.

        Raises:
            KeyError: something is missing.
        """
        counts = tuple((int(start), int(count)) for start, count in data["counts"])
        return cls(counts, int(data["digits"]), int(data["lowest_us"]))

    @property
    def _bits(self) -> int:
        # The first power of two that holds 2 * 10 ** digits distinct values.
        return (2 * int(10**self.digits) - 1).bit_length()

    @property
    def _floor(self) -> int:
        return self.lowest_us.bit_length() - 1

    def _shift(self, value_us: int) -> int:
        return max(self._floor, value_us.bit_length() - self._bits)

    def _start(self, value_us: int) -> int:
        shift = self._shift(value_us)
        return value_us >> shift << shift

    @cached_property
    def _cumulative(self) -> tuple[int, ...]:
        return tuple(accumulate(count for _, count in self.counts))
