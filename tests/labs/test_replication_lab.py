"""A master and its replicas as a lab: the same in every world, with what lessons do to it."""

import shutil

import pytest
import redis

from redislab import ReplicationLab
from redislab.labs.byhand import FixedWriter, settle
from redislab.labs.outages import outage
from redislab.labs.router import mixed_load
from redislab.worlds.sim import Faults, Work

REAL = pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server here")
WORLDS = ["sim", "live", pytest.param("redis", marks=[pytest.mark.redis, REAL])]
QUICK = {"repl-backlog-size": "128kb", "repl-timeout": 2, "repl-ping-replica-period": 1}


@pytest.fixture(params=WORLDS)
def lab(request):
    with ReplicationLab(request.param, replicas=2, seed=7) as made:
        yield made


def synced(lab):
    return lab.wait_until(lambda now: now.in_sync, timeout=15)


def test_replicas_have_what_is_written_and_refuse_writes(lab):
    master, *replicas = lab.nodes.values()
    assert lab.master == master
    assert lab.replicas == replicas
    lab.client(decode_responses=True).set("city", "Paris")
    synced(lab)
    for node in replicas:
        assert lab.client(node, decode_responses=True).get("city") == "Paris"
        with pytest.raises(redis.exceptions.ReadOnlyError, match="read only replica"):
            lab.client(node).set("city", "London")


def test_the_router_writes_to_the_master_and_reads_from_the_replicas_in_turn(lab):
    router = lab.router(decode_responses=True)
    for number in range(6):
        router.set(f"key:{number}", number)
    synced(lab)
    assert [router.get(f"key:{number}") for number in range(6)] == list("012345")
    assert router.sent == {"master": 6, "replica 1": 3, "replica 2": 3}
    for node in lab.replicas:
        lab.kill(node)
    assert router.get("key:1") == "1"
    assert router.sent["master"] == 7
    router.close()


def test_a_snapshot_tells_what_the_lab_has_done_to_the_network(lab):
    master, first, second = lab.nodes
    lab.cut(master, first)
    lab.cut(master, second, f"{second}->{master}")
    lab.delay(master, second, 0.05)
    told = lab.snapshot()
    assert set(told.cuts) == {(master, first), (first, master), (second, master)}
    assert told.delays == ((master, second, 0.05),)
    lab.heal()
    told = lab.snapshot()
    assert told.cuts == ()
    assert told.delays == ()


def test_a_server_changes_its_role_and_a_new_one_joins(lab):
    master, first, second = lab.nodes.values()
    lab.client().set("city", "Paris")
    synced(lab)
    lab.promote(first)
    assert lab.snapshot().follower(second).master == master.name
    lab.follow(first, master)
    third = lab.add_replica(of=second)
    lab.wait_until(lambda now: now.linked, timeout=15)
    assert lab.snapshot().follower(third).master == second.name
    assert lab.client(third).get("city") == b"Paris"
    assert lab.snapshot().to_dict()["master"] == master.name


def test_a_lab_repairs_what_was_done_to_it(lab):
    master, first, second = lab.nodes
    lab.cut(master, first)
    lab.pause(second)
    lab.kill(first)
    lab.repair()
    told = lab.snapshot()
    assert told.linked
    assert told.cuts == ()
    assert {node.state for node in told.nodes} == {"running"}


def test_writes_come_at_the_rate_that_was_asked_for(lab):
    before = lab.snapshot().node(lab.master).info["master_repl_offset"]
    began = lab.now
    steps = []
    count = lab.write_for(1.0, 50_000, on_step=lambda: steps.append(lab.now))
    after = lab.snapshot().node(lab.master).info["master_repl_offset"]
    assert count > 300
    assert after - before == pytest.approx(50_000, rel=0.05)
    assert 0.99 <= lab.now - began < 2.0
    assert len(steps) == 10


def test_several_nodes_are_loaded_at_once(lab):
    loads = {node: {"test": "GET", "clients": 2, "duration_s": 0.3} for node in lab.replicas}
    runs = lab.measure_together(loads)
    assert set(runs) == {node.name for node in lab.replicas}
    assert all(run.requests > 10 for run in runs.values())


def test_what_was_acknowledged_before_a_kill_has_gone_to_the_replicas():
    for seed in range(4):
        with ReplicationLab("live", replicas=1, seed=seed) as lab:
            settle(lab, lab.master)
            (replica,) = lab.replicas
            writer = FixedWriter(lab, lab.master, rate=400.0)
            lab.run_for(0.25)
            lab.kill(lab.master)
            writer.stop()
            last = [write.key for write in writer.writes if write.acknowledged][-1]
            lab.run_for(0.3)
            assert lab.client(replica).exists(last) == 1, f"{last} is lost"


@pytest.mark.parametrize(
    ("writes", "replicas", "expected"),
    [(0.2, 1, 1 / 0.8), (0.2, 2, 2 / 0.8), (0.5, 4, 1 / 0.5)],
)
def test_replicas_multiply_reads_until_the_master_is_full(writes, replicas, expected):
    network = Faults(latency_seconds=20e-6, jitter_seconds=5e-6)
    with ReplicationLab("sim", replicas=replicas, work=Work(), faults=network) as lab:
        load = mixed_load(lab, writes, clients=60, seconds=0.02)
        sent = dict(load.sent)
    assert load.throughput / 52_100 == pytest.approx(expected, rel=0.1)
    assert sent.pop("redis-6379") / sum(load.sent.values()) == pytest.approx(writes, abs=0.04)
    assert len(sent) == replicas


@pytest.mark.parametrize(
    ("seconds", "rate", "verdict"),
    [(0.5, 10_000, "not noticed"), (6, 10_000, "partial"), (6, 60_000, "full")],
)
def test_an_outage_ends_in_one_of_three_ways(seconds, rate, verdict):
    with ReplicationLab("sim", replicas=1, config=QUICK) as lab:
        over = outage(lab, seconds, rate)
        assert lab.snapshot().in_sync
    assert over.verdict == verdict
    assert over.missed == pytest.approx(seconds * rate, rel=0.1)
    if verdict == "partial":
        assert over.sent == pytest.approx(over.missed, rel=0.05)


@pytest.mark.redis
@REAL
@pytest.mark.slow
@pytest.mark.parametrize(("rate", "verdict"), [(10_000, "partial"), (60_000, "full")])
def test_real_redis_repairs_an_outage_as_ours_does(rate, verdict):
    with ReplicationLab("redis", replicas=1, config=QUICK) as lab:
        assert outage(lab, 4, rate).verdict == verdict


def test_an_outage_can_be_recorded():
    with ReplicationLab("sim", replicas=1, config=QUICK) as lab:
        view = lab.view("backlog")
        outage(lab, 4, 60_000, watch=view.watch)
        rooms = [frame.state["replicas"][0]["room"] for frame in view.recording.frames]
    assert min(rooms) < 0 < rooms[-1]
