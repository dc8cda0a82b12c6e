"""A master, replicas and Sentinels as a lab: the same in every world, ours and real ones mixed."""

import asyncio
import json
import shutil

import pytest
import redis

from redislab import SentinelLab
from redislab.labs.writer import Reign, Write, explain, reigns_of
from redislab.worlds.base import LogLine

needs_redis = pytest.mark.skipif(
    not (shutil.which("redis-server") and shutil.which("redis-sentinel")),
    reason="no redis-server or no redis-sentinel",
)


def real(*values, name):
    return pytest.param(*values, id=name, marks=[pytest.mark.redis, needs_redis])


WORLDS = [
    pytest.param({"world": "sim"}, id="sim"),
    pytest.param({"world": "live"}, id="live"),
    real({"world": "redis"}, name="redis"),
    real({"world": "live", "real_sentinels": [1], "real_servers": [0]}, name="mixed"),
    real({"world": "redis", "own_addresses": False}, name="redis-shared"),
]
QUICK = {"down_after_ms": 1000, "failover_timeout_ms": 6000}


@pytest.mark.parametrize("where", WORLDS)
def test_a_client_follows_a_failover_and_every_write_is_accounted_for(where):
    # A machine that is busy lets a node wait; one that waits for two seconds is in TILT for thirty.
    patience = 1000 if where["world"] == "sim" else 2000
    with SentinelLab(seed=7, **{**QUICK, "down_after_ms": patience}, **where) as lab:
        first, second, third = lab.servers
        assert (lab.master, lab.replicas) == (first, [second, third])
        addresses_are_the_known_ones(lab)
        client = lab.client(decode_responses=True)
        client.set("city", "Paris")
        writer = lab.writer(rate=50)
        lab.run_for(0.5)
        lab.kill(lab.master)
        killed_at = lab.now
        now = lab.wait_until(lambda now: now.master.up, timeout=90)
        assert now.named in {"redis-2", "redis-3"}
        lab.wait_until(lambda _: writer.writes[-5].acknowledged, timeout=10)
        assert client.get("city") == "Paris"
        assert lab.replica_client(decode_responses=True).get("city") == "Paris"
        writer.stop()
        waits = [write for write in writer.writes if write.ended is None]
        assert len(waits) <= 1
        assert len(writer.failed) + len(writer.acknowledged + waits) == len(writer.writes)
        assert {write.node for write in writer.acknowledged} == {"redis-1", now.named}
        assert [reign.node for reign in lab.reigns()] == ["redis-1", now.named]
        # It has lost what had not reached the replica, if anything.
        assert {each.reason for each in writer.lost()} <= {"asynchronous replication"}
        told = lab.events
        kinds = [event.kind for event in told if event.time >= killed_at]
        steps = ["+sdown", "+odown", "+elected-leader", "+promoted-slave", "+switch-master"]
        assert sorted(steps, key=kinds.index) == steps
        assert [event.time for event in told] == sorted(event.time for event in told)


def addresses_are_the_known_ones(lab):
    """Whatever nodes hear of each other is what everybody knows them by."""
    known = {(each.host, each.port) for each in lab.sentinels}
    servers = {(each.host, each.port) for each in lab.servers}
    first = lab.servers[0]
    info = lab.client(first, socket_timeout=10).info("replication")
    told = {(info[name]["ip"], info[name]["port"]) for name in ("slave0", "slave1")}
    assert told == servers - {(first.host, first.port)}
    for node in lab.servers[1:]:
        info = lab.client(node, socket_timeout=10).info("replication")
        assert (info["master_host"], info["master_port"]) == (first.host, first.port)
    for each in lab.sentinels:
        client = lab.sentinel_client(each, decode_responses=True)
        assert client.sentinel_get_master_addr_by_name(lab.service) == (first.host, first.port)
        peers = {(p["ip"], p["port"]) for p in client.sentinel_sentinels(lab.service)}
        assert peers == known - {(each.host, each.port)}
        replicas = {(r["ip"], r["port"]) for r in client.sentinel_slaves(lab.service)}
        assert replicas == servers - {(first.host, first.port)}


@pytest.mark.parametrize("where", WORLDS[:1] + WORLDS[3:4])
def test_passwords_everywhere(where):
    words = {"password": "data", "sentinel_password": "watch"}
    with SentinelLab(seed=7, **QUICK, **words, **where) as lab:
        with pytest.raises(redis.AuthenticationError):
            lab.client("redis-1", password=None).ping()
        with pytest.raises(redis.AuthenticationError):
            lab.sentinel_client(password=None).ping()
        assert lab.client().set("city", "Paris")
        lab.kill(lab.master)
        lab.wait_until(lambda now: now.master.up, timeout=90)
        assert lab.client(decode_responses=True).get("city") == "Paris"


def test_all_is_well_again_once_the_old_master_has_come_back():
    with SentinelLab(seed=7, **QUICK) as lab:
        lab.kill("redis-1")
        lab.wait_until(lambda now: now.master.up, timeout=60)
        lab.restart("redis-1")
        assert set(lab.snapshot().masters) >= {"redis-1"}
        now = lab.wait_until(lambda now: now.settled, timeout=60)
        assert now.named != "redis-1"
        assert [each.name for each in now.followers if each.master == now.named] == [
            name for name in ("redis-1", "redis-2", "redis-3") if name != now.named
        ]
        assert {each.config_epoch for each in now.sentinels} == {1}
        assert json.loads(json.dumps(now.to_dict()))["sentinels"][0]["up"] is True


def test_what_sentinels_keep_in_their_files_outlives_them():
    with SentinelLab(seed=7, **QUICK) as lab:
        lab.kill("redis-1")
        lab.wait_until(lambda now: now.master.up, timeout=60)
        named = lab.master
        before = [(each.id, each.config_epoch) for each in lab.snapshot().sentinels]
        for each in lab.sentinels:
            lab.power_off(each, kept=0.0)
        lab.run_for(1)
        for each in lab.sentinels:
            lab.restart(each)
        lab.run_for(0.1)
        now = lab.snapshot()
        assert [(each.id, each.config_epoch) for each in now.sentinels] == before
        assert {each.master for each in now.sentinels} == {named.name}
        assert {each.others for each in now.sentinels} == {2}


def test_opinions_tell_who_is_down_in_whose_eyes_and_who_has_whose_vote():
    with SentinelLab(seed=7, **QUICK) as lab:
        lab.cut("sentinel-1", "redis-1")
        now = lab.wait_until(lambda now: now.sentinels[0].s_down, timeout=10)
        assert [each.s_down for each in now.sentinels] == [True, False, False]
        assert not any(each.o_down for each in now.sentinels)
        assert now.cuts == (("sentinel-1", "redis-1"), ("redis-1", "sentinel-1"))
        lab.heal("redis-1", "sentinel-1")
        lab.wait_until(lambda now: not now.sentinels[0].s_down and not now.cuts, timeout=30)
        lab.kill("redis-1")
        now = lab.wait_until(lambda now: any(each.failover for each in now.sentinels), timeout=10)
        (leader,) = [each.name for each in now.sentinels if each.failover]
        assert {(each.leader, each.leader_epoch) for each in now.sentinels} == {(leader, 1)}
        lab.kill(leader)
        assert [each.up for each in lab.snapshot().sentinels] == [
            name != leader for name in ("sentinel-1", "sentinel-2", "sentinel-3")
        ]


def split(lab):
    """The old master and a client on one side, all others on the other one."""
    for node in lab.nodes:
        if node != "redis-1":
            lab.cut("redis-1", node)
            lab.cut("client", node)


def test_a_split_brain_loses_writes_by_name():
    with SentinelLab(seed=7, **QUICK) as lab:
        writer = lab.writer(rate=20)
        lab.run_for(1)
        split(lab)
        lab.run_for(10)
        assert set(lab.snapshot().masters) == {"redis-1", lab.master.name}
        lab.heal()
        lab.wait_until(lambda now: now.settled, timeout=60)
        lab.run_for(1)
        writer.stop()
        lost = writer.lost()
        successor = lab.reigns()[1]
        assert successor.node == lab.master.name
        for each in lost:
            late = each.acknowledged >= successor.since
            assert each.reason == ("split brain" if late else "asynchronous replication")
            assert (each.node, each.successor) == ("redis-1", successor.node)
        assert {each.reason for each in lost} == {"split brain", "asynchronous replication"}
        assert "split brain, redis-" in str(lost[-1])


@pytest.mark.parametrize("numbers", [{"replicas": -1}, {"sentinels": 0}, {"sentinels": -2}])
def test_numbers_of_nodes_that_cannot_be_are_refused_at_once(numbers):
    with pytest.raises(ValueError, match="0 replicas or more and 1 Sentinel or more"):
        SentinelLab(**numbers)


def test_a_writer_says_who_it_is_and_how_it_fares():
    with SentinelLab(seed=7, **QUICK) as lab:
        for rate in (0, -1, float("nan")):
            with pytest.raises(ValueError, match="above zero"):
                lab.writer(rate=rate)
        writer = lab.writer(rate=10)
        lab.run_for(1.05)
        assert repr(writer) == "<Writer write-1, 10 writes a second: 11 of 11 acknowledged>"
        writer.stop()
        assert repr(writer) == "<Writer write-1, stopped: 11 of 11 acknowledged>"


def test_a_master_that_asks_for_replicas_closes_the_split_brain_after_the_lag():
    config = {"min-replicas-to-write": 1, "min-replicas-max-lag": 1}
    with SentinelLab(seed=7, config=config, **QUICK) as lab:
        writer = lab.writer(rate=20)
        lab.run_for(1)
        split(lab)
        cut_at = lab.now
        lab.run_for(10)
        lab.heal()
        lab.wait_until(lambda now: now.settled, timeout=60)
        lab.run_for(1)
        writer.stop()
        assert any("Not enough good replicas" in write.error for write in writer.failed)
        # Its replicas tell the master once a second how far they are.
        assert 0 < max(each.acknowledged for each in writer.lost()) - cut_at < 2 + 1


def test_a_failover_by_command_and_an_asyncio_client_through_it():
    with SentinelLab(seed=7, **QUICK) as lab:

        async def count(client, times):
            for _ in range(times):
                await client.incr("counter")
                await asyncio.sleep(0.01)

        client = lab.async_client()
        lab.run(count(client, 10))
        lab.failover()
        # Until it is told so, the old master takes writes that are lost.
        lab.wait_until(lambda now: now.settled and now.named != "redis-1", timeout=60)
        # redis-py comes back to where it was connected, and asks the Sentinels after that.
        with pytest.raises(redis.ConnectionError, match="is now a slave"):
            lab.run(count(client, 1))
        lab.run(count(client, 10))
        assert client.connection_pool.master_address == (lab.master.host, lab.master.port)
        assert lab.client(decode_responses=True).get("counter") == "20"


def test_the_same_seed_has_the_same_history():
    def history():
        with SentinelLab(seed=7, **QUICK) as lab:
            writer = lab.writer(rate=20)
            lab.run_for(0.5)
            lab.kill("redis-1")
            lab.wait_until(lambda now: now.settled or now.master.up, timeout=60)
            writer.stop()
            return lab.journal.to_json(), lab.log("sentinel-1"), writer.writes

    assert history() == history()


# -- the ways in which writes are lost -------------------------------------------------------------


def acknowledged(at, node):
    return Write("key", 0, at - 0.01, at, acknowledged=True, node=node)


REIGNS = [
    Reign(0, "a", 12, "b"),
    Reign(10, "b"),
    Reign(20, "a", 33, "c"),
    Reign(25, "d", 28, "a"),
    Reign(30, "c"),
]


@pytest.mark.parametrize(
    ("at", "node", "reason", "successor"),
    [
        (9, "a", "asynchronous replication", "b"),
        (11, "a", "split brain", "b"),
        (15, "b", "asynchronous replication", "a"),
        (25, "a", "asynchronous replication", "c"),
        # Promoted by a failover that did not come to its end, and told to follow the old one.
        (26, "d", "split brain", "a"),
        (35, "a", "split brain", "c"),
        (40, "c", "unexplained", ""),
        (5, "b", "unexplained", ""),
    ],
)
def test_a_lost_write_is_explained_by_who_was_the_master_when(at, node, reason, successor):
    lost = explain(acknowledged(at, node), REIGNS)
    assert (lost.reason, lost.successor) == (reason, successor)


def test_reigns_are_read_off_the_logs_of_servers_and_sentinels():
    line = "7:M 01 Jan 2025 00:00:01.000 * MASTER MODE enabled (user request from 'id=5 ...')"
    over = "7:S 01 Jan 2025 00:00:01.000 * REPLICAOF 127.0.0.1:3 enabled (user request from ...)"
    logs = {
        "a": [LogLine(9.0, line)],
        "b": [LogLine(4.0, over), LogLine(5.0, line), LogLine(6.0, "7:M x"), LogLine(8.0, over)],
        "c": [],
    }
    seen = [(5.5, "b"), (7.0, "c"), (9.5, "a")]
    assert reigns_of("a", logs, seen, {"127.0.0.1:3": "c"}) == [
        Reign(0.0, "a"),
        Reign(5.0, "b", 8.0, "c"),
        Reign(7.0, "c"),
        Reign(9.0, "a"),
    ]
