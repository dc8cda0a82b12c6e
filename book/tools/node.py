"""Programs for Node.js that a lesson runs: what npm has to install before they can.

Such a program lies in a folder beside its notebook, with a `package.json` that names the versions
it needs and a `package-lock.json` that names every file by its checksum. What npm fetches lands in
`node_modules` there, which is no part of the project. A machine without Node.js, or without a
network, builds the book all the same: a lesson says then what it could not run.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

INSTALL_SECONDS_MAX = 120


def programs(root: Path) -> Iterator[Path]:
    """Yield the folders with programs for Node.js."""
    yield from (lock.parent for lock in sorted(root.glob("notebooks/*/*/package-lock.json")))


def install(folder: Path) -> str:
    """Install what a program needs, unless it is there, and return what is in the way."""
    if all(_installed(folder, name) == version for name, version in _wanted(folder).items()):
        return ""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not installed"
    words = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        return f"npm was not done after {INSTALL_SECONDS_MAX} s"
    return " ".join(done.stderr.split())[:300] if done.returncode else ""


def versions(root: Path) -> list[str]:
    """Return what is installed, as name and version: what the run of a notebook depends on."""
    return [
        f"{name}@{_installed(folder, name)}"
        for folder in programs(root)
        for name in _wanted(folder)
    ]


def _wanted(folder: Path) -> dict[str, str]:
    """The packages that a program names itself, and which version of each."""
    manifest = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    return dict(manifest["dependencies"])


def _installed(folder: Path, name: str) -> str:
    """Which version of a package is installed there; empty for none."""
    manifest = folder / "node_modules" / name / "package.json"
    if not manifest.exists():
        return ""
    return str(json.loads(manifest.read_text(encoding="utf-8"))["version"])
