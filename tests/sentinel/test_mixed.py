"""Ours and real ones in one quorum: each watches, asks, elects and follows the other."""

import shutil

import pytest

from redislab.worlds.live import LiveWorld
from tests.sentinel.test_failover import FOLLOWER, LEADER, without
from tests.sentinel.town import MASTER, Town

pytestmark = [
    pytest.mark.redis,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("redis-sentinel"), reason="no redis-sentinel here"),
]

# Which servers and which Sentinels are real ones, and which Sentinel leads.
CASES = {
    "ours watch real servers": ((0, 1, 2), (), 0),
    "a real one leads, over servers of ours": ((), (0, 1), 0),
    "one of ours leads, with two real ones": ((0, 2), (1, 2), 0),
}


@pytest.mark.parametrize(
    ("real_servers", "real_sentinels", "leads"), CASES.values(), ids=CASES.keys()
)
def test_a_failover_in_mixed_company(real_servers, real_sentinels, leads):
    # With one second a Sentinel may take the new master for down before it has called it at all:
    # it calls nobody twice within a second, and has just called the old one at that name.
    settings = {"down_after_milliseconds": 2000, "failover_timeout": 10_000}
    with Town(
        world=LiveWorld(),
        config={"repl-diskless-sync-delay": "0"},
        real_servers=real_servers,
        real_sentinels=real_sentinels,
        leads=leads,
        **settings,
    ) as town:
        leader, *followers = town.sentinels
        town.wait(lambda: all(_knows_all(town, each) for each in town.sentinels), 20)
        town.world.kill(MASTER)
        town.wait(lambda: all("+switch-master" in town.log(each) for each in town.sentinels), 20)
        assert without(town.events(leader), "-odown", "+sdown slave")[: len(LEADER)] == LEADER
        for follower in followers:
            events = without(
                town.events(follower, since=""), "+sdown", "+odown", "-odown", "+slave"
            )
            assert [event for event in events if event in FOLLOWER] == FOLLOWER
            assert f"voted for {_id(town, leader)} 1" in town.log(leader)
        (address,) = {town.address(each) for each in town.sentinels}
        assert town.ask(town.server(address[1]), "ROLE")[0] == b"master"
        (other,) = [each for each in town.replicas if each.port != address[1]]
        assert town.ask(other, "ROLE")[2] == address[1]


def _knows_all(town, sentinel):
    shown = town.shown(sentinel)
    return (shown["num-slaves"], shown["num-other-sentinels"]) == ("2", "2")


def _id(town, sentinel):
    return town.ask(sentinel, "SENTINEL", "MYID").decode()
