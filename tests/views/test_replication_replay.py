"""The views of replication in Debian's Chromium: what they say, step by step, wide and narrow."""

import shutil

import pytest

from redislab import ReplicationLab
from redislab.labs.plug import modes
from redislab.views.durability import DurabilityView
from redislab.views.messages import spacetime
from redislab.views.staleness import StaleReadMeter
from redislab.views.states import handshake
from redislab.views.static import page_html

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromedriver") is None, reason="no chromedriver"),
]


@pytest.fixture(scope="module")
def recordings():
    """One run, seen by every view."""
    config = {"repl-backlog-size": "16kb", "repl-timeout": "3", "repl-ping-replica-period": "1"}
    with ReplicationLab("sim", replicas=2, seed=3, config=config) as lab:
        master, first, second = lab.nodes
        view, ring = lab.view(), lab.view("backlog")
        watch = view.watch
        watch.run_for(1, 2_000)
        watch.cut(master, second)
        watch.run_for(6, 10_000)
        watch.pause(first)
        watch.heal()
        watch.resume(first)
        watch.run_for(3)
        made = {
            "topology": view.recording,
            "backlog": ring.recording,
            "spacetime": spacetime(lab, hosts=[master, first], until=1.5).recording,
            "states": handshake(lab, second).recording,
        }
        meter = StaleReadMeter(lab, seconds=1.0)
        meter.measure(0.1)
        everysec = modes()[3]
        plug = DurabilityView(everysec, "power failure", 5.9, rate=40, kept=0.0)
        return made | {"stale": meter.recording, "durability": plug.recording}


def drawn(driver):
    return driver.find_element("css selector", "svg[role=img]").get_attribute("aria-label")


def slider(driver):
    return driver.find_element("css selector", "input[type=range]")


def seek(driver, time):
    driver.execute_script(
        "const s = document.querySelector('.rl-slider'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'))",
        time,
    )


def test_the_topology_tells_of_a_cut_that_nobody_has_noticed(show, recordings):
    driver = show(page_html(recordings["topology"]))
    seek(driver, 0)
    assert "redis-6380: replica, follows redis-6379, link up, in step" in drawn(driver)
    seek(driver, 2.5)
    assert "redis-6381: replica, follows redis-6379, link cut, not noticed yet" in drawn(driver)
    assert "bytes behind" in drawn(driver)
    seek(driver, 6.5)
    assert "link cut," in drawn(driver)
    assert "not noticed" not in drawn(driver)
    seek(driver, 99)
    assert "redis-6381: replica, follows redis-6379, link up, in step" in drawn(driver)


def test_the_ring_tells_when_it_is_too_late(show, recordings):
    driver = show(page_html(recordings["backlog"]))
    seek(driver, 2)
    assert "redis-6381 needs byte" in drawn(driver)
    assert "cut off, can still go on" in drawn(driver)
    seek(driver, 6.5)
    assert "overwritten: needs everything" in drawn(driver)
    seek(driver, 99)
    assert drawn(driver).count("follows") == 2


def test_the_diagram_of_messages_steps_from_one_to_the_next(show, recordings):
    from selenium.webdriver.common.keys import Keys

    driver = show(page_html(recordings["spacetime"]))
    slider(driver).send_keys(Keys.HOME)
    assert "Step 1 of" in drawn(driver)
    first = len(driver.find_elements("css selector", ".rl-timeline svg g"))
    slider(driver).send_keys(Keys.ARROW_RIGHT)
    slider(driver).send_keys(Keys.ARROW_RIGHT)
    assert "Step 3 of" in drawn(driver)
    assert len(driver.find_elements("css selector", ".rl-timeline svg g")) == first + 2
    said = driver.find_element("css selector", ".rl-explain").text
    assert "redis-6380" in said
    assert "on the way for" in said


def test_the_picture_of_states_follows_a_run(show, recordings):
    driver = show(page_html(recordings["states"]))
    seek(driver, 7)
    assert "+FULLRESYNC" in drawn(driver)
    assert "transfer" in driver.find_element("css selector", ".rl-explain").text
    seek(driver, 99)
    assert "→ connected" in drawn(driver)


def test_the_meter_says_what_was_stale_and_what_was_expected(show, recordings):
    driver = show(page_html(recordings["stale"]))
    assert "redis-6380 is 100 ms late" in drawn(driver)
    assert "the law says 63 %" in drawn(driver)


def test_the_way_to_the_disk_says_what_a_fault_would_take(show, recordings):
    driver = show(page_html(recordings["durability"]))
    assert "acknowledged writes are lost" in drawn(driver)
    seek(driver, 3.8)
    assert "Now a kill -9 would lose 0, a power failure up to" in drawn(driver)


NAMES = ["topology", "backlog", "spacetime", "states", "stale", "durability"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_fits_a_phone_and_a_screen(show, recordings, name, dark):
    for width in (360, 900):
        driver = show(page_html(recordings[name]), width=width, dark=dark)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        outside = driver.execute_script(
            "const box = document.querySelector('.redislab-view').getBoundingClientRect();"
            "return [...document.querySelectorAll('.rl-stage svg text')].filter((one) => {"
            "  const at = one.getBoundingClientRect();"
            "  return at.left < box.left - 1 || at.right > box.right + 1;"
            "}).map((one) => one.textContent)"
        )
        assert outside == []


@pytest.mark.parametrize("width", [390, 900])
def test_words_of_the_handshake_keep_off_its_lines(show, recordings, width):
    """No upright line beside the boxes is closer than three pixels to a word."""
    driver = show(page_html(recordings["states"]), width=width)
    close = driver.execute_script(
        "const rails = [...document.querySelectorAll('.rl-stage svg path')].filter((one) =>"
        "  /^M[\\d.]+,[\\d.]+V[\\d.]+H/.test(one.getAttribute('d')));"
        "const edges = rails.flatMap((one) => {"
        "  const box = one.getBoundingClientRect();"
        "  const svg = one.ownerSVGElement.getBoundingClientRect();"
        "  const x = box.left - svg.left < svg.width / 3 ? box.left : box.right;"
        "  return [[x, box.top, box.bottom]];"
        "});"
        "return [...document.querySelectorAll('.rl-stage svg .rl-halo')].filter((one) => {"
        "  const at = one.getBoundingClientRect();"
        "  return edges.some(([x, top, bottom]) =>"
        "    at.bottom > top && at.top < bottom && at.left < x + 3 && at.right > x - 3);"
        "}).map((one) => one.textContent)"
    )
    assert close == []
