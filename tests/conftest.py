"""In which order tests are handed out when several processes share them, and which stay together.

The longest begin first, so that none of them is left over for one process at the end. Tests that
share what their module has set up, a pair of servers or a browser, go to one process, which sets
it up once. Without `-n` the order is that of the files.
"""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put tests that share a fixture of their module into a group, and long ones to the front."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        # Long tests are spread: each of them outweighs what its module sets up.
        if not is_long(item) and shares_its_module(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=rank)


def rank(item: pytest.Item) -> int:
    """0 for long tests, 1 for those of a group, which is as good as long, 2 for all others."""
    if is_long(item):
        return 0
    return 1 if item.get_closest_marker("xdist_group") else 2


def is_long(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None


def shares_its_module(item: pytest.Item) -> bool:
    """Whether the test uses a fixture that its module sets up once."""
    known = item._fixtureinfo.name2fixturedefs.values()
    return any(definitions[-1].scope == "module" for definitions in known)
