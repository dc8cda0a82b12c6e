"""Views of a lab: the same in every world."""

import pytest

from redislab import SingleLab
from redislab.views.benchmark import BenchmarkDashboard
from redislab.views.wire import WireView
from tests.servers import WORLDS


@pytest.mark.parametrize("world", WORLDS)
def test_the_server_view_sees_what_is_done_to_the_node(world):
    with SingleLab(world=world, seed=7) as lab:
        view = lab.view()
        view.watch.write_keys(100)
        lab.pause()
        view.refresh()
        lab.resume()
        lab.kill()
        view.refresh()
        view.watch.restart()
        view.watch.run_for(0.3)
        view.close()
    states = [frame.state for frame in view.recording.frames]
    assert max(state["keys"] for state in states) == 100
    assert any(state["paused"] and state["up"] for state in states)
    assert any(not state["up"] for state in states)
    assert states[-1]["up"]
    assert states[-1]["keys"] == 0
    kinds = [event.kind for event in view.recording.events]
    assert [kind for kind in kinds if kind in {"pause", "resume", "kill"}] == [
        "pause",
        "resume",
        "kill",
    ]


@pytest.mark.parametrize("world", WORLDS)
def test_a_conversation_keeps_its_connection(world):
    with SingleLab(world=world, seed=7) as lab:
        view = WireView(lab)
        assert view.say("SET a 1") == b"+OK\r\n"
        assert view.say("HELLO 3").startswith(b"%7\r\n")
        assert view.say("GET b") == b"_\r\n"
        assert view.say_bytes(b"PING\r\nPING\r\n") == b"+PONG\r\n+PONG\r\n"
        assert len(view.recording.frames) == 8


@pytest.mark.parametrize("world", ["sim", "live"])
def test_the_dashboard_runs_and_keeps_the_runs_side_by_side(world):
    with SingleLab(world=world, seed=7) as lab:
        dashboard = BenchmarkDashboard.of(lab, seconds=0.6)
        for clients in (2, 4):
            dashboard.start("PING_MBULK", clients=clients)
            dashboard.wait()
    recording = dashboard.recording
    assert [run["label"].split(", ")[1] for run in recording.meta["runs"]] == [
        "2 clients",
        "4 clients",
    ]
    assert {frame.state["run"] for frame in recording.frames} == {0, 1}
    assert recording.frames[-1].state["requests"] > 0


@pytest.mark.parametrize(("test", "each"), [("GET", 8192 + 9), ("LRANGE_100", 100 * (8192 + 9))])
def test_a_reading_test_reads_values_of_the_size_that_was_chosen(test, each):
    with SingleLab(world="sim", seed=1) as lab:
        dashboard = BenchmarkDashboard.of(lab, seconds=0.1)
        dashboard.start(test, clients=1, payload=8192)
        sent = lab.client().info("stats")["total_net_output_bytes"]
        requests = dashboard.recording.frames[-1].state["requests"]
    assert requests > 5
    assert sent / requests == pytest.approx(each, rel=0.1)


def test_a_dashboard_in_simulated_time_runs_after_a_kill():
    # Idle clients hear of the kill while the load runs; that must not cut the load short.
    with SingleLab(world="sim", seed=1) as lab:
        lab.client().ping()
        lab.kill()
        lab.restart()
        dashboard = BenchmarkDashboard.of(lab, seconds=0.2)
        dashboard.start("GET", clients=3)
    assert dashboard.recording.frames[-1].state["elapsed"] == pytest.approx(0.2, abs=0.02)
