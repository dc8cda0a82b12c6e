"""The view of proxies and shards: what its frames hold, its buttons, and what a page says of it."""

import shutil

import pytest

from redislab import RingLab
from redislab.views.proxy import ProxyView
from redislab.views.recording import Recording
from redislab.views.static import page_html, recording_html


@pytest.fixture(scope="module")
def run():
    """A run in which a shard dies and comes back, and a link is cut and healed."""
    with RingLab(seed=3, hash="md5", proxies=2) as lab:
        view = lab.view()
        assert isinstance(view, ProxyView)
        load = lab.load(rate=200, keys=1000, clients=4)
        watch = view.watch
        watch.run_for(2)
        watch.kill("redis-2")
        watch.run_for(3)
        watch.restart("redis-2")
        watch.run_for(3)
        watch.cut("proxy-1", "redis-1")
        watch.run_for(1)
        cut = watch.recorder.last
        watch.heal()
        watch.run_for(3)
        load.stop()
        watch.sample()
        return view.recording, load.errors, len(load.answered), cut


def frame_at(recording, time):
    return [frame for frame in recording.frames if frame.time <= time][-1].state


def named(listed, name):
    (found,) = [each for each in listed if each["name"] == name]
    return found


def test_requests_a_second_add_up_and_go_elsewhere_while_a_shard_is_ejected(run):
    recording, *_ = run
    before, dead = frame_at(recording, 2.0), frame_at(recording, 3.6)
    assert named(before["proxies"], "proxy-1")["rate"] == pytest.approx(200, rel=0.1)
    assert named(before["proxies"], "proxy-2")["rate"] == 0
    assert sum(each["rate"] for each in before["shards"]) == pytest.approx(200, rel=0.1)
    assert named(before["shards"], "redis-2")["rate"] > 20
    shard = named(dead["shards"], "redis-2")
    assert (shard["state"], shard["ejected"], shard["keys"]) == ("killed", ["proxy-1"], 0)
    assert shard["rate"] == 0
    assert sum(each["rate"] for each in dead["shards"]) == pytest.approx(200, rel=0.1)
    after = recording.frames[-1].state
    assert named(after["shards"], "redis-2")["ejected"] == []
    assert named(after["shards"], "redis-2")["rate"] > 20


def test_what_the_clients_saw_is_counted_once(run):
    recording, errors, answered, cut = run
    last = recording.frames[-1].state
    assert (last["answered"], last["failed"]) == (answered, sum(errors.values()))
    (load,) = recording.meta["loads"]
    assert load["name"] == "set-1"
    buckets = load["buckets"]
    assert sum(count for _, count, _ in buckets) == answered
    told = dict.fromkeys(recording.meta["errors"], 0)
    for *_, failed in buckets:
        for error, count in failed:
            told[recording.meta["errors"][error]] += count
    assert told == errors
    assert "Connection timed out" in errors
    assert ["proxy-1", "redis-1"] in cut.state["cuts"]
    kinds = [event.kind for event in recording.events]
    assert kinds.count("eject") == kinds.count("return") >= 2


def test_the_buttons_are_those_of_a_lab_and_one_for_a_client():
    pytest.importorskip("ipywidgets")
    with RingLab(seed=3, hash="md5") as lab:
        view = lab.view()
        rows = view.controls()
        buttons = {one.description: one for row in rows[:3] for one in row.children}
        assert buttons["node"].options == ("redis-1", "redis-2", "redis-3", "proxy-1")
        buttons["start a client"].click()
        buttons["run 1 s"].click()
        (load,) = lab.loads
        assert len(load.answered) == pytest.approx(50, abs=3)
        view.receive({"type": "pick", "target": "client - proxy-1"})
        buttons["cut"].click()
        assert lab.cuts == (("client", "proxy-1"), ("proxy-1", "client"))
        buttons["heal all"].click()
        view.receive({"type": "pick", "target": "proxy-1"})
        buttons["kill -9"].click()
        buttons["run 1 s"].click()
        state = view.recording.frames[-1].state
        assert state["proxies"][0]["state"] == "killed"
        assert state["failed"] > 0
        assert rows[-1].value == ""
        view.close()


def test_the_recording_stands_for_itself(run):
    recording, errors, answered, _ = run
    again = Recording.from_json(recording.to_json())
    assert again.frames[-1].state == Recording.from_json(again.to_json()).frames[-1].state
    page = recording_html(again)
    assert f"The clients saw {answered:,} answers and {sum(errors.values())} errors" in page
    assert "Connection timed out" in page
    assert len(recording.to_json()) < 100_000


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromedriver") is None, reason="no chromedriver")
@pytest.mark.parametrize("width", [390, 900])
def test_a_page_says_and_shows_what_happened(run, show, width):
    recording, errors, answered, _ = run
    driver = show(page_html(recording), width=width, dark=width == 390)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width

    def drawn():
        return driver.find_element("css selector", "svg[role=img]").get_attribute("aria-label")

    def seek(time):
        driver.execute_script(
            "const s = document.querySelector('.rl-slider'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input'))",
            time - recording.frames[0].time,
        )

    told = f"The clients saw {answered:,} answers and {sum(errors.values())} errors"
    assert drawn().endswith(told)
    texts = [each.text for each in driver.find_elements("css selector", ".rl-stage svg text")]
    assert {"Connection timed out", "Requests a second to each shard", "set-1"} <= set(texts)
    seek(3.6)
    assert "redis-2: killed, ejected by proxy-1, 0 keys, 0/s" in drawn()
    assert "Cut" not in drawn()
    seek(8.6)
    assert "Cut: proxy-1 - redis-1" in drawn()
    assert "Cut: proxy-1 - redis-1." in driver.find_element("css selector", "p[aria-live]").text
    bands = driver.find_elements("css selector", ".rl-stage svg rect > title")
    left_out = [one.get_attribute("textContent") for one in bands]
    assert any(text.startswith("redis-2 is left out by proxy-1, 2 s to 4") for text in left_out)
