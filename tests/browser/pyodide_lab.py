"""Chapter 1's lab inside Pyodide: its last expression is what the test reads."""

import asyncio
import json

from redislab import SingleLab

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

json.dumps(result)
