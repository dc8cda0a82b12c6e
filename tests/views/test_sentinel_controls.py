"""The controls of a lab with Sentinels: time that runs while one looks, forks, scenarios."""

import asyncio
import json
import shutil
import threading

import pytest

from redislab import ReplicationLab, SentinelLab
from redislab.labs.scenario import Scenario
from redislab.views.labview import SPEEDS, TICK_SECONDS
from redislab.views.static import page_html
from tests.servers import WORLDS

QUICK = {"down_after_ms": 1000, "failover_timeout_ms": 6000}


def controls(view):
    """Return the widgets of a view's rows by what stands on them, and the line under them."""
    *rows, status = view.controls()
    return {each.description: each for row in rows for each in row.children}, status


def ask(view, turn=None):
    """Ask for a step of time, as the drawing does."""
    view.receive({"type": "step", "turn": view.greeting()["turn"] if turn is None else turn})


def told(view):
    """Return a list that fills with what the view says under its drawing."""
    said = []
    view.tell = said.append
    return said


@pytest.fixture(scope="module")
def lived():
    """A master that dies under a client, and comes back; its view."""
    with SentinelLab(seed=7, **QUICK) as lab:
        view = lab.view()
        watch = view.watch
        watch.start_writer()
        watch.run_for(2)
        watch.cut("redis-1", "redis-3")
        watch.kill("redis-1")
        watch.run_for(6)
        watch.restart("redis-1")
        watch.heal()
        watch.run_for(1)
        watch.find_lost()
        yield view


@pytest.mark.parametrize("make", [SentinelLab, ReplicationLab])
def test_time_runs_step_by_step_while_somebody_looks(make):
    with make(seed=7) as lab:
        view = lab.view()
        widgets, status = controls(view)
        began = lab.now
        ask(view, 1)
        assert lab.now == began
        widgets["play time"].click()
        for speed in SPEEDS:
            widgets["speed"].value = speed
            before, frames = lab.now, len(view.recording.frames)
            ask(view)
            # A machine that is busy may cut a long step short.
            assert speed * TICK_SECONDS / 4 - 1e-9 <= lab.now - before <= speed * TICK_SECONDS + 0.1
            assert len(view.recording.frames) - frames <= 4
        turn = view.greeting()["turn"]
        ask(view)
        at = lab.now
        ask(view, turn)
        ask(view, "x")
        assert lab.now == at
        assert widgets["play time"].description == "pause time"
        widgets["play time"].click()
        assert view.greeting() == {"type": "clock", "turn": None}
        ask(view, turn + 1)
        assert lab.now == at
        with pytest.raises(ValueError, match=r"there are the speeds 0\.25, 0\.5, 1, 2"):
            view.play(3.0)
        view.play()
        assert status.value == ""
    ask(view)
    assert view.greeting()["turn"] is None
    with pytest.raises(RuntimeError, match="not in the hands"):
        view.play()


def test_a_step_that_fails_stops_time_and_says_why():
    with SentinelLab(**QUICK) as lab:
        view = lab.view()
        _, status = controls(view)
        view.play()
        view.pass_time = lambda _seconds: lab.kill("redis-9")
        ask(view)
        assert view.greeting()["turn"] is None
        assert "no node &#x27;redis-9&#x27;" in status.value
        assert 'role="alert"' in status.value


def test_a_fork_goes_on_from_the_sliders_time(lived):
    with SentinelLab.from_scenario(lived.watch.lab.scenario()) as lab:
        view = lab.view()
        widgets, _ = controls(view)
        said = told(view)
        before = view.recording
        kill = next(event for event in lab.events if event.kind == "kill")
        view.receive({"type": "fork", "time": kill.time + 0.5})
        fork = view.lab
        assert said == [f"Forked at {fork.now:.2f} s. What you see is view.lab; lab is as it was."]
        assert fork is not lab
        assert fork.now == pytest.approx(kill.time + 0.5, abs=0.01)
        until = view.recording.events[-1].time
        assert view.recording.events == tuple(e for e in before.events if e.time <= until)
        assert "kill" in [event.kind for event in view.recording.events]
        # The buttons are for the fork, and the lab of the cells stays as it was.
        then = lab.now
        widgets["restart"].click()
        widgets["run 10 s"].click()
        assert fork.place.state("redis-1") == "running"
        assert view.recording.frames[-1].state["master"] == "redis-1"
        assert lab.now == then
        assert lab.master.name != "redis-1"
        view.receive({"type": "fork", "time": -5})
        assert view.lab is not fork
        assert len(view.recording.frames) == 1
    assert view.lab.closed
    assert fork.closed


def test_what_was_exported_is_imported_with_all_its_pictures(lived):
    exported = lived.recording.meta["scenario"]
    assert Scenario.from_json(exported) == lived.lab.scenario().until(
        json.loads(exported)["seconds"]
    )
    with SentinelLab(replicas=1, sentinels=1, quorum=1, **QUICK) as lab:
        view = lab.view()
        widgets, _ = controls(view)
        assert len(widgets["node"].options) == 3
        view.load(exported)
        assert list(widgets["node"].options) == list(lived.lab.nodes)
        assert view.recording.events == lived.recording.events
        before = [frame for frame in lived.recording.frames if frame.time > 4]
        same = {frame.time: frame for frame in view.recording.frames}
        assert [same.get(frame.time) for frame in before] == before
        assert view.recording.meta["writes"] == lived.recording.meta["writes"]


def test_a_scenario_without_looks_is_watched_all_the_same():
    text = json.dumps({"version": 1, "seed": 3, "seconds": 12, "setup": QUICK, "actions": [
        {"at": 4, "do": "write", "rate": 5}, {"at": 5, "do": "kill", "a": "redis-1"}]})  # fmt: skip
    with SentinelLab(**QUICK) as lab:
        view = lab.view()
        view.load(text)
        times = [frame.time for frame in view.recording.frames]
        assert len(times) > 20
        assert times[0] < 4
        assert times[-1] == pytest.approx(12, abs=0.01)
        assert view.recording.frames[-1].state["master"] != "redis-1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "this is no JSON"),
        ('{"version": 9}', "this is version 9"),
        ('{"version": 1, "actions": [{"at": 1, "do": "kill", "a": "moon"}]}', "kill of 'moon'"),
        ('{"version": 1, "setup": {"config": {"nonsense": "1"}}}', "nonsense"),
    ],
)
def test_what_cannot_be_imported_is_told_in_a_line_and_changes_nothing(text, words):
    with SentinelLab(**QUICK) as lab:
        view = lab.view()
        said = told(view)
        before = view.recording.to_json()
        view.receive({"type": "load", "text": text})
        assert len(said) == 1
        assert said[0].startswith("Import scenario: ")
        assert words in said[0]
        assert "\n" not in said[0]
        assert view.lab is lab
        assert view.recording.to_json() == before


def test_a_simulation_is_touched_by_the_thread_of_the_cells_alone():
    """JupyterLab hands the messages of widgets to a thread of their own while a cell runs."""
    lab = SentinelLab(**QUICK)
    view = lab.view()
    where = []

    async def notebook():
        assert view.widget is not None
        buttons, status = controls(view)
        run = view.pass_time
        view.pass_time = lambda seconds: (where.append(threading.get_ident()), run(seconds))
        await asyncio.to_thread(buttons["play time"].click)
        await asyncio.sleep(0)
        for _ in range(3):
            step = {"type": "step", "turn": view.greeting()["turn"]}
            await asyncio.to_thread(view._replay._on_message, None, step, [])
            lab.run_for(0.1)
            await asyncio.sleep(0)
        await asyncio.to_thread(buttons["kill -9"].click)
        await asyncio.sleep(0)
        assert status.value == ""

    with lab:
        asyncio.run(notebook())
        assert where == [threading.get_ident()] * 3
        assert lab.place.state("redis-1") == "killed"


@pytest.mark.parametrize("world", WORLDS)
def test_where_time_goes_by_itself_it_has_no_controls(world):
    with SentinelLab(world=world, replicas=1, sentinels=1, quorum=1, **QUICK) as lab:
        view = lab.view()
        widgets, status = controls(view)
        said = told(view)
        shown = {"play time", "speed"} & widgets.keys()
        assert len(shown) == (2 if world == "sim" else 0)
        widgets["drop"].click()
        assert status.value == ""
        view.receive({"type": "fork", "time": 1.0})
        view.receive({"type": "load", "text": '{"version": 1}'})
        words = (
            ("Forked at", "Imported") if world == "sim" else ("Fork from here: a run of the",) * 2
        )
        assert said[0].startswith(words[0])
        assert words[1].replace("Fork from here", "Import scenario") in said[1]
        assert view.recording.meta["world"] == world
        assert "drop" in [each.do for each in lab.scenario().actions]
        view.close()


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromedriver") is None, reason="no chromedriver")
def test_the_page_gives_the_scenario_as_a_file_and_as_code(show, lived, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    meta = lived.recording.meta
    for width, dark in ((390, True), (1280, False)):
        driver = show(page_html(lived.recording), width=width, dark=dark)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        bar = driver.find_element(By.CSS_SELECTOR, ".rl-tools")
        names = [each.text for each in bar.find_elements(By.TAG_NAME, "button")]
        assert names == ["Export scenario", "Copy as code"]
    wait = WebDriverWait(driver, 10)
    driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    export, copy = bar.find_elements(By.TAG_NAME, "button")
    driver.execute_script("arguments[0].focus()", export)
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    path = tmp_path / "scenario.json"
    wait.until(lambda _: path.exists() and path.read_text() == meta["scenario"])
    assert bar.find_element(By.CSS_SELECTOR, "[role=status]").text == "Saved as scenario.json."
    driver.switch_to.active_element.send_keys(Keys.TAB)
    assert driver.switch_to.active_element == copy
    copy.send_keys(Keys.SPACE)
    wait.until(lambda _: "Copied" in bar.text)
    driver.execute_script("document.body.append(document.createElement('textarea'))")
    field = driver.find_element(By.TAG_NAME, "textarea")
    field.send_keys(Keys.CONTROL + "v")
    assert field.get_attribute("value") == meta["code"]
