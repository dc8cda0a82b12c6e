"""Run notebooks from top to bottom, each in a chosen world, with papermill.

A run is kept under `_build/executed/<world>/` together with a record of what it was made from:
the notebook, every file of the package, the versions of everything installed and of redis-server.
It is used again only while all of that is the same, so nothing stale is ever published; Jupyter
Book's own cache, which does not notice a change of the package, is off.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat

from book.tools.lessons import Lesson
from book.tools.node import versions

CELL_SECONDS_MAX = 300
"""A cell that takes longer than this is taken to hang."""


@dataclass(frozen=True)
class Run:
    """One notebook run in one world: what it was made from, how it went, how long it took.

    `error` is None for a good run, else the notebook, the cell and the error in a few lines.
    `finished` is a time in UTC, ISO 8601.
    """

    name: str
    title: str
    world: str
    digest: str
    seconds: float
    finished: str
    error: str | None = None


def executed_path(root: Path, name: str, world: str) -> Path:
    """Return where the executed copy of a notebook lies."""
    return root / "_build" / "executed" / world / f"{name}.ipynb"


def execute_all(
    root: Path, wanted: Sequence[tuple[Lesson, str]], jobs: int, say: Callable[[str], None]
) -> list[Run]:
    """Run each (lesson, world), at most `jobs` at a time, and return the runs in the same order.

    Lessons that measure the machine run one after the other, when the rest is done. Virtual time
    measures no machine, and does not mind company.
    """
    runs: dict[tuple[str, str], Run] = {}

    def note(run: Run, verdict: str) -> None:
        runs[run.name, run.world] = run
        count = f"{len(runs)}/{len(wanted)}"
        say(f"  {count:>5}  {run.name}.ipynb  {run.world:5}  {run.seconds:6.1f} s  {verdict}")

    def ended(run: Run) -> None:
        note(run, "failed" if run.error else "ok")

    for lesson, world in wanted:
        run = kept(root, lesson, world)
        if run:
            note(run, "kept")
    due = [(lesson, world) for lesson, world in wanted if (lesson.name, world) not in runs]
    alone = [(lesson, world) for lesson, world in due if lesson.alone and world != "sim"]
    with ProcessPoolExecutor(max_workers=max(1, jobs), mp_context=get_context("spawn")) as pool:
        started = [pool.submit(execute, root, *pair) for pair in due if pair not in alone]
        for future in as_completed(started):
            ended(future.result())
    for lesson, world in alone:
        ended(execute(root, lesson, world))
    return [runs[lesson.name, world] for lesson, world in wanted]


def execute(root: Path, lesson: Lesson, world: str, *, brief: bool = False) -> Run:
    """Run one notebook in one world, or take the kept run if nothing that it depends on changed.

    A brief run is one whose figures nobody reads: the lesson measures for a shorter time in it.
    """
    run = kept(root, lesson, world)
    if run is None and brief:
        run = kept(root, lesson, world, lesson.brief)
    return run or _run(root, lesson, world, lesson.brief if brief else {})


def kept(
    root: Path, lesson: Lesson, world: str, parameters: Mapping[str, Any] | None = None
) -> Run | None:
    """Return the run that is kept, if it is a good one and made from all that there is now."""
    target = executed_path(root, lesson.name, world)
    record = target.with_suffix(".json")
    if not (record.exists() and target.exists()):
        return None
    run = Run(**json.loads(record.read_text(encoding="utf-8")))
    made_from = fingerprint(root, lesson.path, world, parameters)
    return run if run.digest == made_from and run.error is None else None


def _run(root: Path, lesson: Lesson, world: str, parameters: Mapping[str, Any]) -> Run:
    target = executed_path(root, lesson.name, world)
    record = target.with_suffix(".json")
    target.parent.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    digest = fingerprint(root, lesson.path, world, parameters)
    started = time.monotonic()
    error = _papermill(lesson, world, parameters, target)
    run = Run(
        name=lesson.name,
        title=lesson.title,
        world=world,
        digest=digest,
        seconds=round(time.monotonic() - started, 1),
        finished=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        error=error,
    )
    record.write_text(json.dumps(asdict(run), indent=1), encoding="utf-8")
    return run


def fingerprint(
    root: Path, notebook: Path, world: str, parameters: Mapping[str, Any] | None = None
) -> str:
    """Return a digest of everything that decides what a run of this notebook shows.

    `parameters` are those besides the world that a run is given.
    """
    digest = hashlib.sha256()
    beside = notebook.parent.glob("*/*.cjs")
    for path in [
        notebook,
        Path(__file__),
        *sorted((root / "redislab").rglob("*")),
        *sorted(beside),
    ]:
        if path.is_file() and path.suffix in {".py", ".js", ".cjs", ".css", ".ipynb"}:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update("\n".join([world, *_surroundings(), *versions(root)]).encode())
    if parameters:
        digest.update(json.dumps(dict(parameters), sort_keys=True).encode())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _surroundings() -> list[str]:
    installed = {f"{item.name}=={item.version}" for item in metadata.distributions()}
    return [sys.version, platform.platform(), redis_version(), *sorted(installed)]


def redis_version() -> str:
    """Return the version of the real redis-server here, or a sentence that there is none."""
    program = shutil.which("redis-server")
    if program is None:
        return "not installed"
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    words = dict(word.split("=", 1) for word in told.stdout.split() if "=" in word)
    return words.get("v", "unknown")


def _papermill(
    lesson: Lesson, world: str, parameters: Mapping[str, Any], target: Path
) -> str | None:
    """Run the notebook; return None, or what went wrong and in which cell."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    _prepare_kernel(target)
    # The default world needs no parameter, so the page does not show a cell that sets one.
    chosen = {} if world == lesson.world else {"world": world}
    chosen.update(parameters)
    try:
        papermill.execute_notebook(
            lesson.path,
            target,
            parameters=chosen,
            cwd=lesson.path.parent,
            kernel_name="python3",
            progress_bar=False,
            execution_timeout=CELL_SECONDS_MAX,
        )
    except papermill.PapermillExecutionError as problem:
        cell = _first_lines(problem.source, 6)
        return (
            f"{lesson.name}.ipynb in world {world}, cell {problem.cell_index + 1} "
            f"raised {problem.ename}: {problem.evalue}\n{cell}"
        )
    except (CellTimeoutError, DeadKernelError) as problem:
        return f"{lesson.name}.ipynb in world {world}: {_first_lines(str(problem), 12)}"
    _check_ran(target)
    return None


def _prepare_kernel(target: Path) -> None:
    """Set up what a kernel started from here inherits."""
    # Figures are kept as data: the page draws them with the site's one copy of plotly.js.
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"
    # The reader's own IPython start-up files stay out of the book. So does what a kernel says on
    # the terminal, of unencrypted traffic on the loopback interface or of the interrupt that ends
    # it: what goes wrong in a cell is told by the run.
    profile = target.parent / ".ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    settings = json.dumps({"IPKernelApp": {"log_level": "CRITICAL"}})
    (profile / "ipython_kernel_config.json").write_text(settings, encoding="utf-8")
    os.environ["IPYTHONDIR"] = str(profile.parent)


def _check_ran(target: Path) -> None:
    notebook = nbformat.read(target, as_version=4)  # type: ignore[no-untyped-call]
    missed = [
        cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count is None
    ]
    empty = [cell for cell in missed if not cell.source.strip()]
    if len(missed) > len(empty):
        raise AssertionError(f"{target}: papermill left a cell unexecuted")


def _first_lines(text: str, count: int) -> str:
    lines = text.strip().splitlines()
    shown = lines[:count] + (["..."] if len(lines) > count else [])
    return "\n".join(f"    {line}" for line in shown)
