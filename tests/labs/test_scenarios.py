"""Scenarios: what was done to a lab, as data, as a program, and done again byte for byte."""

import json

import pytest
import redis
from redis._parsers import Encoder

from redislab import SentinelLab
from redislab.labs.actions import Action
from redislab.labs.scenario import Scenario
from redislab.worlds.base import WorldError
from redislab.worlds.sim.faults import Faults
from tests.servers import WORLDS

QUICK = {"down_after_ms": 1000, "failover_timeout_ms": 6000}


def dead_master(lab):
    """Everything that a reader may do to a lab, most of it while its master is gone."""
    lab.writer(rate=5, at="client-2", socket_timeout=0.7)
    lab.run_for(1)
    lab.kill(lab.master)
    lab.cut("client-2", "redis-2", "a->b")
    lab.delay("sentinel-1", "sentinel-2", 0.01, 0.005)
    lab.drift("sentinel-3", 1.01)
    lab.wait_until(lambda now: now.named != "redis-1", timeout=20)
    lab.client("redis-3", at="laptop")
    lab.partition(["redis-2", "laptop"], between="sentinel-1")
    lab.run_for(0.5)
    lab.heal()
    lab.drop("redis-2", "sentinel-1")
    lab.pause("sentinel-2")
    lab.run_for(1.5)
    lab.resume("sentinel-2")
    lab.jump("sentinel-2", 3.0)
    lab.restart("redis-1", wipe=True)
    lab.power_off("redis-3", kept=0.5)
    lab.run_for(1)
    lab.restart("redis-3")
    lab.wait_until(lambda now: now.settled, timeout=60)
    lab.writer_of("write-1").lost()
    lab.failover("sentinel-2")
    with pytest.raises(redis.ResponseError, match="INPROG"):
        lab.failover("sentinel-2")
    lab.run_for(4)
    lab.writer_of("write-1").stop()


@pytest.fixture(scope="module")
def lived():
    setup = {"config": {"appendonly": "yes"}, "faults": Faults(jitter_seconds=0.002), **QUICK}
    with SentinelLab(seed=11, sentinel_config={"sentinel": ("deny-scripts-reconfig yes",)},
                     **setup) as lab:  # fmt: skip
        dead_master(lab)
        yield lab


def test_a_run_is_had_again_byte_for_byte(lived):
    scenario = Scenario.from_json(lived.scenario().to_json())
    assert scenario == lived.scenario()
    with scenario.play() as again:
        assert again.now == lived.now
        assert again.events == lived.events
        assert again.journal.to_json() == lived.journal.to_json()
        assert again.scenario() == scenario
    assert len(lived.journal.to_json()) > 1_000_000


def test_a_fork_has_the_same_past_and_a_future_of_its_own(lived):
    switch = next(event.time for event in lived.events if event.kind == "+switch-master")
    moment = switch + 0.001
    before = [event for event in lived.events if event.time <= moment]
    with lived.fork(moment) as other:
        assert other.now == moment
        assert other.events == before
        other.run_for(3)
        assert other.events != lived.events[: len(other.events)]
    last = lived.fork()
    assert last.now == lived.now
    with SentinelLab(**QUICK) as short:
        fork = short.fork()
        short.kill("redis-2")
        assert fork.place.state("redis-2") == "running"
    assert fork.closed
    assert not lived.closed


def test_a_scenario_is_a_program(lived):
    scope = {}
    text = lived.scenario().code()
    exec(compile(text, "scenario", "exec"), scope)
    assert "Faults(jitter_seconds=0.002)" in text
    with scope["lab"] as lab:
        assert lab.now == round(lived.now, 6)
        done = [(event.kind, event.node, event.detail) for event in lived.place.journal.events]
        same = [(event.kind, event.node, event.detail) for event in lab.place.journal.events]
        assert same == done


def test_a_lab_goes_on_from_a_scenario():
    text = json.dumps({"version": 1, "seed": 3, "setup": QUICK, "actions": [
        {"at": 12, "do": "pause", "a": "redis-1"},
        {"at": 5, "do": "kill", "a": "redis-1"},
    ]})  # fmt: skip
    with SentinelLab.from_scenario(text) as lab:
        assert lab.now == 12
        assert lab.place.state("redis-1") == "killed"
        assert lab.master.name != "redis-1"
    with SentinelLab.from_scenario(text, until=6) as lab:
        assert lab.now == 6
        kinds = [event.kind for event in lab.place.journal.events]
        assert kinds.count("kill") == 1


def test_looks_at_a_steady_pace_are_one_action():
    with SentinelLab(**QUICK) as lab:
        for _ in range(10):
            lab.run_for(0.2)
            lab.snapshot()
        lab.ask()
        assert [(each.do, each.times, each.every) for each in lab.actions] == [
            ("look", 10, 0.2), ("ask", 1, 0.0),
        ]  # fmt: skip


def scenario_with(*actions, **more):
    return json.dumps({"version": 1, "actions": list(actions), **more})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "this is no JSON"),
        (b"\xff\xfe", "not UTF-8"),
        ("[" * 100_000, "this is no JSON"),
        ("[]", "an object with version"),
        ('{"seed": 1, "seconds": 9.0}', "an object with version"),
        ('{"version": 2}', "this is version 2"),
        ('{"version": 1, "lab": "cluster"}', "of a lab 'cluster'"),
        ('{"version": 1, "seed": "x"}', "seed is a whole number"),
        ('{"version": 1, "seconds": NaN}', "seconds is a number, 0 or more"),
        ('{"version": 1, "sides": 2}', "sides: a scenario has"),
        ('{"version": 1, "setup": {"nodes": 3}}', "nodes: SentinelLab takes replicas"),
        ('{"version": 1, "setup": {"replicas": 1000}}', "replicas is a whole number from 0 to 50"),
        ('{"version": 1, "setup": {"world": "moon"}}', "no world 'moon'"),
        ('{"version": 1, "setup": {"faults": {"rain": 1}}}', "faults: "),
        ('{"version": 1, "setup": {"config": 3}}', "config of SentinelLab cannot be 3"),
        ('{"version": 1, "actions": {}}', "actions are a list"),
        (scenario_with({"at": 1, "do": "sing"}), "nobody can 'sing'"),
        (scenario_with({"at": -1, "do": "look"}), "at of look is a number, 0 or more, not -1"),
        (scenario_with({"at": 1, "do": "look", "times": 10**9}), "times of look"),
        (scenario_with({"at": 1, "do": "kill", "a": "redis-4"}), "kill of 'redis-4': there are"),
        (scenario_with({"at": 1, "do": "kill", "a": "client"}), "kill of 'client'"),
        (scenario_with({"at": 1, "do": "cut", "a": "redis-1"}), "cut of ''"),
        (scenario_with({"at": 1, "do": "cut", "a": "redis-1", "b": "client", "direction": "up"}),
         "direction is"),
        (scenario_with({"at": 1, "do": "stop", "a": "write-1"}), "there are only none"),
        (scenario_with({"at": 1, "do": "write", "rate": 0}), "rate of write is above 0"),
        (scenario_with({"at": 1, "do": "partition", "sides": [["mars"]]}), "partition of 'mars'"),
        (scenario_with({"at": 1, "do": "partition", "sides": "abc"}), "sides is a list"),
        (scenario_with({"at": 1, "do": "power_off", "a": "redis-1", "kept": 2}), "a share"),
    ],
)  # fmt: skip
def test_what_is_no_scenario_is_refused_in_a_line(text, message):
    with pytest.raises(ValueError, match=message) as refusal:
        SentinelLab.from_scenario(text)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


def test_what_has_no_words_in_json_is_named():
    with SentinelLab(make_node=None, **QUICK) as lab:
        assert lab.scenario().setup == {"make_node": None, **QUICK}
    with SentinelLab(faults=Faults(), **QUICK) as lab:
        lab._arguments["make_node"] = print
        with pytest.raises(ValueError, match="no words for make_node"):
            lab.scenario()
    with SentinelLab(**QUICK) as lab:
        view = lab.view()
        lab.writer(socket_timeout=0.5, encoder_class=Encoder)
        with pytest.raises(ValueError, match="no words for encoder_class"):
            lab.scenario()
        view.watch.run_for(1)
        assert len(view.recording.frames) > 2


def test_what_was_put_off_until_later_is_done_again_at_its_time():
    with SentinelLab(seed=2, **QUICK) as lab:
        lab.after(1.5, lambda: lab.kill("redis-1"))
        lab.after(4, lambda: lab.pause("sentinel-1"))
        lab.after(4.5, lambda: lab.cut("redis-2", "redis-3"))
        lab.run_for(9)
        assert [each.do for each in lab.actions] == ["kill", "pause", "cut"]
        with lab.scenario().play() as again:
            assert again.now == lab.now
            assert again.events == lab.events


@pytest.mark.parametrize("world", WORLDS)
def test_dropping_what_is_under_way_breaks_connections_once(world):
    with SentinelLab(world=world, sentinels=1, quorum=1, replicas=1, **QUICK) as lab:
        client = lab.client("redis-1", client_name="mine")
        pubsub = lab.client("redis-1").pubsub()
        pubsub.subscribe("news")
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"
        told = lab.client("redis-1", at="elsewhere")
        own = told.client_id()
        held = client.connection_pool.get_connection()
        held.send_command("BLPOP", "nothing", 0)
        lab.run_for(0.2)
        lab.drop("client", "redis-1")
        with pytest.raises(redis.ConnectionError):
            held.read_response()
        held.disconnect()
        assert client.ping()
        assert told.client_id() == own
        names = [each["name"] for each in told.client_list()]
        assert names.count("mine") == 1
        drops = [event for event in lab.place.journal.events if event.kind == "drop"]
        assert [event.detail for event in drops] == ["client - redis-1"]
        if world != "sim":
            with pytest.raises(WorldError, match="cannot be had again"):
                lab.fork()
            with pytest.raises(WorldError, match="cannot set a clock"):
                lab.drift("redis-1", 1.1)
            scenario = lab.scenario()
            assert scenario.setup["world"] == world
            assert Action(scenario.actions[-1].at, "drop", "client", "redis-1") in scenario.actions


def test_what_is_under_way_is_lost_between_servers():
    with SentinelLab(sentinels=1, quorum=1, replicas=1, **QUICK) as lab:
        before = lab.client("redis-1").info("stats")["sync_partial_ok"]
        lab.delay("redis-1", "redis-2", 0.5)
        lab.client("redis-1").set("here", 1)
        lab.run_for(0.1)
        lab.heal()
        replica = lab.client("redis-2")
        replica.ping()
        lab.drop("redis-1", "redis-2")
        assert replica.get("here") is None
        lab.wait_until(lambda now: now.settled, timeout=20)
        assert lab.client("redis-2").get("here") == b"1"
        assert lab.client("redis-1").info("stats")["sync_partial_ok"] == before + 1
