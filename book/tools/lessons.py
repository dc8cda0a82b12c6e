"""Which pages and notebooks the book has, and what each notebook says about itself.

`_toc.yml` is the one list of the book's pages. A notebook tells the workshop about itself in its
own metadata, under `redislab`:

    "redislab": {"worlds": ["sim", "live", "redis"], "alone": true}

`worlds` are those that the lesson can run in (all three if it does not say). `alone` means that
the lesson measures the machine, so nothing else runs beside it. The world that a reader sees is
the one written in the cell tagged `parameters`. A parameter named `seconds` or `requests` says for
how long the lesson measures.
"""

import ast
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml

WORLDS = ("sim", "live", "redis")
LENGTHS = ("seconds", "requests")
"""The parameters that say for how long a lesson measures."""

BRIEF_SHARE = 0.3
"""What part of that is left in a run whose figures nobody reads."""


class LessonError(Exception):
    """A notebook or the table of contents breaks a rule of the book; the message says which."""


@dataclass(frozen=True)
class Lesson:
    """One notebook of the book.

    `name` is its path without the ending, as `_toc.yml` gives it; `world` is its own default;
    `brief` are its parameters for a run whose figures nobody reads: it measures for a shorter time.
    """

    name: str
    path: Path
    title: str
    world: str
    worlds: tuple[str, ...]
    alone: bool
    brief: dict[str, float]


def pages(root: Path) -> list[str]:
    """Return every page of `_toc.yml` in reading order, without endings."""
    contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return list(_walk(contents))


def lessons(root: Path) -> list[Lesson]:
    """Return the notebooks of the table of contents in reading order.

    Raises LessonError if a listed page does not exist or a notebook has no usable parameters.
    """
    found = []
    for page in pages(root):
        notebook = root / f"{page}.ipynb"
        if notebook.exists():
            found.append(read_lesson(root, page))
        elif not (root / f"{page}.md").exists() and page not in GENERATED:
            raise LessonError(f"_toc.yml lists {page}, and there is neither .md nor .ipynb of it")
    return found


GENERATED = ("book/status",)
"""Pages that the build writes itself."""


def read_lesson(root: Path, name: str) -> Lesson:
    """Read one notebook's description of itself. Raises LessonError if it breaks a rule."""
    path = root / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    about = notebook.metadata.get("redislab", {})
    worlds = tuple(about.get("worlds", WORLDS))
    unknown = [world for world in worlds if world not in WORLDS]
    if unknown:
        raise LessonError(f"{name}.ipynb: unknown world {unknown[0]!r} in its metadata")
    settings = parameters(notebook, name)
    world = settings.get("world")
    if world not in worlds:
        raise LessonError(
            f"{name}.ipynb: its parameters choose world {world!r}, not one of {worlds}"
        )
    return Lesson(
        name=name,
        path=path,
        title=_title(notebook, name),
        world=str(world),
        worlds=worlds,
        alone=bool(about.get("alone", False)),
        brief={key: _brief(settings[key]) for key in LENGTHS if key in settings},
    )


def parameters(notebook: Any, name: str) -> dict[str, Any]:
    """Return the constants that the cell tagged `parameters` assigns.

    Raises LessonError unless there is exactly one such cell.
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise LessonError(f"{name}.ipynb: {len(cells)} cells are tagged parameters, one must be")
    values = {}
    for statement in ast.parse(cells[0].source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=key)], value=ast.Constant(value=value)):
                values[key] = value
            case _:
                continue
    return values


def worlds_here(lesson: Lesson) -> list[str]:
    """Return the worlds of the lesson that this machine has the programs for."""
    return [
        world
        for world in lesson.worlds
        if world != "redis" or shutil.which("redis-server") is not None
    ]


def _walk(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key in ("root", "file"):
            if key in node:
                yield node[key]
        for key in ("parts", "chapters", "sections"):
            yield from _walk(node.get(key, []))
    elif isinstance(node, list):
        for entry in node:
            yield from _walk(entry)


def _brief(length: float) -> float:
    """Shorten seconds, or a number of requests, which is whole and stays so."""
    return type(length)(round(length * BRIEF_SHARE, 2))


def _title(notebook: Any, name: str) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("# "):
                    return str(line[2:].strip())
    raise LessonError(f"{name}.ipynb: no title, that is, no line '# ...' in a markdown cell")
