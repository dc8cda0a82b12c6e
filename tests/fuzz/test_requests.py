"""The quick parser of requests and the careful one agree on whatever bytes in whatever chunks."""

from __future__ import annotations

from random import Random

import pytest

from redislab.wire import requests
from redislab.wire.requests import ProtocolError, RequestParser
from tests.fuzz.raw import chunks, damaged

SEEDS_PER_PART = 2000


def parsed(parser: RequestParser, sent: list[bytes]) -> tuple[list[list[bytes]], str | None]:
    """What a parser makes of some chunks: commands, and the error that ends them."""
    commands: list[list[bytes]] = []
    for chunk in sent:
        try:
            commands += parser.feed(chunk)
        except ProtocolError as broken:
            return commands + broken.args[1], broken.args[0]
    return commands, None


@pytest.mark.skipif(requests.Reader is None, reason="hiredis is not installed")
@pytest.mark.parametrize("part", range(5))
def test_hiredis_changes_nothing(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(part * SEEDS_PER_PART, (part + 1) * SEEDS_PER_PART):
        random = Random(seed)
        sent = chunks(random, damaged(random))
        quick = parsed(RequestParser(), sent)
        with monkeypatch.context() as patch:
            patch.setattr(requests, "Reader", None)
            careful = parsed(RequestParser(), sent)
        assert quick == careful, f"seed {seed}: {sent}"


def test_chunks_change_nothing() -> None:
    for seed in range(SEEDS_PER_PART):
        random = Random(seed)
        data = damaged(random)
        whole = parsed(RequestParser(), [data])
        assert parsed(RequestParser(), chunks(random, data)) == whole, f"seed {seed}: {data!r}"
