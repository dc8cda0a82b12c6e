"""One life of a master, seen by a real Sentinel and by ours: the same events in the same order."""

import itertools
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from redislab.worlds.live import LiveWorld
from tests.sentinel.town import MASTER, Town

pytestmark = [
    pytest.mark.redis,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("redis-sentinel"), reason="no redis-sentinel here"),
]
_ID = re.compile(r"\b[0-9a-f]{40}\b")


class Ear:
    """Who listens to all events of a Sentinel."""

    def __init__(self, town):
        self.town = town
        (self.sentinel,) = town.sentinels
        nodes = (town.master, *town.replicas, self.sentinel)
        self.names = {str(node.port): node.name for node in nodes}
        self.heard = []
        self.pubsub = town.world.client(self.sentinel.name).pubsub()
        self.pubsub.psubscribe("*")

    def until(self, *wanted):
        """Listen until these events have come, after what came before."""
        missing = list(wanted)
        for _ in range(300):
            message = self.pubsub.get_message(timeout=0.1)
            if message is None or message["type"] != "pmessage":
                continue
            text = _ID.sub("ID", message["data"].decode())
            for port, name in self.names.items():
                text = text.replace(port, name)
            line = f"{message['channel'].decode()} {text}"
            self.heard.append(line)
            missing = [each for each in missing if not line.startswith(each)]
            if not missing:
                return
        raise AssertionError((missing, self.heard))

    def told(self):
        """All lines; what is told of several instances in a row is in no order of its own."""
        return [
            line
            for _, lines in itertools.groupby(self.heard, key=lambda line: line.split()[0])
            for line in sorted(lines)
        ]


def life(is_real):
    """What a Sentinel tells of replicas that die and come back, of failovers and of commands."""
    with Town(
        world=LiveWorld(),
        config={"repl-diskless-sync-delay": "0"},
        real_servers=(0, 1, 2),
        real_sentinels=(0,) if is_real else (),
        sentinels=1,
        quorum=1,
        down_after_milliseconds=1500,
        failover_timeout=3000,
    ) as town:
        (sentinel,) = town.sentinels
        first, second, third = town.master, *town.replicas
        for node, priority in ((first, 30), (second, 10), (third, 20)):
            town.ask(node, "CONFIG", "SET", "replica-priority", priority)
        town.ask(sentinel, "SENTINEL", "DEBUG", "info-period", "500", "publish-period", "300")
        town.wait(lambda: _priorities(town) == ["10", "20"], 20)
        ear = Ear(town)
        town.world.kill(third.name)
        ear.until("+sdown slave")
        town.world.restart(third.name)
        ear.until("-sdown slave")
        town.ask(third, "CONFIG", "SET", "replica-priority", 20)
        town.wait(lambda: _priorities(town) == ["10", "20"], 20)
        town.world.pause(MASTER)
        ear.until("+switch-master")
        town.world.resume(MASTER)
        ear.until(f"+role-change slave 127.0.0.1:{first.name}")
        town.ask(second, "CONFIG", "SET", "replica-priority", 0)
        town.wait(lambda: _priorities(town) == ["20", "30"], 20)
        town.ask(sentinel, "SENTINEL", "FAILOVER", "mymaster")
        ear.until("+switch-master", f"+role-change slave 127.0.0.1:{second.name}")
        town.ask(first, "REPLICAOF", "NO", "ONE")
        ear.until("+convert-to-slave", "+role-change")
        town.ask(sentinel, "SENTINEL", "RESET", "mymaster")
        ear.until(f"+slave slave 127.0.0.1:{first.name}", f"+slave slave 127.0.0.1:{second.name}")
        settings = ("quorum", "2", "auth-pass", "x", "auth-pass", "", "rename-command", "A", "B")
        town.ask(sentinel, "SENTINEL", "SET", "mymaster", *settings)
        ear.until("+set master mymaster 127.0.0.1 redis-6381 rename-command A B")
        town.ask(sentinel, "SENTINEL", "REMOVE", "mymaster")
        town.ask(sentinel, "SENTINEL", "MONITOR", "again", first.host, first.port, 1)
        ear.until("-role-change master again")
        return ear.told()


def _priorities(town):
    (sentinel,) = town.sentinels
    return sorted(each["slave-priority"] for each in town.shown(sentinel, "REPLICAS"))


def test_it_tells_what_a_real_one_tells():
    with ThreadPoolExecutor(2) as pool:
        real, ours = pool.map(life, (True, False))
    assert ours == real
    assert len(real) >= 60
