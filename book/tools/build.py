"""Build the website: run the notebooks, make their outputs static, assemble, run Jupyter Book.

    python -m book.tools.build [--world live] [--every-world] [--jobs 4] [--root .]

The site is built from `_build/source`, where the executed notebooks stand in the place of those
in git, and lands in `_build/html`. A failing notebook, an output that would be dead on a page and
any warning of Jupyter Book (also for a broken link) end the build with exit code 1.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
import plotly

from book.tools.execute import Run, execute_all, executed_path
from book.tools.lessons import WORLDS, Lesson, LessonError, lessons, pages, worlds_here
from book.tools.node import install, programs
from book.tools.outputs import OutputError, make_static
from book.tools.status import status_page
from redislab.views.static import STATIC_PATH

STATUS = "book/status.md"

FRONT = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>The Redis Lab</title>
<link rel="icon" href="_static/favicon.svg" type="image/svg+xml">
<meta http-equiv="refresh" content="0; url={page}">
</head>
<body><p><a href="{page}">The Redis Lab</a></p></body>
</html>
"""
"""The site's front door. Jupyter Book's own has no icon, so browsers ask for one in vain."""


class BuildError(Exception):
    """The website cannot be built; the message says what to mend."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the website and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m book.tools.build", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the project's folder")
    parser.add_argument("--world", choices=WORLDS, help="show every lesson in this world")
    parser.add_argument("--every-world", action="store_true", help="also run the other worlds")
    parser.add_argument("--jobs", type=int, default=4, help="notebooks that run at a time")
    options = parser.parse_args(arguments)
    try:
        build(options.root.resolve(), options.world, options.every_world, options.jobs)
    except (BuildError, LessonError, OutputError) as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    return 0


def build(root: Path, world: str | None, every_world: bool, jobs: int) -> Path:
    """Build the website of the project in `root` and return the folder of its pages."""
    started = time.monotonic()
    found = lessons(root)
    wanted = [(lesson, _shown_world(lesson, world)) for lesson in found]
    if every_world:
        others = [(lesson, other) for lesson in found for other in worlds_here(lesson)]
        wanted += [pair for pair in others if pair not in wanted]
    for folder in programs(root):
        if problem := install(folder):
            print(f"What {folder.relative_to(root)} needs is missing: {problem}", flush=True)
    print(f"Running {len(wanted)} notebooks (some measure, and take a minute)", flush=True)
    runs = execute_all(root, wanted, jobs, lambda line: print(line, flush=True))
    failed = [run.error for run in runs if run.error]
    if failed:
        raise BuildError("\n\n".join(failed))
    source = assemble(root, found, runs)
    html = jupyter_book(root, source)
    print(f"The website is in {html} ({time.monotonic() - started:.0f} s)", flush=True)
    return html


def assemble(root: Path, found: Sequence[Lesson], runs: Sequence[Run]) -> Path:
    """Lay out what Jupyter Book reads: pages, executed notebooks, settings, static files."""
    source = root / "_build" / "source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy2(root / name, source / name)
    shutil.copytree(root / "book" / "extensions", source / "book" / "extensions")
    # Jupyter Book puts every script under _static on every page, which is right for this folder
    # only; what a page loads when it needs it is an extra file.
    shutil.copytree(root / "book" / "static", source / "_static")
    shutil.copytree(root / "book" / "images", source / "book" / "images")
    extra = source / "_extra"
    (extra / "assets").mkdir(parents=True)
    shutil.copy2(_plotly_js(), extra / "assets" / "plotly.min.js")
    shutil.copytree(root / "redislab" / "views" / "static", extra / STATIC_PATH)
    names = {lesson.name for lesson in found}
    for page in pages(root):
        target = source / f"{page}.md"
        if page in names or f"{page}.md" == STATUS:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / f"{page}.md", target)
    for lesson in found:
        shown = next(run for run in runs if run.name == lesson.name)
        _place(executed_path(root, lesson.name, shown.world), source, lesson.name)
    (source / STATUS).write_text(status_page(found, runs), encoding="utf-8")
    return source


def jupyter_book(root: Path, source: Path) -> Path:
    """Run Jupyter Book over the assembled source. Raises BuildError with what it complained of."""
    html = root / "_build" / "html"
    # Without its memory of an earlier build a page can show nothing but what was assembled now.
    for leftover in (html, root / "_build" / ".doctrees"):
        shutil.rmtree(leftover, ignore_errors=True)
    log = root / "_build" / "jupyter-book.log"
    program = Path(sys.executable).parent / "jupyter-book"
    command = [str(program), "build", "-W", "-n", "--keep-going", "-q"]
    command += ["--path-output", str(root), str(source)]
    print("Building the pages", flush=True)
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, check=False)
    if done.returncode or not (html / "index.html").exists():
        raise BuildError(f"Jupyter Book ended with {done.returncode}:\n\n{_complaints(log)}")
    front = FRONT.format(page=f"{pages(root)[0]}.html")
    (html / "index.html").write_text(front, encoding="utf-8")
    return html


def _shown_world(lesson: Lesson, world: str | None) -> str:
    return world if world in lesson.worlds else lesson.world


def _place(executed: Path, source: Path, name: str) -> None:
    notebook = nbformat.read(executed, as_version=4)  # type: ignore[no-untyped-call]
    make_static(notebook, name)
    target = source / f"{name}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)  # type: ignore[no-untyped-call]


def _plotly_js() -> Path:
    return Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def _complaints(log: Path) -> str:
    lines = log.read_text(encoding="utf-8").splitlines()
    telling = [line for line in lines if "WARNING" in line or "ERROR" in line]
    return "\n".join(telling or lines[-30:]) + f"\n\nAll of it is in {log}"


if __name__ == "__main__":
    sys.exit(main())
