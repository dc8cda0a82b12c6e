"""The simulated world: virtual time, a simulated network, one seed.

Read in this order: `hosts.py` (whose an event is), `loop.py` (the clock and the event loop),
`network.py`, `faults.py` and `link.py` (how hosts meet), `dial.py`, `listeners.py`, `flow.py` and
`transport.py` (TCP), `work.py` (a node that is busy), `medium.py` and `disk.py` (what a power
failure takes), `journal.py`, `client.py` (redis-py in here) and `world.py`.
"""

from redislab.worlds.sim.faults import Faults
from redislab.worlds.sim.journal import Journal, Message
from redislab.worlds.sim.loop import DeadlockError, SimLoop
from redislab.worlds.sim.work import Work

__all__ = ["DeadlockError", "Faults", "Journal", "Message", "SimLoop", "Work"]
