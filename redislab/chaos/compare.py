"""One schedule in two worlds: what came of it in each, held against each other.

In `sim` a seed has one history. Real programs have another one each time: who votes first, and how
far which replica has read when the master dies, is up to the machine. So what differs is told and
is no failure of its own; what must not be is one in either world.
"""

from __future__ import annotations

from dataclasses import dataclass

from redislab.chaos.run import Report


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a schedule, as far as two worlds can be alike in it.

    Attributes:
        failed: whether something was that must not be.
        masters: who was the master, one after the other.
        elections: how many were won.
        losses: in which ways acknowledged writes were lost.
    """

    failed: bool
    masters: tuple[str, ...]
    elections: int
    losses: frozenset[str]

    @classmethod
    def of(cls, report: Report) -> Outcome:
        """What came of a run."""
        return cls(
            not report.is_good,
            tuple(reign.node for reign in report.reigns),
            report.failovers,
            frozenset(each.reason for each in report.lost),
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs of one schedule.

    Attributes:
        one, other: what they have shown.
    """

    one: Report
    other: Report

    @property
    def differences(self) -> list[str]:
        """What came out otherwise, in words."""
        mine, theirs = Outcome.of(self.one), Outcome.of(self.other)
        pairs = (
            ("how it ended", _ended(mine), _ended(theirs)),
            ("masters", ", ".join(mine.masters), ", ".join(theirs.masters)),
            ("elections won", str(mine.elections), str(theirs.elections)),
            ("ways of loss", _ways(mine), _ways(theirs)),
        )
        return [f"{what}: {one} / {other}" for what, one, other in pairs if one != other]

    def lines(self) -> list[str]:
        """The comparison, to be read; the figures of the first world come first."""
        one, other = self.one, self.other
        verdict = "; ".join(self.differences)
        figures = (
            f"acknowledged {_share(one)} / {_share(other)}",
            f"lost {len(one.lost)} / {len(other.lost)}",
            f"well after {_settled(one)} / {_settled(other)}",
        )
        return [
            f"  {one.world} / {other.world}: {'other in ' + verdict if verdict else 'alike'}",
            f"    {', '.join(figures)}",
        ]


def summary(found: list[Comparison]) -> str:
    """What many comparisons come to, in a line."""
    worlds = found[0].one.world, found[0].other.world
    failed = [
        f"{sum(not report.is_good for report in reports)} failed in {world}"
        for world, reports in zip(
            worlds, ([each.one for each in found], [each.other for each in found]), strict=True
        )
    ]
    alike = sum(not each.differences for each in found)
    return f"{len(found)} schedules in two worlds: {alike} came out alike; {', '.join(failed)}"


def _ended(outcome: Outcome) -> str:
    return "failed" if outcome.failed else "well"


def _ways(outcome: Outcome) -> str:
    return ", ".join(sorted(outcome.losses)) or "none"


def _share(report: Report) -> str:
    return f"{report.acknowledged / report.writes:.1%}" if report.writes else "nothing"


def _settled(report: Report) -> str:
    return "never" if report.settled_s is None else f"{report.settled_s:.1f} s"
