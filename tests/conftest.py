"""In which order tests are handed out when several processes share them, and which stay together.

The longest begin first, so that none of them is left over for one process at the end: those marked
as slow, and of these the ones that may take longest before they time out. Tests that share what
their module has set up, a pair of servers or a browser, go to one process, which sets it up once;
those marked with the same `xdist_group` go to one process, too. Without `-n` the order is that of
the files.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # What a script starts in the background ignores Ctrl-C, and so would the programs that tests
    # start from there and stop with it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put tests that share a fixture of their module into a group, and long ones to the front."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        # Long tests are spread: each of them outweighs what its module sets up.
        if not is_long(item) and group(item) is None and shares_its_module(item):
            item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}/{item.path.stem}"))
    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_collection_finish(session: pytest.Session) -> Iterator[None]:
    """Tell the process that hands out the tests which of them stay together.

    It reads that off the ends of their ids. xdist 3.8 means to put it there itself, in a field that
    pytest 9.2 no longer has. Afterwards a test bears its own name again, by which it can be run.
    """
    ids = [(item, item._id) for item in session.items]
    if hasattr(session.config, "workerinput"):
        for item, plain in ids:
            if group(item) is not None:
                item._id = type(plain).parse(f"{plain}@{group(item)}")
    yield
    for item, plain in ids:
        item._id = plain


def group(item: pytest.Item) -> str | None:
    mark = item.get_closest_marker("xdist_group")
    return mark.args[0] if mark else None


def rank(item: pytest.Item) -> tuple[int, float]:
    """0 for long tests, 1 for those of a group, which is as good as long, 2 for all others.

    Beside it minus the seconds that a long one may take.
    """
    if is_long(item):
        limit = item.get_closest_marker("timeout")
        return 0, -limit.args[0] if limit else 0
    return (2 if group(item) is None else 1), 0


def is_long(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None


def shares_its_module(item: pytest.Item) -> bool:
    """Whether the test uses a fixture that its module sets up once."""
    known = item._fixtureinfo.name2fixturedefs.values()
    return any(definitions[-1].scope == "module" for definitions in known)
