"""The view of a lab with Sentinels, and a failover's picture: live, as a replay, and in words."""

import shutil

import pytest

from redislab import SentinelLab
from redislab.labs.writer import Write
from redislab.sentinel.failover import TABLE
from redislab.views.fallback import fallback_html
from redislab.views.recording import Recording
from redislab.views.sentinel import Stretch, stretches
from redislab.views.states import failover, walk_failover
from redislab.views.static import page_html
from redislab.worlds.base import Event
from tests.servers import WORLDS

QUICK = {"down_after_ms": 1000, "failover_timeout_ms": 6000}
EDGES = {
    (state.value, outcome.value, way.target.value)
    for state, stage in TABLE.items()
    for outcome, way in stage.ways.items()
}


def sentinel(frame, name):
    return next(each for each in frame.state["sentinels"] if each["name"] == name)


def hosts(lab):
    return [each.name for each in [*lab.servers[1:], *lab.sentinels]]


@pytest.fixture(scope="module")
def split():
    """The master is cut off with its client for some seconds; then what was lost is looked for."""
    with SentinelLab(seed=7, **QUICK) as lab:
        view = lab.view()
        watch = view.watch
        writer = watch.start_writer()
        watch.run_for(2)
        for host in hosts(lab):
            watch.cut("redis-1", host)
        watch.run_for(5)
        watch.heal()
        watch.run_for(16)
        writer.stop()
        before = view.recording.frames[-1].state["writes"]
        lost = watch.find_lost()
        yield {
            "view": view.recording,
            "states": failover(lab).recording,
            "before": before,
            "lost": lost,
            "writer": writer,
        }


def test_the_view_tells_a_split_brain_from_both_sides(split):
    frames = split["view"].frames
    apart = [frame.state for frame in frames if frame.state["cuts"]]
    masters = [{n["name"] for n in state["nodes"] if n["role"] == "master"} for state in apart]
    assert {"redis-1"} in masters
    assert max(masters, key=len) > {"redis-1"}
    thinks = [each for state in apart for each in state["sentinels"]]
    assert any(each["s_down"] and each["o_down"] for each in thinks)
    assert any(each["s_down"] and not each["o_down"] for each in thinks)
    leading = {each["name"] for each in thinks if each["failover"]}
    assert len(leading) == 1
    assert {each["leader"] for each in thinks if each["leader"]} == leading
    last = frames[-1].state
    assert last["master"] != "redis-1"
    assert {each["master"] for each in last["sentinels"]} == {last["master"]}
    assert [each["follows"] for each in last["nodes"] if each["name"] != last["master"]] == [
        last["master"]
    ] * 2


def test_what_was_lost_is_known_when_it_was_looked_for(split):
    writer, lost, before = split["writer"], split["lost"], split["before"]
    after = split["view"].frames[-1].state["writes"]
    assert lost
    assert before == {
        "acknowledged": len(writer.acknowledged), "failed": len(writer.failed), "lost": 0,
    }  # fmt: skip
    assert after["lost"] == len(lost)
    assert after["acknowledged"] == before["acknowledged"] - len(lost)
    drawn = [each for each in split["view"].meta["writes"] if each["outcome"] == "lost"]
    assert sum(each["count"] for each in drawn) == len(lost)
    assert {each["detail"] for each in drawn} == {each.reason for each in lost}
    assert {each["node"] for each in drawn} == {"redis-1"}
    assert Recording.from_json(split["view"].to_json()).to_json() == split["view"].to_json()


def test_writes_that_ended_alike_are_one_stretch():
    writes = [
        Write("w:0", 0, 0.0, 0.1, acknowledged=True, node="a"),
        Write("w:1", 1, 0.2, 0.3, acknowledged=True, node="a"),
        Write("w:2", 2, 0.4, 0.5, acknowledged=True, node="a"),
        Write("w:3", 3, 0.6, 1.6, error="TimeoutError: late"),
        Write("w:4", 4, 1.7, 1.8, acknowledged=True, node="b"),
        Write("w:5", 5, 4.0, 4.1, acknowledged=True, node="b"),
        Write("w:6", 6, 4.2),
    ]
    assert stretches("w", writes, {"w:2": (9.0, "split brain")}) == [
        Stretch("w", 0.0, 0.3, "acknowledged", 2, "a"),
        Stretch("w", 0.4, 0.5, "lost", 1, "a", "split brain", 9.0),
        Stretch("w", 0.6, 1.6, "failed", 1, "", "TimeoutError: late"),
        Stretch("w", 1.7, 1.8, "acknowledged", 1, "b"),
        Stretch("w", 4.0, 4.1, "acknowledged", 1, "b"),
    ]


@pytest.mark.parametrize("world", WORLDS)
def test_the_view_sees_what_is_done_to_sentinels_and_servers(world):
    with SentinelLab(world=world, seed=7, replicas=1, **QUICK) as lab:
        view = lab.view()
        assert lab.view().watch is view.watch
        watch = view.watch
        watch.pause("sentinel-3")
        paused = view.recording.frames[-1]
        watch.resume("sentinel-3")
        watch.kill("sentinel-2")
        killed = view.recording.frames[-1]
        watch.restart("sentinel-2")
        lab.wait_until(lambda now: now.agreed, timeout=30)
        watch.failover("sentinel-1")
        lab.wait_until(lambda now: now.named == "redis-2", timeout=60)
        watch.sample()
        view.close()
    assert sentinel(paused, "sentinel-3")["state"] == "paused"
    assert sentinel(paused, "sentinel-3")["master"] == "redis-1"
    assert sentinel(killed, "sentinel-2")["state"] == "killed"
    assert view.recording.frames[-1].state["master"] == "redis-2"
    kinds = [event.kind for event in view.recording.events]
    assert kinds.index("pause") < kinds.index("kill") < kinds.index("+promoted-slave")
    assert view.controls() == []


def test_the_buttons_do_what_they_say_and_tell_what_goes_wrong():
    with SentinelLab(seed=7, replicas=1, **QUICK) as lab:
        view = lab.view()
        *rows, status = view.controls()
        buttons = {
            each.description: each
            for row in rows
            for each in row.children
            if hasattr(each, "click")
        }
        view.receive({"type": "pick", "target": "sentinel-1 - redis-1"})
        buttons["cut"].click()
        assert set(lab.cuts) == {("redis-1", "sentinel-1"), ("sentinel-1", "redis-1")}
        buttons["heal all"].click()
        assert not lab.cuts
        buttons["start a client"].click()
        buttons["run 1 s"].click()
        view.receive({"type": "pick", "target": "redis-1"})
        buttons["failover"].click()
        buttons["run 10 s"].click()
        assert lab.master.name == "redis-2"
        buttons["find lost writes"].click()
        assert status.value == ""
        view.receive({"type": "pick", "target": "redis-2"})
        buttons["kill -9"].click()
        buttons["find lost writes"].click()
        assert "find lost writes" in status.value
        buttons["restart"].click()
        state = view.recording.frames[-1].state
    # Nobody has told the old master yet, and the client goes on writing to it.
    assert sum(state["writes"].values()) > 200
    assert state["writes"]["lost"] > 100
    assert next(each for each in state["nodes"] if each["name"] == "redis-2")["state"] == "running"


def test_a_failover_is_drawn_from_its_table_and_walked_through(split):
    bare = failover().recording
    assert {tuple(edge) for edge in bare.meta["edges"]} == EDGES
    assert bare.meta["states"] == [state.value for state in TABLE]
    assert bare.meta["says"] == {state.value: stage.does for state, stage in TABLE.items()}
    steps = [frame.state for frame in split["states"].frames]
    assert {(step["before"], step["answer"], step["state"]) for step in steps} <= EDGES
    assert [step["state"] for step in steps] == [*bare.meta["states"][1:], "none"]
    assert steps[-1]["detail"].startswith("+switch-master mymaster")
    assert split["states"].title.startswith("How sentinel-")


@pytest.mark.parametrize(
    ("kinds", "states"),
    [
        (["+new-epoch", "+vote-for-leader", "+switch-master"], []),
        (["+try-failover", "-failover-abort-not-elected"], ["wait_start", "none"]),
        (["+try-failover", "+config-update-from", "+switch-master"], ["wait_start", "none"]),
        (["+try-failover", "+elected-leader", "kill"], ["wait_start", "select_slave", "none"]),
        (["+try-failover", "kill", "+try-failover"], ["wait_start", "none", "wait_start"]),
    ],
)
def test_a_failover_that_comes_to_nothing_is_walked_back(kinds, states):
    events = [Event(float(at), "s", kind) for at, kind in enumerate(kinds)]
    strange = [Event(0.5, "other", "+try-failover")]
    assert [step.state for step in walk_failover([*events, *strange], "s")] == states


def test_a_failover_that_runs_out_of_time_ends_all_the_same():
    kinds = ["+try-failover", "+elected-leader", "+failover-state-select-slave", "+selected-slave"]
    kinds += ["+failover-state-send-slaveof-noone", "+failover-state-wait-promotion"]
    kinds += ["+promoted-slave", "+failover-end-for-timeout", "+failover-end", "+switch-master"]
    walk = walk_failover([Event(float(at), "s", kind) for at, kind in enumerate(kinds)], "s")
    assert [step.state for step in walk][-3:] == ["reconf_slaves", "update_config", "none"]
    assert {(step.before, step.answer, step.state) for step in walk} <= EDGES


def test_without_scripts_there_are_tables(split):
    page = fallback_html(split["view"])
    assert f"{len(split['lost'])} found lost" in page
    assert "<td>sentinel-3</td>" in page
    assert "<td>redis-3</td>" in page
    assert "elected" in fallback_html(split["states"])


def drawn(driver):
    return driver.find_element("css selector", "svg[role=img]").get_attribute("aria-label")


def seek(driver, time):
    driver.execute_script(
        "const s = document.querySelector('.rl-slider'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'))",
        time,
    )


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromedriver") is None, reason="no chromedriver")
@pytest.mark.parametrize("name", ["view", "states"])
def test_the_replay_says_what_happened_and_fits_a_phone_and_a_screen(show, split, name):
    for width, dark in ((360, False), (900, True)):
        driver = show(page_html(split[name]), width=width, dark=dark)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        outside = driver.execute_script(
            "const box = document.querySelector('.redislab-view').getBoundingClientRect();"
            "return [...document.querySelectorAll('.rl-stage svg text')].filter((one) => {"
            "  const at = one.getBoundingClientRect();"
            "  return at.left < box.left - 1 || at.right > box.right + 1;"
            "}).map((one) => one.textContent)"
        )
        assert outside == []
    if name == "states":
        assert "→ none" in drawn(driver)
        return
    assert f"{len(split['lost'])} found lost" in drawn(driver)
    seek(driver, 0)
    assert "The Sentinels name redis-1. " in drawn(driver)
    seek(driver, 6)
    assert "Cut: redis-1 - redis-2, redis-1 - redis-3, redis-1 - sentinel-1" in drawn(driver)
    assert ", 0 found lost" in drawn(driver)
    strips = [each.text for each in driver.find_elements("css selector", ".rl-stage svg text")]
    assert {"cut redis-1 - redis-2", "write-1"} <= set(strips)
    order = [text.split(" ")[0] for text in strips if text.startswith("+")]
    assert order == ["+sdown", "+odown", "+try-failover", "+elected-leader", "+selected-slave",
                     "+promoted-slave", "+switch-master"]  # fmt: skip
