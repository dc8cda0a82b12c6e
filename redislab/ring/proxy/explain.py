"""`redislab proxy --explain KEY`: which server has a key, and why."""

from __future__ import annotations

from random import Random

from redislab.ring.placement import Placement
from redislab.ring.proxy.settings import PoolConfig


def explained(pool: PoolConfig, key: bytes) -> str:
    """A paragraph on where a pool has a key, with all servers live."""
    placement = Placement(
        pool.servers,
        hash=pool.hash,
        distribution=pool.distribution,
        hash_tag=pool.hash_tag,
        random=Random(),
    )
    why = placement.explain(key)
    lines = [
        f"pool {pool.name}: {len(pool.servers)} servers, distribution {pool.distribution}",
        f"  key     {_shown(key)}",
    ]
    if pool.distribution == "random":
        lines.append("  server  any; the distribution draws one for each request")
        return "\n".join(lines) + "\n"
    if why.hashed != key:
        lines.append(
            f"  hashed  {_shown(why.hashed)}, between the signs of hash_tag {pool.hash_tag}"
        )
    if why.value is None:
        lines.append("  hash    none: there is one server")
    else:
        lines.append(f"  hash    {why.value} (0x{why.value:08x}), {pool.hash}")
    if why.point is not None:
        what = "the first point that is not before it" if pool.distribution == "ketama" else "slot"
        lines.append(f"  point   {why.point}, {what}")
    label = why.server.label.decode("utf-8", "replace")
    lines.append(f"  server  {why.server.address}, which is hashed as {label}")
    return "\n".join(lines) + "\n"


def _shown(data: bytes) -> str:
    text = data.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
