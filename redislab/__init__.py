"""A Redis that lives in your process, and the labs that let you watch it.

The public names are imported when they are first used, so that `import redislab` is quick and
asks for no optional package: a lab in the simulated world runs where there is neither a thread
nor a socket, nor Jupyter.

    from redislab import SingleLab

    with SingleLab(world="sim", seed=7) as lab:
        lab.client().set("greeting", "hello")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redislab.labs.replication import ReplicationLab
    from redislab.labs.ring import RingLab
    from redislab.labs.sentinel import SentinelLab
    from redislab.labs.single import SingleLab
    from redislab.magics import load_ipython_extension

__version__ = "0.1.0"

__all__ = [
    "ReplicationLab",
    "RingLab",
    "SentinelLab",
    "SingleLab",
    "__version__",
    "load_ipython_extension",
]

_HOMES = {
    "ReplicationLab": "redislab.labs.replication",
    "RingLab": "redislab.labs.ring",
    "SentinelLab": "redislab.labs.sentinel",
    "SingleLab": "redislab.labs.single",
    "load_ipython_extension": "redislab.magics",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use; AttributeError for any other name."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
