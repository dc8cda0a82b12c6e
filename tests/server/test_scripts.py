"""Scripts that do not end by themselves."""

from __future__ import annotations

import pytest

from redislab.labs.single import SingleLab

lua = pytest.importorskip("redislab.server.lua")
pytest.importorskip("lupa")


@pytest.mark.parametrize(
    "script",
    ["while true do end", "while true do pcall(function() while true do end end) end"],
)
def test_an_endless_script_is_ended_and_the_node_goes_on(
    script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lua, "INSTRUCTIONS_MAX", 5_000_000)
    with SingleLab(world="sim") as lab:
        assert lab.cli(f"EVAL '{script}' 0").startswith("(error) ERR Script killed")
        assert lab.cli("EVAL 'return 7' 0") == "(integer) 7"
