"""A network that is split into sides: who still reaches whom, the same in every world."""

import pytest
import redis

from redislab import ReplicationLab, SentinelLab
from redislab.labs.network import sides_of
from tests.servers import WORLDS

WAIT_MS = 400


def answering(lab, at):
    """The nodes that answer a client on a host."""
    found = []
    for name in lab.nodes:
        client = lab.client(name, at=at, socket_timeout=0.3, socket_connect_timeout=0.3)
        try:
            client.ping()
        except (redis.TimeoutError, redis.ConnectionError):
            continue
        found.append(name)
    return found


def reached_replicas(lab):
    """How many replicas confirm a write of this moment; asked from where nothing is cut."""
    master = lab.client(next(iter(lab.nodes)), at="observer")
    master.incr("writes")
    return master.execute_command("WAIT", 2, WAIT_MS)


@pytest.mark.parametrize("world", WORLDS)
def test_nothing_crosses_a_partition_until_it_is_healed(world):
    with ReplicationLab(world, replicas=2, seed=7) as lab:
        one, two, three = names = list(lab.nodes)
        lab.client(two, at="elsewhere")
        assert reached_replicas(lab) == 2
        lab.partition([lab.find(one), two, "client"], [three], between="elsewhere")
        assert reached_replicas(lab) == 1
        assert answering(lab, "client") == [one, two]
        assert answering(lab, "elsewhere") == names
        assert set(lab.snapshot().cuts) == {
            way for name in (one, two, "client") for way in ((name, three), (three, name))
        }
        lab.heal()
        assert not lab.cuts
        assert answering(lab, "client") == names
        lab.wait_until(lambda now: now.in_sync, timeout=60)
        assert reached_replicas(lab) == 2
        # Who is named nowhere is on one more side: with all the others.
        lab.partition(two)
        assert reached_replicas(lab) == 1
        assert answering(lab, "client") == answering(lab, "elsewhere") == [one, three]
        told = [event.detail for event in lab.events if event.kind == "partition"]
        assert told == [f"{three} | the others", f"{two} | the others"]
        assert "cut" not in {event.kind for event in lab.events}


@pytest.mark.parametrize("world", WORLDS)
def test_a_partition_that_makes_no_sense_cuts_nothing(world):
    with ReplicationLab(world, replicas=1, seed=7) as lab:
        one, two = lab.nodes
        with pytest.raises(ValueError, match="no host 'redis-9' to put on a side; there are cl"):
            lab.partition([one], ["redis-9"])
        with pytest.raises(ValueError, match=f"{one} cannot be in two places of one partition"):
            lab.partition([one, "client"], [two, one])
        with pytest.raises(ValueError, match="client cannot be in two places"):
            lab.partition(["client"], between=["client"])
        with pytest.raises(ValueError, match="no host 'observer'"):
            lab.partition(["observer"])
        assert not lab.cuts
        assert answering(lab, "client") == [one, two]


HOSTS = ("client", "a", "b", "c", "d")


@pytest.mark.parametrize(
    ("sides", "between", "expected"),
    [
        ([["a", "client"]], (), [["a", "client"], ["b", "c", "d"]]),
        ([["a"], ["b"]], (), [["a"], ["b"], ["client", "c", "d"]]),
        ([["a"], "b"], ["client"], [["a"], ["b"], ["c", "d"]]),
        ([["a", "a"], ["b", "c", "d", "client"]], (), [["a"], ["b", "c", "d", "client"], []]),
        ([], (), [list(HOSTS)]),
        ([[], iter(["d"])], "c", [[], ["d"], ["client", "a", "b"]]),
    ],
)
def test_every_host_is_on_one_side(sides, between, expected):
    assert sides_of(HOSTS, sides, between) == expected


def test_the_side_without_most_sentinels_cannot_replace_its_master():
    quick = {"down_after_ms": 1000, "failover_timeout_ms": 6000}
    with SentinelLab(seed=7, **quick) as lab:
        lab.partition(["redis-1", "redis-2", "sentinel-1", "sentinel-2"])
        lab.run_for(10)
        assert "+odown" not in {event.kind for event in lab.told()}
        lab.heal()
        lab.wait_until(lambda now: now.settled, timeout=60)
        lab.partition(["redis-1", "sentinel-1"])
        lab.run_for(10)
        assert {each.master for each in lab.snapshot().sentinels[1:]} < {"redis-2", "redis-3"}
        assert lab.snapshot().sentinel("sentinel-1").master == "redis-1"
