"""What the tests of several clients share: ioredis, which npm installs once, at a fixed version."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from book.tools.node import install
from tests.tidy.tree import ROOT

# The program of lesson 3.4; the file beside it names the version of ioredis.
PROGRAM = ROOT / "notebooks" / "03-sentinel" / "ioredis" / "writer.cjs"


@pytest.fixture(scope="session")
def ioredis() -> Path:
    """The folder of npm's ioredis, fetched once; without node this is skipped, but not in CI."""
    if os.environ.get("CI") and shutil.which("npm") is None:
        pytest.fail("node and npm are needed for the tests of ioredis")
    if problem := install(PROGRAM.parent):
        pytest.skip(f"no ioredis here: {problem}")
    return PROGRAM.parent / "node_modules" / "ioredis"
