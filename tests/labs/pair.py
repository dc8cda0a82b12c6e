"""A lab of two nodes that reach each other, of every kind, for the tests of what lies between."""

import shutil

import pytest
import redis

from redislab.labs.base import Lab
from redislab.worlds.base import NodeSpec
from tests.worlds.toy import Toy

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")


def real(kind):
    """A kind that runs real programs."""
    return pytest.param(kind, marks=[pytest.mark.redis, needs_redis])


ALL_REAL = [real("redis"), real("redis-shared")]
KINDS = ["sim", "live", real("mixed"), real("mixed-shared"), *ALL_REAL]
"""sim, live: nodes of ours; redis: real ones; mixed: one of each; shared: all share one address, as
they do where a machine has only 127.0.0.1."""

REAL = {"save": "", "repl-diskless-sync-delay": "0"}
MIGRATE_MS = 300


class Pair(Lab):
    """Two nodes, `one` and `two`. Ours are toys."""

    def __init__(self, kind, **options):
        self.kind = kind
        kind, _, is_shared = kind.partition("-")
        world = "live" if kind == "mixed" else kind
        if is_shared:
            options["own_addresses"] = False
        if world != "redis":
            options["make_node"] = Toy
        super().__init__(world, 7, **options)
        self.real = {"one": world == "redis", "two": world == "redis" or kind == "mixed"}
        for name, real in self.real.items():
            config = dict(REAL) if real else {}
            spec = NodeSpec(name, config, real=True if kind == "mixed" and real else None)
            self._start(spec)

    def snapshot(self):
        return [self._snapshot_of(handle) for handle in self.nodes.values()]

    def quick(self, node, **options):
        """A client that gives up soon."""
        return self.client(node, socket_timeout=0.3, socket_connect_timeout=0.3, **options)

    def asks(self, source, target):
        """What comes of it when one node connects to another: its answer or what went wrong."""
        there = self.find(target)
        client = self.client(source, at="observer", socket_timeout=3)
        try:
            if not self.real[source]:
                return client.execute_command("ASK", there.host, there.port, "PING").decode()
            client.set("moved", 1)
            client.execute_command(
                "MIGRATE", there.host, there.port, "moved", 0, MIGRATE_MS, "COPY", "REPLACE"
            )
        except redis.ResponseError as failure:
            return str(failure)
        finally:
            client.close()
        return "PONG"

    def reaches(self, source, target):
        """Whether one node gets an answer from another."""
        return self.asks(source, target) in {"PONG", "+PONG"}
