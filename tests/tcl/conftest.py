"""What all of Redis's own tests need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tcl.suite import need_source


@pytest.fixture(scope="session")
def source() -> Path:
    return need_source()
