"""The replay in Debian's Chromium, from a file, with no site and no network around it."""

import shutil

import pytest

from redislab.views.predictions import check, predict
from redislab.views.recording import Frame, Recording
from redislab.views.server import ServerState, state_from_info
from redislab.views.static import page_html, recording_html
from redislab.views.wire import Conversation
from redislab.worlds.base import Event

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromedriver") is None, reason="no chromedriver"),
]


def server_recording() -> Recording:
    frames = []
    before = None
    for at in range(9):
        info = {
            "connected_clients": 1 + at,
            "used_memory": 10**6 + at * 10**5,
            "used_memory_rss": 10**7,
            "used_memory_peak": 2 * 10**6,
            "total_commands_processed": 1 + at * 500,
            "db0": {"keys": at * 100},
        }
        before = state_from_info(info, before=before, seconds=0.5) if at != 5 else ServerState()
        frames.append(Frame(at * 0.5, vars(before)))
    events = (Event(2.4, "redis-6379", "kill", "SIGKILL"),)
    return Recording("server", "One node", tuple(frames), events, {"node": "redis-6379"})


def clock(driver):
    return driver.find_element("css selector", ".rl-clock").text


def drawn(driver):
    return driver.find_element("css selector", ".rl-stage > svg").get_attribute("aria-label")


def test_the_keys_step_through_a_run_and_the_events_follow(show):
    from selenium.webdriver.common.keys import Keys

    driver = show(page_html(server_recording()))
    assert clock(driver) == "4 s / 4 s"
    slider = driver.find_element("css selector", "input[type=range]")
    slider.send_keys(Keys.HOME)
    assert drawn(driver).startswith("redis-6379 is up: 0 clients, 0 keys")
    assert "nothing yet" in driver.find_element("css selector", ".rl-event-list").text
    slider.send_keys(Keys.ARROW_RIGHT)
    assert "100 keys" in drawn(driver)
    assert "frame 2 of 9" in slider.get_attribute("aria-valuetext")
    for _ in range(4):
        slider.send_keys(Keys.ARROW_RIGHT)
    assert "is down" in drawn(driver)
    assert "kill" in driver.find_element("css selector", ".rl-event-list").text
    slider.send_keys(Keys.END)
    assert "800 keys" in drawn(driver)


def test_it_plays_to_the_end_and_the_slider_moves_it(show):
    from selenium.webdriver.support.ui import Select, WebDriverWait

    driver = show(page_html(server_recording()))
    driver.execute_script(
        "const s = document.querySelector('.rl-slider'); s.value = 1.6;"
        "s.dispatchEvent(new Event('input'))"
    )
    assert "300 keys" in drawn(driver)
    Select(driver.find_element("css selector", ".rl-speed select")).select_by_value("10")
    driver.find_element("css selector", ".rl-play").click()
    WebDriverWait(driver, 20).until(lambda d: clock(d) == "4 s / 4 s")
    WebDriverWait(driver, 20).until(
        lambda d: (
            d.find_element("css selector", ".rl-play")
            .get_attribute("aria-label")
            .startswith("Play")
        )
    )


@pytest.mark.parametrize("dark", [False, True])
def test_it_follows_the_theme_and_fits_a_phone(show, dark):
    driver = show(page_html(server_recording()), width=360, dark=dark)
    color = "return getComputedStyle(document.querySelector('.redislab-view')).backgroundColor"
    light_surface, dark_surface = "rgb(255, 255, 255)", "rgb(20, 25, 31)"
    assert driver.execute_script(color) == (dark_surface if dark else light_surface)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
    driver.execute_script("document.documentElement.dataset.theme = 'dark'")
    assert driver.execute_script(color) == dark_surface
    driver.execute_script("document.documentElement.dataset.theme = 'light'")
    assert driver.execute_script(color) == light_surface


def test_bytes_are_explained_on_focus_and_typed_commands_are_encoded(show):
    conversation = Conversation(lambda _: b"$5\r\nhello\r\n", now=lambda: 0.0)
    conversation.say("GET greeting")
    driver = show(page_html(conversation.recorder.recording))
    chips = driver.find_elements("css selector", ".rl-reply .rl-byte")
    assert [chip.text for chip in chips] == ["$", "5", "\\r\\n", "hello", "\\r\\n"]
    driver.execute_script("arguments[0].focus()", chips[1])
    assert "5 bytes follow" in driver.find_element("css selector", ".rl-explain").text
    driver.find_element("css selector", ".rl-form input").send_keys("SET a é\n")
    last = driver.find_elements("css selector", ".rl-message")[-1]
    assert "SET a é" in last.text
    sizes = [chip.text for chip in last.find_elements("css selector", ".rl-length")]
    assert sizes == ["3", "3", "1", "2"]  # é takes two bytes


def test_a_prediction_on_the_page_is_locked_and_checked(show):
    prediction = predict("Which?", ["this", "that"])
    verdict = check(prediction, "that", why="Because.")
    first = recording_html(prediction.recording)
    page = page_html(prediction.recording)
    driver = show(page.replace(first, first + recording_html(verdict.recording)))
    assert "not committed" in driver.find_element("css selector", ".rl-verdict").text
    driver.find_elements("css selector", "input[type=radio]")[1].click()
    driver.find_element("css selector", ".rl-commit").click()
    told = driver.find_element("css selector", ".rl-verdict").text
    assert "You said that: right" in told
    assert "Because." in told
    assert not driver.find_elements("css selector", "input[type=radio]")[0].is_enabled()
