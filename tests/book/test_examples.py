"""What the pages promise: their examples run, and the option table is the program's own."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.book.conftest import ROOT

APPENDIX = ROOT / "book" / "appendix-benchmark-options.md"
OPTION = r"--?[A-Za-z0-9][a-z0-9-]*"


def options_of_the_page(answer=None):
    """Return the options in the page's tables; with `answer`, those whose last column says it."""
    found = set()
    for line in APPENDIX.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `-") and (answer is None or cells[-1] == answer):
            found |= {re.match(OPTION, code)[0] for code in re.findall(r"`(-[^`]+)`", cells[0])}
    return found


def python_blocks(page):
    return re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"))


# What an example prints, by the lab that it makes.
PRINTS = {"SingleLab": "connected_clients:", "SentinelLab": "redis-"}


@pytest.mark.parametrize("page", ["README.md", "book/welcome.md"])
def test_the_example_on_the_page_runs(page):
    blocks = python_blocks(page)
    assert blocks
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        [printed] = [text for lab, text in PRINTS.items() if f"with {lab}(" in block]
        assert printed in done.stdout


@pytest.mark.redis
def test_the_table_has_every_option_of_redis_benchmark():
    program = shutil.which("redis-benchmark")
    if program is None:
        pytest.skip("redis-benchmark is not installed (apt install redis-tools)")
    told = subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout
    listed = set(re.findall(rf"(?m)^ ({OPTION})", told))
    assert len(listed) > 30
    assert listed <= options_of_the_page()


def test_the_table_has_every_option_of_ours():
    command = [sys.executable, "-m", "redislab", "benchmark", "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    listed = set(re.findall(rf"(?m)^ ({OPTION})", told))
    assert len(listed) > 30
    assert listed <= options_of_the_page()


def test_an_option_that_the_table_calls_refused_is_refused_by_name():
    refused = options_of_the_page("refused")
    assert refused
    for option in refused:
        done = subprocess.run(
            [sys.executable, "-m", "redislab", "benchmark", option, "2"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert option in done.stderr
        assert "honored" in done.stderr
