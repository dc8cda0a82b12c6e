"""A proxy that puts each key where nutcracker (twemproxy) puts it.

In the order in which a newcomer reads it best: `settings.py` is what a configuration says and
`conf.py` reads it; `commands.py` is the table of what goes through a proxy, `refusals.py` why the
rest does not. Then the way of a request: `requests.py` takes a client's bytes apart, `session.py`
sends each to the server of its key, `servers.py` are the connections there, `replies.py` takes
their bytes apart, and `batches.py` puts the replies in order again. `ejection.py` is the table of
when a server is left out, `pool.py` ties servers and clients together, `stats.py` shows what was
counted, and `node.py` is the whole. `main.py` makes a program of it, with `options.py` and
`explain.py`.
"""

from redislab.ring.proxy.node import ProxyNode
from redislab.ring.proxy.settings import Listen, PoolConfig, ProxyConfig

__all__ = ["Listen", "PoolConfig", "ProxyConfig", "ProxyNode"]
