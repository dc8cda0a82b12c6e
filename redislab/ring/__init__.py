"""Dividing keys among servers: a ring to think with, and the placements of nutcracker (twemproxy).

In reading order: `hashes.py` has nutcracker's twelve hashes; `distributions.py` goes from a hash to
a server, by ketama's continuum or modula's slots; `servers.py` says what of a server is hashed, and
`placement.py` puts these together: the server that nutcracker sends a key to. `remembered.py` keeps
what was found for keys that come often; `vectors.py` does the same for many keys at once, with
numpy where it is installed.

`sharding.py` is the interface for notebooks, which does not know of nutcracker: named nodes, owners
of keys, what a change moves. `ring.py` is consistent hashing, `others.py` what it is compared with,
and `measures.py` has the four measures of the paper that named it. `proxy/` is a proxy that places
keys like this.

    from redislab.ring import Ring

    ring = Ring(["a", "b", "c"])
    ring.owner("user:1")
    print(ring.moved(ring.add("d"), (f"user:{n}" for n in range(10_000))))
"""

from redislab.ring.hashes import HASHES
from redislab.ring.measures import balance, load, monotonicity, spread
from redislab.ring.others import Jump, Modulo, Rendezvous
from redislab.ring.placement import Explanation, Placement
from redislab.ring.ring import Point, Ring
from redislab.ring.servers import Server
from redislab.ring.sharding import Moved, Sharding

__all__ = [
    "HASHES",
    "Explanation",
    "Jump",
    "Modulo",
    "Moved",
    "Placement",
    "Point",
    "Rendezvous",
    "Ring",
    "Server",
    "Sharding",
    "balance",
    "load",
    "monotonicity",
    "spread",
]
