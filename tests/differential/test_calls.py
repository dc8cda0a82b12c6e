"""Our server against real Redis, call by call (`calls/*.txt`; see `harness.py`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.harness import Case, differences, read_cases
from tests.servers import Address, our_server, real_server

CASES = list(read_cases())
DISTINCT_CALLS_LEAST = 800


@pytest.fixture(scope="module")
def real() -> Iterator[Address]:
    with real_server() as address:
        yield address


@pytest.fixture(scope="module")
def ours() -> Iterator[Address]:
    with our_server() as address:
        yield address


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_replies(case: Case, protocol: int, real: Address, ours: Address) -> None:
    found = differences(case, protocol, real, ours)
    assert not found, "\n".join(found)


def test_enough_distinct_calls() -> None:
    distinct = {call.words for case in CASES for call in case.calls if not call.unchecked}
    assert len(distinct) >= DISTINCT_CALLS_LEAST
