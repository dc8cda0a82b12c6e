"""The status page: when each notebook was run, in which world, for how long, with which versions.

It is written anew at each build, from the records of the runs that the pages were made of.
"""

import os
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata

from book.tools.execute import Run, redis_version
from book.tools.lessons import Lesson

SHOWN = (
    ("redislab", "this book's package"),
    ("redis", "redis-py, the client"),
    ("fakeredis", "the engine under many of our commands"),
    ("hiredis", "parses the protocol where it is installed"),
    ("uvloop", "a faster event loop where it is installed"),
    ("lupa", "runs scripts where it is installed"),
    ("greenlet", "lets a node serve others while a script runs"),
    ("plotly", "charts"),
    ("anywidget", "live views"),
    ("ipywidgets", "controls"),
    ("jupyterlab", "the notebooks' workplace"),
    ("papermill", "runs the notebooks"),
    ("jupyter-book", "makes the pages"),
    ("Sphinx", "under Jupyter Book"),
)
"""The packages that a reader may want to know the version of, and why."""


NOT_RUN = "-"

INTRODUCTION = """\
Every figure and every table in the lessons was made by running them from top to bottom, and these
are the runs. A page is never built from an older run: a change of the notebook, of the package or
of any version below makes it run again."""

UNDER_RUNS = """\
A dash is a world that was not run for this build. `make test` runs every lesson in every world
that it allows."""

UNDER_MACHINE = """\
The figures of the lessons are those of this machine. Yours will give others, which is what the
lessons are about."""


def status_page(lessons: Iterable[Lesson], runs: Sequence[Run]) -> str:
    """Return the page as MyST Markdown."""
    return "\n".join(
        [
            "# Status of This Book",
            "",
            INTRODUCTION,
            "",
            "## Runs",
            "",
            *_runs_table(lessons, runs),
            "",
            UNDER_RUNS,
            "",
            "## The machine",
            "",
            UNDER_MACHINE,
            "",
            "| what | here |",
            "| --- | --- |",
            f"| Python | {platform.python_version()} ({platform.python_implementation()}) |",
            f"| operating system | {platform.system()} {platform.release()} |",
            f"| processor | {platform.machine()} |",
            f"| processors | {os.cpu_count()} |",
            f"| real `redis-server` | {redis_version()} |",
            "",
            "## Versions",
            "",
            "| package | version | what for |",
            "| --- | --- | --- |",
            *(f"| {name} | {_version(name)} | {why} |" for name, why in SHOWN),
            "",
        ]
    )


def _runs_table(lessons: Iterable[Lesson], runs: Sequence[Run]) -> list[str]:
    known = {(run.name, run.world): run for run in runs}
    lines = [
        "| lesson | on its page | `sim` | `live` | `redis` | finished |",
        "| --- | --- | --: | --: | --: | --- |",
    ]
    for lesson in lessons:
        times = [_seconds(known.get((lesson.name, world))) for world in ("sim", "live", "redis")]
        shown = next((run for run in runs if run.name == lesson.name), None)
        finished = shown.finished if shown else NOT_RUN
        lines.append(
            f"| [{lesson.title}](/{lesson.name}) | `{shown.world if shown else lesson.world}` | "
            f"{' | '.join(times)} | {finished} |"
        )
    return lines


def _seconds(run: Run | None) -> str:
    return NOT_RUN if run is None else f"{run.seconds:.1f} s"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
