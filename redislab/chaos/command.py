"""`redislab chaos`: many schedules, one after the other or on all cores, and what they show."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TextIO

from redislab.chaos.checks import Failure
from redislab.chaos.compare import Comparison, summary
from redislab.chaos.draw import draw
from redislab.chaos.run import Report, Run, settle_seconds
from redislab.chaos.schedule import Schedule
from redislab.chaos.shrink import shrink
from redislab.worlds import WORLDS
from redislab.worlds.base import ProgramMissingError

_ABOUT = """\
Harm a lab at random, with clients that write and read, and check it at every step.

A seed draws a schedule: nodes are killed, paused, restarted and lose their power, links are cut
both ways or one way, slowed down, cut one after the other and healed in another order, clocks run
wrong and jump. When the faults are over, all must be well within a time that is computed from the
setup: one master that all Sentinels name, all other servers follow it, clients write again. Each
acknowledged write that is gone is named with the way in which it was lost.
"""

_EXAMPLES = """\
Try it:
  redislab chaos                                 one schedule of a minute
  redislab chaos --seeds 1..1000 --minutes 10 --jobs 4
  redislab chaos --seeds 417 --journal out       one again: out/seed-417.html is a diagram of it
  redislab chaos --seeds 417 --shrink --export short.json
  redislab chaos --schedule short.json           a schedule as JSON, which may be edited
  redislab chaos --seeds 417 --code              the schedule as a Python program
  redislab chaos --world redis --minutes 0.5     the same schedule on real programs, in real time
  redislab chaos --against redis --seeds 1..6    both, and what came of it held against each other

In `sim` a seed has the same history every time. What only the simulation can do (power failures,
clocks) is left out in the other worlds. The exit code is 1 if a schedule has failed.
"""

_FAILURES_SHOWN = 12


def main(argv: list[str]) -> int:
    """Run the command; returns the exit code.

    It is 0 if all went well, 1 if a schedule failed or could not be run, 2 for bad arguments.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        schedules = _schedules(options)
        if options.journal is not None:
            options.journal.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as failure:
        parser.error(str(failure))
    try:
        if options.code:
            sys.stdout.writelines(each.code() for each in schedules)
            return 0
        if options.shrink:
            schedules = [_shrunk(each, options.world) for each in schedules]
        if options.export is not None:
            options.export.write_text(schedules[0].to_json(), encoding="utf-8")
        return _Show(options, sys.stdout).run(schedules)
    except (OSError, ProgramMissingError) as failure:
        sys.stderr.write(f"{parser.prog}: error: {failure}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="redislab chaos",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lab", choices=("sentinel",), default="sentinel", help="what to harm")
    parser.add_argument(
        "--seeds", default="1", metavar="SEEDS", help='such as "7", "1..1000" or "3,5,8" (1)'
    )
    parser.add_argument(
        "--minutes", type=float, default=1.0, help="how long a schedule is, on the lab's clock (1)"
    )
    parser.add_argument("--world", choices=WORLDS, default="sim", help="where (sim)")
    parser.add_argument(
        "--against", choices=WORLDS, help="run each there as well, and compare what came of it"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="how many at the same time, in sim (1); 0 is all cores"
    )
    parser.add_argument(
        "--journal",
        type=Path,
        metavar="DIR",
        help="write schedule, report, messages and a space-time diagram of each into a directory",
    )
    parser.add_argument("--schedule", type=Path, metavar="FILE", help="one schedule, from JSON")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write the schedule as JSON")
    parser.add_argument(
        "--shrink", action="store_true", help="leave out what is not needed for it to fail"
    )
    parser.add_argument("--code", action="store_true", help="print it as a program, and no more")
    parser.add_argument(
        "--lost", action="store_true", help="name every lost write (always for one schedule)"
    )
    return parser


def _schedules(options: argparse.Namespace) -> list[Schedule]:
    if options.minutes <= 0:
        raise ValueError("--minutes is above 0")
    if options.against == options.world:
        raise ValueError(f"--against is another world than {options.world}")
    if options.jobs < 0:
        raise ValueError("--jobs is 0, for all cores, or above")
    if options.schedule is not None:
        return [Schedule.from_json(options.schedule.read_text(encoding="utf-8"))]
    return [draw(seed, 60 * options.minutes) for seed in seeds(options.seeds)]


def seeds(text: str) -> list[int]:
    """The seeds that "1..5,9" names; raises ValueError for what names none."""
    found: list[int] = []
    for part in text.split(","):
        first, dots, last = part.partition("..")
        try:
            found += range(int(first), int(last if dots else first) + 1)
        except ValueError:
            raise ValueError(f"--seeds: {text!r} is not like 7, 1..1000 or 3,5,8") from None
    if not found:
        raise ValueError(f"--seeds: there are none in {text!r}")
    return found


def carry_out(schedule: Schedule, world: str = "sim", journal: Path | None = None) -> Report:
    """Run a schedule to its end; a crash of our own code is a failure like any other.

    Args:
        schedule: what to do.
        world: where.
        journal: the directory to leave everything in that can be known of it, which is there.

    Raises:
        ProgramMissingError: the world has no such program.
        OSError: the journal cannot be written.
    """
    run: Run | None = None
    began = time.perf_counter()
    try:
        run = Run(schedule, world, keep_journal=journal is not None)
        report = run.run()
    except ProgramMissingError:
        raise
    except Exception:
        report = _crashed(schedule, world, traceback.format_exc(), time.perf_counter() - began)
    try:
        if journal is not None:
            _keep(journal, report, run)
    finally:
        if run is not None:
            run.close()
    return report


def _crashed(schedule: Schedule, world: str, text: str, wall_s: float) -> Report:
    failure = Failure(0.0, f"the run itself broke off:\n{text}")
    longest = settle_seconds(schedule.setup)
    return Report(
        schedule, world, (failure,), (), (), 0, 0, 0, 0, (), None, longest, schedule.seconds, wall_s
    )


def _keep(directory: Path, report: Report, run: Run | None) -> None:
    """Leave what is known of a run in a directory."""
    import json

    stem = directory / f"seed-{report.schedule.seed}"
    stem.with_suffix(".json").write_text(report.schedule.to_json(), encoding="utf-8")
    told = json.dumps(report.to_dict(), indent=1)
    stem.with_suffix(".report.json").write_text(told, encoding="utf-8")
    if run is None:
        return
    stem.with_suffix(".log").write_text(f"{run.lab.events!r}\n", encoding="utf-8")
    stem.with_suffix(".journal.json").write_text(run.lab.journal.to_json(), encoding="utf-8")
    if report.world != "sim":
        return
    from redislab.chaos.diagram import diagram, moment_of
    from redislab.views.static import page_html

    moment = report.failures[0].time if report.failures else moment_of(run.lab)
    with contextlib.suppress(ValueError):
        view = diagram(run.lab, moment, f"Seed {report.schedule.seed} around {moment:.1f} s")
        stem.with_suffix(".html").write_text(page_html(view.recording), encoding="utf-8")


def _shrunk(schedule: Schedule, world: str) -> Schedule:
    def fails(shorter: Schedule) -> bool:
        return not carry_out(shorter, world).is_good

    return shrink(schedule, fails) if fails(schedule) else schedule


class _Show:
    """Runs schedules and prints what they show."""

    def __init__(self, options: argparse.Namespace, out: TextIO) -> None:
        self.options = options
        self.out = out
        self.reports: list[Report] = []
        self.comparisons: list[Comparison] = []

    def run(self, schedules: Sequence[Schedule]) -> int:
        """Do it; returns the exit code."""
        began = time.perf_counter()
        if self.options.against is not None:
            self._compare(schedules)
            return 0 if all(report.is_good for report in self.reports) else 1
        for report in self._reports(schedules):
            self.reports.append(report)
            self._tell(report, len(schedules), len(self.reports))
        if len(self.reports) > 1:
            self._sum_up(time.perf_counter() - began)
        return 0 if all(report.is_good for report in self.reports) else 1

    def _compare(self, schedules: Sequence[Schedule]) -> None:
        """Run each in both worlds, without what one of them cannot do."""
        options = self.options
        worlds = options.world, options.against
        for place, schedule in enumerate(schedules, 1):
            same = schedule.for_world(worlds[0]).for_world(worlds[1])
            pair = []
            for world in worlds:
                journal = None if options.journal is None else options.journal / world
                if journal is not None:
                    journal.mkdir(exist_ok=True)
                report = carry_out(same, world, journal)
                pair.append(report)
                self.reports.append(report)
                self._tell(report, len(schedules), place)
            self.comparisons.append(Comparison(*pair))
            for line in self.comparisons[-1].lines():
                self._print(line)
            left = len(schedule.actions) - len(same.actions)
            if left:
                self._print(f"    {left} actions left out that not both worlds can do")
        self._print(f"\n{summary(self.comparisons)}")

    def _reports(self, schedules: Sequence[Schedule]) -> Iterator[Report]:
        options = self.options
        jobs = options.jobs or os.cpu_count() or 1
        if options.world != "sim" or jobs == 1 or len(schedules) == 1:
            for schedule in schedules:
                yield carry_out(schedule, options.world, options.journal)
            return
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            running = [
                pool.submit(carry_out, schedule, options.world, options.journal)
                for schedule in schedules
            ]
            for done in as_completed(running):
                yield done.result()

    def _tell(self, report: Report, count: int, place: int) -> None:
        begin = f"[{place}/{count}] " if count > 1 else ""
        if self.options.against is not None:
            begin += f"{report.world}, "
        self._print(f"{begin}{report.line()}")
        if count == 1 or self.options.lost:
            for each in report.lost:
                self._print(f"  lost {each}")
        for note in report.notes:
            self._print(f"  note: {note}")
        if report.is_good:
            return
        for failure in report.failures[:_FAILURES_SHOWN]:
            self._print(f"  {failure}")
        if len(report.failures) > _FAILURES_SHOWN:
            self._print(f"  and {len(report.failures) - _FAILURES_SHOWN} more")
        self._print(f"  again: {self._command(report)}")

    def _command(self, report: Report) -> str:
        """The command that does it again."""
        options, seed = self.options, report.schedule.seed
        world = "" if options.world == "sim" else f" --world {options.world}"
        if options.against is not None:
            world += f" --against {options.against}"
        what = f"--seeds {seed} --minutes {options.minutes:g}"
        if options.schedule is not None:
            what = f"--schedule {options.schedule}"
        elif options.shrink and options.export is not None:
            what = f"--schedule {options.export}"
        return f"redislab chaos --lab {options.lab} {what}{world} --journal chaos-{seed}"

    def _sum_up(self, wall_s: float) -> None:
        reports = self.reports
        bad = [report for report in reports if not report.is_good]
        lost = Counter(each.reason for report in reports for each in report.lost)
        settled = sorted(each.settled_s for each in reports if each.settled_s is not None)
        named = ", ".join(f"{count} {reason}" for reason, count in lost.most_common())
        acknowledged = sum(each.acknowledged for each in reports)
        self._print(
            f"\n{len(reports)} schedules, {len(bad)} failed;"
            f" {sum(each.schedule.faults for each in reports)} faults,"
            f" {sum(each.failovers for each in reports)} failovers\n"
            f"{acknowledged} writes acknowledged, lost: {named or 'none'}"
        )
        if settled:
            longest = max(each.settle_max_s for each in reports)
            self._print(
                f"all well after {median(settled):.1f} s in the median, {settled[-1]:.1f} s at"
                f" most; {longest:g} s would have been allowed"
            )
        self._print(f"{len(reports) / wall_s * 60:.1f} schedules a minute")
        if bad:
            self._print(f"failed: {','.join(str(each.schedule.seed) for each in bad)}")

    def _print(self, text: str) -> None:
        self.out.write(text + "\n")
        self.out.flush()
