"""A master, replicas and Sentinels in a world, and what the Sentinels said."""

import re

from redislab.worlds.base import NodeSpec
from redislab.worlds.sim.world import SimWorld

MASTER = "redis-6379"
_LINE = re.compile(r"\d+:\S (\d+ \w+ \d+ [\d:.]+) ([.\-*#]) (.*)")
_EVENT = re.compile(r"[+-][a-z]")


class Town:
    """Everything of one test.

    Args:
        world: where; None is a new simulation.
        seed: of that.
        replicas, sentinels, quorum: how many.
        settings: of the master `mymaster` at every Sentinel, underscores for hyphens.
        config: further directives of all servers.
        lines: further lines of all Sentinels, what follows `sentinel`.
        real_servers: which servers are real ones, the master first.
        real_sentinels: which Sentinels are.
        leads: the number of the Sentinel that takes a master to be objectively down first; None
            leaves that to chance.
    """

    def __init__(
        self,
        *,
        world=None,
        seed=1,
        replicas=2,
        sentinels=3,
        quorum=2,
        config=None,
        lines=(),
        real_servers=(),
        real_sentinels=(),
        leads=None,
        **settings,
    ):
        self.world = world or SimWorld(seed=seed)
        self._clients = {}
        self.master = self.world.start(NodeSpec(MASTER, config or {}, real=0 in real_servers))
        self.replicas = [
            self.add_replica(6380 + at, config, real=at + 1 in real_servers)
            for at in range(replicas)
        ]
        self.lines = (
            *lines,
            *(f"{key.replace('_', '-')} mymaster {value}" for key, value in settings.items()),
        )
        self.sentinels = []
        for at in range(sentinels):
            needed = quorum if leads is None else 1 if at == leads else sentinels
            self.add_sentinel(f"sentinel-{at}", quorum=needed, real=at in real_sentinels)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.world.close()

    def add_replica(self, port, config=None, *, real=False, master=""):
        where = {"replicaof": f"{master or self.master.host} {self.master.port}"}
        return self.world.start(NodeSpec(f"redis-{port}", (config or {}) | where, real=real))

    def add_sentinel(self, name, *, quorum=2, config=None, real=False):
        monitor = f"monitor mymaster {self.master.host} {self.master.port} {quorum}"
        directives = {"sentinel": (monitor, *self.lines)} | (config or {})
        spec = NodeSpec(name, directives, program="sentinel", real=real)
        self.sentinels.append(self.world.start(spec))

    def lines_of(self, sentinel):
        """(time, sign of the level, text) of each line of a Sentinel's log."""
        return [_LINE.fullmatch(line).groups() for line in self.log(sentinel).splitlines()]

    def spec(self, name, *, port=0):
        """A node that is no part of it."""
        return NodeSpec(name, {"port": str(port)})

    def server(self, port):
        return next(each for each in (self.master, *self.replicas) if each.port == port)

    def log(self, sentinel):
        return self.world.log(sentinel.name)

    def events(self, sentinel, *, since="+sdown master"):
        """The events of a Sentinel's log from one that begins so on, by name."""
        found = [text for _, _, text in self.lines_of(sentinel) if _EVENT.match(text)]
        first = next(at for at, text in enumerate(found) if text.startswith(since))
        return [text.split(" ", 1)[0] for text in found[first:]]

    def leader(self):
        """The Sentinel that has led a failover."""
        (leader,) = [each for each in self.sentinels if "+elected-leader" in self.log(each)]
        return leader

    def ask(self, node, *words):
        """What a node answers, as it came."""
        if node.name not in self._clients:
            client = self._clients[node.name] = self.world.client(node.name, protocol=2)
            client.response_callbacks.clear()
        return self._clients[node.name].execute_command(*words)

    def address(self, sentinel):
        """Where a Sentinel takes the master to be."""
        host, port = self.ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
        return host.decode(), int(port)

    def shown(self, sentinel, what="MASTER"):
        """SENTINEL MASTER, or what lists several, with words for bytes."""
        answer = self.ask(sentinel, "SENTINEL", what, "mymaster")
        found = [answer] if what == "MASTER" else answer
        shown = [
            {name.decode(): value.decode() for name, value in zip(*[iter(each)] * 2, strict=True)}
            for each in found
        ]
        return shown[0] if what == "MASTER" else shown

    def wait(self, condition, timeout=60.0):
        """Let time pass until something holds."""
        for _ in range(int(timeout * 10)):
            if condition():
                return
            self.world.run_for(0.1)
        raise AssertionError("\n".join(map(self.log, self.sentinels)))

    def wait_for(self, sentinel, text, timeout=60.0):
        self.wait(lambda: text in self.log(sentinel), timeout)
