"""Moving a large key: both ends wait, and the key is where it should be."""

import shutil

import pytest

from redislab.labs.bigkey import move

WORLDS = [
    "live",
    pytest.param(
        "redis",
        marks=[
            pytest.mark.redis,
            pytest.mark.skipif(
                shutil.which("redis-server") is None,
                reason="redis-server is not installed (apt install redis-server)",
            ),
        ],
    ),
]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("kind", ["list", "sorted set"])
def test_clients_of_both_ends_wait_while_a_large_key_moves(world, kind):
    # On a busy machine the client that asks may not have its turn within a move of milliseconds.
    for _ in range(8):
        found = move(kind, 20_000, world=world, own_process=True)
        assert found.payload > 20_000
        assert found.target > 0
        if found.source > found.took / 4:
            break
    # The source serves nobody from its first byte to the answer of the target.
    assert found.source > found.took / 4


def test_in_sim_nobody_waits():
    with pytest.raises(ValueError, match="no command takes time"):
        move("list", 10, world="sim")
