"""One real server for all tests of the benchmark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import real_server


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    with real_server() as address:
        yield address.port
