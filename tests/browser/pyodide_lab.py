"""Chapter 1's lab inside Pyodide: its last expression is what the test reads."""

import asyncio
import json

from redislab import SingleLab
from redislab.worlds.sim import Faults, Work

with SingleLab(world="sim", seed=7) as lab:
    client = lab.client(decode_responses=True)
    client.set("greeting", "hello")

    async def count() -> list[int]:
        connections = [lab.async_client() for _ in range(3)]
        return sorted(await asyncio.gather(*(c.incr("n") for c in connections)))

    counted = lab.run(count())
    before = lab.now
    lab.run_for(3600)
    lab.kill(lab.node)
    try:
        client.get("greeting")
        outcome = "answered"
    except Exception as failure:
        outcome = type(failure).__name__
    lab.restart(lab.node)
    result = {
        "counted": counted,
        "hour": round(lab.now - before),
        "killed": outcome,
        "after": client.get("greeting"),
        "info": lab.cli("PING"),
        "up": lab.snapshot().node.up,
        "events": [event.kind for event in lab.events],
        "running": asyncio.get_event_loop().is_running(),
    }

# Lesson 1.2's lab: the report comes from simulated time, so no process is needed for it.
near = Faults(latency_seconds=20e-6, jitter_seconds=5e-6)
with SingleLab(world="sim", seed=7, work=Work(), faults=near) as lab:
    result["report"] = lab.benchmark("-t", "get", "-n", "2000", "-q")[:7]

json.dumps(result)
