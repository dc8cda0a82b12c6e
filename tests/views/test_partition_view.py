"""The view of a partition: what the rules foretell happens, and nothing is told too early."""

import shutil

import pytest

from redislab import SentinelLab
from redislab.views.fallback import fallback_html
from redislab.views.partition import (
    CHOICES,
    QUESTIONS,
    PartitionView,
    PartitionWatch,
    Rules,
    Side,
    foretell,
)
from redislab.views.recording import Recording
from redislab.views.static import page_html
from tests.servers import WORLDS

QUICK = {"down_after_ms": 1000, "failover_timeout_ms": 6000}
MINORITY = ["redis-1", "sentinel-1", "client-1"]
HALVES = ["redis-1", "redis-2", "sentinel-1", "sentinel-2", "client-1"]


def answers(*given):
    return dict(zip(QUESTIONS, given, strict=True))


# -- the rules -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "rules", "expected"),
    [
        # The master with few Sentinels: a split brain if somebody writes there.
        (Side(1, 0, True, True), Side(2, 2, False, True), Rules(3, 2), "B B B both"),
        (Side(1, 0, True, False), Side(2, 2, False, True), Rules(3, 2), "B B B B"),
        (Side(1, 0, True, True), Side(2, 2, False, True), Rules(3, 2, 1), "B B B B"),
        # The new master has one replica less.
        (Side(1, 1, True, True), Side(2, 1, False, True), Rules(3, 2, 1), "B B B A"),
        # The master with most of them: nothing happens.
        (Side(2, 1, True, True), Side(1, 1, False, True), Rules(3, 2), "A A neither A"),
        # Enough to agree, too few to elect; and the other way about.
        (Side(3, 0, True, True), Side(2, 2, False, True), Rules(5, 2), "both A neither A"),
        (Side(2, 0, True, True), Side(3, 2, False, True), Rules(5, 4), "neither B neither A"),
        # Nobody to promote; nobody to ask.
        (Side(0, 2, True, False), Side(3, 0, False, True), Rules(3, 2), "B B neither neither"),
        (Side(2, 1, True, True), Side(2, 1, False, True), Rules(4, 2), "both neither neither A"),
    ],
)
def test_what_must_come_of_a_partition_follows_from_its_sides(a, b, rules, expected):
    words = {"A": "side A", "B": "side B"}
    assert foretell(a, b, rules) == answers(*(words.get(one, one) for one in expected.split()))
    back = {"side A": "side B", "side B": "side A"}
    assert foretell(b, a, rules) == {
        key: back.get(one, one) for key, one in foretell(a, b, rules).items()
    }


# -- the lab ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", WORLDS)
def test_what_the_rules_foretell_is_what_happens(world):
    with SentinelLab(world=world, seed=7, **QUICK) as lab:
        watch = PartitionWatch(lab)
        watch.put("B", *watch.hosts)
        watch.put("A", *MINORITY)
        tried = watch.split(6.0)
        assert tried.foretold == tried.outcome == answers("side B", "side B", "side B", "both")
        assert "NOQUORUM 1 usable Sentinels" in tried.said["A"]
        assert tried.said["B"].startswith("OK 2 usable Sentinels")
        assert len(set(lab.snapshot().masters)) == 2


@pytest.mark.parametrize(
    ("quorum", "sentinels", "config", "side_a"),
    [
        (2, 3, {}, HALVES),
        (2, 3, {}, ["redis-1", "redis-2", "redis-3"]),
        (2, 4, {}, HALVES),
        (2, 5, {}, ["redis-2", "sentinel-1", "sentinel-2", "client-1", "client-2"]),
        (4, 5, {}, ["redis-1", "sentinel-1", "sentinel-2", "client-1"]),
        (2, 3, {"min-replicas-to-write": 1, "min-replicas-max-lag": 1}, MINORITY),
        (2, 3, {"min-replicas-to-write": 1, "min-replicas-max-lag": 1}, ["redis-2", "client-2"]),
    ],
)
def test_so_it_is_with_other_partitions(quorum, sentinels, config, side_a):
    with SentinelLab(seed=7, quorum=quorum, sentinels=sentinels, config=config, **QUICK) as lab:
        watch = PartitionWatch(lab)
        watch.put("B", *watch.hosts)
        watch.put("A", *side_a)
        tried = watch.split()
        assert tried.outcome == tried.foretold


def test_one_partition_after_another_each_with_its_own_losses():
    with SentinelLab(seed=7, **QUICK) as lab:
        watch = PartitionWatch(lab)
        first = watch.split()
        watch.heal()
        watch.put("A", *HALVES)
        second = watch.split()
        watch.heal()
        watch.stop()
        assert lab.snapshot().settled
        assert watch.rounds == [first, second]
        assert first.total
        assert any("split brain" in words for words in first.lost)
        assert all(" acknowledged by redis-1 at " in words for words in first.lost)
        assert not set(first.lost) & set(second.lost)
        assert second.outcome == second.foretold
        rounds = {frame.state["round"] for frame in watch.recorder.recording.frames}
        assert rounds == {1, 2}


def test_what_cannot_be_done_is_refused_with_its_reason():
    with SentinelLab(seed=7, **QUICK) as lab:
        watch = PartitionWatch(lab)
        with pytest.raises(ValueError, match="no side 'C'"):
            watch.put("C", "redis-1")
        with pytest.raises(ValueError, match="no host 'redis-9'; there are redis-1"):
            watch.put("A", "redis-9")
        with pytest.raises(ValueError, match="majority: one of side A, side B, both, neither"):
            watch.answer(quorum="both", majority="most")
        watch.answer(**answers("side B", "side B", "side B", "side B"))
        with pytest.raises(ValueError, match="are given"):
            watch.answer(**answers("both", "both", "both", "both"))
        with pytest.raises(ValueError, match="cut now"):
            watch.put("A", "redis-2")
        watch.split(1.0)
        with pytest.raises(ValueError, match="cut already"):
            watch.split()
        with pytest.raises(ValueError, match="heal it before"):
            watch.put("A", "redis-2")
        watch.heal()
        assert watch.rounds[-1].lost == []


def test_a_reader_toggles_commits_cuts_and_heals():
    with SentinelLab(seed=7, **QUICK) as lab:
        view = PartitionView(lab)
        toggles, buttons, status = view.controls()
        by_name = {each.description: each for each in (*toggles.children, *buttons.children)}
        assert set(by_name) == {*view.watch.hosts, "cut", "heal"}
        by_name["sentinel-2"].value = "A"
        assert view.watch.rounds[-1].sides["sentinel-2"] == "A"
        by_name["cut"].click()
        assert "say first" in status.value
        assert not lab.cuts
        view.receive({"type": "commit", "answers": answers("side A", "side A", "both", "side A")})
        by_name["sentinel-2"].value = "B"
        assert "cut now" in status.value
        assert by_name["sentinel-2"].value == "A"
        by_name["cut"].click()
        assert status.value == ""
        assert lab.cuts
        by_name["heal"].click()
        assert not lab.cuts
        (tried,) = view.recording.meta["rounds"]
        assert tried["answers"]["failover"] == "both"
        assert tried["foretold"] == tried["outcome"]
        by_name["redis-2"].value = "A"
        assert len(view.watch.rounds) == 2


# -- on a page -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recording():
    with SentinelLab(seed=7, **QUICK) as lab:
        view = PartitionView(lab)
        for side_a in (MINORITY, HALVES):
            view.watch.put("B", *view.watch.hosts)
            view.watch.put("A", *side_a)
            view.watch.split()
            view.watch.heal()
        view.open_at(0)
        return view.recording


def test_the_recording_is_plain_and_has_a_form_without_scripts(recording):
    assert Recording.from_json(recording.to_json()).to_json() == recording.to_json()
    page = fallback_html(recording)
    assert "Side A: redis-1, sentinel-1, client-1" in page
    assert f"Acknowledged writes lost: {recording.meta['rounds'][0]['total']}." in page


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromedriver") is None, reason="no chromedriver")
def test_a_page_tells_nothing_before_the_reader_has_answered(show, recording):
    for width in (360, 900):
        driver = show(page_html(recording), width=width, dark=width == 360)

        def text(driver=driver):
            return driver.find_element("css selector", ".rl-stage").text

        assert "Side A\nredis-1\nmaster\nsentinel-1\nSentinel\nclient-1\nclient" in text()
        assert "what happened" not in text()
        driver.execute_script(
            "const s = document.querySelector('.rl-slider'); s.value = s.max;"
            "s.dispatchEvent(new Event('input'))"
        )
        assert "what happened" not in text()
        assert "writes to" not in text()
        driver.find_elements("css selector", ".rl-tabs button")[0].click()
        for select in driver.find_elements("css selector", ".rl-asks select"):
            select.send_keys(CHOICES[1])
        driver.find_element("css selector", ".rl-commit").click()
        assert "what happened" in text()
        assert f"{recording.meta['rounds'][0]['total']} acknowledged writes lost" in text()
        marks = driver.find_elements("css selector", ".rl-tells b.rl-right")
        assert len(marks) == 3  # all but the last: both sides take writes
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        sides = driver.find_elements("css selector", ".rl-sides section")
        assert "redis-1\nmaster" in sides[0].text
        driver.find_elements("css selector", ".rl-tabs button")[1].click()
        assert "what happened" not in text()
        told = driver.find_elements("css selector", ".rl-sides section")[0].text
        assert [line for line in told.split("\n") if "-" in line] == HALVES
