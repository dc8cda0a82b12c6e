"""How tests are handed out to processes: one setup, one process; long ones first; plain names."""

import subprocess
import sys

from tests.tidy.tree import ROOT

SAMPLE = """
import os
import pytest

def note(what):
    with open("notes", "a") as notes:
        notes.write(f"{what} {os.environ['PYTEST_XDIST_WORKER']}\\n")

@pytest.fixture(scope="module")
def server():
    note("server")

@pytest.mark.parametrize("n", range(8))
def test_shared(server, n):
    note("shared")
    assert n != 7

@pytest.mark.parametrize("n", range(8))
def test_apart(n):
    note("apart")

@pytest.mark.xdist_group("marked")
@pytest.mark.parametrize("n", range(8))
def test_marked(n):
    note("marked")

@pytest.mark.slow
@pytest.mark.parametrize("n", range(2))
def test_long(n):
    note("long")

@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("n", range(2))
def test_longest(n):
    note("longest")
"""


def test_what_stays_together_what_goes_first_and_by_what_name_a_failure_is_told(tmp_path):
    (tmp_path / "test_sample.py").write_text(SAMPLE, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow", encoding="utf-8")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-n", "2"]
    words += ["--dist", "loadgroup", "--no-loadscope-reorder", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*words, tmp_path / "test_sample.py"],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 27 passed" in done.stdout, done.stdout + done.stderr
    assert "FAILED test_sample.py::test_shared[7] - " in done.stdout

    loose = {"apart", "long"}
    notes = [line.split() for line in (tmp_path / "notes").read_text().splitlines()]
    workers = {what: {worker for one, worker in notes if one == what} for what, _ in notes}
    assert {what: len(at) for what, at in workers.items() if what not in loose} == {
        "server": 1,
        "shared": 1,
        "marked": 1,
        "longest": 2,
    }
    first = {worker: what for what, worker in reversed(notes)}
    assert set(first.values()) == {"longest"}
