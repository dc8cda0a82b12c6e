"""The commands of a Sentinel: ours and the real one, call by call (`calls/*.txt`).

The notation of the calls is told in `tests/differential/harness.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from redislab.server.facts import SENTINEL_COMMANDS
from redislab.wire.replies import Reply
from tests.differential.harness import Case, differences, read_cases
from tests.differential.test_command_docs import fields, plain, text
from tests.sentinel.processes import OUR_SENTINEL, Sentinel, real_sentinel, sentinel
from tests.servers import Wire

pytestmark = pytest.mark.redis

CASES = list(read_cases(Path(__file__).parent / "calls"))
DISTINCT_CALLS_LEAST = 240


@pytest.fixture(scope="module")
def real() -> Iterator[Sentinel]:
    with sentinel(real_sentinel()) as address:
        yield address


@pytest.fixture(scope="module")
def ours() -> Iterator[Sentinel]:
    with sentinel(OUR_SENTINEL) as address:
        yield address


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_replies(case: Case, protocol: int, real: Sentinel, ours: Sentinel) -> None:
    found = differences(case, protocol, real, ours)
    assert not found, "\n".join(found)


def test_enough_distinct_calls() -> None:
    assert len({call.words for case in CASES for call in case.calls}) >= DISTINCT_CALLS_LEAST


def test_documentation_has_the_structure_of_redis_and_words_of_its_own(
    real: Sentinel, ours: Sentinel
) -> None:
    with Wire(real, 3) as theirs, Wire(ours, 3) as mine:
        for name in SENTINEL_COMMANDS:
            expected, got = (wire.call(b"COMMAND", b"DOCS", name) for wire in (theirs, mine))
            assert plain(got) == plain(expected), name
            summaries = {
                text(fields(fields(docs)[name.decode()])["summary"]).lower()
                for docs in (expected, got)
            }
            assert len(summaries) == 2, name


def forms(reply: Reply) -> list[bytes]:
    """The lines of a HELP that are no explanations."""
    return [
        item.text or b""
        for item in reply.items or ()
        if not (item.text or b" ").isspace() and not (item.text or b"").startswith(b" ")
    ]


def test_help_has_the_forms_of_redis(real: Sentinel, ours: Sentinel) -> None:
    with Wire(real) as theirs, Wire(ours) as mine:
        expected, got = (forms(wire.call(b"SENTINEL", b"HELP")) for wire in (theirs, mine))
    assert got == expected
    assert len(got) > 20


@pytest.mark.parametrize("asked", ["", "all", "everything", "default", "server sentinel", "cpu"])
def test_info_has_the_sections_and_fields_of_redis(
    asked: str, real: Sentinel, ours: Sentinel
) -> None:
    with Wire(real, 3) as theirs, Wire(ours, 3) as mine:
        replies = [wire.call(b"INFO", *asked.encode().split()) for wire in (theirs, mine)]
    expected, got = (
        re.sub(rb":.*|errorstat_.*", b"", reply.text or b"").split() for reply in replies
    )
    assert got == expected
    assert replies[0].kind == replies[1].kind


@pytest.mark.parametrize("protocol", [b"2", b"3"])
def test_hello_says_what_it_is(protocol: bytes, real: Sentinel, ours: Sentinel) -> None:
    greetings = []
    for address in (real, ours):
        with Wire(address) as wire:
            reply = wire.call(b"HELLO", protocol)
        found = {k.text: v for k, v in zip(*[iter(reply.items or ())] * 2, strict=True)}
        assert found.pop(b"id").text
        greetings.append((reply.kind, found))
    assert greetings[0] == greetings[1]
    assert greetings[1][1][b"mode"].text == b"sentinel"
