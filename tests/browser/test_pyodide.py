"""The simulated world in Pyodide: the package as a wheel, under node, without a network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "pyodide"
PYODIDE = "314.0.6"
DEPENDENCIES = ["redis==8.1.0", "fakeredis==2.40.0", "sortedcontainers==2.4.0"]

pytestmark = [pytest.mark.node, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def pyodide():
    """The folder of npm's pyodide, fetched once; without node this is skipped, but not in CI."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("node and npm are needed for the Pyodide test")
        pytest.skip("no node or npm here")
    folder = CACHE / "node_modules" / "pyodide"
    manifest = folder / "package.json"
    if not manifest.exists() or json.loads(manifest.read_text())["version"] != PYODIDE:
        CACHE.mkdir(parents=True, exist_ok=True)
        run("npm", "install", "--no-audit", "--no-fund", f"pyodide@{PYODIDE}", cwd=CACHE)
    return folder


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Our wheel, built now, and those of what it needs, fetched once."""
    fetched = CACHE / "wheels"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    if len(list(fetched.glob("*.whl"))) != len(DEPENDENCIES):
        run(*pip, "download", "--no-deps", "--only-binary=:all:", "-d", fetched, *DEPENDENCIES)
    built = tmp_path_factory.mktemp("wheel")
    run(*pip, "wheel", "--no-deps", "-w", built, ROOT)
    found = [*fetched.glob("*.whl"), *built.glob("*.whl")]
    assert all(wheel.name.endswith("-none-any.whl") for wheel in found)
    return found


def run(*words, cwd=None):
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_chapters_lab_runs_in_pyodide(pyodide, wheels):
    here = Path(__file__).parent
    program = here / "pyodide_lab.py"
    printed = run("node", here / "pyodide_lab.mjs", pyodide, program, *wheels)
    assert json.loads(printed.splitlines()[-1]) == {
        "counted": [1, 2, 3],
        "hour": 3600,
        "killed": "ConnectionError",
        "after": None,
        "info": "PONG",
        "up": True,
        "events": ["start", "kill", "start"],
        "running": True,
        "report": "GET: 52",
    }
