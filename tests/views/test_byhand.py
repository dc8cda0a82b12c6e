"""A failover by hand: what a client with one address sees, the view of it, and its buttons."""

import shutil

import pytest

from redislab import ReplicationLab
from redislab.labs.byhand import FixedWriter, longest_silence, run_of, settle, silent_since
from redislab.labs.writer import Write
from redislab.views import HandView, HandWatch
from redislab.views.fallback import fallback_html
from redislab.views.recording import Recording
from redislab.views.static import page_html
from tests.servers import WORLDS

KEEPS = {"appendonly": "yes"}


def play(hands, *, behind, promote, look):
    """One incident of a lab of three, dealt with: the offsets that a look has told, and the run."""
    incident = hands.begin(behind=behind, behind_seconds=1.0)
    hands.think(2)
    told = hands.look() if look else {}
    hands.think(1)
    hands.promote(promote)
    hands.point(promote)
    rest = [name for name in hands.lab.nodes if name not in {incident.master, promote}]
    hands.follow(rest[0], promote)
    hands.think(3)
    hands.restart(incident.master)
    hands.follow(incident.master, promote)
    hands.think(1)
    return told, hands.finish()


@pytest.fixture(scope="module")
def played():
    """Two incidents in the simulation: one with a look at the offsets, one by the link."""
    with ReplicationLab("sim", replicas=2, seed=7, config=KEEPS) as lab:
        one, two, three = lab.nodes
        hands = HandWatch(lab, boot_seconds=5)
        view = HandView(hands)
        told, careful = play(hands, behind=three, promote=two, look=True)
        _, hasty = play(hands, behind=one, promote=one, look=False)
        yield {
            "view": view.recording,
            "told": told,
            "careful": careful,
            "hasty": hasty,
            "table": hands.scoreboard(),
        }


@pytest.mark.parametrize("world", WORLDS)
def test_a_client_with_one_address_writes_again_when_it_is_given_another_one(world):
    with ReplicationLab(world, replicas=1, seed=7) as lab:
        master, copy = lab.nodes.values()
        settle(lab, master)
        writer = FixedWriter(lab, master, rate=50)
        lab.run_for(0.3)
        began = lab.now
        lab.kill(master)
        lab.run_for(0.2)
        writer.point_at(copy)
        lab.run_for(0.2)
        lab.promote(copy)
        lab.run_for(0.2)
        writer.stop()
        run = run_of(writer, master, began=began)
        written = len(writer.writes)
        lab.run_for(0.1)
    assert len(writer.writes) == written
    assert set(run.failures) <= {"connection refused", "connection broken", "READONLY"}
    assert run.failures["READONLY"] > 2
    assert run.failed > run.failures["READONLY"]
    assert run.acknowledged + run.failed in {written, written - 1}
    assert (run.master, run.heir) == (master.name, copy.name)
    # The last one may not have left the process when it died.
    last = [write.key for write in writer.acknowledged if write.node == master.name][-1:]
    assert list(run.lost) in ([], last)
    assert {write.node for write in writer.acknowledged} == {master.name, copy.name}
    assert 0.4 <= run.downtime < 5


def test_a_silence_lasts_until_the_next_acknowledged_write():
    writes = [
        Write("w:0", 0, 0.0, 0.1, acknowledged=True),
        Write("w:1", 1, 0.2, 0.3, acknowledged=True),
        Write("w:2", 2, 0.4, 0.9, error="timeout"),
    ]
    assert silent_since(writes) == 0.3
    assert longest_silence(writes, 2.0) == (0.3, 2.0)
    writes += [Write("w:3", 3, 2.1, 2.2, acknowledged=True), Write("w:4", 4, 2.3)]
    assert silent_since(writes) is None
    assert longest_silence(writes, 9.0) == (0.3, 2.2)
    assert longest_silence([], 9.0) == (9.0, 9.0)


def test_the_greater_offset_loses_nothing_and_the_link_that_is_up_loses_what_it_missed(played):
    careful, hasty, told = played["careful"], played["hasty"], played["told"]
    by_link = {seen["link"]: seen for seen in told.values()}
    assert by_link["down"]["offset"] > by_link["up"]["offset"]
    assert careful.lost == ()
    assert len(hasty.lost) in {24, 25, 26}  # a second of 25 writes a second
    numbers = [int(key.split(":")[1]) for key in hasty.lost]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert careful.downtime == pytest.approx(3.2, abs=0.2)
    assert careful.seconds_to("look") == pytest.approx(2.2, abs=0.1)
    assert [step.what for step in careful.steps] == [
        "look", "promote", "point", "follow", "restart", "follow",
    ]  # fmt: skip
    with pytest.raises(LookupError, match="look"):
        hasty.seconds_to("look")
    assert [row[-1] for row in played["table"].rows] == [0, len(hasty.lost)]


def test_the_view_tells_what_was_seen_when_somebody_looked_and_counts_in_the_end(played):
    recording = played["view"]
    states = [frame.state for frame in recording.frames]
    first = [state for state in states if state["began"] == states[1]["began"]]
    dead = [state for state in first if state["silent"] is not None]
    assert dead[0]["nodes"][1]["seen"]["offset"] < dead[-1]["nodes"][1]["seen"]["offset"]
    assert max(state["failed"] for state in first) == played["careful"].failed
    last = states[-1]
    assert last["over"]
    assert last["lost"] == len(played["hasty"].lost)
    assert last["downtime"] == pytest.approx(played["hasty"].downtime, abs=0.001)
    assert [run["lost"] for run in recording.meta["runs"]] == [0, last["lost"]]
    kinds = [event.kind for event in recording.events]
    assert kinds.index("kill") < kinds.index("look") < kinds.index("promote")
    assert Recording.from_json(recording.to_json()).to_json() == recording.to_json()
    page = fallback_html(recording)
    assert f"{last['lost']} acknowledged and lost" in page
    assert "<td>redis-6380</td>" in page


def test_what_cannot_be_done_is_said():
    with ReplicationLab("sim", replicas=2, seed=7, config=KEEPS) as lab:
        hands = HandWatch(lab, boot_seconds=60)
        with pytest.raises(RuntimeError, match="no incident"):
            hands.look()
        hands.begin()
        with pytest.raises(RuntimeError, match="not over"):
            hands.begin()
        with pytest.raises(RuntimeError, match="60 s more"):
            hands.restart("redis-6379")
        with pytest.raises(LookupError, match="redis-9"):
            hands.promote("redis-9")
        assert [step.what for step in hands.incident.steps] == []


def test_the_buttons_charge_the_reader_in_a_simulation():
    own = [100.0]
    with ReplicationLab("sim", replicas=2, seed=7, config=KEEPS) as lab:
        hands = HandWatch(lab)
        view = HandView(hands, clock=lambda: own[0])
        *rows, status = view.controls()
        buttons = {
            each.description: each
            for row in rows
            for each in row.children
            if hasattr(each, "click")
        }
        buttons["let the master die"].click()
        fault = hands.incident.fault
        assert hands.recorder.last.state["silent"] == pytest.approx(fault, abs=0.1)
        own[0] += 4
        buttons["look"].click()
        assert lab.now == pytest.approx(fault + 4.2, abs=0.1)  # and a moment on account
        view.receive({"type": "pick", "target": "redis-6380"})
        view._master.value = "redis-6380"
        own[0] += 2
        buttons["replicaof no one"].click()
        buttons["point the client at it"].click()
        assert hands.recorder.last.state["silent"] is None
        view.receive({"type": "pick", "target": "redis-6381"})
        buttons["replicaof its master"].click()
        view.receive({"type": "pick", "target": "redis-6379"})
        buttons["start it again"].click()
        assert "does not answer yet" in status.value
        own[0] += 10
        buttons["start it again"].click()
        assert status.value == ""
        own[0] += 1
        buttons["count the losses"].click()
        view.close()
        followers = {one.name: one.master for one in lab.snapshot().followers}
    run = hands.runs[0]
    assert run.downtime == pytest.approx(6.2, abs=0.2)
    assert run.heir == "redis-6380"
    assert followers == {"redis-6381": "redis-6380"}  # nobody has told the old master


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
def test_the_replay_says_what_happened_and_fits_a_phone_and_a_screen(show, played):
    lost = len(played["hasty"].lost)
    for width, dark in ((360, False), (900, True)):
        driver = show(page_html(played["view"]), width=width, dark=dark)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        outside = driver.execute_script(
            "const box = document.querySelector('.redislab-view').getBoundingClientRect();"
            "return [...document.querySelectorAll('.rl-stage svg text')].filter((one) => {"
            "  const at = one.getBoundingClientRect();"
            "  return at.left < box.left - 1 || at.right > box.right + 1;"
            "}).map((one) => one.textContent)"
        )
        assert outside == []
    assert drawn(driver).endswith(f"{played['hasty'].failed} failed, {lost} found lost")
    assert len(driver.find_elements("css selector", ".rl-stage tbody tr")) == 2
    seek(driver, 0.5)
    assert drawn(driver).startswith("writes succeed. redis-6379: master")
    seek(driver, 3.5)
    assert "without a write. redis-6379: killed" in drawn(driver)
    assert driver.find_elements("css selector", ".rl-stage tbody tr") == []
    seek(driver, 6)
    assert drawn(driver).startswith("writes succeed, after 3.2 s without. ")
    assert "redis-6380: master" in drawn(driver)
    strips = [each.text for each in driver.find_elements("css selector", ".rl-stage svg text")]
    assert {"cut redis-6379 - redis-6381", "kill -9 redis-6379", "3.2 s down"} <= set(strips)
