"""A Sentinel on a desk: its state and a host that only takes notes, for what needs no loop."""

import random

from redislab.sentinel.instances import add_master, add_peer, add_replica
from redislab.sentinel.model import Address, SentinelState
from redislab.sentinel.watch import Watch
from redislab.server.environment import Environment
from redislab.server.log import DEBUG, Log

NOW = 1_000_000_000
OWN_ID = "a" * 40
MASTER = Address("10.0.0.1", 6379)


class Desk:
    """A `SentinelHost` that keeps what it is told.

    Attributes:
        lines: of the log, from the sign of the level on.
        published: (channel, message) pairs.
        saved: how often the configuration was written.
        ran: the programs that were started.
    """

    loop = None
    port = 26379
    password = source_address = ""

    def __init__(self, now=NOW, **state):
        self.now = now
        self.lines, self.published, self.ran = [], [], []
        self.saved = self.ended = 0
        self.random = random.Random(1)
        environment = Environment(
            name="desk",
            random=self.random,
            unix_time=lambda: self.now / 1000,
            clock=lambda: self.now / 1000,
            log=lambda line: self.lines.append(line.split(" ", 5)[-1]),
            process_id=1,
            cpu_time=lambda: (0.0, 0.0),
            rss=lambda: 0,
            disk=None,
            directory="/",
        )
        self.log = Log(environment, DEBUG)
        self.state = SentinelState(my_id=OWN_ID, **state)
        self.watch = Watch(self, self.state)
        self.watch.is_running = True

    def now_ms(self):
        return self.now

    def announce(self, channel, message):
        self.published.append((channel.decode(), message.decode("utf-8", "surrogateescape")))

    def flush_config(self):
        self.saved += 1
        return True

    def run_script(self, arguments, ended):
        self.ran.append((arguments, ended))
        return len(self.ran)

    def kill_script(self, process_id):
        self.ran[process_id - 1][1](process_id, 0, 9)

    def die(self, code):
        self.ended = code

    @property
    def events(self):
        """The names of the events, in order."""
        return [channel for channel, _ in self.published]

    def master(self, *, name="mymaster", address=MASTER, quorum=2, replicas=2, peers=2, **fields):
        """A master that is up, with replicas and other Sentinels that are."""
        master = add_master(self.state, name, address, quorum, self.now)
        for number in range(replicas):
            replica = add_replica(self.state, master, Address("10.0.1.1", 6380 + number), self.now)
            replica.info_time, replica.run_id = self.now, f"{number:040x}"
            replica.link.is_disconnected = False
        for number in range(peers):
            where = Address("10.0.2.1", 26380 + number)
            add_peer(self.state, master, where, f"{number:x}" * 40, self.now)
        for each in (master, *master.replicas.values(), *master.peers.values()):
            each.link.asked = 0
        for field, value in fields.items():
            setattr(master, field, value)
        return master
