"""The same seed gives the same history, byte for byte, in any process."""

import os
import subprocess
import sys
from pathlib import Path

HISTORY = """
import asyncio, sys
import redis
from redislab import SingleLab
from redislab.worlds.sim import Faults

faults = Faults(loss_probability=0.02, stall_probability=0.01, clock_drift_max=1e-4)
with SingleLab(world="sim", seed=int(sys.argv[1]), faults=faults) as lab:
    client = lab.client(socket_timeout=0.5, socket_connect_timeout=0.5)
    client.sadd("s", *(f"member-{n}" for n in range(20)))
    client.smembers("s")
    client.spop("s")

    async def work():
        connections = [lab.async_client() for _ in range(3)]
        await asyncio.gather(*(c.incr("n") for c in connections for _ in range(20)))

    lab.run(work())
    lab.pause(lab.node)
    try:
        client.get("a")
    except redis.RedisError:
        pass
    lab.resume(lab.node)
    lab.cut("client", lab.node)
    lab.run_for(3)
    lab.heal()
    lab.kill(lab.node)
    lab.restart(lab.node)
    client.info()
    sys.stdout.write(lab.journal.to_json() + lab.log(lab.node))
"""


def history(seed, hash_seed):
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", HISTORY, str(seed)],
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_two_processes_with_different_hash_seeds_have_one_history():
    first = history(seed=7, hash_seed=1)
    assert len(first) > 10_000
    assert history(seed=7, hash_seed=2) == first


def test_another_seed_has_another_history():
    assert history(seed=8, hash_seed=1) != history(seed=7, hash_seed=1)
