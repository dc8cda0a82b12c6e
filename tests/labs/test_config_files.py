"""A node's configuration file is on its own disk; what it has rewritten outlives its process."""

import errno
import shutil

import pytest
import redis

from redislab import ReplicationLab, SingleLab
from redislab.worlds.base import NodeSpec

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")
WORLDS = ["sim", "live", pytest.param("redis", marks=[pytest.mark.redis, needs_redis])]


def roles(lab):
    return [node.role for node in lab.snapshot().nodes]


@pytest.mark.parametrize("world", WORLDS)
def test_a_rewritten_configuration_outlives_a_kill_and_one_that_is_not_does_not(world):
    with ReplicationLab(world, replicas=1, seed=7) as lab:
        first, second = lab.nodes
        lab.promote(second)
        lab.follow(first, second)
        lab.wait_until(lambda now: now.in_sync, timeout=15)
        assert roles(lab) == ["slave", "master"]
        lab.cli("CONFIG SET maxclients 77", first)
        assert lab.cli("CONFIG REWRITE", first) == "OK"
        for name in lab.nodes:
            lab.kill(name)
            lab.restart(name)
        # The second was not told to keep its promotion: its file still has it follow the first.
        assert roles(lab) == ["slave", "slave"]
        assert lab.cli("CONFIG GET maxclients", first).endswith('"77"')
        assert lab.snapshot().follower(first).master == second
        lab.restart(first, wipe=True)
        assert roles(lab) == ["slave", "slave"]


@pytest.mark.parametrize("world", WORLDS)
def test_a_directive_can_have_several_lines(world):
    with SingleLab(world, seed=7) as lab:
        spec = NodeSpec(config={"rename-command": ("CONFIG fixed", 'DEBUG ""'), "save": ""})
        node = lab._start(spec)
        assert lab.cli("FIXED REWRITE", node) == "OK"
        lab.restart(node)
        assert lab.cli("FIXED GET save", node) == '1) "save"\n2) ""'
        assert "unknown command" in lab.cli("CONFIG GET save", node)
        assert "unknown command" in lab.cli("DEBUG SLEEP 0", node)


def test_a_rewritten_configuration_survives_the_loss_of_power():
    with SingleLab("sim", seed=7) as lab:
        lab.client().config_set("maxclients", 77)
        lab.client().config_rewrite()
        lab.power_off(kept=0.0)
        lab.restart()
        assert lab.client().config_get("maxclients") == {"maxclients": "77"}


@pytest.mark.parametrize("operation", ["write", "sync", "rename"])
def test_a_configuration_that_cannot_be_rewritten_stays_as_it_was(operation):
    with SingleLab("sim", seed=7) as lab:
        before = lab.disk().files()
        lab.client().config_set("maxclients", 77)
        lab.disk().inject(operation, "redis.conf*", error=errno.EIO)
        with pytest.raises(redis.ResponseError, match="Rewriting config file: Input/output error"):
            lab.client().config_rewrite()
        assert lab.disk().files() == lab.disk().medium() == before
        lab.client().config_rewrite()
        assert b"maxclients 77" in lab.disk().medium()["/data/redis.conf"]
