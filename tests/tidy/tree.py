"""Where the rules of the house look: the project's own files, parsed once."""

import ast
import os
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".git", ".venv", "_build", "node_modules", "__pycache__", ".ipynb_checkpoints"}


def files(*suffixes: str, under: str = ".") -> list[Path]:
    """Return the project's files with one of these endings, below a folder, in a fixed order."""
    found = []
    for top, folders, names in os.walk(ROOT / under):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        found += [Path(top) / name for name in sorted(names) if Path(name).suffix in suffixes]
    return found


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name(path: Path) -> str:
    """Return a path as the project writes it, from its root with slashes."""
    return path.relative_to(ROOT).as_posix()
