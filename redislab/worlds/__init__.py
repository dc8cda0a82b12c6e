"""The three worlds that run nodes: `sim`, `live` and `redis`.

Read `base.py` first: it is the seam that labs lean on. `sim/` is the simulator, `live.py` the same
nodes on real ports, `redis.py` the real programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redislab.worlds.base import World

WORLDS = ("sim", "live", "redis")

__all__ = ["WORLDS", "make_world"]


def make_world(name: str, *, seed: int = 0, **options: Any) -> World:
    """A new world.

    Args:
        name: "sim", "live" or "redis".
        seed: of everything random in it. Real time has its own mind: in `live` and `redis` the
            seed reaches what the nodes draw, and no further.
        options: further options of that world; see its class. Two are taken by every world, and
            change nothing where there is nothing to change: `own_process` (in `live`, each node is
            a program of its own, so that it can be measured) and `relayed` (in `live` and `redis`,
            faults can be put between two nodes).

    Raises:
        ValueError: if there is no such world.
        ProgramMissingError: if `redis` finds no redis-server.
    """
    if name != "live":
        options.pop("own_process", None)
    if name == "sim":
        options.pop("relayed", None)
        from redislab.worlds.sim.world import SimWorld

        return SimWorld(seed=seed, **options)
    if name == "live" and options.pop("own_process", False):
        from redislab.worlds.redis import OwnProcessWorld

        return OwnProcessWorld(seed=seed, **options)
    if name == "live":
        from redislab.worlds.live import LiveWorld

        return LiveWorld(seed=seed, **options)
    if name == "redis":
        from redislab.worlds.redis import RedisWorld

        return RedisWorld(seed=seed, **options)
    raise ValueError(f"there is no world {name!r}; the worlds are {', '.join(WORLDS)}")
