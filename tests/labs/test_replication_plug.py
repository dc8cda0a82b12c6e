"""Pulling the plug: what is counted as lost, and that no mode loses more than it may."""

import shutil

import pytest

from redislab import SingleLab
from redislab.labs.plug import Whereabouts, counted, modes, pull_the_plug, random_moments
from redislab.views.durability import DurabilityView
from redislab.views.fallback import fallback_html
from redislab.worlds.base import WorldError

REAL = pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server here")
REAL_WORLDS = ["live", pytest.param("redis", marks=[pytest.mark.redis, REAL])]
MODES = {mode.name: mode for mode in modes()}


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("fault", ["kill -9", "power failure"])
def test_no_mode_loses_more_than_it_may(name, fault):
    for seed, moment in enumerate(random_moments(3, 4, 2.0, 30.0)):
        over = pull_the_plug(MODES[name], fault, moment, seed=seed)
        assert over.kept_promise, over
        assert over.lost == max(0, over.acknowledged - over.recovered)
        assert over.acknowledged == pytest.approx(20 * moment, abs=2)


def test_each_mode_loses_what_it_is_said_to_lose():
    def lost(name, fault):
        return pull_the_plug(MODES[name], fault, 17.3, seed=1, kept=0.0).lost

    assert lost("nothing", "kill -9") > 300
    assert 100 < lost("RDB", "kill -9") < 200
    assert lost("AOF, no", "kill -9") == 0
    assert lost("AOF, no", "power failure") > 300
    assert lost("AOF, everysec", "kill -9") == 0
    assert 0 < lost("AOF, everysec", "power failure") <= 24
    assert lost("AOF, always", "power failure") == 0


@pytest.mark.parametrize("world", REAL_WORLDS)
@pytest.mark.parametrize("name", ["nothing", "AOF, no", "AOF, everysec", "AOF, always"])
def test_a_killed_process_keeps_what_is_in_a_file(world, name):
    over = pull_the_plug(MODES[name], "kill -9", 0.4, world=world, rate=200)
    assert over.acknowledged > 20
    assert over.lost == (over.acknowledged if name == "nothing" else 0)


def test_only_a_simulated_machine_can_lose_its_power():
    with pytest.raises(WorldError):
        pull_the_plug(MODES["nothing"], "power failure", 0.1, world="live")


@pytest.mark.parametrize("world", ["sim", *REAL_WORLDS])
def test_the_counter_is_read_from_files_as_a_server_would(world):
    config = {"appendonly": "yes", "save": "3600 1"}
    with SingleLab(world, config=config) as lab:
        client = lab.client()
        for _ in range(300):
            client.incr("writes")
        lab.run_for(0.1)
        assert counted(lab.files()) == 300
        client.bgrewriteaof()
        while lab.client().info("persistence")["aof_rewrite_in_progress"]:
            lab.run_for(0.05)
        for _ in range(7):
            client.incr("writes")
        lab.run_for(0.1)
        client.save()
        files = lab.files()
    assert counted(files) == 307
    assert counted({"dump.rdb": files["dump.rdb"]}) == 307
    assert counted({"dump.rdb": files["dump.rdb"][:-9]}) == 0
    assert counted({}) == 0


def test_the_view_shows_where_the_writes_are_and_what_came_back():
    view = DurabilityView(MODES["AOF, everysec"], "power failure", 5.9, rate=40, kept=0.0)
    states = [frame.state for frame in view.recording.frames]
    running = [state for state in states if not state["over"]]
    assert all(s["acknowledged"] >= s["cached"] >= s["stored"] for s in running)
    assert any(s["cached"] > s["stored"] > 0 for s in running)
    last = states[-1]
    assert last["over"]
    assert last["lost"] == view.plug.lost > 0
    assert last["acknowledged"] == view.plug.recovered
    assert view.controls() == []
    assert "on the disk" in fallback_html(view.recording)


def test_looks_are_taken_four_times_a_second():
    looks: list[Whereabouts] = []
    pull_the_plug(MODES["nothing"], "kill -9", 2.0, on_look=lambda _, where: looks.append(where))
    assert len(looks) == pytest.approx(10, abs=1)
    assert looks[-1] == Whereabouts(0, 0, 0)
